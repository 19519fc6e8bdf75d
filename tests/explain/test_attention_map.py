"""The map of attention equals a loop over samples, layers, heads, edges and tokens."""

import numpy as np
import pytest
import torch

from intermodal.data.batching import batch
from intermodal.data.samples import Samples
from intermodal.explain.attention_map import AttentionMap, attention_map, modality_mass
from intermodal.learn.feed import Feed
from intermodal.learn.model import FusionModel
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
            assert np.isnan(found.by_head[:, :, row]).all()
            continue
        asked = wanted[~np.isnan(wanted[:, 0, 0, row, 0])]
        assert np.allclose(found.by_head[:, :, row], asked[:, :, :, row].mean(0), atol=1e-6)
        each = asked[:, :, :, row].mean((1, 2))
        assert np.allclose(found.mean[row], each.mean(0), atol=1e-6)
        assert np.allclose(found.std[row], each.std(0), atol=1e-6)
        assert found.mean[row].sum() == pytest.approx(1.0, abs=1e-6)
        assert np.allclose(found.by_head[:, :, row].sum(-1), 1.0, atol=1e-6)


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
    weights = torch.tensor(
        [[[[0.1, 0.2, 0.7], [0.3, 0.3, 0.4], [0.0, 0.0, 0.0]]]]
    )  # a has 2 tokens, the third, b, asks not
    edge = Spec.parse("self", ["a", "b"]).edges[0]
    for axes in ((1,), (1, 1)):  # (B, T, d) or (B, K, T, d)
        tokens = {"a": torch.zeros(*axes, 2, 8), "b": torch.zeros(*axes, 1, 8)}
        mass, asked = modality_mass(Fused(torch.zeros(1, 8), tokens, [{edge: weights}]), ("a", "b"))
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
