"""What a view is made of without scripts: simple blocks, which every form of a report can show."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from intermodal.report.checks import Block


@dataclass(frozen=True)
class Part:
    """A simple block that says a part of a view.

    Example:
        >>> Part("map", {"kind": "text", "text": "hello"}).everywhere
        True

    Attributes:
        name: what the page's script finds it by.
        block: one of the blocks that stand for themselves.
        everywhere: also in the text and Markdown forms; False for the many rows of single samples.
        again: the script shows the same numbers in its own way, so that on a screen this part is on request.
        drawing: HTML that stands above the block.
        html: HTML that stands for the block.
    """

    name: str
    block: Block
    everywhere: bool = True
    again: bool = False
    drawing: str = ""
    html: str = ""


def mean_of(values: list[Any]) -> float | None:
    """Return the mean of what is there, or None; added up in order, as the page's script does.

    Example:
        >>> mean_of([0.25, None, 0.75]), mean_of([None])
        (0.5, None)
    """
    total, count = 0.0, 0
    for value in values:
        if value is not None:
            total, count = total + value, count + 1
    return total / count if count else None
