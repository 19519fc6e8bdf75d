"""The blocks that stand for themselves: which keys each has, and what has to agree inside it.

A key that ends in `?` may be left out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from intermodal.report.checks import (
    Block,
    Check,
    a_dict,
    cell,
    count,
    each,
    number,
    number_or_none,
    optional,
    pair,
    severity,
    short,
    text,
    text_or_none,
    truth,
)

Agree = Callable[[str, Block], Iterator[str]]

HEAD: dict[str, Check] = {"title": text, "caption?": text_or_none}
_item = {"label": text, "value": number_or_none}

PLAIN_KINDS: dict[str, dict[str, Check]] = {
    "text": {"title?": text_or_none, "text": text},
    "facts": {"title?": text_or_none, "items": each(pair)},
    "table": {
        **HEAD,
        "columns": each(text),
        "rows": each(each(cell)),
        "align?": text_or_none,
        "highlight?": each(count),
    },
    "matrix": {
        **HEAD,
        "rows": each(text),
        "columns": each(text),
        "values": each(each(number_or_none)),
        "digits?": count,
        "axes?": each(text),
        "domain?": optional(each(number)),
        "uniform?": number_or_none,
    },
    "bars": {
        **HEAD,
        "items": each(a_dict(**_item, low_or_not=number_or_none, high_or_not=number_or_none)),
        "zero?": truth,
        "unit?": text_or_none,
    },
    "intervals": {
        **HEAD,
        "items": each(a_dict(**_item, low=number_or_none, high=number_or_none)),
        "reference?": number_or_none,
        "unit?": text_or_none,
    },
    "track": {
        **HEAD,
        "name": text,
        "unit": text,
        "times": each(each(number)),
        "values": each(number),
        "spans": each(a_dict(label=text, start=number, end=number)),
    },
    "findings": {
        "title": text,
        "items": each(
            a_dict(id=text, severity=severity, text=text, remedy_or_not=text_or_none, see_or_not=text_or_none)
        ),
    },
    "commands": {"title": text, "lines": each(text)},
}


# ---- what has to agree inside a block whose keys are each right ----


def _table_agrees(path: str, block: Block) -> Iterator[str]:
    n_columns, n_rows = len(block["columns"]), len(block["rows"])
    for index, row in enumerate(block["rows"]):
        if len(row) != n_columns:
            yield f"{path}.rows[{index}] must have {n_columns} cells, one per column, however: {len(row)}"
    align = block.get("align")
    if align is not None and (len(align) != n_columns or set(align) - set("lrc")):
        yield f'{path}.align must be {n_columns} letters of "l", "r", "c", however: {short(align)}'
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
    ends = block.get("domain")
    if ends is not None and not (len(ends) == 2 and ends[0] < ends[1] and 0 in (ends[0], sum(ends))):
        yield f"{path}.domain must be [0, high] or [-high, high] with high above 0, however: {list(ends)}"
    if "axes" in block and len(block["axes"]) != 2:
        yield f"{path}.axes must be two texts [rows, columns], however: it has {len(block['axes'])}"


def _spans_agree(path: str, block: Block) -> Iterator[str]:
    for index, item in enumerate(block["items"]):
        low, high = item.get("low"), item.get("high")
        if low is not None and high is not None and low > high:
            yield f"{path}.items[{index}] must have low <= high, however: low={low}, high={high}"


def _track_agrees(path: str, block: Block) -> Iterator[str]:
    if len(block["times"]) != len(block["values"]):
        yield f"{path}.values must have {len(block['times'])} entries, one per time, however: {len(block['values'])}"
    for index, time in enumerate(block["times"]):
        if len(time) != 2 or not time[0] < time[1]:
            yield f"{path}.times[{index}] must be [start, end] with start < end, however: {list(time)}"
            return
    for index, value in enumerate(block["values"]):
        if not 0 <= value <= 1:
            yield f"{path}.values[{index}] must lie between 0 and 1, however: {value}"
            return
    for index, span in enumerate(block["spans"]):
        if not span["start"] <= span["end"]:
            yield f"{path}.spans[{index}] must have start <= end, however: {span['start']} and {span['end']}"


PLAIN_AGREE: dict[str, Agree] = {
    "track": _track_agrees,
    "table": _table_agrees,
    "matrix": _matrix_agrees,
    "bars": _spans_agree,
    "intervals": _spans_agree,
}
