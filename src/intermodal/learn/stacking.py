"""How much each of several models counts in their joint answer, by what they said of rows that they had not seen.

Shapes: N rows, O outputs, E models.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import scipy.optimize

MOST = 5.0
"""The greatest weight of a model."""
SHARPNESS = (0.05, 300.0)
"""Least and greatest factor that turns scores into logits."""


def loss_of(said: np.ndarray, labels: np.ndarray | None, wanted: np.ndarray, weight: np.ndarray) -> float:
    """The loss of answers: log loss, or the mean squared error.

    To the log loss one row more is added, of which every class is as true as any other (Laplace's rule): a model that
    was never wrong on N rows may be sure, but not surer than N rows can make it.

    Args:
        said: (N, O) logits or numbers.
        labels: (N,) class numbers, or None for numbers.
        wanted: (N, O) numbers; not read for classes.
        weight: (N,).

    Example:
        >>> loss_of(np.zeros((3, 2)), np.array([0, 1, 1]), np.empty(0), np.ones(3)).__round__(4)
        0.6931
    """
    total = float(weight.sum())
    if labels is None:
        return float(weight @ ((said - wanted) ** 2).mean(1)) / total
    whole = _log_total(said)[:, 0]
    own = weight @ (whole - said[np.arange(len(labels)), labels])
    any_class = weight @ (whole - said.mean(1)) / total
    return float(own + any_class) / (total + 1)


def weigh(
    answers: Sequence[np.ndarray],
    labels: np.ndarray | None,
    wanted: np.ndarray,
    weight: np.ndarray,
    *,
    first: Sequence[float],
    held: float = 0.0,
) -> np.ndarray:
    """Find the weights under which the sum of the answers loses least.

    Args:
        answers: E arrays (N, O), what each model said of rows that it had not learned from.
        labels, wanted, weight: as in `loss_of`.
        first: (E,) where to start.
        held: how many rows the wish to stay there is worth.

    Returns:
        (E,) weights, from 0 to `MOST`.

    Example:
        >>> right, wrong = np.array([[1.0], [2.0]]), np.array([[2.0], [1.0]])
        >>> weigh([right, wrong], None, right, np.ones(2), first=[0.5, 0.5]).round(3).tolist()
        [1.0, 0.0]
    """
    stacked = np.stack(answers)
    begin = np.asarray(first, dtype=np.float64)
    pull = held / float(weight.sum())

    def lost(shares: np.ndarray) -> tuple[float, np.ndarray]:
        said = np.tensordot(shares, stacked, 1)
        value = loss_of(said, labels, wanted, weight) + pull * float(((shares - begin) ** 2).sum())
        slope = np.tensordot(stacked, _slope(said, labels, wanted, weight), 2) + 2 * pull * (shares - begin)
        return value, slope

    found = scipy.optimize.minimize(lost, begin, jac=True, bounds=[(0.0, MOST)] * len(begin), method="L-BFGS-B")
    return np.asarray(found.x)


def _log_total(said: np.ndarray) -> np.ndarray:
    """The logarithm of the sum of exponentials of each row, (N, 1)."""
    most = said.max(1, keepdims=True)
    return np.asarray(most + np.log(np.exp(said - most).sum(1, keepdims=True)))


def _slope(said: np.ndarray, labels: np.ndarray | None, wanted: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """The gradient of `loss_of` by what was said."""
    total = float(weight.sum())
    if labels is None:
        return np.asarray(2 * weight[:, None] * (said - wanted) / (total * said.shape[1]))
    shares = np.exp(said - _log_total(said))
    own = shares.copy()
    own[np.arange(len(labels)), labels] -= 1
    return np.asarray(weight[:, None] * (own + (shares - 1 / said.shape[1]) / total) / (total + 1))


def sharpen(said: np.ndarray, labels: np.ndarray, weight: np.ndarray) -> tuple[float, float]:
    """The factor under which scores of classes, as logits, lose least, and that loss.

    Example:
        >>> factor, _ = sharpen(np.eye(2)[[0, 1] * 50], np.array([0, 1] * 50), np.ones(100))
        >>> 3 < factor < 10  # never wrong on a hundred rows: sure, but not surer than a hundred rows can make it
        True
    """

    def lost(exponent: float) -> float:
        return loss_of(np.exp(exponent) * said, labels, said, weight)

    found = scipy.optimize.minimize_scalar(lost, bounds=np.log(SHARPNESS), method="bounded", options={"xatol": 0.03})
    return float(np.exp(found.x)), float(found.fun)
