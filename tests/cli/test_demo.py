"""The demo, with everything small: every station, the files it leaves, and that the commands it prints can be typed."""

import json
import shlex

import numpy as np
import pytest

from intermodal.cli import demo, demo_moments, scoring
from intermodal.cli.demo_files import DemoFiles, write_digits
from intermodal.data.digits import load_digits6
from intermodal.data.reading import read
from intermodal.errors import InputError
from intermodal.learn.saving import load


@pytest.fixture
def small(monkeypatch):
    monkeypatch.setattr(demo, "N_COMPARED", 90)
    monkeypatch.setattr(demo, "N_EXPLAINED", 20)
    monkeypatch.setattr(demo, "N_DRAWS", 20)
    monkeypatch.setattr(scoring, "DRAWS", 20)
    monkeypatch.setattr(demo_moments, "SHORT", {"d_model": 16, "n_layers": 1, "max_epochs": 2})
    monkeypatch.setattr(demo_moments, "N_LEARNED", 90)
    monkeypatch.setattr(demo_moments, "N_TESTED", 40)
    monkeypatch.setattr(demo, "COMPARE_EPOCHS", 2)
    monkeypatch.setattr(demo, "FIT_EPOCHS", 2)
    monkeypatch.setattr(demo, "SHORT", {"d_model": 8, "n_members": 1, "lr": 4e-3})


def test_the_tour_and_what_it_leaves(typed, small, tmp_path):
    said = typed("demo")
    assert said.code == 0, said.err
    headings = [line for line in said.out.splitlines() if line[:1].isdigit() and line[1:3] == ". "]
    assert [line[0] for line in headings] == list("1234567")
    assert "\x1b" not in said.out
    for words in ("── Verdict", "a small network", "── What each modality was worth", "asks ↓", "20 test rows"):
        assert words in said.out
    for name in ("majority", "best single", "concatenation", "none", "self", "cross"):
        assert any(line[2:].startswith(name) for line in said.out.splitlines())
    folder = tmp_path / "intermodal-demo"
    assert sorted(path.name for path in folder.iterdir()) == [
        "digits6.parquet",
        "model",
        "moments",
        "report.html",
        "video.npz",
    ]
    html = (folder / "report.html").read_text()
    for line in headings[:6]:
        assert line in html
    commands = [shlex.split(line)[1:] for line in said.out.splitlines() if line.startswith("  intermodal ")]
    assert [words[0] for words in commands] == [
        "inspect",
        "compare",
        "fit",
        "evaluate",
        "explain",
        "predict",
        "localize",
    ]
    for words in commands:
        if words[0] == "compare":  # takes long, so it is stopped right before it trains
            refused = typed(*words, "--fusion", "pix -> nobody")
            assert (refused.code, '"nobody"' in refused.err) == (2, True)
        else:
            shorter = ["--epochs", "1", "--members", "1"] if words[0] == "fit" else []
            assert typed(*words, *shorter).code == 0
    assert len((folder / "predictions.csv").read_text().splitlines()) == 2001


def test_json_is_one_object_and_an_earlier_run_is_replaced(typed, small, tmp_path):
    (tmp_path / "here").mkdir()
    write_digits(load_digits6()[:7], tmp_path / "here" / "digits6.parquet")
    (tmp_path / "here" / "notes.txt").write_text("mine")
    told = typed("demo", "--json", "--seed", 1, "-o", "here").json
    assert list(told) == ["inspected", "compared", "fitted", "evaluated", "explained", "found", "files", "next"]
    assert len(read("here/digits6.parquet")) == 2000
    assert (tmp_path / "here" / "notes.txt").read_text() == "mine"
    samples = load_digits6()
    test = samples[samples.split == "test"]
    model = load("here/model")
    assert told["evaluated"]["scores"][0]["value"] == pytest.approx(np.mean(model.predict(test) == test.y))
    assert told["fitted"]["rows"]["left_alone"] == len(test)
    attention = np.array(told["explained"]["attention"], dtype=float)
    np.testing.assert_allclose(attention.sum(1), 1, atol=1e-6)
    assert told["compared"]["n_samples"] == 90
    assert json.dumps(told)


def test_the_winner_is_named_also_when_it_does_not_attend(small, tmp_path):
    files = DemoFiles(tmp_path)
    tour = demo._Tour(files, seed=0, aloud=False)

    class Row:
        def __init__(self, name, attends, mean):
            self.name, self.attends, self.simplicity, self.choosing = name, attends, 100, ()
            self.mean = lambda score: mean

    class Result:
        best = "concatenation"
        rows = (Row("concatenation", False, 0.99), Row("none", False, 0.98), Row("self", True, 0.9))

        class setting:
            score, choosing = None, ()

    tour.result = Result()
    with pytest.MonkeyPatch.context() as patch:
        import intermodal.learn.verdict

        patch.setattr(intermodal.learn.verdict, "take", lambda rows, setting: rows[-1])
        chosen, why = tour._chosen()
    assert chosen == "self"
    assert 'the row to take is "concatenation"' in why
    Result.best = "self"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(intermodal.learn.verdict, "take", lambda rows, setting: rows[-1])
        assert tour._chosen()[1] == '"self" is the row to take, so it is fitted on all training rows.'


def test_somebody_elses_folder_is_refused_before_any_work(typed, tmp_path):
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "cat.png").touch()
    said = typed("demo", "-o", "photos")
    assert (said.code, said.out) == (2, "")
    assert '"photos" holds something else' in said.err
    assert [path.name for path in (tmp_path / "photos").iterdir()] == ["cat.png"]
    with pytest.raises(InputError, match="is a file"):
        DemoFiles(tmp_path / "photos" / "cat.png").check()
    (tmp_path / "empty").mkdir()
    DemoFiles(tmp_path / "empty").check()


def test_the_digits_come_back_from_their_file(tmp_path):
    digits = load_digits6()
    write_digits(digits, tmp_path / "digits6.parquet")
    back = read(tmp_path / "digits6.parquet")
    assert back.names == digits.names
    for name in digits.names:
        assert back.modality(name).values.dtype == np.float32
        np.testing.assert_array_equal(back.modality(name).values, digits.modality(name).values)
    np.testing.assert_array_equal(back.y, digits.y)
    np.testing.assert_array_equal(back.split, digits.split)
    assert [path.name for path in tmp_path.iterdir()] == ["digits6.parquet"]
