"""Ranking: the probability of a hit against all stretches written out, two moments, and what an answer holds."""

import itertools
import json

import numpy as np
import pytest

from intermodal.find.moment_answers import Moments, Timeline, overlap, ranked


def by_pairs(starts: np.ndarray, ends: np.ndarray) -> tuple[list[tuple[int, int]], np.ndarray, np.ndarray]:
    """All stretches, their probabilities, and the overlap of each with each."""
    n = len(starts)
    pairs = [(i, j) for i, j in itertools.product(range(n), range(n)) if i <= j]
    chance = np.array([np.exp(starts[i] + ends[j]) for i, j in pairs])
    shared = np.zeros((len(pairs), len(pairs)))
    for a, (i, j) in enumerate(pairs):
        for b, (k, m) in enumerate(pairs):
            both = len(set(range(i, j + 1)) & set(range(k, m + 1)))
            shared[a, b] = both / len(set(range(i, j + 1)) | set(range(k, m + 1)))
    return pairs, chance / chance.sum(), shared


def total(starts: np.ndarray, ends: np.ndarray) -> float:
    return float(np.logaddexp.reduce(ends + np.logaddexp.accumulate(starts)))


@pytest.mark.parametrize("seed", range(5))
def test_every_span_is_the_one_likeliest_to_hit_what_those_before_it_miss(seed: int) -> None:
    rng = np.random.default_rng(seed)
    starts, ends = rng.normal(size=11) * 2, rng.normal(size=11) * 2
    pairs, missed, shared = by_pairs(starts, ends)
    spans, scores = ranked(starts, ends, total(starts, ends), 3)
    for k in range(3):
        hits = np.array([sum(missed[shared[a] >= 0.5]) for a in range(len(pairs))])
        value = hits + 0.1 * shared @ missed
        best = int(value.argmax())
        assert scores[k] == pytest.approx(hits[best], abs=1e-9)
        assert abs(spans[k, 0] - pairs[best][0]) <= 1 and abs(spans[k, 1] - pairs[best][1] - 1) <= 1
        missed = np.where(shared[best] >= 0.5, 0.0, missed)


def test_the_mean_probability_of_a_hit_is_the_share_of_hits() -> None:
    rng = np.random.default_rng(0)
    starts, ends = rng.normal(size=11) * 2, rng.normal(size=11) * 2
    pairs, chance, _ = by_pairs(starts, ends)
    spans, scores = ranked(starts, ends, total(starts, ends), 1)
    drawn = np.array(pairs)[rng.choice(len(pairs), 4000, p=chance)] + [0, 1]
    assert (overlap(spans, drawn) >= 0.5).mean() == pytest.approx(scores[0], abs=0.06)


def test_a_sharp_answer_is_given_exactly() -> None:
    starts, ends = np.full(13, -40.0), np.full(13, -40.0)
    starts[3], ends[7] = 0.0, 0.0
    spans, scores = ranked(starts, ends, total(starts, ends), 3)
    np.testing.assert_allclose(spans[0], [3, 8], atol=1e-9)
    assert scores[0] == pytest.approx(1.0)


def test_an_edge_between_two_clips_is_placed_between_them() -> None:
    starts, ends = np.full(13, -40.0), np.full(13, -40.0)
    starts[3], starts[4], ends[7] = np.log(0.75), np.log(0.25), 0.0
    spans, _ = ranked(starts, ends, total(starts, ends), 1)
    np.testing.assert_allclose(spans[0], [3.25, 8], atol=1e-9)


def test_two_moments_come_before_their_own_neighbours() -> None:
    starts, ends = np.full(31, -9.0), np.full(31, -9.0)
    starts[[3, 20]], ends[[8, 27]] = (0.2, 0.0), (-3.0, -3.0)
    inside = np.full(31, -2.0)
    inside[3:9], inside[20:28] = 1.0, 1.0 * 6 / 8
    upto = inside.cumsum()
    starts, ends = starts - (upto - inside), ends + upto
    spans, scores = ranked(starts, ends, total(starts, ends), 5)
    np.testing.assert_allclose(spans[:2], [[3, 9], [20, 28]], atol=0.05)
    assert (np.diff(scores) <= 0).all() and scores[1] > 0.3 and (scores[2:] < 0.15).all()
    assert (spans[:, 0] < spans[:, 1]).all()


def test_there_are_no_more_moments_than_stretches() -> None:
    spans, scores = ranked(np.zeros(2), np.zeros(2), total(np.zeros(2), np.zeros(2)), 9)
    assert len(spans) == len(scores) == 3
    assert sorted(map(tuple, spans.tolist())) == [(0, 1), (0, 2), (1, 2)]


def test_overlap_is_intersection_over_union() -> None:
    got = overlap(np.array([[0.0, 4.0], [1.0, 2.0]]), np.array([[2.0, 6.0], [0.0, 4.0], [4.0, 5.0]]))
    np.testing.assert_allclose(got, [[2 / 6, 1.0, 0.0], [0.0, 0.25, 0.0]])


def test_an_answer_is_plain_lists_in_json() -> None:
    line = Timeline(np.array([[0.0, 0.5]]), np.array([0.25]), ["seven"], np.array([[0.75]]))
    found = Moments(np.array([[0.0, 0.5]]), np.array([0.9]), 0.8, line, "seven")
    assert json.loads(json.dumps(found.to_dict())) == {
        "query": "seven",
        "happens": 0.8,
        "moments": [{"start": 0.0, "end": 0.5, "score": 0.9}],
        "timeline": {"times": [[0.0, 0.5]], "relevance": [0.25], "words": ["seven"], "attention": [[0.75]]},
    }
    assert repr(found) == 'Moments("seven", 0.0-0.5 s (0.90), happens 0.80)'
