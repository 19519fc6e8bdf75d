"""Dropout whose numbers come from a source of the caller's own where one is given."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

import torch
from torch import Tensor, nn

HIDING = 0x5EED
"""Turns a seed into that of the numbers that hide modalities: either kind of number may be drawn ahead of the other."""


class Source(Protocol):
    """Whoever drops features, and hides modalities, by numbers of its own."""

    def drop(self, x: Tensor, p: float) -> Tensor:
        """Return x with features dropped with probability p, and the others scaled up."""

    def chances(self, *shape: int) -> Tensor:
        """Return numbers between 0 and 1."""


class Drops:
    """A module that takes its numbers from `source` where one is set."""

    source: Source | None = None


class Dropout(Drops, nn.Dropout):
    """`nn.Dropout`, unless `source` is set: then that one drops, in training.

    Args: as `nn.Dropout`.

    Attributes:
        source: draws its own numbers, or None for torch's generator.

    Relation: the training loop sets a source for as long as it runs, so that models trained side by side draw the
    numbers that each would draw alone.

    Example:
        >>> Dropout(0.5).eval()(torch.ones(2))
        tensor([1., 1.])
    """

    def forward(self, input: Tensor) -> Tensor:
        """Drop features in training."""
        if self.source is None or not self.training or self.p == 0:
            return super().forward(input)
        return self.source.drop(input, self.p)


class Noise:
    """Drop features by random bytes: eight of them cost one draw, where `nn.Dropout` draws once a feature.

    The probability is rounded to the nearest of 1/256 to 255/256, and what stays is scaled by the rounded one, so that
    the mean is exact.

    Args:
        seed: the same seed drops the same features in the same order of calls.
        device: where the tensors lie.

    Example:
        >>> Noise(0).drop(torch.ones(1000, 8), 0.5).unique()
        tensor([0., 2.])
    """

    def __init__(self, seed: int, device: torch.device | str = "cpu") -> None:
        self.generator = torch.Generator(device).manual_seed(seed)
        self._other = torch.Generator(device).manual_seed(seed ^ HIDING)

    def drop(self, x: Tensor, p: float) -> Tensor:
        """Return x with features dropped with probability p, and the others scaled up."""
        least = least_byte(p)
        words = self.fill(torch.empty(-(-x.numel() // 8), dtype=torch.int64, device=x.device))
        drawn = words.view(torch.uint8)[: x.numel()].view(x.shape)
        # Arithmetic on floats: a comparison, and a product with bools, cost several times as much on a processor.
        return x * drawn.to(x.dtype).sub_(least - 1).clamp_(0, 1).mul_(256 / (256 - least))

    def fill(self, words: Tensor) -> Tensor:
        """Fill int64 with random bits, in place."""
        return words.random_(-(2**63), None, generator=self.generator)  # the default range leaves the sign bit at zero

    def chances(self, *shape: int) -> Tensor:
        """Return numbers between 0 and 1."""
        return torch.rand(shape, generator=self._other, device=self._other.device)


def least_byte(p: float) -> int:
    """Return the least byte under which a feature stays, for the nearest probability from 1/256 to 255/256.

    Example:
        >>> least_byte(0.5), least_byte(0.0001)
        (128, 1)
    """
    return min(255, max(1, round(256 * p)))


@contextmanager
def dropping_by(module: nn.Module, source: Source) -> Iterator[None]:
    """Let every `Dropout` of a module, and what hides modalities, take numbers from a source inside the body.

    Example:
        >>> layer = Dropout(0.5)
        >>> with dropping_by(layer, Noise(0)):
        ...     one = layer(torch.ones(40))
        >>> one.equal(Noise(0).drop(torch.ones(40), 0.5)), layer.source
        (True, None)
    """
    every = [m for m in module.modules() if isinstance(m, Drops)]
    before = [m.source for m in every]
    try:
        for m in every:
            m.source = source
        yield
    finally:
        for m, old in zip(every, before, strict=True):
            m.source = old
