"""A report with one block of every kind, and a reader that gives back what a browser would show."""

from __future__ import annotations

import math
from html.parser import HTMLParser
from typing import Any

import pytest


class Page(HTMLParser):
    """What html.parser reads: texts, tags with attributes, and the contents of script and style."""

    def __init__(self, source: str) -> None:
        super().__init__(convert_charrefs=True)
        self.texts: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.raw: dict[str, list[str]] = {"script": [], "style": []}
        self._inside = ""
        self.feed(source)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len(dict(attrs)) == len(attrs), f"<{tag}> has an attribute twice"
        self.tags.append((tag, dict(attrs)))
        self._inside = tag

    def handle_endtag(self, tag: str) -> None:
        self._inside = ""

    def handle_data(self, data: str) -> None:
        if self._inside in self.raw:
            self.raw[self._inside].append(data)
        else:
            self.texts.append(data)

    def named(self, tag: str) -> list[dict[str, str | None]]:
        return [attrs for found, attrs in self.tags if found == tag]


@pytest.fixture
def read_page() -> type[Page]:
    return Page


@pytest.fixture
def full() -> dict[str, Any]:
    return {
        "title": "Does attention help?",
        "subtitle": "23 samples",
        "blocks": [
            {"kind": "text", "title": "Verdict", "text": "It does.\n\nThe interval leaves out zero."},
            {"kind": "facts", "title": "Data", "items": [["samples", 23], ["share", 0.25], ["note", None]]},
            {
                "kind": "table",
                "title": "Scores",
                "caption": "Higher is better.",
                "columns": ["fusion", "accuracy", "seconds"],
                "rows": [["cross", 0.9661, 12.5], ["self", math.nan, 3.25], ["none", 0.5, None]],
                "highlight": [0],
            },
            {
                "kind": "matrix",
                "title": "Who attends to whom",
                "rows": ["text", "video"],
                "columns": ["text", "video", "audio"],
                "values": [[0.125, 0.5, 0.375], [1.0, None, math.nan]],
            },
            {
                "kind": "bars",
                "title": "Worth",
                "unit": "log-odds",
                "items": [{"label": "text", "value": 3.0, "low": 2.0, "high": 5.0}, {"label": "video", "value": -1.0}],
            },
            {
                "kind": "intervals",
                "title": "Difference",
                "reference": 0.0,
                "items": [
                    {"label": "cross", "value": 0.5, "low": 0.25, "high": 0.75},
                    {"label": "self", "value": 0.125, "low": -0.25, "high": 0.5},
                ],
            },
            {
                "kind": "findings",
                "title": "Findings",
                "items": [
                    {"id": "one-key", "severity": "warning", "text": "One key.", "remedy": "Use n_tokens."},
                    {"id": "nan", "severity": "error", "text": "A number is missing."},
                ],
            },
            {"kind": "commands", "title": "Next", "lines": ["intermodal demo"]},
        ],
    }
