"""Every subset at once equals every subset by itself: one network, one batch, one mask after the other."""

import itertools
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from intermodal.errors import InputError
from intermodal.kernel import mixed
from intermodal.nn import mixtures, shared_scores, subsets
from intermodal.nn.attention import Attention
from intermodal.nn.layer import FusionLayer
from intermodal.nn.network import FusionNetwork
from intermodal.nn.pooling import POOLS
from intermodal.nn.shared_scores import attend_subsets
from intermodal.nn.subsets import fuse_subsets
from intermodal.nn.textbook import SelfAttentionFusion

EXACT = {torch.float32: 1e-6, torch.float64: 1e-12}
SPECS = [
    "self",
    "cross",
    "none",
    "a -> b",
    "a <-> b, c -> a",
    "[a b] -> c, c -> [a b]",
    "[*] -> a",
    "a -> a, b -> b",
    "b -> a, [b c] -> a, c -> [a c]",
]


def one_by_one(network: FusionNetwork, x: dict[str, Tensor], present: dict[str, Tensor] | None = None) -> Tensor:
    """The plain way: a forward for each subset, the other modalities marked absent."""
    found = []
    for s in range(1 << len(network.names)):
        shown = {}
        for name, values in x.items():
            there = torch.ones(values.shape[:-1], dtype=torch.bool)
            if present and name in present:
                there = present[name]
            shown[name] = there & bool(s >> network.names.index(name) & 1)
        found.append(network(x, shown).pooled)
    return torch.stack(found)


def alike(found: Tensor, wanted: Tensor) -> bool:
    """Equal up to rounding, on the mean; here and there a norm of nearly equal numbers makes ten times as much."""
    gap, exact = (found - wanted).abs(), EXACT[found.dtype]
    return found.numel() == 0 or bool(gap.mean() <= exact and (gap <= 10 * exact * wanted.abs().clamp(min=1)).all())


@st.composite
def cases(draw: st.DrawFn) -> tuple[FusionNetwork, dict[str, Tensor], dict[str, Tensor]]:
    torch.manual_seed(draw(st.integers(0, 2**31)))
    names = ("a", "b", "c", "d")[: draw(st.integers(3, 4))]
    sequences = {n: draw(st.booleans()) for n in names}
    encoder = {n: draw(st.sampled_from(["linear", "conv", "gru"])) if sequences[n] else "linear" for n in names}
    n_tokens = {n: 1 if sequences[n] else draw(st.integers(1, 3)) for n in names}
    options: dict[str, Any] = {
        "n_layers": draw(st.integers(0, 2)),
        "pool": draw(st.sampled_from(POOLS)),
        "missing": draw(st.sampled_from(["mask", "token"])),
        "tie": draw(st.booleans()),
        "n_members": draw(st.sampled_from([1, 3])),
        "stride": draw(st.sampled_from([1, 2])),
    }
    spec = draw(st.sampled_from(SPECS))
    network = FusionNetwork(
        spec, dict(zip(names, (2, 5, 3, 7), strict=False)), d_model=6, n_heads=2, n_tokens=n_tokens, encoder=encoder,
        dropout=0.5, modality_dropout=0.5, **options,
    )  # fmt: skip
    batch = draw(st.integers(1, 5))
    x, present = {}, {}
    for name in draw(st.lists(st.sampled_from(names), min_size=1, unique=True)):
        shape = (batch, draw(st.integers(0, 4))) if sequences[name] else (batch,)
        x[name] = torch.randn(*shape, network.d_in[name])
        if draw(st.booleans()):
            present[name] = torch.rand(shape) < draw(st.sampled_from([0.0, 0.6]))
    return network.eval(), x, present


@pytest.mark.filterwarnings("ignore::intermodal.errors.OneKeyWarning")
@settings(deadline=None, max_examples=150)
@given(
    cases(),
    st.sampled_from([torch.float32, torch.float64]),
    st.sampled_from(["compiled", "compiled", "plain", "graph"]),
)
def test_every_subset_at_once_is_every_subset_by_itself(case: Any, dtype: torch.dtype, how: str) -> None:
    network, x, present = case
    network, x = network.to(dtype), {n: v.to(dtype) for n, v in x.items()}
    with torch.set_grad_enabled(how == "graph"), pytest.MonkeyPatch.context() as patch:
        if how == "plain":
            patch.setattr(mixed, "_mixed", None)
        found, wanted = fuse_subsets(network, x, present), one_by_one(network, x, present)
    found, wanted = found.detach(), wanted.detach()
    assert found.shape == wanted.shape and found.dtype == dtype
    assert alike(found, wanted)


@pytest.fixture
def network() -> FusionNetwork:
    torch.manual_seed(0)
    return FusionNetwork("cross", {"a": 2, "b": 5, "c": 3}, d_model=6, n_heads=2, n_tokens=2).eval()


def batch(n: int = 7) -> dict[str, Tensor]:
    torch.manual_seed(1)
    return {"a": torch.randn(n, 2), "b": torch.randn(n, 5), "c": torch.randn(n, 3)}


def test_chosen_subsets_come_in_the_order_in_which_they_are_asked(network: FusionNetwork) -> None:
    x, asked = batch(), [5, 0, 7, 5, 2]
    assert torch.equal(fuse_subsets(network, x, subsets=asked), fuse_subsets(network, x)[asked])


def test_the_size_of_a_pass_changes_nothing(network: FusionNetwork, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = fuse_subsets(network, batch())
    monkeypatch.setattr(subsets, "TOKENS", 1)
    assert (fuse_subsets(network, batch()) - wanted).abs().max() <= 1e-6


def test_nothing_is_fused_to_zeros(network: FusionNetwork) -> None:
    assert (fuse_subsets(network, batch())[0] == 0).all()


def test_what_one_token_needs_alone_is_computed_once(network: FusionNetwork) -> None:
    counted: dict[str, int] = {}

    def count(name: str) -> Any:
        def hook(module: nn.Module, inputs: Any, output: Any) -> None:
            counted[name] = counted.get(name, 0) + inputs[0].shape[0] * inputs[0].shape[1]

        return hook

    layer = network.layers[0]
    attention = layer.attention[0]
    assert isinstance(attention, Attention)
    parts = {"encoder": network.encoders[0].project, "norm": layer.norm_ask, "q": attention.q_proj}
    parts |= {"k": attention.k_proj, "v": attention.v_proj, "feed": layer.feed}
    for name, module in parts.items():
        module.register_forward_hook(count(name))  # type: ignore[union-attr]
    fuse_subsets(network, batch())
    shared = {"encoder": 7 * 2, "norm": 7 * 6, "q": 7 * 6, "k": 7 * 6, "v": 7 * 6}
    assert counted == shared | {"feed": 7 * (8 * 6 // 2)}  # each of 6 tokens is in half of the 8 subsets


def test_subsets_of_one_shape_run_as_one(network: FusionNetwork) -> None:
    calls: list[int] = []
    network.norm.register_forward_hook(lambda module, inputs, output: calls.append(len(output)))
    fuse_subsets(network, batch())
    assert calls == [7 * 3, 7 * 3, 7]  # one modality, two, three


def test_subsets_of_another_shape_run_apart() -> None:
    network = FusionNetwork("a -> b", {"a": 2, "b": 5, "c": 3}, d_model=6, n_heads=2, n_tokens=2).eval()
    calls: list[int] = []
    network.norm.register_forward_hook(lambda module, inputs, output: calls.append(len(output)))
    x = batch()
    assert (fuse_subsets(network, x) - one_by_one(network, x)).abs().max() <= 1e-5
    assert sorted(calls[:-8]) == [7, 7, 7 * 2, 7 * 3]  # {a b}; {a b c}; {a c} {b c}; {a} {b} {c}


@pytest.mark.filterwarnings("ignore::intermodal.errors.OneKeyWarning")
@pytest.mark.parametrize("spec", ["self", "cross", "a -> b, [b c] -> a"])
@pytest.mark.parametrize(
    "options",
    [{"tie": False}, {"pool": "concat"}, {"missing": "token"}, {"n_members": 3, "n_layers": 2}, {"pool": "attention"}],
    ids=str,
)
def test_modalities_of_one_width_are_not_mixed_up(spec: str, options: dict[str, Any]) -> None:
    torch.manual_seed(0)
    network = FusionNetwork(spec, dict.fromkeys("abc", 3), d_model=6, n_heads=2, n_tokens=2, **options).double().eval()
    x = {name: torch.randn(7, 3, dtype=torch.float64) for name in "abc"}
    present = {"b": torch.arange(7) % 3 > 0}
    assert (fuse_subsets(network, x, present) - one_by_one(network, x, present)).abs().max() <= 1e-12


@pytest.mark.filterwarnings("ignore::intermodal.errors.OneKeyWarning")
@pytest.mark.parametrize("spec", ["a -> b, d -> c", "a -> b, [a e] -> b, a -> c, a -> d"], ids=["who", "how often"])
def test_subsets_in_which_others_ask_or_ask_more_often_run_apart(spec: str) -> None:
    """{a b c} and {b c d}: the first asks, or the last. {a b c} and {a c d}: b is asked twice by a, c only once."""
    torch.manual_seed(0)
    network = FusionNetwork(spec, dict.fromkeys("abcde", 3), d_model=6, n_heads=2, n_tokens=2).double().eval()
    x = {name: torch.randn(7, 3, dtype=torch.float64) for name in "abcde"}
    assert (fuse_subsets(network, x) - one_by_one(network, x)).abs().max() <= 1e-12


needs_it = pytest.mark.skipif(mixed._mixed is None, reason="no compiler was there when the package was installed")


def mixes(network: FusionNetwork, x: dict[str, Tensor], monkeypatch: pytest.MonkeyPatch) -> int:
    """How often subsets are mixed from what the first attention shares."""
    calls: list[int] = []
    kept = mixed.mix
    monkeypatch.setattr(mixed, "mix", lambda *given: calls.append(1) or kept(*given))
    with torch.no_grad():
        assert alike(fuse_subsets(network, x), one_by_one(network, x))
    return len(calls)


@needs_it
def test_the_first_attention_is_shared_by_all_subsets(network: FusionNetwork, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    kept = FusionLayer._ask
    monkeypatch.setattr(FusionLayer, "_ask", lambda *given: asked.append(1) or kept(*given))
    with torch.no_grad():
        fuse_subsets(network, batch())
    assert not asked and mixes(network, batch(), monkeypatch) == 3


@needs_it
@pytest.mark.parametrize("what", ["scores far apart", "many tokens", "no number"])
def test_each_subset_asks_for_itself_where_sharing_would_not_be_exact(
    what: str, network: FusionNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    x = batch()
    if what == "scores far apart":
        with torch.no_grad():
            network.layers[0].attention[0].q_proj.weight *= 1e4  # type: ignore[union-attr, index, operator]
    elif what == "many tokens":
        monkeypatch.setattr(mixtures, "SCORES", 6 * 6 * 2 - 1)
    else:
        x["b"][3, 1] = torch.nan
        with torch.no_grad():
            broken = fuse_subsets(network, x).isnan().any(-1)  # (C, B)
        assert broken.nonzero().tolist() == [[s, 3] for s in range(8) if s & 0b010]
        return
    assert mixes(network, x, monkeypatch) == 0


@needs_it
def test_the_size_of_a_pass_of_scores_changes_nothing(network: FusionNetwork, monkeypatch: pytest.MonkeyPatch) -> None:
    with torch.no_grad():
        wanted = fuse_subsets(network, batch())
        monkeypatch.setattr(mixtures, "NUMBERS", 1)
        assert fuse_subsets(network, batch()).equal(wanted)


@needs_it
@pytest.mark.parametrize("part", ["norm_feed", "norm", "feed"])
def test_hooks_hear_what_they_would_have_heard(part: str, network: FusionNetwork) -> None:
    module = network.norm if part == "norm" else getattr(network.layers[0], part)
    module.register_forward_hook(lambda module, inputs, output: 2 * output)
    with torch.no_grad():
        assert alike(fuse_subsets(network, batch()), one_by_one(network, batch()))


def test_gradients_reach_the_weights(network: FusionNetwork) -> None:
    fuse_subsets(network, batch()).square().sum().backward()
    found = [p.grad.clone() for p in network.parameters() if p.grad is not None]
    network.zero_grad()
    one_by_one(network, batch()).square().sum().backward()
    for one, other in zip(found, (p.grad for p in network.parameters()), strict=True):
        assert other is not None and (one - other).abs().max() <= 1e-3 * other.abs().max() + 1e-5


def test_a_network_in_training_is_refused(network: FusionNetwork) -> None:
    with pytest.raises(InputError) as error:
        fuse_subsets(network.train(), batch())
    assert str(error.value) == (
        "subsets are compared in eval mode, however: network.training=True; call network.eval()"
    )


# --- the textbook's self-attention ----------------------------------------------------------------


def biased(fusion: SelfAttentionFusion) -> SelfAttentionFusion:
    """With biases that are not zero, as training leaves them."""
    for name, p in fusion.named_parameters():
        if name.endswith("bias"):
            nn.init.normal_(p)
    return fusion


def by_hand(fusion: SelfAttentionFusion, x: Tensor, present: Tensor | None) -> Tensor:
    n = x.shape[1]
    found = []
    for shown in itertools.product([False, True], repeat=n):
        inside = torch.tensor(shown[::-1]).expand(len(x), n)
        found.append(fusion(x, inside if present is None else inside & present).pooled)
    return torch.stack(found)


@pytest.mark.filterwarnings("ignore::intermodal.errors.OneKeyWarning")
@settings(deadline=None, max_examples=100)
@given(st.integers(1, 6), st.sampled_from([1, 2, 3]), st.booleans(), st.booleans(), st.integers(0, 2**31))
def test_shared_scores_are_exact(n: int, heads: int, double: bool, missing: bool, seed: int) -> None:
    torch.manual_seed(seed)
    dtype = torch.float64 if double else torch.float32
    fusion = biased(SelfAttentionFusion(6, n_heads=heads)).to(dtype).eval()
    x = 3 * torch.randn(5, n, 6, dtype=dtype)
    present = torch.rand(5, n) < 0.6 if missing else None
    with torch.no_grad(), pytest.MonkeyPatch.context() as patch:
        wanted = by_hand(fusion, x, present)
        for module in (mixed._mixed, None):
            patch.setattr(mixed, "_mixed", module)
            found = attend_subsets(fusion, x, present)
            assert found.shape == wanted.shape == (1 << n, 5, 6)
            assert alike(found, wanted)


def test_shared_scores_equal_the_module_of_torch_on_the_tokens_of_the_subset() -> None:
    torch.manual_seed(0)
    theirs = nn.MultiheadAttention(6, 2, batch_first=True)
    nn.init.normal_(theirs.in_proj_bias)
    nn.init.normal_(theirs.out_proj.bias)
    x = torch.randn(7, 4, 6)
    found = attend_subsets(SelfAttentionFusion.from_torch(theirs), x)
    for s in range(1, 16):
        part = x[:, [i for i in range(4) if s >> i & 1]]
        assert (found[s] - theirs(part, part, part)[0].mean(1)).abs().max() <= 1e-6
    assert (found[0] == 0).all()


def test_scores_that_lie_far_apart_are_not_shared() -> None:
    """e^-1000 is nothing: a subset without the largest key must still see the others."""
    torch.manual_seed(0)
    fusion = biased(SelfAttentionFusion(6, n_heads=2)).eval()
    x, present = 40 * torch.randn(3, 4, 6), torch.tensor([[True, False, True, True]]).expand(3, 4)
    for there in (None, present):
        found = attend_subsets(fusion, x, there)
        assert found.isfinite().all()
        assert (found - by_hand(fusion, x, there)).abs().max() <= 1e-4


@pytest.mark.parametrize("size", [1, 1 << 20])
@pytest.mark.parametrize("missing", [False, True])
def test_gradients_of_shared_scores_reach_the_weights(
    size: int, missing: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(0)
    monkeypatch.setattr(shared_scores, "NUMBERS", size)
    fusion = biased(SelfAttentionFusion(6, n_heads=2)).double().eval()
    x = torch.randn(5, 4, 6, dtype=torch.float64, requires_grad=True)
    present = torch.rand(5, 4) < 0.6 if missing else None
    wanted = [x, *fusion.parameters()]
    found, by_mask = (
        torch.autograd.grad(pooled.square().sum(), wanted)
        for pooled in (attend_subsets(fusion, x, present), by_hand(fusion, x, present))
    )
    for one, other in zip(found, by_mask, strict=True):
        torch.testing.assert_close(one, other, atol=1e-9, rtol=1e-9)


def test_shared_scores_of_nobody_have_the_shape_of_the_answer() -> None:
    fusion = SelfAttentionFusion(6, n_heads=2)
    assert attend_subsets(fusion, torch.randn(0, 3, 6)).shape == (8, 0, 6)
    assert attend_subsets(fusion, torch.randn(5, 0, 6)).equal(torch.zeros(1, 5, 6))


def test_what_stands_in_missing_places_changes_nothing() -> None:
    torch.manual_seed(0)
    fusion = SelfAttentionFusion(6, n_heads=2).eval()
    x, present = torch.randn(3, 4, 6), torch.tensor([[True, False, True, True]]).expand(3, 4)
    found = attend_subsets(fusion, x, present)
    x[:, 1] = torch.nan
    assert torch.equal(attend_subsets(fusion, x, present), found)
    assert torch.equal(found[0b0010], found[0]) and torch.equal(found[0b0111], found[0b0101])


def test_chosen_subsets_of_tokens(monkeypatch: pytest.MonkeyPatch) -> None:
    fusion, x = SelfAttentionFusion(6, n_heads=2).eval(), torch.randn(5, 4, 6)
    wanted = attend_subsets(fusion, x)
    assert (attend_subsets(fusion, x, subsets=[3, 15, 0]) - wanted[[3, 15, 0]]).abs().max() <= 1e-6
    monkeypatch.setattr(shared_scores, "NUMBERS", 1)
    assert (attend_subsets(fusion, x) - wanted).abs().max() <= 1e-6


def test_a_fusion_that_drops_weights_is_refused() -> None:
    fusion = SelfAttentionFusion(6, dropout=0.5)
    with pytest.raises(InputError) as error:
        attend_subsets(fusion, torch.randn(2, 3, 6))
    assert str(error.value) == (
        "subsets are compared without dropout, however: the fusion is training; call fusion.eval()"
    )
