"""The compiled kernel for attention over many tokens equals the formula: outputs, gradients, what it may not serve."""

import math
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from intermodal.attention import attend_unchecked, mass_unchecked
from intermodal.kernel import many, rows

WIDTHS = [width for width in (64, 32) if width <= rows.WIDTH]
needs_it = pytest.mark.skipif(not WIDTHS, reason="the module was not built, or has nothing for this processor")
EXACT = {torch.float32: 1e-5, torch.float64: 1e-12}
FLOAT, DOUBLE = torch.float32, torch.float64


@pytest.fixture(params=WIDTHS)
def width(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """Each width of vectors that this processor has."""
    monkeypatch.setattr(rows, "WIDTH", request.param)
    yield request.param


def heads(batch: int, n_heads: int, n: int, d: int, dtype: torch.dtype, *, apart: bool = False) -> Tensor:
    """(B, H, T, D), as a projection leaves it, or with the heads one after another."""
    if apart:
        return torch.randn(batch, n_heads, n, d, dtype=dtype).requires_grad_()
    return torch.randn(batch, n, n_heads, d, dtype=dtype).transpose(1, 2).requires_grad_()


def three(dtype: torch.dtype = FLOAT, batch: int = 3) -> tuple[Tensor, Tensor, Tensor]:
    """13 queries of width 5, and 41 keys with values of width 3."""
    return heads(batch, 2, 13, 5, dtype), heads(batch, 2, 41, 5, dtype), heads(batch, 2, 41, 3, dtype)


def formula(keep: Tensor | None, scale: float) -> Callable[[Tensor, Tensor, Tensor], Tensor]:
    """Softmax times values, written out."""

    def run(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        scores = torch.einsum("bhqd,bhkd->bhqk", q, k) * scale
        if keep is not None:
            scores = scores.masked_fill(~keep, -1e300 if q.dtype == DOUBLE else -1e38)
        weights = scores.softmax(-1)
        if keep is not None:
            weights = weights * keep.any(-1, keepdim=True)
        return torch.einsum("bhqk,bhke->bhqe", weights, v)

    return run


def ours(q: Tensor, k: Tensor, v: Tensor, keep: Tensor | None = None, scale: float = 0.5) -> Tensor:
    return many.attend(q, k, v, keep, scale, formula(keep, scale))


@needs_it
@settings(max_examples=70, deadline=None)
@given(data=st.data())
def test_output_and_gradients_equal_the_formula_in_float64(data: st.DataObject) -> None:
    draw = data.draw
    torch.manual_seed(draw(st.integers(0, 2**31)))
    batch, n_heads = draw(st.integers(1, 3)), draw(st.integers(1, 3))
    d, e = draw(st.integers(1, 70)), draw(st.integers(1, 70))
    n_queries, n_keys = draw(st.integers(1, 29)), draw(st.integers(1, 150))
    dtype = draw(st.sampled_from([FLOAT, DOUBLE]))
    sizes = ((n_queries, d), (n_keys, d), (n_keys, e))
    inputs = q, k, v = [heads(batch, n_heads, *size, dtype, apart=draw(st.booleans())) for size in sizes]
    keep = None
    if draw(st.booleans()):
        keep = torch.rand(draw(st.sampled_from([1, batch])), 1, 1, n_keys) < draw(st.sampled_from([0.1, 0.6]))
    direction = heads(batch, n_heads, n_queries, e, dtype, apart=draw(st.booleans())).detach()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rows, "WIDTH", draw(st.sampled_from(WIDTHS)))
        found = ours(q, k, v, keep, d**-0.5)
        found_all = [found, *torch.autograd.grad(found, inputs, direction)]
    plain = formula(keep, d**-0.5)(q.double(), k.double(), v.double())
    plain_all = [plain, *torch.autograd.grad(plain, inputs, direction.double())]
    for one, other in zip(found_all, plain_all, strict=True):
        torch.testing.assert_close(one.double(), other.double(), atol=EXACT[dtype], rtol=EXACT[dtype])


@needs_it
@pytest.mark.parametrize("dtype", [FLOAT, DOUBLE])
def test_scores_far_apart_do_not_overflow(width: int, dtype: torch.dtype) -> None:
    q, k, v = three(dtype)
    q = (q * 1000).detach().requires_grad_()
    found, plain = ours(q, k, v), formula(None, 0.5)(q.double(), k.double(), v.double())
    torch.testing.assert_close(found.double(), plain, atol=1e-2 if dtype == FLOAT else 1e-10, rtol=0)
    assert all(bool(g.isfinite().all()) for g in torch.autograd.grad(found.square().sum(), (q, k, v)))


@needs_it
def test_long_sums_round_no_more_than_short_ones(width: int) -> None:
    q, k = heads(1, 1, 12, 4, FLOAT).detach(), heads(1, 1, 8192, 4, FLOAT).detach()
    torch.testing.assert_close(ours(q, k, torch.ones(1, 1, 8192, 1)), torch.ones(1, 1, 12, 1), atol=1.5e-6, rtol=0)


@needs_it
def test_queries_that_see_nobody_get_zeros_and_finite_gradients(width: int) -> None:
    q, k, v = three(batch=5)
    keep = torch.ones(5, 1, 1, 41, dtype=torch.bool)
    keep[3] = False
    output = ours(q, k, v, keep)
    gradients = torch.autograd.grad(output.square().sum(), (q, k, v))
    assert not output[3].any() and bool(output[2].all())
    assert all(bool(g.isfinite().all()) and not g[3].any() and bool(g[2].all()) for g in gradients)


@needs_it
def test_what_stands_in_masked_places_changes_nothing(width: int) -> None:
    q, k, v = (t.detach() for t in three())
    keep = torch.rand(3, 1, 1, 41) < 0.6
    found = []
    for value in (0.0, math.nan):
        keys, values = (t.masked_fill(~keep.mT, value).requires_grad_() for t in (k, v))
        output = ours(q, keys, values, keep)
        found.append([output, *torch.autograd.grad(output.square().sum(), (keys, values))])
    assert all(one.equal(other) for one, other in zip(*found, strict=True))


@needs_it
@pytest.mark.parametrize("which", [0, 1, 2])
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("dtype", [FLOAT, DOUBLE])
def test_what_is_not_finite_acts_as_in_the_formula(width: int, dtype: torch.dtype, value: float, which: int) -> None:
    q, k, v = (t.detach() for t in three(dtype))
    (q, k, v)[which][1, 1, 4, 0] = value
    found, plain = ours(q, k, v), formula(None, 0.5)(q, k, v)
    torch.testing.assert_close(found, plain, atol=1e-5, rtol=1e-5, equal_nan=True)
    assert not found[1, 1].isfinite().all() and found[[0, 2]].isfinite().all() and found[1, 0].isfinite().all()


@needs_it
def test_a_broken_query_breaks_no_other_query(width: int) -> None:
    q, k, v = (t.detach() for t in three())
    q[1, 1, 12] = math.nan  # in a tile of its own, but for the places behind it
    broken = ours(q, k, v).isnan().all(-1)
    assert broken[1, 1, 12] and broken.sum() == 1


@needs_it
def test_a_sample_alone_gets_the_same_bits_as_in_a_batch(width: int) -> None:
    q, k, v = three(batch=5)
    keep, direction = torch.rand(5, 1, 1, 41) < 0.7, torch.randn(5, 2, 13, 3)

    def run(which: list[int]) -> list[Tensor]:
        output = ours(q[which], k[which], v[which], keep[which])
        return [output, *(g[which] for g in torch.autograd.grad(output, (q, k, v), direction[which]))]

    whole = run([0, 1, 2, 3, 4])
    for i in (0, 2, 4):
        assert all(one.equal(all_[[i]]) for one, all_ in zip(run([i]), whole, strict=True))


@needs_it
def test_threads_change_no_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows, "WORTH", 1)
    q, k, v = three()
    before, found = torch.get_num_threads(), []
    try:
        for threads in (1, 2, 7):
            torch.set_num_threads(threads)
            output = ours(q, k, v)
            found.append([output, *torch.autograd.grad(output.square().sum(), (q, k, v))])
    finally:
        torch.set_num_threads(before)
    for other in found[1:]:
        assert all(one.equal(two) for one, two in zip(found[0], other, strict=True))


@needs_it
def test_gradients_can_be_differentiated_once_more() -> None:
    q, k, v = (heads(2, 2, n, d, DOUBLE) for n, d in ((2, 3), (5, 3), (5, 2)))
    keep = torch.tensor([[True, True, False, True, True], [True] * 5])[:, None, None]
    run = lambda q, k, v: ours(q, k, v, keep)  # noqa: E731
    assert torch.autograd.gradcheck(run, (q, k, v)) and torch.autograd.gradgradcheck(run, (q, k, v))
    alone = lambda v: ours(q.detach(), k.detach(), v, keep)  # noqa: E731
    assert torch.autograd.gradcheck(alone, (v,)) and torch.autograd.gradgradcheck(alone, (v,))


@needs_it
def test_what_lies_oddly_in_memory_is_read_as_it_lies() -> None:
    q, k, v = three(DOUBLE)
    keep = (torch.rand(41, 3) < 0.7).T[:, None, None]
    for direction in (torch.randn(3, 13, 2, 3, dtype=DOUBLE).permute(3, 2, 1, 0), torch.ones((), dtype=DOUBLE)):
        direction = direction.expand(3, 2, 13, 3)
        found = torch.autograd.grad(ours(q, k, v, keep), (q, k, v), direction)
        plain = torch.autograd.grad(formula(keep, 0.5)(q, k, v), (q, k, v), direction)
        for one, other in zip(found, plain, strict=True):
            torch.testing.assert_close(one, other, atol=1e-12, rtol=1e-12)


@needs_it
def test_all_lies_as_projections_leave_and_take_it() -> None:
    inputs = three()
    output = ours(*inputs)
    for t in (output, *torch.autograd.grad(output.square().sum(), inputs)):
        assert t.transpose(1, 2).is_contiguous()


def test_what_it_may_not_serve(monkeypatch: pytest.MonkeyPatch) -> None:
    q, k, v = (t.detach() for t in three())
    assert many.serves(q, k, v, None) == (rows.WIDTH > 0)
    others: list[tuple[Any, ...]] = [
        (q.bfloat16(), k.bfloat16(), v.bfloat16(), None),
        (q, k, v.double(), None),
        (q, k, v[:1], None),
        (q, k, v[:, :, :40], None),
        (q, k, v[..., :0], None),
        (q, k, v.mT.contiguous().mT, None),
        (q, k, v, torch.ones(3, 1, 13, 41, dtype=torch.bool)),
        (q[:, :, : many.FEWEST - 1], k, v, None),
        (q, k, v.to("meta"), None),
    ]
    assert not any(many.serves(*other) for other in others)
    with FlopCounterMode(display=False):
        assert not many.serves(q, k, v, None)
    monkeypatch.setattr(rows, "WIDTH", 0)
    assert not many.serves(q, k, v, None)


@needs_it
def test_attention_asks_it_and_so_does_the_mass_for_all_segments_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []

    def counted(*args: Any, attend: Callable[..., Tensor] = many.attend) -> Tensor:
        asked.append(1)
        return attend(*args)

    monkeypatch.setattr(many, "attend", counted)
    q, k, v = (t.detach() for t in three())
    keep, segments = torch.rand(3, 1, 1, 41) < 0.6, torch.randint(0, 7, (1, 41))
    found = attend_unchecked(q, k, v, keep=keep, scale=0.5).output
    torch.testing.assert_close(found, formula(keep, 0.5)(q, k, v), atol=1e-5, rtol=1e-5)
    mass = mass_unchecked(q, k, segments, 7, keep=keep, scale=0.5)
    member = (segments.unsqueeze(-1) == torch.arange(7)).float().expand(3, 2, 41, 7)
    torch.testing.assert_close(mass, formula(keep, 0.5)(q, k, member), atol=1e-5, rtol=1e-5)
    assert len(asked) == 2
