"""A bar per item: it starts at the zero line, and whiskers over it reach from low to high."""

from __future__ import annotations

import math

from intermodal.report.chart import chart_html, percent, upright
from intermodal.report.scale import Scale
from intermodal.report.validating import Block


def bars_html(block: Block) -> str:
    """Return the HTML of a bars block.

    Example:
        >>> made = bars_html({"kind": "bars", "title": "t", "items": [{"label": "a", "value": -1.0}]})
        >>> 'class="minus"' in made
        True
    """
    return chart_html(block, _draw)


def _draw(block: Block, axis: Scale, index: int) -> str:
    item = block["items"][index]
    value, low, high = item["value"], item.get("low"), item.get("high")
    has_zero = axis.low <= 0 <= axis.high
    parts = []
    if value is not None and math.isfinite(value):
        start, end = sorted((axis.at(0.0) if has_zero else 0.0, axis.at(value)))
        look = "minus" if value < 0 else "plus"
        size = f'x="{percent(start)}" width="{percent(end - start)}"'
        parts.append(f'<rect class="{look}" {size} y="50%" height="14" transform="translate(0,-7)"/>')
    if has_zero:
        parts.append(upright(axis.at(0.0), "zero"))
    if low is not None and high is not None and math.isfinite(low) and math.isfinite(high):
        start, end = axis.at(low), axis.at(high)
        ends = f'x1="{percent(start)}" x2="{percent(end)}"'
        parts.append(f'<line class="whisker" {ends} y1="50%" y2="50%"/>{_cap(start)}{_cap(end)}')
    return "".join(parts)


def _cap(place: float) -> str:
    at = f'x="{percent(place)}" y="50%" width="1.5" height="8"'
    return f'<rect class="cap" {at} transform="translate(-.75,-4)"/>'
