"""A retriever and an index together: fill one with clips or queries, and ask it from either side.

Shapes: Q queries, N clips, K candidates.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from intermodal.data.samples import Samples
from intermodal.errors import InputError
from intermodal.find.filters import Where
from intermodal.find.hits import Hit
from intermodal.find.index import ClipIndex
from intermodal.find.queries import NAME
from intermodal.find.store import check_ids, check_metadata, merge_kinds, refuse_known, refuse_unknown
from intermodal.learn.parameters import check_count

PIECE = 1000
"""Clips that are embedded and acknowledged at a time."""


def fill(
    index: ClipIndex,
    retriever: Any,
    items: Any,
    ids: Sequence[str],
    metadata: Sequence[Mapping[str, Any]] | None = None,
    *,
    update: bool = False,
    keep: bool = True,
    progress: Callable[[int, int, str], None] | None = None,
) -> None:
    """Embed clips, or queries where the index holds queries, and write them into an index.

    Args:
        index: open, made for this retriever.
        retriever: fitted.
        items: N clips or queries, as the retriever takes them.
        ids: N different texts.
        metadata: what to say of each.
        update: replace what is there, instead of adding what is new.
        keep: keep them beside their vectors too, so that a search can be reranked; ignored on a server.
        progress: called with how many are written, how many there are, and words.

    Raises:
        InputError: the index is that of another model, or as `ClipIndex.add`; then nothing is written.
        StoreUnreachableError: a server does not answer; what was written before stays.
    """
    index.check(retriever.fingerprint, retriever.width)
    names, n = check_ids(ids), _count(items)
    if len(names) != n:
        raise InputError(f"there is one id for each, however: {len(names)} ids for {n} of them")
    said = check_metadata(names, metadata)
    merge_kinds(index.store.kinds(list({key for entry in said for key in entry})), said, names)
    known = set(index.known(names))
    if update:
        refuse_unknown([name for name in names if name not in known], "update")
    else:
        refuse_known([name for name in names if name in known])
    write = index.update if update else index.add
    for rows in _pieces(n):
        piece = taken(items, rows)
        vectors = retriever.embed_queries(piece) if index.holds == "queries" else retriever.embed_clips(piece)
        kept = _named(piece, index) if keep and index.keeps else None
        write([names[row] for row in rows], vectors, [said[row] for row in rows], clips=kept)
        if progress is not None:
            progress(int(rows[-1]) + 1, n, "")


def ask(
    index: ClipIndex,
    retriever: Any,
    *,
    queries: Any = None,
    clips: Any = None,
    k: int = 10,
    where: Where | None = None,
    group: str | None = None,
    rerank: int | None = None,
) -> list[list[Hit]]:
    """Find what fits queries, or clips.

    Where what asks is not of the kind that the index holds, and the retriever kept its reranker for that direction, the
    best of the index are scored anew by it.

    Args:
        index: open, made for this retriever.
        retriever: fitted.
        queries: what is asked; or
        clips: clips that ask: for clips that are like them, or for the texts that say them.
        k: how many for each.
        where: as in `ClipIndex.search`.
        group: as in `ClipIndex.search`.
        rerank: candidates to score anew, at least k; 0 for none; the retriever's own `top_k` by default.

    Returns:
        For each query or clip at most k hits, best first.

    Raises:
        InputError: the index is that of another model, both or none of queries and clips are given, or as
            `ClipIndex.search`.
    """
    index.check(retriever.fingerprint, retriever.width)
    if (queries is None) == (clips is None):
        raise InputError("either queries ask or clips, however: both or none of them are given")
    k, side = check_count("k", k), "queries" if clips is None else "clips"
    if rerank is not None and (isinstance(rerank, bool) or rerank < 0):
        raise InputError(f"rerank is a number of candidates, 0 for none, however: {rerank=}")
    asking = queries if clips is None else clips
    vectors = retriever.embed_queries(asking) if side == "queries" else retriever.embed_clips(asking)
    most = retriever.top_k if rerank is None else rerank
    if not most or side == index.holds or not index.keeps or not retriever.rerank_kept_[index.holds]["kept"]:
        return index.search(vectors, k, where=where, group=group)
    found = index.search(vectors, max(k, most), where=where, group=group)
    return [hits[:k] for hits in _reranked(index, retriever, asking, found)]


def _reranked(index: ClipIndex, retriever: Any, asking: Any, found: list[list[Hit]]) -> list[list[Hit]]:
    """The hits in the order of the reranker; as they came where nothing was kept of some."""
    place = {name: row for row, name in enumerate(dict.fromkeys(hit.id for hits in found for hit in hits))}
    candidates = index.kept(list(place))
    if candidates is None:
        return found
    rows = np.full((len(found), max(map(len, found))), -1)
    scores = np.zeros(rows.shape, dtype=np.float32)
    for at, hits in enumerate(found):
        rows[at, : len(hits)] = [place[hit.id] for hit in hits]
        scores[at, : len(hits)] = [hit.score for hit in hits]
    sides = (asking, candidates) if index.holds == "clips" else (candidates, asking)
    better = retriever.rerank(*sides, rows, scores, side=index.holds)
    ranked = []
    for hits, anew in zip(found, better, strict=True):
        order = np.argsort(-anew[: len(hits)], kind="stable")
        ranked.append([Hit(hits[i].id, float(anew[i]), hits[i].metadata) for i in order])
    return ranked


def _count(items: Any) -> int:
    return len(next(iter(items.values()))) if isinstance(items, Mapping) else len(items)


def _pieces(n: int) -> Iterator[np.ndarray]:
    yield from (np.arange(at, min(at + PIECE, n)) for at in range(0, n, PIECE))


def taken(items: Any, rows: Sequence[int] | np.ndarray) -> Any:
    """Return some of the items, in the form they came in.

    Example:
        >>> taken({"text": ["a", "b", "c"]}, [2, 0])
        {'text': ['c', 'a']}
    """
    if isinstance(items, Mapping):
        return {name: taken(of, rows) for name, of in items.items()}
    if isinstance(items, Samples | np.ndarray):
        return items[np.asarray(rows)]
    if hasattr(items, "iloc"):
        return items.iloc[rows]
    return [items[row] for row in rows]


def _named(items: Any, index: ClipIndex) -> Any:
    """Queries without a name under the name that a retriever gives them."""
    if index.holds == "queries" and not isinstance(items, Mapping | Samples):
        return {NAME: items}
    return items
