"""The retriever: what it promises of its embeddings, its ranks and its files, and what it refuses."""

import re
from pathlib import Path

import numpy as np
import pytest
import torch

from intermodal.data.samples import Samples
from intermodal.errors import DataError, InputError, ShapeError
from intermodal.find.digit_scenes import digit_clips
from intermodal.find.loading import load
from intermodal.find.retriever import FusionRetriever
from intermodal.find.retriever_saving import config_of, tensors_of

SMALL = {"d_model": 16, "d_embed": 11, "n_heads": 2, "max_epochs": 2, "batch_size": 16, "seed": 3, "device": "cpu"}
MADE = digit_clips(67, frames=13, noise=0.1, seed=5)
TEST = digit_clips(23, frames=13, noise=0.1, seed=6)


def fitted(**parameters) -> FusionRetriever:  # type: ignore[no-untyped-def]
    return FusionRetriever(**(SMALL | parameters)).fit(MADE.samples, MADE.texts)


@pytest.fixture(scope="module")
def model() -> FusionRetriever:
    return fitted(reranker=True)


def many_sides(n: int = 41, seed: int = 0):  # type: ignore[no-untyped-def]
    """Clips with a video, a sound that is sometimes missing, and a title; queries with a text and an image."""
    rng = np.random.default_rng(seed)
    meaning = rng.normal(size=(n, 3))
    video = [
        np.repeat(m[None], t, 0) + 0.1 * rng.normal(size=(t, 3))
        for m, t in zip(meaning, rng.integers(3, 8, n), strict=True)
    ]
    sound = [None if i % 5 == 2 else m[:2] for i, m in enumerate(meaning)]
    title = [None if i % 7 == 3 else f"clip {'up' if m[0] > 0 else 'down'}" for i, m in enumerate(meaning)]
    words = [None if i % 6 == 1 else f"go {'up' if m[0] > 0 else 'down'}" for i, m in enumerate(meaning)]
    image = [None if i % 4 == 3 else m for i, m in enumerate(meaning)]
    return {"title": title, "video": video, "sound": sound}, {"words": words, "image": image}


def test_embeddings_are_of_unit_length_and_the_similarity_is_their_product(model: FusionRetriever) -> None:
    clips, queries = model.embed_clips(TEST.samples), model.embed_queries(TEST.texts)
    for vectors in (clips, queries):
        assert vectors.dtype == np.float32 and vectors.shape == (23, 11)
        np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    expected = [[float(np.dot(q, c)) for c in clips] for q in queries]
    np.testing.assert_allclose(model.similarity(TEST.texts, TEST.samples, rerank=False), expected, atol=1e-6)


def test_a_clip_and_a_query_are_embedded_alone_as_in_company(model: FusionRetriever) -> None:
    rows = [4, 19, 0]
    together = model.embed_clips(TEST.samples)
    for row in rows:
        np.testing.assert_allclose(model.embed_clips(TEST.samples[[row]])[0], together[row], atol=2e-6)
        alone = model.embed_queries([TEST.texts[row]])[0]
        np.testing.assert_allclose(alone, model.embed_queries(TEST.texts)[row], atol=2e-6)


def test_padding_on_either_side_changes_nothing(model: FusionRetriever) -> None:
    video = np.stack([TEST.samples.modality("video").values.reshape(23, 13, 64)[i] for i in range(5)])
    there = np.ones((5, 13), dtype=bool)
    plain = model.embed_clips({"video": video})
    from intermodal.data.packing import pack

    for left, right in ((0, 4), (3, 0), (2, 5)):
        padded = np.pad(video, ((0, 0), (left, right), (0, 0)), constant_values=7.0)
        keep = np.pad(there, ((0, 0), (left, right)))
        shifted = Samples({"video": pack("video", padded, present=keep)})
        np.testing.assert_allclose(model.embed_clips(shifted), plain, atol=2e-6)
        rows = np.arange(5)[:, None]
        said = model.cross_scores(TEST.texts[:5], shifted, rows)
        np.testing.assert_allclose(said, model.cross_scores(TEST.texts[:5], {"video": video}, rows), atol=2e-5)


def test_a_modality_that_is_missing_is_as_if_it_had_never_been_there() -> None:
    clips, queries = many_sides()
    model = FusionRetriever(**SMALL, reranker=True).fit(clips, queries)
    some = {name: values[:5] for name, values in clips.items()}
    absent = some | {"sound": [None] * 5}
    with pytest.warns(UserWarning, match="left out"):
        missing = model.embed_clips(absent)
    without = model.embed_clips({"title": some["title"], "video": some["video"]})
    np.testing.assert_allclose(missing, without, atol=2e-6)
    asked = {name: values[:5] for name, values in queries.items()}
    alone = model.embed_queries({"words": [w or "up" for w in asked["words"]]})
    assert alone.shape == (5, 11) and np.isfinite(alone).all()
    row = 1  # its words are missing
    np.testing.assert_allclose(
        model.embed_queries({"image": [asked["image"][row]]})[0], model.embed_queries(asked)[row], atol=2e-6
    )
    scores = model.similarity(asked, some, rerank=True)
    assert scores.shape == (5, 5) and np.isfinite(scores).all()


def test_the_same_seed_gives_the_same_model_bit_for_bit_and_another_seed_another(model: FusionRetriever) -> None:
    again = fitted(reranker=True)
    assert again.fingerprint == model.fingerprint
    assert (again.similarity(TEST.texts, TEST.samples) == model.similarity(TEST.texts, TEST.samples)).all()
    assert fitted(reranker=False, seed=4).fingerprint != fitted(reranker=False).fingerprint


def test_fitting_leaves_the_luck_of_others_alone() -> None:
    torch.manual_seed(11)
    expected = torch.rand(3)
    torch.manual_seed(11)
    fitted(max_epochs=1)
    assert (torch.rand(3) == expected).all()


def test_saved_and_loaded_it_answers_the_same(model: FusionRetriever, tmp_path: Path) -> None:
    model.save(tmp_path / "m")
    loaded = load(tmp_path / "m")
    assert loaded.embed_queries(["six"]).shape == (1, 11)  # one word, first of all
    assert loaded.fingerprint == model.fingerprint
    assert loaded.history_ == model.history_ and loaded.rerank_kept_ == model.rerank_kept_
    for rerank in (False, True):
        for side in ("clips", "queries"):
            ours, theirs = (m.rank(TEST.texts, TEST.samples, k=7, side=side, rerank=rerank) for m in (model, loaded))
            assert (ours.rows == theirs.rows).all() and (ours.scores == theirs.scores).all()


def test_many_modalities_are_saved_too(tmp_path: Path) -> None:
    clips, queries = many_sides()
    model = FusionRetriever({"clips": "video -> sound", "queries": "cross"}, **SMALL).fit(clips, queries)
    model.save(tmp_path / "m")
    loaded = load(tmp_path / "m")
    assert (loaded.similarity(queries, clips) == model.similarity(queries, clips)).all()


def test_a_weight_that_changes_changes_the_fingerprint(tmp_path: Path, model: FusionRetriever) -> None:
    model.save(tmp_path / "m")
    loaded = load(tmp_path / "m")
    with torch.no_grad():
        loaded.towers_.clips.head.bias[0] += 1e-3
    assert loaded.fingerprint != model.fingerprint
    loaded = load(tmp_path / "m")
    loaded.set_params(top_k=7, patience=99)  # the embeddings stay as they are
    assert loaded.fingerprint == model.fingerprint
    loaded.set_params(n_heads=4)
    assert loaded.fingerprint != model.fingerprint


@pytest.mark.parametrize("side", ["clips", "queries"])
def test_rank_gives_the_best_of_the_similarity_in_order(model: FusionRetriever, side) -> None:  # type: ignore[no-untyped-def]
    for rerank in (False, True):
        scores = model.similarity(TEST.texts, TEST.samples, rerank=rerank, side=side)
        scores = scores if side == "clips" else scores.T
        ranked = model.rank(TEST.texts, TEST.samples, k=5, side=side, rerank=rerank)
        assert ranked.rows.shape == ranked.scores.shape == (23, 5)
        np.testing.assert_allclose(ranked.scores, -np.sort(-scores, axis=1)[:, :5], atol=1e-5)
        np.testing.assert_allclose(np.take_along_axis(scores, ranked.rows, 1), ranked.scores, atol=1e-5)
        assert model.rank(TEST.texts, TEST.samples, k=1000, side=side).rows.shape == (23, 23)


def test_reranked_candidates_stand_above_all_others_whose_order_stays(model: FusionRetriever) -> None:
    few = FusionRetriever.restored(config_of(model), tensors_of(model))
    few.top_k = 4
    plain = few.similarity(TEST.texts, TEST.samples, rerank=False)
    fused = few.similarity(TEST.texts, TEST.samples, rerank=True)
    for before, after in zip(plain, fused, strict=True):
        best = np.argsort(-before)[:4]
        others = np.setdiff1d(np.arange(23), best)
        assert after[best].min() > after[others].max()
        assert (np.argsort(after[others]) == np.argsort(before[others])).all()


def test_rerank_is_the_similarity_and_the_weighted_opinion(model: FusionRetriever) -> None:
    for side in ("clips", "queries"):
        scores = model.similarity(TEST.texts, TEST.samples, rerank=False)
        scores = scores if side == "clips" else scores.T
        rows = np.argsort(-scores, axis=1)[:, :3]
        rows[2, 1] = -1
        found = np.take_along_axis(scores, rows, 1)
        said = model.cross_scores(TEST.texts, TEST.samples, rows, side=side)
        weight = model.rerank_kept_[side]["weight"]
        expected = np.where(rows < 0, -np.inf, found + weight * said)
        again = model.rerank(TEST.texts, TEST.samples, rows, found, side=side)
        np.testing.assert_allclose(again, expected, rtol=1e-5)
        assert said[2, 1] == -np.inf and weight > 0


def test_the_candidates_alone_are_enough_to_rerank(model: FusionRetriever) -> None:
    rows = np.array([[3, 9], [9, 20]])
    whole = model.cross_scores(TEST.texts[:2], TEST.samples, rows)
    part = model.cross_scores(TEST.texts[:2], TEST.samples[[3, 9, 20]], np.array([[0, 1], [1, 2]]))
    np.testing.assert_allclose(part, whole, atol=2e-5)


def test_where_it_is_not_kept_the_scores_stay_as_they_are(model: FusionRetriever) -> None:
    plain = FusionRetriever.restored(config_of(model), tensors_of(model))
    plain.rerank_kept_ = {side: kept | {"kept": False} for side, kept in model.rerank_kept_.items()}
    rows, scores = np.array([[1, 2]]), np.array([[0.5, 0.25]], dtype=np.float32)
    assert (plain.rerank(TEST.texts[:1], TEST.samples, rows, scores) == scores).all()
    assert (plain.rerank(TEST.texts[:1], TEST.samples, rows, scores, rerank=True) != scores).any()


def test_score_is_the_share_of_queries_whose_best_clip_is_right(model: FusionRetriever) -> None:
    scores = model.similarity(TEST.texts, TEST.samples)
    assert model.score(TEST.samples, TEST.texts) == np.mean(scores.argmax(1) == np.arange(23))
    scores = model.similarity(TEST.texts, TEST.samples, side="queries")
    assert model.score(TEST.samples, TEST.texts, side="queries") == np.mean(scores.argmax(0) == np.arange(23))


def test_it_learns_what_belongs_together() -> None:
    rng = np.random.default_rng(0)
    meaning = rng.normal(size=(240, 5))
    clips = {"a": meaning @ rng.normal(size=(5, 7)), "b": 0.01 * rng.normal(size=(240, 3))}
    queries = {"c": meaning @ rng.normal(size=(5, 11))}
    model = FusionRetriever(reranker=False, max_epochs=30, d_model=16, n_heads=2, seed=1)
    model.fit({n: v[:200] for n, v in clips.items()}, {"c": queries["c"][:200]})
    held = {n: v[200:] for n, v in clips.items()}, {"c": queries["c"][200:]}
    assert model.score(*held) > 0.7 and model.score(*held, side="queries") > 0.7


def test_history_says_what_happened_and_the_callback_hears_it() -> None:
    heard: list[dict[str, object]] = []
    model = fitted(callback=heard.append, max_epochs=2)
    assert heard == model.history_
    assert {line["part"] for line in heard} == {"towers", "reranker"}
    assert {"epoch", "train_loss", "valid", "seconds", "best", "part"} <= set(heard[0])


def test_several_queries_a_clip_and_clips_without_a_query() -> None:
    clips = np.array([0, 0, 5, 5, 9, *range(11, 40)])
    texts = [MADE.texts[row] for row in clips]
    model = FusionRetriever(**SMALL, reranker=True).fit(MADE.samples, texts, clips=clips)
    assert model.similarity(texts, MADE.samples).shape == (34, 67)


def test_relevance_may_be_a_matrix_over_any_clips() -> None:
    """Reviews: "with a three" fits every clip with a three."""
    names = ["zero", "one", "two", "three", "four", "five"]
    queries = [f"with a {name}" for name in names]
    right = np.array([[digit in digits for digits in MADE.digits] for digit in range(6)])
    model = FusionRetriever(**SMALL, reranker=True).fit(MADE.samples, queries, relevant=right)
    assert 0 <= model.score(MADE.samples, queries, relevant=right) <= 1


def test_clips_kept_for_the_test_teach_nothing() -> None:
    split = np.array(["train"] * 40 + ["valid"] * 10 + ["test"] * 17)
    video = MADE.samples.modality("video").values.reshape(67, 13, 64).copy()
    spoilt = video.copy()
    spoilt[50:] = 100.0
    prints = [
        FusionRetriever(**SMALL, reranker=False).fit(Samples({"video": v}, split=split), MADE.texts).fingerprint
        for v in (video, spoilt)
    ]
    assert prints[0] == prints[1]


WRONG = [
    (
        lambda: FusionRetriever(**SMALL).fit(MADE.samples, MADE.texts[:3]),
        DataError,
        "each clip has one query, in order, unless clips or relevant says more, however: 67 clips and 3 queries",
    ),
    (
        lambda: FusionRetriever(**SMALL).fit(MADE.samples, MADE.texts[:3], clips=[0, 1, 67]),
        DataError,
        "a clip is a row from 0 to 66, however: query 2 names 67",
    ),
    (
        lambda: FusionRetriever(**SMALL).fit(MADE.samples, MADE.texts[:3], clips=[0, 1]),
        ShapeError,
        "clips are rows, one a query, (3,), however: clips.shape=(2,), clips.dtype=dtype('int64')",
    ),
    (
        lambda: FusionRetriever(**SMALL).fit(MADE.samples, []),
        InputError,
        "there is at least one query, however: the list is empty",
    ),
    (
        lambda: FusionRetriever(**SMALL).fit(MADE.samples, "a six"),
        InputError,
        "a list is searched, however: one text was given; write ['a six']",
    ),
    (
        lambda: FusionRetriever(**SMALL).fit(MADE.samples, MADE.texts, relevant=np.zeros((67, 67), dtype=bool)),
        DataError,
        "some clip is right for some query, however: relevant is False everywhere",
    ),
    (
        lambda: FusionRetriever(**SMALL).fit(MADE.samples, MADE.texts, relevant=np.ones((67, 67))),
        InputError,
        "relevant is a pair of arrays, the classes of queries and clips, or bool (queries, clips), however: "
        "matrix.dtype=dtype('float64'), matrix.shape=(67, 67)",
    ),
    (
        lambda: FusionRetriever(**SMALL).fit(MADE.samples, MADE.texts, relevant=(np.zeros(67), np.zeros(5))),
        ShapeError,
        "classes are one a query and one a clip, (67,) and (67,), however: (67,) and (5,)",
    ),
    (
        lambda: FusionRetriever(**SMALL).fit(MADE.samples, MADE.texts, relevant=(np.zeros(67), np.ones(67))),
        DataError,
        "queries and clips share a class, however: they have none in common",
    ),
    (
        lambda: FusionRetriever(**SMALL).fit(MADE.samples, MADE.texts, groups=[1, 2]),
        DataError,
        "groups name one group for each clip, however: len(groups)=2, clips=67",
    ),
    (
        lambda: fitted(d_model=0, dropout=1.5, reranker="yes", lr=0, stride="x", weight_decay=-1),
        InputError,
        "d_model is a whole number above zero, however: d_model=0\ndropout lies in [0, 1), however: dropout=1.5\n"
        "lr is a number above zero, however: lr=0\n"
        "weight_decay is a number, 0 or more, however: weight_decay=-1\n"
        "stride is \"auto\" or a whole number above zero, however: stride='x'\n"
        "reranker is \"auto\", True or False, however: reranker='yes'",
    ),
    (
        lambda: fitted(fusion={"clip": "self"}),
        InputError,
        'fusion names sides, however: "clip"; did you mean "clips"?',
    ),
]


@pytest.mark.parametrize(("call", "kind", "message"), WRONG)
def test_what_cannot_be_fitted_is_said(call, kind, message: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(kind, match=f"^{re.escape(message)}$"):
        call()


ASKED_WRONG = [
    (
        lambda m: m.embed_queries(["wann kommt die sieben"]),
        InputError,
        "a query holds a word that the model was fitted on, however: none of ",
    ),
    (lambda m: m.embed_queries([""]), InputError, "a query holds a word, however: ''"),
    (lambda m: m.embed_queries([]), InputError, "there is at least one query, however: the list is empty"),
    (
        lambda m: m.embed_queries("a six"),
        InputError,
        "a list is searched, however: one text was given; write ['a six']",
    ),
    (
        lambda m: m.embed_queries(np.ones((2, 5))),
        InputError,
        '"query" holds texts, as in training, however: they are vectors',
    ),
    (
        lambda m: m.embed_queries({"image": np.ones((2, 5))}),
        DataError,
        'a side holds the modalities of training, however: "image"; known: "query"',
    ),
    (
        lambda m: m.embed_clips({"video": np.ones((2, 13, 63))}),
        DataError,
        '"video" has 64 columns as in training, however: it has 63',
    ),
    (
        lambda m: m.embed_clips({"video": np.ones((2, 64))}),
        DataError,
        '"video" is a sequence as in training, however: it came as a vector',
    ),
    (
        lambda m: m.embed_clips({"video": ["a", "b"]}),
        InputError,
        '"video" holds vectors, as in training, however: they are texts',
    ),
    (lambda m: m.embed_clips({"video": np.full((2, 3, 64), np.inf)}), DataError, ""),
    (
        lambda m: m.embed_clips({"vidoe": np.ones((2, 3, 64))}),
        DataError,
        'a side holds the modalities of training, however: "vidoe"; did you mean "video"?',
    ),
    (lambda m: m.rank(TEST.texts, TEST.samples, k=0), InputError, "k is a whole number above zero, however: k=0"),
    (
        lambda m: m.rank(TEST.texts, TEST.samples, side="clip"),
        InputError,
        'side is "clips" or "queries", however: side=\'clip\'; did you mean "clips"?',
    ),
    (
        lambda m: m.cross_scores(TEST.texts[:1], TEST.samples, [[23]]),
        DataError,
        "a candidate is 0 to 22, or -1 for none, however: 23",
    ),
    (
        lambda m: m.cross_scores(TEST.texts[:1], TEST.samples, [[-2]]),
        DataError,
        "a candidate is 0 to 22, or -1 for none, however: -2",
    ),
    (
        lambda m: m.cross_scores(TEST.texts[:2], TEST.samples, [[0]]),
        ShapeError,
        "rows are (2, candidates), however: rows.shape=(1, 1)",
    ),
    (
        lambda m: m.rerank(TEST.texts[:1], TEST.samples, [[0]], [[0.5, 0.1]]),
        ShapeError,
        "rows and scores are (queries, candidates), however: rows.shape=(1, 1), scores.shape=(1, 2)",
    ),
]


@pytest.mark.parametrize(("ask", "kind", "message"), ASKED_WRONG)
def test_what_cannot_be_asked_is_said(model: FusionRetriever, ask, kind, message: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(kind, match="^" + re.escape(message)):
        ask(model)


def test_without_a_reranker_nobody_can_ask_it() -> None:
    plain = fitted(reranker=False, max_epochs=1)
    assert plain.similarity(TEST.texts, TEST.samples).shape == (23, 23)
    with pytest.raises(InputError, match=r"^the retriever was fitted with a reranker, however: reranker=False$"):
        plain.rank(TEST.texts, TEST.samples, rerank=True)


def test_a_fit_that_breaks_off_leaves_no_model() -> None:
    model = fitted(reranker=False, max_epochs=1)

    def stop(line: dict[str, object]) -> None:
        raise KeyboardInterrupt

    model.callback = stop
    with pytest.raises(KeyboardInterrupt):
        model.fit(MADE.samples, MADE.texts)
    assert not hasattr(model, "towers_")
