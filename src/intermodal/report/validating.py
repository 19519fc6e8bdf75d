"""Check a report before anything is drawn: one error that names the block and the key.

A report is a dict of blocks; `KINDS` below is the whole schema. A key that ends in `?` may be left out.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from numbers import Real
from typing import Any

from intermodal.report.figures import is_number

Report = Mapping[str, Any]
Block = Mapping[str, Any]
_Check = Callable[[str, Any], Iterator[str]]
_AT_MOST = 8


def validate(report: Report) -> None:
    """Raise one ValueError that lists what is wrong with `report`; return None when nothing is.

    Raises:
        ValueError: each line is one sentence and begins with the place, such as `blocks[2].rows[1]`.

    Example:
        >>> validate({"title": "t", "blocks": [{"kind": "text", "txt": "hello"}]})
        Traceback (most recent call last):
        ...
        ValueError: blocks[0] (text) must have the key "text", however: it is missing
        blocks[0] (text) must have known keys only, however: "txt"; did you mean "text"?
    """
    problems = list(_report(report))
    if len(problems) > _AT_MOST:
        problems[_AT_MOST:] = [f"and {len(problems) - _AT_MOST} problems more"]
    if problems:
        raise ValueError("\n".join(problems))


def _report(report: object) -> Iterator[str]:
    if not isinstance(report, Mapping):
        yield f"a report must be a dict, however: {_short(report)}"
        return
    yield from _keys("a report", report, {"title": _text, "subtitle?": _text_or_none, "blocks": _list})
    blocks = report.get("blocks")
    if isinstance(blocks, (list, tuple)):
        for index, block in enumerate(blocks):
            yield from _block(f"blocks[{index}]", block)


def _block(path: str, block: object) -> Iterator[str]:
    if not isinstance(block, Mapping):
        yield f"{path} must be a dict, however: {_short(block)}"
        return
    kind = block.get("kind")
    if not isinstance(kind, str) or kind not in KINDS:
        yield f'{path} must have a known "kind", however: kind={_short(kind)}{_suggest(kind, KINDS)}'
        return
    problems = list(_keys(path, block, {"kind": _text, **KINDS[kind]}, kind))
    yield from problems
    if not problems and kind in _AGREE:
        yield from _AGREE[kind](path, block)


def _keys(path: str, given: Mapping[str, Any], fields: Mapping[str, _Check], kind: str = "") -> Iterator[str]:
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
            yield f"{where} must have known keys only, however: {_quoted(name)}{_suggest(name, names)}"


# ---- one check per sort of value: each yields sentences that begin with the place ----


def _text(path: str, value: Any) -> Iterator[str]:
    if not isinstance(value, str):
        yield f"{path} must be text, however: {_short(value)}"


def _text_or_none(path: str, value: Any) -> Iterator[str]:
    if value is not None:
        yield from _text(path, value)


def _number(path: str, value: Any) -> Iterator[str]:
    if not is_number(value):
        yield f"{path} must be a number, however: {_short(value)}"
    elif not _fits(value):
        yield f"{path} must fit in a float, however: it is larger than 1.8e308"


def _number_or_none(path: str, value: Any) -> Iterator[str]:
    if value is not None:
        yield from _number(path, value)


def _cell(path: str, value: Any) -> Iterator[str]:
    if value is None or isinstance(value, (str, bool)):
        return
    if not isinstance(value, Real):
        yield f"{path} must be text, a number, a truth value or None, however: {_short(value)}"
    else:
        yield from _number(path, value)


def _truth(path: str, value: Any) -> Iterator[str]:
    if not isinstance(value, bool):
        yield f"{path} must be True or False, however: {_short(value)}"


def _count(path: str, value: Any) -> Iterator[str]:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        yield f"{path} must be an integer of 0 or more, however: {_short(value)}"


def _list(path: str, value: Any) -> Iterator[str]:
    if not isinstance(value, (list, tuple)):
        hint = "; use .tolist()" if hasattr(value, "tolist") else ""
        yield f"{path} must be a list, however: {_short(value)}{hint}"


def _each(check: _Check) -> _Check:
    def checked(path: str, value: Any) -> Iterator[str]:
        problems = list(_list(path, value))
        yield from problems
        for index, entry in enumerate(value if not problems else ()):
            yield from check(f"{path}[{index}]", entry)

    return checked


def _dict(**fields: _Check) -> _Check:
    names = {name.replace("_or_not", "?"): check for name, check in fields.items()}

    def checked(path: str, value: Any) -> Iterator[str]:
        if isinstance(value, Mapping):
            yield from _keys(path, value, names)
        else:
            yield f"{path} must be a dict, however: {_short(value)}"

    return checked


def _pair(path: str, value: Any) -> Iterator[str]:
    problems = list(_list(path, value))
    yield from problems
    if not problems and len(value) != 2:
        yield f"{path} must be a pair [label, value], however: it has {len(value)} entries"
    elif not problems:
        yield from _text(f"{path}[0]", value[0])
        yield from _cell(f"{path}[1]", value[1])


def _severity(path: str, value: Any) -> Iterator[str]:
    if value not in ("error", "warning", "note"):
        yield f'{path} must be "error", "warning" or "note", however: {_short(value)}'


_head: dict[str, _Check] = {"title": _text, "caption?": _text_or_none}
_item = {"label": _text, "value": _number_or_none}

KINDS: dict[str, dict[str, _Check]] = {
    "text": {"title?": _text_or_none, "text": _text},
    "facts": {"title?": _text_or_none, "items": _each(_pair)},
    "table": {
        **_head,
        "columns": _each(_text),
        "rows": _each(_each(_cell)),
        "align?": _text_or_none,
        "highlight?": _each(_count),
    },
    "matrix": {
        **_head,
        "rows": _each(_text),
        "columns": _each(_text),
        "values": _each(_each(_number_or_none)),
        "digits?": _count,
        "axes?": _each(_text),
    },
    "bars": {
        **_head,
        "items": _each(_dict(**_item, low_or_not=_number_or_none, high_or_not=_number_or_none)),
        "zero?": _truth,
        "unit?": _text_or_none,
    },
    "intervals": {
        **_head,
        "items": _each(_dict(**_item, low=_number_or_none, high=_number_or_none)),
        "reference?": _number_or_none,
        "unit?": _text_or_none,
    },
    "findings": {
        "title": _text,
        "items": _each(_dict(id=_text, severity=_severity, text=_text, remedy_or_not=_text_or_none)),
    },
    "commands": {"title": _text, "lines": _each(_text)},
}


# ---- what has to agree inside a block whose keys are each right ----


def _table_agrees(path: str, block: Block) -> Iterator[str]:
    n_columns, n_rows = len(block["columns"]), len(block["rows"])
    for index, row in enumerate(block["rows"]):
        if len(row) != n_columns:
            yield f"{path}.rows[{index}] must have {n_columns} cells, one per column, however: {len(row)}"
    align = block.get("align")
    if align is not None and (len(align) != n_columns or set(align) - set("lrc")):
        yield f'{path}.align must be {n_columns} letters of "l", "r", "c", however: {_short(align)}'
    for index in block.get("highlight") or ():
        if index >= n_rows:
            yield f"{path}.highlight must name rows below {n_rows}, however: {index}"


def _matrix_agrees(path: str, block: Block) -> Iterator[str]:
    n_rows, n_columns = len(block["rows"]), len(block["columns"])
    if len(block["values"]) != n_rows:
        yield f"{path}.values must have {n_rows} rows, one per name, however: {len(block['values'])}"
    for index, row in enumerate(block["values"]):
        if len(row) != n_columns:
            yield f"{path}.values[{index}] must have {n_columns} numbers, one per column, however: {len(row)}"
    if block.get("digits", 2) > 12:
        yield f"{path}.digits must be at most 12, however: {block['digits']}"
    if "axes" in block and len(block["axes"]) != 2:
        yield f"{path}.axes must be two texts [rows, columns], however: it has {len(block['axes'])}"


def _spans_agree(path: str, block: Block) -> Iterator[str]:
    for index, item in enumerate(block["items"]):
        low, high = item.get("low"), item.get("high")
        if low is not None and high is not None and low > high:
            yield f"{path}.items[{index}] must have low <= high, however: low={low}, high={high}"


_AGREE: dict[str, Callable[[str, Block], Iterator[str]]] = {
    "table": _table_agrees,
    "matrix": _matrix_agrees,
    "bars": _spans_agree,
    "intervals": _spans_agree,
}


def _fits(value: Any) -> bool:
    try:
        float(value)
    except OverflowError:
        return False
    return True


def _short(value: object) -> str:
    if isinstance(value, (Mapping, list, tuple)) or hasattr(value, "tolist"):
        return f"a {type(value).__name__}"
    shown = repr(value)
    return shown if len(shown) <= 60 else shown[:57] + "..."


def _quoted(name: object) -> str:
    return f'"{name[:57]}"' if isinstance(name, str) else _short(name)


def _suggest(name: object, names: Iterable[str]) -> str:
    names = list(names)
    close: Sequence[str] = difflib.get_close_matches(name, names, n=1) if isinstance(name, str) else ()
    return f'; did you mean "{close[0]}"?' if close else "; known: " + ", ".join(f'"{n}"' for n in names)
