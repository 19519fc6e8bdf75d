"""Attention with heads that look back and heads that look ahead, against the formula as a loop."""

import math

import pytest
import torch
from torch import Tensor

from intermodal.errors import InputError, MaskError, ShapeError
from intermodal.nn import directed
from intermodal.nn.directed import DirectedAttention


def drawn(n_heads: int = 4) -> DirectedAttention:
    torch.manual_seed(0)
    asks = DirectedAttention(12, n_heads=n_heads).eval()
    with torch.no_grad():
        asks.nobody.normal_()
        asks.growth.uniform_(0.2, 0.7)
        asks.attention.out_proj.bias.normal_()
    return asks


def by_loop(asks: DirectedAttention, x: Tensor) -> Tensor:
    own, n = asks.attention, x.shape[1]
    q, k, v = own.split(own.q_proj(x)), own.split(own.k_proj(x)), own.split(own.v_proj(x))
    heads = torch.zeros_like(q)
    for b in range(len(x)):
        for h in range(own.n_heads):
            for t in range(n):
                seen = range(t + 1) if h < own.n_heads // 2 else range(t, n)
                growth = asks.growth[h] * math.log(1 + len(seen)) / math.sqrt(own.d_head)
                scores = [growth * q[b, h, t] @ asks.nobody[h]] + [growth * q[b, h, t] @ k[b, h, s] for s in seen]
                weights = torch.stack(scores).exp()
                weights = weights / weights.sum()
                for w, s in zip(weights[1:], seen, strict=True):
                    heads[b, h, t] += w * v[b, h, s]
    return torch.as_tensor(own.out_proj(own.merge(heads)))


def test_equals_the_formula() -> None:
    asks, x = drawn(), torch.randn(2, 7, 12)
    torch.testing.assert_close(asks(x), by_loop(asks, x), atol=1e-5, rtol=0)


def test_half_of_the_heads_see_the_past_and_half_the_future() -> None:
    asks, x = drawn(2), torch.randn(1, 7, 12)
    changed = x.clone()
    changed[:, 3] += 1.0
    with torch.no_grad():
        asks.attention.out_proj.weight.copy_(torch.eye(12))
    moved = (asks(changed) - asks(x)).abs() > 1e-7
    assert moved[0, :, :6].any(1).tolist() == [False] * 3 + [True] * 4
    assert moved[0, :, 6:].any(1).tolist() == [True] * 4 + [False] * 3


@pytest.mark.parametrize(("left", "right"), [(0, 3), (2, 0), (3, 5)])
def test_padding_on_either_side_changes_nothing(left: int, right: int) -> None:
    asks, x = drawn(), torch.randn(2, 7, 12)
    padded = torch.full((2, left + 7 + right, 12), float("nan"))
    padded[:, left : left + 7] = x
    present = torch.zeros(padded.shape[:2], dtype=torch.bool)
    present[:, left : left + 7] = True
    got = asks(padded, present)
    torch.testing.assert_close(got[:, left : left + 7], asks(x), atol=1e-6, rtol=0)
    assert not got[~present].any()


def test_pieces_equal_the_whole_and_so_do_their_gradients(monkeypatch: pytest.MonkeyPatch) -> None:
    asks, x = drawn().train(), torch.randn(2, 11, 12, requires_grad=True)
    present = torch.ones(2, 11, dtype=torch.bool)
    present[1, 5:] = False
    whole = asks(x, present)
    whole.square().sum().backward()
    expected = [p.grad.clone() for p in (x, *asks.parameters()) if p.grad is not None]
    asks.zero_grad()
    x.grad = None
    monkeypatch.setattr(directed, "MOST", 2 * 2 * 3 * 12)
    pieces = asks(x, present)
    torch.testing.assert_close(pieces, whole, atol=1e-6, rtol=0)
    pieces.square().sum().backward()
    got = [p.grad for p in (x, *asks.parameters()) if p.grad is not None]
    assert len(got) == len(expected) == 1 + len(list(asks.parameters()))
    for mine, theirs in zip(got, expected, strict=True):
        torch.testing.assert_close(mine, theirs, atol=1e-5, rtol=1e-5)


def test_every_parameter_gets_a_gradient() -> None:
    asks = drawn().train()
    asks(torch.randn(2, 7, 12)).square().sum().backward()
    for name, p in asks.named_parameters():
        # adding one number to all keys changes no weight, but for the key that is nobody's
        assert p.grad is not None and p.grad.abs().max() > 1e-8, name


def test_wrong_input_is_told() -> None:
    with pytest.raises(InputError, match=r"n_heads is even, however: n_heads=3"):
        DirectedAttention(12, n_heads=3)
    with pytest.raises(ShapeError, match="x is"):
        drawn()(torch.randn(7, 12))
    with pytest.raises(MaskError, match=r"present is bool \(2, 7\), however"):
        drawn()(torch.randn(2, 7, 12), torch.ones(2, 7))
