"""Order and spread: how alike two rankings are, and how sure a mean is.

Shapes: N samples, M modalities, O outputs.
"""

from __future__ import annotations

import numpy as np

SAME = 1e-12
"""Numbers closer than this, relative to the largest beside them, are tied: they differ by rounding alone."""


def ranked(values: np.ndarray) -> np.ndarray:
    """Return ranks from 0 up along the last axis; those that tie share the mean of their ranks.

    Args:
        values: (..., M); what is not finite stands nowhere and gets NaN.

    Example:
        >>> ranked(np.array([5.0, 1.0, 5.0]))
        array([1.5, 0. , 1.5])
    """
    known = np.isfinite(values)
    filled = np.where(known, values, 0.0)
    close = SAME * np.abs(filled).max(-1, keepdims=True, initial=0.0)[..., None]
    both = known[..., None, :] & known[..., :, None]
    step = filled[..., None, :] - filled[..., :, None]  # one row for each value: the others, seen from there
    below, above = ((side & both).sum(-1) for side in (step < -close, step > close))
    return np.where(known, (below + known.sum(-1, keepdims=True) - 1 - above) / 2, np.nan)


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
    first, second = (np.asarray(x, dtype=np.float64)[None] for x in (first, second))
    (found,) = sample_spearman(first, second, np.ones(first.shape, dtype=bool))
    return None if np.isnan(found) else float(found)


def sample_spearman(first: np.ndarray, second: np.ndarray, present: np.ndarray) -> np.ndarray:
    """Return the rank correlation over the modalities of each sample, NaN where one of the two ranks nothing.

    Args:
        first: (N, M) or (N, M, O); with several outputs the correlations of a sample are averaged over them.
        second: as `first`.
        present: (N, M) bool: who is not there is not ranked.

    Returns:
        (N,).

    Example:
        >>> a, b = np.array([[1.0, 2.0, 4.0]]), np.array([[5.0, 3.0, 9.0]])
        >>> sample_spearman(a, b, np.array([[True, False, True]])).tolist()
        [1.0]
    """
    outputs = [x if x.ndim == 3 else x[:, :, None] for x in (first, second)]
    there = np.broadcast_to(present[:, :, None], outputs[0].shape)
    broken = [(there & ~np.isfinite(x)).any(1) for x in outputs]
    ranks = [ranked(np.where(there, x, np.nan).transpose(0, 2, 1)) for x in outputs]  # (N, O, M)
    n = np.maximum(present.sum(1), 1)[:, None, None]
    a, b = (np.where(there.transpose(0, 2, 1), r - np.nansum(r, 2, keepdims=True) / n, 0.0) for r in ranks)
    size = np.sqrt((a * a).sum(2) * (b * b).sum(2))
    known = (size > 0) & ~broken[0] & ~broken[1]
    each = np.where(known, (a * b).sum(2) / np.where(size > 0, size, 1.0), 0.0)
    return np.where(known.any(1), each.sum(1) / np.maximum(known.sum(1), 1), np.nan)


def mean_and_error(values: np.ndarray) -> tuple[float, float | None]:
    """Return the mean and its standard error; the error of fewer than two values is unknown, None.

    Example:
        >>> mean_and_error(np.array([1.0, 3.0]))
        (2.0, 1.0)
    """
    error = float(values.std(ddof=1) / np.sqrt(len(values))) if len(values) > 1 else None
    return float(values.mean()), error
