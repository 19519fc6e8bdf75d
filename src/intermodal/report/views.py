"""The blocks of which a page makes more than a table: their parts for every form, their data for the script."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from intermodal.report.attention_parts import attention_data, attention_parts
from intermodal.report.attribution_parts import attribution_data, attribution_parts
from intermodal.report.checks import Block
from intermodal.report.curves_parts import curves_parts
from intermodal.report.parts import Part
from intermodal.report.presence_parts import presence_parts
from intermodal.report.timeline_parts import timeline_data, timeline_parts
from intermodal.report.trace_parts import trace_data, trace_parts

_PARTS: dict[str, Callable[[Block], list[Part]]] = {
    "attention": attention_parts,
    "timeline": timeline_parts,
    "attribution": attribution_parts,
    "curves": curves_parts,
    "trace": trace_parts,
    "presence": presence_parts,
}
_DATA: dict[str, Callable[[Block], dict[str, Any]]] = {
    "attention": attention_data,
    "timeline": timeline_data,
    "attribution": attribution_data,
    "trace": trace_data,
}
VIEWS = frozenset(_PARTS)


def parts_of(block: Block) -> list[Part]:
    """Return the parts of a view, none for a block that stands for itself.

    Example:
        >>> parts_of({"kind": "text", "text": "hello"})
        []
    """
    return _PARTS[block["kind"]](block) if block["kind"] in _PARTS else []


def data_of(block: Block) -> dict[str, Any] | None:
    """Return what the page's script reads of a view, or None where it needs nothing.

    Example:
        >>> data_of({"kind": "text", "text": "hello"}) is None
        True
    """
    kind = block["kind"]
    return _DATA[kind](block) if kind in _DATA else None
