"""A whole step of training in one call on a processor, by the compiled module beside this file.

A step of a small fusion is hundreds of small tensors: torch spends more on making, remembering and dropping them than
on the products. The module (`step.c`) goes through a step in one call, in a room that is laid out once, leaves tokens
that are absent out of every product, and holds no lock meanwhile, so that several models are trained side by side.

It knows addresses and sizes alone. `intermodal.learn.compiled` fills them in, and says which models it serves.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Sequence
from types import ModuleType

import torch
from torch import Tensor

PLAIN = "INTERMODAL_PLAIN"
"""Set to anything in the environment, this keeps the compiled module out."""

LANES = 16
"""Widths are multiples of this many numbers."""
MOST_TOKENS, MOST_LAYERS = 64, 16


def _compiled() -> ModuleType | None:
    if os.environ.get(PLAIN):
        return None
    try:
        return importlib.import_module("intermodal.kernel._step")
    except ImportError:  # no compiler was there when the package was installed
        return None


_step = _compiled()


def built() -> bool:
    """Tell whether the compiled module is there."""
    return _step is not None


class Pass:
    """A room to work in, laid out once for the sizes of a model.

    Args:
        sizes: the head of the sizes, and where everything begins, in the order of `step_model.inc`.
        tensors: whatever the module reads and writes, in that order; None for what is not there.
    """

    def __init__(self, sizes: Sequence[int], tensors: Sequence[Tensor | None]) -> None:
        assert _step is not None
        self.sizes = torch.tensor(sizes, dtype=torch.int64)
        self._held = list(tensors)
        self.addresses = torch.tensor([0 if t is None else t.data_ptr() for t in tensors], dtype=torch.int64)
        room = torch.zeros(_step.room(self.sizes.data_ptr()) + 64, dtype=torch.uint8)
        self._held.append(room)
        self.addresses[2] = -(-room.data_ptr() // 64) * 64
        self._numbers, self._places = self.sizes.numpy(), self.addresses.numpy()
        self._at = (self.sizes.data_ptr(), self.addresses.data_ptr())

    def run(
        self, batch: int, *, gradient: int, least: int, weights: int, rows: int, chances: int = 0, noise: int = 0
    ) -> float:
        """Go through a batch; return the weighted sum of its losses.

        Args:
            batch: samples.
            gradient: how many numbers the gradient has, or 0 to go forward alone.
            least: the least byte that stays, or 0 to drop nothing.
            weights: where the parameters lie.
            rows: where the numbers of the samples lie.
            chances: where the numbers lie that hide modalities, or 0.
            noise: where the bytes lie that drop features, or 0.
        """
        assert _step is not None
        self._numbers[0], self._numbers[13], self._numbers[14] = batch, gradient, least
        places = self._places
        places[0], places[3], places[7], places[8] = weights, rows, chances, noise
        return float(_step.run(*self._at))


def update(
    weights: Tensor,
    gradient: Tensor,
    moments: tuple[Tensor, Tensor],
    mean: Tensor,
    *,
    n_decay: int,
    lr: float,
    weight_decay: float,
    step: int,
    share: float,
) -> None:
    """Take one step of AdamW with the gradient cut to a norm of 1, and move the running mean by `share` towards it.

    Args:
        weights: all parameters side by side, a multiple of `LANES`; so the others.
        gradient: of each.
        moments: first and second.
        mean: of the weights.
        n_decay: how many of them decay, the first ones.
        lr: learning rate.
        weight_decay: of those that decay.
        step: counted from 1.
        share: of the new weights in the mean.

    Example:
        >>> from intermodal.kernel import step
        >>> w, g, m, v, mean = (torch.zeros(16) for _ in range(5))
        >>> g[0] = 0.5
        >>> if step.built():
        ...     step.update(w, g, (m, v), mean, n_decay=0, lr=0.1, weight_decay=0.0, step=1, share=0.5)
        ...     print(w[:2], mean[:2])
        ... else:
        ...     print("tensor([-0.1000,  0.0000]) tensor([-0.0500,  0.0000])")
        tensor([-0.1000,  0.0000]) tensor([-0.0500,  0.0000])
    """
    assert _step is not None
    at = [t.data_ptr() for t in (weights, gradient, *moments, mean)]
    _step.update(*at, weights.numel(), n_decay, lr, weight_decay, step, share)
