"""Zeros where nothing is, by the quick way and by the sure one."""

import math

import pytest
import torch

from intermodal.nn.blank import blank


@pytest.mark.parametrize("broken", [0.0, math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_what_is_not_there_becomes_zero_whatever_it_is(broken: float, dtype: torch.dtype) -> None:
    x = torch.randn(3, 5, 7, dtype=dtype)
    there = torch.rand(3, 5, 1) > 0.4
    x = torch.where(there, x, broken)
    assert torch.equal(blank(x, there), x.masked_fill(~there, 0.0))
    assert blank(x, there).dtype == dtype


def test_a_nan_that_is_there_stays() -> None:
    x = torch.tensor([math.nan, 2.0, math.nan])
    assert torch.equal(blank(x, torch.tensor([True, True, False])).isnan(), torch.tensor([True, False, False]))


def test_numbers_that_overflow_in_the_sum_stay() -> None:
    x = torch.full((4,), 3e38)
    assert torch.equal(blank(x, torch.ones(4, dtype=torch.bool)), x)


@pytest.mark.parametrize("broken", [0.0, math.nan])
def test_gradients_are_those_of_a_fill(broken: float) -> None:
    there = torch.tensor([[True], [False]])
    x = torch.tensor([[1.0, 2.0], [broken, 4.0]], requires_grad=True)
    blank(x, there).square().sum().backward()
    assert torch.equal(x.grad, torch.tensor([[2.0, 4.0], [0.0, 0.0]]))
