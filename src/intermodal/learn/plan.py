"""How to train, and what a loss is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

Loss = Callable[[Tensor, Tensor], Tensor]  # outputs (B, K, O), target (B, ...) -> (B, K)


@dataclass(frozen=True)
class Plan:
    """How to train.

    Args:
        max_epochs: most passes over the rows.
        patience: epochs without a better validation loss before training stops.
        batch_size: samples of a step.
        lr: peak learning rate of AdamW, reached after one epoch and then held.
        weight_decay: of AdamW, on matrices only.
        average: decay of the running mean of the weights, the ones that are validated and kept.
        seed: of the order of the samples, and of what dropout drops.
        seconds: no epoch begins after so many of them; None for as many as it takes.
    """

    max_epochs: int
    patience: int
    batch_size: int
    lr: float
    weight_decay: float
    average: float
    seed: int
    seconds: float | None = None


@dataclass(frozen=True)
class Schedule:
    """What changes from step to step; steps are counted from 1.

    Args:
        plan: how to train.
        an_epoch: steps of an epoch: so long the learning rate rises.

    Example:
        >>> plan = Plan(max_epochs=9, patience=9, batch_size=8, lr=0.1, weight_decay=0.0, average=0.5, seed=0)
        >>> schedule = Schedule(plan, an_epoch=4)
        >>> schedule.rate(1), schedule.rate(9), schedule.share(1), schedule.share(99)
        (0.025, 0.1, 0.9, 0.5)
    """

    plan: Plan
    an_epoch: int

    def rate(self, number: int) -> float:
        """The learning rate."""
        return self.plan.lr * min(1.0, number / self.an_epoch)

    def share(self, number: int) -> float:
        """By how much the running mean of the weights moves towards the new ones."""
        return 1 - min(self.plan.average, number / (number + 9))
