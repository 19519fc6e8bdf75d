"""Intervals around scores and around differences of scores.

Cross-validation scores are not independent: any two training sets share most of their rows. A plain t interval over
the folds is therefore too narrow. The corrected resampled t interval (Nadeau & Bengio, "Inference for the
Generalization Error", Machine Learning 52, 2003) adds the overlap to the variance. Where there is one test set only,
its rows are drawn again instead (the bootstrap; Efron & Tibshirani, 1993, chapter 13).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats as _scipy_stats

from intermodal.errors import InputError


@dataclass(frozen=True)
class Interval:
    """A mean and the interval around it.

    `low` and `high` are infinite when nothing can be said about the spread.

    Example:
        >>> Interval(0.02, 0.01, 0.03).excludes_zero
        True
        >>> print(Interval(0.02, -0.01, 0.05))
        0.0200 [-0.0100, 0.0500]
    """

    mean: float
    low: float
    high: float
    level: float = 0.95

    @property
    def excludes_zero(self) -> bool:
        """True when all of the interval lies on one side of zero: only then does a difference count."""
        return self.low > 0 or self.high < 0

    def __str__(self) -> str:
        return f"{self.mean:.4f} [{self.low:.4f}, {self.high:.4f}]"


def corrected_interval(values: Sequence[float], n_train: float, n_test: float, *, level: float = 0.95) -> Interval:
    """Put the corrected resampled t interval around the mean of J scores, or of J paired differences.

    The variance of the mean is `s^2 (1/J + n_test/n_train)`, with `s^2` the sample variance over the folds, and the
    quantile is Student's with `J - 1` degrees of freedom.

    Args:
        values: one number per fold.
        n_train: rows (or mean rows) a fold trains on.
        n_test: rows (or mean rows) a fold is scored on.
        level: how often such intervals hold the true mean.

    Returns:
        The interval; infinite for one fold, of no width when all folds agree to the last digit.

    Raises:
        InputError: no value, a value that is not finite, or a size or level out of range.

    Example:
        >>> print(corrected_interval([0.01, 0.03, 0.02, 0.04, 0.00], n_train=80, n_test=20))
        0.0200 [-0.0094, 0.0494]

    Source: Nadeau & Bengio 2003, section 4.1.
    Relation: with `n_test = 0` this is the plain t interval, which is too narrow for cross-validation. For one split
    use `bootstrap_interval`.
    """
    d = np.asarray(values, dtype=float).ravel()
    if d.size == 0 or not np.isfinite(d).all():
        raise InputError(f"an interval needs finite values, however: values={[float(v) for v in d]}")
    if n_train <= 0 or n_test < 0:
        raise InputError(f"n_train must be positive and n_test not negative, however: {n_train=}, {n_test=}")
    _check_level(level)
    mean = float(d.mean())
    if d.size == 1:
        return Interval(mean, -math.inf, math.inf, level)
    width = _scipy_stats.t.ppf(0.5 + level / 2, d.size - 1) * corrected_error(d, n_train, n_test)
    return Interval(mean, mean - float(width), mean + float(width), level)


def corrected_error(values: Sequence[float] | np.ndarray, n_train: float, n_test: float) -> float:
    """Return the corrected standard error of the mean over folds (0 when all folds agree).

    Example:
        >>> round(corrected_error([0.01, 0.03, 0.02, 0.04, 0.00], 80, 20), 4)
        0.0106
    """
    d = np.asarray(values, dtype=float).ravel()
    spread = 0.0 if d.size < 2 or np.ptp(d) <= 1e-12 * max(1.0, float(np.abs(d).max())) else float(d.var(ddof=1))
    return math.sqrt(spread * (1 / d.size + n_test / n_train))


@dataclass(frozen=True)
class ScoredRows:
    """The rows of one test set, as the bootstrap sees them.

    Args:
        statistic: from row numbers (with repeats) to a score or a difference; NaN where it is not defined.
        n_rows: how many rows there are.
        groups: one label per row, or None; rows of a group are drawn together.
    """

    statistic: Callable[[np.ndarray], float]
    n_rows: int
    groups: np.ndarray | None = None


def bootstrap_interval(
    parts: ScoredRows | Sequence[ScoredRows], *, level: float = 0.95, n_draws: int = 1000, seed: int = 0
) -> Interval:
    """Put a percentile interval around a statistic of test rows by drawing the rows again.

    With several test sets each is drawn on its own and the statistic is their mean. It tells how far the result
    depends on which rows were in the test; that another training set would give another model is outside of it.
    With fewer than about ten groups it is too narrow.

    Args:
        parts: the test rows and their statistic.
        level: how often such intervals hold the true value.
        n_draws: how often rows are drawn.
        seed: where the draws start; the same seed gives the same interval.

    Returns:
        The interval; infinite when fewer than half of the draws have a defined statistic.

    Raises:
        InputError: there is no row, or `level` is out of range.

    Example:
        >>> right = np.array([1, 1, 0, 1, 1, 0, 1, 1, 1, 0, 1, 1, 1])
        >>> print(bootstrap_interval(ScoredRows(lambda i: right[i].mean(), 13), seed=7))
        0.7692 [0.5385, 1.0000]

    Relation: for several folds of a cross-validation `corrected_interval` also counts the change of training rows.
    """
    parts = [parts] if isinstance(parts, ScoredRows) else list(parts)
    if not parts or any(p.n_rows < 1 for p in parts):
        raise InputError(f"the bootstrap draws from test rows, however: n_rows={[p.n_rows for p in parts]}")
    _check_level(level)
    mean = float(np.mean([p.statistic(np.arange(p.n_rows)) for p in parts]))
    rng = np.random.default_rng(seed)
    members = [_members(p) for p in parts]
    draws = np.array(
        [
            np.mean([p.statistic(_draw(rng, p.n_rows, m)) for p, m in zip(parts, members, strict=True)])
            for _ in range(n_draws)
        ]
    )
    draws = draws[np.isfinite(draws)]
    if 2 * draws.size < n_draws:
        return Interval(mean, -math.inf, math.inf, level)
    low, high = np.quantile(draws, [0.5 - level / 2, 0.5 + level / 2])
    return Interval(mean, float(low), float(high), level)


def _members(part: ScoredRows) -> list[np.ndarray] | None:
    """The rows of each group, or None where single rows are drawn."""
    if part.groups is None:
        return None
    _, code = np.unique(part.groups, return_inverse=True)
    return [np.flatnonzero(code == g) for g in range(code.max() + 1)]


def _draw(rng: np.random.Generator, n_rows: int, members: list[np.ndarray] | None) -> np.ndarray:
    if members is None:
        return rng.integers(n_rows, size=n_rows)
    return np.concatenate([members[i] for i in rng.integers(len(members), size=len(members))])


def _check_level(level: float) -> None:
    if not 0 < level < 1:
        raise InputError(f"level must lie between 0 and 1, however: {level=}")
