"""Which clips are asked for: `where={"year": 2020, "tag": ["a", "b"], "length": {"min": 3}}`.

A value is met by an equal one, a list by any of its values, `min` and `max` by what lies between, the ends included.
All keys must be met; a clip without the key never meets it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from intermodal.errors import InputError, did_you_mean

Where = Mapping[str, Any]
_ENDS = ("min", "max")


@dataclass(frozen=True)
class Condition:
    """What one key must be: one of `values`, or, where these are None, from `low` to `high`."""

    key: str
    kind: str
    values: tuple[Any, ...] | None = None
    low: Any = None
    high: Any = None

    def meets(self, metadata: Mapping[str, Any]) -> bool:
        """Tell whether a clip of these metadata is asked for."""
        value = metadata.get(self.key)
        if value is None or kind_of(value) != self.kind:
            return False
        if self.values is not None:
            return value in self.values
        return (self.low is None or value >= self.low) and (self.high is None or value <= self.high)


def conditions(where: Where | None) -> tuple[Condition, ...]:
    """Read a filter.

    Raises:
        InputError: it is no mapping, or asks for something other than texts, numbers and truth values.

    Example:
        >>> conditions({"tag": ["a", "b"], "length": {"min": 3}})[1]
        Condition(key='length', kind='number', values=None, low=3, high=None)
    """
    if where is None:
        return ()
    if not isinstance(where, Mapping):
        raise InputError(f"where is a mapping key -> value, however: it is a {type(where).__name__}")
    return tuple(_condition(key, asked) for key, asked in where.items())


def check_keys(asked: tuple[Condition, ...], kinds: Mapping[str, str]) -> None:
    """Raise where a filter names a key that no clip has, or asks a number of a text.

    Example:
        >>> check_keys(conditions({"yaer": 2020}), {"year": "number"})
        Traceback (most recent call last):
        ...
        intermodal.errors.InputError: a filter names a key of the metadata, however: "yaer"; did you mean "year"?
    """
    for condition in asked:
        if condition.key not in kinds:
            hint = did_you_mean(condition.key, kinds) or "; the clips of this index have no metadata"
            raise InputError(f'a filter names a key of the metadata, however: "{condition.key}"{hint}')
        if kinds[condition.key] != condition.kind:
            raise InputError(
                f'"{condition.key}" is a {kinds[condition.key]} in this index, however: '
                f"the filter asks for a {condition.kind}"
            )


def kind_of(value: Any) -> str:
    """Say what a value is: true is not 1, and "1" neither.

    Example:
        >>> kind_of("1"), kind_of(1), kind_of(1.0), kind_of(True)
        ('text', 'number', 'number', 'truth value')
    """
    if isinstance(value, bool):
        return "truth value"
    return "text" if isinstance(value, str) else "number"


def _condition(key: str, asked: Any) -> Condition:
    if isinstance(asked, Mapping):
        return _between(key, asked)
    values = list(asked) if isinstance(asked, list | tuple | set | frozenset | np.ndarray) else [asked]
    if not values:
        raise InputError(f'a filter asks for some value, however: that on "{key}" is empty')
    plain = tuple(_value(key, value) for value in values)
    return Condition(key, _one_kind(key, plain), plain)


def _between(key: str, asked: Mapping[str, Any]) -> Condition:
    odd = [name for name in asked if name not in _ENDS]
    if odd or not asked:
        raise InputError(f'a range has a "min", a "max" or both, however: that on "{key}" is {dict(asked)}')
    ends = {name: _value(key, value) for name, value in asked.items()}
    kind = _one_kind(key, tuple(ends.values()))
    if kind == "truth value":
        raise InputError(f'a range is over numbers or texts, however: that on "{key}" is {dict(asked)}')
    low, high = ends.get("min"), ends.get("max")
    if low is not None and high is not None and low > high:
        raise InputError(f'the min of a range is not above its max, however: that on "{key}" is {dict(asked)}')
    return Condition(key, kind, None, low, high)


def _value(key: str, value: Any) -> Any:
    value = value.item() if isinstance(value, np.generic) else value
    if not isinstance(value, str | int | float) or (isinstance(value, float) and not math.isfinite(value)):
        raise InputError(f'a filter asks for texts, finite numbers or truth values, however: "{key}" is {value!r}')
    return value


def _one_kind(key: str, values: tuple[Any, ...]) -> str:
    kinds = sorted({kind_of(value) for value in values})
    if len(kinds) > 1:
        raise InputError(f'a filter asks one kind of value of a key, however: "{key}" mixes {" and ".join(kinds)}s')
    return kinds[0]
