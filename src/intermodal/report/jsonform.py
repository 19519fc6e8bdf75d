"""A report as JSON that every parser takes: no NaN, no infinity, and a note for each number that was one."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from numbers import Integral, Real
from typing import Any

from intermodal.report.catalogue import say
from intermodal.report.escape import visible
from intermodal.report.validating import Report, validate


def to_json(report: Report) -> str:
    """Return `report` as JSON with all digits of every number; the key "notes" is there only when needed.

    Raises:
        ValueError: the report is not valid.

    Example:
        >>> import json
        >>> block = {"kind": "facts", "items": [["score", float("nan")]]}
        >>> made = json.loads(to_json({"title": "t", "blocks": [block]}))
        >>> made["blocks"][0]["items"], made["notes"]
        ([['score', None]], ['blocks[0].items[0][1] was NaN; JSON has no such number, so null stands there.'])
    """
    validate(report)
    notes: list[str] = []
    made = {str(key): _clean(value, str(key), notes) for key, value in report.items()}
    if notes:
        made["notes"] = notes
    return json.dumps(made, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def _clean(value: Any, path: str, notes: list[str]) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _clean(entry, f"{path}.{key}", notes) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [_clean(entry, f"{path}[{index}]", notes) for index, entry in enumerate(value)]
    if isinstance(value, str):
        # Only halves of characters change: they cannot be written as UTF-8. json.dumps escapes control codes.
        return "".join(visible(c) if "\ud800" <= c <= "\udfff" else c for c in value)
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, Integral):
        return int(value)
    if isinstance(value, Real) and math.isfinite(value):
        return float(value)
    shown = "NaN" if math.isnan(value) else "infinity" if value > 0 else "-infinity"
    notes.append(say("json_missing", path=path, value=shown))
    return None
