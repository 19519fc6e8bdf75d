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
        InputError: nobody asks anybody in this sample, or there is no such layer.

    Example:
        >>> network = FusionNetwork("a -> b", {"a": 3, "b": 2}, d_model=8, n_heads=2).eval()
        >>> row = worked(network, {"a": torch.ones(1, 3), "b": torch.ones(1, 5, 2)})
        >>> row.query, row.trace.key_names[:2], row.difference < 1e-6
        ('a', ('b 1', 'b 2'), True)
    """
    n = len(network.layers)
    if n and not -n <= layer < n:
        raise InputError(f"layer is one of the network's {n}, counted from 0 or back from -1, however: {layer=}")
    layer %= max(1, n)
    with torch.no_grad():
        fused = network(x, present, need_weights="layers")
        seen = cast(list[dict[Edge, Tensor]], fused.weights)
        edge = _first(seen[layer] if seen else {}, edge)
        weights = seen[layer][edge][0]  # (H, Q, K)
        best = weights.amax(-1)
        if head is None:
            head = int((best.amax(1) if token is None else best[:, token]).argmax())
        token = int(best[head].argmax()) if token is None else token
        asking = network.asking(x, present, edge=edge, layer=layer)
    q, k, v = (t[0, head] for t in (asking.q, asking.k, asking.v))
    keep = torch.ones(len(k), dtype=torch.bool) if asking.keep is None else asking.keep[0, 0, 0]
    query = _token_names(asking.query)[token]
    row = trace(
        q[token].tolist(),
        k.tolist(),
        v.tolist(),
        keep=keep.tolist(),
        names={"keys": _token_names(asking.context), "queries": [query]},
    )
    return Worked(row, weights[head, token].double().cpu().numpy(), edge, query, layer, head)


def _first(weights: Mapping[Edge, Tensor], edge: Edge | None) -> Edge:
    """The edge that was asked for, or the first along which anybody looks at anything."""
    for one, seen in weights.items():
        if edge in (None, one) and float(seen.sum()) > 0:
            return one
    who = "nobody asks anybody" if edge is None else f'nobody asks along "{edge}"'
    raise InputError(f"a row of attention is worked out where somebody asks, however: {who} in this sample")


def _token_names(places: Mapping[str, slice]) -> list[str]:
    """What the tokens of one side are called: by the modality, and by their number where it has several."""
    counts = {name: place.stop - place.start for name, place in places.items()}
    return [name if n == 1 else f"{name} {i + 1}" for name, n in counts.items() for i in range(n)]
