"""Relevance equals the paper's rules written out, with gradients that another path gives."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from intermodal.data.samples import Samples
from intermodal.errors import InputError
from intermodal.explain.joint import rows_of
from intermodal.explain.relating import relevance, relevance_of
from intermodal.explain.running import runs
from intermodal.explain.tapping import by_edge, tapped
from intermodal.learn.estimators import FusionClassifier, FusionRegressor
from intermodal.learn.feed import Feed
from intermodal.learn.model import FusionModel
from intermodal.nn import layer as layer_file
from intermodal.nn.network import FusionNetwork

TOKENS = {"s": 2, "q": 3}


def weights(*axes: int, seed: int = 0) -> np.ndarray:
    return torch.from_numpy(np.random.default_rng(seed).normal(size=axes) * 2).softmax(-1).numpy()


def slopes(*axes: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(100 + seed).normal(size=axes)


# --- the rules ------------------------------------------------------------------------------------


def bar(block: np.ndarray) -> np.ndarray:
    """Rules 8 and 9 of the paper: what is known beyond oneself, in rows that sum to 1; 0 / 0 is 0."""
    beyond = block - np.eye(len(block))
    for i, row in enumerate(beyond):
        if row.sum() > 0:
            beyond[i] = row / row.sum()
    return beyond + np.eye(len(block))


def by_the_paper(layers: list[dict[str, tuple[np.ndarray, np.ndarray]]]) -> dict[str, np.ndarray]:
    """Two modalities s and q, as the paper writes them."""
    known = {"ss": np.eye(2), "qq": np.eye(3), "sq": np.zeros((2, 3)), "qs": np.zeros((3, 2))}
    for layer in layers:
        now = {name: block.copy() for name, block in known.items()}
        for edge, (w, slope) in layer.items():
            seen = np.mean([np.maximum(a * g, 0) for a, g in zip(w, slope, strict=True)], 0)
            a, b = edge.split(" -> ")
            if a == b:  # rules 6 and 7
                other = "q" if a == "s" else "s"
                now[a + a] += seen @ known[a + a]
                now[a + other] += seen @ known[a + other]
            else:  # rules 10 and 11
                now[a + b] += bar(known[a + a]).T @ seen @ bar(known[b + b])
                now[a + a] += seen @ known[b + a]
        known = now
    return known


STACKS = [
    ["s -> q"],
    ["s -> q, q -> s"],
    ["s -> s, q -> q", "s -> q, q -> s", "s -> s, q -> q", "s -> q, q -> s"],
    ["q -> s", "s -> q", "s -> s"],
]


@pytest.mark.parametrize("stack", STACKS)
def test_two_modalities_follow_the_papers_rules(stack: list[str]) -> None:
    layers = [
        {
            edge: (weights(4, *sizes, seed=7 * i + j), slopes(4, *sizes, seed=7 * i + j))
            for j, edge in enumerate(text.split(", "))
            for sizes in [[TOKENS[n] for n in edge.split(" -> ")]]
        }
        for i, text in enumerate(stack)
    ]
    found = relevance(
        [{e: w for e, (w, _) in layer.items()} for layer in layers],
        [{e: g for e, (_, g) in layer.items()} for layer in layers],
        tokens=TOKENS,
    )
    wanted = by_the_paper(layers)
    for name, block in wanted.items():
        np.testing.assert_allclose(found.between(*name), block, atol=1e-12)
    rows = found.weights.sum(1)
    assert found.conservation == pytest.approx(np.abs(rows - 1).max()) and found.weights.min() >= 0
    np.testing.assert_allclose(found.modality[0], [found.weights[:2, :2].sum() / 2, found.weights[:2, 2:].sum() / 2])
    assert found.provenance.heads == "mean of 4" and found.names == ("s", "q")


def test_one_sequence_adds_what_it_saw() -> None:
    w, g = weights(3, 2, 5, 5), slopes(3, 2, 5, 5)
    known = np.eye(5)
    for layer in range(3):
        known = known + np.maximum(w[layer] * g[layer], 0).mean(0) @ known
    np.testing.assert_allclose(relevance(w, g).weights, known, atol=1e-12)


def test_a_joined_sequence_is_one_sequence() -> None:
    w, g = weights(2, 5, 5), slopes(2, 5, 5)
    joined = relevance(
        [{"[s q] -> [s q]": layer} for layer in w], [{"[s q] -> [s q]": layer} for layer in g], tokens=TOKENS
    )
    np.testing.assert_allclose(joined.weights, relevance(w, g).weights, atol=1e-12)


def test_a_third_modality_comes_through_the_second() -> None:
    tokens = {"a": 2, "b": 3, "c": 5}
    to_c, to_b = weights(3, 5), weights(2, 3)
    up = relevance([{"b -> c": to_c}, {"a -> b": to_b}], [{"b -> c": to_c**0}, {"a -> b": to_b**0}], tokens=tokens)
    np.testing.assert_allclose(up.between("b", "c"), to_c)
    np.testing.assert_allclose(up.between("a", "b"), to_b)
    np.testing.assert_allclose(up.between("a", "c"), to_b @ to_c)
    down = relevance([{"a -> b": to_b}, {"b -> c": to_c}], [{"a -> b": to_b**0}, {"b -> c": to_c**0}], tokens=tokens)
    assert (down.between("a", "c") == 0).all()


def test_a_joined_context_is_known_as_a_whole() -> None:
    tokens = {"a": 2, "b": 2, "c": 3}
    first, second = weights(5, 5), weights(2, 5)
    found = relevance(
        [{"[b c] -> [b c]": first}, {"a -> [c b]": second}],
        [{"[b c] -> [b c]": first**0}, {"a -> [c b]": second**0}],
        tokens=tokens,
    )
    both = bar(np.eye(5) + first)
    np.testing.assert_allclose(found.weights[:2, 2:], second @ both, atol=1e-12)


def test_a_first_layer_between_modalities_is_no_nan() -> None:
    for stack in STACKS[:2]:
        layer = {e: weights(*[TOKENS[n] for n in e.split(" -> ")]) for e in stack[0].split(", ")}
        assert np.isfinite(relevance([layer] * 3, [layer] * 3).weights).all()


def test_a_gradient_against_the_output_counts_nothing() -> None:
    w = weights(2, 3)
    found = relevance([{"s -> q": w}], [{"s -> q": -(w**0)}])
    assert (found.weights == np.eye(5)).all() and found.conservation == 0


@pytest.mark.parametrize(
    ("gradients", "message"),
    [
        (
            [{"s -> q": np.ones((2, 3))}, {"q -> s": np.ones((3, 2))}],
            "gradients are those of the weights, edge by edge",
        ),
        ([{"q -> s": np.ones((3, 2))}], "gradients are those of the weights, edge by edge and head by head, however:"),
        ([{"s -> q": np.ones((4, 2, 3))}], "gradients are those of the weights, edge by edge and head by head, howeve"),
        ([{"s -> q": np.full((2, 3), np.nan)}], "attention is finite, however: s -> q in layer 0 holds nan"),
    ],
)
def test_gradients_that_do_not_fit_are_refused(gradients: Any, message: str) -> None:
    with pytest.raises(InputError) as told:
        relevance([{"s -> q": weights(2, 3)}], gradients)
    assert str(told.value).startswith(message)


# --- the gradients --------------------------------------------------------------------------------

D_IN, COUNTS, N = {"a": 3, "b": 2, "c": 5}, {"a": 2, "b": 3}, 7
SPECS = ["self", "cross", "a <-> b, b -> [*]", "[a b] -> c, c -> c"]


def module_of(spec: str, *, outputs: int = 1, **options: Any) -> FusionModel:
    torch.manual_seed(0)
    network = FusionNetwork(spec, D_IN, d_model=8, n_heads=2, n_tokens=COUNTS, **options)
    model = FusionModel(network, outputs).double().eval()
    torch.nn.init.normal_(model.weight)  # it starts near zero
    return model


def tensors() -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    g = torch.Generator().manual_seed(1)
    x = {n: torch.randn(N, *((4,) if n == "c" else ()), d, generator=g).double() for n, d in D_IN.items()}
    present = {"c": torch.arange(4) < torch.tensor([4, 1, 0, 3, 2, 4, 4])[:, None], "b": torch.arange(N) != 4}
    return x, present


def by_other_path(
    module: FusionModel, x: Any, present: Any, monkeypatch: pytest.MonkeyPatch
) -> list[list[tuple[Tensor, Tensor]]]:
    """Weights and gradients of every call, layer by layer, by an attention of its own and `backward`."""
    calls: list[Tensor] = []

    def attend(q: Tensor, k: Tensor, v: Tensor, *, keep: Any, need_weights: bool) -> tuple[Tensor, Tensor]:
        scores = q @ k.mT / q.shape[-1] ** 0.5
        kept = torch.ones_like(scores).bool() if keep is None else keep.expand_as(scores)
        scores = scores.masked_fill(~kept, -1e3)
        raised = (scores - scores.amax(-1, keepdim=True)).exp() * kept
        w = raised / raised.sum(-1, keepdim=True).clamp(min=1e-30)
        w.retain_grad()
        calls.append(w)
        return w @ v, w

    with monkeypatch.context() as patch:
        patch.setattr(layer_file, "attend_unchecked", attend)
        module(x, present).outputs.sum().backward()
    n = len(calls) // len(module.network.layers)
    pairs = [(w.detach(), torch.zeros_like(w) if w.grad is None else w.grad) for w in calls]
    return [pairs[i : i + n] for i in range(0, len(pairs), n)]


@pytest.mark.parametrize("spec", SPECS)
@pytest.mark.parametrize("options", [{}, {"n_layers": 2}, {"n_members": 3}, {"tie": False}, {"pool": "attention"}])
def test_a_model_is_a_loop_over_its_samples(
    spec: str, options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    module, (x, present) = module_of(spec, **options), tensors()
    found = relevance_of(module, (x, present), batch_size=3, keep_samples=True)
    calls = by_other_path(module, x, present, monkeypatch)
    k, names = module.network.n_members, list(D_IN)
    places = {"a": slice(0, 2), "b": slice(2, 5), "c": slice(5, 9)}
    there = torch.cat([torch.ones(N, 2).bool(), present["b"][:, None].expand(-1, 3), present["c"]], 1)
    distance = 0.0
    for i in range(N):
        total = np.zeros((3, 3))
        for member in range(k):
            layers, gradients = [], []
            for layer, pairs in zip(module.network.layers, calls, strict=True):
                cut = [
                    by_edge(layer, {g: p[side][member * N + i][None] for g, p in enumerate(pairs)}, places)
                    for side in (0, 1)
                ]
                layers.append({e: w[0].numpy() for e, w in cut[0].items()})
                gradients.append({e: g[0].numpy() for e, g in cut[1].items()})
            one = relevance(layers, gradients, tokens={"a": 2, "b": 3, "c": 4})
            kept = there[i].numpy()
            distance = max(distance, np.abs(one.weights.sum(1) - 1)[kept].max())
            for a, asking in enumerate(places.values()):
                rows = np.arange(9)[asking][kept[asking]]
                for b, asked in enumerate(places.values()):
                    total[a, b] += one.weights[rows, asked].sum() / max(1, len(rows)) / k
        brought = np.sum([total[a] - np.eye(3)[a] for a, p in enumerate(places.values()) if there[i, p].any()], 0)
        if brought.sum() > 1e-12:
            np.testing.assert_allclose(found.share[i], brought / brought.sum(), atol=1e-9)
        else:
            assert np.isnan(found.share[i]).all()
        for a, place in enumerate(places.values()):
            if there[i, place].any():
                np.testing.assert_allclose(found.samples[i, a], total[a], atol=1e-9)
            else:
                assert np.isnan(found.samples[i, a]).all()
    np.testing.assert_allclose(found.mean, np.nanmean(found.samples, 0), atol=1e-12)
    np.testing.assert_allclose(found.std, np.nanstd(found.samples, 0), atol=1e-12)
    assert found.conservation == pytest.approx(distance, abs=1e-9) and distance > 0
    assert found.count.tolist() == [N, N - 1, N - 1] and list(found.names) == names


def test_the_weights_that_are_reached_are_those_that_are_returned() -> None:
    module, (x, present) = module_of("a -> c, b -> c, b -> [*], c -> c", n_layers=2), tensors()
    for run in runs(module, (x, present), 64, what="test", gradients=True):
        for layer, groups, returned in zip(run.network.layers, run.used, run.fused.weights, strict=True):
            cut = by_edge(layer, groups, run.places)
            assert set(cut) == set(returned)
            for edge, w in cut.items():
                asking = run.there[:, rows_of(edge.query_names, run.places)][:, None, :, None]
                assert torch.equal(w * asking, returned[edge])
                assert w.grad_fn is not None
    assert all("_answer" not in layer.__dict__ for layer in module.network.layers)


def test_layers_are_put_back_after_an_error() -> None:
    network = module_of("self").network
    mine = network.layers[0].__dict__["_answer"] = lambda *args: 1 / 0
    with pytest.raises(ZeroDivisionError), tapped(network):
        network(tensors()[0])
    assert network.layers[0].__dict__["_answer"] is mine


def test_the_size_of_a_batch_changes_nothing() -> None:
    module, (x, present) = module_of("a <-> b, b -> [*]"), tensors()
    found = relevance_of(module, (x, present), batch_size=64)
    for size in (1, 3):
        other = relevance_of(module, (x, present), batch_size=size)
        np.testing.assert_allclose(other.share, found.share, atol=1e-9)
        np.testing.assert_allclose(other.mean, found.mean, atol=1e-9)
    sums = found.share.sum(1)
    np.testing.assert_allclose(sums[[0, 1, 2, 3, 5, 6]], 1.0)
    assert np.isnan(sums[4])  # it lacks b: nobody has whom to ask


def test_without_attention_nothing_is_brought() -> None:
    for options in ({"spec": "none"}, {"spec": "self", "n_layers": 0}):
        found = relevance_of(module_of(**options), tensors())
        assert (found.mean == np.eye(3)).all() and found.conservation == 0 and np.isnan(found.share).all()


# --- what it means --------------------------------------------------------------------------------


@pytest.mark.parametrize("n_modalities", [2, 3, 5])
@pytest.mark.parametrize("spec", ["self", "cross"])
def test_random_models_are_finite_and_give_the_same_twice(n_modalities: int, spec: str) -> None:
    torch.manual_seed(n_modalities)
    d_in = {f"m{i}": 2 + i for i in range(n_modalities)}
    model = FusionModel(FusionNetwork(spec, d_in, d_model=8, n_heads=2, n_layers=3, n_tokens=3), 1)
    torch.nn.init.normal_(model.weight)
    x = {name: torch.randn(N, d) for name, d in d_in.items()}
    one, other = relevance_of(model, x, keep_samples=True), relevance_of(model, x, keep_samples=True)
    assert np.isfinite(one.samples).all() and np.isfinite(one.share).any(0).all() and one.samples.min() >= 0
    assert (one.samples == other.samples).all() and np.array_equal(one.share, other.share, equal_nan=True)
    assert (one.mean - np.diag(one.mean.diagonal())).max() > 0


def test_a_modality_that_nobody_looks_at_gets_nothing() -> None:
    found = relevance_of(module_of("a <-> b, c -> a"), tensors())
    assert np.nanmax(found.share[:, 2]) == 0 and (found.mean[:2, 2] == 0).all()
    assert (found.share[:, :2] > 0).any(0).all()


def test_a_modality_without_values_gets_nothing_though_it_is_looked_at() -> None:
    module, (x, present) = module_of("self", pool="concat"), tensors()
    with torch.no_grad():
        for p in module.network.encoders[1].parameters():
            p.zero_()
        module.hidden.weight[:, 8:16] = 0.0  # nor does the head read what it received itself
    found = relevance_of(module, (x, present))
    assert np.nanmax(found.share[:, 1]) == 0 and (found.mean[[0, 2], 1] == 0).all() and found.mean[0, 2] > 0


def test_a_planted_noise_is_less_relevant_than_what_the_answer_is_made_of() -> None:
    rng = np.random.default_rng(0)
    X = {name: rng.normal(size=(200, 2)) for name in ("a", "noise", "b")}
    y = np.abs(X["a"][:, 0]) + np.abs(X["b"][:, 1])
    options: dict[str, Any] = {"d_model": 16, "n_heads": 2, "n_members": 1, "dropout": 0.0, "lr": 1e-2}
    found = relevance_of(FusionRegressor("self", max_epochs=25, **options).fit(X, y), X)
    share = np.nanmean(found.share, 0)
    assert share[1] < 0.7 * min(share[0], share[2])
    assert found.output == "output 0"


# --- which output ---------------------------------------------------------------------------------


class Estimator:
    """A classifier, as far as it is read here."""

    def __init__(self, module: FusionModel, classes: list[str]) -> None:
        self.module, self.classes_ = module, np.array(classes)

    def prepared(self, X: Samples) -> tuple[FusionModel, Feed]:
        return self.module, Feed(X, dtype=torch.float64)

    def to_prediction(self, outputs: Tensor) -> np.ndarray:
        return outputs.log_softmax(-1).exp().mean(1).numpy()


def test_the_predicted_class_is_explained_and_what_moves_all_logits_alike_is_nothing() -> None:
    module, (x, _) = module_of("self", outputs=3), tensors()
    X = Samples({name: values.numpy() for name, values in x.items()})
    estimator = Estimator(module, ["u", "v", "w"])
    found = relevance_of(estimator, X, keep_samples=True)
    with torch.no_grad():
        predicted = module(x).outputs[:, 0].argmax(-1).numpy()
    assert len(set(predicted)) > 1
    for c in range(3):
        of_c = relevance_of(estimator, X, output=c, keep_samples=True)
        assert of_c.output == f"the logit of class {'uvw'[c]}, less the mean logit"
        np.testing.assert_allclose(of_c.samples[predicted == c], found.samples[predicted == c], atol=1e-12)
    assert found.output == "the logit of the predicted class, less the mean logit"
    with torch.no_grad():
        module.weight += torch.randn(1, 8, 1).double()  # moves all logits alike
    np.testing.assert_allclose(relevance_of(estimator, X, keep_samples=True).samples, found.samples, atol=1e-9)


def test_an_output_is_chosen_where_there_are_several() -> None:
    module, x = module_of("self", outputs=2), tensors()[0]
    with pytest.raises(InputError, match="output= chooses one of several outputs, however: there are 2, and none is"):
        relevance_of(module, x)
    with pytest.raises(InputError, match="output is the number of one of 2 outputs, from 0, however: output=2"):
        relevance_of(module, x, output=2)
    with pytest.raises(InputError, match="a network without a head takes output=, a function from Fused to"):
        relevance_of(module.network, x)
    one, other = (relevance_of(module, x, output=i) for i in (0, 1))
    assert not np.allclose(one.mean, other.mean)
    wanted = relevance_of(module.network, x, output=lambda fused: fused.pooled[:, 3])
    assert wanted.output == "a function of the fused vector" and np.isfinite(wanted.mean).all()


def test_frozen_weights_and_no_grad_and_inference_are_no_hindrance() -> None:
    module, x = module_of("self"), tensors()[0]
    wanted = relevance_of(module, x)
    module.requires_grad_(False)
    for context in (torch.no_grad, torch.inference_mode):
        with context():
            assert (relevance_of(module, x).mean == wanted.mean).all()
    assert all(p.grad is None for p in module.parameters())


def test_a_nan_that_comes_in_stays_visible() -> None:
    module, x = module_of("self"), tensors()[0]
    x["b"][4] = torch.nan
    found = relevance_of(module, x, batch_size=2)
    assert np.isnan(found.share[4]).all() and np.isfinite(found.share[:4]).all()
    assert np.isnan(found.mean).all() and np.isnan(found.conservation)


def test_a_constant_output_has_no_shares() -> None:
    module = module_of("self")
    torch.nn.init.zeros_(module.weight)
    found = relevance_of(module, tensors()[0])
    assert np.isnan(found.share).all() and found.conservation == 0 and (found.mean == np.eye(3)).all()


def test_where_it_comes_from_is_told_and_the_line_beside_it() -> None:
    rng = np.random.default_rng(0)
    X = {"a": rng.normal(size=(20, 3)), "b": rng.normal(size=(20, 4, 2))}
    y = np.where(X["a"][:, 0] > 0, "yes", "no")
    model = FusionClassifier("a <-> b", d_model=8, n_heads=2, n_members=2, max_epochs=2).fit(X, y)
    beside = "the output is that of the network and its line, without the experts beside them"
    assert relevance_of(model, X).provenance.notes[-1] == beside
    model.set_params(experts=False).fit(X, y)
    found = relevance_of(model, X)
    assert found.provenance.describe() == (
        "layer 1, joint-attention, eval mode, float64, heads: mean of 2 each, over 2 members; the straight line beside "
        "the network takes part in the output, and no attention in the line"
    )
    assert found.samples is None and found.share.shape == (20, 2)
    assert relevance_of(module_of("self"), tensors()[0]).provenance.notes == ()
