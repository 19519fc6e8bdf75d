"""Mean and spread of a map over samples, added up batch by batch.

Shapes: N samples, B of a batch, M modalities.
"""

from __future__ import annotations

import numpy as np


class Running:
    """Mean and deviation of maps whose rows not every sample has, in one pass.

    Source: Chan, Golub and LeVeque 1979, Updating Formulae.

    Example:
        >>> running = Running()
        >>> running.add(np.array([[[1.0]], [[3.0]], [[9.0]]]), np.array([[True], [True], [False]]))
        >>> running.mean.tolist(), running.std.tolist(), running.count.tolist()
        ([[2.0]], [[1.0]], [2])
    """

    def __init__(self) -> None:
        self.started = False
        self._count = np.zeros(1, dtype=int)  # (..., M, 1)
        self._mean = np.zeros(1)
        self._squares = np.zeros(1)  # sum of squared distances from the mean

    def add(self, each: np.ndarray, has: np.ndarray) -> None:
        """Add samples: maps (B, ..., M, M), and which rows they have, (B, ..., M) or what broadcasts to it."""
        there = has[..., None]
        n, old = there.sum(0), self._count
        mean = np.where(there, each, 0.0).sum(0) / np.maximum(n, 1)
        squares = np.where(there, np.square(each - mean), 0.0).sum(0)
        # Two parts are joined by their means: a difference of large sums would round.
        share = n / np.maximum(n + old, 1)
        apart = np.where(n > 0, mean - self._mean, 0.0)
        self._mean = self._mean + apart * share
        self._squares = self._squares + squares + np.square(apart) * old * share
        self._count, self.started = old + n, True

    @property
    def count(self) -> np.ndarray:
        """(..., M): the samples that have the row."""
        return self._count[..., 0]

    @property
    def mean(self) -> np.ndarray:
        """(..., M, M), NaN in the rows that no sample has."""
        return np.where(self._count > 0, self._mean, np.nan)

    @property
    def std(self) -> np.ndarray:
        """(..., M, M), of the samples themselves, not of their mean."""
        return np.where(self._count > 0, np.sqrt(self._squares / np.maximum(self._count, 1)), np.nan)


class Tally(Running):
    """Adds up maps (B, M, M), each row over the samples that have its modality.

    Args:
        names: (M,) the modalities.
        keep: keep every sample's own map.

    Example:
        >>> tally = Tally(("a",), keep=True)
        >>> tally.add(np.array([[[1.0]], [[np.nan]], [[9.0]]]), np.array([[True], [True], [False]]))
        >>> tally.n, tally.broken.tolist(), tally.samples.tolist()
        (3, [1], [[[1.0]], [[nan]], [[nan]]])
    """

    def __init__(self, names: tuple[str, ...], keep: bool = False) -> None:
        super().__init__()
        self.names = names
        self.n = 0
        self.broken = np.zeros(len(names), dtype=int)
        self._count = np.zeros((len(names), 1), dtype=int)
        self._kept: list[np.ndarray] | None = [] if keep else None

    def add(self, each: np.ndarray, has: np.ndarray) -> None:
        """Add a batch: (B, M, M), and which modalities each sample has (B, M)."""
        super().add(each, has)
        self.n += len(each)
        self.broken = self.broken + (np.isnan(each).any(-1) & has).sum(0)
        if self._kept is not None:
            self._kept.append(np.where(has[..., None], each, np.nan))

    @property
    def samples(self) -> np.ndarray | None:
        """(N, M, M), NaN in the rows that a sample lacks; None unless they were kept."""
        return None if self._kept is None else np.concatenate(self._kept)
