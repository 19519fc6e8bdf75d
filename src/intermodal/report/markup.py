"""Small pieces of HTML that every block uses: a name, a scrolling region, the sentences below a table."""

from __future__ import annotations

from collections.abc import Iterable

from intermodal.report.catalogue import WORDS, say
from intermodal.report.escape import html
from intermodal.report.figures import exact, is_number, reasons
from intermodal.report.validating import Block

_LONG = 200
_SHOWN = 80


def name(text: str) -> str:
    """Return a name that keeps its own writing direction; a very long one opens on request, without scripts.

    Example:
        >>> name("<b>")
        '<bdi>&lt;b&gt;</bdi>'
    """
    if len(text) <= _LONG:
        return f"<bdi>{html(text)}</bdi>"
    summary = f"<bdi>{html(text[:_SHOWN])}…</bdi> {say('long', count=f'{len(text):,}')}"
    return f'<details><summary>{summary}</summary><div class="full"><bdi>{html(text)}</bdi></div></details>'


def region(block: Block, table: str) -> str:
    """Return `table` inside its own scrolling region, which the keyboard reaches and a screen reader names.

    Example:
        >>> region({"title": "Scores"}, "<table></table>")
        '<div class="region" role="region" tabindex="0" aria-label="Scores, table"><table></table></div>'
    """
    label = html(say("region", title=block["title"][:120]))
    return f'<div class="region" role="region" tabindex="0" aria-label="{label}">{table}</div>'


def caption(block: Block) -> str:
    """Return the title once more as the caption of a table, for those who jump from table to table.

    The block's own caption stands above the region, where it neither scrolls away nor narrows with the table.

    Example:
        >>> caption({"title": "Scores"})
        '<caption><span class="sr">Scores</span></caption>'
    """
    return f'<caption><span class="sr">{html(block["title"])}</span></caption>'


def notes(sentences: Iterable[str]) -> str:
    """Return the sentences that stand below a table, or nothing.

    Example:
        >>> notes(["One."]), notes([])
        ('<div class="notes"><p>One.</p></div>', '')
    """
    lines = "".join(f"<p>{html(sentence)}</p>" for sentence in sentences if sentence)
    return f'<div class="notes">{lines}</div>' if lines else ""


def gap(value: object) -> str:
    """Return the attributes of a cell that holds no finite number: its class and its reason.

    Example:
        >>> gap(None)
        ' title="– stands where no value was given."'
        >>> gap(0.5)
        ''
    """
    why = reasons([value])
    return f' title="{html(why[0])}"' if why else ""


def exactly(value: object, shown: str) -> str:
    """Return the attribute that holds all digits, where `shown` has fewer of them; a gap is copied as nothing.

    Example:
        >>> exactly(0.123456, "0.12"), exactly(0.12, "0.12")
        (' data-v="0.123456"', '')
    """
    if value is None:
        return ' data-v=""'
    digits = exact(value)
    if not is_number(value) or gap(value) or digits == shown:
        return ""
    return f' data-v="{digits}"'


def nothing() -> str:
    """Return the sentence that stands where a table has no rows.

    Example:
        >>> nothing()
        '<p>No rows.</p>'
    """
    return f"<p>{WORDS['no_rows']}</p>"
