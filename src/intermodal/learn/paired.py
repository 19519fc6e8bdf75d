"""Intervals over trials: around one model's score, and around the difference of two models on the same folds."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from intermodal.learn.scoring import Score
from intermodal.learn.splitting import Fold
from intermodal.learn.stats import Interval, ScoredRows, bootstrap_interval, corrected_error, corrected_interval
from intermodal.learn.trials import Trial


def score_interval(
    trials: Sequence[Trial],
    folds: Sequence[Fold],
    score: Score,
    groups: np.ndarray | None = None,
    *,
    level: float = 0.95,
) -> Interval | None:
    """Put an interval around one model's mean score.

    Args:
        trials: one per fold.
        folds: where they were scored.
        score: what is scored.
        groups: one label per row of the data, or None.
        level: how often such intervals hold the true mean.

    Returns:
        The interval in the score's own direction; None when no fold has the score.
    """
    kept = [i for i, trial in enumerate(trials) if _has(trial, score)]
    if not kept:
        return None
    values = [trials[i].scores[score.name] for i in kept]
    parts = [
        ScoredRows(_one(trials[i], score), len(folds[i].test), None if groups is None else groups[folds[i].test])
        for i in kept
    ]
    found = _interval(values, parts, [folds[i] for i in kept], level)
    if math.isinf(found.low) and math.isinf(found.high):
        return found
    least, most = score.bounds  # a t interval knows nothing of them
    return Interval(found.mean, max(found.low, least), min(found.high, most), level)


def difference_interval(
    a: Sequence[Trial],
    b: Sequence[Trial],
    folds: Sequence[Fold],
    score: Score,
    groups: np.ndarray | None = None,
    *,
    level: float = 0.95,
) -> Interval | None:
    """Put an interval around how much better `a` is than `b` on the same folds; above 0 means that `a` is better.

    With two folds or more it is the corrected resampled t interval over the folds. With one (or when the folds agree to
    the last digit, so that they tell nothing of the spread) the test rows are drawn again, whole groups together.

    Args:
        a: trials of one model, one per fold.
        b: trials of the other.
        folds: the folds of both.
        score: what is scored; the sign is turned where less is better.
        groups: one label per row of the data, or None.
        level: how often such intervals hold the true difference.

    Returns:
        The interval over the folds where both have the score; None when there is none.
    """
    kept = [i for i in range(len(folds)) if _has(a[i], score) and _has(b[i], score)]
    if not kept:
        return None
    values = differences(a, b, score)
    parts = [
        ScoredRows(_two(a[i], b[i], score), len(folds[i].test), None if groups is None else groups[folds[i].test])
        for i in kept
    ]
    return _interval(values, parts, [folds[i] for i in kept], level)


def differences(a: Sequence[Trial], b: Sequence[Trial], score: Score) -> list[float]:
    """Return how much better `a` is, for each fold where both have the score."""
    both = [(s, t) for s, t in zip(a, b, strict=True) if _has(s, score) and _has(t, score)]
    return [score.sign * (s.scores[score.name] - t.scores[score.name]) for s, t in both]


def difference_error(a: Sequence[Trial], b: Sequence[Trial], folds: Sequence[Fold], score: Score) -> float:
    """Return the standard error of the mean difference, corrected for shared training rows."""
    values = differences(a, b, score)
    return corrected_error(values, *_sizes(folds)) if len(values) > 1 else 0.0


def _interval(values: list[float], parts: list[ScoredRows], folds: list[Fold], level: float) -> Interval:
    n_train, n_test = _sizes(folds)
    if len(values) > 1 and (corrected_error(values, n_train, n_test) > 0 or not any(values)):
        return corrected_interval(values, n_train, n_test, level=level)
    drawn = bootstrap_interval(parts, level=level)
    return Interval(float(np.mean(values)), drawn.low, drawn.high, level)


def _sizes(folds: Sequence[Fold]) -> tuple[float, float]:
    return float(np.mean([len(f.train) for f in folds])), float(np.mean([len(f.test) for f in folds]))


def _has(trial: Trial, score: Score) -> bool:
    return math.isfinite(trial.scores.get(score.name, math.nan))


def _one(trial: Trial, score: Score) -> Callable[[np.ndarray], float]:
    return lambda rows: math.nan if trial.predictions is None else score(trial.predictions[rows])


def _two(a: Trial, b: Trial, score: Score) -> Callable[[np.ndarray], float]:
    first, second = _one(a, score), _one(b, score)
    return lambda rows: score.sign * (first(rows) - second(rows))
