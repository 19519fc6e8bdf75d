"""From the probabilities of all stretches to a few ranked moments, and what an answer holds.

Shapes: T clips, k moments, W words.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

EDGES = 64
"""Starts, and ends, that are paired: the likeliest."""
PAIRS = 256
"""Stretches that are weighed against each other: the likeliest."""
HIT = 0.5
"""Overlap from which on a span hits."""
TIE = 0.1
"""What expected overlap counts beside the probability of a hit, which many spans share where the answer is sure."""

SLACK = 0.01
"""Probability of a hit that edges finer than a clip may cost."""


@dataclass(frozen=True, eq=False)
class Timeline:
    """What the model saw over time.

    Attributes:
        times: (T, 2) seconds of each clip.
        relevance: (T,) from 0 to 1, the probability that the clip belongs to an answer.
        words: the W words of the query, or the numbers of its tokens where it came as vectors.
        attention: (W, T) how much of each clip's look at the query fell on each word, mean over the heads. What is
            lacking to 1 fell on nobody, or on the vectors of the video.
    """

    times: np.ndarray
    relevance: np.ndarray
    words: list[str]
    attention: np.ndarray

    def to_dict(self) -> dict[str, Any]:
        """Return plain lists, ready for JSON."""
        return {
            "times": self.times.tolist(),
            "relevance": self.relevance.tolist(),
            "words": list(self.words),
            "attention": self.attention.tolist(),
        }


@dataclass(frozen=True, eq=False)
class Moments:
    """When it happens: the answer to one query.

    Attributes:
        spans: (k, 2) seconds, best first.
        scores: (k,) from 0 to 1, falling: the probability, given that it happens, that this span hits the moment
            (overlaps it by half or more) and none before it does. Together at most 1, and comparable between queries.
        happens: probability that it happens at all; None where training knew no query that does not.
        timeline: what the model saw.
        query: the text; None where the query came as vectors.
    """

    spans: np.ndarray
    scores: np.ndarray
    happens: float | None
    timeline: Timeline
    query: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return plain lists and numbers, ready for JSON."""
        found = zip(self.spans.tolist(), self.scores.tolist(), strict=True)
        return {
            "query": self.query,
            "happens": self.happens,
            "moments": [{"start": start, "end": end, "score": score} for (start, end), score in found],
            "timeline": self.timeline.to_dict(),
        }

    def __repr__(self) -> str:
        who = "" if self.query is None else f'"{self.query}", '
        some = ", ".join(f"{a:.1f}-{b:.1f} s ({s:.2f})" for (a, b), s in zip(self.spans, self.scores, strict=True))
        sure = "" if self.happens is None else f", happens {self.happens:.2f}"
        return f"Moments({who}{some}{sure})"


def overlap(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return the intersection over union of spans (n, 2) and (m, 2), as (n, m).

    Example:
        >>> overlap(np.array([[0.0, 2.0]]), np.array([[1.0, 2.0], [2.0, 3.0]]))
        array([[0.5, 0. ]])
    """
    shared = np.minimum(a[:, None, 1], b[None, :, 1]) - np.maximum(a[:, None, 0], b[None, :, 0])
    shared = shared.clip(min=0)
    either = (a[:, 1] - a[:, 0])[:, None] + (b[:, 1] - b[:, 0])[None] - shared
    return np.asarray(shared / either)


def ranked(starts: np.ndarray, ends: np.ndarray, total: float, top: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the spans that are likeliest to hit, each by how likely it hits where none before it does.

    A span hits where it overlaps the true one by half or more. It is chosen for that, not for its own probability:
    where the end is in doubt, the span in the middle of the doubt is the better answer. Every next span is chosen for
    what those before it would miss, so neighbours of one moment do not fill the list.

    Args:
        starts: (T,) score of each start.
        ends: (T,) score of each end.
        total: logarithm of the sum of exp(score) over all stretches.
        top: k, at most.

    Returns:
        Spans (k, 2) in clips, the end exclusive, and probabilities (k,), falling; together at most 1.

    Source: minimum Bayes risk decoding (Kumar and Byrne 2004), here for the risk of a miss.

    Example:
        >>> sure = np.array([0.0, 50.0, 0.0])
        >>> ranked(sure, sure, 100.0, 1)
        (array([[1., 2.]]), array([1.]))
    """
    later = np.logaddexp.accumulate(ends[::-1])[::-1]
    earlier = np.logaddexp.accumulate(starts)
    first, last = _best(starts + later, EDGES), _best(ends + earlier, EDGES)
    pairs = np.stack(np.meshgrid(first, last, indexing="ij"), -1).reshape(-1, 2)
    pairs = pairs[pairs[:, 1] >= pairs[:, 0]]
    likely = starts[pairs[:, 0]] + ends[pairs[:, 1]] - total
    chosen = _best(likely, PAIRS)
    pairs, missed = pairs[chosen], np.exp(likely[chosen])
    exact = np.stack([pairs[:, 0], pairs[:, 1] + 1], 1).astype(np.float64)
    near = overlap(exact, exact)
    p_start, p_end = np.exp(starts + later - total), np.exp(ends + earlier - total)
    spans: list[np.ndarray] = []
    found: list[float] = []
    free = np.ones(len(pairs), dtype=bool)
    for _ in range(min(top, len(pairs))):
        hits = (near >= HIT) @ missed
        best = int(np.argmax(np.where(free, hits + TIE * (near @ missed), -1.0)))
        finer = np.array([[_between(p_start, pairs[best, 0]), _between(p_end, pairs[best, 1]) + 1]])
        as_good = finer[0, 0] < finer[0, 1] and (overlap(finer, exact) >= HIT) @ missed > hits[best] - SLACK
        spans.append(finer[0] if as_good else exact[best])
        found.append(min([1.0, float(hits[best]), *found]))
        missed, free[best] = np.where(near[best] >= HIT, 0.0, missed), False
    return np.array(spans, dtype=np.float64).reshape(-1, 2), np.array(found)


def _best(scores: np.ndarray, n: int) -> np.ndarray:
    """Where the n highest are, earlier places first among equals."""
    return np.argsort(-scores, kind="stable")[:n]


def _between(chance: np.ndarray, at: int) -> float:
    """A place finer than a clip: the mean place of an edge over the clip and its neighbours.

    At the ends of the video, with a neighbour on one side only, the mean would lean inwards.
    """
    if not 0 < at < len(chance) - 1:
        return float(at)
    near = np.arange(at - 1, at + 2)
    weight = chance[near]
    return float(near @ weight / weight.sum()) if weight.sum() > 0 else float(at)
