"""How good recommendations are: gain, recall, hits and coverage, with ties as their mean.

Shapes: U users, N clips.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from scipy.special import gammaln

from intermodal.find.ranking import ranking_scores
from intermodal.find.recommend_top import top
from intermodal.learn.stats import ScoredRows, bootstrap_interval

K = 10
"""Places that count."""
NAMES = ("nDCG@10", "recall@10", "hit@10")


def recommendation_scores(scores: np.ndarray, relevant: np.ndarray) -> dict[str, np.ndarray]:
    """Score the first ten places of each user's ranking.

    Where clips are exactly as good as each other, each order of them is as likely: a ranking that is the same for all
    clips has the scores of a random one.

    Args:
        scores: (U, N), minus infinity for a clip that is not recommended.
        relevant: bool (U, N).

    Returns:
        (U,) arrays: `nDCG@10`; `recall@10`, the share of a user's clips that stand in the first ten places; `hit@10`,
        whether one does. NaN for a user without a relevant clip; 0 for one to whom nothing is recommended.

    Raises:
        ShapeError: the shapes differ.
        DataError: a score is NaN.

    Relation: nDCG as in `ranking_scores`.

    Example:
        >>> found = recommendation_scores(np.zeros((1, 100)), np.arange(100)[None] < 10)
        >>> {name: values.round(4).tolist() for name, values in found.items()}
        {'nDCG@10': [0.1], 'recall@10': [0.1], 'hit@10': [0.6695]}
    """
    gain = ranking_scores(scores, relevant)["per_query"]["nDCG@10"]
    found = np.array([_found(s, r) for s, r in zip(scores, relevant, strict=True)])
    return dict(zip(NAMES, (gain, found[:, 0], found[:, 1]), strict=True))


def _found(scores: np.ndarray, relevant: np.ndarray) -> tuple[float, float]:
    """Expected recall and hit of one user, over all orders of what is tied at the last place that counts."""
    total = int(relevant.sum())
    if total == 0:
        return np.nan, np.nan
    there = scores > -np.inf
    scores, relevant = scores[there], relevant[there]
    if len(scores) <= K:
        return float(relevant.sum()) / total, float(relevant.any())
    last = np.partition(scores, len(scores) - K)[len(scores) - K]
    above, tied = scores > last, scores == last
    sure, places = int(relevant[above].sum()), K - int(above.sum())
    n, right = int(tied.sum()), int((relevant & tied).sum())
    recall = (sure + places * right / n) / total
    return recall, 1.0 if sure else 1.0 - _none(n, right, places)


def _none(n: int, right: int, places: int) -> float:
    """The probability that `places` draws of n hold none of the `right` ones."""
    if n - right < places:
        return 0.0
    ways = gammaln(n - right + 1) - gammaln(n - right - places + 1) - gammaln(n + 1) + gammaln(n - places + 1)
    return float(np.exp(ways))


def covered(scores: np.ndarray, *, seed: int = 0) -> float:
    """Return the share of all clips that stand in the first ten places of somebody; ties are drawn by lot.

    Example:
        >>> covered(np.array([[3.0, 2.0] + [-np.inf] * 6]))
        0.25
    """
    order = np.random.default_rng(seed).permuted(np.tile(np.arange(scores.shape[1]), (len(scores), 1)), axis=1)
    rows = top(np.take_along_axis(scores, order, 1), K).rows
    named = [order[user][at] for user, at in enumerate(rows)]
    return len(np.unique(np.concatenate(named))) / scores.shape[1]


def table(
    candidates: Mapping[str, np.ndarray], relevant: np.ndarray, *, level: float, seed: int
) -> list[dict[str, Any]]:
    """Score rankings beside each other, the first one against the others.

    Args:
        candidates: name -> scores (U, N), the one in question first.
        relevant: bool (U, N).
        level: of the intervals.
        seed: of the draws.

    Returns:
        A dict a ranking: `name`; each score as `mean`, `low`, `high`, with an interval over the users; `coverage`; and
        `behind`, by how much its nDCG@10 lies behind that of the first, with the interval of that difference.
    """
    counts = relevant.any(1)
    measured = {
        name: {score: values[counts] for score, values in recommendation_scores(scores, relevant).items()}
        for name, scores in candidates.items()
    }
    first = next(iter(measured.values()))[NAMES[0]]
    lines: list[dict[str, Any]] = []
    for name, values in measured.items():
        line: dict[str, Any] = {"name": name} | {score: _interval(of, level, seed) for score, of in values.items()}
        line["coverage"] = covered(candidates[name], seed=seed)
        line["behind"] = _interval(first - values[NAMES[0]], level, seed) if len(lines) else None
        lines.append(line)
    return lines


def _interval(values: np.ndarray, level: float, seed: int) -> dict[str, float]:
    if len(values) == 0:
        return dict.fromkeys(("mean", "low", "high"), float("nan"))
    found = bootstrap_interval(ScoredRows(lambda at: float(values[at].mean()), len(values)), level=level, seed=seed)
    return {"mean": found.mean, "low": found.low, "high": found.high}
