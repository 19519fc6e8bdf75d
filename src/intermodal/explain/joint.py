"""One graph over the tokens of all modalities: every layer a square matrix, whoever asked whom in it.

Shapes: L layers, S tokens of all modalities, M modalities, H heads, Q and K tokens of an edge; `...` samples.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from intermodal.errors import InputError, did_you_mean
from intermodal.explain.suspecting import cause
from intermodal.spec import EACH, Edge, Spec

TOLERANCE = 1e-3
"""How far a row may be from summing to 1."""

Places = Mapping[str, slice]


class OverTokens:
    """A matrix over the tokens of all modalities, that is read by their names."""

    tokens: dict[str, int]
    weights: np.ndarray

    @property
    def names(self) -> tuple[str, ...]:
        """The modalities, in the order of rows and columns."""
        return tuple(self.tokens)

    def between(self, query: str, context: str) -> np.ndarray:
        """Return the block (Q, K) of two modalities, of `weights`.

        Raises:
            InputError: one of them is none of the modalities.
        """
        for name in (query, context):
            if name not in self.tokens:
                raise InputError(
                    f'a block lies between modalities, however: "{name}"' + did_you_mean(name, self.tokens)
                )
        places = places_of(self.tokens)
        return np.asarray(self.weights[places[query], places[context]])


@dataclass(frozen=True)
class Graph:
    """Layers of attention, read: each edge by itself, (H, Q, K), and where the tokens lie.

    Attributes:
        tokens: modality -> how many tokens it has; their order is the order of the graph.
        layers: for each layer, edge -> (H, Q, K) in float64.
        dtype: of the numbers as they came.
        heads: heads of every edge; None where they had been averaged before.
    """

    tokens: dict[str, int]
    layers: list[dict[Edge, Tensor]]
    dtype: str
    heads: int | None

    @property
    def places(self) -> dict[str, slice]:
        """Where the tokens of each modality lie."""
        return places_of(self.tokens)

    @property
    def kind(self) -> str:
        """The kind of its attention: `self` where one edge asks itself, otherwise `joint`."""
        return "self" if all(e.is_self for layer in self.layers for e in layer) else "joint"

    @property
    def read_as(self) -> str:
        """How heads were treated, for the provenance."""
        return "averaged before" if self.heads is None else f"mean of {self.heads}"


def read_layers(layers: Any, tokens: Mapping[str, int] | None, *, weights: bool = True) -> Graph:
    """Read layers of attention, square or edge by edge.

    Args:
        layers: (L, T, T) or (L, H, T, T), or a list of (T, T) or (H, T, T); or for each layer a mapping of an edge to
            (Q, K) or (H, Q, K), where an edge is an `Edge`, a pair (query, context) or a text as "text -> video".
        tokens: modality -> how many tokens it has; needed where a side joins modalities, whose tokens lie in this
            order. One modality called "tokens" for square layers without it.
        weights: check that the rows are weights.

    Raises:
        InputError: a layer cannot be read, does not fit the tokens, or holds no weights.
    """
    parts = _parts(layers)
    if all(isinstance(part, Mapping) for part in parts):
        read = [{_edge(key, tokens): _numbers(value) for key, value in part.items()} for part in parts]
    elif any(isinstance(part, Mapping) for part in parts):
        raise InputError("layers are all square arrays or all mappings of edges, however: both came")
    else:
        read, tokens = _square([_numbers(part) for part in parts], tokens)
    dtypes = {dtype for layer in read for _, dtype in layer.values()}
    edges = [{edge: value for edge, (value, _) in layer.items()} for layer in read]
    counts = _counts(edges, tokens)
    heads = {value.shape[0] if value.ndim == 3 else None for layer in edges for value in layer.values()} or {None}
    if len(heads) > 1:
        raise InputError(f"every edge has the same heads, however: {sorted(h or 1 for h in heads)}")
    edges = [{e: v if v.ndim == 3 else v[None] for e, v in layer.items()} for layer in edges]
    for i, layer in enumerate(edges):
        for edge, value in layer.items():
            _check(value, edge, i, counts, weights)
    return Graph(counts, edges, ", ".join(sorted(dtypes)), heads.pop())


def places_of(tokens: Mapping[str, int]) -> dict[str, slice]:
    """Return where the tokens of each modality lie, one modality behind the other.

    Example:
        >>> places_of({"text": 2, "video": 3})
        {'text': slice(0, 2, None), 'video': slice(2, 5, None)}
    """
    ends = np.cumsum(list(tokens.values())).tolist()
    return {name: slice(end - n, end) for (name, n), end in zip(tokens.items(), ends, strict=True)}


def rows_of(names: Iterable[str], places: Places) -> Tensor:
    """Return the positions of these modalities in the graph, in its order whatever the order of the names."""
    names = set(names)
    every = "*" in names
    runs = [torch.arange(place.start, place.stop) for name, place in places.items() if every or name in names]
    return torch.cat(runs) if runs else torch.zeros(0, dtype=torch.long)


def joined(layer: Mapping[Edge, Tensor], places: Places, like: Tensor) -> Tensor:
    """Add the edges of a layer (..., Q, K) up in one matrix (..., S, S).

    The row of a token sums to the number of edges through which it looked at anything: divided by its sum it is their
    mean, which is what a token of a `FusionLayer` takes. A token that asks nobody has a row of zeros.

    Args:
        layer: edge -> (..., Q, K).
        places: modality -> where its tokens lie.
        like: (..., S, S), what the result looks like.
    """
    total = torch.zeros_like(like)
    for edge, weights in layer.items():
        rows, columns = rows_of(edge.query_names, places), rows_of(edge.context_names, places)
        total[..., rows[:, None], columns] += weights
    return total


def by_modality(matrix: Tensor, places: Places, there: Tensor | None = None) -> Tensor:
    """Sum (..., S, S) over the tokens looked at and average over those that look: (..., M, M).

    Args:
        matrix: a row looks, a column is looked at.
        places: modality -> where its tokens lie.
        there: bool (..., S), the tokens that are there; all by default. A modality without any has a row of zeros.
    """
    summed = torch.stack([matrix[..., place].sum(-1) for place in places.values()], -1)  # (..., S, M)
    there = torch.ones(matrix.shape[:-1], dtype=torch.bool) if there is None else there
    share = there.to(matrix.dtype)
    means = []
    for place in places.values():
        weight = share[..., place] / share[..., place].sum(-1, keepdim=True).clamp(min=1)
        means.append((weight.unsqueeze(-1) * summed[..., place, :]).sum(-2))
    return torch.stack(means, -2)


# --- reading --------------------------------------------------------------------------------------


def _parts(layers: Any) -> list[Any]:
    if isinstance(layers, Tensor | np.ndarray) and layers.ndim not in (3, 4):
        raise InputError(f"layers are (L, T, T) or (L, H, T, T), however: {tuple(layers.shape)=}")
    if isinstance(layers, Mapping | str) or not isinstance(layers, Iterable):
        raise InputError(f"layers are a list, one entry a layer, however: {type(layers).__name__} came")
    parts = list(layers)
    if not parts or any(part is None for part in parts):
        raise InputError(f"layers hold at least one layer of attention, however: {'None' if parts else 'none'} came")
    return parts


def _edge(key: Any, tokens: Mapping[str, int] | None) -> Edge:
    if isinstance(key, str):
        edges = Spec.parse(key, tokens).edges
        if len(edges) != 1:
            raise InputError(f'a key of a layer is one edge, however: "{key}" is {len(edges)}')
        key = edges[0]
    elif not isinstance(key, Edge):
        if not isinstance(key, tuple) or len(key) != 2:
            raise InputError(f"a key of a layer is an Edge, a pair (query, context) or a text, however: {key!r}")
        key = Edge(*key)
    if EACH in (key.query, key.context):
        raise InputError(f'a key of a layer is one edge, however: "*" stands for several in {key}')
    return key


def _numbers(value: Any) -> tuple[Tensor, str]:
    if isinstance(value, Tensor):
        read, dtype = value.detach().double().cpu(), str(value.dtype).removeprefix("torch.")
    else:
        try:
            array = np.asarray(value)
            read, dtype = torch.from_numpy(array.astype(np.float64)), str(array.dtype)
        except (TypeError, ValueError):
            raise InputError("attention is an array of numbers, however: this is ragged, or something else") from None
    if read.ndim not in (2, 3):
        raise InputError(f"attention is (Q, K) or (H, Q, K), however: {tuple(read.shape)}")
    return read, dtype


def _square(
    parts: Sequence[tuple[Tensor, str]], tokens: Mapping[str, int] | None
) -> tuple[list[dict[Edge, tuple[Tensor, str]]], Mapping[str, int]]:
    shapes = {tuple(value.shape[-2:]) for value, _ in parts}
    first = next(iter(shapes))
    if len(shapes) > 1 or first[0] != first[1]:
        raise InputError(
            f"square layers have one size (T, T), however: {', '.join(map(str, sorted(shapes)))}; attention between "
            'other sequences is given edge by edge, as {"text -> video": weights}'
        )
    tokens = {"tokens": first[0]} if tokens is None else tokens
    names = tuple(tokens)
    return [{Edge(names, names): part} for part in parts], tokens


def _counts(layers: list[dict[Edge, Tensor]], tokens: Mapping[str, int] | None) -> dict[str, int]:
    """How many tokens each modality has: as given, or as the edges between single modalities tell."""
    if tokens is not None:
        return {name: int(n) for name, n in tokens.items()}
    counts: dict[str, int] = {}
    for layer in layers:
        for edge, value in layer.items():
            for names, n in zip((edge.query_names, edge.context_names), value.shape[-2:], strict=True):
                if len(names) > 1 or names == ("*",):
                    raise InputError(
                        f"a side that joins modalities needs tokens=, how many each has in their order, however: {edge}"
                    )
                counts.setdefault(names[0], n)
    return counts


def _check(value: Tensor, edge: Edge, layer: int, tokens: dict[str, int], weights: bool) -> None:
    sizes = []
    for names in (edge.query_names, edge.context_names):
        unknown = [n for n in names if n not in tokens and n != "*"]
        if unknown:
            raise InputError(f'edges name modalities of tokens=, however: "{unknown[0]}" in {edge}, {tokens=}')
        sizes.append(sum(n for name, n in tokens.items() if name in names or "*" in names))
    where = f"{edge} in layer {layer}"
    if tuple(value.shape[-2:]) != tuple(sizes):
        raise InputError(
            f"attention fits the tokens, {tuple(sizes)} for {where}, however: {tuple(value.shape[-2:])}, {tokens=}"
        )
    if not bool(value.isfinite().all()):
        raise InputError(f"attention is finite, however: {where} holds {value[~value.isfinite()][0].item()}")
    if weights:
        sums = value.sum(-1)
        if bool(((sums - 1).abs() > TOLERANCE).logical_and((value != 0).any(-1)).any()) or bool((value < 0).any()):
            raise InputError(
                f"a row of attention sums to 1, or is zero where nobody asks, however: {where} has rows that sum to "
                f"{sums.min():.6g} .. {sums.max():.6g}; {cause(value.numpy(), TOLERANCE)}"
            )
