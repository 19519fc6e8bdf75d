"""One suite for both stores: in a folder, and on a Milvus server on loopback. The oracle is brute force."""

import importlib.util
import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from intermodal.errors import InputError
from intermodal.find import store_milvus
from intermodal.find.store import StoreUnreachableError
from intermodal.find.store_folder import FolderStore
from intermodal.find.store_milvus import MilvusStore

D, N, Q = 7, 53, 5
ODD = [
    'a"b',
    "a'b",
    "a\\b",
    "é 狗",
    "x\ny",
    "{t}",
    "%_",
    'a" or 1 == 1 or "',
    '\\"',
    "[bold]",
    "\x01",
    "' OR '1'='1",
    "-- ;",
]
KINDS = [
    pytest.param("folder"),
    pytest.param(
        "milvus",
        marks=pytest.mark.skipif(
            importlib.util.find_spec("milvus_lite") is None or importlib.util.find_spec("pymilvus") is None,
            reason="milvus-lite or pymilvus is not installed",
        ),
    ),
]


class Server:
    """A Milvus server in a process of its own, on a free port of loopback."""

    def __init__(self, folder: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.folder, self.uri = folder, f"http://127.0.0.1:{self.port}"
        self.start()

    def start(self) -> None:
        command = [str(Path(sys.executable).parent / "milvus-lite"), "server", "--data-dir", str(self.folder)]
        command += ["--host", "127.0.0.1", "--port", str(self.port)]
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        self.process = subprocess.Popen(command, env={**os.environ, "OMP_NUM_THREADS": "1"}, **quiet)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


@pytest.fixture(scope="module", autouse=True)
def patience():
    """A server on a busy machine takes seconds to come up."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(store_milvus, "ATTEMPTS", 9)
        yield


@pytest.fixture(scope="module")
def server(tmp_path_factory, patience):
    running = Server(tmp_path_factory.mktemp("milvus"))
    yield running
    running.kill()


@pytest.fixture(scope="module")
def on_server(server):
    """One collection for all tests: to make one takes the server half a second."""
    store = MilvusStore.create(server.uri, "clips", {"width": D})
    yield store
    store.close()


@pytest.fixture(params=KINDS)
def empty(request, tmp_path):
    if request.param == "milvus":
        store = request.getfixturevalue("on_server")
        store._call("delete", filter='id != ""')
        yield store
        return
    store = FolderStore.create(tmp_path, {"width": D})
    yield store
    store.close()


def vectors(n=N, seed=0):
    drawn = np.random.default_rng(seed).normal(size=(n, D)).astype(np.float32)
    return drawn / np.linalg.norm(drawn, axis=1, keepdims=True)


IDS = [f"c{i}" for i in range(N)]
SAID = [
    {"year": 2018 + i % 5, "tag": "abc"[i % 3], "length": i / 4, "live": i % 2 == 0, "note": None}
    | ({"few": i} if i % 13 == 7 else {})
    for i in range(N)
]


@pytest.fixture
def store(empty):
    empty.add(IDS, vectors(), SAID)
    return empty


def brute(queries, k, ids=IDS, held=None, fits=lambda said: True):
    """The ids of the k largest inner products among the clips that fit."""
    held = vectors() if held is None else held
    fitting = [i for i in range(len(ids)) if ids is not IDS or fits(SAID[i])]
    scores = queries.astype(np.float64) @ held[fitting].T.astype(np.float64)
    order = np.argsort(-scores, axis=1)[:, :k]
    return [[ids[fitting[i]] for i in row] for row in order], np.take_along_axis(scores, order, 1)


@pytest.mark.parametrize("k", [1, 3, N, N + 11])
def test_the_ids_and_scores_are_those_of_brute_force(store, k):
    queries = vectors(Q, seed=1)
    found = store.search(queries, k)
    ids, scores = brute(queries, k)
    assert found.ids == ids
    np.testing.assert_allclose(np.stack(found.scores), scores, atol=1e-6)
    assert found.metadata[0][0] == {key: v for key, v in SAID[IDS.index(ids[0][0])].items() if v is not None}


@pytest.mark.parametrize(
    ("where", "fits"),
    [
        ({"year": 2020}, lambda m: m["year"] == 2020),
        ({"year": 2020.0}, lambda m: m["year"] == 2020),
        ({"year": [2018, 2021]}, lambda m: m["year"] == 2018 or m["year"] == 2021),
        ({"tag": ["a", "c"], "year": {"min": 2019}}, lambda m: m["tag"] != "b" and m["year"] >= 2019),
        ({"length": {"min": 2.5, "max": 9}}, lambda m: 2.5 <= m["length"] <= 9),
        ({"length": {"max": 3}}, lambda m: m["length"] <= 3),
        ({"live": True}, lambda m: m["live"]),
        ({"live": False, "tag": "b"}, lambda m: not m["live"] and m["tag"] == "b"),
        ({"tag": {"min": "b"}}, lambda m: m["tag"] in "bc"),
        ({"year": 1999}, lambda m: False),
        ({"few": 7}, lambda m: m.get("few") == 7),
        ({"few": {"min": 0}}, lambda m: "few" in m),
    ],
)
def test_a_filter_leaves_what_brute_force_leaves(store, where, fits):
    queries = vectors(Q, seed=1)
    for k in (4, N):
        assert store.search(queries, k, where).ids == brute(queries, k, fits=fits)[0]


def test_deleted_clips_are_found_no_more_and_k_others_are(store):
    queries = vectors(Q, seed=1)
    best = sorted({i for row in store.search(queries, 3).ids for i in row})
    store.delete(best)
    left = [i for i in range(N) if IDS[i] not in best]
    ids, _ = brute(queries, 3, [IDS[i] for i in left], vectors()[left])
    assert store.search(queries, 3).ids == ids
    assert store.count() == N - len(best)
    assert store.known(["c0", *best]) == [i for i in ["c0"] if i not in best]


def test_an_updated_clip_is_found_by_its_new_vector_and_metadata_alone(store):
    target = vectors(1, seed=2)
    assert "c11" in store.search(target, N, {"tag": ["a", "b", "c"]}).ids[0]
    store.update(["c11"], target, [{"year": 1900}])
    assert store.count() == N
    found = store.search(target, 2)
    assert found.ids[0][0] == "c11"
    assert found.metadata[0][0] == {"year": 1900}
    assert "c11" not in store.search(target, N, {"tag": ["a", "b", "c"]}).ids[0]
    assert store.search(target, 1, {"year": 1900}).ids == [["c11"]]
    assert sorted(store.search(target, N + 3).ids[0]) == sorted(IDS)


def test_clips_come_back_as_they_were_given(store):
    clips = store.get(["c7", "c3"])
    assert [clip.id for clip in clips] == ["c7", "c3"]
    np.testing.assert_array_equal(np.stack([clip.vector for clip in clips]), vectors()[[7, 3]])
    assert clips[0].metadata == {"year": 2020, "tag": "b", "length": 1.75, "live": False, "few": 7}
    assert type(clips[0].metadata["year"]) is int


@pytest.mark.parametrize("odd", ODD)
def test_a_hostile_text_is_data(empty, odd):
    empty.add([odd, "plain"], vectors(2), [{"said": odd, odd: 3}, {"said": "plain"}])
    assert empty.known([odd, "other"]) == [odd]
    assert empty.get([odd])[0].metadata == {"said": odd, odd: 3}
    assert empty.search(vectors(1), 9, {"said": odd}).ids == [[odd]]
    assert empty.search(vectors(1), 9, {odd: 3}).ids == [[odd]]
    assert empty.search(vectors(1), 9, {"said": {"min": odd, "max": odd}}).ids == [[odd]]
    empty.delete([odd])
    assert empty.search(vectors(1), 9).ids == [["plain"]]


def test_whole_numbers_of_64_bits_are_kept_exactly(empty):
    empty.add(["a", "b"], vectors(2), [{"n": 2**60 + 1}, {"n": 2**60 + 2}])
    assert empty.get(["b"])[0].metadata == {"n": 2**60 + 2}
    assert empty.search(vectors(1), 9, {"n": 2**60 + 2}).ids == [["b"]]


def test_nothing_is_found_in_an_empty_store(empty):
    found = empty.search(vectors(2), 3)
    assert (found.ids, [len(s) for s in found.scores], empty.count()) == ([[], []], [0, 0], 0)
    empty.add([], np.zeros((0, D)))
    assert empty.count() == 0
    assert empty.get([]) == []


REFUSED = [
    (lambda s: s.add(["c1", "new", "c2"], vectors(3)),
     'an added id is new, however: the index holds "c1", "c2"; use update where a clip is to be replaced'),
    (lambda s: s.add(["new", "two", "new"], vectors(3)), 'an id stands for one clip, however: "new" is given twice'),
    (lambda s: s.update(["c1", "nobody"], vectors(2)),
     'update needs ids that the index holds, however: "nobody" is not there'),
    (lambda s: s.delete(["c1", "nobody", "nothing"]),
     'delete needs ids that the index holds, however: "nobody", "nothing" are not there'),
    (lambda s: s.get(["nobody"]), 'get needs ids that the index holds, however: "nobody" is not there'),
    (lambda s: s.add(["new"], np.full((1, D), np.nan)),
     'vectors are finite, however: that of "new" holds a NaN or an infinity'),
    (lambda s: s.add(["new"], np.ones((1, D + 1))),
     "vectors are an array (N, 7), as the index, however: the shape is (1, 8)"),
    (lambda s: s.add(["new"], vectors(2)), "there is one vector for each id, however: 2 vectors for 1 ids"),
    (lambda s: s.add(["new"], vectors(1), [{}, {}]), "there is one metadata for each id, however: 2 for 1 ids"),
    (lambda s: s.add([3], vectors(1)), "an id is a text of 1 to 1024 bytes, however: 3"),
    (lambda s: s.add([""], vectors(1)), "an id is a text of 1 to 1024 bytes, however: ''"),
    (lambda s: s.add("new", vectors(1)), "ids are a list, however: one text was given; write ['new']"),
    (lambda s: s.add(["new"], vectors(1), [{"year": "late"}]),
     '"year" is a number in this index, however: it is \'late\' in clip "new"'),
    (lambda s: s.add(["new"], vectors(1), [{"year": [1]}]),
     'metadata are texts, finite numbers of 64 bits and truth values, however: "year" of "new" is [1]'),
    (lambda s: s.add(["new"], vectors(1), [{"year": float("nan")}]),
     'metadata are texts, finite numbers of 64 bits and truth values, however: "year" of "new" is nan'),
    (lambda s: s.search(vectors(1), 0), "k is a whole number above zero, however: k=0"),
    (lambda s: s.search(vectors(1), True), "k is a whole number above zero, however: k=True"),
    (lambda s: s.search(np.full((2, D), np.inf), 1),
     "vectors are finite, however: that of row 0 holds a NaN or an infinity"),
    (lambda s: s.search(vectors(1)[0], 1), "vectors are an array (N, 7), as the index, however: the shape is (7,)"),
    (lambda s: s.search(vectors(1), 1, {"yaer": 3}),
     'a filter names a key of the metadata, however: "yaer"; did you mean "year"?'),
    (lambda s: s.search(vectors(1), 1, {"year": "a"}),
     '"year" is a number in this index, however: the filter asks for a text'),
    (lambda s: s.search(vectors(1), 1, {"live": 1}),
     '"live" is a truth value in this index, however: the filter asks for a number'),
    (lambda s: s.search(vectors(1), 1, {"year": []}),
     'a filter asks for some value, however: that on "year" is empty'),
    (lambda s: s.search(vectors(1), 1, {"year": [1, "a"]}),
     'a filter asks one kind of value of a key, however: "year" mixes number and texts'),
    (lambda s: s.search(vectors(1), 1, {"year": {"from": 1}}),
     "a range has a \"min\", a \"max\" or both, however: that on \"year\" is {'from': 1}"),
    (lambda s: s.search(vectors(1), 1, {"year": {"min": 3, "max": 1}}),
     "the min of a range is not above its max, however: that on \"year\" is {'min': 3, 'max': 1}"),
    (lambda s: s.search(vectors(1), 1, {"year": None}),
     'a filter asks for texts, finite numbers or truth values, however: "year" is None'),
]  # fmt: skip


@pytest.mark.parametrize("at", range(len(REFUSED)))
def test_what_is_refused_changes_nothing(store, at):
    doing, sentence = REFUSED[at]
    with pytest.raises(InputError) as problem:
        doing(store)
    assert str(problem.value) == sentence
    queries = vectors(Q, seed=1)
    assert store.count() == N
    assert store.search(queries, 3).ids == brute(queries, 3)[0]


# ---- the server alone ----


@pytest.fixture
def fragile(tmp_path):
    """A server that a test may kill."""
    pytest.importorskip("milvus_lite", reason="milvus-lite is not installed")
    running = Server(tmp_path / "data")
    yield running
    running.kill()


def test_a_server_that_is_down_is_said_and_what_it_confirmed_is_there_when_it_is_back(fragile, monkeypatch, caplog):
    store = MilvusStore.create(fragile.uri, "clips", {"width": D, "fingerprint": "m"})
    store.add(IDS, vectors(), SAID)
    fragile.kill()
    monkeypatch.setattr(store_milvus, "ATTEMPTS", 3)
    paused = []
    monkeypatch.setattr(store_milvus.time, "sleep", paused.append)
    with pytest.raises(StoreUnreachableError) as problem:
        store.update(["c1", "c2"], vectors(2, seed=3))
    assert str(problem.value) == (
        f'the server of the index answers, however: "{fragile.uri}" did not, asked 3 times; not confirmed: "c1", "c2"'
    )
    assert problem.value.unacknowledged == ["c1", "c2"]
    assert paused == [0.1, 0.2]
    assert not caplog.records
    with pytest.raises(ConnectionError):
        store.search(vectors(1), 1)
    monkeypatch.undo()
    monkeypatch.setattr(store_milvus, "ATTEMPTS", 9)
    fragile.start()
    queries = vectors(Q, seed=1)
    assert store.search(queries, 3).ids == brute(queries, 3)[0]
    again = MilvusStore(fragile.uri, "clips")
    assert again.about == {"width": D, "fingerprint": "m"}
    assert again.count() == N
    store.close()
    again.close()


def test_a_write_that_breaks_off_names_the_pieces_that_were_not_confirmed(server, monkeypatch):
    store = MilvusStore.create(server.uri, "pieces", {"width": D})
    monkeypatch.setattr(store_milvus, "PIECE", 20)
    sent, ask = [], MilvusStore._call

    def breaks_off(self, what, **options):
        if what == "upsert":
            if len(sent) == 2:
                raise StoreUnreachableError("gone")
            sent.append([row["id"] for row in options["data"]])
        return ask(self, what, **options)

    monkeypatch.setattr(MilvusStore, "_call", breaks_off)
    with pytest.raises(StoreUnreachableError) as problem:
        store.add(IDS, vectors(), SAID)
    assert problem.value.unacknowledged == IDS[40:]
    assert str(problem.value) == 'gone; not confirmed: "c40", "c41", "c42", "c43", "c44" and 8 more'
    assert sorted(store.known(IDS)) == sorted(IDS[:40])
    monkeypatch.undo()
    store.close()


def test_a_collection_that_is_absent_or_not_ours_is_refused(server):
    with pytest.raises(InputError, match='has no collection "nothing"'):
        MilvusStore(server.uri, "nothing")
    with pytest.raises(InputError, match=r'letters, digits and underscores, however: "a b"'):
        MilvusStore.create(server.uri, "a b", {"width": D})
    MilvusStore.create(server.uri, "twice", {"width": D}).close()
    with pytest.raises(InputError, match='has a collection "twice"'):
        MilvusStore.create(server.uri, "twice", {"width": D})
    store = MilvusStore(server.uri, "twice")
    store._call("alter_collection_properties", properties={"intermodal": "{}"})
    with pytest.raises(InputError, match=r'"twice" on "http://127.0.0.1:[0-9]*" is not'):
        MilvusStore(server.uri, "twice")
    store.drop()
    store.close()
