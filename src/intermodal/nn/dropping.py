"""Dropout whose numbers come from a source of the caller's own where one is given."""

from __future__ import annotations

from typing import Protocol

from torch import Tensor, nn


class Source(Protocol):
    """Whoever drops features by numbers of its own."""

    def drop(self, x: Tensor, p: float) -> Tensor:
        """Return x with features dropped with probability p, and the others scaled up."""


class Dropout(nn.Dropout):
    """`nn.Dropout`, unless `source` is set: then that one drops, in training.

    Args: as `nn.Dropout`.

    Attributes:
        source: draws its own numbers, or None for torch's generator.

    Relation: the training loop sets a source for as long as it runs, so that models trained side by side draw the
    numbers that each would draw alone.

    Example:
        >>> import torch
        >>> Dropout(0.5).eval()(torch.ones(2))
        tensor([1., 1.])
    """

    source: Source | None = None

    def forward(self, input: Tensor) -> Tensor:
        """Drop features in training."""
        if self.source is None or not self.training or self.p == 0:
            return super().forward(input)
        return self.source.drop(input, self.p)
