"""What keeps vectors and finds the nearest: one interface, whatever stands behind it.

Shapes: N clips, Q queries, D width.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np

from intermodal.errors import InputError, IntermodalError
from intermodal.find.filters import Where, kind_of

ID_BYTES = 1024
"""Most bytes of an id."""
_NAMED = 5


class StoreUnreachableError(IntermodalError, ConnectionError):
    """A server did not answer; `unacknowledged` holds the ids that it did not confirm.

    Writing the same clips again with `update` is safe: what the server has already is replaced by itself.
    """

    def __init__(self, message: str, unacknowledged: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.unacknowledged = list(unacknowledged)


@dataclass(frozen=True, eq=False)
class Clip:
    """One entry of an index.

    Attributes:
        id: its name.
        vector: (D,) float32.
        metadata: what was said of it: key -> text, number or truth value.
    """

    id: str
    vector: np.ndarray
    metadata: dict[str, Any]


class Found(NamedTuple):
    """The nearest clips of each query, best first: ids, inner products, and what is known of each clip.

    A query finds fewer than k only where fewer clips match.
    """

    ids: list[list[str]]
    scores: list[np.ndarray]
    metadata: list[list[dict[str, Any]]]


class VectorStore(Protocol):
    """Clips by id: vectors, metadata, and a search by inner product.

    A call that returns has been acknowledged: what it wrote is there whatever happens after. A call that is refused
    has changed nothing.
    """

    @property
    def width(self) -> int:
        """D."""

    @property
    def about(self) -> dict[str, Any]:
        """What was written into it when it was made."""

    def kinds(self, keys: Sequence[str]) -> dict[str, str]:
        """Return the keys of the metadata and their kinds: those of `keys` that are there, and others."""

    def add(
        self,
        ids: Sequence[str],
        vectors: Any,
        metadata: Sequence[Mapping[str, Any]] | None = None,
        *,
        kept: Sequence[bytes] | None = None,
    ) -> None:
        """Add clips under new ids."""

    def update(
        self,
        ids: Sequence[str],
        vectors: Any,
        metadata: Sequence[Mapping[str, Any]] | None = None,
        *,
        kept: Sequence[bytes] | None = None,
    ) -> None:
        """Replace the clips of these ids, all of them known."""

    def delete(self, ids: Sequence[str]) -> None:
        """Delete the clips of these ids, all of them known."""

    def get(self, ids: Sequence[str]) -> list[Clip]:
        """Return the clips of these ids, all of them known."""

    def known(self, ids: Sequence[str]) -> list[str]:
        """Return those of the ids that are there."""

    def search(self, vectors: Any, k: int, where: Where | None = None) -> Found:
        """Return for each query the k clips of the largest inner product among those that match."""

    def count(self) -> int:
        """How many clips there are."""

    def close(self) -> None:
        """Let go of files and connections."""


class Entries(NamedTuple):
    """Clips that were checked: ids, vectors (N, D) float32, metadata without its nulls."""

    ids: list[str]
    vectors: np.ndarray
    metadata: list[dict[str, Any]]


def check_entries(ids: Any, vectors: Any, metadata: Any, width: int) -> Entries:
    """Check clips before anything is written.

    Raises:
        InputError: ids that are no texts or stand twice, vectors of another width or count or not finite, metadata
            that are more than texts, numbers and truth values.

    Example:
        >>> check_entries(["a", "b", "a"], np.ones((3, 2)), None, 2)
        Traceback (most recent call last):
        ...
        intermodal.errors.InputError: an id stands for one clip, however: "a" is given twice
    """
    names = check_ids(ids)
    array = check_vectors(vectors, width, names)
    if len(array) != len(names):
        raise InputError(f"there is one vector for each id, however: {len(array)} vectors for {len(names)} ids")
    return Entries(names, array, check_metadata(names, metadata))


def check_metadata(ids: Sequence[str], metadata: Any) -> list[dict[str, Any]]:
    """Return what is said of each clip, without its nulls; nothing where `metadata` is None."""
    said = [{} for _ in ids] if metadata is None else list(metadata)
    if len(said) != len(ids):
        raise InputError(f"there is one metadata for each id, however: {len(said)} for {len(ids)} ids")
    return [_metadata(name, entry) for name, entry in zip(ids, said, strict=True)]


def check_ids(ids: Any) -> list[str]:
    """Return ids as a list of different texts."""
    if isinstance(ids, str):
        raise InputError(f"ids are a list, however: one text was given; write [{ids[:40]!r}]")
    names = [i.item() if isinstance(i, np.generic) else i for i in ids]
    for name in names:
        if not isinstance(name, str) or not name or not _writable(name) or len(name.encode()) > ID_BYTES:
            raise InputError(f"an id is a text of 1 to {ID_BYTES} bytes, however: {_short(name)}")
    if len(set(names)) < len(names):
        seen: set[str] = set()
        twice = list(dict.fromkeys(n for n in names if n in seen or seen.add(n)))  # type: ignore[func-returns-value]
        raise InputError(
            f"an id stands for one clip, however: {listed(twice)} {'is' if len(twice) == 1 else 'are'} given twice"
        )
    return names


def check_vectors(vectors: Any, width: int, names: Sequence[str] | None = None) -> np.ndarray:
    """Return vectors as (N, D) float32, finite, of the index's width."""
    try:
        array = np.ascontiguousarray(vectors, dtype=np.float32)
    except (TypeError, ValueError):
        raise InputError(f"vectors are an array (N, {width}) of numbers, however: {type(vectors).__name__}") from None
    if array.ndim != 2 or array.shape[1] != width:
        raise InputError(f"vectors are an array (N, {width}), as the index, however: the shape is {array.shape}")
    odd = np.flatnonzero(~np.isfinite(array).all(1))
    if len(odd):
        row = int(odd[0])
        named = f'"{names[row]}"' if names is not None and row < len(names) else f"row {row}"
        raise InputError(f"vectors are finite, however: that of {named} holds a NaN or an infinity")
    return array


def merge_kinds(known: Mapping[str, str], metadata: Sequence[Mapping[str, Any]], ids: Sequence[str]) -> dict[str, str]:
    """Return the kind of every key, those of new clips included.

    Raises:
        InputError: a key is of one kind here and of another there: a filter on it would mean two things.

    Example:
        >>> merge_kinds({"year": "number"}, [{"tag": "a"}], ["c1"])
        {'year': 'number', 'tag': 'text'}
    """
    kinds = dict(known)
    for name, entry in zip(ids, metadata, strict=True):
        for key, value in entry.items():
            kind = kind_of(value)
            if kinds.setdefault(key, kind) != kind:
                raise InputError(f'"{key}" is a {kinds[key]} in this index, however: it is {value!r} in clip "{name}"')
    return kinds


def listed(names: Sequence[str]) -> str:
    """Name the first few.

    Example:
        >>> listed(["a", "b"]), listed("abcdefg")
        ('"a", "b"', '"a", "b", "c", "d", "e" and 2 more')
    """
    shown = ", ".join(f'"{name}"' for name in names[:_NAMED])
    return shown + (f" and {len(names) - _NAMED} more" if len(names) > _NAMED else "")


def refuse_known(ids: Sequence[str]) -> None:
    """Raise where ids that should be new are there."""
    if ids:
        raise InputError(
            f"an added id is new, however: the index holds {listed(ids)}; use update where a clip is to be replaced"
        )


def refuse_unknown(ids: Sequence[str], doing: str) -> None:
    """Raise where ids that should be there are not."""
    if ids:
        raise InputError(f"{doing} needs ids that the index holds, however: {listed(ids)} {_is(ids)} not there")


def _is(ids: Sequence[str]) -> str:
    return "is" if len(ids) == 1 else "are"


def _metadata(name: str, entry: Any) -> dict[str, Any]:
    """What is said of one clip: numpy's values as Python's, nulls left out."""
    if not isinstance(entry, Mapping):
        raise InputError(f'metadata are a mapping, however: those of "{name}" are a {type(entry).__name__}')
    clean: dict[str, Any] = {}
    for key, value in entry.items():
        value = value.item() if isinstance(value, np.generic) else value
        if value is None:
            continue
        if not isinstance(key, str) or not key or not _writable(key):
            raise InputError(f'a key of metadata is a text, however: one of "{name}" is {_short(key)}')
        if not _is_scalar(value):
            raise InputError(
                f'metadata are texts, finite numbers of 64 bits and truth values, however: "{key}" of "{name}" is '
                f"{_short(value)}"
            )
        clean[key] = value
    return clean


def _is_scalar(value: Any) -> bool:
    if isinstance(value, str):
        return _writable(value)
    if isinstance(value, bool):
        return True
    if isinstance(value, int):
        return -(2**63) <= value < 2**63
    return isinstance(value, float) and math.isfinite(value)


def _writable(text: str) -> bool:
    """Whether a text can be written as UTF-8, and ends nowhere before its end."""
    return "\0" not in text and not any("\ud800" <= letter <= "\udfff" for letter in text)


def _short(value: Any) -> str:
    said = repr(value)
    return said if len(said) <= 60 else said[:57] + "..."


def as_text(metadata: Mapping[str, Any]) -> str:
    """Metadata as one line of JSON."""
    return json.dumps(metadata, ensure_ascii=False, separators=(",", ":"))
