"""The training loop: steps, a look at the validation rows after each epoch, and the best weights kept.

Shapes: B batch, K members, O outputs.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from intermodal.learn.feed import Feed
from intermodal.learn.model import FusionModel
from intermodal.nn.dropping import Noise, dropping_by

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


def train(
    model: FusionModel,
    feed: Feed,
    target: Tensor,
    weight: Tensor,
    start: Tensor,
    loss: Loss,
    *,
    rows: np.ndarray,
    valid_rows: np.ndarray,
    plan: Plan,
    callback: Callable[[dict[str, Any]], None] | None = None,
) -> list[dict[str, Any]]:
    """Train a model in place, keep the weights that were best on the validation rows, and return the history.

    The untrained network, which adds next to nothing to the straight line, counts as epoch 0.

    Args:
        model: what to train.
        feed: all samples.
        target: (N, ...) for the samples of the feed.
        weight: (N,) of each sample.
        start: (N, O) what the straight line says of each sample that it has not seen; the network adds to it.
        loss: per sample and member.
        rows: rows to learn from.
        valid_rows: rows to stop by; with none, the last weights are kept.
        plan: how.
        callback: called with each line of the history.

    Returns:
        One dict an epoch: `epoch`, `train_loss`, `valid_loss` (None without validation rows), `seconds`, `best`.
    """
    rng = np.random.default_rng(plan.seed)
    optimizer = torch.optim.AdamW(decay_groups(model, plan.weight_decay), lr=plan.lr, fused=True)
    average = copy.deepcopy(model).requires_grad_(False).eval()
    moving: tuple[list[Tensor], list[Tensor]] = (list(average.parameters()), list(model.parameters()))
    noise = Noise(plan.seed, target.device)
    steps_per_epoch = max(1, -(-len(rows) // plan.batch_size))
    history: list[dict[str, Any]] = []
    best, best_state, best_epoch, step, started = float("inf"), None, 0, 0, time.perf_counter()

    def held() -> float:
        return mean_loss(average, feed, target, weight, start, loss, valid_rows)

    if len(valid_rows):
        best, best_state = held(), copy.deepcopy(average.state_dict())
    for epoch in range(1, plan.max_epochs + 1):
        model.train()
        total = torch.zeros((), dtype=torch.float64)
        with dropping_by(model, noise):
            for picked in feed.epoch(rows, plan.batch_size, rng):
                step += 1
                for group in optimizer.param_groups:
                    group["lr"] = plan.lr * min(1.0, step / steps_per_epoch)
                total += _step(model, optimizer, feed, picked, target, weight, start, loss)
                with torch.no_grad():
                    torch._foreach_lerp_(*moving, 1 - min(plan.average, step / (step + 9)))
        line: dict[str, Any] = {"epoch": epoch, "train_loss": float(total) / float(weight[rows].sum())}
        line["valid_loss"] = held() if len(valid_rows) else None
        line["seconds"] = time.perf_counter() - started
        line["best"] = line["valid_loss"] is not None and line["valid_loss"] < best
        if line["best"]:
            best, best_state, best_epoch = line["valid_loss"], copy.deepcopy(average.state_dict()), epoch
        history.append(line)
        if callback is not None:
            callback(line)
        if best_state is not None and epoch - best_epoch >= plan.patience:
            break
    model.load_state_dict(best_state if best_state is not None else average.state_dict())
    model.eval()
    return history


def _step(
    model: FusionModel,
    optimizer: torch.optim.Optimizer,
    feed: Feed,
    rows: np.ndarray,
    target: Tensor,
    weight: Tensor,
    start: Tensor,
    loss: Loss,
) -> Tensor:
    """One step; returns the weighted sum of the losses."""
    at = torch.from_numpy(rows).to(target.device)
    x, present = feed.batch(rows)
    losses = loss(model(x, present, straight=False).outputs + start[at].unsqueeze(1), target[at]).mean(1)
    total = (losses * weight[at]).sum()
    optimizer.zero_grad(set_to_none=True)
    (total / weight[at].sum().clamp(min=1e-12)).backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    return total.detach().double().cpu()


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
