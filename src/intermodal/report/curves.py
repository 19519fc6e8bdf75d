"""Curves as a drawing: each line differs by dash and marker too, so that nothing hangs on colour.

Places are percentages; the lines themselves lie in a stretched box whose strokes do not stretch.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from intermodal.report.catalogue import say
from intermodal.report.chart import percent, upright
from intermodal.report.checks import Block
from intermodal.report.escape import html
from intermodal.report.markup import name
from intermodal.report.scale import Scale, scale

LOOKS = 5
_MARKS = (
    '<circle r="4"/>',
    '<rect x="-3.5" y="-3.5" width="7" height="7"/>',
    '<path d="M0-5L4.6 3.4H-4.6Z"/>',
    '<path d="M0-5L5 0 0 5-5 0Z"/>',
    '<path d="M-4-4L4 4M-4 4L4-4" class="cross"/>',
)
_MARKED = 40  # more points than this would merge into a band


def curves_svg(block: Block) -> str:
    """Return the drawing and its legend, or nothing when there is nothing to draw.

    Example:
        >>> block = {"title": "t", "x_label": "x", "y_label": "y", "x": [0, 1], "lines": []}
        >>> curves_svg(block)
        ''
    """
    lines, band = block["lines"], block.get("band")
    if len(block["x"]) < 2 or not lines:
        return ""
    sets = [line.get(key) or () for line in (*lines, *([band] if band else ())) for key in ("values", "low", "high")]
    across, up = scale(block["x"], include=[min(block["x"]), max(block["x"])]), scale([v for s in sets for v in s])
    shapes = [_area(block["x"], band, across, up, "band")] if band else []
    shapes += [_area(block["x"], line, across, up, f"halo c{i % LOOKS}") for i, line in enumerate(lines)]
    shapes += [_line(block["x"], line["values"], across, up, i) for i, line in enumerate(lines)]
    box = f'<svg viewBox="0 0 100 100" preserveAspectRatio="none" width="100%" height="100%">{"".join(shapes)}</svg>'
    marks = "".join(_marks(block["x"], line["values"], across, up, i) for i, line in enumerate(lines))
    said = say("curve_label", y=block["y_label"], x=block["x_label"], lines=", ".join(line["label"] for line in lines))
    drawing = f'<svg class="lines" role="img" aria-label="{html(said)}">{_axes(across, up)}{box}{marks}</svg>'
    titles = f'<p class="ylabel">{name(block["y_label"])}</p>', f'<p class="xlabel">{name(block["x_label"])}</p>'
    return f'<div class="curves">{titles[0]}<div class="room">{drawing}</div>{titles[1]}{_legend(lines, band)}</div>'


def _axes(across: Scale, up: Scale) -> str:
    made = "".join(upright(across.at(tick), "grid") for tick in across.ticks)
    for tick, label in zip(up.ticks, up.labels(), strict=True):
        y = percent(100 - up.at(tick))
        made += f'<line class="grid" x1="0" x2="100%" y1="{y}" y2="{y}"/><text class="y" x="-8" y="{y}">{label}</text>'
    for index, (tick, label) in enumerate(zip(across.ticks, across.labels(), strict=True)):
        odd = " odd" if len(across.ticks) > 3 and index % 2 else ""
        made += f'<text class="x{odd}" x="{percent(across.at(tick))}" y="100%" dy="20">{label}</text>'
    return made


def _runs(
    x: Sequence[float], values: Sequence[float | None], across: Scale, up: Scale
) -> list[list[tuple[float, float]]]:
    """The stretches of a line without a gap, as places in percent."""
    runs: list[list[tuple[float, float]]] = [[]]
    for at, value in zip(x, values, strict=True):
        if value is None or not math.isfinite(value) or not math.isfinite(at):
            runs.append([])
        else:
            runs[-1].append((across.at(at), 100 - up.at(value)))
    return [run for run in runs if run]


def _points(run: Sequence[tuple[float, float]]) -> str:
    return " ".join(f"{x:.3f},{y:.3f}" for x, y in run)


def _line(x: Sequence[float], values: Sequence[float | None], across: Scale, up: Scale, index: int) -> str:
    look = f"line c{index % LOOKS} dash{index % LOOKS}"
    return "".join(f'<polyline class="{look}" points="{_points(run)}"/>' for run in _runs(x, values, across, up))


def _area(x: Sequence[float], line: Block, across: Scale, up: Scale, look: str) -> str:
    if line.get("low") is None or line.get("high") is None:
        return ""
    both = [low is not None and high is not None for low, high in zip(line["low"], line["high"], strict=True)]
    ends = [[v if there else None for v, there in zip(line[key], both, strict=True)] for key in ("low", "high")]
    made = ""
    for lower, upper in zip(*(_runs(x, end, across, up) for end in ends), strict=False):
        made += f'<polygon class="{look}" points="{_points([*lower, *reversed(upper)])}"/>'
    return made


def _marks(x: Sequence[float], values: Sequence[float | None], across: Scale, up: Scale, index: int) -> str:
    if len(x) > _MARKED:
        return ""
    places = [place for run in _runs(x, values, across, up) for place in run]
    shape, look = _MARKS[index % LOOKS], f"mark c{index % LOOKS}"
    return "".join(f'<svg class="{look}" x="{percent(a)}" y="{percent(b)}">{shape}</svg>' for a, b in places)


def _legend(lines: Sequence[Block], band: Block | None) -> str:
    made = []
    for index, line in enumerate(lines):
        look = index % LOOKS
        sample = f'<line class="line c{look} dash{look}" x1="0" x2="36" y1="8" y2="8"/>'
        mark = f'<svg class="mark c{look}" x="18" y="8">{_MARKS[look]}</svg>'
        made.append(
            f'<li><svg width="36" height="16" aria-hidden="true">{sample}{mark}</svg>{name(line["label"])}</li>'
        )
    if band:
        sample = '<svg width="36" height="16" aria-hidden="true"><rect class="band" width="36" height="16"/></svg>'
        made.append(f"<li>{sample}{name(band['label'])}</li>")
    return f'<ul class="keys">{"".join(made)}</ul>'
