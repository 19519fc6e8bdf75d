"""`predict` writes what the model says about every row."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import pytest

from intermodal.data.reading import read
from intermodal.learn.saving import load

READERS = {
    ".parquet": lambda path: pyarrow.parquet.read_table(path).to_pylist(),
    ".csv": lambda path: pyarrow.csv.read_csv(path).to_pylist(),
    ".json": lambda path: json.loads(path.read_text()),
}


@pytest.mark.parametrize("suffix", READERS)
def test_a_file_holds_rows_predictions_and_probabilities(typed, films, model, tmp_path, suffix):
    said = typed("predict", model, films, "-o", "out" + suffix)
    assert (said.code, said.err) == (0, "")
    rows = READERS[suffix](tmp_path / ("out" + suffix))
    fitted, samples = load(model), read(films)
    assert [row["row"] for row in rows] == list(range(61))
    assert [row["prediction"] for row in rows] == fitted.predict(samples).tolist()
    shares = [[row["probability_bad"], row["probability_good"]] for row in rows]
    np.testing.assert_allclose(shares, fitted.predict_proba(samples), rtol=1e-12)


def test_json_without_a_file_holds_all(typed, films, model):
    told = typed("predict", model, films, "--json").json
    assert told["n"] == len(told["predictions"]) == 61
    assert set(told["predictions"][0]) == {"row", "prediction", "probability_bad", "probability_good"}


def test_json_with_a_file_says_where_it_is(typed, films, model):
    told = typed("predict", model, films, "-o", "out.csv", "--json").json
    assert told == {"model": str(model), "data": str(films), "n": 61, "written": "out.csv"}


def test_a_terminal_gets_the_first_rows(typed, films, model):
    out = typed("predict", model, films).out
    assert "── The first 10 of 61" in out
    assert "probability_good" in out
    assert [line.split()[0] for line in out.splitlines() if line[:3].strip().isdigit()] == [str(i) for i in range(10)]


def test_a_file_is_not_overwritten_unless_forced(typed, films, model, tmp_path):
    (tmp_path / "out.csv").write_text("mine")
    said = typed("predict", model, films, "-o", "out.csv")
    assert said.code == 2
    assert said.err == ('error: the output is a new file, however: "out.csv" exists; choose another or add --force\n')
    assert (tmp_path / "out.csv").read_text() == "mine"
    assert typed("predict", model, films, "-o", "out.csv", "--force").code == 0
    assert typed("predict", model, films, "-o", "out.xlsx").code == 2


def table(**columns):
    rng = np.random.default_rng(3)
    return pa.table({"text": rng.normal(size=(23, 4)).tolist(), **columns})


@pytest.fixture
def table_model(typed, tmp_path):
    verdicts = ["yes", "no", "no"] * 7 + ["yes", "no"]
    pyarrow.parquet.write_table(table(verdict=verdicts, patient=[f"p{i // 2}" for i in range(23)]), "known.parquet")
    words = ("--target", "verdict", "--group", "patient", "--epochs", 2, "--members", 1)
    assert typed("fit", "known.parquet", *words, "-o", "model").code == 0
    return "model"


def test_rows_without_a_target_are_the_ones_to_predict(typed, table_model):
    verdicts = [None if i % 3 else "yes" for i in range(23)]
    pyarrow.parquet.write_table(table(verdict=verdicts, sample_id=[f"s{i}" for i in range(23)]), "new.parquet")
    told = typed("predict", table_model, "new.parquet", "--json").json
    assert [row["id"] for row in told["predictions"]] == [f"s{i}" for i in range(23)]
    pyarrow.parquet.write_table(table(), "bare.parquet")
    bare = typed("predict", table_model, "bare.parquet", "--json").json
    assert [r["prediction"] for r in bare["predictions"]] == [r["prediction"] for r in told["predictions"]]


def test_columns_beside_the_modalities_are_left_out_aloud(typed, table_model):
    pyarrow.parquet.write_table(table(verdict=["yes"] * 23, ward=[1, 2] * 11 + [3]), "new.parquet")
    said = typed("predict", table_model, "new.parquet", "--json")
    assert said.json["n"] == 23
    assert said.err == 'note: not a part of the model, and left out: "ward"\n'


def test_a_missing_modality_is_said_and_a_misspelt_one_refused(typed, films, model):
    stored = dict(np.load(films))
    np.savez("less.npz", text=stored["text"])
    said = typed("predict", model, "less.npz", "--json")
    assert said.code == 0
    assert said.err == 'note: "video" is not in the data and counts as missing for every sample\n'
    np.savez("slip.npz", text=stored["text"], vidoe=stored["video"])
    slip = typed("predict", model, "slip.npz")
    assert slip.code == 2
    assert 'however: "vidoe"; did you mean "video"?' in slip.err


def test_numbers_are_one_column(typed, films):
    short = ("--epochs", 2, "--members", 1)
    assert typed("fit", films, "--target", "minutes", *short, "-o", "model").code == 0
    rows = typed("predict", "model", films, "--json").json["predictions"]
    assert set(rows[0]) == {"row", "prediction"}
    assert rows[5]["prediction"] == pytest.approx(float(load("model").predict(read(films))[5]))


def test_many_classes_show_the_probability_of_the_one_chosen(typed, films):
    stored = dict(np.load(films))
    np.savez("data.npz", **{**stored, "stars": np.arange(61) % 7})
    assert typed("fit", "data.npz", "--target", "stars", "--epochs", 2, "--members", 1, "-o", "model").code == 0
    out = typed("predict", "model", "data.npz").out
    assert "row  prediction  probability\n" in out
    assert "probability_" not in out
