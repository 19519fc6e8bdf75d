"""A worked example in simple blocks: the table of the steps, and what came out."""

from __future__ import annotations

from typing import Any

from intermodal.report.checks import Block
from intermodal.report.parts import Part


def trace_parts(block: Block) -> list[Part]:
    """Return the parts of a trace block.

    Example:
        >>> steps = {"columns": ["key", "score"], "rows": [["key 1", "1·2 + 2·3 = 8"]]}
        >>> [part.name for part in trace_parts({"title": "Query 1", "steps": steps, "facts": [["output", "1"]]})]
        ['steps', 'facts']
    """
    steps = block["steps"]
    table: dict[str, Any] = {"kind": "table", "title": block["title"], **steps}
    table["align"] = ("l" + "r" * len(steps["columns"]))[: len(steps["columns"])]
    parts = [Part("steps", table, again=True)]
    if block.get("facts"):
        parts.append(Part("facts", {"kind": "facts", "items": block["facts"]}, again=True))
    return parts


def trace_data(block: Block) -> dict[str, Any]:
    """Return what the script calculates with: every number in full, whether it came as a text or a float.

    Example:
        >>> block = {"q": ["1"], "keys": [[0.1]], "values": None, "keep": None, "scaled": True, "names": ["key 1"]}
        >>> trace_data(block)["keys"]
        [['0.1']]
    """
    keep = block["keep"] if block["keep"] is not None else [True] * len(block["keys"])
    data = {"title": block.get("title"), "names": block["names"], "keep": keep, "scaled": block["scaled"]}
    data |= {"digits": 4 if block.get("digits") is None else block["digits"]}
    return data | {key: _written(block[key]) for key in ("q", "keys", "values")}


def _written(value: Any) -> Any:
    if isinstance(value, (list, tuple)):
        return [_written(entry) for entry in value]
    return value if value is None or isinstance(value, str) else repr(value if isinstance(value, int) else float(value))
