"""The training loop: steps, a look at the validation rows after each epoch, and the best weights kept.

Who takes the steps is chosen once: the compiled step where it serves, torch elsewhere.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Any, Protocol

import numpy as np
from torch import Tensor

from intermodal.learn.compiled import CompiledSteps, serves
from intermodal.learn.feed import Feed
from intermodal.learn.model import FusionModel
from intermodal.learn.plan import Loss, Plan, Schedule
from intermodal.learn.steps import PlainSteps, decay_groups, mean_loss

__all__ = ["Loss", "Plan", "decay_groups", "mean_loss", "train"]


class Steps(Protocol):
    """Whoever trains a model step by step; `PlainSteps` says what each does."""

    def epoch(self, batches: Iterable[np.ndarray], first: int, schedule: Schedule) -> tuple[float, int]: ...
    def held(self, rows: np.ndarray) -> float: ...
    def keep(self) -> None: ...
    def finish(self) -> None: ...


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

    The untrained network, which adds next to nothing to the straight line, counts as epoch 0. All randomness is drawn
    from the seed of the plan.

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
    return run(
        steps_for(model, feed, target, weight, start, loss, plan), feed, weight, rows, valid_rows, plan, callback
    )


def steps_for(
    model: FusionModel, feed: Feed, target: Tensor, weight: Tensor, start: Tensor, loss: Loss, plan: Plan
) -> Steps:
    """Return who takes the steps: the compiled ones where they serve."""
    kind = CompiledSteps if serves(model, feed, target, loss) else PlainSteps
    return kind(model, feed, target, weight, start, loss, plan)


def run(
    steps: Steps,
    feed: Feed,
    weight: Tensor,
    rows: np.ndarray,
    valid_rows: np.ndarray,
    plan: Plan,
    callback: Callable[[dict[str, Any]], None] | None = None,
) -> list[dict[str, Any]]:
    """Train by these steps; arguments and history as in `train`."""
    rng = np.random.default_rng(plan.seed)
    schedule = Schedule(plan, max(1, -(-len(rows) // plan.batch_size)))
    all_weight = float(weight[rows].sum())
    history: list[dict[str, Any]] = []
    best, best_epoch, number, started = float("inf"), 0, 1, time.perf_counter()
    if len(valid_rows):
        best = steps.held(valid_rows)
        steps.keep()
    for epoch in range(1, plan.max_epochs + 1):
        total, number = steps.epoch(feed.epoch(rows, plan.batch_size, rng), number, schedule)
        line: dict[str, Any] = {"epoch": epoch, "train_loss": total / all_weight}
        line["valid_loss"] = steps.held(valid_rows) if len(valid_rows) else None
        line["seconds"] = time.perf_counter() - started
        line["best"] = line["valid_loss"] is not None and line["valid_loss"] < best
        if line["best"]:
            best, best_epoch = line["valid_loss"], epoch
            steps.keep()
        history.append(line)
        if callback is not None:
            callback(line)
        if len(valid_rows) and epoch - best_epoch >= plan.patience:
            break
        if plan.seconds is not None and line["seconds"] >= plan.seconds:
            break
    steps.finish()
    return history
