"""Training a network that finds moments: its loss on a batch, its validation, its calibration."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from intermodal.find.moment_answers import overlap, ranked
from intermodal.find.moment_batches import Batches, targets
from intermodal.find.moment_loss import loss_of, platt
from intermodal.find.moment_network import MomentNetwork, Seen
from intermodal.find.moment_rows import Rows
from intermodal.find.moment_stretch import Stretch
from intermodal.find.training import Plan, train

AT_ONCE = 64
"""Queries that are answered in one batch."""


def look(network: nn.Module, batches: Batches, rows: np.ndarray, *, need_weights: bool = False) -> tuple[Seen, Tensor]:
    """Return what the network says of these rows, and which clips are within their videos."""
    shown, said = batches.shown(rows), batches.said(rows)
    seen: Seen = network(*shown, *said, need_weights=need_weights)
    return seen, shown.within


def best(scored: Stretch, i: int, n: int, top: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the best spans of row i, of n clips, in clips, and how likely each hits."""
    starts, ends = (t[i, :n].double().cpu().numpy() for t in (scored.starts, scored.ends))
    return ranked(starts, ends, float(scored.total[i]), top)


def fit_network(
    network: MomentNetwork,
    batches: Batches,
    rows: Rows,
    *,
    clip: float,
    blur: float,
    batch_size: int,
    plan: Callable[[int], Plan],
    callback: Callable[[dict[str, Any]], None] | None,
) -> list[dict[str, Any]]:
    """Train in place, keep the weights whose best spans overlap most with the answers held out, return the history.

    Args:
        network: what to train.
        batches: all rows.
        rows: their answers, and which to learn from.
        clip: seconds of a clip.
        blur: of edges, in clips.
        batch_size: rows of a step.
        plan: from the number of steps of an epoch.
        callback: called with each line of the history.
    """

    def loss(module: nn.Module, some: np.ndarray) -> Tensor:
        seen, within = look(module, batches, some)
        spans = [rows.answers[row] for row in some]
        return loss_of(seen, targets(spans, batches.lengths[some], clip, rows.sure[some], blur, batches.device), within)

    def validate(module: nn.Module) -> float:
        found = []
        with torch.no_grad():
            for some in batches.in_order(judged, AT_ONCE):
                scored = look(module, batches, some)[0].scored
                for i, row in enumerate(some):
                    spans, _ = best(scored, i, int(batches.lengths[row]), 1)
                    found.append(overlap(spans * clip, rows.answers[row]).max())
        return float(np.mean(found))

    judged = rows.happening(rows.held)
    steps = len(list(batches.epoch(rows.learn, batch_size, np.random.default_rng(0))))
    return train(
        network,
        lambda rng: batches.epoch(rows.learn, batch_size, rng),
        loss,
        plan(steps),
        validate=validate if len(judged) else None,
        callback=callback,
    )


def top_of(history: list[dict[str, Any]]) -> float:
    """Return the best validation of a run; 0 where nothing was held out.

    Example:
        >>> top_of([{"valid": 0.25}, {"valid": 0.75}, {"valid": 0.5}])
        0.75
    """
    return max((line["valid"] for line in history if line["valid"] is not None), default=0.0)


def calibration(network: MomentNetwork, batches: Batches, rows: Rows) -> tuple[float, float]:
    """Return slope and shift that make "it happens" a probability on the rows held out."""
    if not len(rows.held):
        return 1.0, 0.0
    with torch.no_grad():
        logits = [look(network, batches, some)[0].happens for some in batches.in_order(rows.held, AT_ONCE)]
    happens = np.array([len(rows.answers[row]) > 0 for row in rows.held], dtype=float)
    return platt(torch.cat(logits).cpu().numpy(), happens)
