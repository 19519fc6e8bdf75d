"""What cannot work is said before any training, and a fusion that can work is left in peace."""

import warnings
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from intermodal.data.samples import Samples
from intermodal.errors import InputError, OneKeyWarning
from intermodal.explain.counting import keys_along, token_counts
from intermodal.explain.findings import Finding
from intermodal.explain.linting import lint
from intermodal.learn.estimators import FusionClassifier, FusionRegressor
from intermodal.learn.feed import Feed
from intermodal.nn.attention import Attention
from intermodal.nn.network import FusionNetwork
from intermodal.nn.textbook import BidirectionalCrossAttention, CrossAttention, SelfAttentionFusion
from intermodal.spec import Edge

N = 11
WIDTHS = {"text": 7, "video": 5, "audio": 3}


def ids(found: list[Finding]) -> list[str]:
    return [f.id for f in found]


def network(spec: str, **options: Any) -> FusionNetwork:
    return FusionNetwork(spec, WIDTHS, d_model=8, **options)


VECTORS = {name: (N, width) for name, width in WIDTHS.items()}
SEQUENCES = {name: (N, 13, width) for name, width in WIDTHS.items()}


# --- one key ----------------------------------------------------------------------------------------


def test_one_key_is_a_warning_in_a_network_since_its_residual_keeps_the_query() -> None:
    found = lint(network("text -> video, audio -> [text video]"), VECTORS)[0]
    assert (found.id, found.code, found.severity) == ("one-key", "D11", "warning")
    assert found.text == (
        "text -> video: every query sees at most one key, so the softmax is constantly 1 and the query is ignored"
    )
    assert found.evidence == {"keys": 1, "edges": 1, "samples": N}


@pytest.mark.parametrize(
    ("spec", "options", "X"),
    [
        ("text -> video", {}, VECTORS | {"video": (N, 2, 5)}),
        ("text -> video", {"n_tokens": {"video": 2}}, VECTORS),
        ("text -> [video audio]", {}, VECTORS),
        ("self", {}, VECTORS),
        ("none", {}, VECTORS),
        ("cross", {}, SEQUENCES),
        ("text -> video", {"stride": {"video": 6}}, SEQUENCES),
    ],
)
def test_a_choice_between_keys_is_not_one_key(spec: str, options: dict, X: dict) -> None:
    assert "one-key" not in ids(lint(network(spec, **options), X))


def test_a_sequence_that_is_joined_into_one_token_is_one_key() -> None:
    assert "one-key" in ids(lint(network("text -> video", stride={"video": 13}), SEQUENCES))


def test_one_sample_with_two_keys_is_enough() -> None:
    rng = np.random.default_rng(0)
    text = rng.normal(size=(N, 7))
    short = [rng.normal(size=(1, 5)) for _ in range(N)]
    samples = {"text": text, "video": short, "audio": rng.normal(size=(N, 3))}
    assert "one-key" in ids(lint(network("text -> video"), samples))
    short[4] = rng.normal(size=(2, 5))
    assert "one-key" not in ids(lint(network("text -> video"), samples))


def test_a_joined_side_of_which_one_is_always_missing_is_one_key() -> None:
    rng = np.random.default_rng(0)
    audio: list[Any] = [None if i % 2 else rng.normal(size=3) for i in range(N)]
    video: list[Any] = [rng.normal(size=5) if i % 2 else None for i in range(N)]
    samples = {"text": rng.normal(size=(N, 7)), "video": video, "audio": audio}
    assert "one-key" in ids(lint(network("text -> [video audio]"), samples))
    assert "one-key" not in ids(lint(network("text -> [video audio]", missing="token"), samples))
    video[0] = rng.normal(size=5)
    assert "one-key" not in ids(lint(network("text -> [video audio]"), samples))


def test_keys_count_where_somebody_asks_for_them() -> None:
    rng = np.random.default_rng(0)
    audio: list[Any] = [None if i % 2 else rng.normal(size=3) for i in range(N)]
    video = [rng.normal(size=(5 if i % 2 else 1, 5)) for i in range(N)]  # whoever could choose is not asked by anybody
    samples = {"text": rng.normal(size=(N, 7)), "video": video, "audio": audio}
    assert "one-key" in ids(lint(network("audio -> video"), samples))
    assert "one-key" not in ids(lint(network("text -> video"), samples))


@pytest.mark.parametrize("missing", ["mask", "token"])
@pytest.mark.parametrize("stride", [1, 2, 3])
def test_the_counted_keys_are_those_that_the_network_looks_at(missing: str, stride: int) -> None:
    rng = np.random.default_rng(stride)
    video: list[Any] = [None if i == 3 else rng.normal(size=(int(rng.integers(1, 9)), 5)) for i in range(N)]
    audio: list[Any] = [None if i % 3 == 0 else rng.normal(size=3) for i in range(N)]
    samples = Samples({"text": rng.normal(size=(N, 7)), "video": video, "audio": audio})
    own = network("[text video] -> [audio video]", n_tokens={"audio": 2}, stride={"video": stride}, missing=missing)
    x, present = Feed(samples).batch(np.arange(N))
    weights = own.eval()(x, present, need_weights=True).weights
    (edge,) = own.spec.edges
    seen = (weights[edge] > 0).any(1).any(1).sum(1)
    assert keys_along(edge, token_counts(own, samples)).tolist() == seen.tolist()


def test_absent_tokens_inside_a_sequence_are_not_counted() -> None:
    values = np.random.default_rng(0).normal(size=(2, 7, 5))
    values[0, [0, 1, 3, 4, 5]] = np.nan  # . . 2 . . . 6
    samples = Samples({"text": np.ones((2, 7)), "video": values, "audio": np.ones((2, 3))})
    for stride, there in ((1, [2, 7]), (2, [2, 4]), (5, [1, 2])):
        own = network("text -> video", stride={"video": stride})
        assert token_counts(own, samples)["video"].tolist() == there
        x, present = Feed(samples).batch(np.arange(2))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", OneKeyWarning)
            weights = own.eval()(x, present, need_weights=True).weights[Edge("text", "video")]
        assert (weights > 0).any(1).any(1).sum(1).tolist() == there


# --- the rest of a network --------------------------------------------------------------------------


@pytest.mark.parametrize("spec", ["self", "none", "text -> [*], video -> [*], audio -> [*]", "* -> [*]"])
@pytest.mark.parametrize("X", [None, SEQUENCES])
def test_a_fusion_that_can_work_is_left_in_peace(spec: str, X: Any) -> None:
    assert lint(network(spec), X) == []


def test_shares_that_are_even_by_construction_are_noted() -> None:
    (found,) = lint(network("cross"), SEQUENCES)
    assert (found.id, found.severity) == ("even-by-construction", "note")


def test_a_modality_that_takes_no_part_is_noted() -> None:
    found = {f.id: f for f in lint(network("[text video] -> [text video]"), SEQUENCES)}
    assert set(found) == {"outside-attention"}
    assert found["outside-attention"].text == (
        '"audio" takes no part in the attention: nobody asks there and nobody is asked'
    )
    assert '"video", "audio" take no part' in lint(network("text -> text"), SEQUENCES)[0].text


def test_who_asks_the_same_twice_is_noted() -> None:
    found = {f.id: f for f in lint(network("text -> video, [text audio] -> [video audio], video -> [*]"))}
    assert set(found) == {"asked-twice"}
    assert found["asked-twice"].text == (
        '"text" asks "video" through 2 edges, text -> video and [text audio] -> [video audio]; their answers are '
        "averaged"
    )


def test_a_fusion_without_a_layer_cannot_ask() -> None:
    found = lint(network("self", n_layers=0))
    assert [(f.id, f.severity) for f in found] == [("nobody-can-ask", "warning")]
    assert lint(network("none", n_layers=0)) == []


def test_a_batch_on_the_second_axis_is_an_error() -> None:
    late = {"text": (13, N, 7), "video": (17, N, 5), "audio": (N, 3)}
    (found,) = lint(network("self"), late)
    assert (found.id, found.code, found.severity) == ("batch-on-second-axis", "D10", "error")
    assert found.evidence == {"batch": N}
    one = {"text": (13, N, 7), "video": (N, 5)}
    assert ids(lint(FusionNetwork("self", {"text": 7, "video": 5}, d_model=8), one)) == ["batch-on-second-axis"]
    assert lint(network("self"), {"text": (N, 13, 7), "video": (N, 17, 5), "audio": (N, 3)}) == []
    assert lint(network("self"), {"text": (N, 13, 7), "video": (N, 13, 5), "audio": (N, 13, 3)}) == []
    assert lint(network("self"), {"text": (N, N, 7), "video": (N, N, 5), "audio": (N, 3)}) == []


def test_the_values_of_tensors_are_not_read() -> None:
    x = {name: torch.full(shape, torch.nan) for name, shape in VECTORS.items()}
    assert ids(lint(network("cross"), x)) == ["one-key", "even-by-construction"]


# --- textbook modules -------------------------------------------------------------------------------


def test_one_key_without_a_residual_is_an_error_and_cuts_off_the_query() -> None:
    found = lint(CrossAttention(7, 5), ((N, 3, 7), (N, 1, 5)))
    assert [(f.id, f.code, f.severity) for f in found] == [("one-key", "D11", "error"), ("cut-off", "D27", "error")]
    (found,) = lint(CrossAttention(7, 5, residual=True), (torch.zeros(N, 3, 7), torch.zeros(N, 1, 5)))
    assert (found.id, found.severity) == ("one-key", "warning")
    assert lint(CrossAttention(7, 5), ((N, 1, 7), (N, 2, 5))) == []
    assert lint(CrossAttention(7, 5, n_tokens=2), ((N, 1, 7), (N, 1, 5))) == []
    assert lint(CrossAttention(7, 5)) == []


def test_the_lint_of_the_textbook_is_what_the_gradient_says() -> None:
    for residual, keys in ((False, 1), (True, 1), (False, 2)):
        ask = CrossAttention(7, 5, residual=residual)
        query, context = torch.randn(N, 3, 7, requires_grad=True), torch.randn(N, keys, 5)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", OneKeyWarning)
            ask(query, context).pooled.square().sum().backward()
        assert query.grad is not None
        cut = bool((query.grad == 0).all())
        assert cut == ("cut-off" in ids(lint(ask, (query, context))))


def test_the_other_textbook_modules_are_warned_of() -> None:
    (found,) = lint(SelfAttentionFusion(8), (N, 1, 8))
    assert (found.id, found.severity) == ("one-key", "warning")
    assert lint(SelfAttentionFusion(8), torch.zeros(N, 3, 8)) == []
    both = BidirectionalCrossAttention(7, 5, names=("text", "video"))
    (found,) = lint(both, ((N, 3, 7), (N, 1, 5)))
    assert found.id == "one-key" and "asking video:" in found.text
    assert lint(both, ((N, 3, 7), (N, 2, 5))) == []


# --- modules from torch -----------------------------------------------------------------------------


class Two(nn.Module):
    def __init__(self, *first: bool) -> None:
        super().__init__()
        self.parts = nn.ModuleList(nn.MultiheadAttention(8, 2, batch_first=f) for f in first)


def test_the_first_axis_of_torch_is_told() -> None:
    (found,) = lint(nn.MultiheadAttention(8, 2))
    assert (found.id, found.code, found.severity) == ("sequence-first", "D10", "note")
    assert lint(nn.MultiheadAttention(8, 2, batch_first=True)) == []
    (found,) = lint(Two(True, False))
    assert (found.severity, "parts.1" in found.text) == ("warning", True)
    assert [f.severity for f in lint(Two(False, False))] == ["note"]
    assert lint(Two(True, True)) == []
    encoder = nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, batch_first=True), 2, enable_nested_tensor=False)
    assert lint(encoder.eval()) == []


@pytest.mark.parametrize("option", ["add_zero_attn", "add_bias_kv"])
def test_a_key_that_stands_for_no_token_is_noted(option: str) -> None:
    assert ids(lint(nn.MultiheadAttention(8, 2, batch_first=True, **{option: True}))) == ["extra-key"]


def test_dropout_in_the_returned_weights_is_noted_while_training() -> None:
    attention = nn.MultiheadAttention(8, 2, dropout=0.1, batch_first=True)
    (found,) = lint(attention)
    assert (found.id, found.code, found.severity) == ("dropout-in-weights", "D24", "note")
    assert lint(attention.eval()) == []
    assert lint(Attention(8, dropout=0.1)) == []  # its weights are those before dropout


def test_what_attention_is_called_with_is_read() -> None:
    attention = nn.MultiheadAttention(8, 2, batch_first=True)
    (found,) = lint(attention, torch.zeros(N, 8))
    assert (found.id, found.code, found.severity) == ("read-as-one-sequence", "D10", "error")
    assert ids(lint(attention, ((N, 3, 8), (N, 1, 8), (N, 1, 8)))) == ["one-key"]
    assert lint(attention, ((N, 1, 8), (N, 3, 8))) == []
    assert lint(attention, torch.zeros(1, 3, 8)) == []
    late = nn.MultiheadAttention(8, 2)
    assert ids(lint(late, ((3, N, 8), (1, N, 8)))) == ["one-key", "sequence-first"]
    assert ids(lint(late, ((3, 1, 8), (3, 1, 8)))) == ["sequence-first"]


# --- estimators -------------------------------------------------------------------------------------


def data(**more: Any) -> dict[str, Any]:
    rng = np.random.default_rng(0)
    return {"text": rng.normal(size=(N, 7)), "video": rng.normal(size=(N, 5, 3)), **more}


@pytest.mark.parametrize("kind", [FusionClassifier, FusionRegressor])
def test_an_estimator_is_linted_before_it_is_fitted(kind: type) -> None:
    model = kind("video -> text", n_tokens=1, d_model=8)
    before = dict(vars(model))
    state = torch.get_rng_state()
    assert ids(lint(model, data())) == ["one-key", "even-by-construction"]
    assert vars(model) == before and torch.equal(torch.get_rng_state(), state)
    assert ids(lint(kind("video -> text", d_model=8), data())) == ["even-by-construction"]
    assert lint(kind(d_model=8), data()) == []
    assert lint(kind(d_model=8), np.ones((N, 3))) == []


def test_what_is_drawn_before_the_fit_is_what_the_fit_starts_from() -> None:
    X = data()
    y = X["text"][:, 0]
    model = FusionRegressor(d_model=8, n_heads=2, max_epochs=1, seed=3, experts=False)
    module, _ = model.untrained(X)
    drawn = model.fit(X, y).drawn()
    still = model.set_params(lr=1e-30).fit(X, y).model_  # no step moves anything
    for name, value in module.state_dict().items():
        if name not in ("coef", "intercept"):
            assert torch.equal(value, drawn.state_dict()[name]), name
            assert torch.equal(value, still.state_dict()[name]), name


def test_a_fitted_estimator_is_linted_with_and_without_samples() -> None:
    X = data()
    model = FusionRegressor("text -> video", d_model=8, n_heads=2, max_epochs=1).fit(X, X["text"][:, 0])
    assert ids(lint(model)) == ["even-by-construction"]
    assert ids(lint(model, X)) == ["even-by-construction"]
    assert ids(lint(model, {**X, "video": X["video"][:, :1]})) == ["one-key", "even-by-construction"]
    assert ids(lint(model.model_)) == ["even-by-construction"]


# --- what cannot be linted --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "X", "said"),
    [
        ("self", None, "lint reads an estimator or a torch module, however: str"),
        (
            nn.Linear(3, 3),
            None,
            "lint reads a module that holds a FusionNetwork or a nn.MultiheadAttention, however: Linear holds none",
        ),
        (
            FusionClassifier(),
            None,
            "a FusionClassifier that is not fitted needs samples, as lint(model, X), however: X=None",
        ),
        (
            CrossAttention(7, 5),
            (N, 3, 7),
            "a CrossAttention is called with 2 tensors (batch, tokens, width), however: [(11, 3, 7)]",
        ),
        (
            SelfAttentionFusion(8),
            "abc",
            "a shape is read from a tensor, an array or a tuple of sizes, however: str",
        ),
        (
            nn.MultiheadAttention(8, 2),
            (2, 3, 4, 8),
            "attention is called with query, key and value of two or three axes, however: [(2, 3, 4, 8)]",
        ),
    ],
)
def test_what_cannot_be_linted_is_said_in_a_sentence(model: Any, X: Any, said: str) -> None:
    with pytest.raises(InputError) as error:
        lint(model, X)
    assert str(error.value) == said
