"""Batches and targets: lengths, padding, order, and answers written over clips."""

import numpy as np
import pytest
import torch

from intermodal.data.samples import Samples
from intermodal.find import moment_batches
from intermodal.find.moment_batches import Batches, targets
from intermodal.find.queries import Queries
from intermodal.find.words import Words

WORDS = Words(["a", "b", "c"])


def made(lengths: list[int], videos: list[int], asked: list[int] | None = None) -> Batches:
    films = [np.full((n, 2), float(n)) for n in lengths]
    queries = Queries(["a", "b b", "c c c"], WORDS)
    numbers = None if asked is None else np.array(asked)
    return Batches(Samples({"v": films}), np.array(lengths), queries, np.array(videos), numbers)


def test_each_row_gets_its_own_video_and_its_own_query() -> None:
    batches = made([3, 7, 5], [2, 0, 1], [1, 2, 0])
    rows = np.array([0, 2])
    shown, said = batches.shown(rows), batches.said(rows)
    assert shown.x["v"].shape == (2, 7, 2)
    assert shown.within.sum(1).tolist() == [5, 7] and shown.present["v"].equal(shown.within)
    assert shown.x["v"][:, 0, 0].tolist() == [5.0, 7.0]
    assert said.tokens.tolist() == [[2, 2], [1, 0]] and said.present.tolist() == [[True, True], [True, False]]


def test_a_stream_that_ends_early_is_padded_to_the_video() -> None:
    samples = Samples({"v": [np.ones((3, 2)), np.ones((2, 2))], "w": [None, np.ones((1, 5))]})
    batches = Batches(samples, np.array([3, 2]), Queries(["a", "b"], WORDS), np.arange(2))
    shown = batches.shown(np.arange(2))
    assert shown.x["w"].shape == (2, 3, 5)
    assert shown.present["w"].tolist() == [[False] * 3, [True, False, False]]
    assert shown.within.tolist() == [[True] * 3, [True, True, False]]


def test_an_epoch_holds_every_row_once_and_goes_on_differently() -> None:
    lengths = list(range(3, 3 + 70))
    batches = made(lengths, list(np.random.default_rng(0).permutation(70)))
    rng = np.random.default_rng(1)
    first, second = (list(batches.epoch(np.arange(5, 60), 4, rng)) for _ in range(2))
    for epoch in (first, second):
        assert sorted(np.concatenate(epoch)) == list(range(5, 60))
        assert max(map(len, epoch)) == 4
    assert np.concatenate(first).tolist() != np.concatenate(second).tolist()
    assert np.mean([np.ptp(batches.lengths[rows]) for rows in first]) < 20


def test_batches_of_long_videos_are_smaller(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(moment_batches, "MOST_CLIPS", 12)
    batches = made([3, 3, 3, 3, 7, 5, 20, 1], list(range(8)))
    cut = batches.in_order(np.arange(8), 3)
    assert [rows.tolist() for rows in cut] == [[0, 1, 2], [3], [4], [5], [6], [7]]
    assert [rows.tolist() for rows in batches.in_order(np.array([2, 7]), 3)] == [[2, 7]]


def test_targets_are_shares_of_clips() -> None:
    spans = [np.array([[0.5, 1.5], [2.0, 2.5]]), np.zeros((0, 2))]
    target = targets(spans, np.array([5, 5]), 0.5, np.array([True, False]), 0.0, "cpu")
    assert target.started.tolist() == [[0, 0.5, 0, 0, 0.5], [0] * 5]
    assert target.ended.tolist() == [[0, 0, 0.5, 0, 0.5], [0] * 5]
    assert target.inside.tolist() == [[0, 1, 1, 0, 1], [0] * 5]
    assert target.happens.tolist() == [1, 0] and target.sure.tolist() == [True, False]


def test_an_edge_within_a_clip_counts_for_two_clips() -> None:
    target = targets([np.array([[1.25, 3.5]])], np.array([5]), 1.0, np.array([True]), 0.0, "cpu")
    assert target.started.tolist() == [[0, 0.75, 0.25, 0, 0]]
    assert target.ended.tolist() == [[0, 0, 0.5, 0.5, 0]]
    torch.testing.assert_close(target.inside, torch.tensor([[0, 0.75, 1, 0.5, 0]]))


def test_blurred_edges_are_a_bell_around_the_edge() -> None:
    target = targets([np.array([[3.0, 6.0]])], np.array([9]), 1.0, np.array([True]), 1.0, "cpu")
    bell = np.exp(-0.5 * (np.arange(9) - 3.0) ** 2)
    np.testing.assert_allclose(target.started[0], bell / bell.sum())
    bell = np.exp(-0.5 * (np.arange(9) - 5.0) ** 2)
    np.testing.assert_allclose(target.ended[0], bell / bell.sum())


def test_a_blurred_edge_stays_within_its_video() -> None:
    spans = [np.array([[1.0, 3.0]])] * 2
    wide = targets(spans, np.array([3, 8]), 1.0, np.ones(2, dtype=bool), 1.0, "cpu")
    alone = targets(spans[:1], np.array([3]), 1.0, np.ones(1, dtype=bool), 1.0, "cpu")
    for padded, exact in zip(wide[:3], alone[:3], strict=True):
        torch.testing.assert_close(padded[0, :3], exact[0])
        assert not padded[0, 3:].any()
    torch.testing.assert_close(wide.started.sum(1), torch.ones(2, dtype=torch.float64))


def test_edges_marked_by_the_frame_are_exact_and_others_are_not() -> None:
    on_grid = [np.array([[0.5, 2.0], [4.5, 7.0]]), np.zeros((0, 2))]
    assert moment_batches.blur_of(on_grid, 0.5) == 0.0
    assert moment_batches.blur_of(on_grid, 1.0) == 1.0
    assert moment_batches.blur_of([*on_grid, np.array([[1.2, 2.2]])] * 3, 0.5) == 1.0
