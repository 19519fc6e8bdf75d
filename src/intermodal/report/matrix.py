"""A matrix block as a heat map: a real table with the number in every cell, and a legend with the true ends."""

from __future__ import annotations

from intermodal.report.catalogue import say
from intermodal.report.chart import percent
from intermodal.report.domain import Domain, domain
from intermodal.report.escape import html
from intermodal.report.figures import finite
from intermodal.report.grid import axes, grid_of
from intermodal.report.markup import caption, exactly, gap, name, notes, nothing, region
from intermodal.report.style import heat_class
from intermodal.report.validating import Block

_LEGEND = (0, 16, 32, 48, 64, 80, 96, 112, 128, 143, 159, 175, 191, 207, 223, 239, 255)


def matrix_html(block: Block) -> str:
    """Return the HTML of a matrix block.

    Example:
        >>> made = matrix_html({"kind": "matrix", "title": "t", "rows": ["a"], "columns": ["b"], "values": [[1.0]]})
        >>> '<td class="h255" data-v="1.0">1.00</td>' in made
        True
    """
    grid = grid_of(block)
    if not grid.rows or len(grid.columns) < 2:
        return nothing()
    colours = _colours(block)
    heads = "".join(f'<th scope="col">{name(head)}</th>' for head in grid.columns[1:])
    rows = []
    for texts, values in zip(grid.rows, grid.values, strict=True):
        cells = "".join(_cell(v, t, colours) for v, t in zip(values[1:], texts[1:], strict=True))
        rows.append(f'<tr><th scope="row">{name(texts[0])}</th>{cells}</tr>')
    head = f"<thead><tr>{_corner(block)}{heads}</tr></thead>"
    table = f'<table class="matrix">{caption(block)}{head}<tbody>{"".join(rows)}</tbody></table>'
    return region(block, table) + _legend(colours, block.get("uniform")) + notes((colours.sentence(), *grid.reasons))


def matrix_levels(block: Block) -> set[tuple[bool, int]]:
    """Return the colours that `matrix_html` uses, so that the style sheet holds those and no others.

    Example:
        >>> block = {"kind": "matrix", "values": [[0.5, 0.25]]}
        >>> (False, 255) in matrix_levels(block)
        True
    """
    colours = _colours(block)
    used = {colours.level(value) for row in block["values"] for value in finite(row)}
    return {(colours.signed, level) for level in used | set(_LEGEND)}


def _colours(block: Block) -> Domain:
    return domain((value for row in block["values"] for value in row), block.get("domain"))


def _corner(block: Block) -> str:
    rows_do, columns_do = axes(block)
    lines = [f"{html(text)} {arrow}" for text, arrow in ((rows_do, "↓"), (columns_do, "→")) if text]
    parts = " ".join(f'<span class="asks">{line}</span>' for line in lines)
    return f'<th scope="col">{parts}</th>' if parts else "<td></td>"


def _cell(value: float | None, shown: str, colours: Domain) -> str:
    where = gap(value)
    look = "gap" if where else heat_class(colours.signed, colours.level(float(value or 0)))
    return f'<td class="{look}"{where}{exactly(value, shown)}>{shown}</td>'


def _legend(colours: Domain, uniform: float | None) -> str:
    if colours.empty:
        return ""
    mark = said = ""
    if uniform is not None:
        place = percent(100 * (uniform - colours.low) / (colours.high - colours.low))
        ends = f'x1="{place}" x2="{place}" y1="0" y2="100%"'
        # Dark on light on dark: one of the two strokes stands out from any colour under it.
        mark = f'<svg width="100%" height="100%"><line class="under" {ends}/><line class="over" {ends}/></svg>'
        said = f"<em>{html(say('uniform', value=f'{uniform:.3f}'))}</em>"
    strip = "".join(f'<b class="{heat_class(colours.signed, level)}"></b>' for level in _LEGEND)
    low, high = colours.ends()
    return (
        f'<div class="legend" aria-hidden="true"><span>{low}</span><i>{strip}{mark}</i><span>{high}</span>{said}</div>'
    )
