"""What a training says after each pass."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Line = dict[str, Any]


def said(callback: Callable[[Line], None] | None, part: str) -> Callable[[Line], None]:
    """Return a callback that adds which part of a model a line of the history is about.

    Example:
        >>> line = {"epoch": 1}
        >>> said(print, "towers")(line)
        {'epoch': 1, 'part': 'towers'}
    """

    def call(line: Line) -> None:
        line["part"] = part
        if callback is not None:
            callback(line)

    return call
