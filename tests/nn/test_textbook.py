"""The three textbook systems against the module of torch, written out as the tutorial has it."""

import math
import warnings

import pytest
import torch
from torch import Tensor, nn

from intermodal.errors import InputError, MaskError, OneKeyWarning, ShapeError
from intermodal.nn import Attention, BidirectionalCrossAttention, CrossAttention, SelfAttentionFusion
from intermodal.spec import Edge

B, N, TA, TB = 3, 4, 5, 7


def torch_attention(d: int = 6, **options: int) -> nn.MultiheadAttention:
    torch.manual_seed(0)
    module = nn.MultiheadAttention(d, 2, batch_first=True, dtype=torch.float64, **options)
    for p in module.parameters():
        nn.init.normal_(p)
    return module


def present(n: int) -> Tensor:
    there = torch.rand(B, n, generator=torch.Generator().manual_seed(n)) > 0.4
    there[0, 0], there[1] = True, False  # sample 1 has nothing
    return there


def test_self_attention_fusion_is_torch_and_a_mean() -> None:
    theirs, x, there = torch_attention(), torch.randn(B, N, 6).double(), present(N)
    ours = SelfAttentionFusion.from_torch(theirs)
    output, weights = theirs(x, x, x, average_attn_weights=False)
    fused = ours(x, need_weights=True)
    torch.testing.assert_close(fused.pooled, output.mean(1))
    torch.testing.assert_close(fused.tokens["[*]"], output)
    torch.testing.assert_close(fused.weights, {Edge("[*]", "[*]"): weights})
    masked = ours(x, there, need_weights=True)
    for i in (0, 2):
        if there[i].any():
            alone = x[i : i + 1, there[i]]
            torch.testing.assert_close(masked.pooled[i], theirs(alone, alone, alone)[0].mean(1)[0])
    assert (masked.pooled[1] == 0).all()
    torch.testing.assert_close(masked.weights[Edge("[*]", "[*]")].sum(-1), there[:, None].expand(B, 2, N).double())


@pytest.mark.parametrize("kdim", [6, 11])
def test_cross_attention_is_torch_and_a_mean(kdim: int) -> None:
    theirs = torch_attention(kdim=kdim, vdim=kdim)
    query, context = torch.randn(B, TA, 6).double(), torch.randn(B, TB, kdim).double()
    ours = CrossAttention.from_torch(theirs)
    output, weights = theirs(query, context, context, average_attn_weights=False)
    fused = ours(query, context, need_weights=True)
    torch.testing.assert_close(fused.pooled, output.mean(1))
    torch.testing.assert_close(fused.weights, {Edge("query", "context"): weights})
    ours.residual = True
    torch.testing.assert_close(ours(query, context).pooled, (query + output).mean(1))
    here, there = present(TA), present(TB)
    ours.residual = False
    masked = ours(query, context, query_present=here, context_present=there)
    for i in (0, 2):
        a, b = query[i : i + 1, here[i]], context[i : i + 1, there[i]]
        torch.testing.assert_close(masked.pooled[i], theirs(a, b, b)[0].mean(1)[0])
    assert (masked.pooled[1] == 0).all()


def test_bidirectional_cross_attention_is_two_of_torch_joined() -> None:
    first, second = torch_attention(kdim=11, vdim=11), torch_attention(kdim=11, vdim=11)
    a, b = torch.randn(B, TA, 6).double(), torch.randn(B, TB, 6).double()
    first, second = torch_attention(), torch_attention()
    nn.init.normal_(second.in_proj_weight)
    ours = BidirectionalCrossAttention(6, n_heads=2, names=("text", "video")).double()
    ours.a_asks_b, ours.b_asks_a = Attention.from_torch(first), Attention.from_torch(second)
    fused = ours(a, b, need_weights=True)
    from_b, ab = first(a, b, b, average_attn_weights=False)
    from_a, ba = second(b, a, a, average_attn_weights=False)
    torch.testing.assert_close(fused.pooled, torch.cat([from_b, from_a], 1).mean(1))
    torch.testing.assert_close(fused.weights, {Edge("text", "video"): ab, Edge("video", "text"): ba})
    torch.testing.assert_close(fused.tokens, {"text": from_b, "video": from_a})
    here, there = present(TA), present(TB)
    masked = ours(a, b, a_present=here, b_present=there, need_weights=True)
    for i in (0, 2):
        u, w = a[i : i + 1, here[i]], b[i : i + 1, there[i]]
        expected = torch.cat([first(u, w, w)[0], second(w, u, u)[0]], 1).mean(1)[0]
        torch.testing.assert_close(masked.pooled[i], expected)
    assert (masked.pooled[1] == 0).all()
    one_side = ours(a, b, b_present=there)
    assert one_side.pooled.isfinite().all()
    assert (one_side.tokens["text"][1] == 0).all()


SYSTEMS = {
    "self": (lambda: SelfAttentionFusion(6, n_heads=2), [(N, 6)], ["present"]),
    "cross": (lambda: CrossAttention(6, 11, n_heads=2), [(TA, 6), (TB, 11)], ["query_present", "context_present"]),
    "several": (
        lambda: CrossAttention(6, 11, n_tokens=3, residual=True),
        [(TA, 6), (1, 11)],
        ["query_present", "context_present"],
    ),
    "both": (
        lambda: BidirectionalCrossAttention(6, 11, d_model=10, n_heads=2),
        [(TA, 6), (TB, 11)],
        ["a_present", "b_present"],
    ),
}


@pytest.mark.parametrize("name", SYSTEMS)
@pytest.mark.parametrize("need_weights", [False, True])
def test_what_is_absent_changes_nothing_and_samples_do_not_touch(name: str, need_weights: bool) -> None:
    make, shapes, flags = SYSTEMS[name]
    torch.manual_seed(0)
    system = make().double()
    x = [torch.randn(B, *s).double() for s in shapes]
    there = [present(n) for n, _ in shapes]
    clean = system(*x, **dict(zip(flags, there, strict=True)), need_weights=need_weights)
    broken = [t.masked_fill(~p.unsqueeze(-1), math.nan) for t, p in zip(x, there, strict=True)]
    fused = system(*broken, **dict(zip(flags, there, strict=True)), need_weights=need_weights)
    assert fused.pooled.equal(clean.pooled)
    fused.pooled.square().sum().backward()
    for p in system.parameters():
        assert p.grad.isfinite().all()
    assert (fused.pooled[1] == 0).all()
    for i in range(B):
        flagged = {f: p[i : i + 1] for f, p in zip(flags, there, strict=True)}
        alone = system(*(t[i : i + 1] for t in broken), **flagged, need_weights=need_weights)
        torch.testing.assert_close(alone.pooled[0], fused.pooled[i])


@pytest.mark.parametrize("name", SYSTEMS)
def test_every_parameter_gets_a_gradient_and_the_modes_agree(name: str) -> None:
    make, shapes, _ = SYSTEMS[name]
    system = make().double()
    x = [torch.randn(B, *s).double() for s in shapes]
    fused = system(*x, need_weights=True)
    torch.testing.assert_close(system(*x).pooled, fused.pooled)
    with torch.no_grad():
        torch.testing.assert_close(system.eval()(*x).pooled, fused.pooled)
    torch.testing.assert_close(torch.compile(system, backend="eager")(*x).pooled, fused.pooled)
    fused.pooled.square().sum().backward()
    for key, p in system.named_parameters():
        # a bias on the keys shifts all scores of a query alike: the softmax does not see it
        assert "k_proj.bias" in key or p.grad.abs().sum() > 0, key
    again = make().double()
    again.load_state_dict(system.state_dict())
    assert again.eval()(*x).pooled.equal(system(*x).pooled)


def test_one_key_ignores_the_query_unless_it_is_cut_into_several() -> None:
    query, context = torch.randn(B, 1, 6), torch.randn(B, 1, 11)
    plain = CrossAttention(6, 11)
    with pytest.warns(OneKeyWarning):
        fused = plain(query.requires_grad_(), context)
    fused.pooled.square().sum().backward()
    assert (query.grad == 0).all()
    several = CrossAttention(6, 11, n_tokens=3)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fused = several(query, context, need_weights=True)
    assert fused.weights[Edge("query", "context")].shape == (B, 1, 1, 3)
    fused.pooled.square().sum().backward()
    assert query.grad.abs().sum() > 0


def test_a_vector_cut_into_tokens_keeps_each_sample_and_token_together() -> None:
    system = CrossAttention(6, 11, n_tokens=3).double()
    query, context = torch.randn(B, TA, 6).double(), torch.randn(B, TB, 11).double()
    cut = torch.stack([system.widen(context[:, t]).unflatten(-1, (3, 11)) for t in range(TB)], 1).flatten(1, 2)
    expected = system.attention(query, cut).output.mean(1)
    torch.testing.assert_close(system(query, context).pooled, expected)
    there = present(TB)
    kept = system(query, context, context_present=there).pooled[0]
    torch.testing.assert_close(kept, system(query[:1], context[:1, there[0]]).pooled[0])


def test_empty_batches_pass() -> None:
    for make, shapes, _ in SYSTEMS.values():
        assert make()(*(torch.randn(0, *s) for s in shapes), need_weights=True).pooled.shape[0] == 0


REFUSED = [
    (
        lambda: SelfAttentionFusion(6)(torch.randn(3, 6)),
        ShapeError,
        "x is (batch, tokens, width), however: tuple(x.shape)=(3, 6); as 3 samples of one token write "
        "x[:, None] (B=3, T=1, d=6), as one sample of 3 tokens write x[None] (B=1, T=3, d=6)",
    ),
    (
        lambda: SelfAttentionFusion(6)(torch.randn(3, 4, 6), torch.ones(3, 4)),
        MaskError,
        "present is bool (batch, tokens) = (3, 4), however: present.dtype=torch.float32, tuple(present.shape)=(3, 4)",
    ),
    (
        lambda: BidirectionalCrossAttention(6)(torch.randn(3, 4, 6), torch.randn(2, 4, 6)),
        ShapeError,
        "a and b have one batch size, however: tuple(a.shape)=(3, 4, 6), tuple(b.shape)=(2, 4, 6)",
    ),
    (
        lambda: BidirectionalCrossAttention(6, d_model=7, n_heads=3),
        InputError,
        "d_model must be divisible by n_heads, however: d_model=7, n_heads=3",
    ),
    (
        lambda: BidirectionalCrossAttention(6, names=("a", "a")),
        InputError,
        "two modalities have two names, however: names=('a', 'a')",
    ),
    (lambda: CrossAttention(6, n_tokens=0), InputError, "sizes are positive, however: n_tokens=0"),
]


@pytest.mark.parametrize(("call", "error", "message"), REFUSED)
def test_a_mistake_is_refused_in_a_sentence(call, error: type[Exception], message: str) -> None:
    with pytest.raises(error) as caught:
        call()
    assert str(caught.value) == message


def test_from_torch_keeps_the_mode() -> None:
    assert not SelfAttentionFusion.from_torch(torch_attention().eval()).training
    assert not CrossAttention.from_torch(torch_attention().eval()).training
