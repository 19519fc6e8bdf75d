"""The compiled kernel for few tokens equals the explicit path: outputs, gradients, and what it may not serve."""

import math
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from intermodal.attention import _explicit, attend_unchecked
from intermodal.kernel import few
from intermodal.nn.network import FusionNetwork

needs_it = pytest.mark.skipif(few._few is None, reason="no compiler was there when the package was installed")
EXACT = {torch.float32: 1e-5, torch.float64: 1e-12}


def heads(batch: int, n_heads: int, n: int, d: int, dtype: torch.dtype, *, apart: bool = False) -> Tensor:
    """(B, H, T, D), as a projection leaves it, or with the heads one after another."""
    if apart:
        return torch.randn(batch, n_heads, n, d, dtype=dtype).requires_grad_()
    return torch.randn(batch, n, n_heads, d, dtype=dtype).transpose(1, 2).requires_grad_()


def both(q: Tensor, k: Tensor, v: Tensor, keep: Tensor | None) -> tuple[list[Tensor], list[Tensor]]:
    """Output and gradients of the kernel, and of the arithmetic written out."""
    found = []
    direction = torch.randn(q.shape, dtype=q.dtype)
    scale = 1 / math.sqrt(q.shape[3])
    for out in (attend_unchecked(q, k, v, keep=keep).output, _explicit(q, k, v, keep, scale, 0.0, False).output):
        found.append([out, *torch.autograd.grad(out, (q, k, v), direction)])
    return found[0], found[1]


@needs_it
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_output_and_gradients_equal_the_arithmetic_written_out(data: st.DataObject) -> None:
    draw = data.draw
    torch.manual_seed(draw(st.integers(0, 2**31)))
    batch, n_heads = draw(st.integers(1, 37)), draw(st.integers(1, 5))
    n_queries, n_keys, d = draw(st.integers(1, 11)), draw(st.integers(1, 13)), draw(st.integers(1, 19))
    dtype = draw(st.sampled_from([torch.float32, torch.float64]))
    sizes = [(batch, n_heads, n, d, dtype) for n in (n_queries, n_keys, n_keys)]
    q, k, v = (heads(*size, apart=draw(st.booleans())) for size in sizes)
    keep = None
    if draw(st.booleans()):
        keep = torch.rand(draw(st.sampled_from([1, batch])), 1, 1, n_keys) < 0.6
    assert few.serves(q, k, v, keep)
    for ours, plain in zip(*both(q, k, v, keep), strict=True):
        torch.testing.assert_close(ours, plain, atol=EXACT[dtype], rtol=EXACT[dtype])


@needs_it
def test_a_gradient_may_lie_in_memory_as_it_likes() -> None:
    q, k, v = (heads(19, 2, n, 3, torch.float64) for n in (2, 5, 5))
    for direction in (torch.ones(()).double().expand(19, 2, 2, 3), torch.randn(19, 2, 3, 2).double().mT):
        found = []
        for out in (attend_unchecked(q, k, v).output, _explicit(q, k, v, None, 3**-0.5, 0.0, False).output):
            found.append(torch.autograd.grad(out, (q, k, v), direction))
        for ours, plain in zip(*found, strict=True):
            torch.testing.assert_close(ours, plain, atol=1e-12, rtol=1e-12)


@needs_it
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_scores_far_apart_do_not_overflow(dtype: torch.dtype) -> None:
    q, k, v = (heads(3, 2, n, 5, dtype) for n in (2, 7, 7))
    for ours, plain in zip(*both((q * 100).detach().requires_grad_(), k, v, None), strict=True):
        torch.testing.assert_close(ours, plain, atol=1e-3 if dtype == torch.float32 else 1e-9, rtol=1e-5)


@needs_it
def test_a_query_that_sees_nobody_gets_zeros_and_finite_gradients() -> None:
    q, k, v = (heads(19, 2, n, 3, torch.float32) for n in (2, 5, 5))
    keep = torch.ones(19, 1, 1, 5, dtype=torch.bool)
    keep[17] = False
    output = attend_unchecked(q, k, v, keep=keep).output
    gradients = torch.autograd.grad(output.sum(), (q, k, v))
    assert not output[17].any() and output[16].any()
    assert all(bool(g.isfinite().all()) and not g[17].any() for g in gradients)


@needs_it
def test_what_is_not_a_number_stays_visible_in_its_own_sample_alone() -> None:
    q, k, v = (heads(21, 2, n, 3, torch.float32).detach() for n in (2, 5, 5))
    k[18, 1, 4, 0] = math.nan
    broken = attend_unchecked(q, k, v).output.isnan()
    assert broken[18, 1].all() and not broken[18, 0].any() and not broken[:18].any() and not broken[19:].any()


@needs_it
def test_a_sample_alone_gets_the_same_bits_as_in_a_batch() -> None:
    q, k, v = (heads(33, 2, n, 3, torch.float32).detach() for n in (2, 5, 5))
    whole = attend_unchecked(q, k, v).output
    assert all(attend_unchecked(q[[i]], k[[i]], v[[i]]).output.equal(whole[[i]]) for i in (0, 16, 32))


@needs_it
def test_gradients_can_be_differentiated_once_more() -> None:
    q, k, v = (heads(2, 2, n, 3, torch.float64) for n in (2, 5, 5))
    keep = torch.tensor([[True, True, False, True, True], [True] * 5])[:, None, None]
    run = lambda q, k, v: attend_unchecked(q, k, v, keep=keep).output  # noqa: E731
    assert torch.autograd.gradcheck(run, (q, k, v)) and torch.autograd.gradgradcheck(run, (q, k, v))


def test_what_it_may_not_serve() -> None:
    q, k, v = (heads(2, 2, n, 3, torch.float32).detach() for n in (2, 5, 5))
    assert few.serves(q, k, v, None) == (few._few is not None)
    long = heads(2, 2, few.MOST + 1, 3, torch.float32)
    others: list[tuple[Any, ...]] = [
        (q.bfloat16(), k.bfloat16(), v.bfloat16(), None),
        (q, long, long, None),
        (long, k, v, None),
        (q, k.mT.contiguous().mT, v, None),
        (q, k, v, torch.ones(2, 1, 2, 5, dtype=torch.bool)),
        (q.to("meta"), k.to("meta"), v.to("meta"), None),
    ]
    assert not any(few.serves(*other) for other in others)
    with FlopCounterMode(display=False) as counter:
        assert not few.serves(q, k, v, None)
        attend_unchecked(q, k, v)
    assert counter.get_total_flops() > 0


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_samples_can_be_mapped_and_differentiated_forward() -> None:
    q, k, v = (heads(2, 2, n, 3, torch.float64).detach() for n in (2, 5, 5))
    run = lambda q: attend_unchecked(q, k, v).output  # noqa: E731
    whole = run(q)
    torch.testing.assert_close(torch.vmap(run)(torch.stack([q, q]))[1], whole)
    _, forward = torch.func.jvp(run, (q,), (torch.ones_like(q),))
    near = (run(q + 1e-6) - run(q - 1e-6)) / 2e-6
    torch.testing.assert_close(forward, near, atol=1e-7, rtol=1e-5)


def test_a_network_answers_the_same_without_it(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    network = FusionNetwork("self", {"a": 3, "b": 2, "c": 5}, d_model=8, n_tokens=2, n_members=2)
    x = {"a": torch.randn(7, 3), "b": torch.randn(7, 2), "c": torch.randn(7, 5)}
    present = {"a": torch.tensor([True, False, True, True, False, True, True])}
    answers = []
    for module in (few._few, None):
        monkeypatch.setattr(few, "_few", module)
        pooled = network(x, present).pooled
        answers.append([pooled, *torch.autograd.grad(pooled.square().sum(), list(network.parameters()))])
    for ours, plain in zip(*answers, strict=True):
        torch.testing.assert_close(ours, plain, atol=1e-5, rtol=1e-4)
