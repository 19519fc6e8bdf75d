"""From what users have (arrays, tensors, lists with holes) to a packed `Modality`.

Shape letters: N samples, T longest sequence, T_i tokens of sample i, R = sum of T_i, D width.
"""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Number
from typing import Any, Literal

import numpy as np

from intermodal.data.checking import check_rows
from intermodal.data.modality import Kind, Modality, frozen
from intermodal.errors import DataError

Nan = Literal["error", "impute"]


def pack(
    name: str,
    content: Any,
    *,
    lengths: Any = None,
    present: Any = None,
    columns: Sequence[str] | None = None,
    nan: Nan = "error",
) -> Modality:
    """Pack one modality of N samples.

    Shape:
        content: `(N, D)` vectors; `(N, T, D)` sequences; or a list of N arrays `(D,)` or `(T_i, D)`, None where
            the modality is missing.

    Args:
        name: what to call it.
        content: numpy, torch, lists, a table of numbers (its columns give `columns`).
        lengths: `(N,)` how many of the T tokens of an `(N, T, D)` array are real. Without it, tokens that are
            wholly NaN at the end of a sample are taken for padding and cut.
        present: `(N,)` bool, False where the modality is missing whatever stands there; or `(N, T)` by token.
        columns: D names.
        nan: "error" refuses a NaN inside a vector; "impute" keeps it for the model to fill.

    Returns:
        The packed modality; its arrays cannot be written to.

    Raises:
        DataError: the content is not numbers, has the wrong axes, contradicts itself, or is not finite.

    Example:
        >>> import numpy as np
        >>> pack("video", np.ones((5, 7, 3)), lengths=[7, 2, 0, 1, 7])
        Modality("video": sequence of 1 to 7 x 3, 1 of 5 missing)
        >>> pack("text", [[1, 2], None, [3, 4]]).values.tolist()
        [[1.0, 2.0], [0.0, 0.0], [3.0, 4.0]]
    """
    if isinstance(content, Modality):
        return _repack(name, content, nan)
    content, columns = _plain(name, content, columns)
    if isinstance(content, np.ndarray) and content.ndim == 3:
        values, offsets, keep = _pack_block(name, content, lengths, present)
        kind: Kind = "sequence"
    else:
        if lengths is not None:
            raise DataError(
                f'lengths must come with an array (N, T, D), however: modality "{name}" is {_looks(content)}'
            )
        if isinstance(content, np.ndarray):
            kind, values, offsets, keep = "vector", _floats(name, content), None, np.ones(len(content), bool)
        else:
            kind, values, offsets, keep = _pack_list(name, content)
        if present is not None:
            keep = keep & _per_row(_flags(name, present, (_count(offsets, values),)), offsets)
    return _finish(name, kind, values, offsets, keep, columns, nan)


def _finish(
    name: str,
    kind: Kind,
    values: np.ndarray,
    offsets: np.ndarray | None,
    keep: np.ndarray,
    columns: Sequence[str] | None,
    nan: Nan,
) -> Modality:
    """Check every number, blank what is missing, and freeze. `keep` `(rows,)` is False for missing rows."""
    if nan not in ("error", "impute"):
        raise DataError(f'nan must be "error" or "impute", however: {nan=}')
    if columns is not None and len(columns) != values.shape[1]:
        raise DataError(
            f'columns must name every column of modality "{name}", however: '
            f"{len(columns)} names for {values.shape[1]} columns"
        )
    if values.shape[1] == 0:
        raise DataError(f'modality "{name}" must have at least one column, however: {_looks(values)}')
    names = None if columns is None else tuple(str(c) for c in columns)
    keep = check_rows(name, values, offsets, keep, names, nan)
    tokens: np.ndarray | None = None
    present = keep
    if offsets is not None:
        running = np.concatenate(([0], np.cumsum(keep)))
        present = running[offsets[1:]] > running[offsets[:-1]]
        values, offsets, keep = _drop_missing(values, offsets, keep, present)
        tokens = None if keep.all() else frozen(keep)
    if not keep.all():
        values = np.where(keep[:, None], values, values.dtype.type(0))
    return Modality(
        name,
        kind,
        values.shape[1],
        frozen(np.ascontiguousarray(values)),
        None if offsets is None else frozen(offsets),
        frozen(present),
        tokens,
        names,
    )


def _drop_missing(
    values: np.ndarray, offsets: np.ndarray, keep: np.ndarray, present: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Leave no tokens behind for samples that lack the modality."""
    lengths = np.diff(offsets)
    if not (lengths[~present] > 0).any():
        return values, offsets, keep
    rows = np.repeat(present, lengths)
    return values[rows], _offsets(np.where(present, lengths, 0)), keep[rows]


def _pack_block(name: str, block: np.ndarray, lengths: Any, present: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Flatten `(N, T, D)` to `(R, D)`, offsets, and which rows are there."""
    block = _floats(name, block)
    n, longest, width = block.shape
    keep = np.ones((n, longest), dtype=bool)
    if present is not None:
        flags = np.asarray(present)
        keep &= _flags(name, flags, (n, longest)) if flags.ndim == 2 else _flags(name, flags, (n,))[:, None]
    if lengths is not None:
        counts = _lengths(name, lengths, n, longest)
    else:
        there = keep & ~np.isnan(block).all(axis=2) if np.isnan(block).any() else keep
        counts = np.where(there.any(axis=1), longest - np.argmax(there[:, ::-1], axis=1), 0) if longest else keep.sum(1)
    offsets = _offsets(counts)
    if offsets[-1] == n * longest:
        return block.reshape(-1, width), offsets, keep.ravel()
    inside = np.arange(longest) < np.asarray(counts)[:, None]
    return block[inside], offsets, keep[inside]


def _pack_list(name: str, items: Sequence[Any]) -> tuple[Kind, np.ndarray, np.ndarray | None, np.ndarray]:
    """Stack vectors, or concatenate sequences; rows of missing vectors hold 0."""
    arrays = [_item(name, i, item) for i, item in enumerate(items)]
    first = next((i for i, a in enumerate(arrays) if a is not None and a.size), None)
    if first is None:
        raise DataError(f'modality "{name}" must be there for at least one sample, however: all are None or empty')
    model = arrays[first]
    assert model is not None
    kind: Kind = "vector" if model.ndim == 1 else "sequence"
    arrays = [None if a is None or a.size == 0 else a for a in arrays]
    for i, a in enumerate(arrays):
        if a is not None and (a.ndim != model.ndim or a.shape[-1] != model.shape[-1]):
            raise DataError(
                f'the samples of modality "{name}" must agree in axes and width, however: '
                f"sample {first} has the shape {model.shape}, sample {i} has {a.shape}"
            )
    keep = np.array([a is not None for a in arrays])
    there = [a for a in arrays if a is not None]
    if kind == "sequence":
        values = _floats(name, np.concatenate(there))
        offsets = _offsets([0 if a is None else len(a) for a in arrays])
        return kind, values, offsets, np.ones(len(values), dtype=bool)
    stacked = _floats(name, np.stack(there))
    if keep.all():
        return kind, stacked, None, keep
    values = np.zeros((len(arrays), stacked.shape[1]), dtype=stacked.dtype)
    values[keep] = stacked
    return kind, values, None, keep


def _item(name: str, i: int, item: Any) -> np.ndarray | None:
    """Return one sample's `(D,)` or `(T_i, D)`, or None where it is missing."""
    if item is None or (isinstance(item, float) and item != item):
        return None
    try:
        array = _array(item)
        if array.dtype == object:
            array = np.stack([np.asarray(row, dtype=np.float64) for row in array])
    except (ValueError, TypeError):
        raise DataError(
            f'each sample of modality "{name}" must be an array (D,) or (T, D) of numbers, however: '
            f"sample {i} is ragged or holds something else"
        ) from None
    if array.dtype.kind not in "biuf":
        raise DataError(f'modality "{name}" must hold real numbers, however: sample {i} has the dtype {array.dtype}')
    if array.ndim not in (1, 2):
        raise DataError(
            f'each sample of modality "{name}" must be an array (D,) or (T, D), however: '
            f"sample {i} has the shape {array.shape}"
        )
    return array


def _plain(
    name: str, content: Any, columns: Sequence[str] | None
) -> tuple[np.ndarray | list[Any], Sequence[str] | None]:
    """Return an array with 2 or 3 axes, or a list with one item per sample."""
    if hasattr(content, "toarray") and hasattr(content, "nnz"):
        raise DataError(f'modality "{name}" must be a dense array, however: it is sparse; write {name}.toarray()')
    if hasattr(content, "columns") and hasattr(content, "to_numpy"):
        columns = [str(c) for c in content.columns] if columns is None else columns
        content = content.to_numpy()
    if isinstance(content, str | bytes | dict | set) or not hasattr(content, "__len__"):
        raise DataError(
            f'modality "{name}" must be an array (N, D) or (N, T, D) or a list with one array per sample, '
            f"however: it is of type {type(content).__name__}"
        )
    if isinstance(content, list | tuple):
        if len(content) and all(isinstance(c, Number | str) for c in content):
            content = np.asarray(content)
        else:
            return list(content), columns
    array = _array(content)
    if array.dtype == object and array.ndim == 1:
        return list(array), columns
    if array.ndim not in (2, 3):
        hint = f"; write {name}.reshape(-1, 1)" if array.ndim == 1 else ""
        raise DataError(
            f'modality "{name}" must be an array (N, D) or (N, T, D), however: its shape is {array.shape}{hint}'
        )
    return array, columns


def _array(content: Any) -> np.ndarray:
    """Return numpy for numpy, torch and whatever else offers itself as an array."""
    if type(content).__module__.partition(".")[0] == "torch":
        content = content.detach().cpu()
        content = (content.float() if content.dtype.is_floating_point and content.itemsize < 4 else content).numpy()
    if isinstance(content, np.ma.MaskedArray):
        return np.where(np.ma.getmaskarray(content), np.nan, content.data)
    return np.asarray(content)


def _floats(name: str, array: np.ndarray) -> np.ndarray:
    """Return float32 or float64: float64 stays, and whole numbers too large for float32 become float64."""
    if array.dtype == object:
        try:
            array = array.astype(np.float64)
        except (ValueError, TypeError):
            raise DataError(
                f'modality "{name}" must hold real numbers, however: its dtype is object; '
                "encode texts and categories as numbers, or pass a DataFrame"
            ) from None
    kind, size = array.dtype.kind, array.dtype.itemsize
    if kind not in "biuf":
        raise DataError(f'modality "{name}" must hold real numbers, however: its dtype is {array.dtype}')
    if kind == "f":
        return array.astype(np.float32 if size <= 4 else np.float64, copy=False)
    return whole_as_float(array)


def whole_as_float(array: np.ndarray) -> np.ndarray:
    """Return whole numbers or bools as float32 where that is exact, otherwise as float64.

    Example:
        >>> import numpy as np
        >>> whole_as_float(np.array([2**24])).dtype.name, whole_as_float(np.array([2**24 + 1])).dtype.name
        ('float32', 'float64')
    """
    small = array.dtype.itemsize <= 2 or array.size == 0
    exact = small or max(-int(array.min()), int(array.max())) <= 2**24
    floats: np.ndarray = array.astype(np.float32 if exact else np.float64)
    return floats


def _repack(name: str, modality: Modality, nan: Nan) -> Modality:
    """Check a `Modality` that was made elsewhere, and give it the name it is known by here."""
    n, rows = len(modality.present), len(modality.values)
    if modality.values.ndim != 2 or modality.values.shape[1] != modality.width:
        raise DataError(
            f'the values of modality "{name}" must be (rows, width), however: '
            f"shape={modality.values.shape}, width={modality.width}"
        )
    offsets = modality.offsets
    if (offsets is None) != (modality.kind == "vector"):
        raise DataError(f'a sequence must have offsets and a vector none, however: "{name}" is a {modality.kind}')
    if offsets is not None and (
        len(offsets) != n + 1 or offsets[0] != 0 or offsets[-1] != rows or (np.diff(offsets) < 0).any()
    ):
        raise DataError(
            f'the offsets of modality "{name}" must rise from 0 to {rows} in {n + 1} steps, however: '
            f"{len(offsets)} offsets"
        )
    if offsets is None and n != rows:
        raise DataError(f'present of modality "{name}" must hold {rows} flags, however: it holds {n}')
    keep = _per_row(_flags(name, modality.present, (n,)), offsets)
    if modality.token_present is not None:
        keep = keep & _flags(name, modality.token_present, (rows,))
    values = _floats(name, modality.values)
    return _finish(name, modality.kind, values, offsets, keep, modality.columns, nan)


def _flags(name: str, present: Any, shape: tuple[int, ...]) -> np.ndarray:
    flags = np.asarray(present)
    if flags.dtype.kind in "iu" and ((flags == 0) | (flags == 1)).all():
        flags = flags.astype(bool)
    if flags.dtype != bool or flags.shape != shape:
        raise DataError(
            f'present of modality "{name}" must be bool of shape {shape}, however: '
            f"dtype={flags.dtype}, shape={flags.shape}"
        )
    return flags


def _lengths(name: str, lengths: Any, n: int, longest: int) -> np.ndarray:
    counts = np.asarray(lengths)
    if counts.shape != (n,) or counts.dtype.kind not in "iu":
        raise DataError(
            f'lengths of modality "{name}" must be {n} whole numbers, however: '
            f"dtype={counts.dtype}, shape={counts.shape}"
        )
    outside = np.flatnonzero((counts < 0) | (counts > longest))
    if len(outside):
        raise DataError(
            f'lengths of modality "{name}" must lie between 0 and {longest}, however: '
            f"sample {outside[0]} has {counts[outside[0]]}"
        )
    return counts.astype(np.int64)


def _offsets(lengths: Any) -> np.ndarray:
    offsets = np.zeros(len(lengths) + 1, dtype=np.int64)
    np.cumsum(lengths, out=offsets[1:])
    return offsets


def _per_row(flags: np.ndarray, offsets: np.ndarray | None) -> np.ndarray:
    """Repeat a flag per sample for each of its tokens."""
    return flags if offsets is None else np.repeat(flags, np.diff(offsets))


def _count(offsets: np.ndarray | None, values: np.ndarray) -> int:
    return len(values) if offsets is None else len(offsets) - 1


def _looks(content: Any) -> str:
    return f"an array of shape {content.shape}" if isinstance(content, np.ndarray) else "a list"
