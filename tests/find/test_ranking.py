"""Ranking scores: the formulas as loops, trec_eval, scikit-learn and torchmetrics, and what each convention pins."""

import math
import re

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, ndcg_score

from intermodal.errors import DataError, InputError, ShapeError
from intermodal.find.ranking import ranking_scores

GOLDEN = [[0.9, 0.8, 0.7, 0.1], [0.1, 0.2, 0.3, 0.4], [0.5, 0.6, 0.1, 0.2]]
RIGHT = [[True, False, True, False], [True, False, False, False], [False, False, True, True]]


def random_case(seed: int, *, n_queries: int = 23, n_items: int = 31, levels: int | None = None):  # type: ignore[no-untyped-def]
    rng = np.random.default_rng(seed)
    similarity = rng.normal(size=(n_queries, n_items))
    if levels is not None:
        similarity = rng.integers(levels, size=(n_queries, n_items)).astype(float)
    relevant = rng.random((n_queries, n_items)) < 0.15
    relevant[:, 0] |= ~relevant.any(1)
    return similarity, relevant


def test_a_case_worked_by_hand() -> None:
    scores = ranking_scores(GOLDEN, RIGHT)
    # ranks 1, 4, 3; average precision (1 + 2/3) / 2, 1/4, (1/3 + 2/4) / 2
    assert scores["per_query"]["rank"].tolist() == [1, 4, 3]
    assert scores["R@1"] == pytest.approx(1 / 3) and scores["R@5"] == 1.0
    assert scores["MRR"] == pytest.approx((1 + 1 / 4 + 1 / 3) / 3)
    np.testing.assert_allclose(scores["per_query"]["AP"], [5 / 6, 1 / 4, 5 / 12])
    best = 1 + 1 / math.log2(3)
    gains = [(1 + 1 / 2) / best, 1 / math.log2(5), (1 / 2 + 1 / math.log2(5)) / best]
    np.testing.assert_allclose(scores["per_query"]["nDCG@10"], gains)
    assert (scores["median_rank"], scores["mean_rank"], scores["tied"]) == (3.0, pytest.approx(8 / 3), 0.0)


def test_the_formulas_as_a_plain_loop() -> None:
    similarity, relevant = random_case(0)
    scores = ranking_scores(similarity, relevant)["per_query"]
    for i in range(len(similarity)):
        order = sorted(range(similarity.shape[1]), key=lambda n: -similarity[i, n])
        places = [place for place, n in enumerate(order, 1) if relevant[i, n]]
        assert scores["rank"][i] == places[0]
        assert scores["R@5"][i] == (places[0] <= 5) and scores["R@10"][i] == (places[0] <= 10)
        assert scores["AP"][i] == pytest.approx(sum(k / p for k, p in enumerate(places, 1)) / len(places))
        ideal = sum(1 / math.log2(p + 1) for p in range(1, min(10, len(places)) + 1))
        gain = sum(1 / math.log2(p + 1) for p in places if p <= 10) / ideal
        assert scores["nDCG@10"][i] == pytest.approx(gain)


def test_equal_to_scikit_learn_with_ties_too() -> None:
    for levels in (None, 3):
        similarity, relevant = random_case(1, levels=levels)
        scores = ranking_scores(similarity, relevant)["per_query"]
        for i in range(len(similarity)):
            assert scores["AP"][i] == pytest.approx(average_precision_score(relevant[i], similarity[i]))
            assert scores["nDCG@10"][i] == pytest.approx(ndcg_score(relevant[[i]], similarity[[i]], k=10))


def run_and_qrels(similarity, relevant):  # type: ignore[no-untyped-def]
    run = {str(q): {str(n): float(s) for n, s in enumerate(row)} for q, row in enumerate(similarity)}
    return run, {str(q): {str(n): int(r) for n, r in enumerate(row)} for q, row in enumerate(relevant)}


def test_equal_to_trec_eval_where_nothing_is_tied() -> None:
    import pytrec_eval

    similarity, relevant = random_case(2)
    run, qrels = run_and_qrels(similarity, relevant)
    measures = {"map", "recip_rank", "ndcg_cut.10", "success.1,5,10"}
    theirs = pytrec_eval.RelevanceEvaluator(qrels, measures).evaluate(run)
    ours = ranking_scores(similarity, relevant)["per_query"]
    names = {"AP": "map", "RR": "recip_rank", "nDCG@10": "ndcg_cut_10"} | {f"R@{k}": f"success_{k}" for k in (1, 5, 10)}
    for our, their in names.items():
        np.testing.assert_allclose(ours[our], [theirs[str(q)][their] for q in range(len(similarity))], atol=1e-6)


def test_equal_to_ir_measures_means_where_nothing_is_tied() -> None:
    import ir_measures
    from ir_measures import AP, RR, Success, nDCG

    similarity, relevant = random_case(3)
    run, qrels = run_and_qrels(similarity, relevant)
    theirs = ir_measures.calc_aggregate([AP, RR, nDCG @ 10, Success @ 1, Success @ 5], qrels, run)
    ours = ranking_scores(similarity, relevant)
    names = {"mAP": AP, "MRR": RR, "nDCG@10": nDCG @ 10, "R@1": Success @ 1, "R@5": Success @ 5}
    for our, their in names.items():
        assert ours[our] == pytest.approx(theirs[their], abs=1e-6)


def test_equal_to_torchmetrics_where_nothing_is_tied() -> None:
    import torch
    from torchmetrics.functional.retrieval import (
        retrieval_average_precision,
        retrieval_hit_rate,
        retrieval_normalized_dcg,
        retrieval_reciprocal_rank,
    )

    similarity, relevant = random_case(4)
    similarity = np.exp(similarity)  # torchmetrics takes what is not above zero for something not returned
    ours = ranking_scores(similarity, relevant)["per_query"]
    for i in range(len(similarity)):
        scores, right = torch.from_numpy(similarity[i]), torch.from_numpy(relevant[i])
        assert ours["AP"][i] == pytest.approx(float(retrieval_average_precision(scores, right)), abs=1e-5)
        assert ours["RR"][i] == pytest.approx(float(retrieval_reciprocal_rank(scores, right)), abs=1e-5)
        assert ours["R@5"][i] == float(retrieval_hit_rate(scores, right, top_k=5))
        assert ours["nDCG@10"][i] == pytest.approx(float(retrieval_normalized_dcg(scores, right, top_k=10)), abs=1e-5)


def test_the_referees_disagree_on_a_similarity_that_is_the_same_for_all_and_ours_finds_nothing() -> None:
    """One relevant item of seven, all tied: its rank is 4. Others give it the luck of its name or place."""
    import pytrec_eval
    import torch
    from torchmetrics.functional.retrieval import retrieval_reciprocal_rank

    similarity, relevant = np.full((7, 7), 0.5), np.eye(7, dtype=bool)
    scores = ranking_scores(similarity, relevant)
    assert scores["R@1"] == 0.0 and scores["R@5"] == 1.0 and scores["tied"] == 1.0
    assert scores["per_query"]["rank"].tolist() == [4.0] * 7 and scores["MRR"] == 0.25
    assert scores["mAP"] == pytest.approx(1 / 7)
    run, qrels = run_and_qrels(similarity, relevant)
    theirs = pytrec_eval.RelevanceEvaluator(qrels, {"recip_rank"}).evaluate(run)
    assert theirs["6"]["recip_rank"] == 1.0 and theirs["0"]["recip_rank"] == pytest.approx(1 / 7)
    scores, right = torch.from_numpy(similarity), torch.from_numpy(relevant)
    places = [1 / float(retrieval_reciprocal_rank(s, r)) for s, r in zip(scores, right, strict=True)]
    assert sorted(round(place) for place in places) == [1, 2, 3, 4, 5, 6, 7]


def test_a_tie_with_another_right_item_costs_nothing_and_one_with_a_wrong_item_half_a_rank() -> None:
    scores = ranking_scores([[0.7, 0.7, 0.1], [0.7, 0.7, 0.1]], [[True, True, False], [True, False, False]])
    assert scores["per_query"]["rank"].tolist() == [1.0, 1.5]
    assert scores["per_query"]["R@1"].tolist() == [1.0, 0.0] and scores["tied"] == 0.5


def test_rows_say_the_same_as_a_matrix() -> None:
    similarity, _ = random_case(5)
    rows = np.arange(23) % 31
    matrix = np.zeros((23, 31), dtype=bool)
    matrix[np.arange(23), rows] = True
    a, b = ranking_scores(similarity, rows), ranking_scores(similarity, matrix)
    for name in a["per_query"]:
        np.testing.assert_array_equal(a["per_query"][name], b["per_query"][name])


def test_a_query_without_a_right_item_is_reported_apart() -> None:
    whole = ranking_scores(GOLDEN, RIGHT)
    more = ranking_scores([*GOLDEN, [0.1, 0.2, 0.3, 0.4]], [*RIGHT, [False] * 4])
    assert (more["queries"], more["unanswerable"]) == (3, 1)
    assert {k: v for k, v in more.items() if k not in ("per_query", "unanswerable")} == {
        k: v for k, v in whole.items() if k not in ("per_query", "unanswerable")
    }
    assert all(math.isnan(values[3]) and not np.isnan(values[:3]).any() for values in more["per_query"].values())


def test_nothing_to_count_is_nan_and_not_an_error() -> None:
    scores = ranking_scores([[0.5, 0.2]], [[False, False]])
    assert scores["queries"] == 0 and scores["unanswerable"] == 1
    assert all(
        math.isnan(scores[name]) for name in ("R@1", "MRR", "mAP", "nDCG@10", "median_rank", "mean_rank", "tied")
    )


def test_a_query_for_which_nothing_was_returned_counts_as_zero() -> None:
    missing = [-np.inf] * 4
    scores = ranking_scores([*GOLDEN, missing], [*RIGHT, [True, False, False, False]])
    assert (scores["queries"], scores["unanswered"]) == (4, 1)
    whole = ranking_scores(GOLDEN, RIGHT)
    for name in ("R@1", "R@5", "R@10", "MRR", "mAP", "nDCG@10"):
        assert scores[name] == pytest.approx(whole[name] * 3 / 4)
    assert scores["per_query"]["rank"][3] == 2.5


def test_an_item_that_was_not_returned_is_not_found() -> None:
    scores = ranking_scores([[0.9, -np.inf, 0.3, -np.inf]], [[True, True, False, False]])["per_query"]
    assert (scores["rank"][0], scores["AP"][0]) == (1.0, 0.5)
    assert scores["nDCG@10"][0] == pytest.approx(1 / (1 + 1 / math.log2(3)))
    lost = ranking_scores([[0.9, -np.inf]], [1])["per_query"]
    assert (lost["rank"][0], lost["R@5"][0], lost["RR"][0], lost["AP"][0], lost["nDCG@10"][0]) == (2.0, 0, 0, 0, 0)


def test_a_gallery_of_one_item() -> None:
    scores = ranking_scores([[0.3], [-2.0]], [0, 0])
    assert [scores[n] for n in ("R@1", "MRR", "mAP", "nDCG@10", "tied")] == [1, 1, 1, 1, 0]


def test_numbers_far_below_zero_and_of_any_scale_change_nothing() -> None:
    similarity, relevant = random_case(6)
    whole, moved = ranking_scores(similarity, relevant), ranking_scores(1e-3 * similarity - 50, relevant)
    assert [whole[n] for n in ("R@1", "mAP", "nDCG@10")] == [moved[n] for n in ("R@1", "mAP", "nDCG@10")]


@pytest.mark.parametrize(
    ("similarity", "relevant", "kind", "message"),
    [
        ([0.5, 0.2], [0], ShapeError, "similarity is (queries, items), however: similarity.shape=(2,)"),
        (np.zeros((2, 0)), [0, 0], ShapeError, "similarity is (queries, items), however: similarity.shape=(2, 0)"),
        ([[0.5, np.nan]], [0], DataError, "a similarity is a number, however: query 0 has nan for item 1"),
        ([[np.inf, 0.5]], [0], DataError, "a similarity is a number, however: query 0 has inf for item 0"),
        ([[0.5, 0.2]], [2], DataError, "a relevant row is 0 to 1, however: 2"),
        ([[0.5, 0.2]], [-1], DataError, "a relevant row is 0 to 1, however: -1"),
        ([[0.5, 0.2]], [0, 1], ShapeError, "relevant rows are one a query, (1,), however: relevant.shape=(2,)"),
        (
            [[0.5, 0.2]],
            [[True]],
            ShapeError,
            "relevant of bool has the shape (1, 2) of similarity, however: relevant.shape=(1, 1)",
        ),
        (
            [[0.5, 0.2]],
            [[1.0, 0.0]],
            InputError,
            "relevant is bool (queries, items) or rows (queries,), however: relevant.dtype=dtype('float64')",
        ),
    ],
)
def test_what_cannot_be_scored_is_said(similarity, relevant, kind, message: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(kind, match=f"^{re.escape(message)}$"):
        ranking_scores(similarity, relevant)
