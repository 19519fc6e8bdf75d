"""A whole step of training in one call on a processor, by the compiled module beside this file.

A step of a small fusion is hundreds of small tensors: torch spends more on making, remembering and dropping them than
on the products. The module (`step.c`) goes through a step in one call, in a room that is laid out once, leaves tokens
that are absent out of every product, and holds no lock meanwhile, so that several models are trained side by side.

It knows addresses and sizes alone. `intermodal.learn.compiled` fills them in, and says which models it serves.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from intermodal.kernel.calling import at, compiled

LANES = 16
"""Widths are multiples of this many numbers."""
MOST_TOKENS, MOST_LAYERS, MOST_WIDTH = 64, 16, 4096
BATCH, TRAINING = 0, 13
"""Places among the sizes; after `TRAINING` stand whatever draws: `Drawn`."""

_step = compiled("_step")


def built() -> bool:
    """Tell whether the compiled module is there."""
    return _step is not None


class Drawn(NamedTuple):
    """The least byte that stays (0: nothing is dropped), whether modalities are hidden, and key and number of the next
    word, for features and for modalities."""

    least: int
    hides: int
    drop_key: int
    drop_at: int
    hide_key: int
    hide_at: int


class Pass:
    """A room to work in, laid out once for the sizes of a model.

    Args:
        sizes: the head of the sizes, and where everything begins, in the order of `step_model.inc`.
        tensors: whatever the module reads and writes, in that order; None for what is not there.
        moments: of AdamW, first and second, and the running mean of the weights.
        n_decay: how many of the weights decay, the first ones.
        weight_decay: by how much.
    """

    def __init__(
        self,
        sizes: Sequence[int],
        tensors: Sequence[Tensor | None],
        moments: tuple[Tensor, Tensor, Tensor],
        *,
        n_decay: int,
        weight_decay: float,
    ) -> None:
        assert _step is not None
        self.sizes = torch.tensor(sizes, dtype=torch.int64)
        self._addresses = torch.tensor([at(t) for t in tensors], dtype=torch.int64)
        room = torch.zeros(_step.room(self.sizes.data_ptr()) + 64, dtype=torch.uint8)
        self._addresses[2] = -(-room.data_ptr() // 64) * 64
        self._held = (tensors, moments, room)
        self._numbers, self._places = self.sizes.numpy(), self._addresses.numpy()
        self._at = (self.sizes.data_ptr(), self._addresses.data_ptr())
        self._update = (*(t.data_ptr() for t in moments), n_decay, weight_decay)

    def learn(self, schedule: Tensor, first: int, *, gradient: int, rows: int, drawn: Drawn) -> float:
        """Take some steps; return the weighted sum of their losses, each before its step.

        Args:
            schedule: float64 (steps, 3): samples, learning rate, and the share of the new weights in the running mean.
            first: the number of the first step, from 1.
            gradient: how many numbers the gradient has.
            rows: where the numbers of the samples lie, all batches one behind the other.
            drawn: where the noise begins.
        """
        assert _step is not None
        self._numbers[TRAINING] = gradient
        self._numbers[TRAINING + 1 : TRAINING + 1 + len(drawn)] = drawn
        self._places[3] = rows
        return float(_step.learn(*self._at, schedule.data_ptr(), len(schedule), first, *self._update))

    def losses(self, batch: int, *, weights: int, rows: int) -> float:
        """The weighted sum of the losses of a batch, by the weights that lie at an address, with nothing dropped."""
        assert _step is not None
        self._numbers[BATCH], self._numbers[TRAINING] = batch, 0
        self._numbers[TRAINING + 1 : TRAINING + 1 + len(Drawn._fields)] = 0
        places, before = self._places, self._places[0]
        places[0], places[3] = weights, rows
        total = float(_step.run(*self._at))
        places[0] = before
        return total
