"""The compiled kernel for mean weights equals the formula: weights, gradients, and what it may not serve."""

import math
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from intermodal.kernel import calling, rows

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


def formula(keep: Tensor | None, scale: float) -> Callable[[Tensor, Tensor, Tensor], Tensor]:
    """The sum over queries of share times softmax, written out."""

    def run(q: Tensor, k: Tensor, share: Tensor) -> Tensor:
        scores = torch.einsum("bhqd,bhkd->bhqk", q, k) * scale
        if keep is not None:
            scores = scores.masked_fill(~keep, -1e300 if q.dtype == DOUBLE else -1e38)
        weights = scores.softmax(-1)
        if keep is not None:
            weights = weights * keep.any(-1, keepdim=True)
        return (weights * share[:, None, :, None]).sum(2)

    return run


def ours(q: Tensor, k: Tensor, keep: Tensor | None, share: Tensor, scale: float = 0.5) -> Tensor:
    return rows.mean_weights(q, k, keep, share, scale, formula(keep, scale))


def even(q: Tensor) -> Tensor:
    return torch.full((q.shape[0], q.shape[2]), 1 / q.shape[2], dtype=q.dtype)


@needs_it
@settings(max_examples=70, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_weights_and_gradients_equal_the_formula_in_float64(data: st.DataObject) -> None:
    draw = data.draw
    torch.manual_seed(draw(st.integers(0, 2**31)))
    batch, n_heads, d = draw(st.integers(1, 3)), draw(st.integers(1, 3)), draw(st.integers(1, 70))
    n_queries, n_keys = draw(st.integers(1, 29)), draw(st.integers(1, 150))
    dtype = draw(st.sampled_from([FLOAT, DOUBLE]))
    q, k = (heads(batch, n_heads, n, d, dtype, apart=draw(st.booleans())) for n in (n_queries, n_keys))
    keep = None
    if draw(st.booleans()):
        keep = torch.rand(draw(st.sampled_from([1, batch])), 1, 1, n_keys) < draw(st.sampled_from([0.1, 0.6]))
    share = torch.rand(draw(st.sampled_from([1, batch])), n_queries, dtype=dtype)
    share = share * (torch.rand(share.shape) < draw(st.sampled_from([0.5, 2])))
    inputs = [q, k, share.requires_grad_()] if draw(st.booleans()) else [q, k]
    direction = torch.randn(batch, n_heads, n_keys, dtype=dtype)
    assert rows.serves(q, k, keep)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rows, "WIDTH", draw(st.sampled_from(WIDTHS)))
        found = ours(q, k, keep, share, d**-0.5)
        found_all = [found, *torch.autograd.grad(found, inputs, direction)]
    plain = formula(keep, d**-0.5)(q.double(), k.double(), share.double())
    plain_all = [plain, *torch.autograd.grad(plain, inputs, direction.double())]
    for one, other in zip(found_all, plain_all, strict=True):
        torch.testing.assert_close(one.double(), other.double(), atol=EXACT[dtype], rtol=EXACT[dtype])


@needs_it
@pytest.mark.parametrize("dtype", [FLOAT, DOUBLE])
def test_exponentials_are_right_to_the_last_units(width: int, dtype: torch.dtype) -> None:
    # Scores 0 and x: the weight of the second is 1 / (1 + e^-x), and from it comes e^x.
    x = -torch.cat([torch.linspace(0, 1, 400, dtype=dtype), torch.linspace(1, 80, 600, dtype=dtype)])
    q, k = x.reshape(-1, 1, 1, 1).contiguous(), torch.tensor([0.0, 1.0], dtype=dtype).reshape(1, 1, 2, 1)
    found = ours(q, k.expand(len(x), 1, 2, 1), None, even(q), 1.0)[:, 0, 1].double()
    exact = x.double().sigmoid()
    # x * log2(e) is rounded once, which alone is worth up to |x| units
    assert bool(((found / exact - 1).abs() / torch.finfo(dtype).eps <= 3 + x.double().abs()).all())


@needs_it
@pytest.mark.parametrize("dtype", [FLOAT, DOUBLE])
def test_scores_far_apart_do_not_overflow(width: int, dtype: torch.dtype) -> None:
    q, k = (heads(2, 2, n, 5, dtype) for n in (7, 41))
    q = (q * 1000).detach().requires_grad_()
    found, plain = ours(q, k, None, even(q)), formula(None, 0.5)(q.double(), k.double(), even(q).double())
    torch.testing.assert_close(found.double(), plain, atol=2e-4 if dtype == FLOAT else 1e-12, rtol=0)
    assert all(bool(g.isfinite().all()) for g in torch.autograd.grad(found.square().sum(), (q, k)))


@needs_it
def test_queries_that_see_nobody_give_nothing_and_get_finite_gradients(width: int) -> None:
    q, k = (heads(5, 2, n, 3, FLOAT) for n in (7, 41))
    share = even(q).requires_grad_()
    keep = torch.ones(5, 1, 1, 41, dtype=torch.bool)
    keep[3] = False
    weights = ours(q, k, keep, share)
    gradients = torch.autograd.grad(weights.square().sum(), (q, k, share))
    assert not weights[3].any() and bool(weights[2].all())
    assert all(bool(g.isfinite().all()) and not g[3].any() and bool(g[2].any()) for g in gradients)


@needs_it
def test_what_stands_in_masked_places_and_in_queries_of_no_share_changes_nothing(width: int) -> None:
    q, k = (heads(3, 2, n, 3, FLOAT).detach() for n in (8, 41))
    keep, share = torch.rand(3, 1, 1, 41) < 0.6, even(q)
    share[:, 2] = 0
    broken_q, broken_k = q.clone(), k.masked_fill(~keep.mT, math.nan)
    broken_q[:, :, 2] = math.inf
    found = []
    for asking, asked in ((q, k), (broken_q, broken_k)):
        asking, asked = asking.requires_grad_(), asked.requires_grad_()
        weights = ours(asking, asked, keep, share)
        found.append([weights, *torch.autograd.grad(weights.square().sum(), (asking, asked))])
    assert all(one.equal(other) for one, other in zip(*found, strict=True))


@needs_it
@pytest.mark.parametrize("side", ["query", "key"])
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("dtype", [FLOAT, DOUBLE])
def test_what_is_not_finite_acts_as_in_the_formula(width: int, dtype: torch.dtype, value: float, side: str) -> None:
    q, k = (heads(3, 2, n, 3, dtype).detach() for n in (8, 41))
    (q if side == "query" else k)[1, 1, 4, 0] = value
    found, plain = ours(q, k, None, even(q)), formula(None, 0.5)(q, k, even(q))
    torch.testing.assert_close(found, plain, atol=1e-5, rtol=1e-5, equal_nan=True)
    assert found[1, 1].isnan().all() and not found[[0, 2]].isnan().any() and not found[1, 0].isnan().any()


@needs_it
@pytest.mark.parametrize("dtype", [FLOAT, DOUBLE])
def test_a_key_whose_score_is_minus_infinity_has_no_weight(width: int, dtype: torch.dtype) -> None:
    q, k = torch.ones(1, 1, 8, 2, dtype=dtype), torch.randn(1, 1, 41, 2, dtype=dtype)
    k[0, 0, 4, 0] = -math.inf
    found = ours(q, k, None, even(q))
    torch.testing.assert_close(found, formula(None, 0.5)(q, k, even(q)), atol=1e-6, rtol=1e-5)
    assert found[0, 0, 4] == 0


@needs_it
def test_a_sample_alone_gets_the_same_bits_as_in_a_batch(width: int) -> None:
    q, k = (heads(5, 3, n, 7, FLOAT) for n in (23, 37))
    keep, share, direction = torch.rand(5, 1, 1, 37) < 0.7, torch.rand(5, 23), torch.randn(5, 3, 37)

    def run(which: list[int]) -> list[Tensor]:
        weights = ours(q[which], k[which], keep[which], share[which])
        return [weights, *(g[which] for g in torch.autograd.grad(weights, (q, k), direction[which]))]

    whole = run([0, 1, 2, 3, 4])
    for i in (0, 2, 4):
        assert all(one.equal(all_[[i]]) for one, all_ in zip(run([i]), whole, strict=True))


@needs_it
def test_threads_change_no_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    q, k = (heads(3, 3, n, 5, FLOAT) for n in (23, 37))
    share, direction = torch.rand(3, 23).requires_grad_(), torch.randn(3, 3, 37)
    before, found = torch.get_num_threads(), []
    try:
        monkeypatch.setattr(rows, "WORTH", 1)
        for threads in (1, 2, 7, 70):
            torch.set_num_threads(threads)
            weights = ours(q, k, None, share)
            found.append([weights, *torch.autograd.grad(weights, (q, k, share), direction)])
    finally:
        torch.set_num_threads(before)
    for other in found[1:]:
        assert all(one.equal(two) for one, two in zip(found[0], other, strict=True))


@needs_it
def test_gradients_can_be_differentiated_once_more() -> None:
    q, k = (heads(2, 2, n, 3, DOUBLE) for n in (2, 5))
    keep = torch.tensor([[True, True, False, True, True], [True] * 5])[:, None, None]
    share = torch.rand(2, 2, dtype=DOUBLE).requires_grad_()
    run = lambda q, k, share: ours(q, k, keep, share)  # noqa: E731
    assert torch.autograd.gradcheck(run, (q, k, share)) and torch.autograd.gradgradcheck(run, (q, k, share))
    alone = lambda k: ours(q.detach(), k, keep, share.detach())  # noqa: E731
    assert torch.autograd.gradcheck(alone, (k,)) and torch.autograd.gradgradcheck(alone, (k,))


@needs_it
def test_what_lies_oddly_in_memory_is_read_as_it_lies() -> None:
    q, k = (heads(3, 2, n, 3, DOUBLE) for n in (7, 41))
    keep, share = (torch.rand(41, 3) < 0.7).T[:, None, None], torch.rand(7, 3).T
    turned, wide = torch.randn(41, 2, 3, dtype=DOUBLE).permute(2, 1, 0), torch.randn(1, 1, 41, dtype=DOUBLE)
    for direction in (turned, wide.expand(3, 2, 41), torch.ones((), dtype=DOUBLE).expand(3, 2, 41)):
        found = torch.autograd.grad(ours(q, k, keep, share), (q, k), direction)
        plain = torch.autograd.grad(formula(keep, 0.5)(q, k, share.double()), (q, k), direction)
        for one, other in zip(found, plain, strict=True):
            torch.testing.assert_close(one, other, atol=1e-12, rtol=1e-12)


@needs_it
def test_gradients_lie_as_a_projection_takes_them() -> None:
    q, k = (heads(2, 2, n, 3, FLOAT) for n in (7, 41))
    for g in torch.autograd.grad(ours(q, k, None, even(q)).square().sum(), (q, k)):
        assert g.transpose(1, 2).is_contiguous()


def test_what_it_may_not_serve(monkeypatch: pytest.MonkeyPatch) -> None:
    q, k = (heads(2, 2, n, 3, FLOAT).detach() for n in (7, 41))
    assert rows.serves(q, k, None) == (rows.WIDTH > 0)
    others: list[tuple[Any, ...]] = [
        (q.bfloat16(), k.bfloat16(), None),
        (q, k.double(), None),
        (q, k[:1], None),
        (q, k[:, :1], None),
        (q, k[:, :, :0], None),
        (q, k.mT.contiguous().mT, None),
        (q, k, torch.ones(2, 1, 7, 41, dtype=torch.bool)),
        (q, k, torch.ones(2, 2, 1, 41, dtype=torch.bool)),
        (q.to("meta"), k.to("meta"), None),
    ]
    assert not any(rows.serves(*other) for other in others)
    with FlopCounterMode(display=False):
        assert not rows.serves(q, k, None)
    monkeypatch.setattr(rows, "WIDTH", 0)
    assert not rows.serves(q, k, None)


def test_the_environment_keeps_it_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(calling.PLAIN, "1")
    assert calling.compiled("_rows") is None


@needs_it
def test_the_module_refuses_what_it_cannot_run() -> None:
    assert rows._rows is not None
    nothing = [0] * 20
    with pytest.raises(TypeError, match="a flag, a scale, sizes and addresses"):
        rows._rows.weights(0, 1.0, *nothing, rows.WIDTH, 1, *[0] * 13)
    with pytest.raises(ValueError, match="no vectors of that width"):
        rows._rows.weights(0, 1.0, *nothing, 128, 1, *[0] * 12)
