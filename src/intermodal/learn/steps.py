"""Steps of training by torch, one tensor after the other: for every model, on every device.

Shapes: B batch, K members, O outputs.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from intermodal.learn.feed import Feed
from intermodal.learn.model import FusionModel
from intermodal.learn.plan import Loss, Plan, Schedule
from intermodal.nn.dropping import Noise, dropping_by


class PlainSteps:
    """A model in training, its optimizer, and the running mean of its weights.

    Args:
        model: what is trained.
        feed: all samples.
        target: (N, ...) for the samples of the feed.
        weight: (N,) of each sample.
        start: (N, O) what the network adds to.
        loss: per sample and member.
        plan: how to train.

    Relation: `intermodal.learn.compiled.CompiledSteps` takes the same steps, up to rounding, where it serves.
    """

    def __init__(
        self, model: FusionModel, feed: Feed, target: Tensor, weight: Tensor, start: Tensor, loss: Loss, plan: Plan
    ) -> None:
        self.model, self.feed, self.target, self.weight, self.start = model, feed, target, weight, start
        self.loss = loss
        self.optimizer = torch.optim.AdamW(decay_groups(model, plan.weight_decay), lr=plan.lr, fused=True)
        self.average = copy.deepcopy(model).requires_grad_(False).eval()
        self._moving: tuple[list[Tensor], list[Tensor]] = (list(self.average.parameters()), list(model.parameters()))
        self.noise = Noise(plan.seed, target.device)
        self._best: dict[str, Tensor] | None = None

    def epoch(self, batches: Iterable[np.ndarray], first: int, schedule: Schedule) -> tuple[float, int]:
        """Take a step a batch.

        Args:
            batches: rows of each.
            first: the number of the first step, from 1.
            schedule: learning rate, and how the running mean moves.

        Returns:
            The weighted sum of all losses, each before its step, and the number of the step that comes next.
        """
        total, number = 0.0, first
        for rows in batches:
            total += self._step(rows, schedule.rate(number), schedule.share(number))
            number += 1
        return total, number

    def _step(self, rows: np.ndarray, lr: float, share: float) -> float:
        for group in self.optimizer.param_groups:
            group["lr"] = lr
        self.model.train()
        at = torch.from_numpy(rows).to(self.target.device)
        x, present = self.feed.batch(rows)
        with dropping_by(self.model, self.noise):
            outputs = self.model(x, present, straight=False).outputs + self.start[at].unsqueeze(1)
        losses = self.loss(outputs, self.target[at]).mean(1)
        total = (losses * self.weight[at]).sum()
        self.optimizer.zero_grad(set_to_none=True)
        (total / self.weight[at].sum().clamp(min=1e-12)).backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()
        with torch.no_grad():
            torch._foreach_lerp_(*self._moving, share)
        return float(total.detach().double())

    def held(self, rows: np.ndarray) -> float:
        """The weighted mean loss of the averaged weights over some rows."""
        return mean_loss(self.average, self.feed, self.target, self.weight, self.start, self.loss, rows)

    def keep(self) -> None:
        """Remember the averaged weights as they are now."""
        self._best = copy.deepcopy(self.average.state_dict())

    def finish(self) -> None:
        """Give the model the weights that were kept last, or the averaged ones as they are."""
        self.model.load_state_dict(self.average.state_dict() if self._best is None else self._best)
        self.model.eval()


@torch.no_grad()
def mean_loss(
    model: FusionModel,
    feed: Feed,
    target: Tensor,
    weight: Tensor,
    start: Tensor,
    loss: Loss,
    rows: np.ndarray,
    batch_size: int = 512,
) -> float:
    """The weighted mean loss of the ensemble over some rows."""
    total = 0.0
    for picked in feed.in_order(rows, batch_size):
        at = torch.from_numpy(picked).to(target.device)
        x, present = feed.batch(picked)
        outputs = model(x, present, straight=False).outputs + start[at].unsqueeze(1)
        losses = loss(outputs, target[at]).mean(1)
        total += float((losses.double() * weight[at]).sum())
    return total / max(float(weight[rows].sum()), 1e-12)


def decay_groups(module: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Parameters for AdamW: matrices decay; biases, norms and scales do not.

    Example:
        >>> [len(group["params"]) for group in decay_groups(nn.Linear(2, 3), 0.1)]
        [1, 1]
    """
    decays = [p for p in module.parameters() if p.ndim > 1]
    stays = [p for p in module.parameters() if p.ndim <= 1]
    return [{"params": decays, "weight_decay": weight_decay}, {"params": stays, "weight_decay": 0.0}]
