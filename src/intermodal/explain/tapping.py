"""Reach the weights that a fusion layer really used, with the graph from them to the answer.

The weights that a network returns are cut to its edges after they were used: no gradient leads through them.

Shapes: P passes, H heads, Q queries of an edge or of several, K keys.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from torch import Tensor

from intermodal.explain.joint import Places, rows_of
from intermodal.nn.layer import FusionLayer
from intermodal.nn.network import FusionNetwork
from intermodal.spec import Edge

Used = dict[int, Tensor]
"""Group of edges that ask one context -> the weights (P, H, Q, K) of all who ask."""


@contextmanager
def tapped(network: FusionNetwork) -> Iterator[list[Used]]:
    """Collect, layer by layer, the weights that are used inside the `with`."""
    used: list[Used] = [{} for _ in network.layers]
    layers: list[Any] = list(network.layers)
    before = [layer.__dict__.get("_answer") for layer in layers]
    try:
        for layer, groups in zip(layers, used, strict=True):
            layer.__dict__["_answer"] = _collecting(layer._answer, groups)
        yield used
    finally:
        for layer, own in zip(layers, before, strict=True):
            layer.__dict__.pop("_answer", None)
            if own is not None:
                layer.__dict__["_answer"] = own


def _collecting(answer: Any, groups: Used) -> Any:
    def collecting(i: int, *args: Any) -> Any:
        result = answer(i, *args)
        groups[i] = result[2]
        return result

    return collecting


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
