"""Reports: a dict of blocks in, text, Markdown, JSON or one HTML file out.

This room knows dicts only and needs nothing but the standard library. A form loads on first use: a line in a
terminal needs no pages.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from intermodal.report.html import to_html
    from intermodal.report.jsonform import to_json
    from intermodal.report.markdown import to_markdown
    from intermodal.report.notebook import notebook_html
    from intermodal.report.size import LargeReportWarning, ReportTooLarge
    from intermodal.report.text import to_text
    from intermodal.report.validating import validate
    from intermodal.report.writing import write

__all__ = [
    "LargeReportWarning",
    "ReportTooLarge",
    "notebook_html",
    "to_html",
    "to_json",
    "to_markdown",
    "to_text",
    "validate",
    "write",
]

_LAZY = {
    "LargeReportWarning": "size",
    "ReportTooLarge": "size",
    "notebook_html": "notebook",
    "to_html": "html",
    "to_json": "jsonform",
    "to_markdown": "markdown",
    "to_text": "text",
    "validate": "validating",
    "write": "writing",
}


def __getattr__(name: str) -> Any:
    """Load a form on first use (PEP 562)."""
    if name not in _LAZY:
        raise AttributeError(f"module 'intermodal.report' has no attribute {name!r}")
    value = getattr(importlib.import_module(f"intermodal.report.{_LAZY[name]}"), name)
    globals()[name] = value
    return value
