"""What was missing, in simple blocks: a count for each modality, and who had what."""

from __future__ import annotations

from typing import Any

from intermodal.report.catalogue import WORDS, counted, say
from intermodal.report.checks import Block
from intermodal.report.escape import html
from intermodal.report.markup import caption, name, region
from intermodal.report.parts import Part


def presence_parts(block: Block) -> list[Part]:
    """Return the parts of a presence block.

    Example:
        >>> block = {"kind": "presence", "title": "t", "names": ["a"], "rows": ["7"], "present": [[False]]}
        >>> counts, rows = presence_parts({**block, "missing": [3], "n": 12})
        >>> counts.block["rows"], rows.block["rows"]
        ([['a', 9, 3, '25.0 %']], [['7', 'missing']])
    """
    names, n = block["names"], block["n"]
    counts = []
    for label, gone in zip(names, block["missing"], strict=True):
        counts.append([label, n - gone, gone, f"{100 * gone / n:.1f} %" if n else None])
    table: dict[str, Any] = {"kind": "table", "title": block["title"], "rows": counts, "align": "lrrr"}
    table |= {"caption": say("presence_how", n=counted("samples", n))}
    table |= {"columns": [WORDS["modality"], WORDS["there"], WORDS["missing_modality"], WORDS["share"]]}
    parts = [Part("counts", table)]
    if block["rows"]:
        said = {True: WORDS["there_cell"], False: WORDS["missing_modality"]}
        pairs = zip(block["rows"], block["present"], strict=True)
        rows = [[row, *(said[there] for there in present)] for row, present in pairs]
        grid: dict[str, Any] = {"kind": "table", "title": WORDS["presence_rows"], "rows": rows}
        grid |= {"columns": [WORDS["sample"], *names], "caption": block.get("left_out") or None}
        parts.append(Part("rows", grid, html=_marks(grid, block)))
    return parts


def _marks(grid: Block, block: Block) -> str:
    """Filled and hatched cells, so that a gap stands out; the words are there for those who do not see them."""
    heads = "".join(f'<th scope="col">{name(head)}</th>' for head in grid["columns"])
    there = f'<td class="there"><span class="sr">{html(WORDS["there_cell"])}</span></td>'
    away = f'<td class="away">{html(WORDS["missing_modality"])}</td>'
    rows = "".join(
        f'<tr><th scope="row">{name(row)}</th>{"".join(there if here else away for here in present)}</tr>'
        for row, present in zip(block["rows"], block["present"], strict=True)
    )
    table = f"{caption(grid)}<thead><tr>{heads}</tr></thead><tbody>{rows}</tbody>"
    return region(grid, f'<table class="presence">{table}</table>')
