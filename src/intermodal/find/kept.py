"""What an index keeps of a clip for the reranker: its tokens and texts, as bytes, and back.

Numbers are kept in half precision where that changes a column by less than a hundredth of its spread, else in single.

Shapes: N clips, T tokens, D width.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from intermodal.data.modality import Modality
from intermodal.data.packing import pack as pack_modality
from intermodal.errors import InputError
from intermodal.find.sides import parts_of

_NUMBERS, _TEXT, _COLUMNS = "n:", "t:", "c:"
_CHANGE = 0.01
"""Most change of a value that half precision may make, in standard deviations of its column."""


def pack(clips: Any) -> list[bytes]:
    """Return what to keep of each clip.

    Args:
        clips: what a retriever takes: samples, a mapping of modalities (texts may be among them), a table.

    Example:
        >>> kept = pack({"video": [np.ones((3, 2)), None], "text": ["a dog", None]})
        >>> unpack(kept)
        {'video': Modality("video": sequence of 3 x 2, 1 of 2 missing), 'text': ['a dog', None]}
    """
    parts = parts_of(clips)
    texts, samples = parts
    numbers = [] if samples is None else [_numbers(samples.modality(name)) for name in samples.names]
    return [_one(row, numbers, texts) for row in range(len(parts))]


def unpack(kept: Sequence[bytes]) -> dict[str, Any]:
    """Return clips as a retriever takes them: name -> modality, or list of texts; what none of them has is left out."""
    from safetensors.numpy import load

    clips = [load(sample) if sample else {} for sample in kept]
    keys = sorted({key for clip in clips for key in clip if not key.startswith(_COLUMNS)})
    found: dict[str, Any] = {}
    for key in keys:
        name, items = key[2:], [clip.get(key) for clip in clips]
        if key.startswith(_TEXT):
            found[name] = [None if item is None else item.tobytes().decode() for item in items]
            continue
        columns = [_loaded(clip.get(_COLUMNS + name)) for clip in clips]
        found[name] = _modality(name, [None if i is None else i.astype(np.float32) for i in items], columns)
    return found


def _numbers(modality: Modality) -> tuple[Modality, np.ndarray]:
    """A modality and its values in the precision they are kept in, NaN where a token is not there."""
    values = modality.values
    with np.errstate(over="ignore"):
        single, half = values.astype(np.float32), values.astype(np.float16)
    there = modality.token_present if modality.offsets is not None else modality.present
    known = values if there is None else values[there]
    spread = known.std(0) if len(known) else np.zeros(modality.width)
    changed = np.abs(half.astype(np.float64) - values)
    enough = bool(np.isfinite(half).all()) and bool((changed <= _CHANGE * spread).all())
    chosen = half if enough else single
    if modality.offsets is not None and there is not None:
        chosen = np.where(there[:, None], chosen, chosen.dtype.type(np.nan))
    return modality, chosen


def _one(row: int, numbers: Sequence[tuple[Modality, np.ndarray]], texts: Mapping[str, list[str | None]]) -> bytes:
    from safetensors.numpy import save

    kept: dict[str, np.ndarray] = {}
    for modality, values in numbers:
        if not modality.present[row]:
            continue
        offsets = modality.offsets
        own = values[row] if offsets is None else values[offsets[row] : offsets[row + 1]]
        kept[_NUMBERS + modality.name] = np.ascontiguousarray(own)
        if modality.columns is not None:
            kept[_COLUMNS + modality.name] = _bytes(json.dumps(modality.columns))
    for name, of in texts.items():
        text = of[row]
        if text is not None:
            kept[_TEXT + name] = _bytes(text)
    return bytes(save(kept)) if kept else b""


def _modality(name: str, items: list[np.ndarray | None], columns: list[list[str] | None]) -> Modality:
    """Put clips together again whose columns may be named in another order: a category that is not there is 0."""
    every = list(dict.fromkeys(c for named in columns if named is not None for c in named))
    if not every:
        return pack_modality(name, items, nan="impute")
    at = {column: i for i, column in enumerate(every)}
    placed: list[np.ndarray | None] = []
    for item, named in zip(items, columns, strict=True):
        if item is None or named is None:
            placed.append(None)
            continue
        absent = next((c for c in every if c not in set(named) and "=" not in c), None)
        if absent is not None:
            raise InputError(f'the clips of an index have the same columns, however: some of "{name}" lack "{absent}"')
        wide = np.zeros((*item.shape[:-1], len(every)), dtype=item.dtype)
        wide[..., [at[c] for c in named]] = item
        placed.append(wide)
    return pack_modality(name, placed, columns=every, nan="impute")


def _bytes(text: str) -> np.ndarray:
    return np.frombuffer(text.encode(), dtype=np.uint8)


def _loaded(item: np.ndarray | None) -> list[str] | None:
    return None if item is None else json.loads(item.tobytes().decode())
