"""Where output goes: results to stdout, notes and progress to stderr, colour and motion on a terminal only."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TextIO

Advance = Callable[[int, int, str], None]
"""Called with steps done, steps in all, and words about the next one."""


def show(report: Mapping[str, Any], *, follows: bool = False) -> None:
    """Print a report: as wide as the terminal allows, in colour only there.

    Args:
        report: title and blocks.
        follows: another one stands above; leave a line between them.
    """
    from intermodal.report.text import to_text

    shown = to_text(report, width=_width(), color=is_coloured(sys.stdout), ascii_form=not _is_utf8(sys.stdout))
    sys.stdout.write("\n" * follows + shown)
    sys.stdout.flush()


def show_json(result: Mapping[str, Any]) -> None:
    """Print one JSON object; what is not a finite number is null."""
    is_ascii = not _is_utf8(sys.stdout)
    sys.stdout.write(json.dumps(plain(result), indent=2, ensure_ascii=is_ascii, allow_nan=False) + "\n")
    sys.stdout.flush()


def note(words: str) -> None:
    """Say something beside the results, on stderr."""
    from intermodal.report.escape import visible

    label = "\033[36mnote:\033[0m" if is_coloured(sys.stderr) else "note:"
    print(label, visible(words), file=sys.stderr, flush=True)


def is_coloured(stream: TextIO) -> bool:
    """Tell whether a stream shows colour: a terminal, unless NO_COLOR is set (https://no-color.org).

    Example:
        >>> import io
        >>> is_coloured(io.StringIO())
        False
    """
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


@contextmanager
def progress(title: str) -> Iterator[Advance]:
    """Show a bar on stderr while the body runs, when stderr is a terminal; it is gone afterwards."""
    if not sys.stderr.isatty():
        yield lambda done, total, words: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(24),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[words]}", markup=False),
    )
    terminal = Console(stderr=True)
    with Progress(*columns, console=terminal, transient=True, redirect_stdout=False) as bar:
        task = bar.add_task(title, total=None, words="")
        yield lambda done, total, words: bar.update(task, completed=done, total=total, words=words)


def plain(value: Any) -> Any:
    """Return a value with numpy's numbers and arrays as Python's, ready for JSON.

    Example:
        >>> plain({"a": (1, float("nan"))})
        {'a': [1, None]}
    """
    if isinstance(value, Mapping):
        return {str(key): plain(entry) for key, entry in value.items()}
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, list | tuple):
        return [plain(entry) for entry in value]
    if isinstance(value, float):
        return value if abs(value) < float("inf") else None  # a NaN is not below anything
    return value if value is None or isinstance(value, str | int) else str(value)


def _is_utf8(stream: TextIO) -> bool:
    return (stream.encoding or "").lower().replace("-", "") == "utf8"


def _width() -> int:
    return max(40, min(120, shutil.get_terminal_size().columns))
