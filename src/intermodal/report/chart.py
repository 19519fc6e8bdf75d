"""The frame that bars and intervals share: a real table whose middle column is drawn.

Every row holds its name, its drawing and its numbers; the drawing is hidden from screen readers because the numbers
say all of it. Places along the axis are percentages, so a drawing fits any width without being stretched.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from intermodal.report.catalogue import WORDS, say
from intermodal.report.escape import html
from intermodal.report.figures import exact
from intermodal.report.grid import Grid, grid_of
from intermodal.report.markup import caption, gap, name, notes, nothing, region
from intermodal.report.scale import Scale
from intermodal.report.spans import span_notes, span_scale
from intermodal.report.validating import Block


def chart_html(block: Block, draw: Callable[[Block, Scale, int], str]) -> str:
    """Return the table of a bars or intervals block; `draw` makes the drawing of one item.

    Example:
        >>> block = {"kind": "bars", "title": "t", "items": [{"label": "a", "value": 0.5}]}
        >>> "0.500" in chart_html(block, lambda block, axis, index: "")
        True
    """
    grid = grid_of(block)
    if not grid.rows:
        return nothing()
    axis = span_scale(block)
    lines = "".join(upright(axis.at(tick), "grid") for tick in axis.ticks)
    rows = []
    for index, (texts, values) in enumerate(zip(grid.rows, grid.values, strict=True)):
        picture = f"{_SVG}{lines}{draw(block, axis, index)}</svg>"
        numbers = (
            f'<td class="r"{gap(values[1])} data-vs="{_all(values)}">{_numbers(block["kind"], texts, values)}</td>'
        )
        rows.append(f'<tr><th scope="row">{name(texts[0])}</th><td class="plot">{picture}</td>{numbers}</tr>')
    table = (
        f'<table class="chart">{caption(block)}<thead><tr>{_heads(grid)}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody><tfoot>{_axis(axis)}</tfoot></table>"
    )
    return region(block, table) + notes((*span_notes(block, axis), *grid.reasons))


_SVG = '<svg aria-hidden="true" focusable="false" width="100%" height="100%">'


def percent(value: float) -> str:
    """Return a percentage short enough for a page and exact to a hundredth of a pixel.

    Example:
        >>> percent(100 / 3), percent(50.0)
        ('33.333%', '50%')
    """
    return f"{value:.3f}".rstrip("0").rstrip(".") + "%"


def upright(place: float, look: str) -> str:
    """Return a line from top to bottom at `place` percent.

    Example:
        >>> upright(50.0, "zero")
        '<line class="zero" x1="50%" x2="50%" y1="0" y2="100%"/>'
    """
    x = percent(place)
    return f'<line class="{look}" x1="{x}" x2="{x}" y1="0" y2="100%"/>'


def _heads(grid: Grid) -> str:
    more = f' <span class="ci">[{", ".join(map(html, grid.columns[2:]))}]</span>' if grid.columns[2:] else ""
    columns = " ".join(html(head).replace(" ", "&#160;") for head in grid.columns[1:])
    return (
        f'<th scope="col" class="name">{html(grid.columns[0])}</th>'
        f'<th scope="col" class="plot"><span class="sr">{WORDS["plot"]}</span></th>'
        f'<th scope="col" class="r num" data-vs="{columns}">{html(grid.columns[1])}{more}</th>'
    )


def _numbers(kind: str, texts: tuple[str, ...], values: tuple[Any, ...]) -> str:
    if kind == "track":
        return say("time_span", start=texts[1], end=texts[2])
    more = f' <span class="ci">[{", ".join(texts[2:])}]</span>' if any(v is not None for v in values[2:]) else ""
    return texts[1] + more


def _all(values: tuple[Any, ...]) -> str:
    return " ".join(map(exact, values[1:]))


def _axis(axis: Scale) -> str:
    if not axis.ticks:
        return ""
    kept = axis.ticks.index(0.0) % 2 if 0.0 in axis.ticks else 0
    texts = []
    for index, (tick, label) in enumerate(zip(axis.ticks, axis.labels(), strict=True)):
        # On a narrow screen every other label gives way, where there are many.
        odd = ' class="odd"' if len(axis.ticks) > 3 and index % 2 != kept else ""
        texts.append(f'<text{odd} x="{percent(axis.at(tick))}" y="18">{label}</text>')
    return f'<tr aria-hidden="true"><td></td><td class="plot">{_SVG}{"".join(texts)}</svg></td><td></td></tr>'
