"""What is wrong with the parameters of a model: looked for one by one, said all at once."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from intermodal.errors import InputError


def is_count(value: Any) -> bool:
    """Tell a whole number above zero; True is none.

    Example:
        >>> is_count(3), is_count(np.int64(3)), is_count(0), is_count(3.0), is_count(True)
        (True, True, False, False, False)
    """
    return isinstance(value, int | np.integer) and not isinstance(value, bool) and bool(value >= 1)


def check_count(name: str, value: Any) -> int:
    """Return a whole number above zero.

    Raises:
        InputError: it is none; the name is in the message.

    Example:
        >>> check_count("k", 0)
        Traceback (most recent call last):
        ...
        intermodal.errors.InputError: k is a whole number above zero, however: k=0
    """
    if not is_count(value):
        raise InputError(_no_count(name, value))
    return int(value)


def wrong_counts(settings: Any, names: Iterable[str]) -> list[str]:
    """Say which of these attributes are no whole numbers above zero.

    Example:
        >>> from types import SimpleNamespace
        >>> wrong_counts(SimpleNamespace(n_heads=0, d_model=8), ["n_heads", "d_model"])
        ['n_heads is a whole number above zero, however: n_heads=0']
    """
    return [_no_count(name, getattr(settings, name)) for name in names if not is_count(getattr(settings, name))]


def wrong_shares(settings: Any, names: Iterable[str]) -> list[str]:
    """Say which of these attributes are no numbers from 0 to below 1.

    Example:
        >>> from types import SimpleNamespace
        >>> wrong_shares(SimpleNamespace(dropout=1.0, validation=0), ["dropout", "validation"])
        ['dropout lies in [0, 1), however: dropout=1.0']
    """
    given = {name: getattr(settings, name) for name in names}
    wrong = {name: value for name, value in given.items() if not _is_number(value) or not 0 <= value < 1}
    return [f"{name} lies in [0, 1), however: {name}={value!r}" for name, value in wrong.items()]


def wrong_sizes(settings: Any, names: Iterable[str], *, zero: bool = False) -> list[str]:
    """Say which of these attributes are no finite numbers above zero, or with `zero` from zero on.

    Example:
        >>> from types import SimpleNamespace
        >>> wrong_sizes(SimpleNamespace(lr=0, clip=0.5), ["lr", "clip"])
        ['lr is a number above zero, however: lr=0']
    """
    wanted = "a number, 0 or more" if zero else "a number above zero"
    given = {name: getattr(settings, name) for name in names}
    wrong = {
        name: value
        for name, value in given.items()
        if not _is_number(value) or not 0 <= value < np.inf or (value == 0 and not zero)
    }
    return [f"{name} is {wanted}, however: {name}={value!r}" for name, value in wrong.items()]


def refuse(wrong: Iterable[str]) -> None:
    """Raise everything that is wrong, a line each.

    Raises:
        InputError: something is.
    """
    said = "\n".join(wrong)
    if said:
        raise InputError(said)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float | np.number)


def _no_count(name: str, value: Any) -> str:
    return f"{name} is a whole number above zero, however: {name}={value!r}"
