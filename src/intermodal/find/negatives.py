"""Hard negatives: the wrong answers that a model finds most alike.

Shapes: Q rows that ask, N rows that are asked.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np


def hardest(similarity: np.ndarray, relevant: np.ndarray, k: int) -> np.ndarray:
    """Return the k most similar wrong answers of each row, best first, (Q, k); -1 where there are fewer.

    Args:
        similarity: (Q, N).
        relevant: (Q, N) bool, which answers are right.
        k: how many.

    Example:
        >>> hardest(np.array([[0.9, 0.8, 0.1]]), np.array([[True, False, False]]), 3)
        array([[ 1,  2, -1]])
    """
    wrong = np.where(relevant, -np.inf, similarity)
    k = min(k, wrong.shape[1])
    some = np.argpartition(-wrong, k - 1, axis=1)[:, :k]
    order = np.take_along_axis(wrong, some, 1).argsort(axis=1)[:, ::-1]
    found = np.take_along_axis(some, order, 1)
    return np.where(np.isfinite(np.take_along_axis(wrong, found, 1)), found, -1)


def alike(similarity: np.ndarray, relevant: np.ndarray, size: int, rng: np.random.Generator) -> Iterator[np.ndarray]:
    """Yield all rows in groups of `size` that are hard to tell apart, so that a batch of groups holds hard negatives.

    Each group is a row drawn by chance and the most similar wrong ones that are left.

    Args:
        similarity: (N, N), of pair i to pair j.
        relevant: (N, N) bool, pairs that answer each other's query.
        size: of a group; the last may be smaller.
        rng: the luck.

    Example:
        >>> near = -np.abs(np.subtract.outer(np.array([0, 9, 1, 8]), np.array([0, 9, 1, 8]))).astype(float)
        >>> groups = alike(near, np.eye(4, dtype=bool), 2, np.random.default_rng(0))
        >>> sorted(sorted(group.tolist()) for group in groups)
        [[0, 2], [1, 3]]
    """
    wrong = np.where(relevant, -np.inf, similarity)
    free = np.ones(len(wrong), dtype=bool)
    for first in rng.permutation(len(wrong)):
        if not free[first]:
            continue
        free[first] = False
        left = np.flatnonzero(free & np.isfinite(wrong[first]))
        near = left[np.argsort(-wrong[first, left], kind="stable")[: size - 1]]
        free[near] = False
        yield np.concatenate([[first], near])
