"""`fit` in the shell is `fit` in Python on the training rows."""

import json
import os
import pty

import numpy as np
import pytest

from intermodal.data.reading import read
from intermodal.learn.estimators import FusionClassifier, FusionRegressor
from intermodal.learn.saving import load

SHORT = ("--epochs", 3, "--members", 1)


def test_the_model_is_the_one_that_python_fits_on_the_training_rows(films, model):
    samples = read(films, target="rating")
    train = samples[samples.split == "train"]
    own = FusionClassifier("text <-> video", max_epochs=11, n_members=2).fit(train)
    np.testing.assert_array_equal(load(model).predict_proba(samples), own.predict_proba(samples))


def test_test_rows_are_left_alone(typed, films, tmp_path):
    stored = dict(np.load(films))
    poisoned = stored["split"] == "test"
    changed = {**stored, "text": np.where(poisoned[:, None], 1e6, stored["text"])}
    np.savez("changed.npz", **changed)
    for name, path in (("a", films), ("b", "changed.npz")):
        said = typed("fit", path, "--target", "rating", *SHORT, "-o", name)
        assert "Learned from  34 rows; 7 told when to stop; 20 test rows were left alone" in said.out
    samples = read(films, target="rating")
    np.testing.assert_array_equal(load("a").predict_proba(samples), load("b").predict_proba(samples))


def test_valid_rows_of_the_data_tell_when_to_stop(typed, films, tmp_path):
    stored = dict(np.load(films))
    stored["split"] = np.where(np.arange(61) < 37, "train", "valid")
    np.savez("data.npz", **stored)
    said = typed("fit", "data.npz", "--target", "rating", *SHORT, "-o", "out", "--json")
    assert said.json["rows"] == {"learned": 37, "stopped_by": 24, "left_alone": 0}
    samples = read("data.npz", target="rating")
    expected = load("out").score(samples[samples.split == "valid"])
    assert said.json["validation"] == {"score": "accuracy", "value": expected}


def test_nothing_is_held_out_when_that_is_asked_for(typed, films):
    said = typed("fit", films, "--target", "rating", *SHORT, "--validation", 0, "-o", "out", "--json")
    assert said.json["rows"] == {"learned": 41, "stopped_by": 0, "left_alone": 20}
    assert said.json["validation"] is None


def test_a_split_without_training_rows_is_refused(typed, films):
    stored = dict(np.load(films))
    np.savez("data.npz", **{**stored, "split": np.full(61, "test")})
    said = typed("fit", "data.npz", "--target", "rating", "-o", "out")
    assert said.code == 2
    assert 'no row of the split says "train"' in said.err


def test_numbers_are_regressed_and_whole_numbers_where_that_is_named(typed, films):
    assert typed("fit", films, "--target", "minutes", *SHORT, "-o", "a", "--json").json["task"] == "regression"
    assert isinstance(load("a"), FusionRegressor)
    assert load("a").target_ == "minutes"
    stored = dict(np.load(films))
    np.savez("data.npz", **{**stored, "stars": np.arange(61) % 5})
    assert typed("fit", "data.npz", "--target", "stars", *SHORT, "-o", "b", "--json").json["task"] == "classification"
    named = ("--task", "regression", "-o", "c", "--json")
    assert typed("fit", "data.npz", "--target", "stars", *SHORT, *named).json["task"] == "regression"


def test_what_is_printed_can_be_typed(typed, films, tmp_path):
    said = typed("fit", films, "--target", "rating", "--fusion", "video -> text", *SHORT, "-o", "my model")
    assert said.err == "note: video -> text: video asks text\n"
    lines = [line.strip() for line in said.out.splitlines() if line.startswith("  intermodal")]
    assert lines == [
        f"intermodal evaluate 'my model' {films} --target rating",
        f"intermodal predict 'my model' {films} -o predictions.parquet",
    ]


def test_force_replaces_a_model(typed, films):
    assert typed("fit", films, "--target", "rating", *SHORT, "-o", "out").code == 0
    again = typed("fit", films, "--target", "rating", "--fusion", "none", *SHORT, "-o", "out", "--force")
    assert again.code == 0
    assert str(load("out").spec_) == "none"


def test_a_nan_can_be_filled_here_and_when_predicting(typed, films):
    stored = dict(np.load(films))
    stored["text"][3, 2] = np.nan
    np.savez("data.npz", **stored)
    assert typed("fit", "data.npz", "--target", "rating", *SHORT, "-o", "out").code == 2
    assert typed("fit", "data.npz", "--target", "rating", *SHORT, "--nan", "impute", "-o", "out").code == 0
    assert typed("predict", "out", "data.npz", "--json").json["n"] == 61


def test_rows_of_a_group_stand_on_one_side(typed, films, monkeypatch):
    from intermodal.cli.learning import learning_rows
    from intermodal.data.samples import Samples

    samples = Samples({"a": np.ones((24, 2))}, y=np.arange(24) % 2, groups=np.arange(24) // 4)
    rows = learning_rows(samples, "classification", share=0.3, seed=0)
    marked = rows.samples
    assert rows.n_stop > 0
    assert not set(marked.groups[marked.split == "train"]) & set(marked.groups[marked.split == "valid"])


def test_the_bar_is_for_a_terminal_and_results_stay_clean(started, films, tmp_path):
    ours, theirs = pty.openpty()
    process = started("fit", films, "--target", "rating", *SHORT, "-o", tmp_path / "out", "--json", stderr=theirs)
    os.close(theirs)
    shown = b""
    try:
        while piece := os.read(ours, 4096):
            shown += piece
    except OSError:  # the other end is closed
        pass
    os.close(ours)
    out = process.stdout.read()
    assert process.wait(60) == 0
    assert json.loads(out)["epochs"] == 3
    assert b"validation loss" in shown
    assert b"fitting" in shown


def test_the_network_may_answer_alone_and_in_a_given_time(typed, films):
    typed("fit", films, "--target", "rating", *SHORT, "-o", "both")
    typed("fit", films, "--target", "rating", *SHORT, "--no-experts", "-o", "alone")
    said = typed("fit", films, "--target", "rating", "--members", 1, "--budget", 0.000001, "-o", "hurried", "--json")
    assert load("both").model_.experts is not None and load("alone").model_.experts is None
    assert load("hurried").model_.experts is None and said.json["epochs"] == 1
    assert typed("fit", films, "--target", "rating", "--budget", 0, "-o", "never").code == 2


@pytest.mark.parametrize("words", [("--validation", "1.5"), ("--epochs", "0"), ("--members", "-1"), ("--seed", "x")])
def test_options_out_of_range_are_refused(typed, films, words):
    assert typed("fit", films, "--target", "rating", *words, "-o", "out").code == 2


def test_what_fit_found_about_its_attention_is_told(typed, films):
    said = typed("fit", films, "--target", "rating", "--fusion", "text <-> video", *SHORT, "-o", "odd")
    found = load("odd").findings_
    assert [f["id"] for f in found][:1] == ["even-by-construction"]
    assert "What to know of its attention" in said.out and "NOTE  even-by-construction" in said.out
    again = typed("fit", films, "--target", "rating", "--fusion", "text <-> video", *SHORT, "-o", "json", "--json")
    assert again.json["findings"] == found
