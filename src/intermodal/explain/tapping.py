"""Stand between a fusion layer and its answer: change what it attends with, or reach the weights that it really used.

The weights that a network returns are cut to its edges after they were used: no gradient leads through them.

Shapes: P passes, H heads, Q queries of an edge or of several, K keys.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from torch import Tensor

from intermodal.explain.joint import Places, rows_of
from intermodal.nn.layer import FusionLayer
from intermodal.nn.network import FusionNetwork
from intermodal.spec import Edge

Used = dict[int, Tensor]
"""Group of edges that ask one context -> the weights (P, H, Q, K) of all who ask."""

Answer = Callable[..., Any]
"""What a `FusionLayer` does for one context: the number of its group, q, k, v, who is there and so on."""


@contextmanager
def answering(layers: Sequence[Any], stand_in: Callable[[int, Answer], Answer]) -> Iterator[None]:
    """Let another answer for each layer inside the `with`: `stand_in` of its number and of what it does by itself."""
    before = [layer.__dict__.get("_answer") for layer in layers]
    try:
        for depth, layer in enumerate(layers):
            layer.__dict__["_answer"] = stand_in(depth, layer._answer)
        yield
    finally:
        for layer, own in zip(layers, before, strict=True):
            layer.__dict__.pop("_answer", None)
            if own is not None:
                layer.__dict__["_answer"] = own


@contextmanager
def tapped(network: FusionNetwork) -> Iterator[list[Used]]:
    """Collect, layer by layer, the weights that are used inside the `with`."""
    used: list[Used] = [{} for _ in network.layers]

    def collecting(depth: int, answer: Answer) -> Answer:
        def answered(i: int, *args: Any) -> Any:
            result = answer(i, *args)
            used[depth][i] = result[2]
            return result

        return answered

    with answering(list(network.layers), collecting):
        yield used


def by_edge(layer: FusionLayer, groups: Mapping[int, Tensor], places: Places) -> dict[Edge, Tensor]:
    """Cut what belongs to a group, (P, H, Q, K), to its edges."""
    found: dict[Edge, Tensor] = {}
    for i, values in groups.items():
        at = 0
        for edge in layer.groups[i]:
            n = len(rows_of(edge.query_names, places))
            if n:
                found[edge] = values[:, :, at : at + n]
            at += n
    return found
