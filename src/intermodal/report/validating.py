"""Check a report before anything is drawn: one error that names the block and the key.

A report is a dict of blocks; `KINDS` is the whole schema. A key that ends in `?` may be left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from intermodal.report.checks import Block, a_list, keys, quoted, short, suggest, text, text_or_none
from intermodal.report.kinds import PLAIN_AGREE, PLAIN_KINDS
from intermodal.report.viewkinds import VIEW_AGREE, VIEW_KINDS

__all__ = ["KINDS", "Block", "Report", "validate"]

Report = Mapping[str, Any]
KINDS = {**PLAIN_KINDS, **VIEW_KINDS}
_AGREE = {**PLAIN_AGREE, **VIEW_AGREE}
_AT_MOST = 8


def validate(report: Report) -> None:
    """Raise one ValueError that lists what is wrong with `report`; return None when nothing is.

    Raises:
        ValueError: each line is one sentence and begins with the place, such as `blocks[2].rows[1]`.

    Example:
        >>> validate({"title": "t", "blocks": [{"kind": "text", "txt": "hello"}]})
        Traceback (most recent call last):
        ...
        ValueError: blocks[0] (text) must have the key "text", however: it is missing
        blocks[0] (text) must have known keys only, however: "txt"; did you mean "text"?
    """
    problems = list(_report(report))
    if len(problems) > _AT_MOST:
        problems[_AT_MOST:] = [f"and {len(problems) - _AT_MOST} problems more"]
    if problems:
        raise ValueError("\n".join(problems))


def _report(report: object) -> Iterator[str]:
    if not isinstance(report, Mapping):
        yield f"a report must be a dict, however: {short(report)}"
        return
    yield from keys("a report", report, {"title": text, "subtitle?": text_or_none, "blocks": a_list})
    blocks = report.get("blocks")
    if isinstance(blocks, (list, tuple)):
        for index, block in enumerate(blocks):
            yield from _block(f"blocks[{index}]", block)
        yield from _seen(blocks)


def _seen(blocks: Iterable[Any]) -> Iterator[str]:
    """A finding may lead to a block by its title: the title must be there."""
    given = [block.get("title") for block in blocks if isinstance(block, Mapping)]
    titles = [title for title in given if isinstance(title, str)]
    for index, block in enumerate(blocks):
        items = block.get("items") if isinstance(block, Mapping) and block.get("kind") == "findings" else ()
        for at, item in enumerate(items if isinstance(items, (list, tuple)) else ()):
            see = item.get("see") if isinstance(item, Mapping) else None
            if isinstance(see, str) and see not in titles:
                path = f"blocks[{index}].items[{at}].see"
                yield f"{path} must be the title of a block, however: {quoted(see)}{suggest(see, titles)}"


def _block(path: str, block: object) -> Iterator[str]:
    if not isinstance(block, Mapping):
        yield f"{path} must be a dict, however: {short(block)}"
        return
    kind = block.get("kind")
    if not isinstance(kind, str) or kind not in KINDS:
        yield f'{path} must have a known "kind", however: kind={short(kind)}{suggest(kind, KINDS)}'
        return
    problems = list(keys(path, block, {"kind": text, **KINDS[kind]}, kind))
    yield from problems
    if not problems and kind in _AGREE:
        yield from _AGREE[kind](path, block)
