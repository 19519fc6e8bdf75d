"""Reports: a dict of blocks in, text, Markdown, JSON or one HTML file out.

This room knows dicts only and needs nothing but the standard library.
"""

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
