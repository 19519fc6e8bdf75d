"""The nearest vectors in memory: exact up to a size, a graph above it.

Shapes: N vectors, Q queries, D width.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from intermodal.errors import MissingDependencyError

EXACT_BELOW = 200_000
"""Vectors up to which all are looked at: no tuning, and nothing is missed."""
LINKS = 32
"""Neighbours of a vector in the graph."""
_WEIGHED = 100
"""Candidates weighed for each vector while the graph is built: at 40 a search misses three times as many."""
_NARROW = 0.05
"""Share of the graph that a filter leaves, below which the vectors left are looked at one by one."""


class Nearest:
    """Vectors by slot, with a search by inner product.

    New vectors lie in a flat table and are all looked at; `build` moves them into a graph (HNSW). A vector that is
    removed leaves the flat table; in the graph it is only marked, and still leads to its neighbours.

    Args:
        width: D.
        ef: how many candidates of the graph a search weighs: more finds more, and takes longer.

    Example:
        >>> near = Nearest(2)
        >>> near.add(np.array([4, 7]), np.array([[1, 0], [0, 1]], dtype=np.float32))
        >>> slots, scores = near.search(np.array([[0.6, 0.8]], dtype=np.float32), 1)
        >>> slots.tolist(), bool(abs(scores - 0.8) < 1e-6)
        ([[7]], True)
    """

    def __init__(self, width: int, *, ef: int = 200) -> None:
        self._faiss = faiss_library()
        self.width, self.ef = width, ef
        self._flat: Any = self._faiss.IndexFlatIP(width)
        self._flat_slots = np.zeros(0, dtype=np.int64)
        self._graph: Any = None
        self._graph_slots = np.zeros(0, dtype=np.int64)
        self._live = np.zeros(0, dtype=bool)

    def __len__(self) -> int:
        return len(self._flat_slots) + int(self._live.sum())

    @property
    def has_graph(self) -> bool:
        """Whether some vectors lie in a graph."""
        return self._graph is not None

    @property
    def n_flat(self) -> int:
        """Vectors outside the graph."""
        return len(self._flat_slots)

    @property
    def n_dead(self) -> int:
        """Vectors in the graph that were removed."""
        return int((~self._live).sum())

    def add(self, slots: np.ndarray, vectors: np.ndarray) -> None:
        """Add vectors (N, D) float32 at new slots (N,), all above those that are there."""
        self._flat.add(np.ascontiguousarray(vectors))
        self._flat_slots = np.concatenate([self._flat_slots, slots])

    def remove(self, slots: np.ndarray) -> np.ndarray:
        """Remove vectors; return those of the slots that the graph still leads through."""
        flat = np.flatnonzero(np.isin(self._flat_slots, slots))
        if len(flat):
            self._flat.remove_ids(flat)
            self._flat_slots = np.delete(self._flat_slots, flat)
        marked = np.isin(self._graph_slots, slots)
        self._live &= ~marked
        return self._graph_slots[marked]

    def in_graph(self, slots: np.ndarray) -> np.ndarray:
        """Return those of the slots that the graph holds."""
        return slots[np.isin(slots, self._graph_slots)]

    def vectors(self, slots: np.ndarray) -> np.ndarray:
        """Return the vectors at slots that are there, (N, D)."""
        found = np.empty((len(slots), self.width), dtype=np.float32)
        for held, table in ((self._flat_slots, self._flat), (self._graph_slots, self._storage())):
            if len(held):
                at = np.minimum(np.searchsorted(held, slots), len(held) - 1)
                here = held[at] == slots
                found[here] = _table(self._faiss, table)[at[here]]
        return found

    def search(
        self, queries: np.ndarray, k: int, wanted: np.ndarray | None = None, *, exact: bool = False
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the k nearest of each query.

        Args:
            queries: (Q, D) float32.
            k: how many.
            wanted: (highest slot + 1,) bool, the slots that count; None counts all.
            exact: look at every vector, those of the graph too.

        Returns:
            Slots and inner products, both (Q, at most k), best first; fewer only where fewer vectors count.
        """
        with self._threads(len(queries)):
            parts = [self._search_flat(queries, k, wanted)]
            if self._graph is not None:
                parts.append(self._search_graph(queries, k, wanted, exact))
        slots, scores = (np.concatenate(part, axis=1) for part in zip(*parts, strict=True))
        order = np.lexsort((slots, -scores), axis=1)[:, :k]
        return np.take_along_axis(slots, order, 1), np.take_along_axis(scores, order, 1)

    @contextmanager
    def _threads(self, n: int) -> Iterator[None]:
        """No more threads than queries: each query runs on one, and the others only wait for it."""
        before = self._faiss.omp_get_max_threads()
        self._faiss.omp_set_num_threads(max(1, min(n, before)))
        try:
            yield
        finally:
            self._faiss.omp_set_num_threads(before)

    def _search_flat(self, queries: np.ndarray, k: int, wanted: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
        here = None if wanted is None else wanted[self._flat_slots]
        return self._looked_at(self._flat, self._flat_slots, queries, k, here)

    def _search_graph(
        self, queries: np.ndarray, k: int, wanted: np.ndarray | None, exact: bool
    ) -> tuple[np.ndarray, np.ndarray]:
        here = self._live if wanted is None else self._live & wanted[self._graph_slots]
        n, k = int(here.sum()), min(k, int(here.sum()))
        if exact or n <= max(4 * k, _NARROW * len(here)):
            return self._looked_at(self._storage(), self._graph_slots, queries, k, here)
        bits = np.packbits(here, bitorder="little")
        chosen = None if n == len(here) else self._faiss.IDSelectorBitmap(bits)
        options = self._faiss.SearchParametersHNSW(sel=chosen, efSearch=max(self.ef, k))
        scores, at = self._graph.search(queries, k, params=options)
        slots = self._graph_slots[at]
        lost = (at < 0).any(axis=1)  # the graph led to fewer than k that count
        if lost.any():
            slots[lost], scores[lost] = self._looked_at(self._storage(), self._graph_slots, queries[lost], k, here)
        return slots, scores

    def _looked_at(
        self, table: Any, held: np.ndarray, queries: np.ndarray, k: int, here: np.ndarray | None
    ) -> tuple[np.ndarray, np.ndarray]:
        """All vectors of a table that count, by brute force."""
        here = np.ones(len(held), dtype=bool) if here is None else here
        n = int(here.sum())
        k = min(k, n)
        if k == 0:
            return np.zeros((len(queries), 0), dtype=np.int64), np.zeros((len(queries), 0), dtype=np.float32)
        options = None
        if n < len(held):
            bits = np.packbits(here, bitorder="little")
            options = self._faiss.SearchParameters(sel=self._faiss.IDSelectorBitmap(bits))
        scores, at = table.search(queries, k, params=options)
        return held[at], scores

    def build(self) -> None:
        """Put all vectors that are there into one new graph."""
        slots = np.sort(np.concatenate([self._flat_slots, self._graph_slots[self._live]]))
        vectors = self.vectors(slots)
        graph = self._faiss.IndexHNSWFlat(self.width, LINKS, self._faiss.METRIC_INNER_PRODUCT)
        graph.hnsw.efConstruction = _WEIGHED
        graph.add(vectors)
        self._graph, self._graph_slots, self._live = graph, slots, np.ones(len(slots), dtype=bool)
        self._flat, self._flat_slots = self._faiss.IndexFlatIP(self.width), np.zeros(0, dtype=np.int64)

    def write_graph(self, path: Path) -> None:
        """Write the graph without its vectors, beside its place, then move it there."""
        from safetensors.numpy import save_file

        links = self._faiss.serialize_index(self._graph, self._faiss.IO_FLAG_SKIP_STORAGE)
        beside = path.with_name(path.name + ".new")
        checked = {"digest": str(_checksum(links, self._graph_slots))}
        save_file({"links": links, "slots": self._graph_slots}, beside, metadata=checked)
        os.replace(beside, path)

    def read_graph(self, path: Path, slots: np.ndarray, vectors: np.ndarray, live: np.ndarray) -> bool:
        """Take a graph from a file, and those of the vectors (N, D) that it holds; return whether it is of any use.

        A graph that is damaged, or that holds a slot whose vector is not given, is left alone: without it, all is
        found too.
        """
        found = _graph_of(path)
        if found is None:
            return False
        links, held = found
        at = np.searchsorted(slots, held)
        if len(held) == 0 or at[-1] >= len(slots) or not np.array_equal(slots[at], held):
            return False
        graph = self._faiss.deserialize_index(links, self._faiss.IO_FLAG_SKIP_STORAGE)
        if graph.ntotal != len(held) or graph.d != self.width:
            return False
        storage = self._faiss.IndexFlatIP(self.width)
        storage.add(np.ascontiguousarray(vectors[at]))
        graph.storage, graph.own_fields = storage, True
        storage.this.disown()
        self._graph, self._graph_slots, self._live = graph, held, live[at].copy()
        return True

    def _storage(self) -> Any:
        return None if self._graph is None else self._faiss.downcast_index(self._graph.storage)


def faiss_library() -> Any:
    """Load faiss, or say how to install it."""
    try:
        import faiss
    except ImportError:
        raise MissingDependencyError('an index needs faiss; pip install "intermodal[find]"') from None
    return faiss


def _table(faiss: Any, flat: Any) -> np.ndarray:
    """The vectors of a flat index, (N, D), as they lie."""
    return np.asarray(faiss.rev_swig_ptr(flat.get_xb(), flat.ntotal * flat.d)).reshape(flat.ntotal, flat.d)


def _graph_of(path: Path) -> tuple[np.ndarray, np.ndarray] | None:
    """Links and slots of a graph that was written whole."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "numpy") as file:  # type: ignore[no-untyped-call]
            links, slots = file.get_tensor("links"), file.get_tensor("slots")
            wanted = (file.metadata() or {}).get("digest")
    except (OSError, SafetensorError):
        return None
    return (links, slots) if str(_checksum(links, slots)) == wanted else None


def _checksum(links: np.ndarray, slots: np.ndarray) -> int:
    from intermodal.find.journal import digest

    return digest(slots.tobytes() + links.tobytes())
