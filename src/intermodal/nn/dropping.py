"""Dropout whose numbers come from a source of the caller's own where one is given."""

from __future__ import annotations

import math
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
    """Drop features by random bytes: eight of them cost one word, where `nn.Dropout` draws once a feature.

    The probability is rounded to the nearest of 1/256 to 255/256, and what stays is scaled by the rounded one, so that
    the mean is exact. A word depends on the seed and on its number alone: whoever knows how many were drawn can go on.

    Args:
        seed: the same seed drops the same features in the same order of calls.
        device: where the tensors lie.

    Attributes:
        drop_key: of the words that drop features.
        drop_at: the number of the next of them.
        hide_key: of the words that hide modalities.
        hide_at: the number of the next of them.

    Source: Steele, Lea and Flood 2014, Fast splittable pseudorandom number generators: the finaliser of SplitMix64.

    Example:
        >>> Noise(0).drop(torch.ones(1000, 8), 0.5).unique()
        tensor([0., 2.])
    """

    def __init__(self, seed: int, device: torch.device | str = "cpu") -> None:
        self.device = device
        keys = mixed(torch.tensor([0, HIDING]) + _signed(seed))
        self.drop_key, self.hide_key = (int(key) for key in keys)
        self.drop_at = self.hide_at = 0

    def drop(self, x: Tensor, p: float) -> Tensor:
        """Return x with features dropped with probability p, and the others scaled up."""
        least, n = least_byte(p), -(-x.numel() // 8)
        words = numbered(self.drop_key, self.drop_at, n, x.device)
        self.drop_at += n
        drawn = words.view(torch.uint8)[: x.numel()].view(x.shape)
        # Arithmetic on floats: a comparison, and a product with bools, cost several times as much on a processor.
        return x * drawn.to(x.dtype).sub_(least - 1).clamp_(0, 1).mul_(256 / (256 - least))

    def chances(self, *shape: int) -> Tensor:
        """Return float32 numbers from 0 to 1."""
        n = math.prod(shape)
        words = numbered(self.hide_key, self.hide_at, n, self.device)
        self.hide_at += n
        return ((words >> 40) & 0xFFFFFF).to(torch.float32).mul_(2**-24).view(shape)


def numbered(key: int, first: int, n: int, device: torch.device | str = "cpu") -> Tensor:
    """Return n random words, int64, from the one with this number on.

    Example:
        >>> numbered(3, 5, 4)[2:].equal(numbered(3, 7, 2))
        True
    """
    numbers = torch.arange(first, first + n, device=device)
    return mixed(numbers.mul_(_signed(0x9E3779B97F4A7C15)).add_(key))


def mixed(words: Tensor) -> Tensor:
    """Mix the bits of int64, in place."""
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB), (31, 1)):
        # A shift of a signed number drags its sign along: the bits that it fills are struck out.
        words.bitwise_xor_((words >> shift).bitwise_and_((1 << (64 - shift)) - 1)).mul_(_signed(factor))
    return words


def _signed(word: int) -> int:
    return (word & (2**64 - 1)) - ((word & 2**63) << 1)


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
