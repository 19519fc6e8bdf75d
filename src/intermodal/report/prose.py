"""The blocks without a table as HTML: paragraphs, facts, findings and commands."""

from __future__ import annotations

from collections.abc import Mapping

from intermodal.report.catalogue import WORDS, say
from intermodal.report.escape import html
from intermodal.report.figures import reasons
from intermodal.report.markup import gap, name, notes
from intermodal.report.text import fact
from intermodal.report.validating import Block


def text_html(block: Block) -> str:
    """Return the paragraphs of a text block; a blank line separates them.

    Example:
        >>> text_html({"kind": "text", "text": "One.\\n\\nTwo."})
        '<p dir="auto">One.</p><p dir="auto">Two.</p>'
    """
    return "".join(f'<p dir="auto">{html(part.strip())}</p>' for part in block["text"].split("\n\n") if part.strip())


def facts_html(block: Block) -> str:
    """Return labels and values as a description list.

    Example:
        >>> facts_html({"kind": "facts", "items": [["samples", 1797]]})
        '<dl><dt><bdi>samples</bdi></dt><dd><bdi>1797</bdi></dd></dl>'
    """
    pairs = "".join(
        f"<dt>{name(label)}</dt><dd{gap(value)}>{name(fact(value))}</dd>" for label, value in block["items"]
    )
    return f"<dl>{pairs}</dl>" + notes(reasons(value for _, value in block["items"]))


def findings_html(block: Block, places: Mapping[str, str] | None = None) -> str:
    """Return findings as a list; the severity is a word first and a colour second.

    Args:
        block: the findings.
        places: title of each block and where it stands, for the findings that lead to their evidence.

    Example:
        >>> findings_html({"kind": "findings", "title": "t", "items": []})
        '<p>Nothing found.</p>'
    """
    items = []
    for item in block["items"]:
        severity = item["severity"]
        head = f'<span class="badge">{WORDS[severity]}</span><code class="id">{html(item["id"])}</code>'
        remedy = f'<p class="remedy"><b>{WORDS["remedy"]}</b>{html(item["remedy"])}</p>' if item.get("remedy") else ""
        if item.get("see") and places:
            link = f'<a href="#{places[item["see"]]}">{name(item["see"])}</a>'
            remedy += f'<p class="see">{WORDS["see"]}{link}</p>'
        items.append(f'<li class="{severity}"><p>{head}</p><p dir="auto">{html(item["text"])}</p>{remedy}</li>')
    return f'<ul class="findings">{"".join(items)}</ul>' if items else f"<p>{WORDS['no_findings']}</p>"


def commands_html(block: Block) -> str:
    """Return command lines, unbroken, in a region that scrolls.

    Example:
        >>> "<code>intermodal demo</code>" in commands_html({"title": "Next", "lines": ["intermodal demo"]})
        True
    """
    lines = "\n".join(html(line) for line in block["lines"])
    label = html(say("region", title=block["title"][:120]).removesuffix(", table"))
    return f'<pre class="region" role="region" tabindex="0" aria-label="{label}"><code>{lines}</code></pre>'
