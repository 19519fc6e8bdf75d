"""A report as one HTML file: offline, under a strict content policy, whole without scripts, the same bytes each time.

The content policy allows one style and one script, each by its SHA-256, and nothing from anywhere else. There is no
inline style, no handler in an attribute and no data inside the script; names are text between tags, and what the
script reads stands in inert JSON elements.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Sequence

from intermodal.report.bars import bars_html
from intermodal.report.catalogue import WORDS
from intermodal.report.escape import html
from intermodal.report.htmltable import table_html
from intermodal.report.htmlview import view_html
from intermodal.report.intervals import intervals_html
from intermodal.report.markup import name
from intermodal.report.matrix import matrix_html, matrix_levels
from intermodal.report.parts import Part
from intermodal.report.payload import data_script
from intermodal.report.prose import commands_html, facts_html, findings_html, text_html
from intermodal.report.script import LEVELS_OF_SCRIPT, script
from intermodal.report.size import WARN_MB, check_size, warn_large
from intermodal.report.spoken import SPOKEN
from intermodal.report.strip import strip_html
from intermodal.report.style import style
from intermodal.report.track import track_html
from intermodal.report.validating import Block, Report, validate
from intermodal.report.views import VIEWS, parts_of

_SIMPLE: dict[str, Callable[[Block], str]] = {
    "text": text_html,
    "facts": facts_html,
    "table": table_html,
    "matrix": matrix_html,
    "bars": bars_html,
    "intervals": intervals_html,
    "track": track_html,
    "commands": commands_html,
}
_NAVIGATE_FROM = 4


def to_html(report: Report, *, max_mb: float = 25) -> str:
    """Return `report` as one HTML page that needs nothing else.

    Args:
        report: title and blocks; see `validate`.
        max_mb: the most megabytes (of 10^6 bytes, as UTF-8) the page may have.

    Raises:
        ValueError: the report is not valid.
        ReportTooLarge: the page would be larger than `max_mb`.

    Example:
        >>> page = to_html({"title": "</script>", "blocks": []})
        >>> page.startswith("<!doctype html>"), "<h1><bdi>&lt;/script&gt;</bdi></h1>" in page
        (True, True)
    """
    validate(report)
    blocks = report["blocks"]
    kinds = {block["kind"] for block in blocks}
    parts = [parts_of(block) for block in blocks]
    sections = [_section(index, blocks, parts[index]) for index in range(len(blocks))]
    simple = [*blocks, *(part.block for made in parts for part in made)]
    levels = set().union(*(matrix_levels(block) for block in simple if block["kind"] == "matrix"))
    css = style(levels | (LEVELS_OF_SCRIPT if "attention" in kinds else set()), views=not VIEWS.isdisjoint(kinds))
    pages = [_page(report, css, script(kinds), "\n".join(sections), large=large) for large in (False, True)]
    sizes = [_own_size(len((before + after).encode())) for before, after in pages]
    large = sizes[0] > WARN_MB * 1_000_000
    check_size(sizes[large], max_mb, _sizes(blocks, sections))
    if large:
        warn_large(sizes[True], _sizes(blocks, sections))
    before, after = pages[large]
    return f"{before}{sizes[large]:,}{after}"


def _sizes(blocks: Sequence[Block], sections: Sequence[str]) -> list[tuple[str, int]]:
    return [(block["kind"], len(section.encode())) for block, section in zip(blocks, sections, strict=True)]


def _page(report: Report, css: str, code: str, main: str, *, large: bool) -> tuple[str, str]:
    """Return the page before and after the place where it states its own size."""
    policy = (
        f"default-src 'none'; img-src data:; style-src '{_sha(css)}'; script-src '{_sha(code)}'; "
        "base-uri 'none'; form-action 'none'"
    )
    subtitle = _subtitle(report.get("subtitle") or "")
    page = (
        f'<!doctype html>\n<html lang="{WORDS["lang"]}">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width,initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n<meta name="referrer" content="no-referrer">\n'
        f'<link rel="icon" href="data:,">\n<title>{html(report["title"])}</title>\n<style>{css}</style>\n</head>\n'
        f"<body>\n<header>\n<h1>{_heading(report['title'])}</h1>\n{subtitle}{strip_html(report['blocks'])}"
        f"{_contents(report)}</header>\n"
        f"<main>\n{main}\n</main>\n"
    )
    before, after = html(WORDS["size"]).split("{size}")
    return (
        f"{page}<footer><p>{before}",
        f"{after}{' ' + html(WORDS['large']) if large else ''}</p></footer>\n"
        f'<div id="words" hidden>{data_script(SPOKEN)}</div>\n<script>{code}</script>\n</body>\n</html>\n',
    )


def _subtitle(text: str) -> str:
    """A paragraph; one that would fill the screen opens on request."""
    folded = name(text)
    if folded.startswith("<details"):
        return f'<div class="subtitle" dir="auto">{folded}</div>'
    return f'<p class="subtitle" dir="auto">{html(text)}</p>' if text else ""


def _section(index: int, blocks: Sequence[Block], parts: Sequence[Part]) -> str:
    block = blocks[index]
    if block["kind"] in VIEWS:
        made = view_html(block, parts, _simple)
    elif block["kind"] == "findings":
        # Of several blocks with one title the first is meant, so it is put in last.
        places = {other["title"]: f"b{at}" for at, other in reversed(list(enumerate(blocks))) if other.get("title")}
        made = findings_html(block, places)
    else:
        made = _simple(block)
    if block.get("caption"):
        made = f'<p class="caption" dir="auto">{html(block["caption"])}</p>{made}'
    if not block.get("title"):
        return f'<section id="b{index}">{made}</section>'
    heading = f'<h2 id="t{index}">{_heading(block["title"])}</h2>'
    return f'<section id="b{index}" aria-labelledby="t{index}">{heading}\n{made}</section>'


def _simple(block: Block) -> str:
    return _SIMPLE[block["kind"]](block)


def _heading(text: str) -> str:
    return f"<bdi>{html(text)}</bdi>"


def _contents(report: Report) -> str:
    titled = [(index, block["title"]) for index, block in enumerate(report["blocks"]) if block.get("title")]
    if len(titled) < _NAVIGATE_FROM:
        return ""
    links = "".join(f'<li><a href="#b{index}">{_heading(_brief(title))}</a></li>' for index, title in titled)
    return f'<nav aria-labelledby="contents"><h2 id="contents">{WORDS["contents"]}</h2><ul>{links}</ul></nav>'


def _brief(title: str) -> str:
    return title if len(title) <= 80 else title[:79] + "…"


def _sha(content: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()


def _own_size(rest: int) -> int:
    """Return the size of a page that states its own size, given the size of all the rest."""
    size = rest
    while rest + len(f"{size:,}") != size:
        size = rest + len(f"{size:,}")
    return size
