"""Baselines: they learn what they can, choose inside their training rows, and are asked for by name."""

from __future__ import annotations

import re

import numpy as np
import pytest
from sklearn.base import clone, is_classifier
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import accuracy_score, r2_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from intermodal.data.samples import Samples
from intermodal.errors import InputError
from intermodal.learn import baselines
from intermodal.learn.baselines import NAMES, Chosen, baseline, canonical

rng = np.random.default_rng(7)
X = Samples({"text": rng.normal(size=(211, 3)), "video": rng.normal(size=(211, 5)), "audio": rng.normal(size=(211, 2))})
TEXT, VIDEO = X.modality("text").values, X.modality("video").values
LABEL = np.where(TEXT[:, 0] + TEXT[:, 1] + 0.5 * VIDEO[:, 0] > 0, "yes", "no")
NUMBER = (TEXT[:, 0] + TEXT[:, 1] + 0.5 * VIDEO[:, 0]).astype(float)
TRAIN, TEST = np.arange(139), np.arange(139, 211)


@pytest.mark.parametrize("name", [n for n in NAMES if n not in ("majority", "mean")] + ["single:text"])
@pytest.mark.parametrize("task", ["classification", "regression"])
def test_every_baseline_learns_a_planted_target(name, task):
    y = LABEL if task == "classification" else NUMBER
    model = baseline(name, task, X.names).fit(X[TRAIN], y[TRAIN])
    score = (accuracy_score if task == "classification" else r2_score)(y[TEST], model.predict(X[TEST]))
    assert score > (0.7 if task == "classification" else 0.2)
    if hasattr(model, "predict_proba"):
        assert model.predict_proba(X[TEST]).sum(axis=1) == pytest.approx(np.ones(72))


def test_the_constant_is_the_most_frequent_class_or_the_mean():
    y = np.repeat(["rare", "usual"], [10, 30])
    model = baseline("majority", "classification", X.names).fit(X[:40], y)
    assert set(model.predict(X[40:])) == {"usual"}
    assert model.predict_proba(X[40:43]).tolist() == [[0.25, 0.75]] * 3
    mean = baseline("mean", "regression", X.names).fit(X[TRAIN], NUMBER[TRAIN])
    assert mean.predict(X[TEST]) == pytest.approx(np.full(72, NUMBER[TRAIN].mean()))


def test_a_single_modality_equals_the_pipeline_of_scikit_learn():
    model = Chosen([("video",)], [LogisticRegression(C=0.1)]).fit(X[TRAIN], LABEL[TRAIN])
    other = make_pipeline(StandardScaler(), LogisticRegression(C=0.1)).fit(VIDEO[TRAIN].astype(float), LABEL[TRAIN])
    assert model.predict_proba(X[TEST]) == pytest.approx(other.predict_proba(VIDEO[TEST].astype(float)), abs=1e-9)


def test_best_single_takes_the_modality_that_tells_most():
    assert baseline("best single", "classification", X.names).fit(X[TRAIN], LABEL[TRAIN]).chosen_ == ("text",)


def test_noise_scores_no_better_than_chance_in_the_inner_folds():
    wide = Samples({"noise": rng.normal(size=(60, 97))})
    model = baseline("concatenation", "classification", wide.names).fit(wide, np.array([0, 1] * 30))
    assert max(model.scores_.values()) < 0.75  # rows that were fitted on would score 1


def test_inner_folds_keep_groups_together(monkeypatch):
    seen = []
    real = baselines.folds

    def spy(y, groups, **kwargs):
        cut = real(y, groups, **kwargs)
        seen.extend((groups[f.train], groups[f.test]) for f in cut)
        return cut

    monkeypatch.setattr(baselines, "folds", spy)
    groups = np.repeat(np.arange(20), 7)[:139]
    baseline("concatenation", "classification", X.names).fit(X[TRAIN], LABEL[TRAIN], groups=groups)
    assert seen and all(not set(a) & set(b) for a, b in seen)


@pytest.mark.parametrize("name", ["best single", "concatenation", "late"])
def test_a_class_in_one_row_or_one_group_only_is_no_obstacle(name):
    y = LABEL[:30].copy()
    y[0] = "odd"
    assert len(baseline(name, "classification", X.names).fit(X[:30], y).predict(X[30:35])) == 5
    model = baseline(name, "classification", X.names).fit(X[:30], LABEL[:30], groups=np.zeros(30))
    assert len(model.predict(X[30:35])) == 5


@pytest.mark.parametrize("name", ["mean", "best single", "concatenation", "late", "svm", "forest", "boosting"])
def test_regression_knows_several_outputs(name):
    y = np.stack([NUMBER, -2 * NUMBER], axis=1)
    model = baseline(name, "regression", X.names).fit(X[:60], y[:60])
    assert model.predict(X[TEST]).shape == (72, 2)


def test_late_fusion_leaves_out_what_a_sample_lacks():
    items = [None if i % 3 == 0 else v for i, v in enumerate(VIDEO)]
    holes = Samples({"text": TEXT, "video": items})
    model = baseline("late", "classification", holes.names).fit(holes[TRAIN], LABEL[TRAIN])
    there = np.array([i % 3 != 0 for i in range(211)])[TEST]
    text, both = model.parts_["text"].predict_proba(holes[TEST]), model.predict_proba(holes[TEST])
    assert both[~there] == pytest.approx(text[~there])
    video = model.parts_["video"].predict_proba(holes[TEST])
    assert both[there] == pytest.approx((text[there] + video[there]) / 2)
    assert model.predict_proba(holes[TEST].only("text")) == pytest.approx(text)


def test_learned_numbers_are_counted():
    model = Chosen([("text", "video")], [Ridge()]).fit(X[TRAIN], NUMBER[TRAIN])
    assert model.n_parameters_ == 3 + 5 + 1
    assert baseline("svm", "classification", X.names).fit(X[TRAIN], LABEL[TRAIN]).n_parameters_ is None


def test_a_baseline_can_be_cloned_and_repeats_itself():
    model = baseline("forest", "classification", X.names, seed=3)
    first, second = (clone(model).fit(X[TRAIN], LABEL[TRAIN]).predict_proba(X[TEST]) for _ in range(2))
    assert np.array_equal(first, second)
    assert is_classifier(model.models[0])


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("concatenate", 'a baseline has a known name, however: "concatenate"; did you mean "concatenation"?'),
        ("single:vidoe", '"single:" names a modality, however: "vidoe"; did you mean "video"?'),
        (3, "a baseline is a name, however: int came"),
    ],
)
def test_an_unknown_name_is_refused_with_the_nearest(name, message):
    with pytest.raises(InputError, match="^" + re.escape(message) + "$"):
        baseline(name, "classification", X.names)


def test_majority_and_mean_are_one_name():
    assert canonical("mean", "classification", ()) == "majority"
    assert canonical("best_single", "regression", ()) == "best single"
