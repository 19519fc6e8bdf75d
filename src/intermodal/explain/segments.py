"""Which positions of a sequence belong to which modality."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from intermodal.errors import InputError

FORMS = "a slice, a range, positions, a bool array, or a count of tokens"


def read_segments(given: Mapping[str, Any], length: int, *, what: str) -> dict[str, np.ndarray]:
    """Read which of the positions 0 .. length - 1 belong to which modality; each belongs to one.

    Args:
        given: modality -> slice, range, positions or bool array; or modality -> count for every modality, which then
            lie one behind the other.
        length: positions there are.
        what: how errors call the argument.

    Returns:
        Modality -> its positions.

    Raises:
        InputError: a segment cannot be read, two share a position, or a position belongs to nobody.

    Example:
        >>> read_segments({"text": 2, "image": 3}, 5, what="keys")
        {'text': array([0, 1]), 'image': array([2, 3, 4])}
    """
    if not isinstance(given, Mapping) or not given:
        raise InputError(f"{what} says which positions belong to which modality, however: {what}={given!r}")
    if all(isinstance(value, int | np.integer) and not isinstance(value, bool) for value in given.values()):
        found = _by_counts(given, length, what)
    else:
        found = {name: _positions(name, value, length, what) for name, value in given.items()}
    owner: dict[int, str] = {}
    for name, positions in found.items():
        for at in positions.tolist():
            if at in owner:
                raise InputError(
                    f'a position belongs to one modality, however: {what} give position {at} to "{owner[at]}" and '
                    f'to "{name}"'
                )
            owner[at] = name
    nobody = [at for at in range(length) if at not in owner]
    if nobody:
        shown = ", ".join(map(str, nobody[:8])) + (" ..." if len(nobody) > 8 else "")
        raise InputError(
            f"every position belongs to a modality, however: of {length}, {what} leave out {shown}; nothing is dropped "
            'in silence: name them too, as {"other": [' + shown.removesuffix(" ...") + "]}"
        )
    return found


def _by_counts(given: Mapping[str, Any], length: int, what: str) -> dict[str, np.ndarray]:
    counts = {name: int(n) for name, n in given.items()}
    if min(counts.values()) < 0 or sum(counts.values()) != length:
        raise InputError(f"the counts of {what} add up to the {length} positions, however: {what}={counts}")
    ends = np.cumsum(list(counts.values()))
    return {name: np.arange(end - n, end) for (name, n), end in zip(counts.items(), ends, strict=True)}


def _positions(name: str, value: Any, length: int, what: str) -> np.ndarray:
    if isinstance(value, slice):
        return np.arange(length)[value]
    at = np.asarray(list(value) if isinstance(value, range) else value)
    if at.dtype == bool and at.shape == (length,):
        return np.flatnonzero(at)
    if at.ndim == 1 and at.size == 0:
        return np.zeros(0, dtype=np.int64)
    if at.ndim != 1 or at.dtype.kind not in "iu":
        raise InputError(f'a segment is {FORMS} (then all are), however: {what}["{name}"]={value!r}')
    if at.min() < -length or at.max() >= length:
        raise InputError(f'positions lie in 0 .. {length - 1}, however: {what}["{name}"] reaches {at.max()}')
    return np.where(at < 0, at + length, at)
