"""A grid of texts, laid out for a terminal: every column is shown, and what was shortened is said.

Columns first give way (texts wrap, numbers do not). A grid that is still too wide continues below itself in
pieces that repeat the first column; nothing is dropped.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from intermodal.report.catalogue import say
from intermodal.report.cells import pad, width, wrap
from intermodal.report.escape import plain
from intermodal.report.grid import Grid

_GAP = 2
_MAX_LINES = 4
_MARK = "▸ "


@dataclass
class _Column:
    cells: list[str]
    align: str
    natural: int
    least: int
    drawn: bool = False


def lay_out(grid: Grid, places: int, drawing: Sequence[str] = ()) -> list[str]:
    """Return the lines of `grid`, none wider than `places` (a width of 24 or more).

    Args:
        grid: the texts to lay out.
        places: how wide a line may be.
        drawing: one more column, a head and a line per row of equal widths, shown as it is.

    Example:
        >>> from intermodal.report.grid import Grid
        >>> rows = (("self", "0.91"), ("none", "0.88"))
        >>> print("\\n".join(lay_out(Grid(("fusion", "score"), rows, rows, "lr"), 40)))
        fusion  score
        ──────  ─────
        self     0.91
        none     0.88
    """
    places -= len(_MARK) if grid.highlight else 0
    columns = [_column(grid, index, places) for index in range(len(grid.columns))]
    if drawing:
        columns.append(_Column(list(drawing), "l", width(drawing[0]), width(drawing[0]), drawn=True))
    pieces = _pieces(columns, places)
    lines: list[str] = []
    shortened: set[tuple[int, int]] = set()
    for piece in pieces:
        if len(pieces) > 1:
            heading = _heading(piece, len(columns))
            lines += ["", heading] if lines else [heading]
        widths = _widths([columns[index] for index in piece], places)
        lines += _draw(columns, piece, widths, grid.highlight, shortened)
    if shortened:
        key = "shortened_one" if len(shortened) == 1 else "shortened"
        lines += ["", *wrap(say(key, count=len(shortened)), places)[0]]
    return lines


def _column(grid: Grid, index: int, places: int) -> _Column:
    cells = [plain(grid.columns[index]), *(plain(row[index]) for row in grid.rows)]
    widths = [min(width(cell), places) for cell in cells]
    natural = max(widths)
    body = max(widths[1:], default=0)
    least = min(natural, max(6, min(body, 20))) if grid.align[index] == "r" else min(natural, 12)
    return _Column(cells, grid.align[index], natural, least)


def _pieces(columns: Sequence[_Column], places: int) -> list[list[int]]:
    """Split the columns into groups that fit; each group begins with column 0."""
    if not columns:
        return []
    pieces, piece, used = [], [0], columns[0].least
    for index in range(1, len(columns)):
        need = _GAP + columns[index].least
        if used + need > places and len(piece) > 1:
            pieces.append(piece)
            piece, used = [0], columns[0].least
        piece.append(index)
        used += need
    return [*pieces, piece]


def _heading(piece: Sequence[int], total: int) -> str:
    first, last = piece[1] + 1, piece[-1] + 1
    key = "columns_one" if first == last else "columns"
    return f"({say(key, first=first, last=last, total=total)})"


def _widths(columns: Sequence[_Column], places: int) -> list[int]:
    """Return one width per column; the widest gives way first, down to its least."""
    widths = [column.natural for column in columns]
    room = places - _GAP * (len(columns) - 1)
    # Second round: two columns that are too wide together; then numbers wrap as well.
    for least in ([column.least for column in columns], [2] * len(columns)):
        while sum(widths) > room:
            gives = [index for index in range(len(widths)) if widths[index] > least[index]]
            if not gives:
                break
            widths[max(gives, key=lambda index: widths[index])] -= 1
    return widths


def _draw(
    columns: Sequence[_Column],
    piece: Sequence[int],
    widths: Sequence[int],
    highlight: frozenset[int],
    shortened: set[tuple[int, int]],
) -> list[str]:
    shown = [columns[index] for index in piece]
    lines: list[str] = []
    for row in range(len(shown[0].cells)):
        wrapped = []
        for index, column, places in zip(piece, shown, widths, strict=True):
            text = column.cells[row]
            cell, is_cut = ([text], False) if column.drawn else wrap(text, places, max_lines=_MAX_LINES)
            wrapped.append(cell)
            if is_cut:
                shortened.add((row, index))
        mark = _MARK if row - 1 in highlight else " " * len(_MARK) if highlight else ""
        for line in range(max(map(len, wrapped))):
            texts = [cell[line] if line < len(cell) else "" for cell in wrapped]
            padded = [pad(t, w, c.align) for t, w, c in zip(texts, widths, shown, strict=True)]
            lines.append((mark + (" " * _GAP).join(padded)).rstrip())
            mark = " " * len(mark)
        if row == 0:
            rule = (" " * _GAP).join("─" * places for places in widths)
            lines.append(" " * len(mark) + rule)
    return lines
