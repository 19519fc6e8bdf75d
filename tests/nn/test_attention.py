"""Attention: torch's module where that one is right, and what it gets wrong."""

import math
import warnings

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from intermodal.errors import InputError, MaskError, OneKeyWarning, ShapeError
from intermodal.nn import Attention

B, Q, K = 3, 5, 7
ONE_KEY = (
    "attention: every query sees at most one key, so the softmax is constantly 1 and the query is ignored; keep the "
    "tokens of a sequence instead of pooling them, give a vector several tokens (n_tokens), or ask the modalities "
    "as one sequence (fusion 'self')"
)

TORCH = [
    {"embed_dim": 6, "num_heads": 1},
    {"embed_dim": 6, "num_heads": 3},
    {"embed_dim": 6, "num_heads": 2, "bias": False},
    {"embed_dim": 6, "num_heads": 2, "kdim": 11},
    {"embed_dim": 6, "num_heads": 2, "vdim": 13},
    {"embed_dim": 6, "num_heads": 2, "kdim": 11, "vdim": 13, "bias": False},
]


def tokens(*widths: int, dtype: torch.dtype = torch.float64) -> list[Tensor]:
    torch.manual_seed(0)
    return [torch.randn(B, n, d, dtype=dtype) for n, d in zip((Q, K, K), widths, strict=False)]


def some_keep(n_queries: int = Q, n_keys: int = K) -> Tensor:
    keep = torch.rand(B, n_queries, n_keys, generator=torch.Generator().manual_seed(1)) > 0.5
    keep[..., 0] = True
    return keep


@pytest.mark.parametrize("options", TORCH)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("mask", ["none", "padding", "pairs"])
def test_equals_the_module_of_torch(options: dict, dtype: torch.dtype, mask: str) -> None:
    torch.manual_seed(2)
    theirs = nn.MultiheadAttention(batch_first=True, dtype=dtype, **options)
    for p in theirs.parameters():
        nn.init.normal_(p, std=0.3)  # biases too: torch starts them at zero, where an error would not show
    ours = Attention.from_torch(theirs)
    query, context, value = tokens(6, options.get("kdim", 6), options.get("vdim", 6), dtype=dtype)
    keep = {"none": None, "padding": some_keep()[:, 0], "pairs": some_keep()[0]}[mask]
    hints = {
        "none": {},
        "padding": {"key_padding_mask": None if keep is None else ~keep},
        "pairs": {"attn_mask": None if keep is None else ~keep},
    }[mask]
    expected, weights = theirs(query, context, value, average_attn_weights=False, **hints)
    for need_weights in (False, True):
        got = ours(query, context, value, keep=keep, need_weights=need_weights)
        torch.testing.assert_close(got.output, expected, atol=1e-6, rtol=1e-5)
        if need_weights:
            torch.testing.assert_close(got.weights.to(dtype), weights, atol=1e-6, rtol=1e-5)


def test_from_torch_takes_mode_dropout_and_device_along() -> None:
    ours = Attention.from_torch(nn.MultiheadAttention(6, 2, dropout=0.25).eval())
    assert (ours.training, ours.dropout, ours.n_heads, ours.d_head) == (False, 0.25, 2, 3)
    assert all(p.requires_grad for p in ours.parameters())


@pytest.mark.parametrize("option", ["add_bias_kv", "add_zero_attn"])
def test_from_torch_refuses_what_has_no_equal(option: str) -> None:
    with pytest.raises(InputError, match="add_bias_kv"):
        Attention.from_torch(nn.MultiheadAttention(6, 2, **{option: True}))


def test_all_widths_are_independent() -> None:
    query, context, value = tokens(7, 5, 11)
    attention = Attention(7, 5, d_value=11, d_out=13, n_heads=3, d_head=2).double()
    output, weights = attention(query, context, value, need_weights=True)
    assert output.shape == (B, Q, 13)
    assert weights.shape == (B, 3, Q, K)
    assert (attention.d_head, attention.n_heads) == (2, 3)
    output.square().sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in attention.parameters())
    assert all(p.grad.abs().sum() > 0 for n, p in attention.named_parameters() if n != "k_proj.bias")


def test_hooks_fire_on_every_projection() -> None:
    attention, fired = Attention(6, n_heads=2), []
    for name in ("q_proj", "k_proj", "v_proj", "out_proj"):
        projection = getattr(attention, name)
        assert type(projection) is nn.Linear
        projection.register_forward_hook(lambda *_, name=name: fired.append(name))
    attention(torch.randn(B, Q, 6))
    assert sorted(fired) == ["k_proj", "out_proj", "q_proj", "v_proj"]


def test_the_start_does_not_depend_on_how_the_context_is_called() -> None:
    """torch packs equal widths into one matrix and draws them with another variance."""
    torch.manual_seed(0)
    variances = [Attention(192).q_proj.weight.var(), Attention(192, 64).q_proj.weight.var()]
    assert abs(variances[0] / variances[1] - 1) < 0.05
    assert abs(variances[0] * 192 - 1) < 0.05


@pytest.mark.parametrize("masked", [False, True])
def test_no_sample_touches_another(masked: bool) -> None:
    query, context = tokens(6, 11)
    attention = Attention(6, 11, n_heads=2).double()
    keep = some_keep() if masked else None
    whole = attention(query, context, keep=keep, need_weights=True)
    for i in range(B):
        alone = attention(
            query[i : i + 1], context[i : i + 1], keep=None if keep is None else keep[i : i + 1], need_weights=True
        )
        torch.testing.assert_close((alone.output[0], alone.weights[0]), (whole.output[i], whole.weights[i]))


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 13), st.integers(0, 13))
def test_padding_on_either_side_changes_nothing(left: int, right: int) -> None:
    (x,) = tokens(6)
    attention = Attention(6, n_heads=2).double()
    here = torch.tensor([[1, 1, 1, 1, 1], [0, 1, 0, 1, 1], [0, 0, 1, 0, 0]]).bool()
    padded = F.pad(x.masked_fill(~here.unsqueeze(-1), math.nan), (0, 0, left, right), value=math.nan)
    keep = F.pad(here, (left, right), value=False).unsqueeze(1)
    output = attention(padded, keep=keep).output[:, left : left + Q]
    expected = attention(x.masked_fill(~here.unsqueeze(-1), 0.0), keep=here.unsqueeze(1)).output
    torch.testing.assert_close(output[here], expected[here])


@pytest.mark.parametrize("need_weights", [False, True])
@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("filling", [0.5, math.nan])
def test_an_empty_row_is_zero_and_harms_no_gradient(need_weights: bool, training: bool, filling: float) -> None:
    (x,) = tokens(6)
    x[1] = filling
    attention = Attention(6, n_heads=2, dropout=0.0).double().train(training)
    nn.init.normal_(attention.out_proj.bias)
    keep = torch.ones(B, 1, Q, dtype=torch.bool)
    keep[1] = False
    results = []
    for case in ("grad", "no_grad", "inference", "compiled"):
        run = torch.compile(attention, backend="eager", fullgraph=True) if case == "compiled" else attention
        context = {"no_grad": torch.no_grad, "inference": torch.inference_mode}.get(case, torch.enable_grad)
        with context():
            output, weights = run(x, keep=keep, need_weights=need_weights)
        assert (output[1] == 0).all()
        assert weights is None or (weights[1] == 0).all()
        results.append(output.detach())
    for other in results[1:]:
        torch.testing.assert_close(other, results[0])
    attention(x, keep=keep, need_weights=need_weights).output[0].sum().backward()
    assert all(p.grad.isfinite().all() for p in attention.parameters())
    assert attention.v_proj.weight.grad.abs().sum() > 0


@pytest.mark.parametrize("need_weights", [False, True])
def test_a_broken_query_that_asks_stays_visible_even_if_nobody_asks_it(need_weights: bool) -> None:
    (x,) = tokens(6)
    x[0, 2, 1] = math.nan
    keep = torch.ones(B, Q, Q, dtype=torch.bool)
    keep[:, :, 2] = False  # nobody looks at token 2, and token 2 looks at the others
    output = Attention(6, n_heads=2).double()(x, keep=keep, need_weights=need_weights).output
    assert output[0, 2].isnan().all()
    assert output[0, [0, 1, 3, 4]].isfinite().all()


def test_nan_in_a_kept_place_stays_visible() -> None:
    (x,) = tokens(6)
    x[0, 2, 1] = math.nan
    for keep in (None, torch.ones(B, 1, Q, dtype=torch.bool)):
        output = Attention(6).double()(x, keep=keep).output
        assert output[0].isnan().all()
        assert output[1:].isfinite().all()


def test_weights_in_training_are_those_before_dropout() -> None:
    (x,) = tokens(6)
    attention = Attention(6, n_heads=2, dropout=0.5).double()
    torch.manual_seed(3)
    with_weights = attention(x, need_weights=True)
    torch.manual_seed(3)
    assert attention(x).output.equal(with_weights.output)
    torch.testing.assert_close(with_weights.weights.sum(-1), torch.ones(B, 2, Q).double())
    clean = attention.eval()(x, need_weights=True)
    assert clean.weights.equal(with_weights.weights)
    torch.testing.assert_close(attention(x).output, clean.output)
    assert not clean.output.allclose(with_weights.output)


@pytest.mark.parametrize("shape", [(0, Q, K), (B, 0, K), (B, Q, 0)])
@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("need_weights", [False, True])
def test_nothing_to_do_is_done(shape: tuple[int, int, int], masked: bool, need_weights: bool) -> None:
    b, n_queries, n_keys = shape
    attention = Attention(6, 11, n_heads=2)
    nn.init.normal_(attention.out_proj.bias)
    keep = torch.ones(b, n_queries, n_keys, dtype=torch.bool) if masked else None
    output, weights = attention(
        torch.randn(b, n_queries, 6), torch.randn(b, n_keys, 11), keep=keep, need_weights=need_weights
    )
    assert output.shape == (b, n_queries, 6)
    assert (output == 0).all()
    assert weights is None or weights.shape == (b, 2, n_queries, n_keys)
    output.sum().backward()


def test_one_key_is_warned_of_once_at_the_line_that_called() -> None:
    attention = Attention(6)
    with pytest.warns(OneKeyWarning) as caught:
        attention(torch.randn(B, 1, 6))
    assert [str(w.message) for w in caught] == [ONE_KEY]
    assert caught[0].filename == __file__
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        attention(torch.randn(B, 1, 6))


@pytest.mark.parametrize("longest", [1, 2])
def test_one_key_is_counted_over_the_mask(longest: int) -> None:
    keep = torch.zeros(B, 1, K, dtype=torch.bool)
    keep[0, 0, 0], keep[2, 0, :longest] = True, True
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        Attention(6, 11)(torch.randn(B, Q, 6), torch.randn(B, K, 11), keep=keep)
    assert [w.category for w in caught] == [OneKeyWarning] * (longest == 1)


REFUSED = [
    (
        lambda: Attention(6)(torch.randn(4, 6)),
        ShapeError,
        "query is (batch, tokens, width), however: tuple(x.shape)=(4, 6); as 4 samples of one token write "
        "query[:, None] (B=4, T=1, d=6), as one sample of 4 tokens write query[None] (B=1, T=4, d=6)",
    ),
    (
        lambda: Attention(6)(torch.randn(1, 2, 3, 6)),
        ShapeError,
        "query is (batch, tokens, width), however: tuple(x.shape)=(1, 2, 3, 6)",
    ),
    (
        lambda: Attention(6, 11)(torch.randn(2, 3, 6), torch.randn(2, 11, 3)),
        ShapeError,
        "context has width 11 on its last axis, however: tuple(x.shape)=(2, 11, 3); are the last two axes swapped?",
    ),
    (
        lambda: Attention(6, 11)(torch.randn(2, 3, 6), torch.randn(2, 5, 7)),
        ShapeError,
        "context has width 11 on its last axis, however: tuple(x.shape)=(2, 5, 7)",
    ),
    (
        lambda: Attention(6)(torch.randn(2, 3, 6), torch.randn(5, 3, 6)),
        ShapeError,
        "query, context and value have one batch size, context and value one token count, however: "
        "tuple(query.shape)=(2, 3, 6), tuple(context.shape)=(5, 3, 6), tuple(value.shape)=(5, 3, 6)",
    ),
    (
        lambda: Attention(6)(torch.randn(2, 3, 6), keep=torch.ones(2, 3)),
        MaskError,
        "keep is a bool tensor, True where attention may look, however: keep.dtype=torch.float32; write "
        "keep=(mask > 0) if 1 means keep, keep=(mask == 0) if 0 means keep",
    ),
    (
        lambda: Attention(7, n_heads=2),
        InputError,
        "d_query must be divisible by n_heads, however: d_query=7, n_heads=2; or give d_head",
    ),
    (lambda: Attention(6, 0, n_heads=0), InputError, "sizes are positive, however: d_context=0, d_value=0, n_heads=0"),
    (lambda: Attention(6, d_head=0), InputError, "sizes are positive, however: d_head=0"),
    (lambda: Attention(6, dropout=1.0), InputError, "dropout is a probability below 1, however: dropout=1.0"),
]


@pytest.mark.parametrize(("call", "error", "message"), REFUSED)
def test_a_mistake_is_refused_in_a_sentence(call, error: type[Exception], message: str) -> None:
    with pytest.raises(error) as caught:
        call()
    assert str(caught.value) == message


def test_half_precision_and_autocast() -> None:
    attention, x = Attention(8, n_heads=2), torch.randn(B, K, 8)
    expected, weights = attention(x, need_weights=True)
    with torch.autocast("cpu", torch.bfloat16):
        cast = attention(x, need_weights=True)
        torch.testing.assert_close(attention(x).output, cast.output, atol=2e-2, rtol=2e-2)
    half = attention.bfloat16()(x.bfloat16(), need_weights=True)
    for got in (cast, half):
        assert got.weights.dtype == torch.float32
        torch.testing.assert_close(got.weights.sum(-1), torch.ones(B, 2, K), atol=1e-3, rtol=0)
        torch.testing.assert_close(got.weights, weights, atol=2e-2, rtol=2e-2)
        torch.testing.assert_close(got.output.float(), expected, atol=4e-2, rtol=4e-2)


def test_state_and_seed_make_the_module() -> None:
    modules = []
    for _ in range(2):
        torch.manual_seed(5)
        modules.append(Attention(6, 11, n_heads=2))
    for one, other in zip(*(m.parameters() for m in modules), strict=True):
        assert one.equal(other)
    fresh = Attention(6, 11, n_heads=2)
    fresh.load_state_dict(modules[0].state_dict())
    query, context = torch.randn(B, Q, 6), torch.randn(B, K, 11)
    assert fresh(query, context).output.equal(modules[0](query, context).output)
