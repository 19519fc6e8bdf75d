"""What a matrix that should hold attention weights looks like when it does not.

Shapes: R matrices (layers, samples and heads), Q queries, K keys.
"""

from __future__ import annotations

import numpy as np

FLAT = 4
"""Keys below which a second softmax cannot be told from soft attention."""


def cause(w: np.ndarray, tolerance: float) -> str:
    """Say which known mistake this looks like: w (R, Q, K), finite, whose rows do not sum to 1.

    Example:
        >>> cause(np.array([[[0.9, 0.4], [0.1, 0.6]]]), 1e-3)
        'the columns sum to 1, so the axes are swapped: rows ask, columns are looked at; hand over the transposed'
    """
    rows, columns = w.sum(-1), w.sum(-2)
    asked = rows[np.abs(rows) > tolerance]
    if w.min() < 0:
        if _ones(np.exp(w).sum(-1), tolerance):
            return "they are the logarithms of weights; hand over their exponentials"
        return "weights are never negative: these look like scores, from before the softmax"
    if _ones(columns, tolerance) and (columns > 0.5).any():
        return (
            "the columns sum to 1, so the axes are swapped: rows ask, columns are looked at; hand over the transposed"
        )
    if _ones(asked / 100, tolerance):
        return "they are percentages; divide them by 100"
    if _ones(w.sum((-1, -2)), tolerance):
        return "each matrix as a whole sums to 1: the softmax ran over queries and keys together, not over the keys"
    if (w == 1).all():
        return "every weight is 1: the softmax ran over an axis of length 1, not over the keys"
    n = np.round(asked[0]) if asked.size else 0
    if n >= 2 and _ones(asked / n, tolerance):
        return f"every row sums to {n:.0f}: that many heads or layers were added up, not averaged"
    if _dropped(w, asked):
        return "dropout was on: weights are zero at random and the others larger; call model.eval() before"
    if (w.max((-1, -2)) == 1).all() and (w.min((-1, -2)) == 0).all():
        return "each matrix runs from 0 to 1: it was stretched for a picture; hand over the weights before that"
    if asked.size and (asked < 1).all():
        return "every row sums to less than 1: some of the keys were cut off, as special tokens often are; keep them"
    return "this is none of the known causes; weights come from a softmax over the keys"


def softened_twice(w: np.ndarray) -> bool:
    """Tell whether w (R, Q, K) looks like a softmax of weights: a second softmax over ones that were there.

    softmax(w) of weights w can be undone: its logarithm, shifted so that a row sums to 1, is w again, which is never
    negative. Scores of a first softmax, treated so, go below zero in nearly every row.

    Example:
        >>> w = np.eye(5) * 0.8 + 0.04
        >>> softened_twice(w[None]), softened_twice((np.exp(w) / np.exp(w).sum(-1, keepdims=True))[None])
        (False, True)
    """
    k = w.shape[-1]
    rows = w[(w > 0).all(-1)]
    if k < FLAT or len(rows) < FLAT or len(rows) < (w.sum(-1) > 0).sum():
        return False
    logs = np.log(rows)
    before = logs - (logs.sum(-1, keepdims=True) - 1) / k
    structured = before.max(-1) > 2 / k  # an even row stays even under any number of softmaxes
    return bool(before.min() > -1e-3 and structured.mean() > 0.5)


def _ones(sums: np.ndarray, tolerance: float) -> bool:
    """Every sum is 1, or 0 where nothing is."""
    return sums.size > 0 and bool(((np.abs(sums - 1) <= tolerance) | (np.abs(sums) <= tolerance)).all())


def _dropped(w: np.ndarray, asked: np.ndarray) -> bool:
    """Zeros that differ from matrix to matrix or row to row, and sums on both sides of 1."""
    zero = (w == 0) & (w.sum(-1, keepdims=True) > 0)
    return bool(zero.any() and asked.min() < 1 < asked.max() and 0.5 < asked.mean() < 1.5)
