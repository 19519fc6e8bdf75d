"""What stands beside the modalities, one entry per sample: y, groups, split, ids."""

from __future__ import annotations

from typing import Any

import numpy as np

from intermodal.data.modality import frozen
from intermodal.errors import DataError

PARTS = ("train", "valid", "test")
_ALIASES = {"val": "valid", "validation": "valid", "dev": "valid", "training": "train", "testing": "test"}


def unknown_targets(y: np.ndarray) -> np.ndarray:
    """Tell which samples lack a target, or a part of it: NaN or None, bool (N,).

    Example:
        >>> unknown_targets(np.array([[1.0, np.nan], [1.0, 2.0]])).tolist()
        [True, False]
        >>> unknown_targets(np.array(["yes", None], dtype=object)).tolist()
        [False, True]
    """
    if y.dtype.kind == "f":
        missing = np.isnan(y)
    elif y.dtype == object:
        missing = np.array([[v is None or v != v for v in np.ravel(row)] for row in y]).reshape(len(y), -1)
    else:
        missing = np.zeros(y.shape, dtype=bool)
    return np.asarray(missing.reshape(len(y), -1).any(axis=1))


def values_per_sample(name: str, values: Any, n: int, *, axes: tuple[int, ...] = (1, 2)) -> np.ndarray | None:
    """Return `values` as a frozen array with n entries, or None for None.

    Texts become numpy texts; numbers mixed with None become floats with NaN. A NaN stays: whether a label may
    be missing is for the reader of it to say.

    Raises:
        DataError: the number of entries is not n, or there are too many axes.

    Example:
        >>> values_per_sample("y", ["yes", "no", "yes"], 3).dtype.kind
        'U'
        >>> values_per_sample("y", [1, None], 2).tolist()
        [1.0, nan]
    """
    if values is None:
        return None
    if type(values).__module__.partition(".")[0] == "torch":
        values = values.detach().cpu().numpy()
    try:
        array = np.asarray(values)
    except ValueError:
        raise DataError(f"{name} must hold one value per sample, however: it is ragged") from None
    if array.dtype == object:
        array = _settle(array)
    if array.ndim not in axes or len(array) != n:
        raise DataError(f"{name} must hold one value per sample, however: its shape is {array.shape} for {n} samples")
    return frozen(array)


def split_parts(split: Any, n: int) -> np.ndarray | None:
    """Return "train", "valid" or "test" for each of n samples, or None for None; "val" and "dev" mean "valid".

    Raises:
        DataError: some other word stands there, or the number is not n.

    Example:
        >>> split_parts(["train", "val", "test"], 3).tolist()
        ['train', 'valid', 'test']
    """
    array = values_per_sample("split", split, n, axes=(1,))
    if array is None:
        return None
    words, where = np.unique(array.astype(str), return_inverse=True)
    parts = np.array([_ALIASES.get(w.lower(), w.lower()) for w in words])
    odd = [word for word, part in zip(words, parts, strict=True) if part not in PARTS]
    if odd:
        raise DataError(f'split must hold "train", "valid" or "test", however: it holds "{odd[0]}"')
    return frozen(parts[where])


def _settle(array: np.ndarray) -> np.ndarray:
    """Return the plain array behind an object array, where there is one."""
    kinds = {type(v) for v in array.ravel()}
    if all(issubclass(k, str) for k in kinds):
        return array.astype(str)
    if all(issubclass(k, bool | np.bool_) for k in kinds):
        return array.astype(bool)
    if all(issubclass(k, int | float | np.number | bool | np.bool_ | type(None)) for k in kinds):
        return array.astype(np.float64)
    return array
