"""Folds: what they promise holds for every target and every grouping."""

from __future__ import annotations

import re
import warnings

import numpy as np
import pytest
from hypothesis import given as for_all
from hypothesis import settings
from hypothesis import strategies as st

from intermodal.data.samples import Samples
from intermodal.errors import DataWarning, InputError
from intermodal.learn.splitting import folds, given, holdouts


def labelled_groups(draw_labels, n_groups):
    return st.lists(st.tuples(draw_labels, st.integers(0, n_groups - 1)), min_size=4, max_size=60)


@settings(max_examples=60, deadline=None)
@for_all(labelled_groups(st.integers(0, 2), 11), st.integers(2, 5), st.integers(0, 3))
def test_groups_never_span_and_every_row_is_tested_once(rows, n_splits, seed):
    y, groups = np.array([r[0] for r in rows]), np.array([f"patient {r[1]}" for r in rows])
    for task in ("classification", "regression"):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DataWarning)
                cut = folds(y, groups, n_splits=n_splits, n_repeats=2, seed=seed, task=task)
        except InputError:
            continue
        for fold in cut:
            assert not set(groups[fold.train]) & set(groups[fold.test])
            assert sorted([*fold.train, *fold.test]) == list(range(len(y)))
            if task == "classification":
                assert set(y[fold.train]) == set(y)
        for repeat in (0, 1):
            tested = np.concatenate([f.test for f in cut if f.repeat == repeat])
            assert sorted(tested) == list(range(len(y)))


@settings(max_examples=30, deadline=None)
@for_all(labelled_groups(st.integers(0, 1), 7), st.integers(0, 3))
def test_groups_never_span_a_random_holdout(rows, seed):
    y, groups = np.array([r[0] for r in rows], float), np.array([r[1] for r in rows])
    if len(np.unique(groups)) > 1:
        for fold in holdouts(y, groups, n_splits=3, seed=seed, task="regression"):
            assert not set(groups[fold.train]) & set(groups[fold.test])


def test_without_groups_each_class_keeps_its_share():
    y = np.repeat(["a", "b", "c"], [70, 35, 14])
    for fold in folds(y, n_splits=7):
        assert [(y[fold.test] == c).sum() for c in "abc"] == [10, 5, 2]


def test_the_same_seed_gives_the_same_folds_and_repeats_differ():
    y = np.arange(37.0)
    first = folds(y, n_splits=3, n_repeats=2, seed=5, task="regression")
    again = folds(y, n_splits=3, n_repeats=2, seed=5, task="regression")
    assert all(np.array_equal(a.test, b.test) for a, b in zip(first, again, strict=True))
    assert not np.array_equal(first[0].test, first[3].test)
    other = folds(y, n_splits=3, seed=6, task="regression")
    assert not np.array_equal(first[0].test, other[0].test)


def test_samples_bring_their_own_target_and_groups():
    groups = np.repeat(np.arange(7), 3)
    samples = Samples({"text": np.zeros((21, 2))}, y=np.tile([0, 1, 1], 7), groups=groups)
    for fold in folds(samples, n_splits=3):
        assert not set(groups[fold.train]) & set(groups[fold.test])


def test_a_rare_class_lowers_the_number_of_folds():
    y = np.repeat(["common", "rare"], [31, 3])
    with pytest.warns(DataWarning, match="^3 folds instead of 5: the rarest class has too few rows for more$"):
        assert len(folds(y, n_splits=5)) == 3


def test_a_class_in_few_groups_lowers_the_number_of_folds():
    y, groups = np.repeat([0, 1, 0, 1, 0, 0, 0], 3), np.repeat(np.arange(7), 3)
    with pytest.warns(DataWarning, match="^2 folds instead of 5: the rarest class has too few groups for more$"):
        assert len(folds(y, groups, n_splits=5)) == 2


def test_few_rows_lower_the_number_of_folds_in_regression():
    with pytest.warns(DataWarning, match="^3 folds instead of 5: there are too few rows for more$"):
        assert len(folds([1.0, 2.0, 4.0], n_splits=5, task="regression")) == 3


@pytest.mark.parametrize(
    ("y", "groups", "message"),
    [
        (
            ["a"] * 9 + ["b"],
            None,
            "each class must be in at least 2 rows, one to train on and one to test on, "
            'however: class "b" is in one row only',
        ),
        (
            ["a", "a", "b", "b"],
            [1, 2, 3, 3],
            'each class must be in at least 2 groups, one to train on and one to test on, however: class "b" is in one '
            "group only",
        ),
        (["a"] * 7, None, "classification needs at least 2 classes, however: every label is a"),
        (["a", "b"] * 3, [5] * 6, "folds by groups need at least 2 groups, however: all rows are in one"),
        (["a", "b"] * 3, [5] * 4, "groups must have one label per row, however: len(groups)=4, len(y)=6"),
    ],
)
def test_what_cannot_be_cut_is_refused_in_one_sentence(y, groups, message):
    with pytest.raises(InputError, match="^" + re.escape(message) + "$"):
        folds(np.array(y), None if groups is None else np.array(groups))


def test_numbers_out_of_range_are_refused():
    with pytest.raises(InputError, match=r"n_splits=1, n_repeats=1"):
        folds(np.array([0, 1] * 5), n_splits=1)
    with pytest.raises(InputError, match=r"test_size must lie between 0 and 1, however: test_size=20"):
        holdouts(np.array([0, 1] * 5), test_size=20)


def test_a_given_split_is_honoured():
    fold = given(["train", "valid", "test", "train", "test"])
    assert (fold.train.tolist(), fold.valid.tolist(), fold.test.tolist()) == ([0, 3], [1], [2, 4])
    assert given(["train", "test"]).valid is None


def test_an_odd_split_is_refused():
    message = 'split is "train", "valid" or "test", however: "trian"; did you mean "train"?'
    with pytest.raises(InputError, match="^" + re.escape(message) + "$"):
        given(["trian", "test"])
    with pytest.raises(InputError, match=r"however: 2 train, 0 test$"):
        given(["train", "train"])


def test_holdouts_are_stratified_and_of_the_size_asked_for():
    y = np.repeat([0, 1], [80, 20])
    for fold in holdouts(y, n_splits=3, test_size=0.1):
        assert len(fold.test) == 10 and (y[fold.test] == 1).sum() == 2
