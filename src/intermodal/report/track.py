"""When a signal is high, and the stretches of time beside it: a curve over one line a span.

The curve is decoration: its highest place stands in the grid, and all of its numbers in the JSON form.
"""

from __future__ import annotations

from intermodal.report.chart import chart_html, percent
from intermodal.report.checks import Block
from intermodal.report.scale import Scale

_STEPS = " ▁▂▃▄▅▆▇█"


def track_lines(block: Block, axis: Scale, places: int) -> list[str]:
    """Return one drawing per line of `grid_of`: the curve in eight steps, then a bracket for each span.

    Example:
        >>> block = {"name": "n", "times": [[0.0, 1.0], [1.0, 2.0]], "values": [0.2, 1.0],
        ...     "spans": [{"label": "answer", "start": 1.0, "end": 2.0}]}
        >>> track_lines(block, Scale(0.0, 2.0, ()), 8)
        ['▂▂▂▂████', '    ├──┤']
    """
    edges = [axis.low + (axis.high - axis.low) * (place + 0.5) / places for place in range(places)]
    curve = "".join(_STEPS[round(8 * _highest(block, edge, (axis.high - axis.low) / places))] for edge in edges)
    lines = [curve]
    for span in block["spans"]:
        start = min(places - 1, int(axis.at(span["start"]) / 100 * places))
        end = max(start, min(places, -int(-axis.at(span["end"]) / 100 * places // 1)) - 1)
        drawn = "│" if start == end else "├" + "─" * (end - start - 1) + "┤"
        lines.append((" " * start + drawn).ljust(places))
    return lines


def _highest(block: Block, middle: float, wide: float) -> float:
    """The highest value of the times that a place of the drawing covers: a short peak must not fall between two."""
    low, high = middle - wide / 2, middle + wide / 2
    pairs = zip(block["times"], block["values"], strict=True)
    return max((value for (start, end), value in pairs if start < high and low < end), default=0.0)


def track_html(block: Block) -> str:
    """Return the HTML of a track block.

    Example:
        >>> block = {"kind": "track", "title": "t", "name": "n", "unit": "s", "times": [[0.0, 1.0]], "values": [0.5],
        ...     "spans": [{"label": "answer", "start": 0.0, "end": 1.0}]}
        >>> 'class="curve"' in track_html(block), 'class="plus"' in track_html(block)
        (True, True)
    """
    return chart_html(block, _draw)


def _draw(block: Block, axis: Scale, index: int) -> str:
    if index > 0:
        span = block["spans"][index - 1]
        start, end = axis.at(span["start"]), axis.at(span["end"])
        return (
            f'<rect class="plus" x="{percent(start)}" width="{percent(max(end - start, 0.4))}" y="50%" height="10" '
            'transform="translate(0,-5)"/>'
        )
    bars = []
    for (start, end), value in zip(block["times"], block["values"], strict=True):
        if value > 0:
            left, right = axis.at(start), axis.at(end)
            size = f'x="{percent(left)}" width="{percent(right - left)}"'
            bars.append(
                f'<rect class="curve" {size} y="{percent(100 - 100 * value)}" height="{percent(100 * value)}"/>'
            )
    return "".join(bars)
