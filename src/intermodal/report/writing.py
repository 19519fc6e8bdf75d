"""Write a report to a file: the suffix chooses the form, and a half-written file is never seen."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from intermodal.report.html import to_html
from intermodal.report.jsonform import to_json
from intermodal.report.markdown import to_markdown
from intermodal.report.size import check_size
from intermodal.report.text import to_text
from intermodal.report.validating import Report

_FORMS: dict[str, Callable[[Report], str]] = {".md": to_markdown, ".json": to_json, ".txt": to_text}
_SUFFIXES = (".html", *_FORMS)


def write(report: Report, path: str | os.PathLike[str], *, max_mb: float = 25) -> Path:
    """Write `report` to `path` and return the path; `.html`, `.md`, `.json` or `.txt` chooses the form.

    The file is written beside its place and then renamed, so a reader sees the old report or the new one.

    Args:
        report: title and blocks; see `validate`.
        path: where to; the folder must exist.
        max_mb: the most megabytes of 10^6 bytes.

    Raises:
        ValueError: the report is not valid, or the suffix is not known.
        ReportTooLarge: the file would be larger than `max_mb`; nothing is written.
        FileNotFoundError: the folder does not exist.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     write({"title": "t", "blocks": []}, f"{folder}/report.md").read_text()
        '# t\\n'
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix not in _SUFFIXES:
        known = ", ".join(_SUFFIXES[:-1]) + f" or {_SUFFIXES[-1]}"
        raise ValueError(f'the name of a report must end in {known}, however: "{path.name}"')
    if not path.parent.is_dir():
        raise FileNotFoundError(f'the folder of a report must exist, however: "{path.parent}" does not')
    content = (to_html(report, max_mb=max_mb) if suffix == ".html" else _FORMS[suffix](report)).encode()
    check_size(len(content), max_mb)
    beside = path.with_name(f".{path.name[:100]}.{os.getpid()}.part")
    try:
        beside.write_bytes(content)
        os.replace(beside, path)
    except OSError as problem:
        if problem.filename is None:
            raise
        # The file beside is nobody's business.
        raise type(problem)(problem.errno, problem.strerror, str(path)) from None
    finally:
        beside.unlink(missing_ok=True)
    return path
