"""What each of several models counts."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import approx_fprime

from intermodal.learn.stacking import MOST, _slope, loss_of, sharpen, weigh


def scores(n: int = 60, k: int = 3, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, k, n)
    return np.eye(k)[labels] + rng.normal(size=(n, k)), labels, rng.uniform(0.2, 2.0, n)


def test_the_loss_of_classes_is_the_log_loss_and_one_row_of_any_class() -> None:
    said, labels, weight = scores(5)
    shares = np.exp(said) / np.exp(said).sum(1, keepdims=True)
    own = -np.log(shares[np.arange(5), labels])
    any_class = -np.log(shares).mean(1)
    wanted = (weight @ own + weight @ any_class / weight.sum()) / (weight.sum() + 1)
    assert loss_of(said, labels, np.empty(0), weight) == pytest.approx(wanted)


def test_the_loss_of_numbers_is_the_weighted_squared_error() -> None:
    said, wanted = np.array([[1.0, 2.0], [0.0, 0.0]]), np.array([[1.0, 4.0], [0.0, 2.0]])
    assert loss_of(said, None, wanted, np.array([3.0, 1.0])) == pytest.approx((3 * 2 + 1 * 2) / 4)


@pytest.mark.parametrize("task", ["classes", "numbers"])
def test_the_slope_is_that_of_the_loss(task: str) -> None:
    said, labels, weight = scores(6)
    known = labels if task == "classes" else None
    wanted = np.random.default_rng(1).normal(size=said.shape)
    slope = approx_fprime(said.ravel(), lambda s: loss_of(s.reshape(said.shape), known, wanted, weight), 1e-6)
    assert np.allclose(slope.reshape(said.shape), _slope(said, known, wanted, weight), atol=1e-5)


def test_who_is_right_is_heard_and_noise_is_not() -> None:
    said, labels, weight = scores(400)
    noise = np.random.default_rng(2).normal(size=said.shape)
    shares = weigh([said, noise], labels, np.empty(0), weight, first=[0.5, 0.5])
    assert shares[0] > 0.8 and shares[1] < 0.15
    alone = weigh([said], labels, np.empty(0), weight, first=[0.5])
    assert loss_of(alone[0] * said, labels, np.empty(0), weight) <= loss_of(said, labels, np.empty(0), weight)


def test_shares_stay_between_zero_and_the_most() -> None:
    wanted = np.array([[1.0], [2.0], [-3.0]])
    assert weigh([-wanted], None, wanted, np.ones(3), first=[1.0])[0] == 0.0
    assert weigh([wanted / 100], None, wanted, np.ones(3), first=[1.0])[0] == MOST


def test_the_wish_to_stay_gives_way_to_rows() -> None:
    rng = np.random.default_rng(0)

    def share(n: int, held: float) -> float:
        wanted = rng.normal(size=(n, 1))
        return float(weigh([wanted, 0 * wanted], None, wanted, np.ones(n), first=[0.0, 1.0], held=held)[0])

    assert share(50, 0.0) == pytest.approx(1.0, abs=1e-3)
    assert share(5, 1000.0) < 0.1 < share(5, 5.0) < 0.9 < share(500, 5.0)


def test_a_weight_counts_like_so_many_rows() -> None:
    said, labels, _ = scores(30)
    weight = np.random.default_rng(3).integers(1, 4, 30)
    other = np.random.default_rng(4).normal(size=said.shape)
    twice = np.repeat(np.arange(30), weight)
    a = weigh([said, other], labels, np.empty(0), weight.astype(float), first=[0.5, 0.5])
    b = weigh([said[twice], other[twice]], labels[twice], np.empty(0), np.ones(len(twice)), first=[0.5, 0.5])
    assert np.allclose(a, b, atol=1e-4)


def test_more_rows_that_were_never_missed_allow_more_sureness() -> None:
    few, many = (sharpen(np.eye(2)[[0, 1] * n], np.array([0, 1] * n), np.ones(2 * n)) for n in (10, 1000))
    assert few[0] < many[0] and few[1] > many[1]
    noise = np.random.default_rng(0).normal(size=(500, 2))
    assert sharpen(noise, np.arange(500) % 2, np.ones(500))[0] < 0.3
