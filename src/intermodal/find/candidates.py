"""Candidates of a search: the best few of many, and what becomes of the others when these few get new scores.

Shapes: A rows that ask, N rows that are asked, K candidates of each.
"""

from __future__ import annotations

import numpy as np

GAP = 1e-3
"""How far below the last candidate the first of the others comes."""


def fuse(similarity: np.ndarray, opinions: np.ndarray, weight: float) -> np.ndarray:
    """Return the similarity and a share of the reranker's opinion; minus infinity where there is no candidate.

    Example:
        >>> fuse(np.array([0.5, 0.5]), np.array([2.0, -np.inf]), 0.1).tolist()
        [0.699999988079071, -inf]
    """
    there = np.isfinite(opinions)
    fused = similarity + np.float32(weight) * np.where(there, opinions, 0)
    return np.asarray(np.where(there, fused, -np.inf), dtype=np.float32)


def best_of(scores: np.ndarray, k: int) -> np.ndarray:
    """Return the rows of the k best scores of each line, best first; of equal ones the first.

    Example:
        >>> best_of(np.array([[0.1, 0.9, 0.5]]), 2)
        array([[1, 2]])
    """
    k = min(k, scores.shape[1])
    if k * 4 < scores.shape[1]:
        some = np.sort(np.argpartition(-scores, k - 1, axis=1)[:, :k], axis=1)
    else:
        some = np.broadcast_to(np.arange(scores.shape[1]), scores.shape)
    order = np.argsort(-np.take_along_axis(scores, some, 1), axis=1, kind="stable")[:, :k]
    return np.take_along_axis(some, order, 1)


def move_down(scores: np.ndarray, rows: np.ndarray, fused: np.ndarray) -> np.ndarray:
    """Return all scores of each line: the fused ones of the candidates, and those of all others moved down below them.

    Shape:
        scores (A, N), rows (A, K), fused (A, K) -> (A, N).

    Example:
        >>> moved = move_down(np.array([[0.9, 0.8, 0.5]]), np.array([[0, 1]]), np.array([[0.2, 0.4]]))
        >>> moved.argsort().tolist()
        [[2, 0, 1]]
    """
    others = scores.copy()
    np.put_along_axis(others, rows, -np.inf, 1)
    lowest, highest = fused.min(1, keepdims=True), others.max(1, keepdims=True)
    above = np.where(np.isfinite(highest), np.maximum(0, highest - lowest + GAP), 0)
    moved = others - above
    np.put_along_axis(moved, rows, fused, 1)
    return moved
