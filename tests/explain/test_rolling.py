"""Rollout and flow equal the paper's numbers, a loop over tokens and paths, and an independent maximum flow."""

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

from intermodal.data.batching import batch
from intermodal.data.samples import Samples
from intermodal.errors import InputError
from intermodal.explain import flowing
from intermodal.explain.attention_maps import AttentionMap
from intermodal.explain.flowing import flow
from intermodal.explain.rolling import rollout, rollout_of
from intermodal.explain.tallying import Tally
from intermodal.learn.estimators import FusionClassifier
from intermodal.learn.feed import Feed
from intermodal.learn.model import FusionModel
from intermodal.nn.network import FusionNetwork
from intermodal.spec import Edge

A1, A2 = [[0.7, 0.3], [0.4, 0.6]], [[0.5, 0.5], [0.1, 0.9]]
TOKENS = {"text": 2, "audio": 3, "video": 5}
S = 10
AT = {"text": [0, 1], "audio": [2, 3, 4], "video": [5, 6, 7, 8, 9]}


def weights(*axes: int, seed: int = 0) -> np.ndarray:
    return torch.from_numpy(np.random.default_rng(seed).normal(size=axes) * 2).softmax(-1).numpy()


def layers_of(*specs: str, seed: int = 0, heads: tuple[int, ...] = ()) -> list[dict[str, np.ndarray]]:
    """Random attention along the edges of each layer; a side is names with blanks between."""
    found = []
    for i, spec in enumerate(specs):
        layer = {}
        for j, text in enumerate(spec.split(", ")):
            query, context = (sum(TOKENS[n] for n in side.strip("[]").split()) for side in text.split(" -> "))
            layer[text] = weights(*heads, query, context, seed=seed + 10 * i + j)
        found.append(layer)
    return found


def by_loop(layers: list[dict[str, np.ndarray]], residual: float = 0.5) -> np.ndarray:
    """Token by token: what each holds of every input, layer after layer."""
    holds = [[float(i == j) for j in range(S)] for i in range(S)]
    for layer in layers:
        now = []
        for i in range(S):
            answers = []
            for text, w in layer.items():
                w = w.mean(0) if w.ndim == 3 else w
                query, context = (
                    [at for name in TOKENS if name in side.strip("[]").split() for at in AT[name]]
                    for side in text.split(" -> ")
                )
                if i in query and w[query.index(i)].any():
                    row = w[query.index(i)]
                    answers.append([sum(row[k] * holds[context[k]][j] for k in range(len(context))) for j in range(S)])
            if not answers:
                now.append(holds[i])
                continue
            mean = [sum(a[j] for a in answers) / len(answers) for j in range(S)]
            now.append([residual * holds[i][j] + (1 - residual) * mean[j] for j in range(S)])
        holds = now
    return np.array(holds)


SPECS = [
    ("text -> video",),
    ("text -> video, video -> text", "text -> audio, text -> text"),
    ("[text audio] -> video, text -> audio", "video -> [audio text], audio -> text", "[text audio video] -> text"),
    ("text -> [text audio video], video -> audio", "audio -> audio"),
]


# --- rollout --------------------------------------------------------------------------------------


def test_the_golden_numbers() -> None:
    found = rollout([A1, A2])
    np.testing.assert_allclose(found.weights, [[0.6875, 0.3125], [0.2325, 0.7675]], atol=1e-15)
    assert found.names == ("tokens",) and found.modality.tolist() == [[1.0]]


def test_one_layer_is_half_of_itself_and_half_of_what_it_saw() -> None:
    w = weights(7, 7)
    np.testing.assert_allclose(rollout(w[None]).weights, (w + np.eye(7)) / 2, atol=1e-15)
    np.testing.assert_allclose(rollout([w], residual=0.0).weights, w, atol=1e-15)
    np.testing.assert_allclose(rollout([w], residual=1.0).weights, np.eye(7), atol=1e-15)
    np.testing.assert_allclose(rollout([w], residual=0.2).weights, 0.2 * np.eye(7) + 0.8 * w, atol=1e-15)


def test_the_identity_stays_the_identity() -> None:
    assert (rollout([np.eye(5)] * 3).weights == np.eye(5)).all()


@pytest.mark.parametrize("specs", SPECS)
@pytest.mark.parametrize("residual", [0.5, 0.3])
def test_a_joint_graph_is_a_loop_over_tokens(specs: tuple[str, ...], residual: float) -> None:
    layers = layers_of(*specs)
    found = rollout(layers, residual=residual, tokens=TOKENS)
    wanted = by_loop(layers, residual)
    np.testing.assert_allclose(found.weights, wanted, atol=1e-12)
    np.testing.assert_allclose(found.weights.sum(1), 1.0, atol=1e-12)
    for i, query in enumerate(TOKENS):
        for j, context in enumerate(TOKENS):
            block = wanted[np.ix_(AT[query], AT[context])]
            np.testing.assert_allclose(found.between(query, context), block, atol=1e-12)
            assert found.modality[i, j] == pytest.approx(block.sum() / TOKENS[query])


def test_heads_are_averaged_and_that_is_told() -> None:
    layers = layers_of(*SPECS[1], heads=(3,))
    found = rollout(layers, tokens=TOKENS)
    np.testing.assert_allclose(found.weights, by_loop(layers), atol=1e-12)
    assert found.provenance.heads == "mean of 3" and found.provenance.kind == "joint"
    square = weights(2, 3, 7, 7)
    np.testing.assert_allclose(rollout(square).weights, rollout(square.mean(1)).weights, atol=1e-12)
    told = rollout(square.mean(1)).provenance
    assert (told.heads, told.kind, told.layer, told.dtype) == ("averaged before", "self", "1 to 2", "float64")


def test_a_token_that_asks_nobody_keeps_itself() -> None:
    layers = layers_of("text -> video, text -> audio", "text -> video")
    layers[0]["text -> video"][1] = 0.0  # of two edges one has nothing to look at: the other counts whole
    layers[1]["text -> video"][0] = 0.0
    found = rollout(layers, tokens=TOKENS).weights
    np.testing.assert_allclose(found, by_loop(layers), atol=1e-12)
    assert (found[2:] == np.eye(S)[2:]).all()
    np.testing.assert_allclose(found[0, 2:5], layers[0]["text -> audio"][0] / 4, atol=1e-12)
    assert found[1, 1] == pytest.approx(0.25)


def test_an_edge_is_a_text_a_pair_or_an_edge() -> None:
    w = weights(2, 5)
    wanted = rollout([{"text -> video": w}]).weights
    for key in (("text", "video"), Edge("text", "video")):
        assert (rollout([{key: w}]).weights == wanted).all()
    joined = weights(2, 8)
    one = rollout([{Edge("text", ("video", "audio")): joined}], tokens=TOKENS)  # the order of tokens=, not of writing
    other = rollout([{("text", ("audio", "video")): joined}], tokens=TOKENS)
    assert (one.weights == other.weights).all()
    every = weights(10, 10)
    assert (rollout([{"[*] -> [*]": every}], tokens=TOKENS).weights == rollout([every], tokens=TOKENS).weights).all()


def test_square_layers_take_modalities_too() -> None:
    found = rollout(weights(2, S, S), tokens=TOKENS)
    assert found.names == ("text", "audio", "video") and found.modality.shape == (3, 3)
    np.testing.assert_allclose(found.modality.sum(1), 1.0)


@given(st.integers(1, 4), st.integers(1, 5), st.floats(0, 1), st.integers(0, 99))
def test_rows_always_sum_to_one(n_layers: int, n_tokens: int, residual: float, seed: int) -> None:
    found = rollout(weights(n_layers, n_tokens, n_tokens, seed=seed), residual=residual)
    np.testing.assert_allclose(found.weights.sum(1), 1.0, atol=1e-12)
    assert found.weights.min() >= 0


@pytest.mark.parametrize(
    ("layers", "tokens", "message"),
    [
        ([], None, "layers hold at least one layer of attention, however: none came"),
        ([None], None, "layers hold at least one layer of attention, however: None came"),
        (np.eye(2), None, "layers are (L, T, T) or (L, H, T, T), however: tuple(layers.shape)=(2, 2)"),
        ({"a -> b": A1}, None, "layers are a list, one entry a layer, however: dict came"),
        (
            [weights(2, 3)],
            None,
            "square layers have one size (T, T), however: (2, 3); attention between other sequences is given edge by "
            'edge, as {"text -> video": weights}',
        ),
        ([A1, {"a -> b": A1}], None, "layers are all square arrays or all mappings of edges, however: both came"),
        ([{"a <-> b": A1}], None, 'a key of a layer is one edge, however: "a <-> b" is 2'),
        ([{"* -> b": A1}], None, 'a key of a layer is one edge, however: "*" stands for several in * -> b'),
        ([{7: A1}], None, "a key of a layer is an Edge, a pair (query, context) or a text, however: 7"),
        (
            [{"a -> [b c]": A1}],
            None,
            "a side that joins modalities needs tokens=, how many each has in their order, however: a -> [b c]",
        ),
        (
            [{"a -> b": A1}, {"b -> a": weights(2, 3)}],
            None,
            "attention fits the tokens, (2, 2) for b -> a in layer 1, however: (2, 3), tokens={'a': 2, 'b': 2}",
        ),
        (
            [{("a", "c"): A1}],
            {"a": 2, "b": 2},
            "edges name modalities of tokens=, however: \"c\" in a -> c, tokens={'a': 2, 'b': 2}",
        ),
        ([[[0.5, np.nan], [0.0, 1.0]]], None, "attention is finite, however: tokens -> tokens in layer 0 holds nan"),
        (
            [A1, np.array(A1).T],
            None,
            "a row of attention sums to 1, or is zero where nobody asks, however: tokens -> tokens in layer 1 has rows "
            "that sum to 0.9 .. 1.1; the columns sum to 1, so the axes are swapped",
        ),
        ([[0.5, 0.5]], None, "attention is (Q, K) or (H, Q, K), however: (2,)"),
        ([[[0.5, 0.5], [1.0]]], None, "attention is an array of numbers, however: this is ragged, or something else"),
        (
            [{"a -> a": weights(3, 2, 2), "a -> b": weights(5, 2, 2)}],
            None,
            "every edge has the same heads, however: [3, 5]",
        ),
    ],
)
def test_what_is_no_graph_is_refused(layers: Any, tokens: Any, message: str) -> None:
    for follow in (rollout, flow):
        with pytest.raises(InputError) as told:
            follow(layers, tokens=tokens)
        assert str(told.value).startswith(message)


def test_what_a_token_keeps_is_a_share() -> None:
    with pytest.raises(InputError, match=r"residual is the share that a token keeps, 0 to 1, however: residual=1\.5"):
        rollout([A1], residual=1.5)


def test_a_block_of_an_unknown_modality_meets_the_nearest() -> None:
    with pytest.raises(InputError, match='a block lies between modalities, however: "vidoe"; did you mean "video"'):
        rollout(weights(1, S, S), tokens=TOKENS).between("text", "vidoe")


# --- flow -----------------------------------------------------------------------------------------


def largest(pipes: list[np.ndarray], upper: int, lower: int) -> float:
    """The maximum flow as a linear programme, by another library."""
    s, depth = len(pipes[0]), len(pipes)
    edges = [(d, i, j) for d in range(depth) for i in range(s) for j in range(s) if pipes[d][i, j] > 0]
    kept = np.zeros((depth + 1, s, len(edges)))  # what flows into a token less what flows out of it
    for e, (d, i, j) in enumerate(edges):
        kept[d + 1, i, e] -= 1
        kept[d, j, e] += 1
    inner = [kept[d, t] for d in range(depth + 1) for t in range(s) if (d, t) not in ((depth, upper), (0, lower))]
    done = linprog(
        -kept[0, lower],
        A_eq=np.array(inner),
        b_eq=np.zeros(len(inner)),
        bounds=[(0, pipes[d][i, j]) for d, i, j in edges],
    )
    assert done.status == 0
    return -float(done.fun)


def test_the_golden_flow() -> None:
    found = flow([A1, A2])
    np.testing.assert_allclose(found.raw, [[0.95, 0.40], [0.25, 0.85]], atol=1e-12)
    np.testing.assert_allclose(found.weights, [[0.703704, 0.296296], [0.227273, 0.772727]], atol=5e-7)


@pytest.mark.parametrize("n_layers", [1, 2, 3, 4])
def test_flow_is_the_maximum_that_a_linear_programme_finds(n_layers: int) -> None:
    w = weights(n_layers, 5, 5, seed=n_layers)
    w[0, 1] = 0.0  # it asks nobody
    pipes = [0.5 * np.eye(5) + 0.5 * x for x in w]
    pipes[0][1] = np.eye(5)[1]
    wanted = [[largest(pipes, i, j) for j in range(5)] for i in range(5)]
    np.testing.assert_allclose(flow(w).raw, wanted, atol=1e-9)


def test_two_layers_by_hand() -> None:
    w = weights(2, 7, 7)
    below, above = (0.5 * np.eye(7) + 0.5 * x for x in w)
    wanted = [[sum(min(above[i, k], below[k, j]) for k in range(7)) for j in range(7)] for i in range(7)]
    np.testing.assert_allclose(flow(w).raw, wanted, atol=1e-12)


@settings(deadline=None, max_examples=25)
@given(st.integers(1, 3), st.integers(1, 4), st.floats(0.1, 0.9), st.integers(0, 99))
def test_no_more_flows_than_the_pipes_hold(n_layers: int, n_tokens: int, residual: float, seed: int) -> None:
    w = weights(n_layers, n_tokens, n_tokens, seed=seed)
    found = flow(w, residual=residual)
    pipes = [residual * np.eye(n_tokens) + (1 - residual) * x for x in w]
    assert (found.raw <= pipes[-1].sum(1)[:, None] + 1e-9).all()  # out of the token at the end
    assert (found.raw <= pipes[0].sum(0)[None] + 1e-9).all()  # into the one at the start
    assert (found.raw + 1e-9 >= rollout(w, residual=residual).weights).all()  # rollout is one way to let it flow
    np.testing.assert_allclose(found.weights.sum(1), 1.0, atol=1e-9)


def test_flow_reads_the_graph_of_rollout() -> None:
    layers = layers_of(*SPECS[2])
    found = flow(layers, tokens=TOKENS, residual=0.3)
    pipes = []
    for layer in layers:  # one layer alone: its rollout is its graph
        pipes.append(rollout([layer], tokens=TOKENS, residual=0.3).weights)
    for i, j in ((0, 6), (3, 0), (9, 9), (7, 2)):
        assert found.raw[i, j] == pytest.approx(largest(pipes, i, j), abs=1e-9)
    np.testing.assert_allclose(found.between("audio", "video"), found.weights[2:5, 5:])
    np.testing.assert_allclose(found.modality.sum(1), 1.0)
    assert found.names == tuple(TOKENS) and found.provenance.kind == "joint"


def test_a_graph_that_is_too_large_is_refused_with_its_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flowing, "MOST", 2 * 25 * 25)
    flow(weights(2, 5, 5))
    with pytest.raises(InputError) as told:
        flow(weights(3, 5, 5))
    assert str(told.value) == (
        "flow takes at most 1,250 pipes times pairs of tokens, however: 75 x 25 = 1,875 (3 layers, 5 tokens); rollout "
        "reads the same graph at once"
    )


# --- of a model -----------------------------------------------------------------------------------

N, D_IN, COUNTS = 11, {"text": 3, "audio": 2, "video": 5}, {"text": 2, "audio": 3}


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


def module_of(spec: str, **options: Any) -> FusionModel:
    torch.manual_seed(0)
    network = FusionNetwork(spec, D_IN, d_model=8, n_heads=2, n_tokens=COUNTS, **options)
    with torch.no_grad():
        for layer in network.layers:
            for p in layer.attention.parameters():
                p.mul_(4)  # attention that is not even
    return FusionModel(network, 2).double().eval()


class Prepared:
    """An estimator, as far as it is read here."""

    def __init__(self, module: FusionModel) -> None:
        self.module = module

    def prepared(self, X: Samples) -> tuple[FusionModel, Feed]:
        return self.module, Feed(X, dtype=torch.float64)


def one_by_one(module: FusionModel, given: Samples, residual: float) -> np.ndarray:
    """(N, M, M): every sample alone and unpadded, member by member, by the rollout of plain arrays."""
    names, k = module.network.names, module.network.n_members
    found = np.full((len(given), len(names), len(names)), np.nan)
    for i in range(len(given)):
        x, present = batch(given, [i], dtype=torch.float64)
        with torch.no_grad():
            fused = module(x, present, need_weights="layers").fused
        tokens = {n: t.shape[1] for n, t in fused.tokens.items()}
        there = {}
        for name in names:
            known = present[name][0] if name in present else torch.ones(x[name].shape[1:-1]).bool()
            there[name] = np.broadcast_to(known.numpy(), (tokens[name],)).copy()
            if module.network.absent is not None and not there[name].any():
                there[name][0] = True
        total = np.zeros((len(names), len(names)))
        for member in range(k):
            layers = [
                {e: w[0].unflatten(0, (k, -1))[member].numpy() for e, w in layer.items()} for layer in fused.weights
            ]
            rolled = rollout(layers, residual=residual, tokens=tokens)
            for a, asking in enumerate(names):
                for b, asked in enumerate(names):
                    block = rolled.between(asking, asked)[there[asking]]
                    total[a, b] += block.sum() / max(1, there[asking].sum()) / k
        for a, asking in enumerate(names):
            if there[asking].any():
                found[i, a] = total[a]
    return found


@pytest.mark.parametrize("spec", ["self", "cross", "text <-> video, audio -> text", "[text audio] -> video"])
@pytest.mark.parametrize(
    "options", [{}, {"n_layers": 3}, {"n_layers": 2, "n_members": 3}, {"missing": "token"}, {"tie": False}]
)
def test_the_rollout_of_a_model_is_a_loop_over_single_samples(spec: str, options: dict[str, Any]) -> None:
    module = module_of(spec, **options)
    found = rollout_of(Prepared(module), samples(), residual=0.4, batch_size=4, keep_samples=True)
    wanted = one_by_one(module, samples(), 0.4)
    assert found.samples is not None and isinstance(found, AttentionMap)
    np.testing.assert_allclose(found.samples, wanted, atol=1e-12)
    np.testing.assert_allclose(found.mean, np.nanmean(wanted, 0), atol=1e-12)
    np.testing.assert_allclose(found.std, np.nanstd(wanted, 0), atol=1e-12)
    assert found.count.tolist() == (~np.isnan(wanted[:, :, 0])).sum(0).tolist()
    np.testing.assert_allclose(found.mean.sum(1), 1.0, atol=1e-12)
    assert found.names == ("text", "audio", "video") and found.by_head is None and found.n == N


def test_a_module_is_followed_on_tensors() -> None:
    module = module_of("text <-> video", n_layers=2)
    x = {"text": torch.randn(7, 3).double(), "video": torch.randn(7, 5, 5).double()}
    present = {"video": torch.arange(5) < torch.tensor([[1, 5, 2, 3, 5, 4, 0]]).T}
    both = [rollout_of(m, (x, present), batch_size=3) for m in (module, module.network)]
    assert (both[0].mean[[0, 2]] == both[1].mean[[0, 2]]).all() and both[0].count.tolist() == [7, 0, 6]
    assert np.isnan(both[0].mean[1]).all() and (both[0].mean[[0, 2], 1] == 0).all()
    assert both[0].samples is None


def test_a_nan_that_comes_in_stays_visible() -> None:
    x = {"text": torch.randn(7, 3).double(), "audio": torch.randn(7, 2).double()}
    wanted = rollout_of(module_of("self"), x, keep_samples=True).samples
    x["audio"][4] = torch.nan
    found = rollout_of(module_of("self"), x, keep_samples=True)
    assert np.isnan(found.samples[4, 0, :2]).all() and np.isnan(found.mean[:2, :2]).all()
    assert (found.samples[:4, :2] == wanted[:4, :2]).all() and found.broken.tolist() == [1, 1, 0]
    assert '"text" in 1, "audio" in 1 of 7 samples is not a number' in found.findings()[0]["text"]


@pytest.mark.parametrize(("spec", "n_layers"), [("none", 1), ("self", 0)])
def test_without_attention_every_modality_keeps_itself(spec: str, n_layers: int) -> None:
    found = rollout_of(Prepared(module_of(spec, n_layers=n_layers)), samples())
    assert (found.mean == np.eye(3)).all() and (found.std == 0).all()


def test_where_it_comes_from_is_told() -> None:
    x = {"text": torch.randn(7, 3).double(), "audio": torch.randn(7, 2).double()}
    where = rollout_of(module_of("self", n_layers=2, n_members=3), x).provenance
    assert where.describe() == (
        "layer 1 to 2, joint-attention, eval mode, float64, heads: mean of 2 each, over 3 members"
    )


def test_the_model_is_read_as_it_predicts_and_left_as_it_was() -> None:
    module = module_of("self", dropout=0.5, modality_dropout=0.5, n_layers=2).train()
    x = {"text": torch.randn(7, 3).double(), "audio": torch.randn(7, 2).double()}
    first = rollout_of(module, x, keep_samples=True)
    assert module.training and module.network.training and "forward" not in module.network.pool.__dict__
    assert (rollout_of(module, x, keep_samples=True).samples[:, :2] == first.samples[:, :2]).all()
    assert first.provenance.training is False and first.count.tolist() == [7, 7, 0]


def test_a_fitted_model_is_followed() -> None:
    rng = np.random.default_rng(0)
    X = {"a": rng.normal(size=(20, 3)), "b": rng.normal(size=(20, 4, 2))}
    model = FusionClassifier("a <-> b", d_model=8, n_heads=2, n_members=2, max_epochs=2).fit(X, rng.integers(0, 2, 20))
    found = rollout_of(model, X)
    np.testing.assert_allclose(found.mean.sum(1), 1.0)
    np.testing.assert_allclose(found.mean, 0.5, atol=1e-9)  # one layer, one other to ask


class Holds(torch.nn.Module):
    """Holds something else under the name of a network."""

    network = torch.nn.Linear(2, 2)


@pytest.mark.parametrize(
    ("model", "X", "message"),
    [
        (torch.nn.Linear(2, 2), {"a": torch.ones(1, 2)}, "rollout_of takes a fitted estimator with samples, or a Fusi"),
        (Holds(), {"a": torch.ones(1, 2)}, "rollout_of reads the layers of a FusionNetwork, however: Linear; for any "),
        (module_of("self"), {"text": torch.ones(0, 3)}, "there must be at least one sample, however: there is none"),
    ],
)
def test_what_cannot_be_followed_is_refused(model: Any, X: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        rollout_of(model, X)


@given(st.lists(st.integers(1, 4), min_size=1, max_size=4), st.integers(0, 99))
def test_sums_by_batch_are_those_of_all_samples(sizes: list[int], seed: int) -> None:
    rng = np.random.default_rng(seed)
    maps, has = rng.normal(size=(sum(sizes), 3, 3)) + 1e6, rng.random((sum(sizes), 3)) < 0.6
    tally, at = Tally(("a", "b", "c"), keep=True), 0
    for n in sizes:
        tally.add(maps[at : at + n], has[at : at + n])
        at += n
    for i in range(3):
        rows = maps[has[:, i], i]
        assert tally.count[i] == len(rows)
        if len(rows):
            np.testing.assert_allclose(tally.mean[i], rows.mean(0), rtol=1e-12)
            np.testing.assert_allclose(tally.std[i], rows.std(0), atol=1e-6)
        else:
            assert np.isnan(tally.mean[i]).all() and np.isnan(tally.std[i]).all()
    assert tally.samples is not None and (np.isnan(tally.samples[:, :, 0]) == ~has).all()
