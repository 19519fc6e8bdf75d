"""Order and spread: how alike two rankings are, and how sure a mean is.

Shapes: N samples, M modalities, O outputs.
"""

from __future__ import annotations

import numpy as np

SAME = 1e-12
"""Numbers closer than this, relative to the largest beside them, are tied: they differ by rounding alone."""


def ranked(values: np.ndarray) -> np.ndarray:
    """Return ranks from 0 up; those that tie share the mean of their ranks.

    Example:
        >>> ranked(np.array([5.0, 1.0, 5.0]))
        array([1.5, 0. , 1.5])
    """
    close = SAME * np.abs(values).max(initial=0.0)
    below = (values[None] < values[:, None] - close).sum(1)
    above = (values[None] > values[:, None] + close).sum(1)
    return np.asarray((below + len(values) - 1 - above) / 2)


def spearman(first: np.ndarray, second: np.ndarray) -> float | None:
    """Return the rank correlation of two lists of numbers, None where one of them ranks nothing.

    Args:
        first: (M,).
        second: (M,).

    Source: Spearman 1904; ties take the mean rank.

    Example:
        >>> spearman(np.array([1.0, 2.0, 4.0]), np.array([3.0, 5.0, 4.0]))
        0.5
        >>> spearman(np.array([1.0, 2.0]), np.array([3.0, 3.0])) is None
        True
    """
    a, b = (ranked(np.asarray(x, dtype=np.float64)) for x in (first, second))
    a, b = a - a.mean(), b - b.mean()
    size = float(np.sqrt((a @ a) * (b @ b)))
    return float(a @ b) / size if size > 0 else None


def sample_spearman(first: np.ndarray, second: np.ndarray, present: np.ndarray) -> np.ndarray:
    """Return the rank correlation over the modalities of each sample, NaN where one of the two ranks nothing.

    Args:
        first: (N, M) or (N, M, O); with several outputs the correlations of a sample are averaged over them.
        second: as `first`.
        present: (N, M) bool: who is not there is not ranked.

    Returns:
        (N,).
    """
    first, second = (x if x.ndim == 3 else x[:, :, None] for x in (first, second))
    found = np.full((len(first), first.shape[2]), np.nan)
    for i, there in enumerate(present):
        for o in range(first.shape[2]):
            a, b = first[i, there, o], second[i, there, o]
            if there.sum() > 1 and np.isfinite(a).all() and np.isfinite(b).all():
                correlation = spearman(a, b)
                found[i, o] = np.nan if correlation is None else correlation
    known = ~np.isnan(found)
    total = np.where(known, found, 0.0).sum(1)
    return np.where(known.any(1), total / np.maximum(known.sum(1), 1), np.nan)


def mean_and_error(values: np.ndarray) -> tuple[float, float | None]:
    """Return the mean and its standard error; the error of fewer than two values is unknown, None.

    Example:
        >>> mean_and_error(np.array([1.0, 3.0]))
        (2.0, 1.0)
    """
    error = float(values.std(ddof=1) / np.sqrt(len(values))) if len(values) > 1 else None
    return float(values.mean()), error
