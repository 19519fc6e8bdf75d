"""Intervals: the formula as a loop, an independent library, and how often they hold the truth."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats as scipy_stats

from intermodal.errors import InputError
from intermodal.learn.stats import Interval, ScoredRows, bootstrap_interval, corrected_error, corrected_interval


def by_hand(values: list[float], n_train: int, n_test: int, level: float) -> tuple[float, float]:
    mean = 0.0
    for v in values:
        mean += v / len(values)
    spread = 0.0
    for v in values:
        spread += (v - mean) ** 2 / (len(values) - 1)
    error = math.sqrt(spread * (1 / len(values) + n_test / n_train))
    t = scipy_stats.t(df=len(values) - 1).ppf(1 - (1 - level) / 2)
    return mean - t * error, mean + t * error


@pytest.mark.parametrize("level", [0.9, 0.95])
@pytest.mark.parametrize("n_folds", [2, 5, 13])
def test_the_corrected_interval_is_the_formula(n_folds, level):
    values = np.random.default_rng(n_folds).normal(0.03, 0.07, n_folds).tolist()
    found = corrected_interval(values, 83, 17, level=level)
    assert (found.low, found.high) == pytest.approx(by_hand(values, 83, 17, level), abs=1e-12)
    assert found.level == level


def test_without_overlap_it_is_the_plain_t_interval():
    values = [0.11, 0.02, 0.07, -0.01, 0.05, 0.03, 0.02]
    found = corrected_interval(values, 100, 0)
    plain = scipy_stats.t.interval(0.95, 6, loc=np.mean(values), scale=scipy_stats.sem(values))
    assert (found.low, found.high) == pytest.approx(plain, abs=1e-12)


def coverage(n_test: int, n_runs: int = 2000) -> float:
    """How often the interval holds the true mean of 10 fold scores that share training rows (correlation 0.2)."""
    rng, true, hits = np.random.default_rng(3), 0.02, 0
    for _ in range(n_runs):
        scores = true + math.sqrt(0.2) * rng.normal() + math.sqrt(0.8) * rng.normal(size=10)
        found = corrected_interval(scores, 80, n_test)
        hits += found.low <= true <= found.high
    return hits / n_runs


def test_the_corrected_interval_covers_as_often_as_it_says_and_the_uncorrected_one_does_not():
    assert coverage(n_test=20) == pytest.approx(0.95, abs=0.015)
    assert coverage(n_test=0) < 0.85


def test_one_fold_tells_nothing_of_the_spread():
    assert corrected_interval([0.3], 7, 3) == Interval(0.3, -math.inf, math.inf)
    assert not corrected_interval([0.3], 7, 3).excludes_zero


def test_folds_that_agree_give_no_width_in_spite_of_rounding():
    values = [0.1 + 0.2 - 0.3 + 0.7, 0.7, 0.7]
    assert corrected_error(values, 7, 3) == 0.0
    assert corrected_interval([0.0, 0.0, 0.0], 7, 3) == Interval(0.0, 0.0, 0.0)


@pytest.mark.parametrize("values", [[], [0.1, math.nan], [math.inf, 0.0]])
def test_values_must_be_finite(values):
    with pytest.raises(InputError, match="an interval needs finite values, however: values="):
        corrected_interval(values, 7, 3)


def test_sizes_and_levels_are_checked():
    with pytest.raises(InputError, match=r"n_train must be positive .* however: n_train=0, n_test=3"):
        corrected_interval([0.1, 0.2], 0, 3)
    with pytest.raises(InputError, match=r"level must lie between 0 and 1, however: level=95"):
        corrected_interval([0.1, 0.2], 7, 3, level=95)
    with pytest.raises(InputError, match=r"n_rows=\[0\]"):
        bootstrap_interval(ScoredRows(np.mean, 0))


def test_the_bootstrap_covers_a_proportion_about_as_often_as_it_says():
    rng, hits = np.random.default_rng(11), 0
    for run in range(200):
        right = (rng.random(97) < 0.7).astype(float)
        found = bootstrap_interval(ScoredRows(lambda i, right=right: right[i].mean(), 97), n_draws=200, seed=run)
        hits += found.low <= 0.7 <= found.high
    assert 0.88 <= hits / 200 <= 0.99


def test_the_bootstrap_has_the_width_of_the_normal_interval():
    values = np.random.default_rng(5).normal(size=509)
    found = bootstrap_interval(ScoredRows(lambda i: values[i].mean(), 509), n_draws=4000)
    assert (found.high - found.low) / 2 == pytest.approx(1.96 * values.std() / math.sqrt(509), rel=0.06)


def test_rows_of_a_group_are_drawn_together():
    group = np.repeat(np.arange(13), 11)
    values = np.random.default_rng(2).normal(size=13)[group]

    def width(groups):
        found = bootstrap_interval(ScoredRows(lambda i: values[i].mean(), 143, groups))
        return found.high - found.low

    assert width(group) > 2.5 * width(None)  # 13 independent values, not 143: sqrt(11) = 3.3 times as wide


def test_the_same_seed_gives_the_same_interval_and_several_parts_are_averaged():
    a, b = np.arange(7.0), np.arange(11.0) + 5
    parts = [ScoredRows(lambda i: a[i].mean(), 7), ScoredRows(lambda i: b[i].mean(), 11)]
    found = bootstrap_interval(parts, seed=4)
    assert found == bootstrap_interval(parts, seed=4) != bootstrap_interval(parts, seed=5)
    assert found.mean == (3.0 + 10.0) / 2


def test_an_undefined_statistic_gives_an_infinite_interval():
    found = bootstrap_interval(ScoredRows(lambda i: math.nan, 7))
    assert math.isinf(found.low) and math.isinf(found.high)


def test_a_statistic_undefined_for_few_draws_is_taken_from_the_others():
    found = bootstrap_interval(ScoredRows(lambda i: math.nan if (i == 0).all() else float(np.mean(i)), 3))
    assert math.isfinite(found.low) and math.isfinite(found.high)
