"""What someone claims, read with the digits it is given with."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from math import floor, inf, isinf, log10
from typing import Any

from intermodal.errors import InputError
from intermodal.explain.trace_reading import as_fraction, nested, table

_COMPUTED = {"float16": 2, "bfloat16": 2, "float32": 6, "float64": 12}
_BARE = 4
"""To how many decimals a number without decimals claims to be exact."""


@dataclass(frozen=True)
class Claim:
    """Claimed numbers in a shape: each a fraction (None is -inf), to so many decimals."""

    shape: tuple[int, ...]
    numbers: tuple[Fraction | None, ...]
    decimals: tuple[int, ...]


def read_claim(value: Any, digits: int | None) -> Claim:
    """Read claimed numbers; text keeps the decimals it is written with, computed numbers those of their type.

    Example:
        >>> claim = read_claim("0.9991 0", None)
        >>> claim.numbers, claim.decimals
        ((Fraction(9991, 10000), Fraction(0, 1)), (4, 4))
        >>> read_claim([0.25, 0.75], None).decimals
        (2, 2)
    """
    found = table("the claim", value) if isinstance(value, str) else nested("the claim", value)
    numbers = tuple(None if _is_hidden(entry) else as_fraction("the claim", entry) for entry in found.flat)
    decimals = tuple(map(_decimals, found.flat))
    most = _COMPUTED.get(str(getattr(value, "dtype", "float64")).removeprefix("torch."), 12)
    is_computed = any(isinstance(entry, float) for entry in found.flat)
    if is_computed:
        largest = max((abs(number) for number in numbers if number), default=Fraction(1))
        most -= max(0, floor(log10(largest)) + 1 if largest > 1 else 0)
        if max(decimals) > 6:  # nobody types that: all were computed alike
            decimals = (max(decimals),) * len(decimals)
        decimals = tuple(min(one, max(most, 0)) for one in decimals)
    if digits is not None:
        if not isinstance(digits, int) or isinstance(digits, bool) or not 0 <= digits <= 30:
            raise InputError(f"digits must be a whole number from 0 to 30, however: {digits=}")
        decimals = (digits,) * len(decimals)
    return Claim(found.shape, numbers, decimals)


def _is_hidden(entry: Any) -> bool:
    return entry == "-inf" or (isinstance(entry, float) and isinf(entry) and entry == -inf)


def _decimals(entry: Any) -> int:
    if isinstance(entry, Fraction) or (isinstance(entry, str) and "/" in entry):
        return 12
    if _is_hidden(entry) or isinstance(entry, int) or (isinstance(entry, float) and entry.is_integer()):
        return _BARE
    exponent = Decimal(entry if isinstance(entry, str | Decimal) else repr(float(entry))).as_tuple().exponent
    if isinstance(entry, str) and not set(entry) & set(".eE"):
        return _BARE
    return min(max(0, -int(exponent)), 30)
