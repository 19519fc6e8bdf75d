"""Attention pooled from the tokens equals the arithmetic written out: outputs, gradients, and what it refuses."""

import math
from typing import Any, NamedTuple

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from intermodal.kernel import few, pooled

pytestmark = pytest.mark.skipif(few.ROOM == 0, reason="the compiled module is not there, or nothing for this processor")
EXACT = {torch.float32: 1e-5, torch.float64: 1e-12}


class Case(NamedTuple):
    """A call of the module."""

    query: Tensor
    context: Tensor
    by: pooled.Projections
    keep: Tensor | None
    share: Tensor | float

    @property
    def tensors(self) -> list[Tensor | None]:
        """All that may take a gradient, the context only where it is not the query."""
        apart = [] if self.query is self.context else [self.context]
        return [self.query, *apart, *(t for p in self.by.of for t in p)]


def written_out(case: Case, *tensors: Any) -> Tensor:
    """The formula, sample by sample and head by head, in the order of a textbook."""
    query, context, wq, bq, wk, bk, wv, bv, wo, bo = tensors
    d, answers = wq.shape[0] // case.by.n_heads, []
    for i in range(len(query)):
        there = slice(None) if case.keep is None else case.keep[i if len(case.keep) > 1 else 0]
        share = case.share[i] if isinstance(case.share, Tensor) else query.new_full((query.shape[1],), case.share)
        q, k, v = F.linear(query[i], wq, bq), F.linear(context[i][there], wk, bk), F.linear(context[i][there], wv, bv)
        if len(k) == 0:
            answers.append(query.new_zeros(wo.shape[0]) * (q.sum() * 0))
            continue
        heads = [slice(h * d, (h + 1) * d) for h in range(case.by.n_heads)]
        seen = [(q[:, h] @ k[:, h].T / math.sqrt(d)).softmax(-1) @ v[:, h] for h in heads]
        answers.append(share @ F.linear(torch.cat(seen, -1), wo, bo))
    return torch.stack(answers)


def plainly(case: Case) -> Any:
    """The formula as a function of the tensors alone."""
    return lambda *tensors: written_out(case, *tensors)


def flat(case: Case) -> tuple[Any, ...]:
    """The tensors in the order of a call."""
    return (case.query, case.context, *(t for p in case.by.of for t in p))


def make(
    batch: int,
    n: int,
    k: int,
    x: int,
    y: int,
    out: int,
    n_heads: int,
    d: int,
    *,
    same: bool = False,
    masks: bool = False,
    bias: bool = True,
    dtype: torch.dtype = torch.float32,
) -> Case:
    """Draw a call."""
    draw = lambda *shape: torch.randn(*shape, dtype=dtype).requires_grad_()  # noqa: E731
    query = draw(batch, n, x)
    k, y = (n, x) if same else (k, y)
    context = query if same else draw(batch, k, y)
    sizes = ((n_heads * d, x), (n_heads * d, y), (n_heads * d, y), (out, n_heads * d))
    of = [((draw(*s) / s[1] ** 0.5).detach().requires_grad_(), draw(s[0]) if bias else None) for s in sizes]
    keep, share = None, 1 / n
    if masks:
        keep = torch.rand(batch, k) < 0.6
        share = torch.rand(batch, n, dtype=dtype) * (torch.rand(batch, n) < 0.7)
    return Case(query, context, pooled.Projections(of, n_heads), keep, share)


def both(case: Case) -> tuple[list[Tensor], list[Tensor]]:
    """Output and gradients of the module, and of the formula."""
    assert pooled.serves(case.query, case.context, case.by, case.keep)
    wanted = [t for t in case.tensors if t is not None]
    ours, plain = pooled.pool(*case, plainly(case)), written_out(case, *flat(case))
    direction = torch.randn_like(ours)
    return (
        [ours, *torch.autograd.grad(ours, wanted, direction)],
        [plain, *torch.autograd.grad(plain, wanted, direction, materialize_grads=True)],
    )


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_output_and_gradients_equal_the_formula(data: st.DataObject) -> None:
    draw = data.draw
    torch.manual_seed(draw(st.integers(0, 2**31)))
    sizes = [draw(st.integers(1, most)) for most in (37, 11, 13, 40, 35, 19, 4, 9)]
    flags = {name: draw(st.booleans()) for name in ("same", "masks", "bias")}
    dtype = draw(st.sampled_from([torch.float32, torch.float64]))
    for ours, plain in zip(*both(make(*sizes, **flags, dtype=dtype)), strict=True):
        near = EXACT[dtype] * (1 + float(plain.detach().abs().max()))
        torch.testing.assert_close(ours, plain, atol=near, rtol=EXACT[dtype])


@pytest.mark.parametrize("room", [1, 2])
def test_both_ways_to_use_the_registers_agree(monkeypatch: pytest.MonkeyPatch, room: int) -> None:
    monkeypatch.setattr(few, "ROOM", room)
    torch.manual_seed(0)
    case = make(300, 7, 6, 70, 37, 21, 3, 11, masks=True, dtype=torch.float64)  # more samples than are held at once
    for ours, plain in zip(*both(case), strict=True):
        torch.testing.assert_close(ours, plain, atol=1e-10, rtol=1e-12)


def test_tokens_of_a_longer_memory_are_read_where_they_stand() -> None:
    torch.manual_seed(0)
    case = make(20, 3, 3, 8, 8, 8, 2, 4, same=True)
    wide = torch.randn(20, 2, 5, 11)
    view = wide[:, 1, 1:4, 2:10].requires_grad_()
    case = case._replace(query=view, context=view)
    for ours, plain in zip(*both(case), strict=True):
        torch.testing.assert_close(ours, plain, atol=1e-5, rtol=1e-5)


def test_a_sample_without_anybody_gets_zeros_and_gives_no_gradient() -> None:
    torch.manual_seed(0)
    case = make(19, 2, 5, 3, 4, 6, 2, 3)
    keep = torch.ones(19, 5, dtype=torch.bool)
    keep[17] = False
    case = case._replace(keep=keep)
    pooled_now = pooled.pool(*case, plainly(case))
    gradients = torch.autograd.grad(pooled_now.sum(), (case.query, case.context))
    assert not pooled_now[17].any() and pooled_now[16].any()
    assert all(bool(g.isfinite().all()) and not g[17].any() for g in gradients)


def test_what_is_not_a_number_stays_in_its_own_sample() -> None:
    case = make(21, 2, 5, 3, 4, 6, 2, 3)
    with torch.no_grad():
        case.context[18, 4, 0] = math.nan
    broken = pooled.pool(*case, plainly(case)).isnan()
    assert broken[18].all() and not broken[:18].any() and not broken[19:].any()


def test_scores_far_apart_do_not_overflow() -> None:
    case = make(5, 3, 4, 6, 6, 6, 2, 3, dtype=torch.float64)
    with torch.no_grad():
        case.query.mul_(1e4)
    for ours, plain in zip(*both(case), strict=True):
        assert ours.isfinite().all()
        torch.testing.assert_close(ours, plain, atol=1e-7, rtol=1e-7)


def test_a_sample_alone_gets_the_same_bits_as_in_a_batch_and_so_does_prediction() -> None:
    case = make(33, 2, 5, 3, 4, 6, 2, 3)
    whole = pooled.pool(*case, plainly(case))
    for i in (0, 16, 32):
        alone = case._replace(query=case.query[[i]], context=case.context[[i]])
        assert pooled.pool(*alone, plainly(alone)).equal(whole[[i]])
    with torch.inference_mode():
        assert pooled.pool(*case, plainly(case)).equal(whole)


def test_what_wants_no_gradient_gets_none() -> None:
    case = make(5, 2, 3, 3, 4, 6, 2, 3)
    case.query.requires_grad_(False)
    case.by.of[2][0].requires_grad_(False)
    pooled.pool(*case, plainly(case)).sum().backward()
    assert case.query.grad is None and case.by.of[2][0].grad is None
    assert case.context.grad is not None and case.by.of[0][0].grad is not None


@pytest.mark.parametrize("same", [False, True])
def test_gradients_can_be_differentiated_once_more(same: bool) -> None:
    case = make(2, 2, 3, 3, 3, 4, 2, 2, same=same, masks=not same, dtype=torch.float64)
    tensors = [t for t in case.tensors if t is not None]

    def run(*tensors: Tensor) -> Tensor:
        query, context, *weights = tensors if not same else (tensors[0], *tensors)
        of = list(zip(weights[::2], weights[1::2], strict=True))
        now = case._replace(query=query, context=context, by=pooled.Projections(of, 2))
        return pooled.pool(*now, plainly(now))

    assert torch.autograd.gradcheck(run, tensors) and torch.autograd.gradgradcheck(run, tensors)
    once, more = (torch.autograd.grad(run(*tensors).square().sum(), tensors, create_graph=c) for c in (False, True))
    torch.testing.assert_close(once, more)


def test_what_it_may_not_serve() -> None:
    case = make(2, 2, 5, 3, 4, 6, 2, 3)
    assert pooled.serves(*case[:4])
    long = torch.randn(2, pooled.MOST + 1, 4)
    half = [(w.bfloat16(), b) for w, b in case.by.of]
    turned = [(case.by.of[0][0].mT.contiguous().mT, None), *case.by.of[1:]]
    narrow = [*case.by.of[:2], (torch.randn(6, 3), None), case.by.of[3]]
    short = [*case.by.of[:3], (case.by.of[3][0], torch.randn(2))]
    rows = torch.randn(*case.by.of[0][0].shape[:1], 6)
    apart = [(rows[:, :3], None), *case.by.of[1:]]
    wide = make(2, 2, 4, 3, pooled.HELD // 4, 6, 2, 3)
    others = [
        wide[:4],
        (case.query, case.context, pooled.Projections(apart, 2), None),
        (case.query, case.context, pooled.Projections(narrow, 2), None),
        (case.query, case.context, pooled.Projections(short, 2), None),
        (case.query, case.context, pooled.Projections(case.by.of, 4), None),
        (case.query, long, case.by, None),
        (case.query.bfloat16(), case.context.bfloat16(), case.by, None),
        (case.query, case.context, pooled.Projections(half, 2), None),
        (case.query, case.context, pooled.Projections(turned, 2), None),
        (case.query, case.context.mT.contiguous().mT, case.by, None),
        (case.query.to("meta"), case.context.to("meta"), case.by, None),
    ]
    assert not any(pooled.serves(*other) for other in others)
