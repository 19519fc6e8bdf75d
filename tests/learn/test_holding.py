"""What is held out: disjoint, whole, by groups, by class, the same for the same seed."""

import math

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from intermodal.learn.holding import FEWEST, hold_out

shares = st.floats(0.01, 0.99)
seeds = st.integers(0, 50)


@settings(deadline=None)
@given(st.integers(0, 80), shares, seeds, st.sampled_from(["plain", "labels", "groups", "both"]))
def test_every_row_is_on_one_side_and_one_stays_to_learn_from(n: int, share: float, seed: int, kind: str) -> None:
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 4, n) if kind in ("labels", "both") else None
    groups = rng.integers(0, 7, n) if kind in ("groups", "both") else None
    learn, held = hold_out(n, share=share, seed=seed, labels=labels, groups=groups)
    assert sorted([*learn, *held]) == list(range(n))
    assert sorted(learn) == list(learn) and sorted(held) == list(held)
    assert len(learn) > 0 or n == 0
    if groups is not None:
        assert not set(groups[learn]) & set(groups[held])
    again = hold_out(n, share=share, seed=seed, labels=labels, groups=groups)
    assert np.array_equal(learn, again[0]) and np.array_equal(held, again[1])


@settings(deadline=None)
@given(st.integers(FEWEST, 200), shares, seeds)
def test_the_share_is_rounded_up(n: int, share: float, seed: int) -> None:
    _, held = hold_out(n, share=share, seed=seed)
    assert len(held) == min(math.ceil(share * n), n - 1)


@settings(deadline=None)
@given(st.integers(2, 20), shares, seeds)
def test_the_share_of_the_groups_is_rounded_up(n_groups: int, share: float, seed: int) -> None:
    groups = np.repeat(np.arange(n_groups), 7)
    _, held = hold_out(len(groups), share=share, seed=seed, groups=groups)
    assert len(set(groups[held])) == min(math.ceil(share * n_groups), n_groups - 1)


@settings(deadline=None)
@given(st.integers(3, 12), st.integers(3, 12), seeds)
def test_classes_are_held_out_in_proportion(a: int, b: int, seed: int) -> None:
    labels = np.random.default_rng(seed).permutation([0] * 5 * a + [2] * 5 * b)  # class 1 has no row
    _, held = hold_out(len(labels), share=0.2, seed=seed, labels=labels)
    assert np.bincount(labels[held], minlength=3).tolist() == [a, 0, b]


def test_a_class_of_one_row_still_lets_rows_be_held_out() -> None:
    labels = np.array([0] * 10 + [1] * 9 + [2])
    _, held = hold_out(20, share=0.2, seed=0, labels=labels)
    assert len(held) == 4


def test_more_classes_than_rows_to_hold_out() -> None:
    learn, held = hold_out(20, share=0.1, seed=0, labels=np.arange(20) % 5)
    assert (len(learn), len(held)) == (18, 2)


def test_nothing_is_held_out_of_few_rows_or_one_group_or_by_a_share_of_zero() -> None:
    assert len(hold_out(FEWEST - 1, share=0.5, seed=0)[1]) == 0
    assert len(hold_out(FEWEST, share=0.5, seed=0)[1]) == 5
    assert len(hold_out(20, share=0.5, seed=0, groups=np.zeros(20))[1]) == 0
    assert len(hold_out(20, share=0.0, seed=0)[1]) == 0


def test_another_seed_cuts_another_way() -> None:
    assert not np.array_equal(hold_out(50, share=0.3, seed=0)[1], hold_out(50, share=0.3, seed=1)[1])
