"""Dropout by bytes drops what it should, and is plain dropout where no source is set."""

import pytest
import torch
import torch.nn.functional as F

from intermodal.nn.dropping import Dropout, Noise, dropping_by


@pytest.mark.parametrize("p", [0.1, 0.5, 0.0005, 0.9999])
def test_every_byte_of_a_word_drops_with_the_rounded_probability(p: float) -> None:
    rounded = min(255, max(1, round(256 * p))) / 256
    dropped = (Noise(3).drop(torch.ones(40_000, 8, dtype=torch.float64), p) == 0).double().mean(0)
    assert torch.allclose(dropped, torch.full((8,), rounded, dtype=torch.float64), atol=0.012)
    assert abs(dropped.mean() - rounded) < 0.0035  # four deviations, and less than the 1/256 of one byte


@pytest.mark.parametrize("p", [0.1, 0.5, 0.9999])
def test_what_stays_is_scaled_so_that_the_mean_is_exact(p: float) -> None:
    x = torch.randn(7, 5, 3, dtype=torch.float64)
    y = Noise(0).drop(x, p)
    rounded = min(255, max(1, round(256 * p))) / 256
    assert torch.allclose(y[y != 0] * (1 - rounded), x[y != 0])


def test_gradients_take_the_way_of_the_values() -> None:
    x = torch.randn(11, 13, requires_grad=True)
    y = Noise(0).drop(x, 0.3)
    y.sum().backward()
    assert x.grad is not None and torch.allclose(x.grad * x, y)


def test_one_seed_drops_the_same_and_another_does_not() -> None:
    x = torch.ones(17, 19)
    assert Noise(1).drop(x, 0.5).equal(Noise(1).drop(x, 0.5))
    assert not Noise(1).drop(x, 0.5).equal(Noise(2).drop(x, 0.5))
    noise = Noise(1)
    assert not noise.drop(x, 0.5).equal(noise.drop(x, 0.5))


def test_without_a_source_it_is_the_dropout_of_torch() -> None:
    x = torch.randn(5, 7)
    torch.manual_seed(0)
    one = Dropout(0.4)(x)
    torch.manual_seed(0)
    assert one.equal(F.dropout(x, 0.4))


def test_a_source_drops_in_training_by_its_own_numbers() -> None:
    layer, x = Dropout(0.4), torch.randn(5, 7)
    with dropping_by(layer, Noise(2)):
        assert layer(x).equal(Noise(2).drop(x, 0.4))


def test_a_source_leaves_evaluation_alone_and_goes_with_the_body() -> None:
    layer, x = Dropout(0.4).eval(), torch.randn(5, 7)
    with pytest.raises(KeyError), dropping_by(layer, Noise(0)):
        assert layer(x) is x or layer(x).equal(x)
        assert layer.source is not None
        raise KeyError
    assert layer.source is None
