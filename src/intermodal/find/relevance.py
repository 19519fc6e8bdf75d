"""Which clips answer which queries, asked for a few rows at a time: the whole (Q, N) need never be built."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.sparse import csr_matrix

from intermodal.errors import DataError, InputError, ShapeError


class Relevance:
    """What is right, by links: each query has a kind, each clip too, and kinds are linked.

    Args:
        links: (kinds of queries, kinds of clips), sparse, positive where a pair is right.
        query_kind: (Q,) the row of each query in `links`.
        clip_kind: (N,) the column of each clip.
        classes: whether kinds are classes, to hold out by in proportion.

    Example:
        >>> right = Relevance.of_pairs(np.array([0, 1, 2]), 3, ["a one", "a two", "a one"])
        >>> right.block(np.array([0]), np.array([0, 1, 2])).tolist()
        [[True, False, True]]
    """

    def __init__(self, links: Any, query_kind: np.ndarray, clip_kind: np.ndarray, *, classes: bool = False) -> None:
        self.links = csr_matrix(links)
        self.query_kind, self.clip_kind, self.classes = query_kind, clip_kind, classes

    @classmethod
    def of_pairs(cls, clips: np.ndarray, n_clips: int, texts: Sequence[str] | None = None) -> Relevance:
        """Each query has one clip; queries of the same text share theirs."""
        kinds = np.arange(len(clips)) if texts is None else np.unique(np.array(texts), return_inverse=True)[1]
        links = csr_matrix((np.ones(len(clips)), (kinds, clips)), shape=(int(kinds.max()) + 1, n_clips))
        return cls(links, kinds, np.arange(n_clips))

    @classmethod
    def of(cls, relevant: Any, n_queries: int, n_clips: int) -> Relevance:
        """Read classes of queries and clips, or a bool matrix.

        Raises:
            InputError: neither of both.
            ShapeError: sizes that do not fit.
            DataError: nothing is right.
        """
        if isinstance(relevant, tuple | list) and len(relevant) == 2 and np.ndim(relevant[0]) == 1:
            return cls._of_classes(np.asarray(relevant[0]), np.asarray(relevant[1]), n_queries, n_clips)
        matrix = np.asarray(relevant)
        if matrix.dtype != bool:
            raise InputError(
                "relevant is a pair of arrays, the classes of queries and clips, or bool (queries, clips), "
                f"however: {matrix.dtype=}, {matrix.shape=}"
            )
        if matrix.shape != (n_queries, n_clips):
            raise ShapeError(f"relevant is bool ({n_queries}, {n_clips}), however: {matrix.shape=}")
        if not matrix.any():
            raise DataError("some clip is right for some query, however: relevant is False everywhere")
        return cls(matrix, np.arange(n_queries), np.arange(n_clips))

    @classmethod
    def _of_classes(cls, queries: np.ndarray, clips: np.ndarray, n_queries: int, n_clips: int) -> Relevance:
        if queries.shape != (n_queries,) or clips.shape != (n_clips,):
            raise ShapeError(
                f"classes are one a query and one a clip, ({n_queries},) and ({n_clips},), "
                f"however: {queries.shape} and {clips.shape}"
            )
        kinds, numbers = np.unique(np.concatenate([queries, clips]), return_inverse=True)
        asked, answered = numbers[:n_queries], numbers[n_queries:]
        if not np.isin(asked, answered).any():
            raise DataError("queries and clips share a class, however: they have none in common")
        return cls(csr_matrix(np.eye(len(kinds))), asked, answered, classes=True)

    def block(self, queries: np.ndarray, clips: np.ndarray) -> np.ndarray:
        """Which of these clips answer which of these queries, bool."""
        picked = self.links[self.query_kind[queries]][:, self.clip_kind[clips]]
        return np.asarray(picked.toarray() > 0)

    def all_right(self, queries: np.ndarray, clips: np.ndarray) -> bool:
        """Whether each of these clips answers the query beside it."""
        right = self.links[self.query_kind[queries], self.clip_kind[clips]]
        return bool((np.asarray(right) > 0).all())

    def answered(self, queries: np.ndarray, clips: np.ndarray) -> np.ndarray:
        """Which of these queries have a right answer among these clips, bool."""
        kinds = np.zeros(self.links.shape[1])
        kinds[self.clip_kind[clips]] = 1
        return np.asarray((self.links @ kinds)[self.query_kind[queries]] > 0)

    def partners(self, queries: np.ndarray, clips: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """One right clip for each query, drawn among `clips`; -1 where there is none."""
        among: dict[int, list[int]] = {}
        for clip in clips:
            among.setdefault(int(self.clip_kind[clip]), []).append(int(clip))
        drawn = np.full(len(queries), -1)
        for i, kind in enumerate(self.query_kind[queries]):
            linked = self.links.indices[self.links.indptr[kind] : self.links.indptr[kind + 1]]
            known = [among[k] for k in linked if k in among]
            sizes = np.array([len(k) for k in known])
            if len(known):
                at = int(rng.integers(sizes.sum()))
                owner = int(np.searchsorted(np.cumsum(sizes), at, side="right"))
                drawn[i] = known[owner][at - int(sizes[:owner].sum())]
        return drawn
