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
        self.raw: dict[str, list[str]] = {"script": [], "style": [], "json": []}
        self._inside = ""
        self.feed(source)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len(dict(attrs)) == len(attrs), f"<{tag}> has an attribute twice"
        self.tags.append((tag, dict(attrs)))
        self._inside = "json" if ("type", "application/json") in attrs else tag

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
                "kind": "track",
                "title": "When",
                "name": "fits",
                "unit": "s",
                "times": [[0.0, 2.5], [2.5, 5.0], [5.0, 7.0]],
                "values": [0.125, 1.0, 0.0],
                "spans": [{"label": "answer", "start": 2.5, "end": 4.75}, {"label": "truth", "start": 7.0, "end": 7.0}],
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


@pytest.fixture
def views() -> dict[str, Any]:
    """A report with one block of every kind that a page makes more of than a table."""
    names = ["text", "video"]
    mean = [[[[0.25, 0.75], [0.5, 0.5]], [[0.75, 0.25], [None, None]]]]
    sample = {"id": "7", "why": "highest loss", "empty": [0.5], "full": [1.75], "values": [[1.5], [-0.25]]}
    return {
        "title": "Who asks whom",
        "blocks": [
            {
                "kind": "attention",
                "title": "Who attends to whom",
                "names": names,
                "layers": ["layer 1"],
                "heads": ["head 1", "head 2"],
                "mean": mean,
                "std": [[[[0.125, 0.125], [0.0, 0.0]], [[0.25, 0.25], [None, None]]]],
                "count": [13, 11],
                "n": 13,
                "samples": [{"id": "7", "why": "random", "mass": mean}],
                "left_out": "Showing 1 of 13 samples.",
            },
            {
                "kind": "timeline",
                "title": "When is it looked at",
                "unit": "s",
                "how": "mean over 2 heads of layer 1",
                "query": "text",
                "context": "video",
                "items": [
                    {
                        "id": "clip 1",
                        "words": ["a", "dog"],
                        "times": [[0.0, 0.5], [0.5, 1.0], [1.0, 1.5]],
                        "weights": [[0.5, 0.25, 0.25], [0.125, None, 0.875]],
                        "truth": [[1.0, 1.5]],
                    }
                ],
            },
            {
                "kind": "attribution",
                "title": "What moved the output",
                "names": names,
                "outputs": ["y"],
                "samples": [sample],
                "completeness": 2.2e-16,
                "removal": "mask",
                "mean": {"worth": [1.5, 0.25], "low": [1.0, 0.125], "high": [2.0, 0.5]},
                "beside": [{"label": "leave one out", "values": [1.25, -0.5]}],
                "interactions": [[None, 0.25], [0.25, None]],
            },
            {
                "kind": "curves",
                "title": "How good is the ranking",
                "x_label": "taken away",
                "y_label": "logit",
                "x": [0, 1, 2],
                "lines": [
                    {"label": "Shapley", "values": [2.0, 1.0, 0.5], "low": [1.5, 0.5, 0.25], "high": [2.5, 1.5, 0.75]},
                    {"label": "attention", "values": [2.0, None, 0.5]},
                ],
                "band": {"label": "random", "low": [2.0, 0.75, 0.5], "high": [2.0, 1.75, 0.5]},
            },
            {
                "kind": "trace",
                "title": "Query 1",
                "q": ["1", 2.0],
                "keys": [["2", "3"], [1, 0]],
                "values": [[10.0], [0.0]],
                "keep": None,
                "scaled": True,
                "names": ["key 1", "key 2"],
                "steps": {"columns": ["key", "score"], "rows": [["key 1", "8"], ["key 2", "1"]]},
                "facts": [["output", "9.9296"]],
            },
            {
                "kind": "presence",
                "title": "What was missing",
                "names": names,
                "rows": ["7", "8"],
                "present": [[True, False], [True, True]],
                "missing": [0, 4],
                "n": 13,
                "left_out": "Showing 2 of 13 samples.",
            },
        ],
    }
