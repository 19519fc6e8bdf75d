"""A dot and a whisker per item, with a dashed line at the reference.

Whether an interval leaves the reference out is the whole question, so it is drawn twice: by place and by a solid dot.
"""

from __future__ import annotations

import math

from intermodal.report.chart import chart_html, percent, upright
from intermodal.report.scale import Scale
from intermodal.report.textplot import holds
from intermodal.report.validating import Block


def intervals_html(block: Block) -> str:
    """Return the HTML of an intervals block.

    Example:
        >>> items = [{"label": "a", "value": 1.0, "low": 0.5, "high": 2.0}]
        >>> 'class="dot"' in intervals_html({"kind": "intervals", "title": "t", "items": items, "reference": 0.0})
        True
    """
    return chart_html(block, _draw)


def _draw(block: Block, axis: Scale, index: int) -> str:
    item, reference = block["items"][index], block.get("reference")
    value, low, high = item["value"], item["low"], item["high"]
    parts = []
    if reference is not None and math.isfinite(reference):
        parts.append(upright(axis.at(reference), "reference"))
    if low is not None and high is not None and math.isfinite(low) and math.isfinite(high):
        ends = f'x1="{percent(axis.at(low))}" x2="{percent(axis.at(high))}"'
        parts.append(f'<line class="span" {ends} y1="50%" y2="50%"/>')
    if value is not None and math.isfinite(value):
        look = "dot hollow" if holds(item, reference) else "dot"
        parts.append(f'<circle class="{look}" cx="{percent(axis.at(value))}" cy="50%" r="5"/>')
    return "".join(parts)
