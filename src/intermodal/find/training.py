"""The loop that every finder trains with: steps, a look at the validation rows, and the best weights kept."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from intermodal.learn.loop import decay_groups

B = TypeVar("B")


@dataclass(frozen=True)
class Plan:
    """How to train.

    Args:
        max_epochs: most passes over the rows.
        steps_per_epoch: batches of a pass.
        lr: peak learning rate of AdamW, reached after `warmup`, from where it falls along a cosine to zero.
        weight_decay: of AdamW, on matrices only.
        warmup: share of all steps during which the learning rate rises.
        average: decay of the running mean of the weights, the ones that are validated and kept.
        patience: epochs without a better validation before training stops; None never stops early.
        seed: of the generator that draws the batches; dropout follows torch's own seed, which is the caller's to set.
    """

    max_epochs: int
    steps_per_epoch: int
    lr: float = 2e-3
    weight_decay: float = 0.01
    warmup: float = 0.1
    average: float = 0.99
    patience: int | None = None
    seed: int = 0


def train(
    module: nn.Module,
    epoch: Callable[[np.random.Generator], Iterable[B]],
    loss: Callable[[nn.Module, B], Tensor],
    plan: Plan,
    *,
    validate: Callable[[nn.Module], float] | None = None,
    callback: Callable[[dict[str, Any]], None] | None = None,
) -> list[dict[str, Any]]:
    """Train a module in place, keep the averaged weights that validated best, and return the history.

    Args:
        module: what to train.
        epoch: yields the batches of one pass; the generator it is given moves on from pass to pass.
        loss: the mean loss of a batch, for this module in training.
        plan: how.
        validate: a score of the averaged module, higher is better; without one the last average is kept.
        callback: called with each line of the history.

    Returns:
        One dict an epoch: `epoch`, `train_loss`, `valid` (None without `validate`), `seconds`, `best`.

    Example:
        >>> line, rng = nn.Linear(1, 1), np.random.default_rng(0)
        >>> def loss(module, x): return ((module(x) - 3 * x) ** 2).mean()
        >>> history = train(line, lambda rng: [torch.randn(8, 1)] * 50, loss, Plan(4, 50, lr=0.1))
        >>> history[-1]["train_loss"] < history[0]["train_loss"]
        True
    """
    rng = np.random.default_rng(plan.seed)
    optimizer = torch.optim.AdamW(decay_groups(module, plan.weight_decay), lr=plan.lr, fused=True)
    average = copy.deepcopy(module).requires_grad_(False).eval()
    moving: tuple[list[Tensor], list[Tensor]] = (list(average.parameters()), list(module.parameters()))
    total_steps = plan.max_epochs * plan.steps_per_epoch
    history: list[dict[str, Any]] = []
    best, best_state, best_epoch, step, started = -math.inf, None, 0, 0, time.perf_counter()
    for number in range(1, plan.max_epochs + 1):
        module.train()
        total, count = torch.zeros((), dtype=torch.float64), 0
        for picked in epoch(rng):
            step, count = step + 1, count + 1
            for group in optimizer.param_groups:
                group["lr"] = plan.lr * rate(step / total_steps, plan.warmup)
            value = loss(module, picked)
            optimizer.zero_grad(set_to_none=True)
            value.backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(module.parameters(), 1.0)
            optimizer.step()
            total += value.detach().double().cpu()
            with torch.no_grad():
                torch._foreach_lerp_(*moving, 1 - min(plan.average, step / (step + 9)))
        valid = None if validate is None else validate(average)
        is_best = valid is not None and valid > best
        if is_best and valid is not None:
            best, best_state, best_epoch = valid, copy.deepcopy(average.state_dict()), number
        line: dict[str, Any] = {"epoch": number, "train_loss": float(total) / max(count, 1), "valid": valid}
        line |= {"seconds": time.perf_counter() - started, "best": is_best}
        history.append(line)
        if callback is not None:
            callback(line)
        if plan.patience is not None and validate is not None and number - best_epoch >= plan.patience:
            break
    module.load_state_dict(best_state if best_state is not None else average.state_dict())
    module.eval()
    return history


def rate(progress: float, warmup: float) -> float:
    """Return the share of the peak learning rate after a share of all steps: up a line, down a cosine.

    Example:
        >>> [round(rate(p, 0.1), 3) for p in (0.05, 0.1, 0.55, 1.0)]
        [0.5, 1.0, 0.5, 0.0]
    """
    if progress < warmup:
        return progress / warmup
    return 0.5 * (1 + math.cos(math.pi * min(1.0, (progress - warmup) / max(1e-9, 1 - warmup))))
