"""The experts beside the network: fitted, saved, answering as one, and heard by what they said of rows unseen."""

from __future__ import annotations

import copy
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from intermodal.data.samples import Samples
from intermodal.errors import InputError
from intermodal.learn import consulting
from intermodal.learn.consulting import Consulted, consult
from intermodal.learn.estimators import FusionClassifier, FusionRegressor
from intermodal.learn.feed import Feed
from intermodal.learn.preprocess import Preprocessor
from intermodal.learn.saving import load

QUICK: dict[str, Any] = {"d_model": 8, "n_heads": 2, "n_members": 2, "max_epochs": 4}


def data(n: int = 240, seed: int = 0) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    return {
        "a": rng.normal(size=(n, 2)),
        "b": [None if i % 9 == 2 else rng.normal(size=(2 + i % 4, 2)) for i in range(n)],
        "c": rng.normal(size=(n, 3)),
    }


def steps(X: dict[str, Any]) -> np.ndarray:
    """What trees find and lines do not, and something for bells."""
    return np.sign(X["a"][:, 0]) * np.floor(2 * X["a"][:, 1]) + np.sin(3 * X["c"][:, 0])


def feed_of(X: dict[str, Any]) -> Feed:
    samples = Samples(X)
    return Feed(Preprocessor.fit(samples).apply(samples))


def consulted(X: dict[str, Any], y: np.ndarray, weight: np.ndarray | None = None, **more: Any) -> Consulted:
    labels = y if y.dtype.kind == "i" else None
    target = y if labels is not None else ((y - y.mean()) / y.std())[:, None]
    given = {"labels": labels, "groups": None, "seed": 0, **more}
    found = consult(feed_of(X), target, np.ones(len(y)) if weight is None else weight, **given)
    assert found is not None
    return found


def classes(X: dict[str, Any]) -> np.ndarray:
    return np.digitize(steps(X), [-1.0, 1.0]).astype(np.int64)


# --- what they say --------------------------------------------------------------------------------


def test_every_kind_is_heard_where_it_helps() -> None:
    X = data(400)
    found = consulted(X, steps(X))
    assert found.shares["trees"] > 0.3 and found.experts.trees is not None
    assert set(consulted(X, classes(X)).shares) == {"kernel", "line:a", "line:b", "line:c", "trees"}


def test_trees_are_left_away_where_they_add_nothing() -> None:
    X = data()
    found = consulted(X, X["a"][:, 0] + 0.1 * X["c"][:, 1])
    assert set(found.shares) == {"kernel"} and found.experts.trees is None


@pytest.mark.parametrize("task", ["numbers", "classes"])
def test_answers_to_training_rows_come_from_fits_that_did_not_see_them(task: str) -> None:
    """Labels of chance: who has seen them answers better than chance can."""
    X, rng = data(120), np.random.default_rng(1)
    y = rng.integers(0, 3, 120) if task == "classes" else rng.normal(size=120)
    found = consulted(X, y)
    if task == "classes":
        assert (found.unseen.argmax(1) == y).mean() < 0.5
    else:
        target = (y - y.mean()) / y.std()
        assert ((found.unseen[:, 0] - target) ** 2).mean() > 0.9


def test_unseen_answers_foretell_those_to_new_rows() -> None:
    X = data(500)
    y = X["a"][:, 0] + np.sin(2 * X["c"][:, 0]) + 0.3 * np.random.default_rng(1).normal(size=500)
    first = {"a": X["a"][:300], "b": X["b"][:300], "c": X["c"][:300]}
    samples = Samples(first)
    scaled = Preprocessor.fit(samples)
    target = (y[:300] - y[:300].mean())[:, None]
    found = consult(Feed(scaled.apply(samples)), target, np.ones(300), labels=None, groups=None, seed=0)
    assert found is not None
    feed = Feed(scaled.apply(Samples(X)))
    new = found.experts(*feed.batch(np.arange(300, 500))).numpy()[:, 0] - (y[300:] - y[:300].mean())
    assert (found.unseen - target).std() == pytest.approx(new.std(), rel=0.2)
    seen = found.experts(*feed.batch(np.arange(300))).numpy()[:, 0] - target[:, 0]
    assert seen.std() < 0.8 * new.std()


def test_a_group_is_answered_by_the_others_alone() -> None:
    """Every group has a label and a place of its own: without the groups in the folds the place tells the label."""
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(20), 8)
    X = {"a": rng.normal(size=(20, 4))[groups] + 0.01 * rng.normal(size=(160, 4)), "b": rng.normal(size=(160, 2))}
    y = rng.integers(0, 2, 20)[groups]
    assert (consulted(X, y).unseen.argmax(1) == y).mean() > 0.9
    assert (consulted(X, y, groups=groups).unseen.argmax(1) == y).mean() < 0.75


@pytest.mark.parametrize("task", ["numbers", "classes"])
def test_a_row_of_no_weight_is_answered_and_teaches_nothing(task: str) -> None:
    X = data(120)
    y = steps(X) if task == "numbers" else classes(X)
    weight = np.ones(120)
    weight[:20] = 0
    wrong = y.copy()
    wrong[:20] = y[:20].max() if task == "classes" else y[:20]  # the scale of numbers stays what it was
    a, b = consulted(X, y, weight), consulted(X, wrong, weight)
    assert np.array_equal(a.unseen, b.unseen) and a.unseen[:20].any()
    own = a.experts(*feed_of(X).batch(np.arange(20))).numpy()
    assert np.allclose(a.unseen[:20], own, atol=1e-5)


def test_landmarks_serve_where_rows_are_many(monkeypatch: pytest.MonkeyPatch) -> None:
    X = data(300)
    y = X["a"][:, 0] + np.sin(2 * X["c"][:, 0])
    exact = consulted(X, y)
    monkeypatch.setattr(consulting, "EXACT", 100)
    monkeypatch.setattr(consulting, "MARKS", 150)
    few = consulted(X, y)
    assert few.experts.bells is not None and few.experts.bells.dual.shape == (1, 150, 1)
    assert np.corrcoef(few.unseen[:, 0], exact.unseen[:, 0])[0, 1] > 0.97


def test_machines_search_on_different_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    X = data(300)
    monkeypatch.setattr(consulting, "SEARCHED", 100)
    bells = consulted(X, X["a"][:, 0] + np.sin(2 * X["c"][:, 0])).experts.bells
    assert bells is not None and len(bells.weights) == consulting.MACHINES
    assert len({tuple(own.ravel().tolist()) for own in bells.weights}) == consulting.MACHINES


def test_too_few_rows_have_no_experts() -> None:
    X = data(8)
    given = {"labels": None, "groups": None, "seed": 0}
    assert consult(feed_of(X), np.arange(8.0)[:, None], np.ones(8), **given) is None


def test_a_class_in_few_rows_and_one_of_a_single_row_are_no_error() -> None:
    X = data(60)
    y = np.zeros(60, dtype=np.int64)
    y[::3], y[7] = 1, 2
    model = FusionClassifier(**QUICK).fit(X, y)
    assert model.predict_proba(X).shape == (60, 3) and np.isfinite(model.predict_proba(X)).all()


# --- as one module --------------------------------------------------------------------------------


def test_experts_answer_alike_alone_in_single_precision_and_copied() -> None:
    X = data()
    found, feed = consulted(X, steps(X)).experts, feed_of(X)
    whole = found(*feed.batch(np.arange(240)))
    one = found(*feed.batch(np.array([5])))
    assert torch.allclose(whole[5:6], one, atol=1e-5)
    double = copy.deepcopy(found).double()(*Feed(feed.samples, dtype=torch.float64).batch(np.arange(240)))
    assert torch.allclose(whole.double(), double, atol=1e-3)


def test_trees_count_what_they_were_given() -> None:
    X = data(400)
    found, feed = consulted(X, steps(X)), feed_of(X)
    x, present = feed.batch(np.arange(400))
    others = copy.deepcopy(found.experts)
    others.trees = None
    part = found.experts(x, present) - others(x, present)
    own = found.experts.trees(found.experts.columns(x, present))
    assert 0.1 < found.shares["trees"] < 0.9
    assert torch.allclose(part, found.shares["trees"] * own, atol=1e-4)


def test_a_modality_that_is_not_there_is_as_one_that_is_hidden() -> None:
    X = data()
    found = consulted(X, steps(X)).experts
    x, present = feed_of(X).batch(np.arange(10))
    hidden = found(x, {**present, "c": torch.zeros(10).bool()})
    assert torch.equal(hidden, found({n: v for n, v in x.items() if n != "c"}, present))
    assert not torch.equal(hidden, found(x, present))


@pytest.mark.parametrize("task", ["numbers", "classes"])
def test_a_saved_model_answers_with_its_experts_and_loads_no_scikit_learn(task: str, tmp_path: Path) -> None:
    X = data(300)
    y = steps(X) if task == "numbers" else classes(X)
    model = (FusionRegressor if task == "numbers" else FusionClassifier)(**QUICK).fit(X, y)
    assert model.model_.experts.trees is not None and model.model_.experts.bells is not None
    again = load(model.save(tmp_path / "m"))
    assert np.array_equal(model.predict(X), again.predict(X))
    np.savez(tmp_path / "x.npz", a=X["a"][:5], c=X["c"][:5])
    code = (
        "import sys, numpy as np; from pathlib import Path; from intermodal.learn.predicting import load_predictor; "
        "from intermodal.data.samples import Samples; z = np.load(sys.argv[2]); "
        "print(load_predictor(Path(sys.argv[1])).predict(Samples({k: z[k] for k in z.files})).tolist()); "
        "assert 'sklearn' not in sys.modules and 'scipy' not in sys.modules"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "m"), str(tmp_path / "x.npz")], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == str(model.predict({"a": X["a"][:5], "c": X["c"][:5]}).tolist())


def test_the_same_seed_gives_the_same_model() -> None:
    X = data(200)
    models = [FusionRegressor(**QUICK, seed=3).fit(X, steps(X)) for _ in range(2)]
    states = [m.model_.state_dict() for m in models]
    assert states[0].keys() == states[1].keys()
    assert all(torch.equal(value, states[1][name]) for name, value in states[0].items())


# --- beside the network ---------------------------------------------------------------------------


def test_the_answer_is_the_sum_of_shares() -> None:
    X = data()
    model = FusionRegressor(**QUICK).fit(X, steps(X))
    module, feed = model.prepared(X)
    x, present = feed.batch(np.arange(7))
    with torch.no_grad():
        alone, experts = module(x, present, experts=False).outputs, module.experts(x, present).unsqueeze(1)
        wanted = module.shares[0] * alone + module.shares[1] * experts
        assert torch.allclose(module(x, present).outputs, wanted, atol=1e-12)


def test_without_experts_the_network_answers_alone() -> None:
    X = data()
    model = FusionRegressor(**QUICK, experts=False).fit(X, steps(X))
    assert model.model_.experts is None and model.model_.shares.tolist() == [1.0, 0.0]
    twin = FusionRegressor(**QUICK).fit(X, steps(X))
    module, feed = twin.prepared(X)
    with torch.no_grad():
        own = module(*feed.batch(np.arange(240)), experts=False).outputs.mean(1)[:, 0].numpy()
    assert np.allclose(own * twin.y_scale_ + twin.y_mean_, model.predict(X), atol=1e-9)


def test_a_network_that_is_better_is_heard_and_one_that_is_worse_is_not() -> None:
    X = data(300)
    y = (X["a"][:, 0] > 0).astype(np.int64)
    begun = FusionClassifier(**QUICK)._begin(X, y)
    begun.run()
    held, ready = begun.ready.held, begun.ready
    truth = 6 * (np.eye(2)[y] - 0.5)
    noise = 5 * np.random.default_rng(0).normal(size=truth.shape)
    for own, other in ((0, 1), (1, 0)):
        said = [truth, noise]
        ready.consulted.unseen[:] = said[other]
        begun._said = lambda rows, s=said[own]: s[rows]  # type: ignore[method-assign]
        begun.settle()
        shares = begun.model.shares.tolist()
        assert shares[own] > 0.6 and shares[other] < 0.2, shares
    assert len(held)


def test_what_the_network_said_of_held_rows_is_what_it_says_of_rows_unseen() -> None:
    """Neither the network nor its line may have seen them."""
    X, rng = data(200), np.random.default_rng(1)
    begun = FusionRegressor(**QUICK)._begin(X, rng.normal(size=200))
    begun.run()
    said = begun._said(begun.ready.held)[:, 0]
    assert np.corrcoef(said, begun.ready.target[begun.ready.held, 0].numpy())[0, 1] < 0.4
    added = begun.model(*begun.ready.feed.batch(begun.ready.held), straight=False).outputs.mean(1)[:, 0]
    assert np.allclose(said, (added + begun.ready.start[begun.ready.held, 0]).detach().numpy(), atol=1e-6)


@pytest.mark.parametrize("task", ["numbers", "classes"])
@pytest.mark.parametrize("experts", [True, False])
def test_the_validation_score_is_that_of_rows_unseen(task: str, experts: bool) -> None:
    """Labels of chance: who has learned from the rows scores better than chance."""
    X, rng = data(240), np.random.default_rng(2)
    if task == "classes":
        model: Any = FusionClassifier(**QUICK, experts=experts).fit(X, rng.integers(0, 2, 240))
        assert model.validation_score_ < 0.7
    else:
        model = FusionRegressor(**QUICK, experts=experts).fit(X, rng.normal(size=240))
        assert model.validation_score_ < 0.15


def test_rows_that_the_user_keeps_for_judging_teach_nobody() -> None:
    X = data(200)
    y = classes(X)
    split = np.where(np.arange(200) < 150, "train", "valid")
    model = FusionClassifier(**QUICK).fit(Samples(X, y=y, split=split))
    assert model.validation_score_ == pytest.approx(model.score({n: v[150:] for n, v in X.items()}, y[150:]))
    other = y.copy()
    other[150:] = y[150:][::-1]
    again = FusionClassifier(**QUICK | {"max_epochs": 1}).fit(Samples(X, y=other, split=split)).model_.experts
    first = FusionClassifier(**QUICK | {"max_epochs": 1}).fit(Samples(X, y=y, split=split)).model_.experts
    assert all(torch.equal(v, again.state_dict()[n]) for n, v in first.state_dict().items())


# --- time -----------------------------------------------------------------------------------------


def test_a_small_budget_leaves_experts_and_epochs_away_and_still_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    X = data()
    model = FusionRegressor(**QUICK | {"max_epochs": 50, "patience": 50}, budget_s=1e-6).fit(X, steps(X))
    assert model.model_.experts is None and len(model.history_) == 1
    assert np.isfinite(model.predict(X)).all()
    now = [0.0]
    monkeypatch.setattr(time, "perf_counter", lambda: now[0])
    found = consulted(X, classes(X), over=lambda: True)
    assert set(found.shares) == {"kernel"}


@pytest.mark.parametrize("wrong", [{"budget_s": 0}, {"budget_s": "soon"}, {"experts": "all"}])
def test_what_is_no_budget_and_no_choice_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=f"{next(iter(wrong))} is .*, however: {next(iter(wrong))}="):
        FusionRegressor(**QUICK, **wrong).fit(data(20), np.arange(20.0))
