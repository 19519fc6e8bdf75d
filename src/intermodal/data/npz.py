"""Reading an npz: which arrays are modalities, and which describe them.

| key | what it is |
|---|---|
| `NAME` with 2 or 3 axes of numbers | a modality, `(N, D)` or `(N, T, D)` |
| `NAME_len`, `present_NAME` | the real lengths, and where the modality is there |
| `NAME_names` (or `drug_names` for `drugs`) | the names of its columns |
| `y` or the target, the group, `split`, `id` | one value per sample |
| `y_...` and all other arrays | other targets and descriptions: not read |
"""

from __future__ import annotations

import warnings
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from intermodal.data.packing import Nan, pack
from intermodal.data.samples import Samples
from intermodal.data.tables import ID_NAMES
from intermodal.errors import DataError, DataWarning, did_you_mean

Arrays = dict[str, np.ndarray]
_UNREADABLE = (
    ValueError, EOFError, OSError, KeyError, NotImplementedError, RuntimeError, zipfile.BadZipFile, zlib.error,
)  # fmt: skip


def samples_from_arrays(
    arrays: Arrays,
    *,
    target: str | None = None,
    group: str | None = None,
    split: str | None = "split",
    nan: Nan = "error",
    only: Sequence[str] | None = None,
) -> Samples:
    """Return samples from named arrays that follow the conventions of this file.

    Args:
        arrays: key -> array.
        target: the key of what to predict; None takes `y` where there is one.
        group: the key of what must stay together.
        split: the key of "train", "valid", "test", where there is one; None looks for none.
        nan: what to do with a NaN inside a vector, as in `Samples`.
        only: the modalities to read; None reads all that are there.

    Raises:
        DataError: a named key is absent, or the arrays contradict each other.

    Example:
        >>> import numpy as np
        >>> video = np.arange(30.0).reshape(2, 5, 3)
        >>> samples_from_arrays({"video": video, "video_len": np.array([5, 2]), "y": np.array([0, 1])})
        Samples(2 samples, 1 modality, y: 2 values)
          video  sequence of 2 to 5 x 3
    """
    target = _role("target", target, "y", arrays)
    group = _role("group", group, None, arrays)
    split = _role("split", None if split == "split" else split, split, arrays)
    ids = next((k for k in ID_NAMES if k in arrays), None)
    names = _modality_names(arrays, {target, group, split, ids})
    if only is not None:
        for name in only:
            if name not in names:
                raise DataError(f'only must name modalities, however: "{name}" is none{did_you_mean(name, names)}')
        names = list(only)
    elif target is None:
        names = _of_one_count(arrays, names)
    if not names:
        raise DataError(
            f"an npz must hold at least one array (N, D) or (N, T, D) of numbers, however: {sorted(arrays)}"
        )
    modalities = {
        name: pack(
            name,
            arrays[name],
            lengths=arrays.get(f"{name}_len"),
            present=arrays.get(f"present_{name}"),
            columns=_column_names(arrays, name),
            nan=nan,
        )
        for name in names
    }
    beside = {
        role: None if key is None else arrays[key]
        for role, key in (("y", target), ("groups", group), ("split", split), ("ids", ids))
    }
    return Samples(modalities, **beside, target=target, nan=nan)


def open_npz(path: Path) -> Arrays:
    """Return the arrays of an npz, never unpickling anything.

    Raises:
        DataError: the file is damaged, or an array holds Python objects.
    """
    key = None
    try:
        with path.open("rb") as file:
            stored = np.load(file, allow_pickle=False)
            if isinstance(stored, np.ndarray):
                raise DataError(f'an npz must hold named arrays, however: "{path}" holds a single one')
            arrays: Arrays = {}
            for key in stored.files:
                arrays[key] = stored[key]
            return arrays
    except DataError:
        raise
    except _UNREADABLE as error:
        if key is not None and "allow_pickle" in str(error):
            raise DataError(
                f'an npz must hold plain arrays, however: "{key}" of "{path}" holds Python objects, '
                "which are never unpickled; save it as numbers or texts"
            ) from None
        raise DataError(
            f'the file must be an npz that can be read, however: "{path}" is damaged or something else'
        ) from None


def _role(role: str, asked: str | None, usual: str | None, arrays: Arrays) -> str | None:
    """Return the key that plays a role: the one asked for, or the usual one where it is there."""
    if asked is None:
        return usual if usual in arrays else None
    if asked not in arrays:
        flat = [k for k, a in arrays.items() if a.ndim == 1]
        raise DataError(f'{role} must be one of the keys, however: "{asked}" is not{did_you_mean(asked, flat)}')
    return asked


def _modality_names(arrays: Arrays, aside: set[str | None]) -> list[str]:
    """Return the keys that hold a modality."""
    names = []
    for key, array in arrays.items():
        described = key.removeprefix("present_") if key.startswith("present_") else key.removesuffix("_len")
        if described != key and described in arrays:
            continue
        if key in aside or key == "y" or key.startswith("y_") or array.ndim < 2 or array.dtype.kind in "USMmV":
            continue
        if not _is_timeline(key, arrays):
            names.append(key)
    return names


def _is_timeline(key: str, arrays: Arrays) -> bool:
    """Tell whether an `(N, T)` array says one thing per token of a sequence, such as the time of each frame.

    It does when it is NaN exactly where that sequence is padded: video_len 2 and times `[0, 1, nan, nan]`.
    """
    array = arrays[key]
    if array.ndim != 2 or array.dtype.kind != "f" or f"{key}_len" in arrays:
        return False
    for name, block in arrays.items():
        lengths = arrays.get(f"{name}_len")
        if lengths is not None and block.ndim == 3 and block.shape[:2] == array.shape:
            padding = np.arange(array.shape[1]) >= lengths.reshape(-1, 1)
            if padding.any() and np.array_equal(np.isnan(array), padding):
                return True
    return False


def _of_one_count(arrays: Arrays, names: list[str]) -> list[str]:
    """Leave out arrays with another number of rows than the modalities that are marked as such."""
    marked = [n for n in names if f"{n}_len" in arrays or f"present_{n}" in arrays]
    if not marked:
        return names
    n = len(arrays[marked[0]])
    odd = [name for name in names if name not in marked and len(arrays[name]) != n]
    if odd:
        listed = ", ".join(f'"{name}" ({len(arrays[name])})' for name in odd)
        warnings.warn(
            f'left out, because "{marked[0]}" has {n} samples and they have another number of rows: {listed}',
            DataWarning,
            stacklevel=4,
        )
    return [name for name in names if name not in odd]


def _column_names(arrays: Arrays, name: str) -> list[str] | None:
    for key in (f"{name}_names", f"{name.removesuffix('s')}_names"):
        found: Any = arrays.get(key)
        if found is not None and found.dtype.kind == "U" and found.shape == arrays[name].shape[-1:]:
            return [str(c) for c in found]
    return None
