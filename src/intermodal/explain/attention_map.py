"""Who attended to whom: the attention of a fitted model, modality by modality.

Shapes: M modalities, L layers, H heads (of all members), Q and K tokens of an edge.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from intermodal.nn.fused import Fused
from intermodal.spec import Edge


@dataclass(frozen=True)
class AttentionMap:
    """How much of each modality's attention went to each modality, over many samples.

    A row asks, a column is looked at. A row sums to 1; it is None where the modality asks nobody. A modality that
    asks through several edges divides its attention evenly among those that had something to look at.

    Attributes:
        names: (M,) the modalities.
        mean: (M, M) over samples, layers and heads, NaN in the rows of those who ask nobody; None without any
            attention.
        std: (M, M) standard deviation over samples.
        count: (M,) samples in which the row's modality asked.
        by_head: (L, H, M, M) mean over samples of each layer and head, NaN where `mean` is; None without any
            attention.
    """

    names: tuple[str, ...]
    mean: np.ndarray | None
    std: np.ndarray | None
    count: np.ndarray
    by_head: np.ndarray | None


def attention_map(model: Any, feed: Any, *, batch_size: int = 256) -> AttentionMap:
    """Stream the samples through a model and add up who looked where.

    Args:
        model: a module that answers with its fused weights, as `prepared` of an estimator returns it.
        feed: the samples as the model reads them.
        batch_size: samples at a time; no weights are kept longer than one batch.

    Returns:
        The map over all samples.
    """
    names = model.network.names
    total: Any = 0.0
    squares: Any = 0.0
    count = torch.zeros(len(names), dtype=torch.float64)
    with torch.no_grad():
        for rows in feed.in_order(np.arange(len(feed)), batch_size):
            x, present = feed.batch(rows)
            fused = model(x, present, need_weights="layers").fused
            mass, asked = modality_mass(fused, names)
            if mass is None:
                return AttentionMap(names, None, None, count.numpy().astype(int), None)
            total = total + mass.sum(0)
            squares = squares + mass.mean((1, 2)).square().sum(0)
            count += asked.double().sum(0)
    n = count.clamp(min=1)[:, None]
    nobody = (count == 0)[:, None]
    by_head = (total / n).masked_fill(nobody, torch.nan)
    mean = by_head.mean((0, 1))
    spread = (squares / n - mean.square()).clamp(min=0).sqrt()
    return AttentionMap(names, mean.numpy(), spread.numpy(), count.numpy().astype(int), by_head.numpy())


def modality_mass(fused: Fused, names: tuple[str, ...]) -> tuple[Tensor | None, Tensor]:
    """Sum a batch's weights over the tokens of each modality.

    Args:
        fused: with `weights` of every layer.
        names: (M,) the modalities, in the order of the network.

    Returns:
        Mass (B, L, H, M, M) in float64, or None without attention; and which modality asked, (B, M).
    """
    assert isinstance(fused.weights, list)
    batch = fused.pooled.shape[0]
    layers = [layer for layer in fused.weights if layer]
    if not layers:
        return None, torch.zeros(batch, len(names))
    widths = {name: tokens.shape[-2] for name, tokens in fused.tokens.items()}
    at = {name: i for i, name in enumerate(names)}
    heads = next(iter(layers[0].values())).shape[1]
    mass = torch.zeros(batch, len(layers), heads, len(names), len(names), dtype=torch.float64)
    edges = torch.zeros(batch, len(names), dtype=torch.float64)  # edges through which a modality asked
    for depth, layer in enumerate(layers):
        for edge, weights in layer.items():
            here = _edge_mass(edge, weights.double().cpu(), widths)
            for (asking, asked), share in here.items():
                mass[:, depth, :, at[asking], at[asked]] += share
            if depth == 0:
                for asking in edge.query_names:
                    if asking in widths:
                        edges[:, at[asking]] += _asks(here, asking)
    return mass / edges.clamp(min=1)[:, None, None, :, None], edges > 0


def _edge_mass(edge: Edge, weights: Tensor, widths: dict[str, int]) -> dict[tuple[str, str], Tensor]:
    """(asking, asked) -> (B, H): the share of one edge, averaged over the asking tokens that are there."""
    rows = [(n, w) for n, w in widths.items() if n in edge.query_names]
    columns = [(n, w) for n, w in widths.items() if n in edge.context_names]
    shares: dict[tuple[str, str], Tensor] = {}
    for asking, block in zip([n for n, _ in rows], torch.split(weights, [w for _, w in rows], 2), strict=True):
        asks = block.sum(-1) > 0  # (B, H, Q): a token that is absent, or has nobody to ask, has no weights
        tokens = asks.sum(2).clamp(min=1)
        for asked, part in zip([n for n, _ in columns], torch.split(block, [w for _, w in columns], 3), strict=True):
            shares[asking, asked] = part.sum((2, 3)) / tokens
    return shares


def _asks(shares: dict[tuple[str, str], Tensor], asking: str) -> Tensor:
    """(B,): 1 where the modality looked at anything through this edge."""
    seen = torch.stack([share for (who, _), share in shares.items() if who == asking]).sum(0)
    return (seen.amax(1) > 0).double()
