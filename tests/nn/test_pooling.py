"""The mean of what is there."""

import math

import pytest
import torch
from torch import Tensor

from intermodal.nn.fused import mean_present


def there() -> Tensor:
    return torch.tensor([[1, 0, 1, 1, 0], [0, 0, 0, 0, 0], [1, 1, 1, 1, 1]]).bool()


@pytest.mark.parametrize("filling", [5.0, math.nan, math.inf])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_mean_takes_what_is_there(filling: float, dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    x = torch.randn(3, 5, 7, dtype=dtype)
    got = mean_present(x.masked_fill(~there().unsqueeze(-1), filling), there())
    torch.testing.assert_close(got[0], x[0, [0, 2, 3]].mean(0))
    torch.testing.assert_close(got[2], x[2].mean(0))
    torch.testing.assert_close(mean_present(x, None), x.mean(1))
    assert (got[1] == 0).all()


def test_nothing_has_the_mean_zero() -> None:
    assert mean_present(torch.zeros(3, 0, 7), None).equal(torch.zeros(3, 7))
    assert mean_present(torch.zeros(3, 0, 7), torch.ones(3, 0, dtype=torch.bool)).equal(torch.zeros(3, 7))


def test_nan_that_is_there_stays_visible() -> None:
    x = torch.zeros(3, 5, 7)
    x[0, 2, 1] = math.nan
    got = mean_present(x, there())
    assert got[0].isnan().tolist() == [False, True] + [False] * 5
    assert got[1:].isfinite().all()
