"""From scores to lists: seen clips left out, the best first.

Shapes: U users, N clips.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from intermodal.learn.parameters import check_count


class Recommended(NamedTuple):
    """The clips for each user, best first.

    Attributes:
        rows: (U, k) rows of the clips; a list of U arrays where some users have fewer than others.
        scores: beside them.
    """

    rows: np.ndarray | list[np.ndarray]
    scores: np.ndarray | list[np.ndarray]


def leave_out(scores: np.ndarray, rows: Sequence[np.ndarray]) -> np.ndarray:
    """Return the scores with minus infinity for each user's `rows`.

    Example:
        >>> leave_out(np.array([[3.0, 1.0], [1.0, 2.0]]), [np.array([0]), np.arange(0)]).tolist()
        [[-inf, 1.0], [1.0, 2.0]]
    """
    scores = scores.copy()
    for user, out in enumerate(rows):
        scores[user, out] = -np.inf
    return scores


def top(scores: np.ndarray, k: int) -> Recommended:
    """Return the k best clips of each user; of equals the one that stands first.

    Args:
        scores: (U, N), minus infinity for a clip that is not to be recommended.
        k: how many, at most.

    Raises:
        InputError: k is no number of clips.

    Example:
        >>> top(np.array([[0.1, 0.9, 0.9], [0.3, -np.inf, -np.inf]]), 2).rows
        [array([1, 2]), array([0])]
    """
    k = check_count("k", k)
    rows = [_best(of, k) for of in scores]
    values = [of[at] for of, at in zip(scores, rows, strict=True)]
    return Recommended(_even(rows), _even(values))


def _best(scores: np.ndarray, k: int) -> np.ndarray:
    left = np.flatnonzero(scores > -np.inf)
    if len(left) > 4 * k:  # all that reach the k-th value, then in order
        least = np.partition(scores[left], len(left) - k)[len(left) - k]
        left = left[scores[left] >= least]
    return left[np.argsort(-scores[left], kind="stable")][:k]


def _even(lists: list[np.ndarray]) -> Any:
    return np.stack(lists) if len({len(of) for of in lists}) == 1 else lists
