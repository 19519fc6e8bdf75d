"""`evaluate` scores what scikit-learn scores, on the rows that it says."""

import numpy as np
import pytest
from sklearn.dummy import DummyClassifier
from sklearn.metrics import (
    accuracy_score,
    balanced_accuracy_score,
    f1_score,
    log_loss,
    mean_absolute_error,
    r2_score,
    roc_auc_score,
    root_mean_squared_error,
)

from intermodal.cli import scoring
from intermodal.data.reading import read
from intermodal.learn.saving import load


@pytest.fixture(autouse=True)
def few_draws(monkeypatch):
    monkeypatch.setattr(scoring, "DRAWS", 60)


def named(told, key="value"):
    return {line["name"]: line[key] for line in told["scores"]}


def test_classes_are_scored_on_the_test_rows_beside_the_majority_of_the_training_rows(typed, films, model):
    said = typed("evaluate", model, films, "--target", "rating", "--json")
    assert (said.code, said.err) == (0, "")
    samples, fitted = read(films, target="rating"), load(model)
    test, train = samples[samples.split == "test"], samples[samples.split == "train"]
    y, shares, predicted = test.y, fitted.predict_proba(test), fitted.predict(test)
    told = said.json
    sure = shares.max(axis=1)
    low = np.ceil(15 * sure) - 1
    assert (told["part"], told["n"]) == ("test", 20)
    assert named(told) == pytest.approx(
        {
            "accuracy": accuracy_score(y, predicted),
            "balanced accuracy": balanced_accuracy_score(y, predicted),
            "macro F1": f1_score(y, predicted, average="macro"),
            "AUC": roc_auc_score(y == "good", shares[:, 1]),
            "log loss": log_loss(y, shares),
            "calibration error": sum(abs((predicted == y)[low == k].sum() - sure[low == k].sum()) for k in range(15))
            / 20,
        }
    )
    dummy = DummyClassifier().fit(np.zeros((41, 1)), train.y)
    guessed = dummy.predict(np.zeros((20, 1)))
    base = named(told, "baseline")
    assert base["accuracy"] == accuracy_score(y, guessed)
    assert base["macro F1"] == pytest.approx(f1_score(y, guessed, average="macro"))
    assert base["log loss"] == pytest.approx(log_loss(y, dummy.predict_proba(np.zeros((20, 1)))))
    assert told["baseline"] == {"name": "majority", "of": "the 41 training rows in the data"}
    for line in told["scores"]:
        assert line["low"] <= line["value"] <= line["high"]
    gap = accuracy_score(y, predicted) - accuracy_score(y, guessed)
    assert told["difference"]["value"] == pytest.approx(gap)


def test_the_target_of_the_model_is_taken_unless_another_is_named(typed, films, model):
    assert typed("evaluate", model, films, "--json").json["n"] == 20


@pytest.mark.parametrize(("part", "n"), [("train", 41), ("all", 61)])
def test_other_rows_can_be_chosen(typed, films, model, part, n):
    said = typed("evaluate", model, films, "--split", part, "--json")
    assert (said.json["part"], said.json["n"]) == (part, n)
    assert ("too good" in said.err) == (part == "all")


def test_rows_that_are_not_there_are_refused(typed, films, model):
    said = typed("evaluate", model, films, "--split", "valid")
    assert said.code == 2
    assert 'no row of the split says "valid"' in said.err
    stored = dict(np.load(films))
    del stored["split"]
    np.savez("data.npz", **stored)
    assert typed("evaluate", model, "data.npz", "--split", "test").code == 2
    whole = typed("evaluate", model, "data.npz", "--json").json
    assert (whole["part"], whole["baseline"]["of"]) == ("all", "the evaluated rows")


def test_numbers_are_scored_beside_the_mean(typed, films):
    assert typed("fit", films, "--target", "minutes", "--epochs", 9, "--members", 1, "-o", "m").code == 0
    told = typed("evaluate", "m", films, "--json").json
    samples = read(films, target="minutes")
    test, train = samples[samples.split == "test"], samples[samples.split == "train"]
    y, predicted, mean = test.y, load("m").predict(test), np.full(20, train.y.mean())
    assert named(told) == pytest.approx(
        {
            "R2": r2_score(y, predicted),
            "RMSE": root_mean_squared_error(y, predicted),
            "MAE": mean_absolute_error(y, predicted),
        }
    )
    assert named(told, "baseline")["MAE"] == pytest.approx(mean_absolute_error(y, mean))
    whole = typed("evaluate", "m", films, "--split", "all", "--json").json
    assert whole["baseline"] == {"name": "mean", "of": "the rows that the model learned from"}


def test_rows_of_a_group_are_drawn_together(typed, films, model):
    stored = dict(np.load(films))
    stored["film"] = np.where(np.arange(61) % 2, 1, 0)  # two groups, each of one class: hardly anything is known
    np.savez("data.npz", **stored)
    alone = typed("evaluate", model, films, "--json").json["scores"][0]
    told = typed("evaluate", model, "data.npz", "--group", "film", "--json").json["scores"][0]
    assert told["value"] == alone["value"]
    assert (told["low"], told["high"]) != (alone["low"], alone["high"])


def test_another_target_than_the_models_is_refused(typed, films, model):
    said = typed("evaluate", model, films, "--target", "minutes")
    assert said.code == 2
    assert "the target must hold classes of the model (bad, good" in said.err


def test_a_constant_is_not_called_beaten_without_need(typed, films):
    stored = dict(np.load(films))
    noise = np.random.default_rng(5).integers(0, 2, 61)
    np.savez("data.npz", text=stored["video"][:, 0], y=noise, split=stored["split"])
    assert typed("fit", "data.npz", "--epochs", 1, "--members", 1, "-o", "m").code == 0
    out = typed("evaluate", "m", "data.npz").out
    assert "not shown to beat a\nconstant" in out or "not shown to beat a constant" in out.replace("\n", " ")


def test_the_table_says_where_the_majority_is_from(typed, films, model):
    out = typed("evaluate", model, films).out
    assert "the 20 rows drawn again 60 times" in out.replace("\n", " ")
    assert "41 training rows in the data" in out.replace("\n", " ")
    assert [line.split()[0] for line in out.splitlines() if " to " in line and "%" in line][:2] == [
        "accuracy",
        "balanced",
    ]
