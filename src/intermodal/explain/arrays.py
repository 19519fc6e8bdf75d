"""A map of attention from plain arrays: whatever model they came from.

Shapes: L layers, B samples, H heads, Q queries, K keys, M modalities.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from intermodal.errors import DataWarning, InputError, did_you_mean
from intermodal.explain.attention_maps import AttentionMap
from intermodal.explain.capturing import Seen
from intermodal.explain.provenance import Provenance
from intermodal.explain.segments import read_segments
from intermodal.explain.suspecting import cause, softened_twice
from intermodal.explain.tallying import Running

TOLERANCE = 1e-3
"""How far a row may be from summing to 1; coarser where the numbers themselves are."""

_NAMED = {"L": "layer", "B": "sample", "H": "head", "Q": "query", "K": "key"}
_EAGER = (
    'load the model with attn_implementation="eager" and call it with output_attentions=True: the fused kernels keep '
    "no weights"
)


@dataclass(frozen=True, kw_only=True)
class GivenMap(AttentionMap):
    """An `AttentionMap` read from arrays, with where they come from.

    Attributes:
        provenance: the layer, its kind, and what is odd.
    """

    provenance: Provenance


def from_arrays(
    weights: Any,
    *,
    queries: Mapping[str, Any],
    keys: Mapping[str, Any],
    names: Sequence[str] | None = None,
    axes: str | None = None,
    layer: str = "arrays",
    training: bool | None = None,
) -> GivenMap:
    """Sum weights of any model over the tokens of each modality: who looks at whom.

    Shape:
        weights (Q, K), (H, Q, K), (B, H, Q, K) or (L, B, H, Q, K) -> mean (M, M), by_head (L, H, M, M).

    Args:
        weights: numpy, torch or nested lists of numbers; a list or tuple of arrays is one array a layer, as
            `outputs.attentions` of a Hugging Face model; or what `capture` has seen.
        queries: modality -> its query positions: a slice, a range, positions, a bool array; or a count for each
            modality, one behind the other.
        keys: modality -> its key positions, in the same way. For self-attention both are the same.
        names: the order of the modalities in the map; by default as `queries` and `keys` name them.
        axes: the axes by their letters, where the guess from their number is wrong: "BQK" for (samples, queries,
            keys), as `nn.MultiheadAttention` returns them with its heads averaged.
        layer: what the provenance calls the layer.
        training: whether dropout was on, where it is known.

    Returns:
        The map. A row of weights that is zero asks nobody and counts nowhere.

    Raises:
        InputError: no weights, axes that fit no reading, segments that do not cover the axes, numbers that are not
            finite, or rows that do not sum to 1; the message says which known mistake it looks like.

    Warns:
        DataWarning: the rows sum to 1, but look like weights that went through a second softmax.

    Relation: a fitted model of this package gives its map by `attention_map`.

    Example:
        >>> weights = [[0.5, 0.3, 0.2], [0.1, 0.1, 0.8]]
        >>> found = from_arrays(weights, queries={"text": 2}, keys={"text": [0], "image": slice(1, 3)})
        >>> found.names, found.mean.round(3).tolist()
        (('text', 'image'), [[0.3, 0.7], [nan, nan]])
    """
    arrays, origin = _layers(weights, axes, layer, training)
    n_queries, n_keys = arrays[0].shape[2:]
    at_queries = read_segments(queries, n_queries, what="queries")
    at_keys = read_segments(keys, n_keys, what="keys")
    order = _order(names, [*at_queries, *at_keys])
    mass, asks = _mass(arrays, at_queries, at_keys, order)
    return _summed(order, mass, asks, origin)


# --- reading --------------------------------------------------------------------------------------


def _layers(weights: Any, axes: str | None, layer: str, training: bool | None) -> tuple[list[np.ndarray], Provenance]:
    """Every layer as (B, H, Q, K), checked, and where they come from."""
    given = _one_a_layer(weights)
    seen = [s for s in given if isinstance(s, Seen)]
    arrays, dtypes = zip(*(_numbers(g) for g in given), strict=True)
    if len({array.ndim for array in arrays}) > 1:
        shapes = ", ".join(str(array.shape) for array in arrays)
        raise InputError(f"every layer has the same axes, however: {shapes}")
    letters = "BHQK" if seen else _letters(arrays[0].ndim, axes, len(given) > 1)
    read = [part for array in arrays for part in _by_layer(array, letters)]
    if len({part.shape for part in read}) > 1:
        shapes = ", ".join(map(str, sorted({part.shape for part in read})))
        raise InputError(f"the layers of one map have one shape, however: {shapes}; read each by itself")
    if 0 in read[0].shape:
        raise InputError(f"weights hold at least one number, however: the axes {letters} have {arrays[0].shape}")
    tolerance = max(TOLERANCE, *(_coarseness(d) for d in dtypes))
    for i, part in enumerate(read):
        _check(part, letters, i if len(read) > 1 else None, tolerance)
    notes = [note for s in seen for note in s.notes]
    if letters == "HQK" and axes is None and not seen:
        notes.append('three axes were read as heads, queries and keys; axes="BQK" reads the first as samples')
    notes += _softened(read)
    heads = "each" if "H" in letters else "unknown"
    if seen:
        layer, training = ", ".join(dict.fromkeys(s.name for s in seen)), any(s.training for s in seen)
    kinds = {s.kind for s in seen} or {"unknown"}
    kind = kinds.pop() if len(kinds) == 1 else "joint"
    return read, Provenance(layer, kind, training, dtypes[0], heads, tuple(dict.fromkeys(notes)))


def _one_a_layer(weights: Any) -> list[Any]:
    if isinstance(weights, Seen | Tensor | np.ndarray):
        return [weights]
    if weights is None:
        raise InputError(f"weights are arrays, however: None came; {_EAGER}")
    if not isinstance(weights, Iterable) or isinstance(weights, str | Mapping):
        raise InputError(f"weights are arrays, however: {type(weights).__name__} came")
    parts = list(weights)
    if not parts or any(part is None for part in parts):
        what = "there is none" if not parts else f"layer {[p is None for p in parts].index(True)} is None"
        raise InputError(f"weights hold one array a layer, however: {what}; {_EAGER}")
    if any(isinstance(part, list | tuple) and any(isinstance(p, Tensor | np.ndarray) for p in part) for part in parts):
        raise InputError(
            "weights are one tuple of layers, however: a tuple of tuples came, one for each token that was generated; "
            "hand over one of them"
        )
    if all(isinstance(part, Seen) or getattr(part, "ndim", 0) >= 2 for part in parts):
        return parts
    return [weights]


def _numbers(given: Any) -> tuple[np.ndarray, str]:
    """One array in single precision or wider, not copied where it is so already, and the dtype that it had."""
    if isinstance(given, Seen):
        return given.weights.numpy(), given.dtype
    if isinstance(given, Tensor):
        exact = given.dtype in (torch.float32, torch.float64)
        numbers = given.detach().cpu() if exact else given.detach().cpu().double()
        return numbers.numpy(), str(given.dtype).removeprefix("torch.")
    try:
        array = np.asarray(given)
        return array if array.dtype in (np.float32, np.float64) else array.astype(np.float64), str(array.dtype)
    except (TypeError, ValueError):
        raise InputError("weights are arrays of numbers, however: these are ragged, or hold something else") from None


def _letters(ndim: int, axes: str | None, several: bool) -> str:
    if axes is None:
        letters = {2: "QK", 3: "HQK", 4: "BHQK", 5: "" if several else "LBHQK"}.get(ndim, "")
        if not letters:
            raise InputError(
                "weights are (Q, K), (H, Q, K), (B, H, Q, K) or (L, B, H, Q, K), or one array of up to four axes a "
                f"layer, however: {ndim} axes{' in each of several arrays' if several else ''}"
            )
        return letters
    if len(set(axes)) < len(axes) or not {"Q", "K"} <= set(axes) <= set(_NAMED) or (several and "L" in axes):
        raise InputError(
            f'axes are letters of "LBHQK", each once, Q and K among them{", without L" if several else ""}, however: '
            f'axes="{axes}"'
        )
    if len(axes) != ndim:
        raise InputError(f'axes name every axis of the weights, however: axes="{axes}", and there are {ndim}')
    return axes


def _by_layer(array: np.ndarray, letters: str) -> list[np.ndarray]:
    """Cut (in any order of axes) into layers (B, H, Q, K)."""
    array = array.transpose([letters.index(letter) for letter in _NAMED if letter in letters])
    missing = [i for i, letter in enumerate(_NAMED) if letter not in letters]
    return list(np.expand_dims(array, missing))


def _coarseness(dtype: str) -> float:
    """What rounding alone may add to the sum of a row."""
    return {"bfloat16": 4e-3, "float16": 1e-3}.get(dtype, 0.0)


def _order(names: Sequence[str] | None, found: Sequence[str]) -> tuple[str, ...]:
    found = list(dict.fromkeys(found))
    if names is None:
        return tuple(found)
    for name in (*names, *found):
        if name not in found:
            raise InputError(f'names are those of queries and keys, however: "{name}"{did_you_mean(name, found)}')
        if list(names).count(name) != 1:
            raise InputError(f'names hold every modality once, however: "{name}" {list(names).count(name)} times')
    return tuple(names)


# --- checking -------------------------------------------------------------------------------------


def _check(w: np.ndarray, letters: str, layer: int | None, tolerance: float) -> None:
    broken = ~np.isfinite(w)
    if broken.any():
        at = np.argwhere(broken)[0]
        raise InputError(f"weights are finite, however: {w[tuple(at)]} at {_place(at, letters, layer)}")
    sums = w.sum(-1, dtype=np.float64)
    wrong = (np.abs(sums - 1) > tolerance) & (w != 0).any(-1)
    if wrong.any() or w.min() < 0:
        at = np.argwhere(wrong | (w.min(-1) < 0))[0]
        raise InputError(
            f"a row of weights sums to 1, or is zero where nobody asks, however: {_place(at, letters, layer)} sums to "
            f"{sums[tuple(at)]:.6g}; {cause(w.reshape(-1, *w.shape[2:]).astype(np.float64), tolerance)}"
        )


def _place(at: np.ndarray, letters: str, layer: int | None) -> str:
    named = [] if layer is None else [f"layer {layer}"]
    named += [f"{_NAMED[x]} {i}" for x, i in zip("BHQK", at, strict=False) if x in letters]
    return ", ".join(named)


def _softened(layers: list[np.ndarray]) -> list[str]:
    if not all(softened_twice(w.reshape(-1, *w.shape[2:])) for w in layers):
        return []
    note = (
        "the rows look like weights that went through a second softmax, as averaged heads sometimes do: every row is "
        "much flatter than what the model used"
    )
    warnings.warn(note, DataWarning, stacklevel=4)
    return [note]


# --- summing --------------------------------------------------------------------------------------


def _mass(
    layers: list[np.ndarray], queries: dict[str, np.ndarray], keys: dict[str, np.ndarray], order: tuple[str, ...]
) -> tuple[np.ndarray, np.ndarray]:
    """(B, L, H, M, M), the mean over the tokens that ask, and where a modality asks (B, L, H, M)."""
    b, h, _, n_keys = layers[0].shape
    m = len(order)
    belongs = np.zeros((n_keys, m))
    for name, at in keys.items():
        belongs[at, order.index(name)] = 1.0
    mass, asks = np.zeros((b, len(layers), h, m, m)), np.zeros((b, len(layers), h, m), dtype=bool)
    for depth, w in enumerate(layers):
        summed = w.astype(np.float64) @ belongs  # (B, H, Q, M); one layer at a time in double precision
        asking = (w != 0).any(-1)
        for name, at in queries.items():
            i, n = order.index(name), asking[:, :, at].sum(-1)
            mass[:, depth, :, i] = summed[:, :, at].sum(2) / np.maximum(n, 1)[..., None]
            asks[:, depth, :, i] = n > 0
    return mass, asks


def _summed(names: tuple[str, ...], mass: np.ndarray, asks: np.ndarray, origin: Provenance) -> GivenMap:
    """Average over samples, over those that ask alone."""
    head_by_head, over_heads = Running(), Running()
    head_by_head.add(mass, asks)
    seen = asks.sum((1, 2))  # (B, M): layers and heads in which a sample's modality asks
    over_heads.add(mass.sum((1, 2)) / np.maximum(seen, 1)[..., None], seen > 0)
    some = bool(over_heads.count.any())
    return GivenMap(
        names=names,
        mean=over_heads.mean if some else None,
        std=over_heads.std if some else None,
        count=over_heads.count,
        by_head=head_by_head.mean if some else None,
        std_by_head=head_by_head.std if some else None,
        n=len(mass),
        provenance=origin,
    )
