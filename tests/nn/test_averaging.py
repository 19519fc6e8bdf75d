"""The textbook's systems, pooled without their tokens, equal themselves with them; and the tokens come when read."""

import copy
import pickle
from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from intermodal import errors
from intermodal.kernel import few, pooled, rows
from intermodal.nn import textbook
from intermodal.nn.averaging import averaged
from intermodal.nn.later import Later
from intermodal.nn.textbook import BidirectionalCrossAttention, CrossAttention, SelfAttentionFusion

needs_it = pytest.mark.skipif(few.ROOM == 0, reason="the compiled module is not there, or nothing for this processor")


def parts(module: nn.Module, answer: Any, inputs: list[Tensor]) -> list[Tensor]:
    """Output, tokens, and the gradients of both to the input and the weights."""
    found = [answer.pooled, *answer.tokens.values()]
    wanted = [*inputs, *module.parameters()]
    for out in (answer.pooled, sum(t.square().sum() for t in answer.tokens.values())):
        found += torch.autograd.grad(out.square().sum(), wanted, retain_graph=True, materialize_grads=True)
    return found


SYSTEMS: list[Callable[[int, int, int], nn.Module]] = [
    lambda d, e, h: SelfAttentionFusion(d * h, n_heads=h),
    lambda d, e, h: CrossAttention(d * h, e, n_heads=h, residual=True),
    lambda d, e, h: CrossAttention(d * h, e, n_heads=h, n_tokens=2),
    lambda d, e, h: BidirectionalCrossAttention(d * h, e, n_heads=h, names=("text", "video")),
]


@needs_it
@pytest.mark.filterwarnings("ignore::intermodal.errors.OneKeyWarning")
@pytest.mark.parametrize("tokens", [(7, 6), (70, 18), (20, 90)])
@settings(max_examples=15, deadline=None)
@given(data=st.data())
def test_pooled_and_tokens_equal_those_of_the_long_way(data: st.DataObject, tokens: tuple[int, int]) -> None:
    draw = data.draw
    torch.manual_seed(draw(st.integers(0, 2**31)))
    which, h = draw(st.integers(0, 3)), draw(st.integers(1, 3))
    d, e, batch = draw(st.integers(1, 6)), draw(st.integers(1, 9)), draw(st.integers(1, 20))
    n, k = (draw(st.integers(max(1, most - 6), most)) for most in tokens)
    module = SYSTEMS[which](d, e, h).double()
    for p in module.parameters():
        nn.init.normal_(p)  # biases begin as zeros
    inputs = [torch.randn(batch, n, d * h).double().requires_grad_()]
    if which:
        inputs.append(torch.randn(batch, k, e).double().requires_grad_())
    masks: dict[str, Any] = {}
    names = (("present",), ("query_present", "context_present"), ("query_present", "context_present"))
    for name, x in zip((*names, ("a_present", "b_present"))[which], inputs, strict=True):
        if draw(st.booleans()):
            masks[name] = (torch.rand(x.shape[:2]) < 0.6) & (torch.arange(batch) != draw(st.integers(0, 2)))[:, None]
    found, need_weights = [], draw(st.booleans())
    for fast in (True, False):
        with pytest.MonkeyPatch.context() as patch:
            if not fast:
                patch.setattr(textbook, "averaged", lambda *_, **__: None)
            answer = module(*inputs, **masks, need_weights=need_weights)
            assert not isinstance(answer.tokens, Later) or fast
            found.append([*parts(module, answer, inputs), *(answer.weights or {}).values()])
    near = 1e-12 * (1 + max(float(plain.detach().abs().max()) for plain in found[1]))  # some gradients cancel to 0
    for ours, plain in zip(*found, strict=True):
        torch.testing.assert_close(ours, plain, atol=near, rtol=1e-12)


@needs_it
@pytest.mark.parametrize("n", [3, 40])
def test_no_tokens_are_computed_that_nobody_reads(n: int, monkeypatch: pytest.MonkeyPatch) -> None:
    fuse, x = SelfAttentionFusion(8, n_heads=2), torch.randn(20, n, 8)
    monkeypatch.setattr(fuse, "_whole", lambda *_: pytest.fail("somebody computed them"))
    fused = fuse(x)
    assert list(fused.tokens) == ["[*]"] and len(fused.tokens) == 1 and repr(fused.tokens) == "Later([*])"
    with pytest.raises(KeyError):
        fused.tokens["nobody"]


@needs_it
def test_tokens_have_the_mode_of_the_forward_pass() -> None:
    fuse, x = SelfAttentionFusion(8, n_heads=2), torch.randn(4, 3, 8)
    fused = fuse(x)
    with torch.no_grad():
        assert fused.tokens["[*]"].requires_grad
    with torch.no_grad():
        quiet = fuse(x)
    assert not quiet.tokens["[*]"].requires_grad
    with torch.inference_mode():
        quiet = fuse(x)
    assert quiet.tokens["[*]"].is_inference()
    torch.testing.assert_close(quiet.tokens["[*]"], fused.tokens["[*]"].detach())


@needs_it
@pytest.mark.parametrize("what", ["weights", "input", "input in inference mode"])
def test_tokens_of_what_has_changed_are_refused(what: str) -> None:
    fuse, x = SelfAttentionFusion(8, n_heads=2), torch.randn(4, 3, 8)
    with torch.inference_mode(what == "input in inference mode"):
        x = x.clone()
        fused = fuse(x)
    with torch.inference_mode():
        (fuse.attention.v_proj.weight if what == "weights" else x).add_(1e-7 if what == "weights" else 1.0)
    with pytest.raises(errors.InputError, match=r"first read.*however: one of these has changed"):
        fused.tokens["[*]"]


@needs_it
def test_a_copy_has_the_tokens_themselves() -> None:
    fused = SelfAttentionFusion(8, n_heads=2)(torch.randn(4, 3, 8))
    for twin in (copy.copy(fused.tokens), pickle.loads(pickle.dumps(fused.tokens))):
        assert type(twin) is dict
        torch.testing.assert_close(twin["[*]"], fused.tokens["[*]"])


def hook(module: nn.Module) -> Any:
    return module.register_forward_hook(lambda *_: None)


@pytest.mark.parametrize(
    "change",
    [
        lambda a: hook(a),
        lambda a: hook(a.v_proj),
        lambda a: a.out_proj.register_full_backward_hook(lambda *_: None),
        lambda a: a.q_proj.register_forward_pre_hook(lambda *_: None),
        lambda a: nn.utils.parametrizations.weight_norm(a.k_proj),
        lambda a: setattr(a, "v_proj", nn.Sequential(a.v_proj)),
        lambda a: setattr(a, "dropout", 0.5),
        lambda a: a.double(),
        lambda a: setattr(a, "forward", a.forward),
        lambda a: setattr(a, "__class__", type("Other", (type(a),), {})),
    ],
)
def test_who_is_watched_or_changed_is_asked_the_long_way(change: Callable[[Any], Any]) -> None:
    attention = SelfAttentionFusion(8, n_heads=2).attention
    x = torch.randn(20, 3, 8)
    assert (averaged(attention, x, x) is not None) == (few.ROOM > 0)
    change(attention)
    assert averaged(attention, x, x) is None


def test_hooks_of_all_modules_and_lower_precision_take_the_long_way() -> None:
    attention, x = SelfAttentionFusion(8, n_heads=2).attention, torch.randn(20, 3, 8)
    watching = nn.modules.module.register_module_forward_hook(lambda *_: None)
    try:
        assert averaged(attention, x, x) is None
    finally:
        watching.remove()
    with torch.autocast("cpu", torch.bfloat16):
        assert averaged(attention, x, x) is None
    assert averaged(attention, x, x[:3]) is None


@needs_it
def test_without_the_modules_the_answers_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    ask, text, video = CrossAttention(8, 5, n_heads=2), torch.randn(4, 3, 8), torch.randn(4, 40, 5)
    there = ask(text, video).pooled
    monkeypatch.setattr(few, "_few", None)
    monkeypatch.setattr(rows, "WIDTH", 0)
    fused = ask(text, video)
    assert type(fused.tokens) is dict and not pooled.serves(text, text, pooled.Projections([], 2), None)
    torch.testing.assert_close(fused.pooled, there, atol=1e-5, rtol=1e-5)
