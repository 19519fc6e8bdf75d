"""How well a ranking finds what is right: recall, rank, average precision and gain, with ties counted honestly.

Shapes: Q queries, N items.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.metrics import dcg_score

from intermodal.errors import DataError, InputError, ShapeError

CUTS = (1, 5, 10)
"""K of every R@K."""
GAIN = 10
"""Places that count for nDCG."""


def ranking_scores(similarity: Any, relevant: Any) -> dict[str, Any]:
    """Score a ranking of N items for each of Q queries.

    The rank of a query is that of its best relevant item: 1, and 1 for every item that is strictly better, and a half
    for every wrong item that is exactly as good. So a similarity that is the same for all finds nothing.

    Args:
        similarity: (Q, N), higher is better. An item at minus infinity was not returned: it is found at no rank, and
            a query whose items all are counts as 0 in every mean.
        relevant: which items are right: (Q, N) bool, or (Q,) the row of the only one.

    Returns:
        A dict of shares from 0 to 1, and ranks.
        `queries`: those that count; `unanswerable`: those without a relevant item, which do not count; `unanswered`:
        those that count but for which nothing was returned. `R@1`, `R@5`, `R@10`: the share of queries whose rank is
        at most K. `MRR`: the mean of 1 / rank. `mAP`: mean average precision, ties as one step. `nDCG@10`: ties as
        their mean. `median_rank`, `mean_rank`: an item that was not returned has the mean rank of all that were not.
        `tied`: the share of queries whose best relevant item is exactly as good as a wrong one. `per_query`: (Q,)
        arrays `rank`, `R@1` ..., `RR`, `AP`, `nDCG@10`, NaN where a query does not count. Without a query that counts,
        the scores are NaN.

    Raises:
        ShapeError: the shapes do not belong together.
        DataError: a similarity is NaN or plus infinity, or a row is not there.
        InputError: `relevant` is neither bool nor rows.

    Source: Voorhees 1999, The TREC-8 Question Answering Track (MRR); Järvelin and Kekäläinen 2002 (nDCG), with the ties
    of McSherry and Najork 2008.

    Relation: equal to trec_eval's `success_K`, `recip_rank`, `map` and `ndcg_cut_10` where nothing is tied; trec_eval
    breaks a tie by the name of the item. `average_precision_score` and `ndcg_score` of scikit-learn are equal with ties
    too.

    Example:
        >>> scores = ranking_scores([[0.9, 0.1, 0.3], [0.2, 0.4, 0.8]], [0, 1])
        >>> scores["R@1"], scores["MRR"], scores["per_query"]["rank"].tolist()
        (0.5, 0.75, [1.0, 2.0])
    """
    similarity, relevant = _checked(similarity, relevant)
    counts = relevant.any(1)
    returned = similarity > -np.inf
    rank, tied = _ranks(similarity, relevant)
    found = (relevant & returned).any(1)
    per_query = {f"R@{k}": ((rank <= k) & found).astype(np.float64) for k in CUTS}
    per_query |= {"RR": found / np.where(counts, rank, 1.0)}
    per_query |= {"AP": average_precision(similarity, relevant), f"nDCG@{GAIN}": _gain(similarity, relevant)}
    per_query = {name: np.where(counts, values, np.nan) for name, values in ({"rank": rank} | per_query).items()}
    kept = {name: values[counts] for name, values in per_query.items()}
    scores = {"queries": int(counts.sum()), "unanswerable": int((~counts).sum())}
    scores["unanswered"] = int((counts & ~returned.any(1)).sum())
    means = {name: _mean(kept[name]) for name in (*(f"R@{k}" for k in CUTS), "RR", "AP", f"nDCG@{GAIN}")}
    named = {"RR": "MRR", "AP": "mAP"}
    return {
        **scores,
        **{named.get(name, name): value for name, value in means.items()},
        "median_rank": float(np.median(kept["rank"])) if counts.any() else float("nan"),
        "mean_rank": _mean(kept["rank"]),
        "tied": _mean(tied[counts].astype(np.float64)),
        "per_query": per_query,
    }


def _checked(similarity: Any, relevant: Any) -> tuple[np.ndarray, np.ndarray]:
    similarity = np.asarray(similarity, dtype=np.float64)
    if similarity.ndim != 2 or 0 in similarity.shape:
        raise ShapeError(f"similarity is (queries, items), however: {similarity.shape=}")
    broken = np.isnan(similarity) | (similarity == np.inf)
    if broken.any():
        query, item = np.argwhere(broken)[0]
        value = similarity[query, item]
        raise DataError(f"a similarity is a number, however: query {query} has {value} for item {item}")
    relevant = np.asarray(relevant)
    if relevant.dtype == bool:
        if relevant.shape != similarity.shape:
            raise ShapeError(
                f"relevant of bool has the shape {similarity.shape} of similarity, however: {relevant.shape=}"
            )
        return similarity, relevant
    if relevant.dtype.kind not in "iu":
        raise InputError(f"relevant is bool (queries, items) or rows (queries,), however: {relevant.dtype=}")
    n_queries, n_items = similarity.shape
    if relevant.shape != (n_queries,):
        raise ShapeError(f"relevant rows are one a query, ({n_queries},), however: {relevant.shape=}")
    outside = (relevant < 0) | (relevant >= n_items)
    if outside.any():
        raise DataError(f"a relevant row is 0 to {n_items - 1}, however: {relevant[outside][0]}")
    return similarity, relevant[:, None] == np.arange(n_items)


def _ranks(similarity: np.ndarray, relevant: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The rank of each query's best relevant item, and whether it is tied with a wrong one."""
    best = np.where(relevant, similarity, -np.inf).max(1, keepdims=True)
    ties = ((similarity == best) & ~relevant).sum(1)
    return 1 + (similarity > best).sum(1) + 0.5 * ties, ties > 0


def average_precision(similarity: np.ndarray, relevant: np.ndarray) -> np.ndarray:
    """Return the average precision of each query, (Q,): ties are one step, what was not returned adds nothing.

    Args:
        similarity: (Q, N).
        relevant: (Q, N) bool; a query without a right item gets 0.

    Relation: equal to scikit-learn's `average_precision_score` row by row, which takes half a millisecond a row: too
    long for a look at the validation rows after each epoch.

    Example:
        >>> average_precision(np.array([[0.9, 0.5, 0.1]]), np.array([[True, False, True]])).round(3)
        array([0.833])
    """
    order = np.argsort(-similarity, axis=1, kind="stable")
    scores, right = np.take_along_axis(similarity, order, 1), np.take_along_axis(relevant, order, 1)
    # scores  .9 .5 .5 .1   a step ends where the next score differs:  ends  0 2 2 3
    last = np.ones_like(right)
    last[:, :-1] = scores[:, :-1] != scores[:, 1:]
    place = np.where(last, np.arange(scores.shape[1]), scores.shape[1])
    ends = np.minimum.accumulate(place[:, ::-1], axis=1)[:, ::-1]
    precision = np.take_along_axis(right.cumsum(1), ends, 1) / (ends + 1)
    counted = right & (scores > -np.inf)
    return np.asarray((precision * counted).sum(1) / np.maximum(1, right.sum(1)))


def _gain(similarity: np.ndarray, relevant: np.ndarray) -> np.ndarray:
    """Normalised discounted gain (Q,) of the first places; what was not returned adds nothing."""
    there = similarity > -np.inf
    lowest = similarity.min(1, where=there, initial=0.0, keepdims=True) - 1
    # scikit-learn refuses a single item: one more, wrong and last, changes nothing.
    scores = np.hstack([np.where(there, similarity, lowest), lowest - 1])
    right = np.hstack([relevant & there, np.zeros_like(relevant[:, :1])])
    discounts = 1 / np.log2(np.arange(2, GAIN + 2))
    best = np.concatenate([[0.0], np.cumsum(discounts)])[np.minimum(relevant.sum(1), GAIN)]
    gains = np.array([dcg_score(r[None], s[None], k=GAIN) for r, s in zip(right, scores, strict=True)])
    return np.asarray(gains / np.where(best > 0, best, 1.0))


def _mean(values: np.ndarray) -> float:
    return float(values.mean()) if len(values) else float("nan")
