"""One row of a fitted model's attention, worked out by hand: which numbers made this token look there?

Shapes: Q and K tokens of an edge, d width of a head.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

import numpy as np
import torch
from torch import Tensor

from intermodal.errors import InputError
from intermodal.explain.trace import Trace, trace
from intermodal.nn.layer import FusionLayer
from intermodal.nn.network import FusionNetwork
from intermodal.spec import Edge


@dataclass(frozen=True)
class Worked:
    """The arithmetic of one query of a model.

    Attributes:
        trace: the steps; the keys are called by their modality and place.
        weights: (K,) what the model itself computed, in its own precision.
        edge: who asks whom.
        query: the asking token, by its modality and place.
        layer: counted from 0.
        head: counted from 0 over all members.
    """

    trace: Trace
    weights: np.ndarray
    edge: Edge
    query: str
    layer: int
    head: int

    @property
    def difference(self) -> float:
        """The largest difference between the model's weights and the exact ones."""
        return float(np.abs(self.trace.weights.reshape(-1) - self.weights).max(initial=0.0))


def worked(
    network: FusionNetwork,
    x: Mapping[str, Tensor],
    present: Mapping[str, Tensor] | None = None,
    *,
    edge: Edge | None = None,
    layer: int = -1,
    head: int | None = None,
    token: int | None = None,
) -> Worked:
    """Work out one row of attention of one sample.

    Args:
        network: fitted, in evaluation mode.
        x: name -> (1, D) or (1, T, D), one sample.
        present: name -> bool (1,) or (1, T).
        edge: who asks whom; the first edge of the spec that has something to look at by default.
        layer: which, from 0 or from the end.
        head: which, over all members; the one that looks hardest at one key by default.
        token: place of the asking token among those of the edge; the one that looks hardest by default.

    Returns:
        The trace, and beside it the weights of the model.

    Raises:
        InputError: nobody asks anybody in this sample.

    Example:
        >>> network = FusionNetwork("a -> b", {"a": 3, "b": 2}, d_model=8, n_heads=2).eval()
        >>> row = worked(network, {"a": torch.ones(1, 3), "b": torch.ones(1, 5, 2)})
        >>> row.query, row.trace.key_names[:2], row.difference < 1e-6
        ('a', ('b 1', 'b 2'), True)
    """
    layer = range(len(network.layers))[layer] if network.layers else 0
    with torch.no_grad():
        fused = network(x, present, need_weights="layers")
        seen = cast(list[dict[Edge, Tensor]], fused.weights)
        edge = _first(seen[layer] if seen else {}, edge)
        weights = seen[layer][edge][0]  # (H, Q, K)
        best = weights.amax(-1)
        if head is None:
            head = int((best.amax(1) if token is None else best[:, token]).argmax())
        token = int(best[head].argmax()) if token is None else token
        asking, asked, (q, k, v), keep = _projected(network, x, present or {}, edge, layer, head)
    row = trace(
        q[token].tolist(),
        k.tolist(),
        v.tolist(),
        keep=keep.tolist(),
        names={"keys": asked, "queries": [asking[token]]},
    )
    return Worked(row, weights[head, token].double().cpu().numpy(), edge, asking[token], layer, head)


def _first(weights: Mapping[Edge, Tensor], edge: Edge | None) -> Edge:
    """The edge that was asked for, or the first along which anybody looks at anything."""
    for one, seen in weights.items():
        if edge in (None, one) and float(seen.sum()) > 0:
            return one
    who = "nobody asks anybody" if edge is None else f'nobody asks along "{edge}"'
    raise InputError(f"a row of attention is worked out where somebody asks, however: {who} in this sample")


def _projected(
    network: FusionNetwork, x: Mapping[str, Tensor], present: Mapping[str, Tensor], edge: Edge, layer: int, head: int
) -> tuple[list[str], list[str], tuple[Tensor, Tensor, Tensor], Tensor]:
    """Names of the tokens of both sides, their projections in one head (Q, d), (K, d), (K, d), and who is there."""
    tokens, there, places = network._encode(x, present)
    if network.n_members > 1:
        tokens = (network.member_scale[:, None, None] * tokens).flatten(0, 1)
        there = None if there is None else there.repeat(network.n_members, 1)
    stack = cast(list[FusionLayer], list(network.layers))
    for below in stack[:layer]:
        tokens, _ = below(tokens, there, places)
    own = stack[layer]
    attention = own._attention(0 if own.tie else own.edges.index(edge))
    member, head = divmod(head, attention.n_heads)
    rows = {
        side: [n for n in places if n in names] for side, names in enumerate((edge.query_names, edge.context_names))
    }
    at = {side: [i for n in names for i in range(places[n].start, places[n].stop)] for side, names in rows.items()}
    normed = own.norm_ask(tokens[member : member + 1])
    q, k, v = attention.q_proj(normed), attention.k_proj(normed), attention.v_proj(normed)
    q, k, v = (attention.split(t)[0, head][at[side]] for t, side in ((q, 0), (k, 1), (v, 1)))
    keep = torch.ones(len(k), dtype=torch.bool) if there is None else there[member, at[1]]
    names = [[name for n in rows[side] for name in _token_names(n, places[n])] for side in (0, 1)]
    return names[0], names[1], (q, k, v), keep


def _token_names(name: str, place: slice) -> list[str]:
    n = place.stop - place.start
    return [name] if n == 1 else [f"{name} {i + 1}" for i in range(n)]
