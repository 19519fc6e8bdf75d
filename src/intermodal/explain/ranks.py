"""Order, size and spread: how alike two rankings are, how far values move a prediction, and how sure a mean is.

Shapes: N samples, M modalities, O outputs.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from intermodal.errors import InputError

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
    return float(values.mean()), float(standard_error(values)) if len(values) > 1 else None


def standard_error(values: np.ndarray) -> np.ndarray:
    """Return the standard error of the mean over the first axis, which has at least two places.

    Example:
        >>> float(standard_error(np.array([1.0, 3.0])))
        1.0
    """
    return np.asarray(values.std(0, ddof=1) / np.sqrt(len(values)))


def resamples(n: int, draws: int, seed: int, groups: Any = None) -> list[np.ndarray]:
    """Draw the rows of n samples anew, with repeats, for a bootstrap.

    Args:
        n: samples.
        draws: how often.
        seed: of the draws.
        groups: (N,) samples of a group are drawn together.

    Raises:
        InputError: the groups are not one a sample.

    Source: Efron 1979.

    Example:
        >>> [len(rows) for rows in resamples(5, 2, seed=0)]
        [5, 5]
    """
    rng = np.random.default_rng(seed)
    if groups is None:
        return [rng.integers(0, n, size=n) for _ in range(draws)]
    groups = np.asarray(groups)
    if groups.shape != (n,):
        raise InputError(f"groups name one group for each sample, however: {groups.shape=}, {n} samples")
    code = np.unique(groups, return_inverse=True)[1]
    members = [np.flatnonzero(code == g) for g in range(code.max() + 1)]
    return [
        np.concatenate([members[g] for g in rng.integers(0, len(members), size=len(members))]) for _ in range(draws)
    ]


def moved_by(values: np.ndarray) -> np.ndarray:
    """Return how far each number moved a prediction: its absolute value.

    Of several outputs the absolute values are summed and halved, so that probabilities read as the probability that
    was moved.

    Shape:
        values (N, M) or (N, M, O) -> (N, M).

    Example:
        >>> moved_by(np.array([[[-0.25, 0.25]]])), moved_by(np.array([[-2.0]]))
        (array([[0.25]]), array([[2.]]))
    """
    size = np.abs(values)
    return np.asarray(size.sum(2) / 2 if size.ndim == 3 else size)
