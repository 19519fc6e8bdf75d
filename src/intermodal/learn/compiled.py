"""Steps of training in one compiled call each, for models that `intermodal.kernel.step` can serve.

All parameters lie side by side in one row of numbers: those that decay first, then the others. So do the gradient, the
moments of AdamW and the running mean of the weights.

Shapes: N samples, B batch, K members, O outputs.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

import numpy as np
import torch
from torch import Tensor, nn

from intermodal.kernel import step as kernel
from intermodal.learn import losses
from intermodal.learn.anatomy import Anatomy
from intermodal.learn.feed import Feed
from intermodal.learn.model import FusionModel
from intermodal.learn.plan import Loss, Plan, Schedule
from intermodal.nn.dropping import Noise, least_byte
from intermodal.nn.linear import bare

AT_ONCE = 1 << 15
"""Tokens of all members that one call takes steps through: a thread that trains waits for its turn to speak Python once
a call, and a user who interrupts waits for its end, some hundredths of a second."""
LOSSES = (losses.cross_entropy, losses.squared_error)


def serves(model: FusionModel, feed: Feed, target: Tensor, loss: Loss) -> bool:
    """Tell whether a training can go by the compiled step.

    Args:
        model: float32 on a processor, without hooks, its edges with one set of projections a layer, its widths
            multiples of sixteen.
        feed: vectors alone: a sequence is read by an encoder of its own.
        target: class numbers, or numbers in float32.
        loss: one of the two that are known.

    Example:
        >>> from intermodal.data.samples import Samples
        >>> from intermodal.nn.network import FusionNetwork
        >>> model = FusionModel(FusionNetwork("self", {"a": 3}, d_model=12, n_tokens=2), 1)
        >>> serves(model, Feed(Samples({"a": [[1.0, 2.0, 3.0]]})), torch.zeros(1, 1), losses.squared_error)
        False
    """
    numbers = [*model.parameters(), *feed.vectors.x.values()]
    return (
        kernel.built()
        and loss in LOSSES
        and target.dtype == (torch.int64 if loss is losses.cross_entropy else torch.float32)
        and all(t.dtype == torch.float32 and t.device.type == "cpu" for t in numbers)
        and not feed.sequences
        and tuple(feed.vectors.x) == model.network.names
        and bare(*model.modules())
        and Anatomy(model).fits
    )


class CompiledSteps:
    """A model in training, step by compiled step.

    Args: as `intermodal.learn.steps.PlainSteps`, and `serves` says yes. The parameters of the model become views of one
        row of numbers until `finish`.

    Relation: `PlainSteps` draws the same numbers and takes the same steps, up to rounding.
    """

    def __init__(
        self, model: FusionModel, feed: Feed, target: Tensor, weight: Tensor, start: Tensor, loss: Loss, plan: Plan
    ) -> None:
        self.model, self.plan, self.weight = model, plan, weight.contiguous()
        self.noise = Noise(plan.seed)
        self.anatomy = Anatomy(model)
        named = list(model.named_parameters())
        decays, stays = ([(n, p) for n, p in named if (p.ndim > 1) == decay] for decay in (True, False))
        self.n_decay = _padded(sum(p.numel() for _, p in decays))
        places = _laid_out(decays, 0) | _laid_out(stays, self.n_decay)
        n = self.n_decay + _padded(sum(p.numel() for _, p in stays))
        self.flat, self.gradient, self.first, self.second, self.mean = torch.zeros(5, n).unbind()
        for name, p in named:
            own = self.flat[places[name] : places[name] + p.numel()].view_as(p)
            own.copy_(p.detach())
            p.data = own
        self.mean.copy_(self.flat)
        self._best: Tensor | None = None
        self._hides = int(model.network.modality_dropout > 0)
        self._least = least_byte(model.dropout.p) if model.dropout.p > 0 else 0
        self._pass = kernel.Pass(
            self.anatomy.sizes(places, plan.batch_size, LOSSES.index(loss)),
            [
                *(self.flat, self.gradient, None, None, target.contiguous(), self.weight, start.contiguous()),
                *self.anatomy.sides(),
                torch.tensor([model.network.modality_dropout], dtype=torch.float32),
                *_data(feed),
            ],
            (self.first, self.second, self.mean),
            n_decay=self.n_decay,
            weight_decay=plan.weight_decay,
        )
        self._look_once(feed)

    def _look_once(self, feed: Feed) -> None:
        """Let the network itself see whether a softmax is constant, as its first forward would."""
        x, present = feed.batch(np.arange(min(len(feed), self.plan.batch_size)))
        with torch.no_grad():
            self.model.eval()(x, present)

    def epoch(self, batches: Iterable[np.ndarray], first: int, schedule: Schedule) -> tuple[float, int]:
        """Take a step a batch, many in one call; as `PlainSteps.epoch`."""
        total, number, left = 0.0, first, iter(batches)
        at_once = max(1, AT_ONCE // (self.plan.batch_size * self.anatomy.n_members * self.anatomy.slots))
        while some := list(islice(left, at_once)):
            total += self._learn(some, number, schedule)
            number += len(some)
        return total, number

    def _learn(self, batches: list[np.ndarray], first: int, schedule: Schedule) -> float:
        rows, noise = np.concatenate(batches, dtype=np.int64), self.noise
        numbers = range(first, first + len(batches))
        lines = [[len(own), schedule.rate(i), schedule.share(i)] for own, i in zip(batches, numbers, strict=True)]
        drawn = (noise.drop_key, noise.drop_at, noise.hide_key, noise.hide_at)
        total = self._pass.learn(
            torch.tensor(lines, dtype=torch.float64),
            first,
            gradient=len(self.flat),
            rows=rows.ctypes.data,
            drawn=kernel.Drawn(self._least, self._hides, *drawn),
        )
        noise.drop_at += sum(self.anatomy.dropped(len(own)) for own in batches) // 8 if self._least else 0
        noise.hide_at += 2 * len(rows) * len(self.anatomy.names) if self._hides else 0
        return total

    def held(self, rows: np.ndarray) -> float:
        """The weighted mean loss of the averaged weights over some rows."""
        rows = np.ascontiguousarray(rows, dtype=np.int64)
        total = self._pass.losses(len(rows), weights=self.mean.data_ptr(), rows=rows.ctypes.data)
        return total / max(float(self.weight[rows].sum()), 1e-12)

    def keep(self) -> None:
        """Remember the averaged weights as they are now."""
        self._best = self.mean.clone()

    def finish(self) -> None:
        """Give the model the weights that were kept last, or the averaged ones, each in a place of its own."""
        self.flat.copy_(self.mean if self._best is None else self._best)
        for p in self.model.parameters():
            p.data = p.data.clone()
        self.model.eval()


def _padded(n: int) -> int:
    return -(-n // kernel.LANES) * kernel.LANES


def _laid_out(named: Sequence[tuple[str, nn.Parameter]], at: int) -> dict[str, int]:
    """Where each parameter begins; queries, keys and values of a layer follow each other, as they are made."""
    places = {}
    for name, p in named:
        places[name] = at
        at += p.numel()
    return places


def _data(feed: Feed) -> Iterator[Tensor | None]:
    """Each modality's vectors, and which of them are there, or None for all."""
    for name, values in feed.vectors.x.items():
        yield values.contiguous()
        there = feed.vectors.present[name]
        yield None if bool(there.all()) else there.contiguous()
