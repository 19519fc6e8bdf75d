"""A report inside a notebook: the page in a frame of its own, and the same as text for viewers that take frames out."""

from __future__ import annotations

from html import escape

from intermodal.report.catalogue import WORDS
from intermodal.report.escape import html
from intermodal.report.html import to_html
from intermodal.report.text import to_text
from intermodal.report.validating import Report


def notebook_html(report: Report, *, height: int = 640, max_mb: float = 25) -> str:
    """Return `report` as HTML for the cell of a notebook.

    The frame is a sandbox: its scripts reach nothing of the notebook, and two reports do not meet. What it may do is
    run its own script and save files.

    Args:
        report: title and blocks; see `validate`.
        height: pixels that the frame takes; inside, it scrolls.
        max_mb: the most megabytes (of 10^6 bytes) the page inside may have.

    Raises:
        ValueError: the report is not valid, or `height` is below 1.
        ReportTooLarge: the page would be larger than `max_mb`.

    Example:
        >>> made = notebook_html({"title": "Scores", "blocks": []}, height=300)
        >>> made.startswith('<iframe title="Scores" sandbox="allow-scripts allow-downloads" width="100%" height="300"')
        True
    """
    if height < 1:
        raise ValueError(f"height must be at least 1, however: {height=}")
    frame = 'sandbox="allow-scripts allow-downloads" width="100%"'
    page = escape(to_html(report, max_mb=max_mb), quote=True)
    text = f"<details><summary>{html(WORDS['as_text'])}</summary><pre>{html(to_text(report))}</pre></details>"
    title = html(report["title"])
    return f'<iframe title="{title}" {frame} height="{height}" frameborder="0" srcdoc="{page}"></iframe>{text}'
