"""A retriever and an index together: what is found is what the retriever alone would rank."""

import numpy as np
import pytest

from intermodal.data.samples import Samples
from intermodal.errors import InputError
from intermodal.find import asking, journal
from intermodal.find.asking import ask, fill, taken
from intermodal.find.digit_scenes import digit_clips
from intermodal.find.index import ClipIndex
from intermodal.find.retriever import FusionRetriever

N = 41
MADE = digit_clips(N, frames=12, seed=3)
IDS = [f"c{i}" for i in range(N)]
SAID = [{"film": i // 3} for i in range(N)]


@pytest.fixture(scope="module")
def retriever():
    made = digit_clips(40, frames=12)
    options = {"d_model": 8, "d_embed": 11, "n_heads": 2, "max_epochs": 2, "reranker": True, "top_k": 7, "seed": 0}
    return FusionRetriever(**options).fit(made.samples, made.texts)


@pytest.fixture(autouse=True)
def unsynced(monkeypatch):
    monkeypatch.setattr(journal, "SYNC", "OFF")


def created(tmp_path, retriever, **more):
    options = {"fingerprint": retriever.fingerprint, "width": 11, **more}
    return ClipIndex.create(tmp_path / "clips.index", **options)


@pytest.fixture
def index(tmp_path, retriever):
    with created(tmp_path, retriever) as made:
        fill(made, retriever, MADE.samples, IDS, SAID)
        yield made


def test_a_text_finds_what_the_retriever_ranks_first(index, retriever):
    assert retriever.rerank_kept_["clips"]["kept"]
    hits = ask(index, retriever, queries=MADE.texts[:5], k=3)
    ranked = retriever.rank(MADE.texts[:5], MADE.samples, k=3)
    assert [[hit.id for hit in row] for row in hits] == [[IDS[i] for i in row] for row in ranked.rows]
    np.testing.assert_allclose([[hit.score for hit in row] for row in hits], ranked.scores, atol=2e-3)
    assert hits[0][0].metadata == SAID[ranked.rows[0, 0]]


def test_a_retriever_of_classes_whose_vectors_are_wider_fills_an_index_too(tmp_path):
    rng, classes = np.random.default_rng(0), np.arange(53) % 2
    X, queries = rng.normal(size=(53, 3)) + 3 * classes[:, None], rng.normal(size=(53, 5)) + 3 * classes[:, None]
    made = FusionRetriever(d_model=8, d_embed=11, n_heads=2, max_epochs=1, reranker=False)
    made.fit({"video": X}, queries, relevant=(classes, classes))
    assert made.width == made.embed_clips({"video": X}).shape[1] == made.embed_queries(queries).shape[1] == 11 + 2 + 2
    with created(tmp_path, made, width=made.width) as index:
        fill(index, made, {"video": X}, [f"c{i}" for i in range(53)])
        hits = ask(index, made, queries=queries[:7], k=3)
    ranked = made.rank(queries[:7], {"video": X}, k=3)
    assert [[hit.id for hit in row] for row in hits] == [[f"c{i}" for i in row] for row in ranked.rows]


def test_without_the_reranker_the_towers_order_stands(index, retriever):
    plain = retriever.rank(MADE.texts[:5], MADE.samples, k=3, rerank=False)
    for rerank in (0, None):
        hits = ask(index, retriever, queries=MADE.texts[:5], k=3, rerank=rerank)
        same = [[hit.id for hit in row] for row in hits] == [[IDS[i] for i in row] for row in plain.rows]
        assert same == (rerank == 0)


def test_a_filter_and_a_group_come_before_the_reranker(index, retriever):
    (hits,) = ask(index, retriever, queries=MADE.texts[:1], k=4, group="film", where={"film": {"min": 3}})
    films = [hit.metadata["film"] for hit in hits]
    assert len(set(films)) == 4
    assert min(films) >= 3


def test_a_clip_finds_the_clips_like_it(index, retriever):
    (hits,) = ask(index, retriever, clips=MADE.samples[[7]], k=3)
    scores = retriever.embed_clips(MADE.samples[[7]]) @ retriever.embed_clips(MADE.samples).T
    assert [hit.id for hit in hits] == [IDS[i] for i in np.argsort(-scores[0])[:3]]
    assert hits[0].id == "c7"


def test_a_clip_finds_the_texts_that_say_it(tmp_path, retriever):
    with created(tmp_path, retriever, holds="queries") as texts:
        fill(texts, retriever, MADE.texts, IDS)
        hits = ask(texts, retriever, clips=MADE.samples[:5], k=3)
        assert texts.kept(["c2"]) == {"query": [MADE.texts[2]]}
    ranked = retriever.rank(MADE.texts, MADE.samples[:5], k=3, side="queries")
    assert [[hit.id for hit in row] for row in hits] == [[IDS[i] for i in row] for row in ranked.rows]
    np.testing.assert_allclose([[hit.score for hit in row] for row in hits], ranked.scores, atol=2e-3)


@pytest.mark.parametrize("keep", [True, False])
def test_clips_are_written_in_pieces_and_kept_when_asked(tmp_path, retriever, monkeypatch, keep):
    monkeypatch.setattr(asking, "PIECE", 17)
    seen = []
    with created(tmp_path, retriever) as index:
        fill(index, retriever, MADE.samples, IDS, SAID, keep=keep, progress=lambda *step: seen.append(step))
        assert seen == [(17, 41, ""), (34, 41, ""), (41, 41, "")]
        vectors = np.stack([clip.vector for clip in index.get(IDS)])
        np.testing.assert_allclose(vectors, retriever.embed_clips(MADE.samples), atol=1e-5)
        assert [clip.metadata for clip in index.get(IDS)] == SAID
        assert (index.kept(IDS) is not None) == keep
        hits = ask(index, retriever, queries=MADE.texts[:2], k=3)
        plain = retriever.rank(MADE.texts[:2], MADE.samples, k=3, rerank=keep)
        assert [[hit.id for hit in row] for row in hits] == [[IDS[i] for i in row] for row in plain.rows]


def test_an_update_replaces_vector_metadata_and_what_was_kept(index, retriever):
    fill(index, retriever, MADE.samples[[5]], ["c9"], [{"film": 99}], update=True)
    (clip,) = index.get(["c9"])
    np.testing.assert_allclose(clip.vector, retriever.embed_clips(MADE.samples[[5]])[0], atol=1e-5)
    assert clip.metadata == {"film": 99}
    kept = Samples(index.kept(["c9"])).modality("video").values
    np.testing.assert_allclose(kept, MADE.samples[[5]].modality("video").values, atol=2e-3)


def test_what_does_not_fit_is_refused_and_nothing_is_written(index, retriever, tmp_path):
    other = FusionRetriever(d_model=8, d_embed=11, n_heads=2, max_epochs=1, reranker=False, seed=1)
    other.fit(MADE.samples, MADE.texts)
    with pytest.raises(InputError, match="was made with another model"):
        ask(index, other, queries=MADE.texts[:1])
    with pytest.raises(InputError, match="was made with another model"):
        fill(index, other, MADE.samples[:1], ["new"])
    with pytest.raises(InputError, match='an added id is new, however: the index holds "c3"'):
        fill(index, retriever, MADE.samples[:2], ["new", "c3"])
    with pytest.raises(InputError, match='update needs ids that the index holds, however: "new" is not there'):
        fill(index, retriever, MADE.samples[:2], ["new", "c3"], update=True)
    with pytest.raises(InputError, match="there is one id for each, however: 1 ids for 2 of them"):
        fill(index, retriever, MADE.samples[:2], ["new"])
    with pytest.raises(InputError, match="there is one metadata for each id, however: 1 for 2 ids"):
        fill(index, retriever, MADE.samples[:2], ["new", "two"], [{}])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(asking, "PIECE", 2)
        with pytest.raises(InputError, match='"film" is a number in this index'):
            fill(index, retriever, MADE.samples[:3], ["new", "two", "three"], [{"film": 1}, {}, {"film": "x"}])
    assert len(index) == N
    for both in ({}, {"queries": MADE.texts[:1], "clips": MADE.samples[:1]}):
        with pytest.raises(InputError, match="either queries ask or clips, however: both or none"):
            ask(index, retriever, **both)
    with pytest.raises(InputError, match="rerank is a number of candidates, 0 for none, however: rerank=-1"):
        ask(index, retriever, queries=MADE.texts[:1], rerank=-1)
    with pytest.raises(InputError, match="k is a whole number above zero, however: k=0"):
        ask(index, retriever, queries=MADE.texts[:1], k=0)


def test_nothing_is_found_where_nothing_is_asked_for(index, retriever):
    assert ask(index, retriever, queries=MADE.texts[:2], where={"film": 1000}) == [[], []]


def test_some_are_taken_of_whatever_form():
    pandas = pytest.importorskip("pandas")
    rows = np.array([2, 0])
    assert taken(["a", "b", "c"], rows) == ["c", "a"]
    assert taken({"t": ["a", "b", "c"], "v": np.arange(3)}, rows)["v"].tolist() == [2, 0]
    assert taken(pandas.DataFrame({"v": [5, 6, 7]}), rows)["v"].tolist() == [7, 5]
    assert len(taken(MADE.samples, [1])) == 1
