"""A table block as an HTML table: a header per column, a header per row, numbers aligned."""

from __future__ import annotations

from intermodal.report.catalogue import WORDS
from intermodal.report.grid import Grid, grid_of
from intermodal.report.markup import caption, exactly, gap, name, notes, nothing, region
from intermodal.report.validating import Block


def table_html(block: Block) -> str:
    """Return the HTML of a table block.

    Example:
        >>> made = table_html({"kind": "table", "title": "t", "columns": ["a", "b"], "rows": [["x", 0.5]]})
        >>> '<th scope="row"><bdi>x</bdi></th><td class="r" data-v="0.5">0.500</td>' in made
        True
    """
    grid = grid_of(block)
    if not grid.rows or not grid.columns:
        return nothing()
    heads = "".join(f'<th scope="col"{_side(grid, i)}>{name(head)}</th>' for i, head in enumerate(grid.columns))
    rows = "".join(_row(grid, index) for index in range(len(grid.rows)))
    table = f'<table class="data">{caption(block)}<thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table>'
    return region(block, table) + notes(grid.reasons)


def _row(grid: Grid, row: int) -> str:
    hit = row in grid.highlight
    cells = [_cell(grid, row, column) for column in range(len(grid.columns))]
    if grid.align[0] == "l" and grid.values[row][0] is not None:
        mark = f'<span class="sr"> ({WORDS["highlighted"]})</span>' if hit else ""
        cells[0] = f'<th scope="row">{name(grid.rows[row][0])}{mark}</th>'
    start = '<tr class="hit">' if hit else "<tr>"
    return f"{start}{''.join(cells)}</tr>"


def _cell(grid: Grid, row: int, column: int) -> str:
    value, shown = grid.values[row][column], grid.rows[row][column]
    text = name(shown) if isinstance(value, str) else shown
    return f"<td{_side(grid, column)}{gap(value)}{exactly(value, shown)}>{text}</td>"


def _side(grid: Grid, column: int) -> str:
    side = grid.align[column]
    return "" if side == "l" else f' class="{side}"'
