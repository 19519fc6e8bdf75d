"""Other people's modules on a batch: samples that meet, padding that is seen, inputs that cannot matter."""

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from intermodal.errors import InputError
from intermodal.explain.diagnosing import diagnose
from intermodal.explain.findings import Finding
from intermodal.nn.attention import Attention
from intermodal.nn.network import FusionNetwork
from intermodal.nn.textbook import CrossAttention

B, T, D = 7, 5, 8


def ids(found: list[Finding]) -> list[str]:
    return [f.id for f in found]


def x(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*(shape or (B, T, D)), generator=torch.Generator().manual_seed(seed))


@pytest.fixture(autouse=True)
def _same_weights() -> None:
    torch.manual_seed(0)


# --- samples meet -----------------------------------------------------------------------------------


class Asks(nn.Module):
    """Self-attention, the mean over the tokens, and a head; `batch_first` as the author remembered it."""

    def __init__(self, batch_first: bool, **options: Any) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(D, 2, batch_first=batch_first, **options)
        self.head = nn.Linear(D, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.attention(x, x, x, need_weights=False)[0].mean(1))


def test_a_batch_on_the_sequence_axis_is_an_error_and_the_right_axis_is_not() -> None:
    found = diagnose(Asks(batch_first=False).eval(), x())
    assert (found[0].id, found[0].code, found[0].severity) == ("samples-mix", "D10", "error")
    assert found[0].evidence["moved"] > 0.01
    assert ids(found) == ["samples-mix"]
    assert diagnose(Asks(batch_first=True).eval(), x()) == []


def test_a_sequence_that_comes_first_on_purpose_is_right() -> None:
    late = nn.MultiheadAttention(D, 2).eval()
    assert diagnose(lambda t: late(t, t, t)[0], x(T, B, D), batch_axis=1) == []
    assert ids(diagnose(lambda t: late(t, t, t)[0], x(T, B, D))) == ["samples-mix"]


class Normed(nn.Module):
    def __init__(self, norm: nn.Module) -> None:
        super().__init__()
        self.norm, self.head = norm, nn.Linear(D, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(F.dropout(self.norm(x), 0.5))  # dropout that is on in eval mode too


def test_batch_normalisation_in_training_mode_is_looked_at_in_eval_mode_and_left_as_it_was() -> None:
    model = Normed(nn.BatchNorm1d(D)).train()
    model.head.eval()
    mean = model.norm.running_mean.clone()
    assert diagnose(model, x(B, D)) == []
    assert model.training and model.norm.training and not model.head.training
    assert torch.equal(model.norm.running_mean, mean)


def test_a_normalisation_over_the_batch_is_an_error() -> None:
    assert ids(diagnose(Normed(nn.BatchNorm1d(D, track_running_stats=False)), x(B, D))) == ["samples-mix"]


def test_our_own_networks_are_left_in_peace() -> None:
    network = FusionNetwork("self", {"text": D, "video": 3}, d_model=8, n_members=2, missing="token", dropout=0.3)
    present = {"video": torch.tensor([[True] * i + [False] * (T - i) for i in (5, 4, 3, 0, 2, 5, 1)])}
    assert diagnose(network, ({"text": x(B, D), "video": x(B, T, 3)}, present)) == []


def test_words_by_their_number_are_changed_too() -> None:
    embed = nn.Embedding(31, D)
    words = torch.arange(B * T).reshape(B, T) % 31
    assert diagnose(lambda w: embed(w).mean(1), words) == []
    assert ids(diagnose(lambda w: embed(w).mean(1) - embed(w).mean((0, 1)), words)) == ["samples-mix"]


def repeated(x: Tensor, present: Tensor, *, interleave: bool) -> Tensor:
    """Attention in heads stacked along the batch, with a mask that is repeated in one order or the other."""
    heads = x.unflatten(2, (2, D // 2)).transpose(1, 2).flatten(0, 1)  # sample 0 head 0, sample 0 head 1, ...
    keep = present.repeat_interleave(2, 0) if interleave else present.repeat(2, 1)
    answer = F.scaled_dot_product_attention(heads, heads, heads, attn_mask=keep[:, None] | torch.eye(T).bool())
    return answer.unflatten(0, (-1, 2)).transpose(1, 2).flatten(2)[:, 0]


def test_a_mask_repeated_in_the_wrong_order_is_an_error() -> None:
    present = torch.arange(T) < torch.tensor([5, 1, 3, 2, 4, 5, 1])[:, None]
    wrong = diagnose(lambda t, p: repeated(t, p, interleave=False), (x(), present))
    assert ("batch-differs-from-single", "D21", "error") in [(f.id, f.code, f.severity) for f in wrong]
    assert diagnose(lambda t, p: repeated(t, p, interleave=True), (x(), present)) == []


# --- padding ----------------------------------------------------------------------------------------


def pooled(x: Tensor, keep: Tensor) -> Tensor:
    return (x * keep.unsqueeze(-1)).sum(1) / keep.sum(1, keepdim=True).clamp(min=1)


PRESENT = torch.arange(T) < torch.tensor([5, 1, 3, 2, 4, 5, 1])[:, None]


def test_padding_that_is_seen_a_warning_and_an_inverted_mask_an_error() -> None:
    assert diagnose(pooled, (x(), PRESENT)) == []
    (found,) = diagnose(lambda t, p: t.mean(1), (x(), PRESENT))
    assert (found.id, found.code, found.severity) == ("hidden-keys-seen", "D22", "warning")
    (found,) = diagnose(lambda t, p: pooled(t, ~p), (x(), PRESENT))
    assert (found.id, found.code, found.severity) == ("mask-inverted", "D20", "error")


def test_a_nan_from_padding_is_seen() -> None:
    def divides(t: Tensor, p: Tensor) -> Tensor:
        hidden = t.masked_fill(p.unsqueeze(-1), 0.0)
        return t.masked_fill(~p.unsqueeze(-1), 0.0).sum(1) + hidden.sum(1).sqrt() * 0

    batch = x().masked_fill(~PRESENT.unsqueeze(-1), 0.0)
    assert "hidden-keys-seen" in ids(diagnose(divides, (batch, PRESENT)))


def test_without_padding_nothing_is_said_of_it() -> None:
    assert diagnose(lambda t, p: t.mean(1), (x(), torch.ones(B, T).bool())) == []
    assert diagnose(lambda t, u: t.mean(1) + u, (x(), x(B, D))) == []


def test_padding_is_found_modality_by_modality() -> None:
    def fuse(x: dict[str, Tensor], present: dict[str, Tensor]) -> Tensor:
        return pooled(x["text"], present["text"]) + x["video"].mean(1)

    batch = {"text": x(), "video": x(seed=1)}
    assert ids(diagnose(fuse, (batch, {"text": PRESENT, "video": PRESENT}))) == ["hidden-keys-seen"]
    assert diagnose(fuse, (batch, {"text": PRESENT})) == []


# --- an input without a path ------------------------------------------------------------------------


def test_a_query_without_a_residual_cannot_influence_the_output() -> None:
    ask = CrossAttention(D, 3, n_heads=2)
    ask.attention._checked_one_key = True
    found = {f.id: f for f in diagnose(ask, (x(), x(B, 1, 3)))}
    assert set(found) == {"cut-off", "one-key"}
    assert (found["cut-off"].code, found["cut-off"].severity) == ("D27", "error")
    assert found["cut-off"].text == '"input 0" cannot influence the output: the gradient there is exactly 0'
    assert found["one-key"].severity == "error" and found["one-key"].evidence["gradient"] == 0.0
    assert diagnose(ask, (x(), x(B, 2, 3))) == []


def test_an_input_that_matters_little_is_not_cut_off() -> None:
    assert diagnose(lambda a, b: a + 1e-6 * b, (x(B, D), x(B, D))) == []
    (found,) = diagnose(lambda m: m["a"] + 0 * m["b"], {"a": x(B, D), "b": x(B, D)})
    assert (found.id, '"b" cannot' in found.text) == ("cut-off", True)


def test_probabilities_that_sum_to_one_have_a_path() -> None:
    assert diagnose(lambda a, b: F.softmax(a + b, 1), (x(B, D), x(B, D))) == []
    assert diagnose(lambda a, b: torch.cat([a, -a, b], 1), (x(B, D), x(B, D))) == []


def test_no_gradient_is_left_behind() -> None:
    model = Asks(batch_first=True).eval()
    batch = x()
    diagnose(model, batch)
    assert batch.grad is None and not batch.requires_grad
    assert all(p.grad is None for p in model.parameters())


def test_a_model_without_gradients_is_not_judged_by_them() -> None:
    with_numbers = lambda a, b: torch.from_numpy(a.detach().numpy() * 2)  # noqa: E731
    assert diagnose(with_numbers, (x(B, D), x(B, D))) == []


# --- attention inside -------------------------------------------------------------------------------


class Crosses(nn.Module):
    """Text asks video, in the many ways in which it is written."""

    def __init__(self, *, residual: bool = False, ours: bool = False, **options: Any) -> None:
        super().__init__()
        self.ask = Attention(D, n_heads=2) if ours else nn.MultiheadAttention(D, 2, batch_first=True, **options)
        self.residual = residual
        if ours:
            self.ask._checked_one_key = True

    def forward(self, text: Tensor, video: Tensor) -> Tensor:
        answer = self.ask(text, video)[0] if isinstance(self.ask, Attention) else self.ask(text, video, video)[0]
        return (answer + text if self.residual else answer).mean(1)


@pytest.mark.parametrize("ours", [True, False])
def test_one_key_is_an_error_without_a_residual_and_a_warning_with_it(ours: bool) -> None:
    text, video = x(), x(B, 1, D, seed=1)
    found = {f.id: f for f in diagnose(Crosses(ours=ours).eval(), (text, video))}
    assert {name: f.severity for name, f in found.items()} == {"cut-off": "error", "one-key": "error"}
    (found_one,) = diagnose(Crosses(residual=True, ours=ours).eval(), (text, video))
    assert (found_one.id, found_one.code, found_one.severity) == ("one-key", "D11", "warning")
    assert found_one.evidence == {"keys": 1, "gradient": 0.0}
    assert diagnose(Crosses(ours=ours).eval(), (text, x(B, 2, D, seed=1))) == []


def test_the_gradient_of_the_asking_projections_needs_no_threshold() -> None:
    """With one key it is exactly 0; with two, far from it."""
    from intermodal.explain.diagnosing import _asking_gradient
    from intermodal.explain.probing import Probe

    for width in (D, 3):
        for keys in (1, 2):
            model = nn.MultiheadAttention(D, 2, kdim=width, vdim=width, batch_first=True)
            video = x(B, keys, width, seed=1)
            probe = Probe(lambda t, v, m=model: m(t, v, v)[0], (x(), video))
            gradient = _asking_gradient(probe, model)
            assert gradient is not None and (gradient == 0.0 if keys == 1 else gradient > 0.05)


def test_copies_of_one_pooled_vector_are_the_same_key() -> None:
    pooled_once = x(B, 1, D, seed=1)
    (found,) = diagnose(Crosses(residual=True).eval(), (x(), pooled_once.expand(-1, T, -1)))
    assert (found.id, found.code) == ("same-keys", "D12")
    assert diagnose(Crosses(residual=True).eval(), (x(), pooled_once + 0.01 * x(seed=2))) == []


def test_the_weights_of_a_module_in_training_mode_are_warned_of() -> None:
    model = Crosses(residual=True, dropout=0.3)
    (found,) = diagnose(model, (x(), x(seed=1)))
    assert (found.id, found.code) == ("dropout-in-weights", "D24")
    assert model.training and model.ask.training
    assert diagnose(model.eval(), (x(), x(seed=1))) == []
    assert diagnose(Crosses(residual=True), (x(), x(seed=1))) == []


@pytest.mark.parametrize("seed", range(20))
def test_a_freshly_drawn_network_is_left_in_peace(seed: int) -> None:
    torch.manual_seed(seed)
    layer = nn.TransformerEncoderLayer(32, 4, 64, batch_first=True)
    model = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False).eval()
    assert diagnose(model, x(16, 9, 32, seed=seed)) == []


def test_an_attention_that_is_hooked_answers_as_before() -> None:
    model = Asks(batch_first=True).eval()
    before = model(x())
    diagnose(model, x())
    assert torch.equal(model(x()), before)
    assert all(not m._forward_pre_hooks for m in model.modules())


# --- what cannot be probed --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "batch", "more", "said"),
    [
        (3, x(), {}, "a fitted estimator, a module or a function is diagnosed, however: int"),
        (nn.Identity(), "abc", {}, "a batch holds at least one tensor, however: it holds none"),
        (
            nn.Linear(3, 2),
            x(),
            {},
            "the model answers the batch, however: RuntimeError: mat1 and mat2 shapes cannot be multiplied "
            "(35x8 and 3x2)",
        ),
        (
            lambda t: t.sum(),
            x(),
            {},
            "the answer has one row a sample on axis 0, however: none with 7 rows came",
        ),
        (
            lambda a, b: a,
            (x(), x(3, D)),
            {},
            "all tensors of a batch have one size on axis 0, however: [3, 7]",
        ),
        (
            nn.Identity(),
            x(B),
            {"batch_axis": 1},
            "batch_axis is an axis of every tensor, however: axis=1, and one tensor has 1 axes",
        ),
        (nn.Identity(), x(0, D), {}, "at least one sample is diagnosed, however: the batch holds none"),
        (nn.Identity(), x(), {"n": 0}, "n is a number of samples, 1 or more, however: n=0"),
    ],
)
def test_what_cannot_be_probed_is_said_in_a_sentence(model: Any, batch: Any, more: dict, said: str) -> None:
    with pytest.raises(InputError) as error:
        diagnose(model, batch, **more)
    assert str(error.value) == said


def test_one_sample_alone_is_enough_to_look_at_its_padding() -> None:
    assert ids(diagnose(lambda t, p: t.mean(1), (x(1, T, D), PRESENT[1:2]))) == ["hidden-keys-seen"]
