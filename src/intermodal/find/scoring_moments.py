"""How well moments were found: R1@IoU, R5@IoU, mIoU, mAP over IoU, and how well "it does not happen" was told.

The conventions, where published scorers differ:

- windows are ranked by their score before anything else, and only the best `top` of a query count;
- an IoU of t or more is a hit at t, and so is one that 32 bits could not tell from t;
- a query without a predicted window scores 0 everywhere; it is not left out;
- a query without a true window has no rank to score: it is counted apart;
- a window without length is refused, in truth and in prediction.

Shapes: Q queries, k windows predicted for a query, n true ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from sklearn.metrics import roc_auc_score

from intermodal.errors import InputError
from intermodal.find.moment_answers import overlap
from intermodal.learn.stats import Interval, ScoredRows, bootstrap_interval

RECALL_AT = (0.3, 0.5, 0.7)
PRECISION_AT = tuple(t / 100 for t in range(50, 100, 5))
_ROUNDING = 1e-6  # tenths of a second in 32 bits: half of a window may come out as 0.4999999
_BINS = 10


@dataclass(frozen=True)
class Unanswerable:
    """How well a model tells that something does not happen.

    Attributes:
        n: queries without a true window.
        auc: how often the probability of a query that has an answer is the higher one of a pair; None where no
            probability was given, or all queries are of one kind.
        calibration_error: mean distance between the probability and how often it then happened, over ten bins of equal
            width weighted by their queries; None where no probability was given.
    """

    n: int
    auc: float | None = None
    calibration_error: float | None = None


@dataclass(frozen=True)
class MomentScores:
    """Figures of predicted moments, each between 0 and 1, with an interval.

    Attributes:
        figures: name -> mean over the queries with an answer, and its interval; empty where no query has an answer.
        per_query: name -> (answerable queries,), what the mean is over.
        answerable: (Q,) bool, the queries with a true window.
        unanswerable: the others.
        groups: (answerable queries,), what was drawn together for the intervals.
    """

    figures: dict[str, Interval]
    per_query: dict[str, np.ndarray] = field(repr=False)
    answerable: np.ndarray = field(repr=False)
    unanswerable: Unanswerable
    groups: np.ndarray = field(repr=False)

    def __getitem__(self, name: str) -> float:
        """The mean of a figure."""
        return self.figures[name].mean

    def __str__(self) -> str:
        lines = [
            f"{name:8} {100 * i.mean:5.1f} [{100 * i.low:.1f}, {100 * i.high:.1f}]" for name, i in self.figures.items()
        ]
        counted = f"{int(self.answerable.sum())} queries with an answer, {self.unanswerable.n} without"
        if self.unanswerable.auc is not None:
            counted += f" (told apart with an AUC of {self.unanswerable.auc:.3f})"
        return "\n".join([*lines, counted])


def iou(a: Any, b: Any) -> np.ndarray:
    """Return the intersection over the union of each span of `a` with each of `b`.

    Shape:
        a (N, 2), b (M, 2) -> (N, M), between 0 and 1.

    Args:
        a: spans, start before end, in any unit.
        b: spans in the same unit.

    Returns:
        The overlap of each pair.

    Raises:
        InputError: not pairs of start and end, or a span that does not end after it starts.

    Example:
        >>> iou([[0, 10], [20, 30]], [[5, 15]]).round(3).tolist()
        [[0.333], [0.0]]
    """
    return overlap(spans_of(a, "a"), spans_of(b, "b"))


def spans_of(spans: Any, said: str) -> np.ndarray:
    """Read spans as an array (n, 2) of floats, and refuse what is none.

    Args:
        spans: pairs of start and end; empty means none.
        said: how an error calls them.

    Raises:
        InputError: not pairs of start and end, a number that is not finite, or a span that does not end after it
            starts.

    Example:
        >>> spans_of([[3, 3]], "truth of query 0")
        Traceback (most recent call last):
        ...
        intermodal.errors.InputError: a window ends after it starts, however: window 0 in truth of query 0 is 3.0 to 3.0
    """
    read = np.asarray(spans, dtype=np.float64)
    if read.size == 0:
        return np.zeros((0, 2))
    if read.ndim != 2 or read.shape[1] != 2:
        raise InputError(f"windows are (n, 2), start and end, however: {said} has the shape {read.shape}")
    for i, (start, end) in enumerate(read.tolist()):
        if not np.isfinite([start, end]).all():
            raise InputError(f"a window has finite times, however: window {i} in {said} is {start} to {end}")
        if not start < end:
            raise InputError(f"a window ends after it starts, however: window {i} in {said} is {start} to {end}")
    return read


def moment_scores(
    predicted: Sequence[Any],
    truth: Sequence[Any],
    *,
    scores: Sequence[Any] | None = None,
    happens: Any = None,
    groups: Any = None,
    top: int = 10,
    level: float = 0.95,
    n_draws: int = 1000,
    seed: int = 0,
) -> MomentScores:
    """Score predicted windows against true ones.

    `R1@t` is the share of queries whose first window overlaps a true one by t or more, `R5@t` that one of the first
    five does, `mIoU` the mean overlap of the first window with the true one nearest to it. `mAP@t` is the mean over
    queries of the average precision (each predicted window, best first, takes the free true window that it overlaps
    most, by t or more; precision is the best at this recall or a higher one), and `mAP` its mean over t = .5, .55 ...
    .95.

    Args:
        predicted: for each query its windows (k, 2), k may be 0; or an object with `spans`, `scores` and, where it
            has one, `happens`, as `MomentLocalizer.predict` returns.
        truth: for each query its true windows (n, 2), in the same unit; n = 0 where it does not happen.
        scores: for each query the scores (k,) of its windows, higher is better; equal ones keep their order. Needed
            where a query has several windows that bring none.
        happens: (Q,) probability that there is an answer at all.
        groups: (Q,) what is drawn together for the intervals, the video of each query; each query alone by default.
        top: windows of a query that count, by score.
        level: how often the intervals hold the true value.
        n_draws: how often groups are drawn.
        seed: of the draws.

    Returns:
        The figures.

    Raises:
        InputError: there is no query, lengths differ, a window is none, windows cannot be ranked, or a probability is
            none.

    Source: R1@IoU, Gao et al. 2017 (TALL), section 4; mAP, Lei et al. 2021 (QVHighlights), section 5, which follows
    ActivityNet.

    Example:
        >>> found = moment_scores([[[0, 6], [4, 10]], []], [[[0, 10]], [[2, 3]]], scores=[[0.2, 0.9], []])
        >>> found["R1@0.5"], found["R1@0.7"], found["mIoU"]
        (0.5, 0.0, 0.3)
    """
    truths, ranked, happens, groups = _read(predicted, truth, scores, happens, groups, top)
    answerable = np.array([len(t) > 0 for t in truths])
    rows = [_figures(ranked[q], truths[q]) for q in np.flatnonzero(answerable)]
    per_query = {name: np.array([row[name] for row in rows]) for name in rows[0]} if rows else {}
    kept = groups[answerable]
    figures = {
        name: _interval(values, kept, level=level, n_draws=n_draws, seed=seed) for name, values in per_query.items()
    }
    return MomentScores(figures, per_query, answerable, _unanswerable(answerable, happens), kept)


def moment_difference(
    ours: MomentScores, theirs: MomentScores, name: str, *, level: float = 0.95, n_draws: int = 1000, seed: int = 0
) -> Interval:
    """Put an interval around how much higher a figure of `ours` is on the same queries.

    Args:
        ours: one model's scores.
        theirs: another's, of the same queries in the same order.
        name: the figure.
        level: how often such intervals hold the true difference.
        n_draws: how often the groups of `ours` are drawn.
        seed: of the draws.

    Raises:
        InputError: the scores are not of the same queries, or have no such figure.

    Example:
        >>> truth = [[[0, 10]], [[0, 10]], [[0, 10]]]
        >>> near, far = ([[[0, end]]] * 3 for end in (8, 3))
        >>> print(moment_difference(moment_scores(near, truth), moment_scores(far, truth), "mIoU"))
        0.5000 [0.5000, 0.5000]
    """
    if not np.array_equal(ours.answerable, theirs.answerable):
        n, m = (f"{int(s.answerable.sum())} of {len(s.answerable)}" for s in (ours, theirs))
        raise InputError(f"two scores are compared on the same queries, however: {n} and {m} have an answer")
    if name not in ours.per_query:
        raise InputError(f'a figure is one of {", ".join(ours.per_query)}, however: "{name}"')
    gaps = ours.per_query[name] - theirs.per_query[name]
    return _interval(gaps, ours.groups, level=level, n_draws=n_draws, seed=seed)


def _read(
    predicted: Sequence[Any], truth: Sequence[Any], scores: Any, happens: Any, groups: Any, top: int
) -> tuple[list[np.ndarray], list[np.ndarray], np.ndarray | None, np.ndarray]:
    """True windows, ranked windows, probabilities and groups of the queries, all checked."""
    n = len(truth)
    if n == 0 or top < 1:
        raise InputError(f"there is a query, and a window of it counts, however: {n} queries, {top=}")
    if happens is None and all(getattr(p, "happens", None) is not None for p in predicted):
        happens = [p.happens for p in predicted]
    given = {"predicted": predicted, "scores": scores, "happens": happens, "groups": groups}
    sizes = {name: len(values) for name, values in given.items() if values is not None}
    if any(size != n for size in sizes.values()):
        said = ", ".join(f"{size} {name}" for name, size in sizes.items())
        raise InputError(f"each query has its own, however: {n} in truth, {said}")
    truths = [spans_of(t, f"truth of query {q}") for q, t in enumerate(truth)]
    ranked = [_ranked(p, None if scores is None else scores[q], q)[:top] for q, p in enumerate(predicted)]
    if happens is not None:
        happens = np.asarray(happens, dtype=np.float64).reshape(n)
        if not ((happens >= 0) & (happens <= 1)).all():
            odd = int(np.flatnonzero(~((happens >= 0) & (happens <= 1)))[0])
            raise InputError(f"happens is a probability, however: {happens[odd]} for query {odd}")
    return truths, ranked, happens, np.arange(n) if groups is None else np.asarray(groups).reshape(n)


def _ranked(predicted: Any, scores: Any, q: int) -> np.ndarray:
    """The windows of a query, best first."""
    if hasattr(predicted, "spans"):
        scores = predicted.scores if scores is None else scores
        predicted = predicted.spans
    windows = spans_of(predicted, f"prediction for query {q}")
    if scores is None:
        if len(windows) > 1:
            raise InputError(f"windows are ranked by scores, however: query {q} has {len(windows)} and no scores")
        return windows
    marks = np.asarray(scores, dtype=np.float64).reshape(-1)
    if len(marks) != len(windows) or np.isnan(marks).any():
        said = f"{len(windows)} windows, {len(marks)} scores, {int(np.isnan(marks).sum())} of them NaN"
        raise InputError(f"each window has a score, however: query {q} has {said}")
    return windows[np.argsort(-marks, kind="stable")]


def _figures(windows: np.ndarray, truth: np.ndarray) -> dict[str, float]:
    """All figures of one query."""
    shared = overlap(windows, truth)
    best = shared.max(axis=1).tolist()
    hit = {f"R{k}@{t}": float(any(b >= t - _ROUNDING for b in best[:k])) for k in (1, 5) for t in RECALL_AT}
    precision = [_average_precision(shared.tolist(), t) for t in PRECISION_AT]
    return {
        **hit,
        "mIoU": best[0] if best else 0.0,
        "mAP": sum(precision) / len(precision),
        "mAP@0.5": precision[PRECISION_AT.index(0.5)],
        "mAP@0.75": precision[PRECISION_AT.index(0.75)],
    }


def _average_precision(overlap: list[list[float]], t: float) -> float:
    """Average precision of ranked windows: overlap[window][true window]."""
    if not overlap:
        return 0.0
    taken: set[int] = set()
    precision = []
    for rank, row in enumerate(overlap, 1):
        free = [(shared, j) for j, shared in enumerate(row) if j not in taken and shared >= t - _ROUNDING]
        if free:
            taken.add(max(free)[1])
            precision.append(len(taken) / rank)
    total = best = 0.0
    for p in reversed(precision):
        best = max(best, p)
        total += best
    return total / len(overlap[0])


def _interval(values: np.ndarray, groups: np.ndarray, *, level: float, n_draws: int, seed: int) -> Interval:
    """Draw whole groups. A row of the bootstrap is a group with its sum and its count: the mean is over queries."""
    _, code = np.unique(groups, return_inverse=True)
    total, count = np.bincount(code, values), np.bincount(code)
    part = ScoredRows(lambda drawn: float(total[drawn].sum() / count[drawn].sum()), len(count))
    return bootstrap_interval(part, level=level, n_draws=n_draws, seed=seed)


def _unanswerable(answerable: np.ndarray, happens: np.ndarray | None) -> Unanswerable:
    n = int((~answerable).sum())
    if happens is None:
        return Unanswerable(n)
    auc = float(roc_auc_score(answerable, happens)) if 0 < n < len(answerable) else None
    bins = np.minimum((happens * _BINS).astype(int), _BINS - 1)
    gaps = np.bincount(bins, happens - answerable, minlength=_BINS)
    return Unanswerable(n, auc, float(np.abs(gaps).sum() / len(answerable)))
