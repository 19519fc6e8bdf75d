"""Curves in simple blocks: the table of their points, with a drawing above it on a page."""

from __future__ import annotations

from typing import Any

from intermodal.report.catalogue import say
from intermodal.report.checks import Block
from intermodal.report.curves import curves_svg
from intermodal.report.parts import Part
from intermodal.report.payload import rounded


def curves_parts(block: Block) -> list[Part]:
    """Return the parts of a curves block.

    Example:
        >>> block = {"kind": "curves", "title": "t", "x_label": "removed", "y_label": "logit", "x": [0, 1]}
        >>> curves_parts({**block, "lines": [{"label": "a", "values": [2.0, 1.0]}]})[0].block["rows"]
        [[0, 2.0], [1, 1.0]]
    """
    columns, lists = [block["x_label"]], [list(block["x"])]
    for line in block["lines"]:
        columns.append(line["label"])
        lists.append(rounded(line["values"]))
        for key in ("low", "high"):
            if line.get(key) is not None:
                columns.append(say(f"curve_{key}", label=line["label"]))
                lists.append(rounded(line[key]))
    band = block.get("band")
    if band is not None:
        for key in ("low", "high"):
            columns.append(say(f"curve_{key}", label=band["label"]))
            lists.append(rounded(band[key]))
    rows: list[list[Any]] = [list(row) for row in zip(*lists, strict=True)]
    table = {"kind": "table", "title": block["title"], "columns": columns, "rows": rows, "align": "r" * len(columns)}
    return [Part("points", table, drawing=curves_svg(block))]
