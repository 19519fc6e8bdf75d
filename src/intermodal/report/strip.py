"""The first line of a page: how many findings there are, and where numbers are missing; each leads to its evidence."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from intermodal.report.catalogue import WORDS, say
from intermodal.report.checks import Block
from intermodal.report.escape import html


def strip_html(blocks: Sequence[Block]) -> str:
    """Return the strip, or nothing when there is nothing to know first.

    Example:
        >>> finding = {"id": "one-key", "severity": "warning", "text": "One key."}
        >>> "1 warning" in strip_html([{"kind": "findings", "title": "t", "items": [finding]}])
        True
    """
    sentences = [*_findings(blocks), *_gaps(blocks)]
    if not sentences:
        return ""
    items = "".join(f'<li class="{look}"><a href="#{place}">{html(text)}</a></li>' for look, place, text in sentences)
    return f'<nav class="strip" aria-label="{html(WORDS["strip"])}"><ul>{items}</ul></nav>'


def _findings(blocks: Sequence[Block]) -> list[tuple[str, str, str]]:
    made = []
    for severity in ("error", "warning", "note"):
        places = [
            f"b{index}"
            for index, block in enumerate(blocks)
            if block["kind"] == "findings"
            for item in block["items"]
            if item["severity"] == severity
        ]
        if places:
            key = "strip_one" if len(places) == 1 else "strip_many"
            made.append((severity, places[0], say(key, count=len(places), severity=WORDS[severity])))
    return made


def _gaps(blocks: Sequence[Block]) -> list[tuple[str, str, str]]:
    """Blocks with numbers that are no numbers: never drawn without a word."""
    made = []
    for index, block in enumerate(blocks):
        count = _not_finite([value for key, value in block.items() if key != "title"])
        if count:
            title = (block.get("title") or f"{index + 1}")[:80]
            key = "strip_gaps_one" if count == 1 else "strip_gaps"
            made.append(("warning", f"b{index}", say(key, count=count, title=title)))
    return made


def _not_finite(value: Any) -> int:
    if isinstance(value, float):
        return not math.isfinite(value)
    if isinstance(value, dict):
        return sum(map(_not_finite, value.values()))
    if isinstance(value, (list, tuple)):
        return sum(map(_not_finite, value))
    return 0
