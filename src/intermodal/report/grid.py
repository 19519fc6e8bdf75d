"""Every block that holds numbers, seen as one grid of texts: what the text, Markdown and HTML forms share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from intermodal.report.catalogue import WORDS, say
from intermodal.report.figures import decimals, figure, is_number, reasons
from intermodal.report.validating import Block

_TIME_DIGITS = 2


@dataclass(frozen=True)
class Grid:
    """Columns and rows of texts that are ready to show, with the values they came from.

    Example:
        >>> grid_of({"kind": "bars", "title": "t", "items": [{"label": "a", "value": 0.5}]}).rows
        (('a', '0.500'),)
    """

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    values: tuple[tuple[Any, ...], ...]
    align: str
    highlight: frozenset[int] = frozenset()

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why there are gaps, one sentence for each sort."""
        return reasons(value for row in self.values for value in row)


def grid_of(block: Block) -> Grid:
    """Return the grid of a table, matrix, bars, intervals or track block.

    Example:
        >>> grid_of({"kind": "table", "title": "t", "columns": ["a", "b"], "rows": [["x", 0.25]]}).align
        'lr'
    """
    makers = {"table": _table, "matrix": _matrix, "bars": _spans, "intervals": _spans, "track": _track}
    return makers[block["kind"]](block)


def _table(block: Block) -> Grid:
    columns, rows = tuple(block["columns"]), [tuple(row) for row in block["rows"]]
    downwards = [[row[index] for row in rows] for index in range(len(columns))]
    digits = [decimals(column) for column in downwards]
    align = block.get("align") or "".join(map(_side, downwards))
    shown = tuple(tuple(map(figure, row, digits)) for row in rows)
    return Grid(columns, shown, tuple(rows), align, frozenset(block.get("highlight") or ()))


def _side(column: Sequence[object]) -> str:
    given = [value for value in column if value is not None]
    return "r" if given and all(map(is_number, given)) else "l"


def axes(block: Block) -> tuple[str, str]:
    """Return what the rows and the columns of a matrix do: the rows ask, the columns are looked at.

    Example:
        >>> axes({"kind": "matrix"})
        ('asks', 'is looked at')
    """
    rows, columns = block.get("axes", (WORDS["asks"], WORDS["looked_at"]))
    return rows, columns


def _matrix(block: Block) -> Grid:
    digits = block.get("digits", 2)
    rows_do, columns_do = axes(block)
    corner = ", ".join(f"{text} {arrow}" for text, arrow in ((rows_do, "↓"), (columns_do, "→")) if text)
    values = tuple((name, *row) for name, row in zip(block["rows"], block["values"], strict=True))
    shown = tuple((row[0], *(figure(value, digits) for value in row[1:])) for row in values)
    return Grid((corner, *block["columns"]), shown, values, "l" + "r" * len(block["columns"]))


def _spans(block: Block) -> Grid:
    items = block["items"]
    keys = ["value"]
    if any(item.get(key) is not None for item in items for key in ("low", "high")):
        keys += ["low", "high"]
    digits = decimals(item.get(key) for item in items for key in keys)
    unit = block.get("unit")
    head = f"{WORDS['value']} ({unit})" if unit else WORDS["value"]
    values = tuple((item["label"], *(item.get(key) for key in keys)) for item in items)
    shown = tuple((row[0], *(figure(value, digits) for value in row[1:])) for row in values)
    return Grid((WORDS["label"], head, *keys[1:]), shown, values, "l" + "r" * len(keys))


def _track(block: Block) -> Grid:
    """Where the curve is highest, then the spans."""
    rows: list[tuple[Any, ...]] = [(span["label"], span["start"], span["end"]) for span in block["spans"]]
    if values := block["values"]:
        start, end = block["times"][max(range(len(values)), key=values.__getitem__)]
        rows.insert(0, (say("track_highest", name=block["name"]), start, end))
    shown = tuple((row[0], *(figure(number, _TIME_DIGITS) for number in row[1:])) for row in rows)
    heads = (f"{WORDS[end]} ({block['unit']})" for end in ("start", "end"))
    return Grid((WORDS["label"], *heads), shown, tuple(rows), "lrr")
