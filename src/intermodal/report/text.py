"""A report for the terminal: numbers first, characters only, no control codes unless colour is asked for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from intermodal.report.asciiform import ascii_only
from intermodal.report.catalogue import WORDS, say
from intermodal.report.cells import pad, width, wrap
from intermodal.report.domain import Domain, domain
from intermodal.report.escape import plain
from intermodal.report.figures import exact, figure, reasons
from intermodal.report.grid import grid_of
from intermodal.report.spans import span_notes, span_scale
from intermodal.report.textgrid import lay_out
from intermodal.report.textplot import bar_lines, interval_lines
from intermodal.report.track import track_lines
from intermodal.report.validating import Block, Report, validate
from intermodal.report.views import VIEWS, parts_of

_BOLD, _DIM, _RED, _YELLOW, _CYAN = "1", "2", "31", "33", "36"
_SEVERITY = {"error": _RED, "warning": _YELLOW, "note": _CYAN}
_Paint = Callable[[str, str], str]
_LEAST_WIDTH = 24
_LABEL = 24


def to_text(report: Report, *, width: int = 80, color: bool = False, ascii_form: bool = False) -> str:
    """Return `report` as text of at most `width` places per line (commands alone are never broken).

    Args:
        report: title and blocks; see `validate`.
        width: places per line, 24 or more; a Chinese character takes two.
        ascii_form: use the letters of ASCII alone, for terminals and files that have no others; drawings get plainer
            signs, a name's other letters become question marks.
        color: add ANSI colour codes. Off by default: then the text holds no control code at all, whatever the names.

    Raises:
        ValueError: the report is not valid, or `width` is below 24.

    Example:
        >>> print(to_text({"title": "Scores", "blocks": [{"kind": "facts", "items": [["samples", 1797]]}]}), end="")
        Scores
        ══════
        <BLANKLINE>
        samples  1797
    """
    validate(report)
    if width < _LEAST_WIDTH:
        raise ValueError(f"width must be at least {_LEAST_WIDTH}, however: {width=}")
    paint: _Paint = (lambda text, code: f"\033[{code}m{text}\033[0m") if color else (lambda text, code: text)
    parts = [_title(report, width, paint)]
    for block in report["blocks"]:
        draw = _view if block["kind"] in VIEWS else _BLOCKS[block["kind"]]
        lines = draw(block, width, paint)
        parts.append("\n".join(_heading(block, width, paint) + lines))
    text = "\n\n".join(parts) + "\n"
    return ascii_only(text) if ascii_form else text


def _title(report: Report, places: int, paint: _Paint) -> str:
    lines = wrap(plain(report["title"]), places)[0]
    rule = "═" * max(map(width, lines))
    shown = [paint(line, _BOLD) for line in lines] + [rule]
    if report.get("subtitle"):
        shown += [paint(line, _DIM) for line in wrap(plain(report["subtitle"]), places)[0]]
    return "\n".join(shown)


def _heading(block: Block, places: int, paint: _Paint, mark: str = "── ") -> list[str]:
    lines = []
    if block.get("title"):
        titles = wrap(plain(block["title"]), places - len(mark))[0]
        lines = [paint((mark if index == 0 else " " * len(mark)) + line, _BOLD) for index, line in enumerate(titles)]
    if block.get("caption"):
        lines += [paint(line, _DIM) for line in wrap(plain(block["caption"]), places)[0]]
    return lines


def _notes(notes: tuple[str, ...], places: int, paint: _Paint) -> list[str]:
    return [paint(line, _DIM) for note in notes for line in wrap(plain(note), places)[0]]


def _view(view: Block, places: int, paint: _Paint) -> list[str]:
    lines: list[str] = []
    for block in (part.block for part in parts_of(view) if part.everywhere):
        titled = block.get("title") and block["title"] != view["title"]
        lines += [""] if lines or (titled and view.get("caption")) else []
        lines += _heading(block if titled else {**block, "title": None}, places, paint, mark="─ ")
        lines += _BLOCKS[block["kind"]](block, places, paint)
    return lines


def _text(block: Block, places: int, paint: _Paint) -> list[str]:
    paragraphs = [wrap(plain(part), places)[0] for part in block["text"].split("\n\n") if part.strip()]
    return [line for index, lines in enumerate(paragraphs) for line in ([""] * bool(index) + lines)]


def _facts(block: Block, places: int, paint: _Paint) -> list[str]:
    labels = [plain(label) for label, _ in block["items"]]
    column = min(max(map(width, labels), default=0), places // 3)
    lines = []
    for label, (_, value) in zip(labels, block["items"], strict=True):
        left = wrap(label, column)[0] if column > 1 else [label]
        right = wrap(plain(fact(value)), places - column - 2)[0]
        for index in range(max(len(left), len(right))):
            one = left[index] if index < len(left) else ""
            other = right[index] if index < len(right) else ""
            lines.append(f"{pad(one, column, 'l')}  {other}".rstrip())
    return lines + _notes(reasons(value for _, value in block["items"]), places, paint)


def fact(value: object) -> str:
    """Return a single value as text: a float with up to six significant digits.

    Example:
        >>> fact(0.1234567), fact(3), fact("x")
        ('0.123457', '3', 'x')
    """
    return f"{value:.6g}" if isinstance(value, float) and exact(value)[-1].isdigit() else figure(value, 4)


def _table(block: Block, places: int, paint: _Paint) -> list[str]:
    grid = grid_of(block)
    lines = lay_out(grid, places)
    if not grid.rows:
        lines.append(WORDS["no_rows"])
    return lines + _notes(grid.reasons, places, paint)


def _matrix(block: Block, places: int, paint: _Paint) -> list[str]:
    grid = grid_of(block)
    colours = domain((value for row in block["values"] for value in row), block.get("domain"))
    rows = tuple(
        (texts[0], *(f"{text} {_shade(value, colours)}" for text, value in zip(texts[1:], row[1:], strict=True)))
        for texts, row in zip(grid.rows, grid.values, strict=True)
    )
    low, high = colours.ends()
    legend = say("shades_signed" if colours.signed else "shades", low=low, high=high)
    return lay_out(replace(grid, rows=rows), places) + _notes((legend, *grid.reasons), places, paint)


def _shade(value: float | None, colours: Domain) -> str:
    if value is None or value != value or value in (float("inf"), float("-inf")):
        return "·"
    return " ░▒▓█"[round(4 * abs(colours.share(value)))]


def _spans(block: Block, places: int, paint: _Paint) -> list[str]:
    grid = grid_of(block)
    axis = span_scale(block)
    taken = [max(width(plain(texts[i])) for texts in (grid.columns, *grid.rows)) + 2 for i in range(len(grid.columns))]
    room = min(_ROOM.get(block["kind"], 40), places - min(taken[0], _LABEL) - sum(taken[1:]))
    drawing: list[str] = []
    if grid.rows and room >= 12:
        draw = _DRAWN[block["kind"]]
        ends = (figure(axis.low, 2), figure(axis.high, 2))
        drawing = [ends[0] + " " * (room - len(ends[0]) - len(ends[1])) + ends[1], *draw(block, axis, room)]
    how = span_notes(block, axis) if drawing else ()
    lines = lay_out(grid, places, drawing) + ([] if grid.rows else [WORDS["no_rows"]])
    return lines + _notes((*how, *grid.reasons), places, paint)


def _findings(block: Block, places: int, paint: _Paint) -> list[str]:
    lines = []
    for item in block["items"]:
        severity = item["severity"]
        mark = paint(WORDS[severity].upper(), _SEVERITY[severity])
        lines += [f"{mark}  {line}" for line in wrap(plain(item["id"]), places - len(severity) - 2)[0][:1]]
        texts = [item["text"]] + ([WORDS["remedy"] + item["remedy"]] if item.get("remedy") else [])
        texts += [WORDS["see"] + item["see"]] if item.get("see") else []
        lines += ["  " + line for text in texts for line in wrap(plain(text), places - 2)[0]]
    return lines or [WORDS["no_findings"]]


def _commands(block: Block, places: int, paint: _Paint) -> list[str]:
    return ["  " + plain(line) for line in block["lines"]]


_ROOM = {"track": 64}
_DRAWN = {"bars": bar_lines, "intervals": interval_lines, "track": track_lines}
_BLOCKS: dict[str, Callable[[Block, int, _Paint], list[str]]] = {
    "text": _text,
    "facts": _facts,
    "table": _table,
    "matrix": _matrix,
    "bars": _spans,
    "intervals": _spans,
    "track": _spans,
    "findings": _findings,
    "commands": _commands,
}
