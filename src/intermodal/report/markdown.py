"""A report as GitHub Markdown: tables with every number, no drawing."""

from __future__ import annotations

from collections.abc import Callable

from intermodal.report.catalogue import WORDS, say
from intermodal.report.escape import markdown as escaped
from intermodal.report.escape import plain
from intermodal.report.figures import reasons
from intermodal.report.grid import grid_of
from intermodal.report.spans import reference_text
from intermodal.report.text import fact
from intermodal.report.validating import Block, Report, validate
from intermodal.report.views import VIEWS, parts_of

_RULES = {"l": ":---", "r": "---:", "c": ":---:"}


def to_markdown(report: Report) -> str:
    """Return `report` as GitHub Markdown; names are escaped, so `a|b` stays one cell.

    Raises:
        ValueError: the report is not valid.

    Example:
        >>> block = {"kind": "table", "title": "Scores", "columns": ["fusion", "r2"], "rows": [["self", 0.5]]}
        >>> print(to_markdown({"title": "Report", "blocks": [block]}), end="")
        # Report
        <BLANKLINE>
        ## Scores
        <BLANKLINE>
        | fusion | r2 |
        | :--- | ---: |
        | self | 0.500 |
    """
    validate(report)
    parts = [f"# {escaped(report['title'])}"]
    if report.get("subtitle"):
        parts.append(f"*{escaped(report['subtitle'])}*")
    for block in report["blocks"]:
        if block.get("title"):
            parts.append(f"## {escaped(block['title'])}")
        if block.get("caption"):
            parts.append(escaped(block["caption"]))
        parts += _view(block) if block["kind"] in VIEWS else _BLOCKS[block["kind"]](block)
    return "\n\n".join(parts) + "\n"


def _view(view: Block) -> list[str]:
    made = []
    for block in (part.block for part in parts_of(view) if part.everywhere):
        if block.get("title") and block["title"] != view["title"]:
            made.append(f"### {escaped(block['title'])}")
        if block.get("caption"):
            made.append(escaped(block["caption"]))
        made += _BLOCKS[block["kind"]](block)
    return made


def _text(block: Block) -> list[str]:
    return [escaped(part) for part in block["text"].split("\n\n") if part.strip()]


def _facts(block: Block) -> list[str]:
    lines = [f"- {escaped(label)}: **{escaped(fact(value))}**" for label, value in block["items"]]
    return ["\n".join(lines), *(f"*{escaped(note)}*" for note in reasons(value for _, value in block["items"]))]


def _grid(block: Block) -> list[str]:
    grid = grid_of(block)
    if not grid.columns:
        return [WORDS["no_rows"]]
    lines = [_row([escaped(name) for name in grid.columns]), _row([_RULES[side] for side in grid.align])]
    for index, row in enumerate(grid.rows):
        cells = [escaped(cell) for cell in row]
        lines.append(_row([f"**{cell}**" if cell and index in grid.highlight else cell for cell in cells]))
    notes = [*grid.reasons] if grid.rows else [WORDS["no_rows"]]
    if block["kind"] == "intervals" and block.get("reference") is not None:
        notes.insert(0, say("compared", value=reference_text(block["reference"])))
    return ["\n".join(lines), *(f"*{escaped(note)}*" for note in notes)]


def _row(cells: list[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _findings(block: Block) -> list[str]:
    lines = []
    for item in block["items"]:
        remedy = f"<br>{WORDS['remedy']}{escaped(item['remedy'])}" if item.get("remedy") else ""
        if item.get("see"):
            remedy += f"<br>{WORDS['see']}{escaped(item['see'])}"
        lines.append(
            f"- **{WORDS[item['severity']]}** {escaped(item['id'])}: {escaped(item['text'])}{remedy}",
        )
    return ["\n".join(lines) or WORDS["no_findings"]]


def _commands(block: Block) -> list[str]:
    lines = [plain(line) for line in block["lines"]]
    fence = "```"
    while any(fence in line for line in lines):
        fence += "`"
    return ["\n".join([f"{fence}console", *lines, fence])]


_BLOCKS: dict[str, Callable[[Block], list[str]]] = {
    "text": _text,
    "facts": _facts,
    "table": _grid,
    "matrix": _grid,
    "bars": _grid,
    "intervals": _grid,
    "track": _grid,
    "findings": _findings,
    "commands": _commands,
}
