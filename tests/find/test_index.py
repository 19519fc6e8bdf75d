"""An index of clips: its own model alone, groups, graphs, what is kept beside the vectors."""

import json
import warnings

import numpy as np
import pytest

from intermodal.data.samples import Samples
from intermodal.errors import InputError
from intermodal.find import journal, nearest
from intermodal.find.index import ClipIndex
from intermodal.find.kept import pack, unpack
from intermodal.find.nearest import Nearest

D, N, Q = 7, 61, 5


def vectors(n=N, seed=0, width=D):
    drawn = np.random.default_rng(seed).normal(size=(n, width)).astype(np.float32)
    return drawn / np.linalg.norm(drawn, axis=1, keepdims=True)


IDS = [f"c{i}" for i in range(N)]
SAID = [{"video": f"v{i % 11}", "year": 2000 + i % 3} if i % 7 else {"year": 2000 + i % 3} for i in range(N)]


@pytest.fixture(autouse=True)
def unsynced(monkeypatch):
    """Nothing crashes here."""
    monkeypatch.setattr(journal, "SYNC", "OFF")


def created(tmp_path, **more):
    return ClipIndex.create(tmp_path / "clips.index", **{"fingerprint": "abc", "width": D, **more})


@pytest.fixture
def index(tmp_path):
    made = created(tmp_path)
    made.add(IDS, vectors(), SAID)
    yield made
    made.close()


# ---- whose index it is ----


def test_an_index_knows_its_model_after_it_was_closed(index):
    index.close()
    with ClipIndex.open(index.folder) as again:
        assert (again.fingerprint, again.width, len(again), again.holds) == ("abc", D, N, "clips")
        again.check("abc", D)
        assert repr(again) == f'ClipIndex("{index.folder}": 61 clips, vectors of 7)'


def test_another_model_is_refused(index):
    with pytest.raises(InputError) as problem:
        index.check("abd", D)
    assert str(problem.value) == (
        f'a model finds in an index of its own vectors, however: "{index.folder}" was made with another model '
        "(abc, this one is abd); index the clips again with this one"
    )
    with pytest.raises(InputError) as problem:
        index.check("abc", D + 1)
    assert str(problem.value) == (
        "a model finds in an index of its own width, however: the model makes vectors of 8, "
        f'"{index.folder}" holds vectors of 7'
    )


def test_an_index_of_another_version_is_refused(index):
    index.store.set(format=99)
    index.close()
    with pytest.raises(InputError, match=r"this version reads indexes of format 1, however: .* has 99"):
        ClipIndex.open(index.folder)


@pytest.mark.parametrize(("name", "value"), [("width", 0), ("width", True), ("exact_below", -3), ("width", 2.5)])
def test_sizes_are_whole_numbers_above_zero(tmp_path, name, value):
    with pytest.raises(InputError) as problem:
        created(tmp_path, **{name: value})
    assert str(problem.value) == f"{name} is a whole number above zero, however: {name}={value!r}"
    assert list(tmp_path.iterdir()) == []


def test_an_index_is_made_in_a_new_folder(index):
    with pytest.raises(InputError, match="an index is made in a new folder, however"):
        created(index.folder.parent)


def test_a_folder_that_is_no_index_is_said(tmp_path):
    for folder in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(InputError) as problem:
            ClipIndex.open(folder)
        assert str(problem.value) == (
            f'an index is a folder that `intermodal index` wrote, however: "{folder}" is none'
        )
    (tmp_path / "server.json").write_text(json.dumps(["no"]))
    with pytest.raises(InputError, match=r'an index is whole, however: ".*/server\.json" is damaged'):
        ClipIndex.open(tmp_path)


# ---- search ----


def test_a_search_returns_hits_best_first(index):
    hits = index.search(vectors(Q, seed=1), k=4)
    scores = vectors(Q, seed=1) @ vectors().T
    assert [[hit.id for hit in row] for row in hits] == [[IDS[i] for i in row] for row in np.argsort(-scores)[:, :4]]
    assert hits[0][0].score == pytest.approx(scores[0].max(), abs=1e-6)
    assert hits[0][0].metadata == SAID[int(scores[0].argmax())]


@pytest.mark.parametrize("k", [1, 3, 11, 40])
@pytest.mark.parametrize("where", [None, {"year": 2001}])
def test_of_a_group_the_best_alone_counts(index, k, where):
    queries = vectors(Q, seed=1)
    scores = queries @ vectors().T
    for row, hits in enumerate(index.search(queries, k=k, group="video", where=where)):
        seen, expected = set(), []
        for i in np.argsort(-scores[row]):
            video = SAID[i].get("video")
            if (where is None or SAID[i]["year"] == 2001) and (video is None or video not in seen):
                expected.append(IDS[i])
                seen.add(video)
        assert [hit.id for hit in hits] == expected[:k]


def test_windows_of_one_video_do_not_hide_the_others(tmp_path):
    """Hundreds of clips of one video lie nearer than the one of another."""
    near, far = np.array([1.0, 0, 0]), np.array([0, 1.0, 0])
    with created(tmp_path, width=3) as index:
        index.add(
            [f"w{i}" for i in range(500)] + ["other"], [near] * 500 + [far], [{"video": "a"}] * 500 + [{"video": "b"}]
        )
        (hits,) = index.search([[1, 0.1, 0]], k=2, group="video")
        assert [hit.metadata["video"] for hit in hits] == ["a", "b"]


def test_a_group_that_no_clip_has_is_refused(index):
    with pytest.raises(InputError) as problem:
        index.search(vectors(1), group="vidoe")
    assert str(problem.value) == 'group is a key of the metadata, however: "vidoe"; did you mean "video"?'


def test_what_an_index_refuses_it_says(index):
    for doing in (lambda: index.search(vectors(1), k=0), lambda: index.search(vectors(1), k=0, group="video")):
        with pytest.raises(InputError, match="k is a whole number above zero, however: k=0"):
            doing()
    with pytest.raises(InputError, match="there is one clip for each id, however: 2 clips for 1 ids"):
        index.add(["new"], vectors(1), clips={"video": np.ones((2, 3))})
    assert len(index) == N


# ---- the graph ----


@pytest.fixture
def graphed(tmp_path):
    """An index whose clips lie in a graph, but for the last few; some of the graph are deleted, some replaced."""
    rng = np.random.default_rng(0)
    held = {f"g{i}": v for i, v in enumerate(vectors(900, seed=3))}
    index = created(tmp_path, exact_below=600)
    index.add(list(held), np.stack(list(held.values())), [{"part": i % 10} for i in range(900)])
    gone = [f"g{i}" for i in rng.permutation(900)[:100]]
    index.delete(gone)
    new = [f"g{i}" for i in range(0, 900, 9) if f"g{i}" not in gone]
    index.update(new, vectors(len(new), seed=4), [{"part": 10}] * len(new))
    held = {k: v for k, v in held.items() if k not in gone} | dict(zip(new, vectors(len(new), seed=4), strict=True))
    yield index, held
    index.close()


def recall(index, held, queries, k, **more):
    scores = queries @ np.stack(list(held.values())).T
    ids = list(held)
    found = index.search(queries, k, **more)
    assert all(len(row) == k and {hit.id for hit in row} <= set(held) for row in found)
    return np.mean([len({h.id for h in row} & {ids[i] for i in best}) / k for row, best in
                    zip(found, np.argsort(-scores, 1)[:, :k], strict=True)])  # fmt: skip


def test_a_graph_finds_k_clips_that_are_there_though_it_only_marks_the_deleted(graphed):
    index, held = graphed
    assert index.store.has_graph
    assert 0 < index.store._near.n_dead < 900
    assert recall(index, held, vectors(50, seed=5), 10) > 0.99
    index.close()
    with ClipIndex.open(index.folder) as again:
        assert again.store._near.n_dead == index.store._near.n_dead > 0
        assert recall(again, held, vectors(50, seed=5), 10) > 0.99


def test_a_graph_of_which_little_is_left_still_finds_all_that_is_left(tmp_path, monkeypatch):
    monkeypatch.setattr("intermodal.find.store_folder._BURIED", 1e9)
    monkeypatch.setattr(nearest, "_NARROW", 0.0)
    with created(tmp_path, exact_below=300) as index:
        index.add([f"g{i}" for i in range(500)], vectors(500, seed=3))
        index.store.set_ef(2)
        index.delete([f"g{i}" for i in range(500) if i % 10])
        held = {f"g{i}": v for i, v in enumerate(vectors(500, seed=3)) if i % 10 == 0}
        assert index.store._near.n_dead == 450
        assert recall(index, held, vectors(20, seed=5), 12) > 0.2  # the graph is asked, not all
        found = index.search(vectors(20, seed=5), 50)
        assert all({hit.id for hit in row} == set(held) for row in found)


def test_a_filter_on_a_graph_finds_what_brute_force_finds(graphed):
    index, held = graphed
    parts = {f"g{i}": i % 10 for i in range(900)} | {k: 10 for k in held if int(k[1:]) % 9 == 0}
    for part in ([3], [0, 1, 2, 4, 5, 6, 7, 8], [10]):
        fitting = {k: v for k, v in held.items() if parts[k] in part}
        assert recall(index, fitting, vectors(20, seed=5), 9, where={"part": part}) > 0.97


def test_many_deletions_build_the_graph_anew(tmp_path):
    with created(tmp_path, exact_below=300) as index:
        index.add([f"g{i}" for i in range(500)], vectors(500, seed=3))
        index.delete([f"g{i}" for i in range(100)])
        assert index.store._near.n_dead == 100
        index.delete([f"g{i}" for i in range(100, 200)])
        assert (index.store._near.n_dead, index.store._near.n_flat) == (0, 0)
        index.delete(["g200"])
        index.compact()
        assert index.store._near.n_dead == 0
        assert index.store._journal.dead() == []


@pytest.mark.parametrize("spoil", ["flip", "cut", "gone", "empty"])
def test_a_graph_that_is_damaged_is_left_alone_and_all_is_found_without_it(graphed, spoil):
    index, held = graphed
    index.close()
    file = index.folder / "graph.safetensors"
    whole = bytearray(file.read_bytes())
    if spoil == "flip":
        whole[len(whole) // 2] ^= 1
    file.write_bytes(whole[: {"cut": len(whole) // 2, "empty": 0}.get(spoil, len(whole))])
    if spoil == "gone":
        file.unlink()
    with ClipIndex.open(index.folder) as again:
        assert not again.store.has_graph
        assert recall(again, held, vectors(20, seed=5), 10) == 1.0


def test_a_graph_without_one_of_its_dead_is_left_alone(graphed):
    index, held = graphed
    index.store._journal._database.execute("DELETE FROM dead WHERE slot = (SELECT MIN(slot) FROM dead)")
    index.close()
    with ClipIndex.open(index.folder) as again:
        assert not again.store.has_graph
        assert recall(again, held, vectors(20, seed=5), 10) == 1.0


def test_tuning_follows_the_graph_as_far_as_the_queries_need(tmp_path, monkeypatch):
    monkeypatch.setattr("intermodal.find.index._EFS", (2, 4, 10, 40, 400))
    with created(tmp_path, width=31, exact_below=300) as index:
        index.add([f"g{i}" for i in range(3000)], vectors(3000, width=31))
        queries = vectors(40, seed=1, width=31)
        easy, hard = index.tune(queries, k=3, recall=0.2), index.tune(queries, k=3, recall=0.999)
        assert list(easy) == [4]
        assert len(hard) > 1
        assert sorted(hard.values()) == list(hard.values())
        assert index.about["ef"] == list(hard)[-1]
        assert hard[4] == easy[4] < 1
    with ClipIndex.open(index.folder) as again:
        assert again.about["ef"] == again.store._near.ef == list(hard)[-1]
        assert list(again.tune(queries, k=500, recall=0.5)) == [1000]
    with created(tmp_path / "small") as index:
        assert index.tune(vectors(3)) == {}


def test_the_parts_of_memory_agree_with_brute_force_after_any_order_of_changes():
    rng = np.random.default_rng(0)
    near, held, slot = Nearest(D), {}, 0
    for step in range(60):
        new = vectors(int(rng.integers(1, 30)), seed=step)
        slots = np.arange(slot, slot + len(new))
        near.add(slots, new)
        held |= dict(zip(slots.tolist(), new, strict=True))
        slot += len(new)
        gone = rng.permutation(list(held))[: int(rng.integers(0, 12))]
        buried = near.remove(gone)
        assert set(buried.tolist()) <= set(gone.tolist())
        held = {s: v for s, v in held.items() if s not in gone}
        if step in (20, 40):
            near.build()
            assert near.n_flat == 0
        wanted = np.zeros(slot, dtype=bool)
        wanted[rng.permutation(slot)[: slot // 2]] = True
        for chosen, fitting in ((None, list(held)), (wanted, [s for s in held if wanted[s]])):
            found, scores = near.search(vectors(3, seed=99), 9, chosen, exact=True)
            table = vectors(3, seed=99) @ np.stack([held[s] for s in fitting]).T
            assert found.tolist() == [[fitting[i] for i in row] for row in np.argsort(-table, 1)[:, :9]]
            np.testing.assert_allclose(scores, -np.sort(-table, 1)[:, :9], atol=1e-6)
        some = rng.permutation(list(held))[:5]
        np.testing.assert_array_equal(near.vectors(some), np.stack([held[s] for s in some.tolist()]))
    assert len(near) == len(held)


def test_a_search_leaves_the_threads_of_the_library_as_they_were():
    import faiss

    before = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(3)
    try:
        near = Nearest(D)
        near.add(np.arange(N), vectors())
        near.search(vectors(1), 2)
        assert faiss.omp_get_max_threads() == 3
    finally:
        faiss.omp_set_num_threads(before)


# ---- what is kept beside ----


def test_clips_are_kept_as_they_were_in_half_precision(tmp_path):
    rng = np.random.default_rng(0)
    video = [rng.normal(size=(t, 5)) for t in (3, 7, 2)]
    video[1][4] = np.nan  # a frame that is not there
    clips = Samples(
        {"video": [video[0], None, video[2]], "audio": rng.normal(size=(3, 4)), "odd": [None, [1e6], [2.0]]}
    )
    with created(tmp_path) as index:
        index.add(["a", "b", "c"], vectors(3), clips=clips)
        kept = Samples(index.kept(["c", "a", "b"]))
    order = [2, 0, 1]
    assert set(kept.names) == {"video", "audio", "odd"}
    for name in kept.names:
        original, back = clips[order].modality(name), kept.modality(name)
        assert back.kind == original.kind
        np.testing.assert_array_equal(back.present, original.present)
        np.testing.assert_array_equal(back.lengths, original.lengths)
        np.testing.assert_allclose(back.values, original.values, rtol=1e-3, atol=1e-6)
    assert kept.modality("odd").values[2, 0] == 1e6


def test_a_frame_that_is_not_there_is_not_there_after(tmp_path):
    video = np.arange(24.0).reshape(2, 4, 3)
    video[0, 1] = np.nan
    back = Samples(unpack(pack(Samples({"video": video})))).modality("video")
    assert back.token_present.tolist() == [True, False, True, True, True, True, True, True]


@pytest.mark.parametrize(("values", "size"), [([[1.0], [2.0], [3.0]], 2), ([[1000.0], [1000.1], [1000.2]], 4),
                                              ([[1e5], [2e5], [3e5]], 4), ([[7.0], [7.0], [7.0]], 2),
                                              ([[0.1], [0.1], [0.1]], 4)])  # fmt: skip
def test_half_precision_is_taken_only_where_it_is_enough(values, size):
    import safetensors.numpy

    kept = pack({"a": np.array(values)})
    assert safetensors.numpy.load(kept[0])["n:a"].itemsize == size
    np.testing.assert_allclose(unpack(kept)["a"].values, values, rtol=1e-6)


def test_texts_are_kept_and_come_back(tmp_path):
    texts = ["a dog", None, "狗 \0 'x"]
    back = unpack(pack({"text": texts, "video": [np.ones((2, 3)), np.ones((1, 3)), None]}))
    assert back["text"] == texts
    assert back["video"].lengths.tolist() == [2, 1, 0]


def test_columns_come_back_by_their_names():
    pandas = pytest.importorskip("pandas")
    first = pack({"table": pandas.DataFrame({"age": [1.0, 2.0], "sex=F": [1.0, 0.0]})})
    other = pack({"table": pandas.DataFrame({"sex=M": [5.0], "age": [3.0]})})
    back = unpack([*first, *other])["table"]
    assert back.columns == ("age", "sex=F", "sex=M")
    assert back.values.tolist() == [[1, 1, 0], [2, 0, 0], [3, 0, 5]]
    lacking = pack({"table": pandas.DataFrame({"sex=M": [5.0]})})
    with pytest.raises(InputError, match='have the same columns, however: some of "table" lack "age"'):
        unpack([*first, *lacking])


def test_without_anything_kept_there_is_nothing(index):
    assert index.kept(["c1"]) is None
    index.add(["k"], vectors(1), clips={"video": np.ones((1, 3))})
    assert index.kept(["c1", "k"]) is None
    assert list(index.kept(["k"])) == ["video"]
    index.update(["k"], vectors(1))
    assert index.kept(["k"]) is None


def test_no_warning_comes_of_a_modality_that_no_candidate_has():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        kept = pack({"video": [np.ones((2, 3)), None], "audio": [None, np.ones((1, 2))]})
        assert set(unpack(kept[:1])) == {"video"}


def test_a_closed_index_is_not_called_damaged(tmp_path):
    with ClipIndex.create(tmp_path / "i", fingerprint="m", width=2) as index:
        index.add(["a"], [[1.0, 0.0]])
    with pytest.raises(
        InputError, match=r'^an index is open, however: ".*" was closed; ClipIndex.open opens it again$'
    ):
        index.add(["b"], [[0.0, 1.0]])
    with ClipIndex.open(tmp_path / "i") as again:
        assert len(again) == 1
