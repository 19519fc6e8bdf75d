"""How many tokens each sample brings along, read from shapes and lengths alone.

Shapes: N samples, T tokens, D width.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from intermodal.data.modality import Modality
from intermodal.data.samples import Samples
from intermodal.errors import InputError
from intermodal.nn.attention import Attention
from intermodal.nn.encoders import Encoder
from intermodal.nn.network import FusionNetwork
from intermodal.spec import Edge

Shape = tuple[int, ...]


def shape_of(x: Any) -> Shape:
    """Return the shape of a tensor or array, or the shape that was given in its place.

    Raises:
        InputError: neither.

    Example:
        >>> shape_of(np.zeros((2, 3))), shape_of((5, 7, 11))
        ((2, 3), (5, 7, 11))
    """
    if hasattr(x, "shape"):
        return tuple(int(n) for n in x.shape)
    if isinstance(x, list | tuple) and x and all(isinstance(n, int) for n in x):
        return tuple(x)
    raise InputError(f"a shape is read from a tensor, an array or a tuple of sizes, however: {type(x).__name__}")


def shapes_of(X: Any) -> list[Shape]:
    """Return the shapes of what a module is called with: one tensor or shape, or several of them.

    Example:
        >>> shapes_of((2, 3, 5)), shapes_of(((2, 3, 5), np.zeros((2, 7, 5))))
        ([(2, 3, 5)], [(2, 3, 5), (2, 7, 5)])
    """
    several = isinstance(X, tuple | list) and not all(isinstance(n, int) for n in X)
    return [shape_of(x) for x in (X if several else (X,))]


def has_shapes(X: Any) -> bool:
    """Tell whether this is a mapping of tensors, arrays or shapes, of which no value need be read.

    Example:
        >>> has_shapes({"a": (2, 3)}), has_shapes({"a": [[1.0]]})
        (True, False)
    """
    return isinstance(X, Mapping) and all(hasattr(x, "shape") or isinstance(x, tuple) for x in X.values())


def token_counts(network: FusionNetwork, X: Any) -> dict[str, np.ndarray]:
    """Count the tokens that the network makes of each modality of each sample.

    Args:
        network: its encoders say how many tokens a vector becomes, and how many neighbours are joined.
        X: samples, or a mapping name -> tensor, array, list or shape.

    Returns:
        name -> (N,) tokens that are there; 0 where a modality is missing, unless a learned token stands in.

    Example:
        >>> network = FusionNetwork("a -> b", {"a": 3, "b": 2}, d_model=8, n_tokens={"a": 4}, stride={"b": 3})
        >>> {n: c.tolist() for n, c in token_counts(network, {"a": (2, 3), "b": (2, 7, 2)}).items()}
        {'a': [4, 4], 'b': [3, 3]}
    """
    known = _from_shapes(network, X) if has_shapes(X) else _from_samples(network, Samples.of(X, nan="impute"))
    n = max((len(c) for c in known.values()), default=0)
    counts = {name: known.get(name, np.zeros(n, dtype=int)) for name in network.names}
    if network.absent is not None:
        counts = {name: np.maximum(c, 1) for name, c in counts.items()}
    return counts


def keys_along(edge: Edge, counts: Mapping[str, np.ndarray]) -> np.ndarray:
    """Return the keys (N,) that each sample's queries see along an edge; 0 where nobody can ask there.

    Example:
        >>> keys_along(Edge("a", ("a", "b")), {"a": np.array([1, 0]), "b": np.array([4, 4])}).tolist()
        [5, 0]
    """
    asking = np.sum([counts[name] for name in edge.query_names], axis=0)
    asked = np.sum([counts[name] for name in edge.context_names], axis=0)
    return np.asarray(np.where(asking > 0, asked, 0))


def weights_per_sample(network: FusionNetwork, X: Any, rows: np.ndarray) -> int:
    """Return the most weights that a sample among `rows` has, over all edges and heads of a layer.

    Example:
        >>> network = FusionNetwork("a -> b", {"a": 3, "b": 2}, d_model=8, n_heads=2)
        >>> weights_per_sample(network, {"a": (5, 7, 3), "b": (5, 11, 2)}, np.arange(5))
        154
    """
    counts = {name: c[rows] for name, c in token_counts(network, X).items()}
    sides = [[sum(counts[n] for n in side) for side in (e.query_names, e.context_names)] for e in network.spec.edges]
    pairs = sum(np.asarray(asking) * np.asarray(asked) for asking, asked in sides)
    heads = max((m.n_heads for m in network.modules() if isinstance(m, Attention)), default=0)
    return int(np.max(pairs, initial=0)) * heads * network.n_members


def _from_shapes(network: FusionNetwork, X: Mapping[str, Any]) -> dict[str, np.ndarray]:
    counts = {}
    for name, x in X.items():
        shape = shape_of(x)
        if name in network.names:
            length = 1 if len(shape) < 3 else shape[1]
            counts[name] = _tokens(_encoder(network, name), np.full(shape[0], length), vector=len(shape) < 3)
    return counts


def _from_samples(network: FusionNetwork, samples: Samples) -> dict[str, np.ndarray]:
    counts = {}
    for m in map(samples.modality, samples.names):
        if m.name in network.names:
            encoder = _encoder(network, m.name)
            if m.token_present is not None:
                counts[m.name] = _runs(m, encoder.stride)
            else:
                counts[m.name] = _tokens(encoder, m.lengths, vector=m.kind == "vector") * m.present
    return counts


def _runs(m: Modality, stride: int) -> np.ndarray:
    """Runs of neighbours, counted from the first token that is there, in which any token is there (N,)."""
    assert m.offsets is not None and m.token_present is not None
    at = np.flatnonzero(m.token_present)
    sample = np.searchsorted(m.offsets, at, side="right") - 1
    first = np.full(len(m), len(m.token_present))
    np.minimum.at(first, sample, at)
    runs = np.unique(np.stack([sample, (at - first[sample]) // stride]), axis=1)
    return np.bincount(runs[0], minlength=len(m))


def _tokens(encoder: Encoder, lengths: np.ndarray, *, vector: bool) -> np.ndarray:
    return np.full(len(lengths), encoder.n_tokens) if vector else -(-lengths // encoder.stride)


def _encoder(network: FusionNetwork, name: str) -> Encoder:
    encoder = network.encoders[network.names.index(name)]
    assert isinstance(encoder, Encoder)
    return encoder
