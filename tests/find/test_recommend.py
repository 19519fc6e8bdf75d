"""The recommender: it learns tastes, keeps its contracts, and refuses in a sentence what it cannot read."""

import warnings
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from sklearn.base import clone

from intermodal.data.samples import Samples
from intermodal.errors import DataError, InputError, ShapeError
from intermodal.find.digit_scenes import digit_clips, digit_reviews
from intermodal.find.loading import load
from intermodal.find.ranking import ranking_scores
from intermodal.find.recommend_fitting import Lessons, halve
from intermodal.find.recommend_mixing import Mix
from intermodal.find.recommender import FusionRecommender

TOPICS = ("cats", "dogs", "trains", "songs", "maps")
SMALL: dict[str, Any] = {
    "d_model": 16,
    "d_embed": 16,
    "n_heads": 2,
    "batch_clips": 64,
    "batch_users": 32,
    "lr": 5e-3,
    "dropout": 0.1,
}


class World(NamedTuple):
    """Clips about two topics each; users who love one and hate another."""

    clips: Samples
    reviews: list[str]
    histories: list[np.ndarray]
    ratings: list[np.ndarray]
    liked: np.ndarray


def world(n_clips: int, n_users: int, seed: int, *, length: int = 4) -> World:
    """Half of a past is about the loved topic, rated 5, half about the hated one, rated 1, in any order."""
    rng = np.random.default_rng(seed)
    about = np.array([rng.permutation(5)[:2] for _ in range(n_clips)])
    look = np.zeros((n_clips, 5), dtype=np.float32)
    np.put_along_axis(look, about, 1.0, 1)
    tastes = np.array([rng.permutation(5)[:2] for _ in range(n_users)])
    liked = np.stack([(look[:, loved] > 0) & (look[:, hated] == 0) for loved, hated in tastes])
    histories, ratings = [], []
    for loved, hated in tastes:
        good = rng.choice(np.flatnonzero((look[:, loved] > 0) & (look[:, hated] == 0)), length // 2)
        bad = rng.choice(np.flatnonzero((look[:, hated] > 0) & (look[:, loved] == 0)), length // 2)
        order = rng.permutation(length)
        histories.append(np.concatenate([good, bad])[order])
        ratings.append(np.array([5.0] * (length // 2) + [1.0] * (length // 2))[order])
    clips = Samples({"look": look + 0.1 * rng.standard_normal(look.shape, dtype=np.float32)})
    reviews = [f"loved the {TOPICS[a]} and hated the {TOPICS[b]}" for a, b in tastes]
    return World(clips, reviews, histories, ratings, liked)


TRAIN, TEST = world(120, 150, 1), world(67, 31, 2)


@pytest.fixture(scope="module")
def by_review() -> FusionRecommender:
    return FusionRecommender(max_epochs=6, **SMALL).fit(TRAIN.clips, reviews=TRAIN.reviews, liked=TRAIN.liked)


@pytest.fixture(scope="module")
def by_both() -> FusionRecommender:
    """Half of the users wrote, half have a past; some both."""
    reviews = [r if i % 3 else None for i, r in enumerate(TRAIN.reviews)]
    histories = [h if i % 3 != 1 else [] for i, h in enumerate(TRAIN.histories)]
    ratings = [r if i % 3 != 1 else [] for i, r in enumerate(TRAIN.ratings)]
    model = FusionRecommender(max_epochs=10, **SMALL)
    return model.fit(TRAIN.clips, reviews=reviews, histories=histories, ratings=ratings, liked=TRAIN.liked)


def gain(scores: np.ndarray, liked: np.ndarray) -> float:
    return float(ranking_scores(scores, liked)["nDCG@10"])


# --- what it learns


def test_new_clips_are_ranked_for_new_users_by_what_they_wrote(by_review: FusionRecommender) -> None:
    scores = by_review.scores(TEST.clips, reviews=TEST.reviews)
    assert gain(scores, TEST.liked) > 0.95
    assert gain(np.zeros_like(scores), TEST.liked) < 0.4


def test_loved_and_hated_are_read_in_their_order(by_review: FusionRecommender) -> None:
    """Turned around, the same words ask for the opposite."""
    turned = [f"loved {r.split(' and hated ')[1]} and hated {r.split(' and ')[0][6:]}" for r in TEST.reviews]
    assert gain(by_review.scores(TEST.clips, reviews=turned), TEST.liked) < 0.2


def test_new_clips_are_ranked_for_new_users_by_their_past(by_both: FusionRecommender) -> None:
    scores = by_both.scores(TEST.clips, histories=TEST.histories, ratings=TEST.ratings)
    assert gain(scores, TEST.liked) > 0.75
    other = world(53, 31, 9)  # the past lies among other clips
    scores = by_both.scores(other.clips, histories=TEST.histories, ratings=TEST.ratings, past=TEST.clips)
    look = other.clips.modality("look").values > 0.5
    tastes = [[TOPICS.index(word) for word in TOPICS_IN(review)] for review in TEST.reviews]
    liked = np.stack([look[:, loved] & ~look[:, hated] for loved, hated in tastes])
    assert gain(scores, liked) > 0.75


def TOPICS_IN(review: str) -> list[str]:
    words = review.split()
    return [words[2], words[6]]


def test_ratings_say_which_of_the_past_was_loved(by_both: FusionRecommender) -> None:
    turned = [6.0 - r for r in TEST.ratings]
    assert gain(by_both.scores(TEST.clips, histories=TEST.histories, ratings=turned), TEST.liked) < 0.2


def test_either_side_of_a_user_may_be_missing_and_both_may_be_there(by_both: FusionRecommender) -> None:
    reviews = [r if i % 2 else None for i, r in enumerate(TEST.reviews)]
    histories = [h if i % 2 == 0 else [] for i, h in enumerate(TEST.histories)]
    ratings = [r if i % 2 == 0 else [] for i, r in enumerate(TEST.ratings)]
    mixed = by_both.scores(TEST.clips, reviews=reviews, histories=histories, ratings=ratings)
    assert gain(mixed, TEST.liked) > 0.75
    written = by_both.scores(TEST.clips, reviews=TEST.reviews)
    past = by_both.scores(TEST.clips, histories=TEST.histories, ratings=TEST.ratings)
    np.testing.assert_allclose(mixed[1::2], written[1::2], atol=1e-4)
    np.testing.assert_allclose(mixed[::2], past[::2], atol=1e-4)


def test_of_whom_nothing_is_known_gets_what_everybody_likes() -> None:
    rng = np.random.default_rng(0)
    look = rng.standard_normal((80, 3)).astype(np.float32)
    liked = np.tile(look[:, 0] > 0.8, (60, 1))  # all like the same
    histories = [rng.integers(0, 80, 3) for _ in range(60)]
    model = FusionRecommender(max_epochs=4, hide=0.2, **SMALL).fit({"a": look}, histories=histories, liked=liked)
    new = rng.standard_normal((40, 3)).astype(np.float32)
    scores = model.scores({"a": new}, histories=[[], [3]])
    assert gain(scores[:1], new[None, :, 0] > 0.8) > 0.9
    np.testing.assert_allclose(model.scores({"a": new}, histories=[None]), scores[:1], atol=1e-4)


def test_a_clip_with_a_modality_missing_is_ranked_as_if_it_never_had_it() -> None:
    rng = np.random.default_rng(0)
    look = TRAIN.clips.modality("look").values
    clips = {"look": list(look), "sound": [rng.standard_normal((3, 2)) if i % 3 else None for i in range(120)]}
    model = FusionRecommender(max_epochs=1, **SMALL).fit(clips, reviews=TRAIN.reviews, liked=TRAIN.liked)
    with_none = model.scores({"look": list(look[:5]), "sound": [np.ones((3, 2))] + [None] * 4}, reviews=["cats"])
    np.testing.assert_allclose(model.scores({"look": look[:5]}, reviews=["cats"])[:, 1:], with_none[:, 1:], atol=1e-5)


def test_clips_may_be_texts_and_reviews_may_be_vectors() -> None:
    titles = [" ".join(np.array(TOPICS)[row > 0.5]) for row in TRAIN.clips.modality("look").values]
    vectors = np.array([[TOPICS.index(w) == i for w in TOPICS_IN(r) for i in range(5)] for r in TRAIN.reviews], float)
    model = FusionRecommender(max_epochs=6, **SMALL).fit({"title": titles}, reviews=vectors, liked=TRAIN.liked)
    assert model.evaluate({"title": titles}, reviews=vectors[:20], liked=TRAIN.liked[:20])["known"] == 120
    assert gain(model.scores({"title": titles}, reviews=vectors), TRAIN.liked) > 0.9
    with pytest.raises(InputError, match="as in training"):
        model.scores({"title": titles}, reviews=["cats"])


def test_digits_from_reviews() -> None:
    """Real frames: a small model already ranks far above chance after a few steps."""
    clips, reviews = digit_clips(150, n_digits=4, frames=24, noise=0.1), digit_reviews(100)
    model = FusionRecommender(d_model=32, d_embed=32, max_epochs=4, batch_clips=64, lr=5e-3, stride=2)
    model.fit(clips.samples, reviews=reviews.texts, liked=reviews.relevant(clips))
    test, others = digit_clips(100, n_digits=4, frames=24, noise=0.1, part="test"), digit_reviews(40, seed=5)
    scores = model.scores(test.samples, reviews=others.texts)
    assert gain(scores, others.relevant(test)) > 2 * gain(np.zeros_like(scores), others.relevant(test))


# --- by name, where asked


def popular_world(seed: int) -> tuple[Samples, list[np.ndarray], list[np.ndarray]]:
    """What a clip shows says nothing; some clips are liked by all, and pairs of clips go together."""
    rng = np.random.default_rng(seed)
    clips = Samples({"a": np.random.default_rng(0).standard_normal((60, 4))})
    weight = np.random.default_rng(1).permutation(60) ** 3.0
    picks = [rng.choice(60, 8, replace=False, p=weight / weight.sum()) for _ in range(120)]
    return clips, [p[:4] for p in picks], [p[4:] for p in picks]


def test_where_popularity_is_the_truth_names_help_and_are_not_lost_to_it() -> None:
    clips, histories, liked = popular_world(3)
    _, new_pasts, new_likes = popular_world(4)
    model = FusionRecommender(max_epochs=2, ids=True, **SMALL).fit(clips, histories=histories, liked=liked)
    lines = {line["name"]: line for line in model.evaluate(clips, histories=new_pasts, liked=new_likes)["table"]}
    assert model.mix_.content < 1 and sum(model.mix_) == 1
    popular, luck = lines["popularity"], lines["random"]
    assert popular["nDCG@10"]["low"] > luck["nDCG@10"]["high"]
    assert popular["behind"]["high"] >= 0 and luck["behind"]["low"] > 0


def test_without_being_asked_a_clip_is_its_content_alone() -> None:
    clips, histories, liked = popular_world(3)
    model = FusionRecommender(max_epochs=1, **SMALL).fit(clips, histories=histories, liked=liked)
    assert model.mix_ == Mix(1.0, 0.0, 0.0)
    order = np.random.default_rng(5).permutation(60)
    scores = model.scores(clips, histories=[[0, 1]])
    shuffled = model.scores(clips[order], histories=[[0, 1]], past=clips)
    np.testing.assert_allclose(shuffled, scores[:, order], atol=1e-4)


def test_of_a_new_clip_the_content_counts_even_where_names_do() -> None:
    clips, histories, liked = popular_world(3)
    model = FusionRecommender(max_epochs=1, ids=True, **SMALL).fit(clips, histories=histories, liked=liked)
    new = Samples({"a": np.random.default_rng(9).standard_normal((7, 4))})
    model.mix_ = Mix(0.0, 1.0, 0.0)  # names alone
    scores = model.scores(new, histories=[[0, 1], [5]], past=clips)
    plain = model.embed_users(histories=[[0, 1], [5]], past=clips) @ model.embed_clips(new).T
    for mixed, content in zip(scores, plain, strict=True):
        assert np.argsort(mixed).tolist() == np.argsort(content).tolist()
    assert np.isfinite(scores).all()


# --- lists


def test_the_past_is_left_out_and_lists_are_sorted(by_both: FusionRecommender) -> None:
    rows, scores = by_both.recommend(TEST.clips, histories=TEST.histories, k=60)
    full = by_both.scores(TEST.clips, histories=TEST.histories)
    for user in range(31):
        assert not set(rows[user]) & set(TEST.histories[user])
        assert (np.diff(scores[user]) <= 0).all()
        np.testing.assert_array_equal(scores[user], full[user, rows[user]])
    back = by_both.recommend(TEST.clips, histories=TEST.histories, k=60, exclude_seen=False)
    assert any(set(back.rows[user]) & set(TEST.histories[user]) for user in range(31))


def test_seen_is_what_the_caller_says(by_review: FusionRecommender) -> None:
    seen = [[0, 5], list(range(67)), []]
    rows, scores = by_review.recommend(TEST.clips, reviews=TEST.reviews[:3], k=67, seen=seen)
    assert [len(r) for r in rows] == [65, 0, 67] == [len(s) for s in scores]
    assert not {0, 5} & set(rows[0])


def test_a_past_among_other_clips_leaves_nothing_out(by_both: FusionRecommender) -> None:
    found = by_both.recommend(TEST.clips, histories=[[1, 2]], past=TRAIN.clips, k=99)
    assert sorted(found.rows[0]) == list(range(67))


def test_fewer_clips_than_asked_for(by_review: FusionRecommender) -> None:
    assert by_review.recommend(TEST.clips[:3], reviews=TEST.reviews, k=10).rows.shape == (31, 3)  # type: ignore[union-attr]


# --- scores


def test_the_scores_with_everything_beside(by_both: FusionRecommender) -> None:
    found = by_both.evaluate(TEST.clips, histories=TEST.histories, ratings=TEST.ratings, liked=TEST.liked)
    assert [line["name"] for line in found["table"]] == ["FusionRecommender", "popularity", "id-only", "random"]
    assert found["clips"] == 67 and found["known"] == 0 and found["users"] + found["unanswerable"] == 31
    scores = by_both.scores(TEST.clips, histories=TEST.histories, ratings=TEST.ratings)
    right = TEST.liked.copy()
    for user, history in enumerate(TEST.histories):
        scores[user, history], right[user, history] = -np.inf, False
    ours, popular, by_id, luck = found["table"]
    assert ours["nDCG@10"]["mean"] == pytest.approx(gain(scores, right))
    assert ours["nDCG@10"]["low"] < ours["nDCG@10"]["mean"] < ours["nDCG@10"]["high"]
    assert popular["nDCG@10"] == by_id["nDCG@10"] == luck["nDCG@10"]  # nothing is known of new clips by name
    assert luck["behind"]["mean"] == pytest.approx(ours["nDCG@10"]["mean"] - luck["nDCG@10"]["mean"])
    again = by_both.score(TEST.clips, histories=TEST.histories, ratings=TEST.ratings, liked=TEST.liked)
    assert again == ours["nDCG@10"]["mean"]


def test_users_who_have_seen_everything_count_as_zero_or_are_told(by_review: FusionRecommender) -> None:
    seen = [list(range(67)), [], []]
    with_seen = by_review.evaluate(TEST.clips, reviews=TEST.reviews[:3], liked=TEST.liked[:3], seen=seen)
    without = by_review.evaluate(TEST.clips, reviews=TEST.reviews[1:3], liked=TEST.liked[1:3])
    assert (with_seen["unanswerable"], with_seen["users"], with_seen["unanswered"]) == (0, 3, 1)
    means = [found["table"][0]["nDCG@10"]["mean"] for found in (with_seen, without)]
    assert means[0] == pytest.approx(means[1] * 2 / 3)


def test_popularity_and_names_are_told_where_clips_are_known(by_both: FusionRecommender) -> None:
    found = by_both.evaluate(TRAIN.clips, histories=TRAIN.histories[:20], liked=TRAIN.liked[:20])
    _, popular, by_id, luck = (line["nDCG@10"]["mean"] for line in found["table"])
    assert found["known"] == 120 and by_id > popular - 0.05 and by_id > luck + 0.2


# --- contracts


def test_a_user_is_answered_alone_as_among_others(by_both: FusionRecommender) -> None:
    together = by_both.scores(TEST.clips, reviews=TEST.reviews, histories=TEST.histories)
    for user in (0, 13, 30):
        alone = by_both.scores(TEST.clips, reviews=[TEST.reviews[user]], histories=[TEST.histories[user]])
        np.testing.assert_allclose(alone[0], together[user], atol=1e-4)


def test_scores_are_the_product_of_the_vectors(by_both: FusionRecommender) -> None:
    users = by_both.embed_users(reviews=TEST.reviews, histories=TEST.histories, past=TEST.clips)
    clips = by_both.embed_clips(TEST.clips)
    scale = float(by_both.network_.log_scale.exp().detach())
    scores = by_both.scores(TEST.clips, reviews=TEST.reviews, histories=TEST.histories)
    np.testing.assert_allclose(scores, scale * users @ clips.T, atol=1e-3)
    np.testing.assert_allclose(np.linalg.norm(clips, axis=1), 1, rtol=1e-5)


def test_only_the_latest_of_a_long_past_count(by_both: FusionRecommender) -> None:
    long = [np.concatenate([np.zeros(9, int), np.arange(20)])]
    np.testing.assert_array_equal(
        by_both.scores(TEST.clips, histories=long), by_both.scores(TEST.clips, histories=[np.arange(20)])
    )


def test_a_saved_recommender_answers_the_same(by_both: FusionRecommender, tmp_path: Path) -> None:
    by_both.save(tmp_path / "m")
    again = load(tmp_path / "m")
    assert type(again) is FusionRecommender and again.get_params() == by_both.get_params()
    users = {"reviews": TEST.reviews, "histories": TEST.histories, "ratings": TEST.ratings}
    np.testing.assert_array_equal(again.scores(TEST.clips, **users), by_both.scores(TEST.clips, **users))
    pasts = {"histories": TRAIN.histories[:9], "liked": TRAIN.liked[:9]}
    assert again.evaluate(TRAIN.clips, **pasts) == by_both.evaluate(TRAIN.clips, **pasts)
    assert again.history_ == by_both.history_ and again.mix_ == by_both.mix_
    with pytest.raises(InputError, match="exists; choose overwrite"):
        by_both.save(tmp_path / "m")


def test_a_recommender_of_vectors_with_names_survives_saving_too(tmp_path: Path) -> None:
    clips, histories, liked = popular_world(3)
    reviews = [np.full((2, 3), float(i)) if i % 2 else None for i in range(120)]
    model = FusionRecommender(max_epochs=1, ids=True, **SMALL)
    model.fit(clips, reviews=reviews, histories=histories, liked=liked).save(tmp_path / "m")
    users = {"reviews": reviews[:5], "histories": histories[:5]}
    np.testing.assert_array_equal(load(tmp_path / "m").scores(clips, **users), model.scores(clips, **users))


def test_the_same_seed_gives_the_same_model_and_another_seed_another() -> None:
    def drawn(seed: int) -> np.ndarray:
        model = FusionRecommender(max_epochs=1, seed=seed, **SMALL)
        return model.fit(TRAIN.clips, reviews=TRAIN.reviews, liked=TRAIN.liked).scores(TEST.clips, reviews=TEST.reviews)

    state = torch.get_rng_state()
    one = drawn(3)
    assert torch.equal(torch.get_rng_state(), state)
    np.testing.assert_array_equal(one, drawn(3))
    assert not np.array_equal(one, drawn(4))


def test_every_parameter_gets_a_gradient(by_both: FusionRecommender) -> None:
    from intermodal.find.recommend_users import Users

    network, clips = by_both.network_, by_both._clips(TRAIN.clips)
    users = by_both._users(TRAIN.reviews, TRAIN.histories, TRAIN.ratings, 120)
    assert isinstance(users, Users)
    liked = __import__("scipy.sparse").sparse.csr_matrix(TRAIN.liked)
    lessons = Lessons(users, clips, liked, halve(liked, share=0.0, seed=0), batch_users=9, batch_clips=31)
    network.train()
    try:
        lessons.loss(network, next(lessons.epoch(np.random.default_rng(0)))).backward()  # type: ignore[no-untyped-call]
        without = [name for name, p in network.named_parameters() if p.grad is None or not p.grad.any()]
    finally:
        network.zero_grad()
        network.eval()
    assert without == []


def test_what_is_in_the_past_teaches_nothing_as_a_right_answer() -> None:
    liked = np.zeros((40, 30), dtype=bool)
    pasts = [[i % 30] for i in range(40)]
    for user, (row,) in enumerate(pasts):
        liked[user, [row, (row + 7) % 30]] = True
    clips = Samples({"a": np.random.default_rng(0).standard_normal((30, 4))})
    with_past = FusionRecommender(max_epochs=1, validation=0.0, **SMALL).fit(clips, histories=pasts, liked=liked)
    for user, (row,) in enumerate(pasts):
        liked[user, row] = False
    without = FusionRecommender(max_epochs=1, validation=0.0, **SMALL).fit(clips, histories=pasts, liked=liked)
    np.testing.assert_allclose(
        with_past.scores(clips, histories=[[3]]), without.scores(clips, histories=[[3]]), atol=1e-5
    )


def test_few_users_and_clips_are_enough() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = FusionRecommender(max_epochs=1, **SMALL).fit({"a": np.eye(3)}, reviews=["one", "two"], liked=[[0], [2]])
    assert model.history_[0]["valid"] is None
    assert model.recommend({"a": np.eye(3)}, reviews=["two"], k=1).rows.shape == (1, 1)  # type: ignore[union-attr]


def test_it_can_be_cloned_and_a_fit_that_fails_leaves_no_model(by_review: FusionRecommender) -> None:
    assert clone(by_review).get_params() == by_review.get_params()
    model = FusionRecommender(max_epochs=1, **SMALL).fit({"a": np.eye(3)}, reviews=["one", "two"], liked=[[0], [2]])
    with pytest.raises(DataError):
        model.fit({"a": np.eye(3)}, reviews=["one", "two"], liked=[[0], [3]])
    with pytest.raises(ValueError, match="not fitted"):
        model.scores({"a": np.eye(3)}, reviews=["one"])


def test_a_spec_of_its_own_for_users_and_for_clips() -> None:
    clips = {"a": np.eye(5), "b": np.eye(5)}
    model = FusionRecommender("history -> review", clip_fusion="a <-> b", max_epochs=1, **SMALL)
    model.fit(clips, reviews=["x"] * 3, histories=[[0], [1], []], liked=[[1], [2], [3]])
    assert str(model.network_.users.network.spec) == "history -> review"
    assert str(model.network_.clips.network.spec) == "a <-> b"
    with pytest.raises(InputError, match='however: "history"'):
        FusionRecommender("history -> review", max_epochs=1, **SMALL).fit(clips, reviews=["x"] * 3, liked=[[1]] * 3)


# --- what cannot be read


def ask(model: FusionRecommender, **users: Any) -> Any:
    return model.recommend(TEST.clips, **users)


@pytest.mark.parametrize(
    ("users", "error", "message"),
    [
        ({}, InputError, "^users have reviews, histories or both, however: neither was given$"),
        ({"reviews": ["sieben"]}, InputError, "^a review holds a word that the model was fitted on, .*user 0"),
        ({"reviews": ["loved", ""]}, InputError, "^a review holds a word, however: ''.*user 1"),
        ({"reviews": "loved the cats"}, InputError, "^reviews are a list, one a user"),
        ({"reviews": np.ones((2, 3))}, InputError, "as in training"),
        ({"histories": [[67]]}, DataError, "^histories holds rows of the clips, 0 to 66, however: user 0 has 67$"),
        ({"histories": [[1]], "reviews": ["cats", "dogs"]}, ShapeError, "^reviews and histories are one a user"),
        ({"histories": [[1, 2]], "ratings": [[1.0]]}, ShapeError, "^ratings lie beside the history, 2 for user 0"),
        ({"histories": [[1]], "ratings": [[np.inf]]}, DataError, "^a rating is a number, or NaN for none"),
        ({"reviews": ["cats"], "k": 0}, InputError, "^k is a whole number above zero, however: k=0$"),
        ({"reviews": ["cats"], "seen": [[67]]}, DataError, "^seen holds rows of the clips, 0 to 66"),
        ({"reviews": ["cats"], "seen": [[1], [2]]}, ShapeError, "^seen has a list for each of 1 users, however: 2"),
        ({"reviews": ["cats"], "seen": [[1]], "exclude_seen": False}, InputError, "^seen clips are left out"),
    ],
)
def test_questions_that_cannot_be_asked(
    by_both: FusionRecommender, users: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        ask(by_both, **users)


def test_what_training_did_not_have(by_review: FusionRecommender) -> None:
    with pytest.raises(InputError, match=r"^histories were there in training too, however: .* on reviews alone$"):
        ask(by_review, histories=[[1]])
    by_past = FusionRecommender(max_epochs=1, **SMALL).fit({"a": np.eye(5)}, histories=[[0], [1]], liked=[[1], [2]])
    with pytest.raises(InputError, match=r"^reviews were there in training too, however: .* on histories alone$"):
        by_past.recommend({"a": np.eye(5)}, reviews=["cats"])
    with pytest.raises(InputError, match=r"^ratings were there in training too, however: .* was fitted without$"):
        by_past.recommend({"a": np.eye(5)}, histories=[[0]], ratings=[[1.0]])
    with pytest.raises(DataError, match='however: "b"'):
        by_past.recommend({"b": np.eye(5)}, histories=[[0]])
    with pytest.raises(DataError, match='"a" has 5 columns as in training, however: it has 4'):
        by_past.recommend({"a": np.eye(4)}, histories=[[0]])


def test_nobody_to_learn_from() -> None:
    clips = Samples({"a": np.eye(5)}, split=["train"] * 4 + ["test"])
    with pytest.raises(DataError, match=r"^a user that is learned from likes a clip that is .* none does$"):
        FusionRecommender(max_epochs=1, **SMALL).fit(clips, reviews=["a", "b"], liked=[[4], [4]])


def test_nan_ratings_are_clips_that_were_not_rated(by_both: FusionRecommender) -> None:
    none = by_both.scores(TEST.clips, histories=[[1, 2]], ratings=[[np.nan, np.nan]])
    np.testing.assert_array_equal(none, by_both.scores(TEST.clips, histories=[[1, 2]]))


def test_all_wrong_parameters_are_told_at_once() -> None:
    with pytest.raises(InputError) as told:
        wrong: Any = {"d_model": 0, "dropout": 1.0, "ids": "yes", "max_history": 2.5, "lr": 0, "weight_decay": -1}
        FusionRecommender(**wrong).fit({"a": np.eye(3)}, reviews=["a"], liked=[[0]])
    assert str(told.value).split("\n") == [
        "d_model is a whole number above zero, however: d_model=0",
        "max_history is a whole number above zero, however: max_history=2.5",
        "dropout lies in [0, 1), however: dropout=1.0",
        "lr is a number above zero, however: lr=0",
        "weight_decay is a number, 0 or more, however: weight_decay=-1",
        "ids is True or False, however: ids='yes'",
    ]
    for settings, message in (
        ({"encoder": "cnv"}, 'encoder is linear, conv, centred or gru, however: "cnv"; did you mean "conv"'),
        ({"stride": 0}, 'stride is "auto" or a whole number above zero, however: stride=0'),
        ({"d_model": 6, "n_heads": 4}, "d_model must be divisible by n_heads"),
        ({"device": "abacus"}, "device is "),
    ):
        with pytest.raises(InputError, match=message):
            FusionRecommender(**settings).fit({"a": np.eye(3)}, reviews=["a"], liked=[[0]])  # type: ignore[arg-type]
