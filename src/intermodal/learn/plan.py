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
    """

    max_epochs: int
    patience: int
    batch_size: int
    lr: float
    weight_decay: float
    average: float
    seed: int
