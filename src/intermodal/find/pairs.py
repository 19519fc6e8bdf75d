"""Who belongs to whom in training, and what is held out of it.

Shapes: Q queries, N clips.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from intermodal.errors import DataError, ShapeError
from intermodal.find.relevance import Relevance
from intermodal.find.sides import Parts, texts_alone
from intermodal.learn.holding import hold_out

MOST_HELD = 2000
"""Clips that are held out, at most: a look at them after each pass costs the square of their number."""


@dataclass(frozen=True)
class Pairs:
    """What is right, and the rows to learn from and to stop by.

    Attributes:
        relevance: which clips answer which queries.
        clips: (Q,) the clip of each query, or None where one is drawn among the right ones.
        learn_queries, learn_clips: rows to learn from.
        held_queries, held_clips: rows held out, empty where there are too few.
    """

    relevance: Relevance
    clips: np.ndarray | None
    learn_queries: np.ndarray
    learn_clips: np.ndarray
    held_queries: np.ndarray
    held_clips: np.ndarray

    @classmethod
    def read(
        cls, X: Parts, queries: Parts, clips: Any, relevant: Any, groups: Any, *, share: float, seed: int
    ) -> Pairs:
        """Check the pairs, and hold out a share of the clips with the queries that belong to them."""
        relevance, clips = right_pairs(X, queries, clips, relevant)
        n_queries, n_clips = len(relevance.query_kind), len(relevance.clip_kind)
        split = None if X.samples is None else X.samples.split
        groups = X.samples.groups if groups is None and X.samples is not None else groups
        if groups is not None and len(groups) != n_clips:
            raise DataError(f"groups name one group for each clip, however: {len(groups)=}, clips={n_clips}")
        labels = relevance.clip_kind if relevance.classes else None
        learn, held = _cut(n_clips, split, labels, None if groups is None else np.asarray(groups), share, seed)
        if clips is not None:
            asks = [np.flatnonzero(np.isin(clips, part)) for part in (learn, held)]
        else:
            kinds = relevance.query_kind if relevance.classes else None
            away = min(share, MOST_HELD / n_queries) if len(held) else 0.0
            asks = list(hold_out(n_queries, share=away, seed=seed + 1, labels=kinds))
        asks = [rows[relevance.answered(rows, part)] for rows, part in zip(asks, (learn, held), strict=True)]
        if len(asks[0]) < 2:
            raise DataError(f"there are two queries to learn from at least, however: {len(asks[0])}")
        if not len(asks[1]):
            held = held[:0]
        return cls(relevance, clips, asks[0], learn, asks[1], held)


def right_pairs(X: Parts, queries: Parts, clips: Any, relevant: Any) -> tuple[Relevance, np.ndarray | None]:
    """Read what is right from whatever says it.

    Raises:
        DataError: counts that differ, or a clip that is not there.
        ShapeError: classes or a matrix of another size.
        InputError: classes or a matrix of another kind.
    """
    n_queries, n_clips = len(queries), len(X)
    if relevant is None and clips is None:
        if n_queries != n_clips:
            raise DataError(
                f"each clip has one query, in order, unless clips or relevant says more, however: {n_clips} clips and "
                f"{n_queries} queries"
            )
        clips = np.arange(n_clips)
    if clips is not None:
        clips = np.asarray(clips)
        if clips.shape != (n_queries,) or clips.dtype.kind not in "iu":
            raise ShapeError(f"clips are rows, one a query, ({n_queries},), however: {clips.shape=}, {clips.dtype=}")
        outside = (clips < 0) | (clips >= n_clips)
        if outside.any():
            raise DataError(
                f"a clip is a row from 0 to {n_clips - 1}, however: query {int(np.argmax(outside))} names "
                f"{clips[outside][0]}"
            )
    if relevant is None:
        return Relevance.of_pairs(clips, n_clips, texts_alone(queries)), clips
    relevance = Relevance.of(relevant, n_queries, n_clips)
    if clips is not None and not relevance.all_right(np.arange(n_queries), clips):
        raise DataError("a query's own clip is right for it, however: relevant says otherwise")
    return relevance, clips


def _cut(
    n: int, split: np.ndarray | None, labels: np.ndarray | None, groups: np.ndarray | None, share: float, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Clips to learn from and clips held out; those kept for the test are in neither."""
    own = np.arange(n) if split is None or (split == "test").all() else np.flatnonzero(split != "test")
    if split is not None and (split[own] == "valid").any():
        valid = split[own] == "valid"
        return own[~valid], own[valid]
    learn, held = hold_out(
        len(own),
        share=min(share, MOST_HELD / len(own)),
        seed=seed,
        labels=None if labels is None else labels[own],
        groups=None if groups is None else groups[own],
    )
    return own[learn], own[held]
