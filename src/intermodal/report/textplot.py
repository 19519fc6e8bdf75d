"""Bars and intervals drawn with characters: decoration beside the numbers, never instead of them."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, TypeGuard

from intermodal.report.scale import Scale
from intermodal.report.validating import Block


def bar_lines(block: Block, scale: Scale, places: int) -> list[str]:
    """Return one drawing per item: a bar from zero, whiskers over it, a line at zero.

    Example:
        >>> block = {"items": [{"label": "a", "value": 2.0}, {"label": "b", "value": -2.0}]}
        >>> bar_lines(block, Scale(-2.0, 2.0, ()), 9)
        ['    │▒▒▒▒', '▒▒▒▒│    ']
    """
    at = _placer(scale, places)
    zero = at(0.0) if scale.low <= 0 <= scale.high else None
    drawn = []
    for item in block["items"]:
        line = [" "] * places
        value = item["value"]
        if _drawable(value):
            start, end = sorted((zero or 0, at(value)))
            line[start : end + 1] = "▒" * (end + 1 - start)
        _whisker(line, item, at, scale)
        if zero is not None:
            line[zero] = "│"
        if _drawable(value) and _drawable(item.get("low")) and _drawable(item.get("high")):
            line[at(value)] = "█"
        drawn.append("".join(line))
    return drawn


def interval_lines(block: Block, scale: Scale, places: int) -> list[str]:
    """Return one drawing per item: a whisker with a dot; hollow where the interval holds the reference.

    Example:
        >>> block = {"items": [{"label": "a", "value": 1.0, "low": 0.5, "high": 2.0}], "reference": 0.0}
        >>> interval_lines(block, Scale(0.0, 2.0, ()), 9)
        ['┊ ├─●───┤']
    """
    at = _placer(scale, places)
    reference = block.get("reference")
    drawn = []
    for item in block["items"]:
        line = [" "] * places
        if _drawable(reference):
            line[at(reference)] = "┊"
        _whisker(line, item, at, scale)
        if _drawable(item["value"]):
            line[at(item["value"])] = "○" if holds(item, reference) else "●"
        drawn.append("".join(line))
    return drawn


def holds(item: Block, reference: float | None) -> bool:
    """Say whether the interval of `item` holds `reference`; a missing end is open.

    Example:
        >>> holds({"low": -1.0, "high": 1.0}, 0.0), holds({"low": 0.5, "high": 1.0}, 0.0), holds({}, None)
        (True, False, False)
    """
    if not _drawable(reference):
        return False
    low, high = item.get("low"), item.get("high")
    if any(isinstance(end, float) and math.isnan(end) for end in (low, high)):
        return True
    return (low is None or low <= reference) and (high is None or reference <= high)


def _placer(scale: Scale, places: int) -> Callable[[float], int]:
    return lambda value: round(scale.at(value) / 100 * (places - 1))


def _whisker(line: list[str], item: Block, at: Callable[[float], int], scale: Scale) -> None:
    low, high = item.get("low"), item.get("high")
    if not (_drawable(low) and _drawable(high)):
        return
    start, end = at(low), at(high)
    line[start : end + 1] = "─" * (end + 1 - start)
    line[start], line[end] = "├", "┤"


def _drawable(value: Any) -> TypeGuard[float]:
    return value is not None and math.isfinite(value)
