"""When something is looked at, in simple blocks: for each word the frames it looks at most.

Shapes: Q words, K frames.
"""

from __future__ import annotations

import heapq
import math
from typing import Any

from intermodal.report.catalogue import WORDS, say
from intermodal.report.checks import Block
from intermodal.report.figures import figure
from intermodal.report.parts import Part
from intermodal.report.payload import nine, packed

TOP = 5


def timeline_parts(block: Block) -> list[Part]:
    """Return the parts of a timeline block, a table for each item.

    Example:
        >>> item = {"id": "clip", "words": ["dog"], "times": [[0.0, 0.5], [0.5, 1.0]], "weights": [[0.25, 0.75]]}
        >>> block = {"kind": "timeline", "title": "t", "unit": "s", "how": "layer 1", "query": "text"}
        >>> [part] = timeline_parts({**block, "context": "video", "items": [item]})
        >>> part.block["rows"][0][:3]
        ['dog', '0.50 to 1.00', 0.75]
    """
    return [Part(f"item{index}", _table(block, item), again=True) for index, item in enumerate(block["items"])]


def _table(block: Block, item: dict[str, Any]) -> dict[str, Any]:
    rows: list[list[Any]] = []
    # Where nobody gave times, the frames are counted.
    counted = block["unit"] != "s" and all(list(span) == [k, k + 1] for k, span in enumerate(item["times"]))
    for word, weights in zip(item["words"], item["weights"], strict=True):
        best, seen = tops(weights), _seen(weights)
        where = [str(frame + 1) if counted else _when(item["times"][frame]) for frame in best]
        cells = [where[0], nine(weights[best[0]]), nine(weights[best[0]] * seen)] if best else [None] * 3
        rows.append([word, *cells, "; ".join(where[1:3]) or None])
    most = f"{WORDS['most']} ({block['unit']})"
    columns = [block["query"], most, WORDS["weight"], WORDS["times_uniform"], WORDS["next_most"]]
    truth = "; ".join(map(_when, item.get("truth") or ()))
    asks = {"query": block["query"], "context": block["context"], "how": block["how"]}
    how = [say("time_how", **asks, n=f"{len(item['times']):,}")]
    how += [say("time_truth", spans=truth, unit=block["unit"])] if truth else []
    made = {"kind": "table", "title": item["id"] or block["title"], "caption": " ".join(how), "columns": columns}
    return {**made, "rows": rows, "align": "lrrrl"}


def _when(span: Any) -> str:
    """A time to a hundredth, or finer where the frame is finer."""
    digits = max(2, min(6, 1 - math.floor(math.log10(span[1] - span[0]) + 1e-6))) if span[1] > span[0] else 2
    return say("time_span", start=figure(float(span[0]), digits), end=figure(float(span[1]), digits))


def _seen(weights: Any) -> int:
    return sum(value is not None and math.isfinite(value) for value in weights)


def tops(weights: Any, k: int = TOP) -> list[int]:
    """Return the frames with the largest weights, the largest first, the earlier of two that are equal.

    Example:
        >>> tops([0.2, None, 0.5, 0.3], k=2)
        [2, 3]
    """
    there = [index for index, value in enumerate(weights) if value is not None and math.isfinite(value)]
    return heapq.nlargest(k, there, key=weights.__getitem__)


def timeline_data(block: Block) -> dict[str, Any]:
    """Return what the script reads: the weights packed, and the largest of each word with all their digits.

    Example:
        >>> item = {"id": "clip", "words": ["dog"], "times": [[0.0, 0.5]], "weights": [[1.0]]}
        >>> timeline_data({"kind": "timeline", "items": [item]})["items"][0]["top"]
        [[[0, 1.0]]]
    """
    items = []
    for item in block["items"]:
        top = [[[frame, weights[frame]] for frame in tops(weights)] for weights in item["weights"]]
        items.append({**item, "weights": packed(item["weights"]), "top": top})
    return {**block, "items": items}
