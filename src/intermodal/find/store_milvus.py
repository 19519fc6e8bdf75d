"""Vectors on a Milvus server: for more clips than one machine holds, and for several writers.

Shapes: N clips, Q queries, D width.
"""

from __future__ import annotations

import json
import logging
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from intermodal.errors import InputError, IntermodalError, MissingDependencyError
from intermodal.find.filters import Condition, Where, check_keys, conditions, kind_of
from intermodal.find.store import (
    ID_BYTES,
    Clip,
    Found,
    StoreUnreachableError,
    check_entries,
    check_ids,
    check_vectors,
    listed,
    merge_kinds,
    refuse_known,
    refuse_unknown,
)
from intermodal.learn.parameters import check_count

ATTEMPTS, PAUSE = 5, 0.1
"""How often a server that does not answer is asked; seconds before the second time, then twice as many each time."""
PIECE = 500
"""Clips that are sent, or asked for, at a time."""
MOST = 16_384
"""Most clips that Milvus returns for a query."""
_FIELDS = ["id", "vector", "metadata"]
_MARK = "intermodal"


class MilvusStore:
    """A `VectorStore` on a Milvus server.

    Every call is tried again a few times, each pause longer, where the server does not answer; then
    `StoreUnreachableError` says so and names what was not confirmed. Clips are sent in pieces, each of which the server
    takes wholly or not at all. Whether an added id is new is asked before: of two writers who add the same id at the
    same moment the later one wins.

    Args:
        uri: where the server listens, `http://127.0.0.1:19530`.
        collection: what the server calls the index.
        token: `user:password` or a key, where the server asks for one.

    Raises:
        InputError: the server has no such collection, or it is not one of ours.
        StoreUnreachableError: the server does not answer.
    """

    def __init__(self, uri: str, collection: str, *, token: str = "") -> None:
        self.uri, self.collection, self._token = uri, collection, token
        self._client: Any = None
        if not self._call("has_collection"):
            raise InputError(f'the server holds the index, however: "{uri}" has no collection "{collection}"')
        said = self._call("describe_collection")
        try:
            # a server keeps the description, the small one of the tests the properties
            text = said.get("properties", {}).get(_MARK) or said["description"]
            self._about: dict[str, Any] = json.loads(text)
            self._width = int(self._about["width"])
        except (ValueError, KeyError, TypeError):
            raise InputError(
                f'a collection is one that this package made, however: "{collection}" on "{uri}" is not'
            ) from None

    @classmethod
    def create(
        cls, uri: str, collection: str, about: Mapping[str, Any], *, token: str = "", kind: str = "FLAT"
    ) -> MilvusStore:
        """Make an empty collection.

        Args:
            uri: where the server listens.
            collection: a name that is free there: letters, digits and underscores.
            about: what to write into its description; `width` is D.
            token: as in `MilvusStore`.
            kind: how the server finds the nearest: `FLAT` looks at all, `HNSW` or `AUTOINDEX` at some.
        """
        made = cls.__new__(cls)
        made.uri, made.collection, made._token, made._client = uri, collection, token, None
        if not re.fullmatch(r"[A-Za-z_]\w{0,254}", collection, re.ASCII):
            raise InputError(f'a collection is named by letters, digits and underscores, however: "{collection}"')
        if made._call("has_collection"):
            raise InputError(f'a new index has a name of its own, however: "{uri}" has a collection "{collection}"')
        made._create(dict(about), kind)
        return cls(uri, collection, token=token)

    def _create(self, about: dict[str, Any], kind: str) -> None:
        milvus = _library()
        text = json.dumps(about)
        schema = milvus.MilvusClient.create_schema(auto_id=False, enable_dynamic_field=False, description=text)
        schema.add_field("id", milvus.DataType.VARCHAR, is_primary=True, max_length=ID_BYTES)
        schema.add_field("vector", milvus.DataType.FLOAT_VECTOR, dim=int(about["width"]))
        schema.add_field("metadata", milvus.DataType.JSON)
        index = milvus.MilvusClient.prepare_index_params()
        options = {"params": {"M": 32, "efConstruction": 200}} if kind == "HNSW" else {}
        index.add_index("vector", index_type=kind, metric_type="IP", **options)
        same = {"consistency_level": "Strong", "properties": {_MARK: text}}
        self._call("create_collection", schema=schema, index_params=index, **same)

    @property
    def width(self) -> int:
        """D."""
        return self._width

    @property
    def about(self) -> dict[str, Any]:
        """What was written into its description."""
        return self._about

    def count(self) -> int:
        """How many clips there are."""
        return int(self._call("query", filter="", output_fields=["count(*)"])[0]["count(*)"])

    def known(self, ids: Sequence[str]) -> list[str]:
        """Return those of the ids that are there."""
        there = {row["id"] for row in self._rows(ids, ["id"])}
        return [i for i in ids if i in there]

    def get(self, ids: Sequence[str]) -> list[Clip]:
        """Return clips by id; see `VectorStore`."""
        names = check_ids(ids)
        found = {row["id"]: row for row in self._rows(names, _FIELDS)}
        refuse_unknown([i for i in names if i not in found], "get")
        vectors = [np.asarray(found[i]["vector"], dtype=np.float32) for i in names]
        return [Clip(i, vector, dict(found[i]["metadata"])) for i, vector in zip(names, vectors, strict=True)]

    def add(
        self,
        ids: Sequence[str],
        vectors: Any,
        metadata: Sequence[Mapping[str, Any]] | None = None,
        *,
        kept: Sequence[bytes] | None = None,
    ) -> None:
        """Add clips under new ids; see `VectorStore`."""
        _refuse_kept(kept)
        entries = check_entries(ids, vectors, metadata, self.width)
        with _unacknowledged(entries.ids):
            refuse_known(self.known(entries.ids))
        self._send(entries.ids, entries.vectors, entries.metadata)

    def update(
        self,
        ids: Sequence[str],
        vectors: Any,
        metadata: Sequence[Mapping[str, Any]] | None = None,
        *,
        kept: Sequence[bytes] | None = None,
    ) -> None:
        """Replace clips; see `VectorStore`."""
        _refuse_kept(kept)
        entries = check_entries(ids, vectors, metadata, self.width)
        self._refuse_missing(entries.ids, "update")
        self._send(entries.ids, entries.vectors, entries.metadata)

    def delete(self, ids: Sequence[str]) -> None:
        """Delete clips; see `VectorStore`."""
        names = check_ids(ids)
        self._refuse_missing(names, "delete")
        for at in range(0, len(names), PIECE):
            with _unacknowledged(names[at:]):
                self._call("delete", filter=_any_of(names[at : at + PIECE]))

    def search(self, vectors: Any, k: int, where: Where | None = None) -> Found:
        """Return the nearest clips of each query; see `VectorStore`. The server returns at most 16,384."""
        k, queries, asked = check_count("k", k), check_vectors(vectors, self.width), conditions(where)
        check_keys(asked, self.kinds([condition.key for condition in asked]))
        if len(queries) == 0:
            return Found([], [], [])
        hits = self._call(
            "search",
            data=list(queries),
            limit=min(k, MOST),
            filter=" and ".join(_said(condition) for condition in asked),
            output_fields=["metadata"],
        )
        rows = [
            sorted(((-h["distance"], h["id"], h["entity"]["metadata"]) for h in row), key=lambda h: h[0])
            for row in hits
        ]
        scores = [np.array([-minus for minus, *_ in row], dtype=np.float32) for row in rows]
        return Found([[i for _, i, _ in row] for row in rows], scores, [[dict(m) for *_, m in row] for row in rows])

    def close(self) -> None:
        """Let go of the connection."""
        if self._client is not None:
            self._client.close()
        self._client = None

    def drop(self) -> None:
        """Delete the collection from the server, with all it holds."""
        self._call("drop_collection")

    def _send(self, ids: list[str], vectors: np.ndarray, metadata: list[dict[str, Any]]) -> None:
        with _unacknowledged(ids):
            merge_kinds(self._some_kinds(), metadata, ids)
        for at in range(0, len(ids), PIECE):
            piece = slice(at, at + PIECE)
            rows = [
                {"id": i, "vector": vector, "metadata": said}
                for i, vector, said in zip(ids[piece], vectors[piece], metadata[piece], strict=True)
            ]
            with _unacknowledged(ids[at:]):
                self._call("upsert", data=rows)

    def _refuse_missing(self, ids: list[str], doing: str) -> None:
        with _unacknowledged(ids):
            there = set(self.known(ids))
        refuse_unknown([i for i in ids if i not in there], doing)

    def _rows(self, ids: Sequence[str], fields: list[str]) -> Iterator[dict[str, Any]]:
        for at in range(0, len(ids), PIECE):
            yield from self._call("query", filter=_any_of(ids[at : at + PIECE]), output_fields=fields)

    def _some_kinds(self) -> dict[str, str]:
        """The keys of some clips: a server has no list of all."""
        rows = self._call("query", filter="", output_fields=["metadata"], limit=100)
        return {key: kind_of(value) for row in rows for key, value in row["metadata"].items()}

    def kinds(self, keys: Sequence[str]) -> dict[str, str]:
        """Return the kinds of those keys that are there, and of some more; see `VectorStore`."""
        if not keys:
            return {}
        kinds = self._some_kinds()
        for key in set(keys) - set(kinds):
            one = f"exists metadata[{_literal(key)}]"
            for row in self._call("query", filter=one, output_fields=["metadata"], limit=1):
                kinds[key] = kind_of(row["metadata"][key])
        return kinds

    def _call(self, what: str, **options: Any) -> Any:
        """Ask the server, again where it does not answer."""
        for attempt in range(ATTEMPTS):
            if attempt:
                time.sleep(PAUSE * 2 ** (attempt - 1))
            try:
                with _quiet():
                    return getattr(self._connected(), what)(collection_name=self.collection, **options)
            except Exception as problem:
                if isinstance(problem, MissingDependencyError):
                    raise
                if not _is_down(problem):
                    said = getattr(problem, "message", None) or str(problem)
                    raise IntermodalError(f'the server does as asked, however: "{self.uri}" says: {said}') from problem
                self._client = None
        raise StoreUnreachableError(
            f'the server of the index answers, however: "{self.uri}" did not, asked {ATTEMPTS} times'
        )

    def _connected(self) -> Any:
        if self._client is None:
            client = _library().MilvusClient(self.uri, token=self._token, timeout=5)
            if client.has_collection(self.collection):
                client.load_collection(self.collection)  # a server that was started anew has let go of it
            self._client = client
        return self._client


def _library() -> Any:
    try:
        import pymilvus
    except ImportError:
        raise MissingDependencyError('an index on a server needs pymilvus; pip install "intermodal[milvus]"') from None
    return pymilvus


def _refuse_kept(kept: Sequence[bytes] | None) -> None:
    if kept is not None:
        raise InputError("clips are kept for a reranker in a folder, however: this index is on a server")


def _is_down(problem: Exception) -> bool:
    """Whether nobody answered, as opposed to an answer that says no."""
    said = str(problem).lower()
    words = ("fail connecting", "unavailable", "deadline", "connection refused", "closed channel", "timeout")
    return any(word in said for word in words) or isinstance(problem, ConnectionError)


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the client's log of tracebacks off the screen: what went wrong is said in one sentence here."""
    log = logging.getLogger("pymilvus")
    before = log.level
    log.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        log.setLevel(before)


@contextmanager
def _unacknowledged(ids: list[str]) -> Iterator[None]:
    """Name the clips that a server which is down has not confirmed."""
    try:
        yield
    except StoreUnreachableError as problem:
        raise StoreUnreachableError(f"{problem}; not confirmed: {listed(ids)}", ids) from None


def _said(condition: Condition) -> str:
    """A condition in Milvus' language; every text in it is quoted."""
    field = f"metadata[{_literal(condition.key)}]"
    if condition.values is not None:
        return "(" + " or ".join(f"{field} == {_literal(value)}" for value in condition.values) + ")"
    ends = [(">=", condition.low), ("<=", condition.high)]
    return "(" + " and ".join(f"{field} {sign} {_literal(end)}" for sign, end in ends if end is not None) + ")"


def _any_of(ids: Sequence[str]) -> str:
    """A filter on ids. The client's own argument for ids pastes them in as they are, quotes and all."""
    return f"id in [{', '.join(_literal(i) for i in ids)}]"


def _literal(value: Any) -> str:
    r"""A value as Milvus writes it.

    Example:
        >>> _literal('a" or "b'), _literal(True), _literal(2.5)
        ('"a\\" or \\"b"', 'true', '2.5')
    """
    if isinstance(value, str):
        quoted = value.replace("\\", "\\\\").replace('"', '\\"')
        return '"' + quoted.replace("\n", "\\n").replace("\r", "\\r").replace("\t", "\\t") + '"'
    return json.dumps(value)
