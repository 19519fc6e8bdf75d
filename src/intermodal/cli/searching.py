"""`intermodal search`: which clip fits, and which text."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from intermodal.cli import console
from intermodal.cli.clips import Clips
from intermodal.cli.options import Json
from intermodal.cli.picking import row_of
from intermodal.errors import InputError

if TYPE_CHECKING:
    from intermodal.find.hits import Hit
    from intermodal.find.index import ClipIndex

COLUMNS = 6
"""Keys of the metadata that a terminal gets to see."""
_SIGNS = (">=", "<=", "=")


def search(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="Folder that `FusionRetriever.save` wrote.")],
    folder: Annotated[Path, typer.Argument(metavar="INDEX", help="Folder that `intermodal index` wrote.")],
    query: Annotated[str | None, typer.Argument(metavar="[QUERY]", help="What to look for, in words.")] = None,
    like: Annotated[
        Path | None, typer.Option("--like", metavar="DATA", help="Look for what fits a clip of this file instead.")
    ] = None,
    row: Annotated[int | None, typer.Option("--row", min=0, help="Which clip of it, from 0.")] = None,
    name: Annotated[str | None, typer.Option("--id", metavar="ID", help="Which clip of it, by its id.")] = None,
    k: Annotated[int, typer.Option("-k", "--top", min=1, help="How many to find.")] = 10,
    where: Annotated[
        list[str] | None,
        typer.Option("--where", metavar="KEY=VALUE", help="Only clips that say so; also KEY>=1, KEY<=9; repeatable."),
    ] = None,
    group: Annotated[
        str | None, typer.Option("--group", metavar="KEY", help="The best alone of clips that share this: a video.")
    ] = None,
    rerank: Annotated[
        bool, typer.Option("--rerank/--no-rerank", help="Let the reranker order the best anew, where it helped.")
    ] = True,
    json: Json = False,
) -> None:
    """Find the clips that fit a query, or the clips or texts that fit a clip.

    \b
    $ intermodal search model/ clips.index "a dog runs" -k 3 --where year>=2020
    ── The best 3 of 500
    rank  id     score  video  year
    ────  ────  ──────  ─────  ────
       1  c 17   0.812  v3     2021
       2  c 4    0.640  v1     2020
       3  c 301  0.377  v9     2020
    """
    from intermodal.find.asking import ask
    from intermodal.find.index import ClipIndex
    from intermodal.find.loading import load_finder

    if (query is None) == (like is None):
        raise InputError(
            "a search has a query in words, or a clip with --like, however: both or none of them are there"
        )
    retriever = load_finder(model, "FusionRetriever")
    with ClipIndex.open(folder, token=os.environ.get("INTERMODAL_MILVUS_TOKEN", "")) as index:
        index.check(retriever.fingerprint, retriever.width)
        options: dict[str, Any] = {"where": conditions(index, where or []), "group": group}
        options["rerank"] = None if rerank else 0
        if like is None:
            words, (hits,) = str(query), ask(index, retriever, queries=[query], k=k, **options)
        else:
            words, hits = _like(index, retriever, Clips(like), row, name, k, options)
        n, holds = len(index), index.holds
    if json:
        found = [{"rank": i, "id": h.id, "score": h.score, "metadata": h.metadata} for i, h in enumerate(hits, 1)]
        told = {"model": str(model), "index": str(folder), "query": query, "like": None if like is None else words}
        console.show_json({**told, "holds": holds, "n": n, "hits": found})
        return
    console.show({"title": words, "subtitle": str(folder), "blocks": [_table(hits, n)]})


def conditions(index: ClipIndex, given: list[str]) -> dict[str, Any]:
    """Read KEY=VALUE pairs as a filter: values of one key are alternatives, and a value is of the kind of its key."""
    where: dict[str, Any] = {}
    for pair in given:
        at, sign = min(
            ((pair.find(s), s) for s in _SIGNS if s in pair), key=lambda f: (f[0], -len(f[1])), default=(0, "")
        )
        key, text = pair[:at], pair[at + len(sign) :]
        if not key:
            raise InputError(f'--where is KEY=VALUE, KEY>=VALUE or KEY<=VALUE, however: "{pair}"')
        value = _value(key, text, index.store.kinds([key]).get(key, "text"))
        held = where.get(key)
        if held is not None and isinstance(held, dict) != (sign != "="):
            raise InputError(f'--where gives a key values or a range, however: "{key}" has both')
        if sign == "=":
            where.setdefault(key, []).append(value)
        else:
            where.setdefault(key, {})["min" if sign == ">=" else "max"] = value
    return where


def _value(key: str, text: str, kind: str) -> Any:
    """A value as its key has them."""
    if kind == "text":
        return text
    if kind == "truth value":
        if text.lower() in ("true", "false"):
            return text.lower() == "true"
        raise InputError(f'"{key}" is true or false in this index, however: "{text}"')
    for read in (int, float):
        try:
            return read(text)
        except ValueError:
            continue
    raise InputError(f'"{key}" is a number in this index, however: "{text}"')


def _like(
    index: ClipIndex,
    retriever: Any,
    clips: Clips,
    row: int | None,
    name: str | None,
    k: int,
    options: dict[str, Any],
) -> tuple[str, list[Hit]]:
    """What fits one clip of a file; the clip itself is left out."""
    from intermodal.find.asking import ask, taken

    if (row is None) == (name is None):
        raise InputError("--like needs the clip that asks: one of --row and --id, however: both or none are there")
    ids = clips.ids(None) if name is not None or clips.has_ids else []
    at = row_of(ids, clips.count(), row, name, "clip")
    (hits,) = ask(index, retriever, clips=taken(clips.items(retriever), [at]), k=k + 1, **options)
    itself = ids[at] if ids else None
    others = [hit for hit in hits if not (index.holds == "clips" and hit.id == itself)]
    return f"Like {itself if itself is not None else f'row {at}'} of {clips.path}", others[:k]


def _table(hits: list[Hit], n: int) -> dict[str, Any]:
    if not hits:
        return {"kind": "text", "title": "Nothing was found", "text": f"None of {n} is asked for."}
    keys = list(dict.fromkeys(key for hit in hits for key in hit.metadata))
    rows = [
        [i, hit.id, f"{hit.score:.3f}", *(_cell(hit.metadata.get(key)) for key in keys[:COLUMNS])]
        for i, hit in enumerate(hits, 1)
    ]
    table = {
        "kind": "table",
        "title": f"The best {len(hits)} of {n}",
        "columns": ["rank", "id", "score", *keys[:COLUMNS]],
    }
    return {**table, "rows": rows, "align": "rlr" + "l" * len(keys[:COLUMNS])}


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    return str(value).lower() if isinstance(value, bool) else str(value)
