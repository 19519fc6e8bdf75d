"""The rows that experts learn from, and how they are cut into folds.

Shapes: N samples, P columns of all modalities, O outputs.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from intermodal.learn.kernels import Judge, Parts
from intermodal.learn.stacking import loss_of, sharpen


@dataclass(frozen=True)
class Rows:
    """The rows that count: columns and target, and how they are cut.

    Attributes:
        columns: (N, P).
        wanted: (N, O) numbers, or for classes 1 where a row belongs and 0 elsewhere.
        labels: (N,) class numbers, or None.
        weight: (N,), above zero.
        parts: rows of each fold.

    Example:
        >>> rows = Rows(np.eye(4), np.eye(4), None, np.ones(4), [np.array([0, 1]), np.array([2, 3])])
        >>> rows.rest(0), rows.judge()(np.zeros((4, 4)))
        (array([2, 3]), 0.25)
    """

    columns: np.ndarray
    wanted: np.ndarray
    labels: np.ndarray | None
    weight: np.ndarray
    parts: Parts

    def rest(self, i: int) -> np.ndarray:
        """All rows but those of a fold."""
        return np.concatenate([rows for j, rows in enumerate(self.parts) if j != i])

    def judge(self, rows: np.ndarray | slice = slice(None)) -> Judge:
        """The loss of answers to these rows, as sure as serves them best."""
        labels, wanted, weight = self.labels, self.wanted[rows], self.weight[rows]
        if labels is None:
            return lambda said: loss_of(said, None, wanted, weight)
        own = labels[rows]
        return lambda said: sharpen(said, own, weight)[1]
