"""The one script of a page, put together from the files beside it that the page's blocks need."""

from __future__ import annotations

from collections.abc import Collection
from functools import cache
from pathlib import Path

_FIRST = ("start", "figures", "saving", "grid")
_VIEWS = {
    "attention": ("attention",),
    "attribution": ("attribution",),
    "curves": ("curves",),
    "timeline": ("track", "timeline"),
    "trace": ("trace",),
}
_FOLDER = Path(__file__).parent / "js"

# The colours that the script may give a cell, in steps too fine to see.
LEVELS_OF_SCRIPT = frozenset({(False, 3 * k) for k in range(86)} | {(True, 128 + 3 * k) for k in range(-42, 43)})


def script(kinds: Collection[str]) -> str:
    """Return the script for a page with blocks of these kinds.

    Example:
        >>> "views.timeline" in script(["timeline"]), "views.timeline" in script(["table"])
        (True, False)
    """
    views = [name for kind, needed in _VIEWS.items() if kind in kinds for name in needed]
    names = (*_FIRST, *views, "end")
    return '\n(() => {\n"use strict";\n' + "\n".join(map(_file, names)) + "})();\n"


@cache
def _file(name: str) -> str:
    return (_FOLDER / f"{name}.js").read_text("utf-8")
