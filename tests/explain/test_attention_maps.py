"""The map of attention equals a loop over samples, layers, heads, edges and tokens, over all samples and in each."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from intermodal.data.batching import batch
from intermodal.data.samples import Samples
from intermodal.errors import InputError, MaskError, ShapeError
from intermodal.explain.attention_maps import AttentionMap, attention_map, attention_of, modality_mass
from intermodal.learn.estimators import FusionRegressor
from intermodal.learn.feed import Feed
from intermodal.learn.model import FusionModel
from intermodal.nn import SelfAttentionFusion
from intermodal.nn.fused import Fused
from intermodal.nn.network import FusionNetwork
from intermodal.spec import Edge, Spec

N = 11
D_IN = {"text": 3, "audio": 2, "video": 5}
TOKENS = {"text": 2, "audio": 3}
SPECS = [
    "self",
    "cross",
    "text <-> video, audio -> text",
    "text -> [audio video], text -> text",
    "[text audio] -> video",
]


def samples() -> Samples:
    """Audio is missing for 1 and 4, video for 2, everything for 4; a token of video 5 is missing."""
    rng = np.random.default_rng(0)
    video = [rng.normal(size=(1 + i % 4, 5)) for i in range(N)]
    video[5] = rng.normal(size=(4, 5))
    video[5][1] = np.nan
    return Samples(
        {
            "text": [None if i == 4 else rng.normal(size=3) for i in range(N)],
            "audio": [None if i in (1, 4) else rng.normal(size=2) for i in range(N)],
            "video": [None if i in (2, 4) else video[i] for i in range(N)],
        }
    )


def model(spec: str, **options: object) -> FusionModel:
    torch.manual_seed(0)
    network = FusionNetwork(spec, D_IN, d_model=8, n_heads=2, n_tokens=TOKENS, **options)  # type: ignore[arg-type]
    return FusionModel(network, 2).double().eval()


def one_by_one(module: FusionModel, given: Samples, stands_in: bool = False) -> np.ndarray:
    """(N, L, H, M, M): every sample alone, unpadded, weight by weight; NaN rows where a modality asks nobody."""
    names, found = module.network.names, []
    for i in range(len(given)):
        x, present = batch(given, [i], dtype=torch.float64)
        with torch.no_grad():
            layers = module(x, present, need_weights="layers").fused.weights
        there: dict[str, list[bool]] = {}
        for name in names:
            if given.modality(name).kind == "vector":
                there[name] = [bool(present[name][0])] * TOKENS[name]
            else:
                there[name] = present[name][0].tolist()
            if stands_in and not any(there[name]):
                there[name][0] = True
        heads = next(iter(layers[0].values())).shape[1]
        mass = np.full((len(layers), heads, len(names), len(names)), np.nan)
        for a, asking in enumerate(names):
            edges = [
                e
                for e in module.network.spec.edges
                if asking in e.query_names and any(any(there[n]) for n in e.context_names)
            ]
            if not edges or not any(there[asking]):
                continue
            mass[:, :, a] = 0.0
            for depth, layer in enumerate(layers):
                for edge in edges:
                    rows = [(n, t) for n in names if n in edge.query_names for t in range(len(there[n]))]
                    columns = [(n, t) for n in names if n in edge.context_names for t in range(len(there[n]))]
                    for h in range(heads):
                        for q, (who, t) in enumerate(rows):
                            if who != asking or not there[who][t]:
                                continue
                            for k, (whom, _) in enumerate(columns):
                                weight = float(layer[edge][0, h, q, k])
                                mass[depth, h, a, names.index(whom)] += weight / sum(there[asking]) / len(edges)
        found.append(mass)
    return np.stack(found)


def assert_same(found: AttentionMap, wanted: np.ndarray) -> None:
    count = (~np.isnan(wanted[:, 0, 0, :, 0])).sum(0)
    assert found.count.tolist() == count.tolist()
    assert found.mean is not None and found.std is not None and found.by_head is not None
    for row in range(len(found.names)):
        if count[row] == 0:
            assert np.isnan(found.mean[row]).all() and np.isnan(found.std[row]).all()
            assert np.isnan(found.by_head[:, :, row]).all() and np.isnan(found.std_by_head[:, :, row]).all()
            continue
        asked = wanted[~np.isnan(wanted[:, 0, 0, row, 0])]
        assert np.allclose(found.by_head[:, :, row], asked[:, :, :, row].mean(0), atol=1e-6)
        each = asked[:, :, :, row].mean((1, 2))
        assert np.allclose(found.mean[row], each.mean(0), atol=1e-6)
        assert np.allclose(found.std[row], each.std(0), atol=1e-6)
        assert found.mean[row].sum() == pytest.approx(1.0, abs=1e-6)
        assert np.allclose(found.by_head[:, :, row].sum(-1), 1.0, atol=1e-6)
        assert np.allclose(found.std_by_head[:, :, row], asked[:, :, :, row].std(0), atol=1e-6)


@pytest.mark.parametrize("spec", SPECS)
@pytest.mark.parametrize(("n_layers", "n_members"), [(1, 1), (2, 1), (1, 3), (2, 2)])
def test_the_map_is_a_loop_over_single_samples(spec: str, n_layers: int, n_members: int) -> None:
    module = model(spec, n_layers=n_layers, n_members=n_members)
    found = attention_map(module, Feed(samples(), dtype=torch.float64), batch_size=4)
    assert found.by_head is not None and found.by_head.shape == (n_layers, 2 * n_members, 3, 3)
    assert_same(found, one_by_one(module, samples()))


def test_a_learned_token_stands_in_for_who_is_missing() -> None:
    module = model("cross", missing="token")
    found = attention_map(module, Feed(samples(), dtype=torch.float64))
    assert found.count.tolist() == [N, N, N]
    assert_same(found, one_by_one(module, samples(), stands_in=True))


@pytest.mark.parametrize("batch_size", [1, 3, 256])
def test_the_size_of_a_batch_changes_nothing(batch_size: int) -> None:
    module, feed = model("self"), Feed(samples(), dtype=torch.float64)
    one, other = attention_map(module, feed, batch_size=batch_size), attention_map(module, feed)
    assert one.mean is not None and one.std is not None and other.std is not None
    assert np.allclose(one.mean, other.mean, atol=1e-6)
    assert np.allclose(one.std, other.std, atol=1e-6)


def test_who_asks_nobody_has_a_row_of_nan() -> None:
    found = attention_map(model("text -> video"), Feed(samples(), dtype=torch.float64))
    assert found.mean is not None
    assert found.count.tolist() == [N - 2, 0, 0]
    assert found.mean[0].tolist() == pytest.approx([0.0, 0.0, 1.0])
    assert np.isnan(found.mean[1:]).all()


def test_a_modality_that_is_left_out_is_neither_asked_nor_asks() -> None:
    found = attention_map(model("self"), Feed(samples().without("audio"), dtype=torch.float64))
    assert found.mean is not None
    assert found.count.tolist() == [N - 1, 0, N - 2]
    assert found.mean[[0, 2], 1].tolist() == [0.0, 0.0]
    assert found.mean[[0, 2]].sum(1) == pytest.approx(1.0, abs=1e-6)


@pytest.mark.parametrize(("spec", "n_layers"), [("none", 1), ("self", 0)])
def test_without_attention_there_is_no_map(spec: str, n_layers: int) -> None:
    found = attention_map(model(spec, n_layers=n_layers), Feed(samples(), dtype=torch.float64))
    assert found.mean is None and found.std is None and found.by_head is None
    assert found.count.tolist() == [0, 0, 0]


def test_missing_modalities_are_never_looked_at() -> None:
    only = samples()[[2]]
    found = attention_map(model("self"), Feed(only, dtype=torch.float64))
    assert found.mean is not None and found.mean[0, 2] == 0.0 and found.count.tolist() == [1, 1, 0]


def test_the_mass_by_hand_and_members_along_an_axis_of_their_own() -> None:
    masses = torch.tensor([[[[0.3, 0.7], [0.6, 0.4], [0.0, 0.0]]]])  # a has 2 tokens, the third, b, asks not
    edge = Spec.parse("self", ["a", "b"]).edges[0]
    for axes in ((1,), (1, 1)):  # (B, T, d) or (B, K, T, d)
        tokens = {"a": torch.zeros(*axes, 2, 8), "b": torch.zeros(*axes, 1, 8)}
        mass, asked = modality_mass(Fused(torch.zeros(1, 8), tokens, [{edge: masses}]), ("a", "b"))
        assert mass is not None
        assert mass[0, 0, 0, 0].tolist() == pytest.approx([0.45, 0.55])
        assert mass[0, 0, 0, 1].tolist() == [0.0, 0.0]
        assert asked.tolist() == [[True, False]]


def test_several_edges_share_evenly_among_those_that_had_something_to_look_at() -> None:
    ones, nothing = torch.ones(1, 1, 1, 1), torch.zeros(1, 1, 1, 1)
    tokens = {name: torch.zeros(2, 1, 8) for name in "abc"}
    layer = {Edge("a", "b"): torch.cat([ones, ones]), Edge("a", "c"): torch.cat([ones, nothing])}
    mass, asked = modality_mass(Fused(torch.zeros(2, 8), tokens, [layer]), ("a", "b", "c"))
    assert mass is not None
    assert mass[:, 0, 0, 0].tolist() == [[0.0, 0.5, 0.5], [0.0, 1.0, 0.0]]
    assert asked.tolist() == [[True, False, False]] * 2


# --- counts, single samples, and what is never held --------------------------------------------------


def test_the_map_counts_who_was_missing_whether_or_not_a_token_stands_in() -> None:
    for options in ({}, {"missing": "token"}, {"n_members": 3}):
        found = attention_map(model("self", **options), Feed(samples(), dtype=torch.float64), batch_size=3)
        assert found.n == N
        assert found.missing.tolist() == [1, 2, 2]
        assert found.n_members == options.get("n_members", 1)
        assert found.broken.tolist() == [0, 0, 0] and found.findings() == []
    found = attention_map(model("none"), Feed(samples().without("audio"), dtype=torch.float64))
    assert (found.n, found.missing.tolist()) == (N, [1, N, 2])


@pytest.mark.parametrize("spec", SPECS)
@pytest.mark.parametrize("batch_size", [2, 256])
def test_single_samples_are_the_rows_of_the_loop(spec: str, batch_size: int) -> None:
    module = model(spec, n_layers=2, n_members=2)
    rows = [7, 4, 0, 1, 7]
    found = attention_of(module, Feed(samples(), dtype=torch.float64), rows, batch_size=batch_size)
    wanted = one_by_one(module, samples())[rows]
    assert found.shape == (5, 2, 4, 3, 3)
    np.testing.assert_allclose(found, wanted, atol=1e-6)
    assert np.isnan(found[1]).all()  # sample 4 has nothing


def test_a_sample_that_is_none_and_a_model_without_attention() -> None:
    module, feed = model("self"), Feed(samples(), dtype=torch.float64)
    for row in (-1, N):
        with pytest.raises(InputError) as caught:
            attention_of(module, feed, [0, row])
        assert str(caught.value) == f"rows are positions of the 11 samples, however: {row}"
    assert attention_of(module, feed, []).shape[0] == 0
    assert attention_of(model("none"), feed, [3, 5]).shape == (2, 0, 0, 3, 3)


def test_an_even_attention_has_no_deviation_at_all() -> None:
    module = model("text -> [audio video]")
    for attention in module.network.layers[0].attention:
        nn.init.zeros_(attention.q_proj.weight)  # all scores 0
        nn.init.zeros_(attention.q_proj.bias)
    x = {
        "text": torch.randn(97, 3).double(),
        "audio": torch.randn(97, 2).double(),
        "video": torch.randn(97, 5).double(),
    }
    found = attention_map(module.network, x, batch_size=7)
    assert found.mean[0].tolist() == pytest.approx([0.0, 0.75, 0.25], abs=1e-15)
    assert found.std[0].max() < 1e-14 and found.std_by_head[:, :, 0].max() < 1e-14


def test_no_weights_are_built_for_a_map() -> None:
    class Largest(TorchDispatchMode):
        numel = 0

        def __torch_dispatch__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
            result = func(*args, **(kwargs or {}))
            for t in result if isinstance(result, tuple | list) else (result,):
                self.numel = max(self.numel, t.numel() if isinstance(t, Tensor) else 0)
            return result

    n = 2048
    network = FusionNetwork("self", {"text": 3, "video": 5}, d_model=8, n_heads=2, n_layers=2)
    x = {"text": torch.randn(1, 3, 3), "video": torch.randn(1, n, 5)}
    with Largest() as largest:
        attention_map(network, (x, {"video": torch.rand(1, n) > 0.1}))
    assert largest.numel < 20 * n
    with Largest() as explicit:
        network(x, need_weights="layers")
    assert explicit.numel == 2 * (n + 3) ** 2  # the measure sees what it is meant to see


# --- whose map -----------------------------------------------------------------------------------------


def as_tensors() -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    x, present = batch(samples(), dtype=torch.float64)
    return x, present


def test_a_network_with_tensors_an_estimator_and_a_feed_have_one_map() -> None:
    rng = np.random.default_rng(0)
    X = {"text": rng.normal(size=(30, 3)), "video": rng.normal(size=(30, 4, 2))}
    X["text"][[3, 9]] = np.nan
    fitted = FusionRegressor("self", d_model=8, n_heads=2, n_members=2, max_epochs=2).fit(X, np.arange(30.0))
    module, feed = fitted.prepared(X)
    x, present = feed.batch(np.arange(30))
    found = [
        attention_map(fitted, X),
        attention_map(module, feed),
        attention_map(module.network, (x, present)),
        attention_map(module, (x, present)),
        attention_map(module.network, feed, batch_size=7),
    ]
    for other in found[1:]:
        for field in ("mean", "std", "by_head", "std_by_head", "count", "missing"):
            np.testing.assert_allclose(getattr(other, field), getattr(found[0], field), atol=1e-6)
    assert found[0].missing.tolist() == [2, 0]
    single = attention_of(fitted, X, [3, 4])
    assert np.isnan(single[0, :, :, 0]).all() and np.isfinite(single[1]).all()


def test_tensors_are_read_as_samples_are() -> None:
    module = model("self", n_layers=2)
    found = attention_map(module.network, as_tensors(), batch_size=3)
    assert_same(found, one_by_one(module, samples()))
    assert found.missing.tolist() == [1, 2, 2]
    x, present = as_tensors()
    some = attention_map(module.network, ({n: x[n] for n in ("text", "video")}, {"text": present["text"]}))
    assert some.missing.tolist() == [1, N, 0]
    empty = attention_map(module.network, x | {"video": torch.zeros(N, 0, 5).double()})
    assert empty.missing.tolist() == [0, 0, N]
    assert empty.count.tolist() == [N, N, 0]


def test_a_model_in_training_is_read_as_it_predicts_and_its_mode_comes_back() -> None:
    module = model("self", modality_dropout=0.5, dropout=0.5)
    wanted = attention_map(module.network, as_tensors())
    module.train()
    module.network.layers[0].eval()
    found = attention_map(module, as_tensors())
    assert np.array_equal(found.by_head, wanted.by_head, equal_nan=True)
    assert module.training and module.network.training and not module.network.layers[0].training
    assert found.count.tolist() == wanted.count.tolist()


TEXT = {"text": torch.zeros(2, 3), "audio": torch.zeros(2, 2), "video": torch.zeros(2, 5)}
REFUSED = [
    (lambda net: (nn.Linear(2, 2), TEXT), InputError,
     "attention_map takes a fitted estimator with samples, or a FusionNetwork with tensors, however: Linear"),
    (lambda net: (SelfAttentionFusion(6), torch.zeros(2, 3, 6)), InputError,
     "attention_map takes a fitted estimator with samples, or a FusionNetwork with tensors, however: "
     "SelfAttentionFusion"),
    (lambda net: (net, torch.zeros(2, 3)), InputError,
     "attention_map of a network takes its tensors, name -> (N, D) or (N, T, D), or a pair (x, present), however: "
     "Tensor"),
    (lambda net: (net, (TEXT, torch.ones(2).bool())), InputError,
     "present is a mapping name -> tensor, however: Tensor"),
    (lambda net: (net, {"text": np.zeros((2, 3))}), InputError,
     'x["text"] is a tensor with the samples first, however: ndarray'),
    (lambda net: (net, {"text": torch.tensor(1.0)}), InputError,
     'x["text"] is a tensor with the samples first, however: a tensor without axes'),
    (lambda net: (net, {}), InputError, "x holds at least one modality, however: it is empty"),
    (lambda net: (net, TEXT | {"audio": torch.zeros(3, 2)}), ShapeError,
     "all modalities have one number of samples, however: {'text': 2, 'audio': 3, 'video': 2}"),
    (lambda net: (net, (TEXT, {"text": torch.ones(3).bool()})), MaskError,
     'present of "text" says of 2 samples what is there, however: of 3'),
    (lambda net: (net, (TEXT, {"text": torch.ones(2)})), MaskError,
     'present of "text" is bool (2,), however: present.dtype=torch.float32, tuple(present.shape)=(2,)'),
    (lambda net: (net, {"vidoe": torch.zeros(2, 5)}), InputError,
     'x and present hold modalities of the network, however: "vidoe"; did you mean "video"?'),
    (lambda net: (net, {"text": torch.zeros(0, 3)}), InputError,
     "there must be at least one sample, however: there is none"),
]  # fmt: skip


@pytest.mark.parametrize(("make", "error", "message"), REFUSED)
def test_what_cannot_be_read_is_refused_in_a_sentence(make, error: type[Exception], message: str) -> None:
    network = FusionNetwork("self", D_IN, d_model=8)
    with pytest.raises(error) as caught:
        attention_map(*make(network))
    assert str(caught.value) == message


# --- what is not a number --------------------------------------------------------------------------------


@pytest.mark.parametrize("broken", [math.nan, math.inf])
def test_a_number_that_is_none_stays_visible_and_is_told_of(broken: float) -> None:
    network = model("text -> [audio video], video -> audio").network
    x = {
        "text": torch.randn(N, 3).double(),
        "audio": torch.randn(N, 2).double(),
        "video": torch.randn(N, 4, 5).double(),
    }
    x["video"][6, 2, 1] = broken
    x["video"][7, 0, 3] = broken
    found = attention_map(network, x, batch_size=4)
    assert np.isnan(found.mean[0]).all() and np.isnan(found.std[0]).all() and np.isnan(found.by_head[:, :, 0]).all()
    assert found.count.tolist() == [N, 0, N]
    assert found.broken.tolist() == [2, 0, 2]
    (told,) = found.findings()
    assert told["severity"] == "error" and told["id"] == "not-a-number"
    assert told["text"] == (
        'the attention of "text" in 2, "video" in 2 of 11 samples is not a number, and so are its means'
    )
    single = attention_of(network, x, [6, 5])
    assert np.isnan(single[0, :, :, 0]).all() and np.isfinite(single[1, :, :, 0]).all()


def test_a_number_that_is_none_touches_no_row_but_of_those_who_saw_it() -> None:
    network = model("text -> [audio video], video -> audio").network
    x = {
        "text": torch.randn(N, 3).double(),
        "audio": torch.randn(N, 2).double(),
        "video": torch.randn(N, 4, 5).double(),
    }
    clean = attention_map(network, x)
    x["text"][6, 2] = math.nan
    found = attention_map(network, x, batch_size=4)
    assert found.broken.tolist() == [1, 0, 0]
    assert np.isnan(found.mean[0]).all()
    np.testing.assert_array_equal(found.mean[2], clean.mean[2])
