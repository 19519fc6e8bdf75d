"""Capturing attention inside any torch model: the same weights as torch's own, and not one bit of the answer moves."""

import copy
import itertools
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from intermodal.errors import InputError
from intermodal.explain.capturing import Capture, capture
from intermodal.nn.attention import Attention
from intermodal.nn.network import FusionNetwork
from intermodal.nn.textbook import BidirectionalCrossAttention
from intermodal.spec import Edge

B, H, Q, K, E = 3, 2, 5, 7, 8


def attention(**options: Any) -> nn.MultiheadAttention:
    torch.manual_seed(0)
    module = nn.MultiheadAttention(E, H, **{"batch_first": True, **options})
    for parameter in module.parameters():  # torch starts biases at zero
        nn.init.normal_(parameter, std=0.3)
    return module.eval()


def tokens(n: int, width: int = E, seed: int = 1) -> Tensor:
    return torch.randn(B, n, width, generator=torch.Generator().manual_seed(seed))


def padding() -> Tensor:
    """True is hidden: torch's way. No row is hidden whole."""
    hidden = torch.zeros(B, K, dtype=torch.bool)
    hidden[0, 4:] = hidden[1, 0] = True
    return hidden


def blocking(n: int = Q, m: int = K, times: int = 0) -> Tensor:
    g = torch.Generator().manual_seed(2)
    blocked = torch.rand(times or 1, n, m, generator=g) < 0.4
    blocked[..., 2] = False
    return blocked if times else blocked[0]


def as_floats(blocked: Tensor) -> Tensor:
    """A bias on every score, and minus infinity where it is blocked."""
    bias = torch.randn(blocked.shape, generator=torch.Generator().manual_seed(3))
    return bias.masked_fill(blocked, -torch.inf)


def theirs(module: nn.MultiheadAttention, *args: Tensor, **masks: Any) -> Tensor:
    """Torch's own weights of every head."""
    with torch.no_grad():
        return module(*args, need_weights=True, average_attn_weights=False, **masks)[1]


def only(seen: Capture) -> Tensor:
    assert len(seen) == 1
    return seen[0].weights


MASKS: dict[str, dict[str, Any]] = {
    "none": {},
    "padding": {"key_padding_mask": padding()},
    "padding in floats": {"key_padding_mask": as_floats(padding())},
    "blocked": {"attn_mask": blocking()},
    "blocked by head": {"attn_mask": blocking(times=B * H)},
    "floats": {"attn_mask": as_floats(blocking())},
    "floats by head": {"attn_mask": as_floats(blocking(times=B * H))},
    "both": {"attn_mask": blocking(times=B * H), "key_padding_mask": padding()},
    "both in floats": {"attn_mask": as_floats(blocking()), "key_padding_mask": as_floats(padding())},
}
OPTIONS: list[dict[str, Any]] = [
    {},
    {"bias": False},
    {"kdim": 3, "vdim": 11},
    {"batch_first": False},
    {"add_bias_kv": True},
    {"add_zero_attn": True},
    {"add_bias_kv": True, "add_zero_attn": True},
]


# --- the weights are torch's ----------------------------------------------------------------------


@pytest.mark.parametrize(("options", "name"), list(itertools.product(OPTIONS, MASKS)))
def test_the_weights_are_those_that_torch_returns(options: dict[str, Any], name: str) -> None:
    module, masks = attention(**options), MASKS[name]
    args = (tokens(Q), tokens(K, options.get("kdim", E), 4), tokens(K, options.get("vdim", E), 5))
    if not module.batch_first:
        args = tuple(a.transpose(0, 1) for a in args)
    for need in (True, False):
        with capture(module) as seen:
            module(*args, need_weights=need, **masks)
        wanted = theirs(module, *args, **masks)
        assert only(seen).dtype == torch.float32
        assert only(seen).shape == wanted.shape == (B, H, Q, K + len(seen[0].appended))
        torch.testing.assert_close(only(seen), wanted, atol=1e-6, rtol=0)


def test_what_torch_puts_behind_the_keys_is_named() -> None:
    module = attention(add_bias_kv=True, add_zero_attn=True)
    with capture(module) as seen:
        module(tokens(Q), tokens(K), tokens(K))
    assert seen[0].appended == ("bias_k", "zero")


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_weights_are_in_single_precision_or_wider(dtype: torch.dtype) -> None:
    module = attention().to(dtype)
    q, k = tokens(Q).to(dtype), tokens(K, seed=4).to(dtype)
    with capture(module) as seen:
        module(q, k, k)
    exact = attention().to(dtype).double()
    wanted = theirs(exact, q.double(), k.double(), k.double())
    assert only(seen).dtype == (torch.float64 if dtype == torch.float64 else torch.float32)
    torch.testing.assert_close(only(seen).double(), wanted, atol=1e-6, rtol=0)
    assert seen[0].dtype == str(dtype).split(".")[1]


def test_a_sample_without_a_batch_axis() -> None:
    module, q, k = attention(), tokens(Q)[0], tokens(K, seed=4)[0]
    for masks in ({}, {"key_padding_mask": padding()[0]}, {"attn_mask": as_floats(blocking(times=H))}):
        with capture(module) as seen:
            module(q, k, k, **masks)
        torch.testing.assert_close(only(seen), theirs(module, q, k, k, **masks)[None], atol=1e-6, rtol=0)
        assert seen[0].axes == "axis 0 read as the sequence (5), no batch axis"
        assert not seen[0].batch_first


def test_dropout_does_not_reach_the_weights_and_is_told() -> None:
    module = attention(dropout=0.5)
    wanted = theirs(module, tokens(Q), tokens(K), tokens(K))
    with capture(module.train()) as seen:
        module(tokens(Q), tokens(K), tokens(K))
        module.eval()(tokens(Q), tokens(K), tokens(K))
    torch.testing.assert_close(seen[0].weights, wanted, atol=1e-6, rtol=0)
    assert [(s.training, s.dropout, s.call) for s in seen] == [(True, 0.5, 1), (False, 0.0, 2)]
    assert "training mode" in seen[0].provenance.describe()


def test_a_query_that_may_look_nowhere_has_a_row_of_zeros() -> None:
    module, hidden = attention(), padding()
    hidden[2] = True
    for masks in (
        {"key_padding_mask": hidden},
        {"key_padding_mask": torch.zeros(B, K).masked_fill(hidden, -torch.inf)},
    ):
        with capture(module) as seen:
            module(tokens(Q), tokens(K), tokens(K), **masks)
        assert (seen[0].weights[2] == 0).all()
        torch.testing.assert_close(seen[0].weights[:2].sum(-1), torch.ones(2, H, Q))
        assert seen[0].keep is not None and not seen[0].keep[2].any() and seen[0].keep[0].sum() == 4


def test_what_stands_in_hidden_places_changes_nothing() -> None:
    module, k = attention(), tokens(K)
    with capture(module) as seen:
        module(tokens(Q), k, k, key_padding_mask=padding())
        module(tokens(Q), *[k.masked_fill(padding().unsqueeze(-1), torch.nan)] * 2, key_padding_mask=padding())
    assert torch.equal(seen[0].weights, seen[1].weights)


def test_a_causal_hint_is_followed_where_torch_follows_it() -> None:
    module, x = attention(), tokens(Q)
    causal = nn.Transformer.generate_square_subsequent_mask(Q)
    wrong = torch.zeros(Q, Q, dtype=torch.bool)
    with capture(module) as seen:
        module(x, x, x, attn_mask=causal, is_causal=True, need_weights=False)
        module(x, x, x, attn_mask=wrong, is_causal=True, need_weights=False)
        module(x, x, x, attn_mask=wrong, is_causal=True, need_weights=True)
    wanted = theirs(module, x, x, x, attn_mask=causal)
    torch.testing.assert_close(seen[0].weights, wanted, atol=1e-6, rtol=0)
    torch.testing.assert_close(seen[1].weights, wanted, atol=1e-6, rtol=0)
    torch.testing.assert_close(seen[2].weights, theirs(module, x, x, x), atol=1e-6, rtol=0)
    assert seen[0].notes == () and seen[0].masks == ("is_causal", "attn_mask float32 (5, 5)")
    assert seen[1].notes == seen[2].notes
    assert seen[1].notes[0].startswith("is_causal=True stands beside an attn_mask that is not causal")


def test_a_float_mask_of_ones_hides_nothing_and_is_told() -> None:
    module = attention()
    with capture(module) as seen:
        module(tokens(Q), tokens(K), tokens(K), key_padding_mask=padding().float())
        module(tokens(Q), tokens(K), tokens(K), key_padding_mask=padding())
        module(tokens(Q), tokens(K), tokens(K), attn_mask=as_floats(blocking()).index_fill(1, torch.tensor([2]), 1.0))
    assert seen[0].notes == (
        "key_padding_mask holds floats, zeros and ones: torch adds them to the scores, they hide nothing",
    )
    assert seen[0].weights[0, :, :, 4:].min() > 0 and seen[0].masks == ("key_padding_mask float32 (3, 7)",)
    assert seen[1].notes == seen[2].notes == ()


# --- the answer stays -----------------------------------------------------------------------------


def encoder(**options: Any) -> nn.TransformerEncoder:
    torch.manual_seed(0)
    layer = nn.TransformerEncoderLayer(E, H, 16, **{"batch_first": True, **options})
    return nn.TransformerEncoder(layer, 2, enable_nested_tensor=not layer.norm_first)


def run(model: nn.Module, *args: Any, mode: str, **kwargs: Any) -> tuple[Tensor, Tensor]:
    """What the model says, and the state of chance behind it."""
    torch.manual_seed(7)
    model.train(mode == "train")
    context = {"no_grad": torch.no_grad, "inference": torch.inference_mode}.get(mode, torch.enable_grad)
    with context():
        answer = model(*args, **kwargs)
    return (answer[0] if isinstance(answer, tuple) else answer), torch.get_rng_state()


MODELS: dict[str, tuple[nn.Module, tuple[Tensor, ...], dict[str, Any]]] = {
    "attention": (attention(dropout=0.3), (tokens(Q), tokens(K), tokens(K)), {"need_weights": False}),
    "self": (attention(), (tokens(Q),) * 3, {}),
    "encoder": (encoder(), (tokens(K),), {}),
    "norm first": (encoder(norm_first=True), (tokens(K),), {}),
    "odd heads": (nn.TransformerEncoderLayer(9, 3, 16, batch_first=True), (tokens(K, 9),), {}),
    "padded": (encoder(), (tokens(K),), {"src_key_padding_mask": torch.arange(K) >= torch.tensor([[4], [7], [6]])}),
    "padded at the left": (encoder(), (tokens(K),), {"src_key_padding_mask": padding()}),
    "blocked": (encoder(), (tokens(K),), {"mask": blocking(K, K)}),
    "transformer": (nn.Transformer(E, H, 1, 1, 16, batch_first=True), (tokens(Q), tokens(K)), {}),
    "ours": (Attention(E, n_heads=H, dropout=0.3), (tokens(Q), tokens(K)), {}),
    "fusion": (
        FusionNetwork("a <-> b, [*] -> [*]", {"a": E, "b": E}, d_model=8, dropout=0.3, modality_dropout=0.3),
        ({"a": tokens(Q), "b": tokens(K)},),
        {},
    ),
}


@pytest.mark.filterwarnings("ignore:.*nested tensors.*")
@pytest.mark.parametrize(("name", "mode"), list(itertools.product(MODELS, ["train", "grad", "no_grad", "inference"])))
def test_no_bit_of_the_answer_changes(name: str, mode: str) -> None:
    model, args, kwargs = MODELS[name]
    wanted, chance = run(model, *args, mode=mode, **kwargs)
    with capture(model) as seen:
        found, after = run(model, *args, mode=mode, **kwargs)
    again, _ = run(model, *args, mode=mode, **kwargs)
    assert len(seen) > 0
    assert torch.equal(found, wanted) and torch.equal(again, wanted)
    assert torch.equal(after, chance)
    for s in seen:
        assert s.weights.shape[1] in (H, 3, 4) and not s.weights.requires_grad
        sums = s.weights.sum(-1)
        assert ((sums - 1).abs() < 1e-5).logical_or(sums == 0).all()


def test_gradients_stay_too() -> None:
    model, x = encoder().eval(), tokens(K)
    model(x).square().sum().backward()
    wanted = [p.grad.clone() for p in model.parameters() if p.grad is not None]
    model.zero_grad()
    with capture(model):
        model(x).square().sum().backward()
    assert all(torch.equal(p.grad, w) for p, w in zip(model.parameters(), wanted, strict=True) if p.grad is not None)


@pytest.mark.filterwarnings("ignore:.*nested tensors.*")
@pytest.mark.parametrize("norm_first", [False, True])
@pytest.mark.parametrize("padded", [False, True])
def test_the_fast_path_of_an_encoder_is_taken_and_seen(
    norm_first: bool, padded: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, x = encoder(norm_first=norm_first).eval(), tokens(K)
    ends = torch.tensor([[4], [6], [5]])
    masks = {"src_key_padding_mask": torch.arange(K) >= ends} if padded else {}
    calls, kernel = [], torch._transformer_encoder_layer_fwd
    monkeypatch.setattr(torch, "_transformer_encoder_layer_fwd", lambda *a: calls.append(1) or kernel(*a))
    with capture(model) as fast, torch.no_grad():
        model(x, **masks)
    assert len(calls) == 2 and len(fast) == 2
    with capture(model) as slow:
        model(x, **masks)
    assert len(calls) == 2 and len(slow) == 2
    for one, other in zip(fast, slow, strict=True):
        n = one.weights.shape[-1]  # packed samples are cut to the longest
        assert one.name == other.name and n == (6 if padded and not norm_first else K)
        for i in range(B):
            there = int(ends[i]) if padded else K
            torch.testing.assert_close(one.weights[i, :, :there], other.weights[i, :, :there, :n], atol=1e-5, rtol=0)
            assert n == K or (one.weights[i, :, there:] == 0).all()  # packed, a place that is not there asks nobody


def test_under_autocast_the_weights_stay_exact() -> None:
    module, q, k = attention(), tokens(Q), tokens(K, seed=4)
    with torch.autocast("cpu", torch.bfloat16), torch.no_grad():
        wanted = module(q, k, k)[0]
        with capture(module) as seen:
            found = module(q, k, k)[0]
    assert torch.equal(found, wanted)
    assert only(seen).dtype == torch.float32
    torch.testing.assert_close(only(seen), theirs(module, q, k, k), atol=1e-6, rtol=0)


# --- what is said of a call -----------------------------------------------------------------------


def test_kinds_are_told_by_what_came_in() -> None:
    module, x, other = attention(), tokens(Q), tokens(Q, seed=4)
    calls = [(x, x, x), (x, x.clone(), x), (x, tokens(K), tokens(K)), (x, other, other), (x, other, x), (x, x, other)]
    with capture(module) as seen:
        for call in calls:
            module(*call)
    assert [s.kind for s in seen] == ["self", "self", "cross", "cross", "unknown", "self"]
    assert [s.call for s in seen] == [1, 2, 3, 4, 5, 6]


def test_a_batch_that_is_read_as_a_sequence_is_seen() -> None:
    module, x = attention(batch_first=False), tokens(Q)  # (batch, tokens, width) given to torch's default
    with capture(module) as seen:
        module(x, x, x)
    assert seen[0].weights.shape == (Q, H, B, B)
    assert seen[0].axes == "axis 0 read as the sequence (3), axis 1 as the batch (5)"
    assert (seen[0].sequence_axis, seen[0].batch_axis, seen[0].batch_first) == (0, 1, False)
    with capture(attention()) as seen:
        seen.model(x, x, x)
    assert seen[0].axes == "axis 1 read as the sequence (5), axis 0 as the batch (3)"
    assert (seen[0].sequence_axis, seen[0].batch_axis, seen[0].batch_first) == (1, 0, True)
    assert seen[0].axes in seen[0].provenance.describe()


def test_layers_have_the_names_of_the_model_in_the_order_of_calls() -> None:
    model = nn.Transformer(E, H, 1, 2, 16, batch_first=True).eval()
    with capture(model) as seen, torch.no_grad():
        model(tokens(Q), tokens(K))
    assert [(s.name, s.kind) for s in seen] == [
        ("encoder.layers.0.self_attn", "self"),
        ("decoder.layers.0.self_attn", "self"),
        ("decoder.layers.0.multihead_attn", "cross"),
        ("decoder.layers.1.self_attn", "self"),
        ("decoder.layers.1.multihead_attn", "cross"),
    ]
    assert [s.weights.shape for s in seen.of("decoder.layers.1.multihead_attn")] == [(B, H, K, Q)]
    assert seen.n_bytes == 4 * B * H * (Q * Q + 2 * K * K + 2 * K * Q)
    seen.clear()
    assert len(seen) == 0 and seen.n_bytes == 0


def test_only_the_layers_that_are_named_are_watched() -> None:
    model = encoder()
    with capture(model, layers=["layers.1.self_attn"]) as seen:
        model(tokens(K))
    assert seen.names == ("layers.1.self_attn",) and [s.name for s in seen] == ["layers.1.self_attn"]


# --- our own layers -------------------------------------------------------------------------------


def test_our_attention_gives_the_weights_that_it_returns() -> None:
    module = Attention(E, 3, n_heads=H).eval()
    q, k, keep = tokens(Q), tokens(K, 3), ~padding()
    with capture(module) as seen:
        module(q, k, keep=keep)
    torch.testing.assert_close(only(seen), module(q, k, keep=keep, need_weights=True).weights)
    assert seen[0].kind == "cross" and seen[0].masks == ("keep bool (3, 7)",) and seen[0].batch_first


def test_the_textbook_forms_are_seen() -> None:
    model = BidirectionalCrossAttention(E, 3, n_heads=H)
    with capture(model) as seen:
        fused = model(tokens(Q), tokens(K, 3), need_weights=True)
    assert [s.name for s in seen] == ["a_asks_b", "b_asks_a"]
    torch.testing.assert_close(seen[0].weights, fused.weights[Edge("a", "b")])
    torch.testing.assert_close(seen[1].weights, fused.weights[Edge("b", "a")])


@pytest.mark.parametrize("tie", [True, False])
def test_a_fusion_network_is_seen_edge_by_edge(tie: bool) -> None:
    network = FusionNetwork("a <-> b, b -> b", {"a": E, "b": 3}, d_model=8, n_heads=H, n_layers=2, tie=tie).eval()
    x, present = {"a": tokens(Q), "b": tokens(K, 3)}, {"b": ~padding()}
    with capture(network) as seen:
        fused = network(x, present, need_weights="layers")
    assert seen.names == ("layers.0", "layers.1") and len(seen) == 6
    for depth, layer in enumerate(fused.weights):
        found = {s.edge: s for s in seen.of(f"layers.{depth}")}
        assert set(found) == set(layer)
        for edge, weights in layer.items():
            torch.testing.assert_close(found[edge].weights, weights)
            assert found[edge].name == f"layers.{depth} [{edge}]"
            assert found[edge].kind == ("self" if edge.is_self else "cross")


# --- everything is put back -----------------------------------------------------------------------


def forwards(model: nn.Module) -> list[Any]:
    return [m.__dict__.get("forward") for m in model.modules()]


def test_nothing_stays_behind_also_after_an_error() -> None:
    model = encoder()
    with pytest.raises(ZeroDivisionError), capture(model) as seen:
        model(tokens(K))
        1 / 0
    assert len(seen) == 2 and set(forwards(model)) == {None}
    with pytest.raises(AssertionError), capture(model):
        model(tokens(K, 3))  # the model's own error, not one of an empty capture
    assert set(forwards(model)) == {None}


def test_a_forward_that_somebody_had_put_in_place_comes_back() -> None:
    model = attention()
    original = model.forward
    model.forward = mine = lambda *args, **kwargs: original(*args, **kwargs)  # type: ignore[method-assign]
    with capture(model) as seen:
        model(tokens(Q), tokens(K), tokens(K))
    assert len(seen) == 1 and model.__dict__["forward"] is mine


def test_captures_nest_in_any_order_of_leaving() -> None:
    model, x = encoder(), tokens(K)
    outer, inner = capture(model), capture(model)
    outer.__enter__()
    model(x)
    inner.__enter__()
    model(x)
    outer.__exit__(None, None, None)  # the outer leaves first
    model(x)
    inner.__exit__(None, None, None)
    model(x)
    assert (len(outer), len(inner)) == (4, 4) and set(forwards(model)) == {None}


def test_a_capture_may_be_entered_twice_and_again() -> None:
    model, x = encoder(), tokens(K)
    seen = capture(model)
    with seen:
        with seen:
            model(x)
        model(x)
    with seen:
        model(x)
    model(x)
    assert [s.call for s in seen.of("layers.0.self_attn")] == [1, 2, 3] and set(forwards(model)) == {None}


def test_a_copy_made_inside_is_not_watched() -> None:
    model, x = encoder(), tokens(K)
    with capture(model) as seen:
        twin = copy.deepcopy(model)
        twin(x)
        for p in twin.parameters():
            nn.init.zeros_(p)
        model(x)
    assert len(seen) == 2
    assert (twin(x) == 0).all()  # it runs on its own weights


# --- what cannot be captured ----------------------------------------------------------------------


class OwnAttention(nn.MultiheadAttention):
    def forward(self, query: Tensor) -> Tensor:  # type: ignore[override]
        return query


class Idle(nn.Module):
    """Holds an attention, and attends by a function."""

    def __init__(self) -> None:
        super().__init__()
        self.attention = attention()

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.scaled_dot_product_attention(x, x, x)


def test_a_model_without_attention_is_refused() -> None:
    with pytest.raises(InputError) as told:
        capture(nn.Linear(2, 3))
    assert str(told.value) == (
        "a model is captured that holds nn.MultiheadAttention or intermodal.nn.Attention, however: Linear holds "
        "neither; hand its weights to from_arrays; a Hugging Face model gives them when it is loaded with "
        'attn_implementation="eager" and called with output_attentions=True'
    )


def test_a_model_that_never_calls_its_attention_is_told() -> None:
    with pytest.raises(InputError, match="it ran, and called none of attention; it may attend by a function of its"):  # noqa: SIM117
        with capture(Idle()) as seen:
            seen.model(tokens(K))
    with pytest.raises(ZeroDivisionError), capture(Idle()) as seen:  # what went wrong inside is told, and not this
        seen.model(tokens(K))
        1 / 0
    with capture(Idle()) as seen:  # it did not run: nothing to tell
        pass


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (3, "a torch module is captured, however: int"),
        (OwnAttention(E, H), 'captured, however: "OwnAttention" is a OwnAttention with its own$'),
        (
            nn.ModuleList([OwnAttention(E, H), attention()]),
            r'however: "0" is a OwnAttention .*; layers= names others: 1',
        ),
        (nn.DataParallel(encoder()), "however: the model is a DataParallel; capture its .module"),
    ],
)
def test_what_cannot_be_seen_is_refused_by_name(model: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        capture(model)


@pytest.mark.filterwarnings("ignore:.*torch.jit.script.*:DeprecationWarning")
def test_a_compiled_or_scripted_module_is_refused() -> None:
    model = encoder()
    model.layers[0].compile()
    with pytest.raises(InputError, match=r'before it is compiled, however: "layers.0" is compiled'):
        capture(model)
    with pytest.raises(InputError, match=r'as Python runs it, however: "0" is scripted'):
        capture(nn.Sequential(torch.jit.script(nn.Linear(2, 2)), attention()))


def test_a_wrong_name_meets_the_nearest() -> None:
    with pytest.raises(InputError, match=r'however: "layers.0.attn"; did you mean "layers.0.self_attn"\?'):
        capture(encoder(), layers=["layers.0.attn"])
    with pytest.raises(InputError, match=r'however: "layers.7.self_attn"; did you mean "layers.'):
        capture(encoder()).of("layers.7.self_attn")
