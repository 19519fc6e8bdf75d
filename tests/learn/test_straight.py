"""The straight line is scikit-learn's ridge regression, and its answers to training rows are honest."""

import numpy as np
import pytest
from scipy.special import log_softmax
from sklearn.linear_model import Ridge

from intermodal.data.samples import Samples
from intermodal.learn.splitting import folds
from intermodal.learn.straight import PENALTIES, SHARPNESS, Straight, fit_straight, flat

N = 41


def mixed(n: int = N, width: int = 3, seed: int = 0) -> Samples:
    rng = np.random.default_rng(seed)
    video = [None if i == 3 else rng.normal(size=(1 + i % 4, 2)) for i in range(n)]
    return Samples({"text": rng.normal(size=(n, width)), "video": video})


def targets(samples: Samples, seed: int = 1) -> np.ndarray:
    rng = np.random.default_rng(seed)
    columns = flat(samples)
    return columns @ rng.normal(size=(columns.shape[1], 2)) + rng.normal(size=(len(samples), 2)) + 5.0


def fit(samples: Samples, target: np.ndarray, **options: object) -> Straight:
    given = {"weight": np.ones(len(samples)), "labels": None, "groups": None, "seed": 0} | options
    weight = given.pop("weight")
    return fit_straight(samples, target, weight, **given)  # type: ignore[arg-type]


def penalty_of(line: Straight, samples: Samples, target: np.ndarray, weight: np.ndarray) -> float:
    """The one penalty under which scikit-learn finds the same line."""
    found = []
    for penalty in PENALTIES:
        ridge = Ridge(alpha=penalty).fit(flat(samples), target, sample_weight=weight)
        if np.allclose(ridge.coef_.T, line.coef, atol=1e-9) and np.allclose(ridge.intercept_, line.intercept):
            found.append(penalty)
    assert len(found) == 1
    return found[0]


def test_flat_is_a_loop_over_samples() -> None:
    rng = np.random.default_rng(0)
    video = [rng.normal(size=(t, 2)) for t in (1, 4, 2)]
    video[1][2] = np.nan  # a token that is missing
    samples = Samples({"text": [[1.0], None, [3.0]], "video": [video[0], video[1], None]})
    rows = flat(samples)
    for i in range(3):
        text = [0.0] if i == 1 else [float(i + 1)]
        mean = np.zeros(2) if i == 2 else np.nanmean(video[i], axis=0)
        assert rows[i] == pytest.approx([*text, *mean], abs=1e-6)


@pytest.mark.parametrize("width", [3, 97])  # fewer and more columns than rows
@pytest.mark.parametrize("weighted", [False, True])
def test_the_line_is_the_ridge_regression_of_scikit_learn(width: int, weighted: bool) -> None:
    samples = mixed(width=width)
    target = targets(samples)
    weight = np.random.default_rng(2).uniform(0.1, 3.0, N) if weighted else np.ones(N)
    line = fit(samples, target, weight=weight)
    penalty_of(line, samples, target, weight)


def test_the_penalty_is_the_one_that_errs_least_on_the_folds() -> None:
    samples = mixed(width=31)
    target = targets(samples) + np.random.default_rng(3).normal(scale=4.0, size=(N, 2))
    weight = np.random.default_rng(2).uniform(0.1, 3.0, N)
    columns, errors, unseen = flat(samples), [], []
    for penalty in PENALTIES:
        said = np.zeros_like(target)
        for fold in folds(target, n_splits=5, seed=7, task="regression"):
            ridge = Ridge(alpha=penalty).fit(columns[fold.train], target[fold.train], weight[fold.train])
            said[fold.test] = ridge.predict(columns[fold.test])
        unseen.append(said)
        errors.append((weight[:, None] * (target - said) ** 2).sum())
    line = fit(samples, target, weight=weight, seed=7)
    best = int(np.argmin(errors))
    assert 0 < best < len(PENALTIES) - 1, "neither end, or the choice shows nothing"
    assert penalty_of(line, samples, target, weight) == PENALTIES[best]
    assert np.allclose(line.unseen, unseen[best], atol=1e-9)


@pytest.mark.parametrize("width", [3, 97])
@pytest.mark.parametrize("row", [0, 17, 40])
def test_an_answer_to_a_row_is_given_without_it(row: int, width: int) -> None:
    samples = mixed(width=width)
    target = targets(samples)
    moved = target.copy()
    moved[row] += 0.5
    before, after = fit(samples, target), fit(samples, moved)
    assert np.allclose(before.unseen[row], after.unseen[row], atol=1e-12)
    together = next(f.test for f in folds(target, task="regression") if row in f.test)
    moves = np.abs(before.unseen - after.unseen).max(1) > 1e-9
    assert np.flatnonzero(~moves).tolist() == together.tolist()


def test_no_row_of_a_group_is_answered_by_a_line_that_saw_the_group() -> None:
    samples, groups = mixed(), np.arange(N) % 8
    target = targets(samples)
    moved = np.where((groups == 3)[:, None], target + 0.5, target)
    before, after = fit(samples, target, groups=groups), fit(samples, moved, groups=groups)
    same = np.isclose(before.unseen, after.unseen, atol=1e-12).all(1)
    assert same[groups == 3].all()
    assert not same.all()


def test_without_groups_the_other_rows_of_a_group_are_seen() -> None:
    samples, groups = mixed(), np.arange(N) % 8
    target = targets(samples)
    moved = np.where((groups == 3)[:, None], target + 0.5, target)
    same = np.isclose(fit(samples, target).unseen, fit(samples, moved).unseen, atol=1e-12).all(1)
    assert not same[groups == 3].all()


def test_a_row_of_weight_zero_is_as_if_it_were_not_there() -> None:
    samples = mixed()
    target = targets(samples)
    weight = np.ones(N)
    weight[[2, 3, 31]] = 0.0
    rest = np.flatnonzero(weight)
    line = fit(samples, np.where(weight[:, None] > 0, target, 1e6), weight=weight)
    without = fit(samples[rest], target[rest])
    assert np.allclose(line.coef, without.coef, atol=1e-9)
    assert np.allclose(line.unseen[rest], without.unseen, atol=1e-9)
    assert np.allclose(line.unseen[2], flat(samples)[2] @ line.coef + line.intercept, atol=1e-9)


def test_weight_on_a_single_group_ends_no_fit() -> None:
    groups = np.arange(N) % 2
    line = fit(mixed(), targets(mixed()), weight=(groups == 1).astype(float), groups=groups)
    assert not line.coef.any() and not line.unseen.any()


def test_the_classes_are_scores_under_the_factor_that_loses_least() -> None:
    samples = mixed(width=2)
    labels = (flat(samples)[:, 0] > 0).astype(int) + (flat(samples)[:, 1] > 1)
    weight = np.random.default_rng(2).uniform(0.1, 3.0, N)
    line = fit(samples, labels, labels=labels, weight=weight)
    assert line.coef.shape == (4, 3)
    indicators = np.eye(3)[labels]
    factors = []
    for penalty in PENALTIES:
        ridge = Ridge(alpha=penalty).fit(flat(samples), indicators, sample_weight=weight)
        factor = float((line.coef * ridge.coef_.T).sum() / (ridge.coef_**2).sum())
        if np.allclose(line.coef, factor * ridge.coef_.T, atol=1e-9):
            assert np.allclose(line.intercept, factor * ridge.intercept_, atol=1e-9)
            factors.append(factor)
    assert len(factors) == 1 and np.isclose(SHARPNESS, factors[0]).any()

    def loss(scores: np.ndarray) -> float:
        return float(-(weight * log_softmax(scores, axis=1)[np.arange(N), labels]).sum())

    raw = line.unseen / factors[0]
    assert loss(line.unseen) == pytest.approx(min(loss(s * raw) for s in SHARPNESS))
    assert loss(line.unseen) < loss(raw)


@pytest.mark.parametrize(
    ("n", "labels", "groups"),
    [(9, None, None), (9, np.arange(9) % 2, None), (20, None, np.zeros(20)), (20, np.arange(20) == 3, None)],
    ids=["few", "few of classes", "one group", "a class of one row"],
)
def test_rows_that_cannot_be_folded_give_zeros(n: int, labels: np.ndarray | None, groups: np.ndarray | None) -> None:
    samples = mixed(n)
    labels = None if labels is None else labels.astype(int)
    line = fit(samples, targets(samples), labels=labels, groups=groups)
    assert line.coef.shape == (5, 2) and line.intercept.shape == (2,) and line.unseen.shape == (n, 2)
    assert not line.coef.any() and not line.intercept.any() and not line.unseen.any()


def test_ten_rows_are_enough() -> None:
    assert fit(mixed(10), targets(mixed(10))).coef.any()
