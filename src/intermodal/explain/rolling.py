"""Attention through all layers: rollout, over one sequence or over the joint graph of several modalities.

Shapes: L layers, S tokens of all modalities, M modalities, T, Q and K tokens, H heads, B samples.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from intermodal.errors import InputError
from intermodal.explain.attention_maps import AttentionMap
from intermodal.explain.joint import Graph, OverTokens, by_modality, joined, read_layers
from intermodal.explain.provenance import Provenance
from intermodal.explain.running import Run, runs
from intermodal.explain.tallying import Tally


@dataclass(frozen=True)
class Rollout(OverTokens):
    """How much of every input token is in every token at the end, if attention were all that mixes them.

    Attributes:
        tokens: modality -> how many tokens it has; rows and columns lie in this order.
        weights: (S, S), a row is a token at the end and sums to 1, a column is a token at the start.
        modality: (M, M), averaged over the tokens of a row, summed over those of a column.
        residual: the share of a token that it keeps in every layer.
        provenance: what was read.
    """

    tokens: dict[str, int]
    weights: np.ndarray
    modality: np.ndarray
    residual: float
    provenance: Provenance


def rollout(layers: Any, *, residual: float = 0.5, tokens: Mapping[str, int] | None = None) -> Rollout:
    """Follow attention through the layers.

    In every layer a token keeps `residual` of itself and takes the rest from those it looks at; what it holds at the
    end is the product over the layers. A token that asks nobody keeps itself whole. A token that several edges serve
    takes their mean, as `FusionLayer` does. Heads are averaged.

    Shape:
        layers (L, T, T) or (L, H, T, T), or for each layer edge -> (Q, K) or (H, Q, K) -> weights (S, S).

    Args:
        layers: from the first to the last. An edge is an `Edge`, a pair (query, context) or a text "text -> video".
        residual: the share that a token keeps, 0 to 1.
        tokens: modality -> how many tokens it has, in their order; needed where a side joins modalities.

    Raises:
        InputError: a layer cannot be read, does not fit the tokens, or holds no weights.

    Source: Abnar and Zuidema 2020, Quantifying Attention Flow in Transformers, section 3, with residual 1/2. The
    graph of several modalities with rectangular attention between them is ours; on one sequence it is theirs.

    Relation: `flow` asks the same graph for the most that could flow; `rollout_of` does this for a fitted model.

    Example:
        >>> rollout([[[.7, .3], [.4, .6]], [[.5, .5], [.1, .9]]]).weights
        array([[0.6875, 0.3125],
               [0.2325, 0.7675]])
        >>> rolled = rollout([{"text -> video": [[.2, .8], [.6, .4]]}, {"text -> text": [[.5, .5], [.5, .5]]}])
        >>> rolled.names, rolled.modality.tolist()
        (('text', 'video'), [[0.5, 0.5], [0.0, 1.0]])
    """
    graph = read_layers(layers, tokens)
    matrix = rolled(residual_graph(graph, residual))
    modality = by_modality(matrix, graph.places).numpy()
    return Rollout(graph.tokens, matrix.numpy(), modality, residual, provenance_of(graph))


def residual_graph(graph: Graph, residual: float) -> list[Tensor]:
    """Every layer as (S, S), heads averaged, with what a token keeps: rows sum to 1."""
    s = sum(graph.tokens.values())
    like = torch.zeros(s, s, dtype=torch.float64)
    means = [{edge: weights.mean(0) for edge, weights in layer.items()} for layer in graph.layers]
    return [kept(joined(layer, graph.places, like), residual) for layer in means]


def kept(matrix: Tensor, residual: float) -> Tensor:
    """Mix (..., S, S) with what a token keeps; one that asks nobody keeps itself whole.

    A row is divided by its sum: the edges that serve a token are averaged, and what rounding added is put right, so
    that the product of many layers still has rows that sum to 1. A NaN stays one.
    """
    if not 0 <= residual <= 1:
        raise InputError(f"residual is the share that a token keeps, 0 to 1, however: {residual=}")
    sums = matrix.sum(-1, keepdim=True)
    itself = torch.eye(matrix.shape[-1], dtype=matrix.dtype)
    mixed = residual * itself + (1 - residual) * matrix / sums.clamp(min=1e-12)
    return torch.where(sums == 0, itself, mixed)


def rolled(layers: list[Tensor]) -> Tensor:
    """The product of the layers (..., S, S), the last one on the left."""
    product = layers[0]
    for layer in layers[1:]:
        product = layer @ product
    return product


def provenance_of(graph: Graph) -> Provenance:
    """What was read, and how its heads were treated."""
    n = len(graph.layers)
    return Provenance(f"1 to {n}" if n > 1 else "1", graph.kind, None, graph.dtype, graph.read_as)


# --- of a model -----------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class RolloutMap(AttentionMap):
    """An `AttentionMap` through all layers: how much of each modality is in each at the end. `by_head` is None.

    A modality that asks nobody keeps itself; `count` are the samples in which a modality is there.

    Attributes:
        residual: the share of a token that it keeps in every layer.
        provenance: what was read.
        samples: (N, M, M) of every sample, NaN in the rows of a modality that it lacks; None unless asked for.
    """

    residual: float
    provenance: Provenance
    samples: np.ndarray | None = None


def rollout_of(
    model: Any, X: Any, *, residual: float = 0.5, batch_size: int = 64, keep_samples: bool = False
) -> RolloutMap:
    """Follow attention through the layers of a model of this package, modality by modality, over many samples.

    Heads are averaged before; the members of an ensemble are followed each by itself, and averaged after.

    Args:
        model: a fitted estimator, or a `FusionNetwork` (or a module that holds one as `network`).
        X: samples for an estimator; `x` or `(x, present)` as tensors for a module.
        residual: the share that a token keeps in every layer, 0 to 1.
        batch_size: samples at a time; only sums are kept.
        keep_samples: also return every sample's own map.

    Returns:
        The mean and standard deviation over samples.

    Raises:
        InputError: the model holds no `FusionNetwork`, or there is no sample.

    Source: as `rollout`.

    Example:
        >>> from intermodal.nn.network import FusionNetwork
        >>> network = FusionNetwork("text -> video", {"text": 7, "video": 11}, d_model=8).eval()
        >>> x = {"text": torch.randn(2, 3, 7), "video": torch.randn(2, 5, 11)}
        >>> rollout_of(network, x).mean.round(6).tolist()
        [[0.5, 0.5], [0.0, 1.0]]
    """
    tally: Tally | None = None
    for run in runs(model, X, batch_size, what="rollout_of"):
        tally = Tally(run.names, keep_samples) if tally is None else tally
        tally.add(_rolled_run(run, residual).numpy(), run.has.numpy())
        origin = run.provenance
    assert tally is not None
    return RolloutMap(
        names=tally.names,
        mean=tally.mean,
        std=tally.std,
        count=tally.count,
        by_head=None,
        n=tally.n,
        broken=tally.broken,
        residual=residual,
        provenance=origin,
        samples=tally.samples,
    )


def _rolled_run(run: Run, residual: float) -> Tensor:
    """(B, M, M) of a batch, the members of an ensemble averaged."""
    places, there = run.places, run.there
    n, s = there.shape
    parts, averaged = [], run.averaged()
    step = max(1, (1 << 23) // max(1, s * s))  # (samples, S, S) in double precision: 64 MiB at a time
    for i in range(0, n, step):
        like = torch.zeros(len(there[i : i + step]), s, s, dtype=torch.float64)
        layers = [joined({e: w[i : i + step] for e, w in layer.items()}, places, like) for layer in averaged]
        graph = [kept(layer, residual) for layer in layers] or [torch.eye(s, dtype=torch.float64).expand_as(like)]
        parts.append(by_modality(rolled(graph), places, there[i : i + step]))
    return run.over_members(run.in_order(torch.cat(parts)))
