"""Flat features: against plain loops, and fitted on training rows alone."""

from __future__ import annotations

import math

import numpy as np
import pytest

from intermodal.data.samples import Samples
from intermodal.errors import InputError
from intermodal.learn.features import Features, summary

NAN = float("nan")


def test_a_sequence_becomes_mean_std_quarters_steps_and_log_length():
    rng = np.random.default_rng(0)
    clips = [rng.normal(size=(t, 3)) for t in (5, 1, 7, 2)]
    clips.insert(2, None)
    flat = summary(Samples({"clip": clips}), "clip")
    for row, clip in zip(flat, clips, strict=True):
        if clip is None:
            assert np.isnan(row).all()
            continue
        for d in range(3):
            mean = sum(clip[:, d]) / len(clip)
            assert row[d] == pytest.approx(mean, abs=1e-6)
            assert row[3 + d] == pytest.approx(
                math.sqrt(sum((v - mean) ** 2 for v in clip[:, d]) / len(clip)), abs=1e-6
            )
        quarters = np.stack([part.mean(0) for part in np.split(np.repeat(clip, 4, axis=0), 4)])
        assert row[6:18] == pytest.approx(quarters.ravel(), abs=1e-6)
        steps = np.abs(np.diff(clip, axis=0)).sum(0) / max(1, len(clip) - 1)
        assert row[18:21] == pytest.approx(steps, abs=1e-6)
        assert row[21] == pytest.approx(math.log(len(clip)))


def test_a_missing_token_counts_in_nothing():
    with_hole = np.array([[1.0, 2.0], [NAN, NAN], [5.0, 8.0]])
    flat = summary(Samples({"clip": [with_hole]}), "clip")
    quarters = [1.0, 2.0, 1.0, 2.0, 5.0, 8.0, 5.0, 8.0]
    assert flat[0] == pytest.approx([3.0, 5.0, 2.0, 3.0, *quarters, 0.0, 0.0, math.log(2)], abs=1e-5)


def test_a_cell_that_is_nan_takes_the_mean_of_its_column_in_the_sequence():
    clips = [np.array([[1.0, NAN], [NAN, 2.0], [5.0, NAN]]), np.array([[1.0, NAN]])]
    flat = summary(Samples({"clip": clips}, nan="impute"), "clip")
    assert flat[0, [0, 4, 6, 8, 10]] == pytest.approx([3.0, 1.0, 7 / 3, 11 / 3, 5.0])
    assert flat[0, [1, 5, 7, 9, 11]] == pytest.approx([2.0] * 5) and flat[0, [12, 13]] == pytest.approx([2.0, 0.0])
    assert np.isnan(flat[1, 1:-1:2]).all() and np.isfinite(flat[1, 0:-1:2]).all()  # nothing is known of the second


def test_a_missing_sequence_at_either_end_takes_nothing_from_its_neighbour():
    flat = summary(Samples({"clip": [None, np.array([[3.0]]), None, None]}), "clip")
    assert np.isnan(flat[[0, 2, 3]]).all()
    assert flat[1] == pytest.approx([3.0, 0.0, 3.0, 3.0, 3.0, 3.0, 0.0, 0.0], abs=1e-5)


def test_columns_are_standardised_by_the_training_rows_alone():
    train = Samples({"text": np.array([[1.0, 7.0], [3.0, 7.0], [8.0, 7.0]])})
    features = Features().fit(train)
    found = features.transform(Samples({"text": np.array([[4.0, 7.0], [100.0, 9.0]])}))
    std = np.std([1.0, 3.0, 8.0])
    assert found == pytest.approx(np.array([[0.0, 0.0], [96 / std, 2.0]]))  # a constant column is centred, not blown up


def test_what_is_missing_takes_the_training_mean_and_is_flagged():
    samples = Samples({"text": np.arange(6.0).reshape(3, 2), "video": [np.array([1.0]), None, np.array([5.0])]})
    found = Features().fit_transform(samples)
    assert found[:, 2].tolist() == [-1.0, 0.0, 1.0]
    assert found[:, 3].tolist() == [1.0, 0.0, 1.0]


def test_nothing_missing_adds_no_column():
    assert Features().fit_transform(Samples({"text": np.eye(3)})).shape == (3, 3)


def test_a_missing_cell_takes_the_mean_of_its_column():
    samples = Samples({"lab": np.array([[1.0, 2.0], [3.0, NAN], [5.0, 6.0]])}, nan="impute")
    assert Features().fit_transform(samples)[1].tolist() == [0.0, 0.0]


def test_a_column_that_training_never_saw_is_ignored():
    features = Features().fit(Samples({"lab": np.array([[1.0, NAN], [3.0, NAN]])}, nan="impute"))
    assert features.transform(Samples({"lab": np.array([[3.0, 1e6]])})).tolist() == [[1.0, 0.0]]


def test_an_absent_modality_is_missing_for_all():
    both = Samples({"text": np.eye(3), "video": [np.array([1.0]), None, np.array([5.0])]})
    features = Features().fit(both)
    assert features.transform(both.only("text"))[:, 3:].tolist() == [[0.0, 0.0]] * 3


def test_only_the_named_modalities_are_taken():
    both = Samples({"text": np.eye(3), "video": np.ones((3, 5))})
    assert Features(("video",)).fit_transform(both).shape == (3, 5)
    assert Features(()).fit_transform(both).shape == (3, 0)


def test_another_width_is_refused():
    features = Features().fit(Samples({"text": np.eye(3)}))
    with pytest.raises(InputError, match=r'^"text" was fitted with 3 columns, however: 5 came$'):
        features.transform(Samples({"text": np.ones((2, 5))}))
