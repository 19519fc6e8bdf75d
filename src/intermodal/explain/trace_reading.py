"""What people type as vectors, read as exact fractions: lists, arrays, tensors, decimals, "2 3; 1 0"."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from itertools import product
from typing import Any

from intermodal.errors import InputError, MaskError

AT_MOST, _SCORES = 4096, 1024
_LARGEST, _SMALLEST = 10**15, 300
_AXES = {1: "(D,)", 2: "(Q, D)", 3: "(H, Q, D)", 4: "(B, H, Q, D)"}


@dataclass(frozen=True)
class Grid:
    """Numbers in a shape, flat and exact."""

    shape: tuple[int, ...]
    flat: tuple[Any, ...]

    def row(self, *index: int) -> tuple[Any, ...]:
        """Return the numbers under the first axes."""
        start = 0
        for place, size in zip(index, self.shape, strict=False):
            start = start * size + place
        width = 1
        for size in self.shape[len(index) :]:
            width *= size
        return self.flat[start * width : (start + 1) * width]


@dataclass(frozen=True)
class Asked:
    """What attends to what: q (..., Q, D), k (..., K, D), v (..., K, E) or None, keep (..., Q, K)."""

    q: Grid
    k: Grid
    v: Grid | None
    keep: Grid
    is_one_query: bool

    def places(self) -> list[tuple[int, ...]]:
        """Every (batch, head) there is, as far as the input has them."""
        return list(product(*map(range, self.q.shape[:-2])))


def read(q: Any, k: Any, v: Any, keep: Any) -> Asked:
    """Read what was given, and refuse what does not fit together.

    Raises:
        InputError: a number is not finite, the shapes do not fit, or there are too many numbers.
        MaskError: `keep` is not bool or fits no reading.

    Example:
        >>> asked = read("1 2", "2 3; 1 0", None, None)
        >>> asked.q.shape, asked.k.shape, asked.keep.flat
        ((1, 2), (2, 2), (True, True))
    """
    asks, keys = grid("q", q), grid("k", k)
    values = None if v is None else grid("v", v)
    alone = len(asks.shape) == 1 or (isinstance(q, str) and asks.shape[0] == 1)
    if len(asks.shape) == 1:
        asks = Grid((1, *asks.shape), asks.flat)
    _check(asks, keys, values)
    scores = _size(asks.shape[:-1]) * keys.shape[-2]
    if scores > _SCORES:
        raise InputError(f"a trace is for small inputs, at most {_SCORES} scores, however: {scores}")
    shape = (*asks.shape[:-1], keys.shape[-2])
    return Asked(asks, keys, values, _keep(keep, shape), alone)


def grid(name: str, value: Any) -> Grid:
    """Read one argument as exact fractions; a float counts for the binary number it is.

    Example:
        >>> grid("k", "2 .5; 1/3 0").flat[:3]
        (Fraction(2, 1), Fraction(1, 2), Fraction(1, 3))
        >>> grid("k", [[0.5], [0.25]]).shape
        (2, 1)
    """
    found = table(name, value) if isinstance(value, str) else nested(name, value)
    return Grid(found.shape, tuple(as_fraction(name, entry) for entry in found.flat))


def table(name: str, text: str) -> Grid:
    """Numbers between spaces or commas, rows between semicolons, or in brackets of their own."""
    text = re.sub(r"\]\s*,?\s*\[", ";", text)
    rows = [re.split(r"[\s,]+", part.strip("[]() \t\n")) for part in text.strip().strip(";").split(";")]
    rows = [[entry for entry in row if entry] for row in rows]
    widths = [len(row) for row in rows]
    if sum(widths) > AT_MOST:
        raise InputError(f"a trace is for small inputs, at most {AT_MOST} numbers, however: {name} holds {sum(widths)}")
    if len(set(widths)) > 1:
        raise InputError(f'the rows of {name} must be equally long, however: {widths} numbers in "{_short(text)}"')
    if not widths[0]:
        raise InputError(f'{name} must hold numbers, such as "2 3; 1 0", however: "{_short(text)}"')
    return Grid((len(rows), widths[0]), tuple(entry for row in rows for entry in row))


def nested(name: str, value: Any) -> Grid:
    """Read lists, arrays and tensors as a shape and its entries, not yet looked at.

    Example:
        >>> nested("k", [[1, 2, 3], [4, 5, 6]])
        Grid(shape=(2, 3), flat=(1, 2, 3, 4, 5, 6))
    """
    size = getattr(value, "size", None)
    count = value.numel() if hasattr(value, "numel") else size if isinstance(size, int) else 0
    if count > AT_MOST:
        raise InputError(f"a trace is for small inputs, at most {AT_MOST} numbers, however: {name} holds {count}")
    if hasattr(value, "tolist"):
        value = value.tolist()
    if not isinstance(value, list | tuple):
        raise InputError(f"{name} must be a list of numbers or an array, however: {_short(value)}")
    shape: list[int] = []
    level = list(value)
    while True:
        shape.append(len(level) if not shape else len(level) // _size(shape))
        if not level:
            raise InputError(f"{name} must hold numbers, however: it is empty")
        level = [entry.tolist() if hasattr(entry, "tolist") else entry for entry in level]
        if not any(isinstance(entry, list | tuple) for entry in level):
            return Grid(tuple(shape), tuple(level))
        lengths = {len(entry) if isinstance(entry, list | tuple) else None for entry in level}
        if len(lengths) > 1:
            raise InputError(f"the rows of {name} must be equally long, however: {_lengths(lengths)}")
        level = [one for entry in level for one in entry]
        if len(level) > AT_MOST:
            raise InputError(
                f"a trace is for small inputs, at most {AT_MOST} numbers, however: {name} holds {len(level)}"
            )


def _size(shape: Sequence[int]) -> int:
    size = 1
    for length in shape:
        size *= length
    return size


def _lengths(lengths: set[int | None]) -> str:
    known = sorted(length for length in lengths if length is not None)
    return " and ".join([str(length) for length in known] + ["no list at all"] * (None in lengths))


def as_fraction(name: str, entry: Any) -> Fraction:
    """Return one number as a fraction; typed text is a decimal, a float is the binary number it is."""
    refused = InputError(f"{name} must hold numbers, however: {_short(entry)}")
    number = entry
    if isinstance(entry, str):
        try:
            number = Fraction(entry) if "/" in entry and len(entry) < 100 else Decimal(entry)
        except (ArithmeticError, ValueError):
            raise refused from None
    if isinstance(number, bool) or not hasattr(number, "as_integer_ratio"):
        raise refused
    if isinstance(number, Decimal) and number.is_finite() and abs(number.adjusted()) > _SMALLEST:
        raise InputError(f"{name} must hold numbers from 1e-{_SMALLEST} to 1e15, however: {_short(entry)}")
    try:
        fraction = Fraction(*number.as_integer_ratio())
    except (ArithmeticError, ValueError):  # infinite, or not a number
        raise InputError(f"{name} must hold finite numbers, however: {_short(entry)}") from None
    if abs(fraction) > _LARGEST:
        raise InputError(f"{name} must hold numbers of at most 1e15 in size, however: {_short(entry)}")
    return fraction


def _check(q: Grid, k: Grid, v: Grid | None) -> None:
    named = {"q": q.shape, "k": k.shape} | ({} if v is None else {"v": v.shape})
    shown = ", ".join(f"{name} {shape}" for name, shape in named.items())
    count = sum(map(_size, named.values()))
    if count > AT_MOST:
        raise InputError(f"a trace is for small inputs, at most {AT_MOST} numbers, however: {count}")
    if len(q.shape) not in (2, 3, 4):
        raise InputError(f"q must be one of {', '.join(_AXES.values())}, however: {shown}")
    if any(len(shape) != len(q.shape) for shape in named.values()):
        hint = "; one key is a list that holds one list, [[2, 3]]" if len(k.shape) == 1 else ""
        raise InputError(f"q, k and v must have equally many axes, however: {shown}{hint}")
    if any(shape[:-2] != q.shape[:-2] for shape in named.values()):
        raise InputError(f"q, k and v must have equal batches and heads, however: {shown}")
    if q.shape[-1] != k.shape[-1]:
        raise InputError(f"a query and a key must be equally wide, however: {q.shape[-1]} and {k.shape[-1]}, {shown}")
    if v is not None and v.shape[-2] != k.shape[-2]:
        raise InputError(f"every key must have one value, however: {k.shape[-2]} keys, {v.shape[-2]} values")


def _keep(keep: Any, shape: tuple[int, ...]) -> Grid:
    """Read `keep` against (..., Q, K), with one number per key or per query and key standing for all heads."""
    if keep is None:
        return Grid(shape, (True,) * _size(shape))
    if isinstance(keep, str):
        found = table("keep", keep)
        if not set(found.flat) <= {"0", "1"}:
            raise MaskError(f'keep must be 1 (may look) and 0 (may not), however: "{_short(keep)}"')
        found = Grid(found.shape[found.shape[0] == 1 :], tuple(entry == "1" for entry in found.flat))
    else:
        found = nested("keep", keep)
        if not all(isinstance(entry, bool) for entry in found.flat):
            raise MaskError("keep must be bool, True where a query may look, however: it holds other things")
    flat: list[Any] = []
    axes = _axes(found.shape, shape)
    for index in product(*map(range, shape)):
        flat += found.row(*(index[axis] for axis in axes))
    return Grid(shape, tuple(flat))


def _axes(found: tuple[int, ...], shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return which axes of (..., Q, K) a `keep` of shape `found` speaks of; the readings are those of `attend`."""
    last = len(shape) - 1
    readings = [(last,), (last - 1, last), *([tuple(range(last + 1))] if last > 1 else [])]
    if last == 3:
        readings += [(0, 3), (0, 2, 3)]
    fitting = [axes for axes in readings if tuple(shape[axis] for axis in axes) == found]
    shown = " or ".join(str(tuple(shape[axis] for axis in axes)) for axes in readings)
    if not fitting:
        raise MaskError(f"keep must have the shape {shown}, however: {found}")
    if len(fitting) > 1 and found[0] > 1:
        raise MaskError(f"keep must be read one way, however: {found} is (B, K) and (Q, K); give all four axes")
    return fitting[0]


def _short(value: Any) -> str:
    shown = value if isinstance(value, str) else repr(value)
    return shown if len(shown) <= 40 else shown[:37] + "..."
