"""The parts of a recommender: likes, users, the loss, lists, scores, and what is known of a clip by its name."""

from itertools import permutations
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.sparse import csc_matrix, csr_matrix

from intermodal.data.samples import Samples
from intermodal.errors import DataError, InputError, ShapeError
from intermodal.find.contrast import contrast
from intermodal.find.likes import read_likes, read_rows
from intermodal.find.popularity import NEIGHBOURS, KnownClips, fingerprints
from intermodal.find.recommend_fitting import Lessons, halve
from intermodal.find.recommend_network import prefer
from intermodal.find.recommend_scores import covered, recommendation_scores, table
from intermodal.find.recommend_top import leave_out, top
from intermodal.find.recommend_users import Marks, Users, count_users, read_histories, read_reviews, review_side
from intermodal.find.sides import Read, Side

# --- likes


@pytest.mark.parametrize(
    "liked",
    [
        [[2, 0], [], [1]],
        [np.array([2, 0, 2]), None, (1,)],
        np.array([[1, 0, 1, 0, 0], [0, 0, 0, 0, 0], [0, 1, 0, 0, 0]], dtype=bool),
        np.array([[1, 0, 1, 0, 0], [0, 0, 0, 0, 0], [0, 1, 0, 0, 0]]),
        csc_matrix(np.array([[1.0, 0, 1, 0, 0], [0, 0, 0, 0, 0], [0, 1, 0, 0, 0]])),
        pd.DataFrame([[1, 0, 1, 0, 0], [0, 0, 0, 0, 0], [0, 1, 0, 0, 0]]),
    ],
)
def test_likes_come_in_many_ways(liked: Any) -> None:
    gains = read_likes(liked, 3, 5)
    assert gains.toarray().tolist() == [[1, 0, 1, 0, 0], [0, 0, 0, 0, 0], [0, 1, 0, 0, 0]]
    assert gains.nnz == 3


def test_gains_keep_their_sizes() -> None:
    assert read_likes(np.array([[0.5, 0.0, 2.0]]), 1, 3).toarray().tolist() == [[0.5, 0.0, 2.0]]
    assert read_likes(csr_matrix(([0.0, 2.0], ([0, 0], [1, 2]))), 1, 3).nnz == 1  # a stored zero is no like


@pytest.mark.parametrize(
    ("liked", "error", "message"),
    [
        ([[0], [1]], ShapeError, "^liked has a list for each of 3 users, however: 2 came$"),
        (np.ones((3, 4)), ShapeError, r"^liked has a row for each user and a .*, \(3, 5\), however: \(3, 4\)$"),
        ([[0], [5], [1]], DataError, "^liked holds rows of the clips, 0 to 4, however: user 1 has 5$"),
        ([[0], [-1], [1]], DataError, "however: user 1 has -1$"),
        ([[0], [1.5], [1]], InputError, r"^liked holds rows, whole numbers, however: user 1 has \[1\.5\]$"),
        ([[0], ["a"], [1]], InputError, r"however: user 1 has \['a'\]$"),
        ([[0], [True], [1]], InputError, r"however: user 1 has \[True\]$"),
        ([[], [], None], DataError, "^somebody likes something, however: liked is empty for every user$"),
        (np.zeros((3, 5), dtype=bool), DataError, "^somebody likes something"),
        (np.full((3, 5), np.nan), DataError, "^a gain is a number, 0 or more, however: nan$"),
        (-np.eye(3, 5), DataError, r"^a gain is a number, 0 or more, however: -1\.0$"),
        (np.full((3, 5), "a"), InputError, "^liked as a matrix is bool or gains"),
        ("abc", InputError, "^liked is a list of rows for each user, however: the type is str$"),
        (7, InputError, "^liked is a list of rows for each user, however: the type is int$"),
    ],
)
def test_likes_that_cannot_be_read(liked: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        read_likes(liked, 3, 5)


# --- users


def test_users_are_counted_once() -> None:
    assert count_users(["a", None], None) == count_users(None, [[], [3]]) == count_users(["a", "b"], [[], []]) == 2


@pytest.mark.parametrize(
    ("reviews", "histories", "error", "message"),
    [
        (None, None, InputError, "^users have reviews, histories or both, however: neither was given$"),
        ("i loved it", None, InputError, r"^reviews are a list, one a user, .*; write \['i loved it'\]$"),
        (["a"], [[1], [2]], ShapeError, r"^reviews and histories .*: len\(reviews\)=1, len\(histories\)=2$"),
        ([], None, InputError, "^there is at least one user, however: the list is empty$"),
    ],
)
def test_users_that_are_none(reviews: Any, histories: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        count_users(reviews, histories)


def test_a_review_without_a_known_word_names_its_user() -> None:
    side = review_side(["a seven", "a three"])
    sentence = r'^a review holds a word that .* none of "sieben" is.* \(user 1; None stands for a user without a review'
    with pytest.raises(InputError, match=sentence):
        read_reviews(side, ["seven", "sieben"], "cpu")
    with pytest.raises(InputError, match=r"^a review holds a word, however: ''"):
        read_reviews(side, ["", "seven"], "cpu")
    with pytest.raises(InputError, match=r"^reviews were there in training too, however: .* on histories alone$"):
        read_reviews(None, ["seven"], "cpu")
    assert read_reviews(side, [None, None], "cpu") is None and review_side([None]) is None
    assert len(read_reviews(side, pd.Series(["seven", None, "a"]), "cpu") or ()) == 3


def test_histories_keep_the_latest_and_ratings_stay_beside_them() -> None:
    rows, ratings, marks = read_histories(
        [[4, 1, 3], None, [2]], [[1.0, np.nan, 5.0], [], [3.0]], 3, 5, most=2, marks=None
    )
    assert rows is not None and ratings is not None and marks is not None
    assert [r.tolist() for r in rows] == [[1, 3], [], [2]]
    assert marks == Marks(3.0, pytest.approx(np.std([1.0, 5.0, 3.0])))
    np.testing.assert_allclose(ratings[0], [np.nan, (5 - 3) / marks.spread])
    _, again, _ = read_histories([[0]], [[1.0]], 1, 5, most=2, marks=marks)
    np.testing.assert_allclose(again, [[(1 - 3) / marks.spread]])


@pytest.mark.parametrize(
    ("histories", "ratings", "error", "message"),
    [
        (None, [[1.0]], InputError, "^ratings are those of histories, however: no histories came$"),
        ([[5]], None, DataError, "^histories holds rows of the clips, 0 to 4, however: user 0 has 5$"),
        ([[1], [2]], None, ShapeError, "^histories has a list for each of 1 users, however: 2 came$"),
        ([[1]], [[1.0], [2.0]], ShapeError, "^ratings has a list for each of 1 users, however: 2 came$"),
        ([[1, 2]], [[1.0]], ShapeError, "^ratings lie beside the history, 2 for user 0, however: 1 came$"),
        ([[1]], [[np.inf]], DataError, "^a rating is a number, or NaN for none, however: user 0 has inf$"),
        ([[1]], [["good"]], DataError, r"^a rating is a number, or NaN for none, however: user 0 has \['good'\]$"),
    ],
)
def test_histories_that_cannot_be_read(histories: Any, ratings: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        read_histories(histories, ratings, 1, 5, most=9, marks=None)


def test_a_batch_of_users_is_padded_and_says_what_is_there() -> None:
    review = Read(None, {"review": [np.array([1, 2]), None, np.array([3])]})
    histories = [np.array([4]), np.arange(0), np.array([7, 6, 5])]
    users = Users(review, histories, [np.array([0.5]), np.zeros(0), np.array([np.nan, -1.0, 2.0])], 3)
    batch = users.batch(np.array([2, 0, 1]))
    assert batch.x["review"].tolist() == [[3, 0], [1, 2], [0, 0]]
    assert batch.present["review"].sum(1).tolist() == [1, 2, 0]
    assert batch.clips[batch.there.numpy()].tolist() == [7, 6, 5, 4]
    assert batch.there.tolist() == [[True, True, True], [True, False, False], [False, False, False]]
    assert batch.rated[0].tolist() == [[0.0, 0.0], [-1.0, 1.0], [2.0, 1.0]]
    assert batch.rated[1].tolist() == [[0.5, 1.0], [0.0, 0.0], [0.0, 0.0]]
    assert users.nothing.tolist() == [False, True, False]
    assert users.batch(np.array([1])).x == {}


def test_users_among_known_clips_forget_the_others_and_their_ratings() -> None:
    users = Users(None, [np.array([4, 1, 3])], [np.array([0.1, 0.2, 0.3])], 1)
    fewer = users.among(np.array([True, True, True, True, False]))
    assert fewer.histories is not None and fewer.ratings is not None
    assert fewer.histories[0].tolist() == [1, 3] and fewer.ratings[0].tolist() == [0.2, 0.3]


# --- the loss


def test_the_loss_is_the_formula() -> None:
    torch.manual_seed(0)
    scores, gains = torch.randn(5, 7, dtype=torch.float64), torch.rand(5, 7, dtype=torch.float64)
    gains[torch.rand(5, 7) < 0.5] = 0.0
    counts = torch.rand(5, 7) < 0.8
    gains[3] = 0.0  # nothing liked: left out
    losses = []
    for u in range(5):
        liked = [n for n in range(7) if gains[u, n] > 0 and counts[u, n]]
        wrong = sum(scores[u, n].exp() for n in range(7) if gains[u, n] == 0 and counts[u, n])
        pairs = [gains[u, n] * -torch.log(scores[u, n].exp() / (scores[u, n].exp() + wrong)) for n in liked]
        if liked:
            losses.append(sum(pairs) / sum(gains[u, n] for n in liked))
    assert len(losses) == 4
    torch.testing.assert_close(prefer(scores, gains, counts), sum(losses) / 4)


def test_the_loss_of_likes_without_sizes_is_one_direction_of_the_contrast() -> None:
    torch.manual_seed(0)
    scores, relevant = torch.randn(5, 7), torch.rand(5, 7) < 0.3
    everything = torch.ones(5, 7, dtype=torch.bool)
    both = 0.5 * (prefer(scores, relevant.float(), everything) + prefer(scores.T, relevant.T.float(), everything.T))
    torch.testing.assert_close(both, contrast(scores, relevant))


def test_a_user_who_likes_everything_and_one_who_likes_nothing_leave_finite_gradients() -> None:
    scores = torch.zeros(2, 3, requires_grad=True)
    loss = prefer(scores, torch.tensor([[1.0] * 3, [0.0] * 3]), torch.ones(2, 3, dtype=torch.bool))
    loss.backward()  # type: ignore[no-untyped-call]
    assert loss == 0 and scores.grad is not None and not scores.grad.any()


# --- what is learned from


def test_held_out_users_and_clips_are_not_learned_from() -> None:
    rng = np.random.default_rng(0)
    liked = csr_matrix(rng.random((40, 60)) < 0.3)
    halves = halve(liked, share=0.2, seed=3)
    assert sorted([*halves.users, *halves.held_users]) == list(range(40)) and len(halves.held_users) == 8
    assert sorted([*halves.clips, *halves.ranked]) == list(range(60)) and len(halves.ranked) == 12
    histories = [rng.integers(0, 60, 5) for _ in range(40)]
    users = Users(None, histories, None, 40)
    lessons = Lessons(users, Read(None, {"t": [np.array([1])] * 60}), liked, halves, batch_users=7, batch_clips=13)
    for picked, clips in lessons.epoch(rng):
        assert set(picked) <= set(halves.users) and set(clips) <= set(halves.clips)
        assert len(set(clips)) == len(clips) and (np.diff(clips) > 0).all()
        past = np.concatenate([histories[u] for u in picked])
        assert set(past) & set(halves.clips) <= set(clips)
        assert len(set(picked)) == len(picked) or len(picked) == 7


def test_every_user_with_a_like_is_gone_through() -> None:
    liked = csr_matrix(np.eye(40, 60))
    halves = halve(liked, share=0.2, seed=3)
    lessons = Lessons(
        Users(None, [np.arange(0)] * 40, None, 40),
        Read(None, {"t": [np.array([1])] * 60}),
        liked,
        halves,
        batch_users=7,
        batch_clips=13,
    )
    named = [u for u, _ in lessons.epoch(np.random.default_rng(0))]
    expected = {u for u in halves.users if u in halves.clips}  # user u likes clip u
    assert set(np.concatenate(named[: -(-len(expected) // 7)])) <= expected
    assert set(np.concatenate(named)) == expected
    for users, clips in lessons.epoch(np.random.default_rng(0)):
        assert set(users) & set(expected) <= set(clips)  # each brings a clip that it likes


def test_the_split_of_the_samples_is_honoured() -> None:
    split = np.array(["train"] * 20 + ["valid"] * 10 + ["test"] * 5)
    halves = halve(csr_matrix(np.ones((30, 35))), share=0.2, seed=0, split=split)
    assert halves.clips.tolist() == list(range(20)) and halves.ranked.tolist() == list(range(20, 30))
    alone = halve(csr_matrix(np.ones((30, 35))), share=0.2, seed=0, split=np.where(split == "valid", "train", split))
    assert set(alone.clips) | set(alone.ranked) == set(range(30))


def test_groups_of_clips_stay_together() -> None:
    groups = np.repeat(np.arange(12), 5)
    halves = halve(csr_matrix(np.ones((30, 60))), share=0.2, seed=0, groups=groups)
    assert not set(groups[halves.clips]) & set(groups[halves.ranked])


def test_where_few_held_out_users_like_a_held_out_clip_all_clips_are_ranked() -> None:
    liked = np.zeros((30, 60))
    liked[:, 0] = 1
    halves = halve(csr_matrix(liked), share=0.2, seed=0)
    expected = 12 if 0 in halves.ranked and 0 not in halves.clips else 60
    assert len(halves.ranked) == expected


# --- lists


def test_the_best_come_first_and_of_equals_the_first() -> None:
    rng = np.random.default_rng(0)
    scores = rng.integers(0, 9, (7, 53)).astype(float)
    scores[rng.random(scores.shape) < 0.3] = -np.inf
    for k in (1, 3, 10, 53, 60):
        found = top(scores, k)
        for user in range(7):
            order = sorted((n for n in range(53) if scores[user, n] > -np.inf), key=lambda n: (-scores[user, n], n))
            assert list(found.rows[user]) == order[:k]
            assert list(found.scores[user]) == [scores[user, n] for n in order[:k]]


def test_one_array_where_all_have_as_many_and_a_list_where_not() -> None:
    scores = np.array([[1.0, 2.0, 3.0], [1.0, -np.inf, -np.inf]])
    assert isinstance(top(scores, 1).rows, np.ndarray)
    fewer = top(scores, 2)
    assert isinstance(fewer.rows, list) and [len(r) for r in fewer.rows] == [2, 1]
    assert top(np.full((2, 3), -np.inf), 2).rows.shape == (2, 0)  # type: ignore[union-attr]


@pytest.mark.parametrize("k", [0, -1, 1.5, True, "ten"])
def test_k_is_a_number_of_clips(k: Any) -> None:
    with pytest.raises(InputError, match=r"^k is a whole number above zero, however: k="):
        top(np.zeros((1, 2)), k)


def test_what_was_seen_is_left_out_of_a_copy() -> None:
    scores = np.ones((2, 3))
    left = leave_out(scores, read_rows("seen", [[2, 0], []], 2, 3))
    assert left.tolist() == [[-np.inf, 1, -np.inf], [1, 1, 1]] and (scores == 1).all()


# --- scores


def test_recall_and_hits_are_the_mean_over_all_orders_of_what_is_tied() -> None:
    """Thirteen clips, the last six tied around the tenth place: every order of them, one by one."""
    scores = np.array([9.0, 8, 7, 6, 5, 4, 3, 2, 1, 1, 1, 1, 0])
    relevant = np.zeros(13, dtype=bool)
    relevant[[2, 9, 11, 12]] = True
    recalls = []
    for order in permutations(range(8, 12)):
        placed = [*range(8), *order, 12][:10]
        recalls.append(relevant[placed].sum() / 4)
    found = recommendation_scores(scores[None], relevant[None])
    assert found["recall@10"][0] == pytest.approx(np.mean(recalls))
    assert found["hit@10"][0] == 1.0
    relevant[2] = False
    hits = [float(relevant[[*range(8), *order, 12][:10]].any()) for order in permutations(range(8, 12))]
    assert 0 < np.mean(hits) < 1
    assert recommendation_scores(scores[None], relevant[None])["hit@10"][0] == pytest.approx(np.mean(hits))


def test_a_constant_score_is_as_good_as_luck() -> None:
    rng = np.random.default_rng(0)
    relevant = np.zeros((1, 47), dtype=bool)
    relevant[0, :5] = True
    orders = np.array([rng.permutation(47) for _ in range(1500)])
    lucky = recommendation_scores(orders.astype(float), np.repeat(relevant, 1500, 0))
    constant = recommendation_scores(np.zeros((1, 47)), relevant)
    for name, value in constant.items():
        error = lucky[name].std() / 1500**0.5
        assert abs(value[0] - lucky[name].mean()) < 3 * error, name
    none = np.prod([(42 - i) / (47 - i) for i in range(10)])  # ten draws, none of them one of the five
    assert constant["hit@10"][0] == pytest.approx(1 - none) and constant["recall@10"][0] == pytest.approx(10 / 47)


def test_a_user_who_gets_nothing_counts_as_zero_and_one_who_likes_nothing_not_at_all() -> None:
    scores = np.array([[1.0, 0.0, -np.inf], [-np.inf] * 3, [1.0, 2.0, 3.0]])
    relevant = np.array([[True, False, True], [True, False, False], [False] * 3])
    found = recommendation_scores(scores, relevant)
    assert found["recall@10"].tolist()[:2] == [0.5, 0.0] and found["hit@10"].tolist()[:2] == [1.0, 0.0]
    assert found["nDCG@10"][1] == 0.0 and np.isnan([of[2] for of in found.values()]).all()
    (line,) = table({"a": scores}, relevant, level=0.95, seed=0)
    assert line["recall@10"]["mean"] == 0.25 and line["behind"] is None


def test_coverage_counts_clips_that_somebody_sees() -> None:
    scores = np.zeros((3, 40))
    scores[:, :10] = 1
    assert covered(scores) == 0.25
    scores[2, 30:] = 2
    assert covered(scores) == 0.5
    assert covered(np.zeros((50, 40))) == 1.0  # what is tied is drawn by lot


def test_rankings_stand_beside_the_first() -> None:
    rng = np.random.default_rng(0)
    relevant = rng.random((30, 50)) < 0.2
    lines = table({"right": relevant * 1.0, "luck": np.zeros((30, 50))}, relevant, level=0.9, seed=0)
    assert [line["name"] for line in lines] == ["right", "luck"]
    right, luck = (line["nDCG@10"] for line in lines)
    assert right == pytest.approx({"mean": 1.0, "low": 1.0, "high": 1.0}) and luck["low"] < luck["mean"] < luck["high"]
    assert lines[1]["behind"]["mean"] == pytest.approx(1 - luck["mean"])
    assert lines == table({"right": relevant * 1.0, "luck": np.zeros((30, 50))}, relevant, level=0.9, seed=0)


# --- by name


def clips_of(values: np.ndarray) -> Read:
    samples = Samples({"a": values})
    return Side(*({}, Side.fit(Samples({"a": np.arange(99.0)[:, None]})).preprocessor, None)).read(samples)


def test_clips_are_known_again_by_what_they_hold_in_whatever_row() -> None:
    values = np.arange(7.0)[:, None]
    prints = fingerprints(clips_of(values))
    assert len(set(prints.tolist())) == 7
    order = np.array([3, 0, 6, 1])
    assert fingerprints(clips_of(values[order])).tolist() == prints[order].tolist()


def test_sequences_and_texts_are_part_of_the_print_and_what_is_missing_too() -> None:
    given = {"v": [np.ones((2, 1)), np.ones((3, 1)), None, np.ones((2, 1))], "t": ["a", "a", "a", "b"]}
    prints = fingerprints(Side.fit(given).read(given))
    assert len(set(prints.tolist())) == 4


def test_popularity_counts_users_once() -> None:
    liked = csr_matrix(np.array([[1.0, 0, 3.0], [1.0, 0, 0]]))
    known = KnownClips.of(clips_of(np.arange(3.0)[:, None]), liked, [np.array([0, 1, 1]), np.array([1])])
    new = clips_of(np.array([[2.0], [50.0], [1.0], [0.0]]))
    assert known.popularity(new).tolist() == [1.0, 0.0, 2.0, 2.0]
    assert known.rows(new).tolist() == [2, -1, 1, 0]


def test_liked_together_is_the_cosine_over_users() -> None:
    rng = np.random.default_rng(0)
    marks = (rng.random((23, 11)) < 0.3).astype(float)
    clips = clips_of(np.arange(11.0)[:, None])
    known = KnownClips.of(clips, csr_matrix(marks), None)
    norms = np.linalg.norm(marks, axis=0)
    cosines = marks.T @ marks / np.outer(norms, norms).clip(min=1e-9)
    np.fill_diagonal(cosines, 0.0)
    histories = [np.array([3, 5]), np.arange(0), np.array([7])]
    expected = np.stack([cosines[h].sum(0) for h in histories])
    np.testing.assert_allclose(known.by_past(clips, clips, histories), expected)
    other = clips_of(np.array([[5.0], [77.0], [3.0]]))
    np.testing.assert_allclose(known.by_past(clips, other, [np.array([2, 1, 0])]), expected[:1])
    assert not known.by_past(other, other, histories[1:2]).any()


def test_only_the_closest_neighbours_are_kept() -> None:
    rng = np.random.default_rng(0)
    n = NEIGHBOURS + 23
    marks = csr_matrix((rng.random((97, n)) < 0.5).astype(float))
    known = KnownClips.of(clips_of(np.arange(float(n))[:, None]), marks, None)
    kept = np.diff(known.together.indptr)
    assert kept.min() >= NEIGHBOURS and kept.max() < n - 1
    dense = KnownClips.of(clips_of(np.arange(float(n))[:, None]), marks[:, :], None).together.toarray()
    assert (np.sort(dense, axis=1)[:, -NEIGHBOURS:] > 0).all()
