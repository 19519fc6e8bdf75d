"""Batches: what is padded, what is present, and that nothing is lost on the way."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from intermodal.data.batching import batch, length_batches
from intermodal.data.samples import Samples
from intermodal.errors import DataError


def some(n: int = 11, seed: int = 0) -> Samples:
    rng = np.random.default_rng(seed)
    audio = [rng.normal(size=(t, 3)) if t else None for t in rng.integers(0, 6, size=n)]
    audio[0] = rng.normal(size=(5, 3))
    audio[0][2] = np.nan
    text = rng.normal(size=(n, 2))
    text[n // 2] = np.nan
    return Samples({"text": text, "audio": audio}, y=np.arange(n))


@given(st.integers(0, 50), st.lists(st.integers(-11, 10), min_size=1, max_size=17))
@settings(max_examples=100, deadline=None)
def test_a_batch_holds_each_sample_and_zeros_elsewhere(seed, rows):
    samples = some(seed=seed)
    x, present = batch(samples, rows, dtype=torch.float64)
    audio, text = samples.modality("audio"), samples.modality("text")
    longest = max(1, *(int(audio.lengths[i]) for i in rows))
    assert x["audio"].shape == (len(rows), longest, 3) and present["audio"].shape == (len(rows), longest)
    for b, i in enumerate(rows):
        i = i % 11
        assert x["text"][b].tolist() == text.values[i].tolist() and bool(present["text"][b]) == text.present[i]
        expected, there = np.zeros((longest, 3)), np.zeros(longest, dtype=bool)
        for t, row in enumerate(range(audio.offsets[i], audio.offsets[i + 1])):
            expected[t] = audio.values[row]
            there[t] = audio.token_present[row]
        assert x["audio"][b].tolist() == expected.tolist() and present["audio"][b].tolist() == there.tolist()


@pytest.mark.parametrize("rows", [None, slice(2, 9, 2), 3, [True] * 5 + [False] * 6])
def test_every_way_of_naming_rows_equals_slicing_first(rows):
    samples = some()
    direct, sliced = batch(samples, rows), batch(samples if rows is None else samples[rows])
    for name in samples.names:
        assert torch.equal(direct.x[name], sliced.x[name]) and torch.equal(direct.present[name], sliced.present[name])


def test_a_batch_has_the_dtype_and_the_modalities_asked_for():
    found = batch(some(), [1, 2], names=["audio"], dtype=torch.float16)
    assert list(found.x) == list(found.present) == ["audio"]
    assert found.x["audio"].dtype == torch.float16 and found.present["audio"].dtype == torch.bool
    assert batch(some()).x["text"].dtype == torch.float32


def test_writing_to_a_batch_leaves_the_samples_alone():
    samples = some()
    before = samples.modality("text").values.copy()
    for rows in (None, slice(0, 11), [0]):
        batch(samples, rows, dtype=torch.float64).x["text"].add_(1.0)
    assert np.array_equal(samples.modality("text").values, before)


def test_a_batch_in_which_nobody_has_the_sequence_has_one_absent_token():
    samples = Samples({"audio": [None, [[1.0, 2.0]], None]})
    x, present = batch(samples, [0, 2])
    assert x["audio"].shape == (2, 1, 2) and not present["audio"].any() and not x["audio"].any()


def test_an_imputable_nan_reaches_the_model():
    x, present = batch(Samples({"text": [[1.0, np.nan]]}, nan="impute"))
    assert torch.isnan(x["text"]).tolist() == [[False, True]] and present["text"].all()


def test_an_unknown_name_gets_a_suggestion():
    with pytest.raises(DataError, match=r"however: name='audoi'; did you mean .audio.\?$"):
        batch(some(), names=["audoi"])


@given(st.integers(1, 7), st.integers(1, 5), st.integers(0, 99))
@settings(max_examples=60, deadline=None)
def test_length_batches_visit_every_sample_once(batch_size, spread, seed):
    found = list(length_batches(some(31), batch_size, seed, spread=spread))
    assert sorted(np.concatenate(found).tolist()) == list(range(31))
    assert max(map(len, found)) <= batch_size


def test_length_batches_repeat_by_seed_and_differ_by_epoch():
    samples = some(31)
    first = [b.tolist() for b in length_batches(samples, 5, 7)]
    assert first == [b.tolist() for b in length_batches(samples, 5, 7)]
    rng = np.random.default_rng(7)
    assert first == [b.tolist() for b in length_batches(samples, 5, rng)]
    assert first != [b.tolist() for b in length_batches(samples, 5, rng)]


def test_length_batches_pad_less_than_a_shuffle():
    rng = np.random.default_rng(0)
    samples = Samples({"audio": [np.ones((t, 1)) for t in rng.integers(1, 101, size=509)]})
    lengths = samples.modality("audio").lengths

    def padded(spread: int) -> int:
        return sum(int(lengths[rows].max()) * len(rows) for rows in length_batches(samples, 13, 0, spread=spread))

    assert padded(16) < 1.2 * lengths.sum()
    assert padded(1) > 1.5 * lengths.sum()


def test_length_batches_of_vectors_are_a_plain_shuffle():
    samples = Samples({"text": np.ones((17, 2))})
    order = np.concatenate(list(length_batches(samples, 17, 3)))
    assert order.tolist() == np.random.default_rng(3).permutation(17).tolist()


def test_a_batch_size_of_zero_is_refused():
    with pytest.raises(DataError) as caught:
        list(length_batches(some(), 0, 0))
    assert str(caught.value) == "batch_size and spread must be at least 1, however: batch_size=0, spread=16"
