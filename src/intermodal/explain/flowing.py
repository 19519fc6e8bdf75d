"""Attention as pipes: the most that could flow from a token at the end to one at the start.

Shapes: L layers, S tokens of all modalities, M modalities.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import Tensor, from_numpy

from intermodal.errors import InputError
from intermodal.explain.joint import OverTokens, by_modality, read_layers
from intermodal.explain.provenance import Provenance
from intermodal.explain.rolling import provenance_of, residual_graph

MOST = 20_000_000
"""Pipes times pairs of tokens up to which flow is worked out: about a minute."""


@dataclass(frozen=True)
class Flow(OverTokens):
    """The most that could flow between every two tokens.

    Attributes:
        tokens: modality -> how many tokens it has; rows and columns lie in this order.
        raw: (S, S), from a token at the end (row) to one at the start (column); each pair by itself, so that a row
            may sum to more than 1.
        weights: (S, S), `raw` with every row divided by its sum.
        modality: (M, M) of `weights`, averaged over the tokens of a row, summed over those of a column.
        residual: the share of a token that it keeps in every layer.
        provenance: what was read.
    """

    tokens: dict[str, int]
    raw: np.ndarray
    weights: np.ndarray
    modality: np.ndarray
    residual: float
    provenance: Provenance


def flow(layers: Any, *, residual: float = 0.5, tokens: Mapping[str, int] | None = None) -> Flow:
    """Work out the maximum flow through the graph of attention, for every token at the end and every one at the start.

    The graph is that of `rollout`: what a token takes from another in a layer is the capacity of a pipe between them.

    Args:
        layers: from the first to the last, as in `rollout`.
        residual: the share that a token keeps, 0 to 1.
        tokens: modality -> how many tokens it has, in their order; needed where a side joins modalities.

    Raises:
        InputError: as `rollout`; or pipes times pairs are more than `MOST`.

    Source: Abnar and Zuidema 2020, Quantifying Attention Flow in Transformers, section 3, and their code for dividing
    a row by its sum.

    Relation: `rollout` multiplies along a path where flow takes the narrowest pipe, and costs next to nothing.

    Example:
        >>> found = flow([[[.7, .3], [.4, .6]], [[.5, .5], [.1, .9]]])
        >>> found.raw.round(2).tolist(), found.weights.round(6).tolist()
        ([[0.95, 0.4], [0.25, 0.85]], [[0.703704, 0.296296], [0.227273, 0.772727]])
    """
    graph = read_layers(layers, tokens)
    pipes = residual_graph(graph, residual)
    raw = _flows(pipes)
    weights = raw / raw.sum(1, keepdims=True)
    modality = by_modality(from_numpy(weights), graph.places).numpy()
    return Flow(graph.tokens, raw, weights, modality, residual, provenance_of(graph))


def _flows(layers: list[Tensor]) -> np.ndarray:
    import networkx as nx
    from networkx.algorithms.flow import build_residual_network, shortest_augmenting_path

    s, depth = layers[0].shape[0], len(layers)
    pipes = nx.DiGraph()
    pipes.add_nodes_from((level, token) for level in range(depth + 1) for token in range(s))
    for level, layer in enumerate(layers, 1):
        for upper, lower in layer.nonzero().tolist():
            pipes.add_edge((level, upper), (level - 1, lower), capacity=float(layer[upper, lower]))
    n, pairs = pipes.number_of_edges(), s * s
    if n * pairs > MOST:
        raise InputError(
            f"flow takes at most {MOST:,} pipes times pairs of tokens, however: {n:,} x {pairs:,} = {n * pairs:,} "
            f"({depth} layers, {s} tokens); rollout reads the same graph at once"
        )
    room = build_residual_network(pipes, "capacity")
    found = np.zeros((s, s))
    for upper in range(s):
        for lower in range(s):
            ends = ((depth, upper), (0, lower))
            found[upper, lower] = nx.maximum_flow_value(pipes, *ends, flow_func=shortest_augmenting_path, residual=room)
    return found
