"""One check per sort of value: each yields sentences that begin with the place."""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from numbers import Real
from typing import Any

from intermodal.report.figures import is_number

Block = Mapping[str, Any]
Check = Callable[[str, Any], Iterator[str]]


def keys(path: str, given: Mapping[str, Any], fields: Mapping[str, Check], kind: str = "") -> Iterator[str]:
    """Check a dict against its fields: what is missing, what is wrong, what is not known."""
    where = f"{path} ({kind})" if kind else path
    inside = path + "." if path.startswith("blocks") else ""
    names = [name.rstrip("?") for name in fields]
    for (field, check), name in zip(fields.items(), names, strict=True):
        if name in given:
            yield from check(inside + name, given[name])
        elif not field.endswith("?"):
            yield f'{where} must have the key "{name}", however: it is missing'
    for name in given:
        if name not in names:
            yield f"{where} must have known keys only, however: {quoted(name)}{suggest(name, names)}"


def text(path: str, value: Any) -> Iterator[str]:
    """A text."""
    if not isinstance(value, str):
        yield f"{path} must be text, however: {short(value)}"


def text_or_none(path: str, value: Any) -> Iterator[str]:
    """A text, or nothing."""
    if value is not None:
        yield from text(path, value)


def number(path: str, value: Any) -> Iterator[str]:
    """A number that fits in a float."""
    if not is_number(value):
        yield f"{path} must be a number, however: {short(value)}"
    elif not _fits(value):
        yield f"{path} must fit in a float, however: it is larger than 1.8e308"


def number_or_none(path: str, value: Any) -> Iterator[str]:
    """A number, or nothing."""
    if value is not None:
        yield from number(path, value)


def cell(path: str, value: Any) -> Iterator[str]:
    """What a cell of a table may hold."""
    if value is None or isinstance(value, (str, bool)):
        return
    if not isinstance(value, Real):
        yield f"{path} must be text, a number, a truth value or None, however: {short(value)}"
    else:
        yield from number(path, value)


def truth(path: str, value: Any) -> Iterator[str]:
    """True or False."""
    if not isinstance(value, bool):
        yield f"{path} must be True or False, however: {short(value)}"


def count(path: str, value: Any) -> Iterator[str]:
    """An integer of 0 or more."""
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        yield f"{path} must be an integer of 0 or more, however: {short(value)}"


def a_list(path: str, value: Any) -> Iterator[str]:
    """A list; an array is told the way out."""
    if not isinstance(value, (list, tuple)):
        hint = "; use .tolist()" if hasattr(value, "tolist") else ""
        yield f"{path} must be a list, however: {short(value)}{hint}"


def each(check: Check) -> Check:
    """Return the check of a list whose every entry passes `check`."""

    def checked(path: str, value: Any) -> Iterator[str]:
        problems = list(a_list(path, value))
        yield from problems
        for index, entry in enumerate(value if not problems else ()):
            yield from check(f"{path}[{index}]", entry)

    return checked


def a_dict(**fields: Check) -> Check:
    """Return the check of a dict; a field whose name ends in `_or_not` may be left out."""
    names = {name.replace("_or_not", "?"): check for name, check in fields.items()}

    def checked(path: str, value: Any) -> Iterator[str]:
        if isinstance(value, Mapping):
            yield from keys(path, value, names)
        else:
            yield f"{path} must be a dict, however: {short(value)}"

    return checked


def pair(path: str, value: Any) -> Iterator[str]:
    """A label with its value."""
    problems = list(a_list(path, value))
    yield from problems
    if not problems and len(value) != 2:
        yield f"{path} must be a pair [label, value], however: it has {len(value)} entries"
    elif not problems:
        yield from text(f"{path}[0]", value[0])
        yield from cell(f"{path}[1]", value[1])


def numeral(path: str, value: Any) -> Iterator[str]:
    """A finite number, or its decimal text."""
    try:
        fine = (is_number(value) or isinstance(value, str)) and math.isfinite(float(value))
    except (ValueError, OverflowError):
        fine = False
    if not fine:
        yield f"{path} must be a finite number or its decimal text, however: {short(value)}"


def optional(check: Check) -> Check:
    """Return the check that lets None pass as well."""

    def checked(path: str, value: Any) -> Iterator[str]:
        if value is not None:
            yield from check(path, value)

    return checked


def shaped(path: str, value: Any, axes: Sequence[tuple[int, str]]) -> Iterator[str]:
    """Lists in lists of the given lengths, and numbers or None in the innermost; the first slip is told.

    Args:
        path: where `value` stands.
        value: what to check.
        axes: for each depth how many entries there must be, and one per what.
    """
    (size, what), deeper = axes[0], axes[1:]
    problem = next(iter(a_list(path, value)), None)
    if problem is None and len(value) != size:
        problem = f"{path} must have {size} entries, one per {what}, however: {len(value)}"
    if problem is not None:
        yield problem
        return
    if not deeper and all(type(entry) is float or entry is None for entry in value):
        return  # nearly always, and there may be very many
    for index, entry in enumerate(value):
        inside = shaped(f"{path}[{index}]", entry, deeper) if deeper else number_or_none(f"{path}[{index}]", entry)
        problem = next(iter(inside), None)
        if problem is not None:
            yield problem
            return


def severity(path: str, value: Any) -> Iterator[str]:
    """How bad a finding is."""
    if value not in ("error", "warning", "note"):
        yield f'{path} must be "error", "warning" or "note", however: {short(value)}'


def _fits(value: Any) -> bool:
    try:
        float(value)
    except OverflowError:
        return False
    return True


def short(value: object) -> str:
    """Return a value as a sentence can name it."""
    if isinstance(value, (Mapping, list, tuple)) or hasattr(value, "tolist"):
        return f"a {type(value).__name__}"
    shown = repr(value)
    return shown if len(shown) <= 60 else shown[:57] + "..."


def quoted(name: object) -> str:
    """Return a name in quotation marks."""
    return f'"{name[:57]}"' if isinstance(name, str) else short(name)


def suggest(name: object, names: Iterable[str]) -> str:
    """Return the end of a sentence that names the nearest known name."""
    names = list(names)
    close: Sequence[str] = difflib.get_close_matches(name, names, n=1) if isinstance(name, str) else ()
    return f'; did you mean "{close[0]}"?' if close else "; known: " + ", ".join(f'"{n}"' for n in names)
