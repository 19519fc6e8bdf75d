"""An index of clips: add, delete, update, filter, find; on disk, or on a server.

Shapes: N clips, Q queries, D width.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, TypeVar

import numpy as np

from intermodal.errors import InputError, did_you_mean
from intermodal.find.filters import Where
from intermodal.find.hits import Hit, best_of_groups, hits_of
from intermodal.find.journal import FILE
from intermodal.find.kept import pack, unpack
from intermodal.find.nearest import EXACT_BELOW
from intermodal.find.store import Clip, VectorStore, check_vectors
from intermodal.find.store_folder import FolderStore
from intermodal.find.store_milvus import MilvusStore
from intermodal.learn.parameters import check_count

FORMAT = 1
SERVER = "server.json"
"""In the folder of an index whose vectors are on a server: where that is."""
_EFS = (50, 100, 200, 400, 800, 1600)
_Own = TypeVar("_Own", bound="ClipIndex")


class ClipIndex:
    """Clips by id, found by their vectors.

    The vectors are those of one model: its fingerprint and their width are written into the index, and another model
    is refused. In a folder, up to `exact_below` clips are all looked at; above, a graph leads to the nearest, and
    `tune` sets how far it is followed. What a call wrote is on disk when it returns, whatever happens after.

    Args:
        folder: where `ClipIndex.create` made it.
        token: for a server that asks for one.

    Raises:
        InputError: no index, a damaged one, or one of another version.

    Example:
        >>> with tempfile.TemporaryDirectory() as at:
        ...     index = ClipIndex.create(f"{at}/clips.index", fingerprint="m", width=2)
        ...     index.add(["dog", "cat"], [[1, 0], [0, 1]], [{"video": "a"}, {"video": "b"}])
        ...     hits = index.search([[0.6, 0.8]], k=1)
        ...     index.close()
        >>> hits
        [[Hit(id='cat', score=0.800..., metadata={'video': 'b'})]]

    Relation: `index_clips` and `search_clips` make the vectors with a `FusionRetriever` first.
    """

    def __init__(self, folder: str | Path, *, token: str = "") -> None:
        self.folder = Path(folder)
        self.store = _opened(self.folder, token)
        said = self.about.get("format")
        if said != FORMAT:
            self.store.close()
            raise InputError(f'this version reads indexes of format {FORMAT}, however: "{folder}" has {said}')

    @classmethod
    def create(
        cls: type[_Own],
        folder: str | Path,
        *,
        fingerprint: str,
        width: int,
        server: str | None = None,
        collection: str | None = None,
        token: str = "",
        exact_below: int = EXACT_BELOW,
        holds: Literal["clips", "queries"] = "clips",
    ) -> _Own:
        """Make an empty index.

        Args:
            folder: a new one; for an index on a server it holds the server's address alone.
            fingerprint: of the model whose vectors come in.
            width: D.
            server: address of a Milvus server, `http://127.0.0.1:19530`; None keeps all in the folder.
            collection: what the server calls the index; a name is made up by default.
            token: for a server that asks for one.
            exact_below: clips up to which all are looked at; above, a graph is built.
            holds: which side of the model its vectors are of: clips, or the queries that clips ask for.

        Returns:
            The index, open.

        Raises:
            InputError: the folder exists, or a size is not above zero.
            StoreUnreachableError: the server does not answer.
        """
        folder = Path(folder)
        for name, value in (("width", width), ("exact_below", exact_below)):
            check_count(name, value)
        if folder.exists():
            raise InputError(f'an index is made in a new folder, however: "{folder}" exists')
        about = {"format": FORMAT, "fingerprint": fingerprint, "width": int(width), "holds": holds}
        folder.parent.mkdir(parents=True, exist_ok=True)
        beside = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
        try:
            beside.chmod(0o755)
            if server is None:
                FolderStore.create(beside, {**about, "exact_below": int(exact_below)}).close()
            else:
                collection = collection or f"intermodal_{secrets.token_hex(8)}"
                MilvusStore.create(server, collection, about, token=token).close()
                address = {"format": FORMAT, "uri": server, "collection": collection}
                (beside / SERVER).write_text(json.dumps(address, indent=2) + "\n", encoding="utf-8")
            os.rename(beside, folder)
        except BaseException:
            shutil.rmtree(beside, ignore_errors=True)
            raise
        return cls(folder, token=token)

    @classmethod
    def open(cls: type[_Own], folder: str | Path, *, token: str = "") -> _Own:
        """Open an index that is there; the same as `ClipIndex(folder)`."""
        return cls(folder, token=token)

    @property
    def about(self) -> dict[str, Any]:
        """What the index says of itself: `format`, `fingerprint`, `width` and more."""
        return self.store.about

    @property
    def width(self) -> int:
        """D."""
        return self.store.width

    @property
    def fingerprint(self) -> str:
        """Of the model whose vectors these are."""
        return str(self.about["fingerprint"])

    @property
    def holds(self) -> str:
        """Which side of the model these are: "clips" or "queries"."""
        return str(self.about["holds"])

    @property
    def keeps(self) -> bool:
        """Whether clips can be kept beside their vectors, for a reranker."""
        return isinstance(self.store, FolderStore)

    def __len__(self) -> int:
        return self.store.count()

    def check(self, fingerprint: str, width: int) -> None:
        """Refuse another model.

        Raises:
            InputError: the vectors are those of another model, or of another width.
        """
        if width != self.width:
            raise InputError(
                f"a model finds in an index of its own width, however: the model makes vectors of {width}, "
                f'"{self.folder}" holds vectors of {self.width}'
            )
        if fingerprint != self.fingerprint:
            raise InputError(
                f'a model finds in an index of its own vectors, however: "{self.folder}" was made with another model '
                f"({self.fingerprint[:12]}, this one is {fingerprint[:12]}); index the clips again with this one"
            )

    def add(
        self,
        ids: Sequence[str],
        vectors: Any,
        metadata: Sequence[Mapping[str, Any]] | None = None,
        *,
        clips: Any = None,
    ) -> None:
        """Add clips under new ids: all of them, or, where one is refused, none.

        Args:
            ids: N different texts.
            vectors: (N, D).
            metadata: N mappings key -> text, number, truth value or None. A key is of one kind in all clips.
            clips: what to keep of them for a reranker: samples, or a mapping of modalities.

        Raises:
            InputError: an id is there or given twice, a vector is not finite or of another width, metadata of another
                kind.
            StoreUnreachableError: a server does not answer; its `unacknowledged` names what was not confirmed.
        """
        self.store.add(ids, vectors, metadata, **self._kept(clips, ids))

    def update(
        self,
        ids: Sequence[str],
        vectors: Any,
        metadata: Sequence[Mapping[str, Any]] | None = None,
        *,
        clips: Any = None,
    ) -> None:
        """Replace clips that are there, with all that was said and kept of them; as `add` otherwise."""
        self.store.update(ids, vectors, metadata, **self._kept(clips, ids))

    def delete(self, ids: Sequence[str]) -> None:
        """Delete clips: all of them, or, where one is unknown, none.

        Raises:
            InputError: an id is not there.
        """
        self.store.delete(ids)

    def get(self, ids: Sequence[str]) -> list[Clip]:
        """Return clips by id, in the order of the ids.

        Raises:
            InputError: an id is not there.
        """
        return self.store.get(ids)

    def known(self, ids: Sequence[str]) -> list[str]:
        """Return those of the ids that are there."""
        return self.store.known(ids)

    def kept(self, ids: Sequence[str]) -> dict[str, Any] | None:
        """What was kept of clips, as a retriever takes it; None where of some nothing was."""
        if not isinstance(self.store, FolderStore):
            return None
        samples = self.store.kept(ids)
        return unpack(samples) if samples and all(samples) else None

    def search(
        self, vectors: Any, k: int = 10, *, where: Where | None = None, group: str | None = None
    ) -> list[list[Hit]]:
        """Find the clips of the largest inner product.

        Args:
            vectors: (Q, D).
            k: how many for each query.
            where: what the metadata must be: `{"year": 2020, "tag": ["a", "b"], "length": {"min": 3}}`.
            group: a key of the metadata: of the clips that share its value, say those cut from one video, the best
                alone counts. A clip without the key stands for itself.

        Returns:
            For each query at most k hits, best first; fewer only where fewer clips match.

        Raises:
            InputError: k is below 1, vectors of another width or not finite, a key that no clip has.
        """
        k, queries = check_count("k", k), check_vectors(vectors, self.width)
        if group is None:
            return hits_of(self.store.search(queries, k, where))
        self._check_group(group)
        found: list[list[Hit]] = [[] for _ in queries]
        left, most, n = np.arange(len(queries)), 4 * k, len(self)
        while len(left):
            more = hits_of(self.store.search(queries[left], min(most, n) or 1, where))
            for row, hits in zip(left.tolist(), more, strict=True):
                found[row] = best_of_groups(hits, group)[:k]
            is_short = [len(found[row]) < k and len(hits) >= most for row, hits in zip(left, more, strict=True)]
            left, most = left[np.array(is_short)] if most < n else left[:0], most * 4
        return found

    def tune(self, queries: Any, *, k: int = 10, recall: float = 0.95) -> dict[int, float]:
        """Set how far the graph is followed, by queries like those that will come.

        Vectors of texts lie elsewhere than those of clips: tune on the former, or the graph seems better than it is.

        Args:
            queries: (Q, D) vectors of real queries.
            k: how many clips a search will be asked for.
            recall: share of the true k nearest that must be found.

        Returns:
            Candidates weighed -> share found, up to the number that was chosen. Empty without a graph.
        """
        if not isinstance(self.store, FolderStore) or not self.store.has_graph:
            return {}
        truth = self.store.search(queries, k, exact=True)
        shares: dict[int, float] = {}
        for ef in [ef for ef in _EFS if ef > k] or [2 * k]:
            self.store.set_ef(ef)
            found = self.store.search(queries, k)
            pairs = zip(found.ids, truth.ids, strict=True)
            shares[ef] = float(np.mean([len(set(f) & set(t)) / len(t) for f, t in pairs]))
            if shares[ef] >= recall:
                break
        self.store.set(ef=ef)
        return shares

    def compact(self) -> None:
        """Give back the room of what was deleted, in a folder; a server does so by itself."""
        if isinstance(self.store, FolderStore):
            self.store.compact()

    def refresh(self) -> None:
        """See what another process wrote since this was opened."""
        if isinstance(self.store, FolderStore):
            self.store.refresh()

    def close(self) -> None:
        """Let go of files and connections."""
        self.store.close()

    def __enter__(self: _Own) -> _Own:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, where: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f'ClipIndex("{self.folder}": {len(self)} clips, vectors of {self.width})'

    def _kept(self, clips: Any, ids: Sequence[str]) -> dict[str, Any]:
        if clips is None:
            return {}
        if not self.keeps:
            raise InputError(
                "clips are kept in a folder, however: this index is on a server, which holds vectors alone"
            )
        kept = pack(clips)
        if len(kept) != len(ids):
            raise InputError(f"there is one clip for each id, however: {len(kept)} clips for {len(ids)} ids")
        return {"kept": kept}

    def _check_group(self, group: str) -> None:
        kinds = self.store.kinds([group])
        if group not in kinds:
            raise InputError(f'group is a key of the metadata, however: "{group}"{did_you_mean(group, kinds)}')


def _opened(folder: Path, token: str) -> VectorStore:
    if not folder.is_dir() or not ((folder / FILE).is_file() or (folder / SERVER).is_file()):
        raise InputError(f'an index is a folder that `intermodal index` wrote, however: "{folder}" is none')
    if (folder / FILE).is_file():
        return FolderStore(folder)
    try:
        address = json.loads((folder / SERVER).read_text(encoding="utf-8"))
        uri, collection = str(address["uri"]), str(address["collection"])
    except (ValueError, KeyError, TypeError):
        raise InputError(f'an index is whole, however: "{folder / SERVER}" is damaged') from None
    return MilvusStore(uri, collection, token=token)
