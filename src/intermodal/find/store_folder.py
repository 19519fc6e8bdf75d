"""Vectors in a folder: written through the journal, searched in memory.

Shapes: N clips, Q queries, D width.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from intermodal.errors import InputError
from intermodal.find.columns import Columns
from intermodal.find.filters import Where, check_keys, conditions
from intermodal.find.journal import Head, Journal, Record, digest
from intermodal.find.nearest import EXACT_BELOW, Nearest
from intermodal.find.store import (
    Clip,
    Found,
    as_text,
    check_entries,
    check_ids,
    check_vectors,
    merge_kinds,
    refuse_known,
    refuse_unknown,
)
from intermodal.learn.parameters import check_count

GRAPH = "graph.safetensors"
_BURIED = 0.3
"""Share of the graph that may be dead before it is built anew."""


class FolderStore:
    """A `VectorStore` in a folder, for one writer and any number of readers.

    What `add`, `update` or `delete` was given is synced to disk before they return. Reading needs no lock: a reader
    answers from the moment it was opened, or refreshed.

    Args:
        folder: where `FolderStore.create` made it.

    Raises:
        InputError: there is no index, or it is damaged.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     store = FolderStore.create(folder, {"width": 2})
        ...     store.add(["a", "b"], [[1, 0], [0, 1]], [{"year": 2020}, {"year": 2021}])
        ...     found = store.search([[0.6, 0.8]], 2, {"year": 2020})
        ...     store.close()
        >>> found.ids
        [['a']]
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self._guard = threading.RLock()
        self._journal = Journal(self.folder)
        try:
            self._load()
        except BaseException:
            self._journal.close()
            raise

    @classmethod
    def create(cls, folder: str | Path, about: Mapping[str, Any]) -> FolderStore:
        """Make an empty store in a folder that is there.

        Args:
            folder: an empty folder.
            about: what to write into its head; `width` is D, `exact_below` the number of vectors from which a graph is
                built, `ef` how many of its candidates a search weighs.
        """
        known = {"kinds": {}, "exact_below": EXACT_BELOW, "ef": 200}
        Journal.create(Path(folder), {**known, **about})
        return cls(folder)

    def _load(self) -> None:
        with self._journal.reading() as head:
            pieces = list(self._journal.records(head))
            dead = self._journal.dead()
        records = [record for piece in pieces for record in piece]
        width = int(head.about["width"])
        odd = next((r for r in records if len(r.vector) != 4 * width), None)
        if odd is not None:
            raise InputError(f'the vectors of an index are of its width, {width}, however: that of "{odd.id}" is not')
        self._near = Nearest(width, ef=int(head.about["ef"]))
        slots = np.array([r.slot for r in records], dtype=np.int64)
        vectors = _stacked([r.vector for r in records], width)
        self._place(slots, vectors, [d for d in dead if len(d[1]) == 4 * width])
        self._take(head, records)

    def _place(self, slots: np.ndarray, vectors: np.ndarray, dead: list[tuple[int, bytes]]) -> None:
        """Put vectors where they belong: into the graph that is there, or into the flat table."""
        if (self.folder / GRAPH).is_file():
            buried = np.array([slot for slot, _ in dead], dtype=np.int64)
            every = np.concatenate([slots, buried])
            order = np.argsort(every)
            both = np.concatenate([vectors, _stacked([vector for _, vector in dead], self.width)])[order]
            self._near.read_graph(self.folder / GRAPH, every[order], both, (order < len(slots)))
        new = ~np.isin(slots, self._near.in_graph(slots))
        self._near.add(slots[new], vectors[new])

    def _take(self, head: Head, records: Sequence[Record]) -> None:
        """Remember what the file says, without its vectors."""
        self._head = head
        self._slot = {r.id: r.slot for r in records}
        self._said = {r.slot: (r.id, r.metadata) for r in records}
        self._columns: tuple[np.ndarray, Columns] | None = None

    @property
    def width(self) -> int:
        """D."""
        return self._near.width

    @property
    def about(self) -> dict[str, Any]:
        """What the head says."""
        return self._head.about

    @property
    def has_graph(self) -> bool:
        """Whether some vectors lie in a graph, and a search may miss some of the nearest."""
        return self._near.has_graph

    def set_ef(self, ef: int) -> None:
        """Set how many candidates of the graph a search weighs, for this process alone."""
        self._near.ef = ef

    def kinds(self, keys: Sequence[str]) -> dict[str, str]:
        """Return all keys of the metadata and their kinds; see `VectorStore`."""
        return dict(self.about["kinds"])

    def count(self) -> int:
        """How many clips there are."""
        return len(self._slot)

    def ids(self) -> list[str]:
        """The ids of all clips, in the order in which they came."""
        return list(self._slot)

    def known(self, ids: Sequence[str]) -> list[str]:
        """Return those of the ids that are there."""
        return [i for i in ids if i in self._slot]

    def get(self, ids: Sequence[str]) -> list[Clip]:
        """Return clips by id; see `VectorStore`."""
        slots = self._slots(check_ids(ids), "get")
        vectors = self._near.vectors(slots)
        return [
            Clip(i, vector, json.loads(self._said[slot][1]))
            for i, slot, vector in zip(ids, slots.tolist(), vectors, strict=True)
        ]

    def kept(self, ids: Sequence[str]) -> list[bytes]:
        """What was kept of clips for a reranker; empty where nothing was."""
        return self._journal.kept(self._slots(check_ids(ids), "kept").tolist())

    def search(self, vectors: Any, k: int, where: Where | None = None, *, exact: bool = False) -> Found:
        """Return the nearest clips of each query; see `VectorStore`.

        Args:
            vectors: (Q, D).
            k: how many.
            where: a filter on the metadata.
            exact: look at every vector, also where there is a graph.
        """
        k, queries = check_count("k", k), check_vectors(vectors, self.width)
        with self._guard:
            slots, scores = self._near.search(queries, k, self._wanted(where), exact=exact)
            said = [[self._said[slot] for slot in row] for row in slots.tolist()]
        ids = [[name for name, _ in row] for row in said]
        # one reading of many texts takes a third of the time of many readings
        return Found(ids, list(scores), [json.loads(f"[{','.join(text for _, text in row)}]") for row in said])

    def _wanted(self, where: Where | None) -> np.ndarray | None:
        asked = conditions(where)
        if not asked:
            return None
        check_keys(asked, self.kinds([]))
        if self._columns is None:
            slots = np.fromiter(self._said, dtype=np.int64, count=len(self._said))
            self._columns = slots, Columns([text for _, text in self._said.values()])
        slots, columns = self._columns
        wanted = np.zeros(self._head.next_slot, dtype=bool)
        wanted[slots] = columns.where(asked)
        return wanted

    def add(
        self,
        ids: Sequence[str],
        vectors: Any,
        metadata: Sequence[Mapping[str, Any]] | None = None,
        *,
        kept: Sequence[bytes] | None = None,
    ) -> None:
        """Add clips under new ids; see `VectorStore`.

        Args:
            ids: N texts.
            vectors: (N, D).
            metadata: what to say of each.
            kept: what to keep of each for a reranker.
        """
        self._write(ids, vectors, metadata, kept, is_new=True)

    def update(
        self,
        ids: Sequence[str],
        vectors: Any,
        metadata: Sequence[Mapping[str, Any]] | None = None,
        *,
        kept: Sequence[bytes] | None = None,
    ) -> None:
        """Replace clips, their metadata and what was kept of them; see `VectorStore`."""
        self._write(ids, vectors, metadata, kept, is_new=False)

    def _write(self, ids: Any, vectors: Any, metadata: Any, kept: Sequence[bytes] | None, *, is_new: bool) -> None:
        entries = check_entries(ids, vectors, metadata, self.width)
        with self._guard:
            self._begin()
            if is_new:
                refuse_known(self.known(entries.ids))
            old = np.zeros(0, dtype=np.int64) if is_new else self._slots(entries.ids, "update")
            if not entries.ids:
                return
            kinds = merge_kinds(self.about["kinds"], entries.metadata, entries.ids)
            slots = np.arange(self._head.next_slot, self._head.next_slot + len(entries.ids))
            checks = [None] * len(slots) if kept is None else [digest(sample) for sample in kept]
            rows = zip(slots.tolist(), entries.ids, entries.metadata, entries.vectors, checks, strict=True)
            records = [Record(s, i, as_text(m), v.tobytes(), check) for s, i, m, v, check in rows]
            head = self._head._replace(about={**self.about, "kinds": kinds})
            head = self._journal.write(
                head, records, old.tolist(), samples=kept, bury=self._near.in_graph(old).tolist()
            )
            self._near.remove(old)
            self._near.add(slots, entries.vectors)
            self._follow(head, old, records)

    def delete(self, ids: Sequence[str]) -> None:
        """Delete clips; see `VectorStore`. Where one is unknown, none is deleted."""
        names = check_ids(ids)
        with self._guard:
            self._begin()
            slots = self._slots(names, "delete")
            if not names:
                return
            head = self._journal.write(self._head, [], slots.tolist(), bury=self._near.in_graph(slots).tolist())
            self._near.remove(slots)
            self._follow(head, slots, [])

    def _begin(self) -> None:
        """Become the writer, and see what the one before wrote."""
        self._journal.lock()
        self.refresh()

    def refresh(self) -> None:
        """See what others wrote since this was opened."""
        with self._guard:
            if self._journal.head().writes != self._head.writes:
                self._load()

    def _follow(self, head: Head, gone: np.ndarray, records: Sequence[Record]) -> None:
        """Remember what was just written; build a graph where it is time for one."""
        for slot in gone.tolist():
            name, _ = self._said.pop(slot)
            del self._slot[name]
        self._slot |= {r.id: r.slot for r in records}
        self._said |= {r.slot: (r.id, r.metadata) for r in records}
        self._head, self._columns = head, None
        dead_share = self._near.n_dead / max(1, len(self._near))
        if self._near.n_flat > self.about["exact_below"] or dead_share > _BURIED:
            self._build()

    def _build(self) -> None:
        self._near.build()
        self._near.write_graph(self.folder / GRAPH)

    def set(self, **about: Any) -> None:
        """Write something into the head."""
        with self._guard:
            self._begin()
            head = self._head._replace(about={**self.about, **about})
            self._head = self._journal.write(head, [], [])
            self._near.ef = int(self.about["ef"])

    def compact(self) -> None:
        """Give back the room of deleted clips, and forget their vectors."""
        with self._guard:
            self._begin()
            if self._near.n_dead:
                self._build()
            self._journal.compact()

    def close(self) -> None:
        """Let go of the files."""
        self._journal.close()

    def _slots(self, ids: Sequence[str], doing: str) -> np.ndarray:
        refuse_unknown([i for i in ids if i not in self._slot], doing)
        return np.array([self._slot[i] for i in ids], dtype=np.int64)


def _stacked(vectors: Sequence[bytes], width: int) -> np.ndarray:
    return np.frombuffer(b"".join(vectors), dtype=np.float32).reshape(len(vectors), width)
