"""Mean and spread of a map over samples, added up batch by batch.

Shapes: N samples, B of a batch, M modalities.
"""

from __future__ import annotations

import numpy as np
from torch import Tensor


class Tally:
    """Adds up maps (B, M, M), each row over the samples that have its modality.

    Args:
        names: (M,) the modalities.
        keep: keep every sample's own map.

    Example:
        >>> import torch
        >>> tally = Tally(("a",), keep=False)
        >>> tally.add(torch.tensor([[[1.0]], [[3.0]], [[9.0]]]), torch.tensor([[True], [True], [False]]))
        >>> tally.mean.tolist(), tally.std.tolist(), tally.count.tolist()
        ([[2.0]], [[1.0]], [2])
    """

    def __init__(self, names: tuple[str, ...], keep: bool) -> None:
        self.names = names
        self.n = 0
        self.broken = np.zeros(len(names), dtype=int)
        self.count = np.zeros(len(names), dtype=int)
        self._mean = np.zeros((len(names), len(names)))
        self._squares = np.zeros((len(names), len(names)))
        self._kept: list[np.ndarray] | None = [] if keep else None

    def add(self, maps: Tensor, has: Tensor) -> None:
        """Add a batch: (B, M, M), and which modalities each sample has (B, M)."""
        each, there = maps.double().numpy(), has.numpy()[..., None]
        self.n += len(each)
        self.broken = self.broken + (np.isnan(each).any(-1) & there[..., 0]).sum(0)
        if self._kept is not None:
            self._kept.append(np.where(there, each, np.nan))
        n = there.sum(0)  # (M, 1)
        old = self.count[:, None]
        mean = np.where(there, each, 0.0).sum(0) / np.maximum(n, 1)
        squares = np.where(there, np.square(each - mean), 0.0).sum(0)
        # Two parts are joined by their means: a difference of large sums would round (Chan et al. 1979).
        both = np.maximum(n + old, 1)
        apart = np.where(n > 0, mean - self._mean, 0.0)
        self._mean = self._mean + apart * n / both
        self._squares = self._squares + squares + np.square(apart) * n * old / both
        self.count = self.count + n[:, 0]

    @property
    def mean(self) -> np.ndarray:
        """(M, M), NaN in the rows of modalities that no sample has."""
        return np.where(self.count[:, None] > 0, self._mean, np.nan)

    @property
    def std(self) -> np.ndarray:
        """(M, M), of the samples themselves, not of their mean."""
        spread = np.sqrt(self._squares / np.maximum(self.count[:, None], 1))
        return np.where(self.count[:, None] > 0, spread, np.nan)

    @property
    def samples(self) -> np.ndarray | None:
        """(N, M, M), NaN in the rows that a sample lacks; None unless they were kept."""
        return None if self._kept is None else np.concatenate(self._kept)
