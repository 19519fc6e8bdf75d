"""A view as HTML: its parts as tables, whole without scripts, and the data from which the script makes more."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from intermodal.report.attribution_parts import honesty
from intermodal.report.checks import Block
from intermodal.report.escape import html
from intermodal.report.markup import notes
from intermodal.report.parts import Part
from intermodal.report.payload import data_script
from intermodal.report.views import data_of


def view_html(block: Block, parts: Sequence[Part], draw: Callable[[Block], str]) -> str:
    """Return the HTML of a view.

    Args:
        block: the view.
        parts: what `parts_of` made of it.
        draw: makes the HTML of a simple block.

    Example:
        >>> block = {"kind": "presence", "title": "t", "names": ["a"], "rows": [], "present": [], "missing": [0]}
        >>> view_html(block, [Part("counts", block)], lambda simple: "<table></table>")[:55]
        '<div class="view" data-view="presence"><div class="part'
    """
    made = "".join(_part(block, part, draw) for part in parts)
    data = data_of(block)
    script = data_script(data) if data is not None else ""
    below = notes(honesty(block)) if block["kind"] == "attribution" else ""
    if block["kind"] == "attention" and block.get("left_out"):
        below = notes([block["left_out"]])
    return f'<div class="view" data-view="{block["kind"]}">{made}{below}{script}</div>'


def _part(view: Block, part: Part, draw: Callable[[Block], str]) -> str:
    block, made = part.block, part.drawing
    if block.get("title") and block["title"] != view["title"]:
        made += f"<h3><bdi>{html(block['title'])}</bdi></h3>"
    if block.get("caption"):
        made += f'<p class="caption" dir="auto">{html(block["caption"])}</p>'
    look = "part again" if part.again else "part"
    return f'<div class="{look}" data-part="{part.name}">{made}{part.html or draw(block)}</div>'
