"""The picture of the page about speed: for each shape a row of marks, time over the floor, on a log axis.

Plain SVG: text is text, a title and a description speak to screen readers, colours follow the reader's theme, and every
way has a mark of its own form, so that nothing hangs on colour.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape
from typing import Any

from speed_shapes import FLOOR, HAND, LAYER, MODULE, OURS, TITLES, TRAINING, Shape, X

LEFT, PANEL, GAP, ROW, TOP, SIDE = 206, 330, 44, 50, 128, 22
NAMES = {name: title.replace("`", "") for name, title in TITLES.items()}
NAMES[FLOOR] = "floor: the Q/K/V projection alone, 1"
NAMES[TRAINING] = "nn.MultiheadAttention, training mode"
ORDER = (LAYER, X, HAND, TRAINING, MODULE, OURS)
"""From the back to the front."""
LANES = {LAYER: 0.0, OURS: 0.0, MODULE: -15.0, TRAINING: -7.5, HAND: 7.5, X: 15.0}
"""How far below the middle of its row a way stands: equal times would hide each other."""
STYLE = """
svg { font: 13px system-ui, sans-serif; }
.page { fill: #fff; } .ink { fill: #1d232b; } .soft { fill: #59636e; } .grid { stroke: #e2e6ea; }
.stripe { fill: #f6f8fa; } .floor { stroke: #1d232b; stroke-width: 2; } .ours { fill: #0b62c4; } 
.other { fill: none; stroke-width: 1.8; }
.module { stroke: #b3410b; } .training { stroke: #b3410b; } .hand { stroke: #157a55; } .x { stroke: #8a3ea8; }
.layer { stroke: #6b7480; } .middle { text-anchor: middle; } .end { text-anchor: end; }
.head { font-weight: 600; font-size: 15px; }
@media (prefers-color-scheme: dark) {
.page { fill: #0d1117; } .ink { fill: #e6edf3; } .soft { fill: #9aa4af; } .grid { stroke: #2a313a; }
.stripe { fill: #151b23; } .floor { stroke: #e6edf3; } .ours { fill: #58a6ff; } .module { stroke: #f0883e; }
.training { stroke: #f0883e; } .hand { stroke: #3fb98b; } .x { stroke: #d2a8ff; } .layer { stroke: #8b949e; }
}"""


def picture(kept: dict[str, Any]) -> str:
    """The whole picture, as the text of an SVG file."""
    panels = {"Forward": kept["forward"]["found"], "Training step": kept["step"]["found"]}
    rows = len(panels["Forward"])
    width, height = LEFT + 2 * PANEL + GAP + SIDE, TOP + rows * ROW + 58
    drawn = [row["ways"][name][FLOOR][1] for found in panels.values() for row in found for name in row["ways"]]
    ends = min(0.85, 0.9 * min(drawn)), 1.12 * max(drawn)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        'role="img" aria-labelledby="t d">',
        '<title id="t">Time over the Q/K/V projection alone, for eight shapes</title>',
        f'<desc id="d">{escape(described(panels))}</desc>',
        f'<style>{STYLE}</style><rect class="page" width="{width}" height="{height}"/>',
        *_legend(panels),
    ]
    for i, row in enumerate(panels["Forward"]):
        y = TOP + i * ROW
        if i % 2 == 0:
            parts.append(f'<rect class="stripe" x="8" y="{y}" width="{width - 16}" height="{ROW}"/>')
        parts.append(text(LEFT - 14, y + ROW / 2 + 4, str(Shape(*row["shape"])), "ink end"))
    parts.append(text(LEFT - 14, TOP - 12, "tokens, batch, width, heads", "soft end"))
    for i, (title, found) in enumerate(panels.items()):
        parts += _panel(title, found, LEFT + i * (PANEL + GAP), ends)
    parts.append(
        text(width / 2 + LEFT / 2, height - 12, "times the floor, log axis; further left is faster", "soft middle")
    )
    return "\n".join([*parts, "</svg>"]) + "\n"


def described(panels: dict[str, Any]) -> str:
    """The marks of ours and of torch's module, in words."""
    words = []
    for title, found in panels.items():
        rows = [
            f"{Shape(*row['shape'])}: ours {row['ways'][OURS][FLOOR][1]:.1f}, "
            f"nn.MultiheadAttention {row['ways'][MODULE][FLOOR][1]:.1f}"
            for row in found
        ]
        words.append(f"{title}, times the floor by tokens, batch, width, heads. " + "; ".join(rows) + ".")
    return " ".join(words)


def place(value: float, ends: tuple[float, float]) -> float:
    """Where a ratio stands in a panel whose edges are `ends`, in pixels."""
    low, high = map(math.log, ends)
    return PANEL * (math.log(value) - low) / (high - low)


def ticks(ends: tuple[float, float]) -> list[int]:
    return [t for t in (1, 2, 3, 5, 10, 20, 50, 100) if t < ends[1]]


def text(x: float, y: float, words: str, look: str) -> str:
    return f'<text class="{look}" x="{x:g}" y="{y:g}">{escape(words)}</text>'


def mark(name: str, x: float, y: float, what: str) -> str:
    """A form of its own for each way, with what it says for a reader who points at it."""
    r = 4.5
    forms = {
        OURS: f'<circle class="ours" cx="{x:.1f}" cy="{y:g}" r="6">',
        MODULE: f'<rect class="other module" x="{x - r:.1f}" y="{y - r:g}" width="{2 * r}" height="{2 * r}">',
        TRAINING: _path("training", x, y, [(-r, -r), (r, r)], [(-r, r), (r, -r)]),
        HAND: _path("hand", x, y, [(-r, r), (0, -r), (r, r), (-r, r)]),
        X: _path("x", x, y, [(0, -r - 1), (r + 1, 0), (0, r + 1), (-r - 1, 0), (0, -r - 1)]),
        LAYER: f'<circle class="other layer" cx="{x:.1f}" cy="{y:g}" r="{r}">',
    }
    form = forms[name]
    return f"{form}<title>{escape(what)}</title></{form[1:].split(' ', 1)[0]}>"


def _path(look: str, x: float, y: float, *lines: Sequence[tuple[float, float]]) -> str:
    drawn = "".join("M" + "L".join(f"{x + dx:.1f} {y + dy:.1f}" for dx, dy in line) for line in lines)
    return f'<path class="other {look}" d="{drawn}">'


def _legend(panels: dict[str, Any]) -> list[str]:
    ran = {name for found in panels.values() for name in found[0]["ways"]}
    shown = [name for name in reversed(ORDER) if name in ran]
    parts = ['<path class="floor" d="M24 18V34"/>', text(36, 31, NAMES[FLOOR], "ink")]
    for i, name in enumerate(shown):
        x, y = (24 + 285 * ((i + 1) % 3), 26 + 24 * ((i + 1) // 3))
        parts += [mark(name, x, y, NAMES[name]), text(x + 14, y + 5, NAMES[name], "ink")]
    return parts


def _panel(title: str, found: Sequence[Any], left: float, ends: tuple[float, float]) -> list[str]:
    bottom = TOP + len(found) * ROW
    parts = [text(left + place(1, ends), TOP - 12, title, "ink head")]
    for tick in ticks(ends):
        x = left + place(tick, ends)
        look = "floor" if tick == 1 else "grid"
        parts.append(f'<path class="{look}" d="M{x:.1f} {TOP}V{bottom}"/>')
        parts.append(text(round(x, 1), bottom + 17, str(tick), "soft middle"))
    for i, row in enumerate(found):
        y = TOP + i * ROW + ROW / 2
        for name in ORDER:
            if name in row["ways"]:
                value = row["ways"][name][FLOOR][1]
                what = f"{NAMES[name]}: {value:.2f} times the floor"
                parts.append(mark(name, left + place(value, ends), y + LANES[name], what))
    return parts
