"""From an exception to one sentence on stderr and an exit code.

2 for the user's input, 1 for a failure of ours or of the machine, 130 for Ctrl-C.
"""

from __future__ import annotations

import os
import sys
import traceback
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import typer

from intermodal.cli import console
from intermodal.errors import InputError, IntermodalError

FAILED, INPUT, INTERRUPTED = 1, 2, 130

# Newer versions of typer bring their own click, older ones use the package: the class is found by what typer exports.
_Usage: Any = next(c for c in typer.BadParameter.__mro__ if c.__name__ == "ClickException")


def run(app: typer.Typer, arguments: Sequence[str] | None) -> int:
    """Run an app and return its exit code; no exception comes out, and no traceback unless it is asked for."""
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # a terminal without Unicode shows "?" instead of failing
            stream.reconfigure(errors="replace")
    try:
        with _spoken_warnings():
            code = app(arguments, prog_name="intermodal", standalone_mode=False)
        sys.stdout.flush()
    except BrokenPipeError:
        _close_quietly()
        return FAILED
    except (Exception, KeyboardInterrupt) as problem:
        return _say(problem, as_json="--json" in arguments)
    if code == INTERRUPTED:
        return _say(KeyboardInterrupt(), as_json="--json" in arguments)
    return code if isinstance(code, int) else 0


def sentence(problem: BaseException) -> tuple[int, str]:
    """Return the exit code of an exception and what to say about it.

    Example:
        >>> sentence(InputError("d_model is above zero, however: d_model=0"))
        (2, 'd_model is above zero, however: d_model=0')
        >>> sentence(ZeroDivisionError("division by zero"))[0]
        1
    """
    from intermodal.report.size import ReportTooLarge

    if isinstance(problem, KeyboardInterrupt | typer.Abort):
        return INTERRUPTED, "interrupted"
    if isinstance(problem, InputError | ReportTooLarge):
        return INPUT, str(problem)
    if isinstance(problem, _Usage):
        context = getattr(problem, "ctx", None)
        where = f'; see "{context.command_path} --help"' if context is not None else ""
        return INPUT, problem.format_message().rstrip(".") + where
    if isinstance(problem, IntermodalError):
        said = str(problem)
    elif isinstance(problem, OSError) and problem.strerror:
        said = problem.strerror + (f': "{problem.filename}"' if problem.filename else "")
    elif isinstance(problem, MemoryError):
        said = "there is not enough memory for this"
    else:
        said = f"this should not have happened: {type(problem).__name__}: {problem}"
    return FAILED, said + " (set INTERMODAL_TRACEBACK=1 to see where)"


def _say(problem: BaseException, *, as_json: bool) -> int:
    from intermodal.report.escape import visible

    if type(problem).__name__ == "NoArgsIsHelpError":
        print(problem, file=sys.stderr)
        return INPUT
    if os.environ.get("INTERMODAL_TRACEBACK"):
        traceback.print_exception(problem)
    code, said = sentence(problem)
    label = "\033[31merror:\033[0m" if console.is_coloured(sys.stderr) else "error:"
    print(label, visible(said), file=sys.stderr)
    if as_json:
        try:
            console.show_json({"error": {"type": type(problem).__name__, "message": said, "exit_code": code}})
        except BrokenPipeError:
            _close_quietly()
    return code


@contextmanager
def _spoken_warnings() -> Iterator[None]:
    """Say each warning once, as a note without file and line."""
    said: set[str] = set()

    def speak(message: Any, category: type[Warning], *rest: Any, **more: Any) -> None:
        words = str(message)
        if words not in said and not issubclass(category, DeprecationWarning | PendingDeprecationWarning):
            said.add(words)
            console.note(words)

    with warnings.catch_warnings():
        warnings.simplefilter("default")
        warnings.showwarning = speak
        yield


def _close_quietly() -> None:
    """Point stdout at nothing, so that Python does not complain about the closed pipe when it ends."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
