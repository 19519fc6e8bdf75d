"""Shapley values keep their axioms, for tables of numbers, for scripted models and for fitted ones."""

import itertools
from collections import Counter
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from torch import Tensor, nn

from intermodal.data.samples import Samples
from intermodal.errors import InputError
from intermodal.explain.shapley import MOST, Shapley, interactions_of, shapley, values_of
from intermodal.learn.estimators import FusionClassifier, FusionRegressor
from intermodal.learn.feed import Feed
from intermodal.learn.losses import mean_of_members
from intermodal.learn.model import FusionModel
from intermodal.nn.network import FusionNetwork

numbers = st.floats(-100, 100, allow_subnormal=False)


@st.composite
def games(draw: st.DrawFn, least: int = 1, most: int = 5) -> np.ndarray:
    """A table v (2^n, 1) of any game of n players."""
    n = draw(st.integers(least, most))
    return draw(arrays(np.float64, (1 << n, 1), elements=numbers))


def n_players(v: np.ndarray) -> int:
    return int(np.log2(len(v)))


# --- the sums against their definitions -----------------------------------------------------------


@settings(deadline=None)
@given(games())
def test_a_value_is_the_mean_over_all_orders_of_what_a_player_adds(v: np.ndarray) -> None:
    n = n_players(v)
    total = np.zeros(n)
    orders = list(itertools.permutations(range(n)))
    for order in orders:
        here = 0
        for i in order:
            total[i] += v[here | 1 << i, 0] - v[here, 0]
            here |= 1 << i
    assert np.allclose(values_of(v)[0], total / len(orders), atol=1e-9)


@settings(deadline=None)
@given(games(least=2))
def test_an_interaction_is_the_mean_over_all_orders_in_which_the_pair_comes_as_one(v: np.ndarray) -> None:
    n = n_players(v)
    found = interactions_of(v)[0]
    for i, j in itertools.combinations(range(n), 2):
        both, deltas = 1 << i | 1 << j, []
        others = [p for p in range(n) if p not in (i, j)]
        for order in itertools.permutations([*others, -1]):
            s = sum(1 << p for p in order[: order.index(-1)])
            deltas.append(v[s | both, 0] - v[s | 1 << i, 0] - v[s | 1 << j, 0] + v[s, 0])
        assert found[i, j] == found[j, i] == pytest.approx(np.mean(deltas), abs=1e-9)
    assert (np.diag(found) == 0).all()


@pytest.mark.parametrize("n", range(1, 11))
def test_completeness_from_one_player_to_ten(n: int) -> None:
    v = np.random.default_rng(n).normal(size=(1 << n, 7, 2))
    gap = np.abs(values_of(v).sum(1) - (v[-1] - v[0]))
    assert gap.max() <= 1e-12


@settings(deadline=None)
@given(games(least=2), st.data())
def test_a_player_who_adds_nothing_is_worth_exactly_nothing(v: np.ndarray, data: st.DataObject) -> None:
    n = n_players(v)
    i = data.draw(st.integers(0, n - 1))
    v = v[np.arange(1 << n) & ~(1 << i)]
    assert values_of(v)[0, i] == 0.0
    assert (interactions_of(v)[0, i] == 0.0).all()


@settings(deadline=None)
@given(games(least=2), st.data())
def test_players_who_can_be_exchanged_are_worth_the_same(v: np.ndarray, data: st.DataObject) -> None:
    n = n_players(v)
    i, j = data.draw(st.permutations(range(n)))[:2]
    exchanged = [s & ~(1 << i | 1 << j) | (s >> i & 1) << j | (s >> j & 1) << i for s in range(1 << n)]
    values = values_of(v + v[exchanged])[0]
    assert values[i] == pytest.approx(values[j], abs=1e-10)


@settings(deadline=None, max_examples=200)
@given(st.integers(1, 5), st.integers(0, 2**32 - 1), numbers)
def test_the_values_of_a_sum_are_the_sum_of_the_values(n: int, seed: int, factor: float) -> None:
    f, g = np.random.default_rng(seed).normal(size=(2, 1 << n, 3))
    assert np.allclose(values_of(f + factor * g), values_of(f) + factor * values_of(g), atol=1e-10)
    together = interactions_of(f) + factor * interactions_of(g)
    assert np.allclose(interactions_of(f + factor * g), together, atol=1e-10)


@settings(deadline=None)
@given(st.lists(numbers, min_size=1, max_size=6), numbers)
def test_in_an_additive_game_everyone_is_worth_what_they_add_and_nobody_interacts(w: list[float], empty: float) -> None:
    n = len(w)
    v = np.array([[empty + sum(w[i] for i in range(n) if s >> i & 1)] for s in range(1 << n)])
    assert np.allclose(values_of(v)[0], w, atol=1e-10)
    alone = [v[1 << i, 0] - v[0, 0] for i in range(n)]
    last = [v[-1, 0] - v[(1 << n) - 1 & ~(1 << i), 0] for i in range(n)]
    assert np.allclose(alone, w, atol=1e-10) and np.allclose(last, w, atol=1e-10)
    assert np.abs(interactions_of(v)).max() < 1e-9


def test_two_players_by_hand() -> None:
    v = np.array([[1.0], [4.0], [6.0], [15.0]])
    assert values_of(v)[0].tolist() == [6.0, 8.0]  # (3 + 9) / 2, (5 + 11) / 2
    assert interactions_of(v)[0].tolist() == [[0.0, 6.0], [6.0, 0.0]]  # 15 - 4 - 6 + 1


@pytest.mark.parametrize(("v", "value", "interaction"), [([0, 0, 0, 1], 0.5, 1.0), ([0, 1, 1, 0], 0.0, -2.0)])
def test_a_product_and_an_exclusive_or(v: list[float], value: float, interaction: float) -> None:
    table = np.array(v, dtype=float)[:, None]
    assert values_of(table)[0].tolist() == [value, value]
    assert interactions_of(table)[0, 0, 1] == interaction


def test_a_pair_among_three_by_hand() -> None:
    """Gloves: player 0 has a left one, 1 and 2 a right one each; a pair makes 1."""
    v = np.array([[float(bool(s & 1) and bool(s & 6))] for s in range(8)])
    assert values_of(v)[0] == pytest.approx([2 / 3, 1 / 6, 1 / 6])
    found = interactions_of(v)[0]
    assert found[0, 1] == found[0, 2] == pytest.approx(0.5)
    assert found[1, 2] == pytest.approx(-0.5)


# --- scripted models ------------------------------------------------------------------------------


class Scripted(nn.Module):
    """A model whose prediction is a function of the values that are shown; it writes down what it was asked."""

    def __init__(self, samples: Samples, say: Callable[[dict[str, Tensor]], Tensor]) -> None:
        super().__init__()
        self.network = SimpleNamespace(names=samples.names)
        self.samples = samples
        self.say = say
        self.asked: Counter[tuple[int, ...]] = Counter()

    def forward(self, x: dict[str, Tensor], present: dict[str, Tensor]) -> Any:
        assert not torch.is_grad_enabled()
        seen = {n: v.masked_fill(~present[n].unsqueeze(-1), 0.0) for n, v in x.items()}
        self.asked.update(tuple(row) for row in torch.stack([present[n].long() for n in x], 1).tolist())
        return SimpleNamespace(outputs=self.say(seen))

    def prepared(self, X: Any) -> tuple[nn.Module, Feed]:
        return self, Feed(self.samples, dtype=torch.float64)

    def to_prediction(self, outputs: Tensor) -> np.ndarray:
        return outputs.numpy()


def vectors(n: int, m: int, seed: int = 0) -> Samples:
    rng = np.random.default_rng(seed)
    return Samples({f"m{i}": rng.normal(size=(n, 2)) for i in range(m)})


@pytest.mark.parametrize("m", [1, 2, 3, 5, 10])
def test_every_subset_of_every_sample_is_evaluated_exactly_once(m: int) -> None:
    model = Scripted(vectors(3, m), lambda x: sum(v.sum(1) for v in x.values()))
    result = shapley(model, None, batch_size=50)
    assert result.evaluations == 2**m
    assert len(model.asked) == 2**m
    assert set(model.asked.values()) == {3}


def test_an_additive_model_is_explained_by_its_terms() -> None:
    samples = vectors(5, 3)
    model = Scripted(samples, lambda x: 4.0 + x["m0"].sum(1) - 2 * x["m1"][:, 0] + x["m2"].square().sum(1))
    result = shapley(model, None)
    m0, m1, m2 = (samples.modality(n).values for n in samples.names)
    wanted = np.stack([m0.sum(1), -2 * m1[:, 0], (m2**2).sum(1)], 1)
    assert np.allclose(result.values, wanted, atol=1e-12)
    assert np.allclose(result.empty, 4.0) and np.allclose(result.interactions, 0.0, atol=1e-12)


def test_a_product_is_shared_and_is_all_interaction() -> None:
    samples = vectors(5, 2)
    result = shapley(Scripted(samples, lambda x: x["m0"][:, 0] * x["m1"][:, 0]), None)
    product = samples.modality("m0").values[:, 0] * samples.modality("m1").values[:, 0]
    assert np.allclose(result.values, product[:, None] / 2, atol=1e-12)
    assert np.allclose(result.interactions[:, 0, 1], product, atol=1e-12)
    assert np.allclose(result.full, product) and np.allclose(result.empty, 0.0)


def test_a_modality_that_the_model_ignores_is_worth_exactly_nothing() -> None:
    result = shapley(Scripted(vectors(7, 3), lambda x: torch.sin(x["m0"][:, 0] + x["m2"][:, 1]).exp()), None)
    assert (result.values[:, 1] == 0.0).all() and (result.interactions[:, 1] == 0.0).all()
    assert (result.values[:, [0, 2]] != 0.0).all()


def test_a_missing_modality_is_worth_exactly_nothing_where_the_rounding_goes_by_the_row() -> None:
    samples = Samples({"a": np.ones((5, 2)), "b": [None if i == 2 else [1.0, 3.0] for i in range(5)]})
    model = Scripted(samples, lambda x: x["a"].sum(1) + x["b"].sum(1) + 1e-13 * torch.arange(len(x["a"])))
    result = shapley(model, None)
    assert result.values[2, 1] == 0.0 and (result.interactions[2] == 0.0).all()
    assert (result.values[[0, 1, 3, 4], 1] == pytest.approx(4.0)) and result.completeness <= 1e-9


def test_more_modalities_than_can_be_evaluated_are_refused_before_the_first_evaluation() -> None:
    model = Scripted(vectors(3, MOST + 1), lambda x: x["m0"][:, 0])
    with pytest.raises(InputError) as error:
        shapley(model, None)
    assert str(error.value) == (
        "exact values take at most 10 modalities, however: 11; join some of them into one, name at most 10 players "
        "with only=, or let shapley estimate with permutations="
    )
    assert not model.asked


def test_no_sample_is_refused() -> None:
    with pytest.raises(InputError) as error:
        shapley(Scripted(vectors(3, 2)[:0], lambda x: x["m0"][:, 0]), None)
    assert str(error.value) == "at least one sample is explained, however: X holds none"


# --- fitted models --------------------------------------------------------------------------------

N = 37


def mixed() -> dict[str, Any]:
    rng = np.random.default_rng(0)
    return {
        "text": rng.normal(size=(N, 5)),
        "video": [None if i % 9 == 2 else rng.normal(size=(1 + i % 5, 3)) for i in range(N)],
        "audio": [None if i % 4 == 1 else rng.normal(size=2) for i in range(N)],
    }


def fitted(kind: str, fusion: str = "cross", **options: Any) -> tuple[Any, dict[str, Any]]:
    X = mixed()
    quick = {"d_model": 8, "n_heads": 2, "n_members": 2, "max_epochs": 4, "lr": 1e-2} | options
    if kind == "classes":
        return FusionClassifier(fusion, **quick).fit(X, np.digitize(X["text"][:, 0], [-0.5, 0.5])), X
    target = X["text"][:, 0] if kind == "one output" else X["text"][:, :2] * [1, 100]
    return FusionRegressor(fusion, **quick).fit(X, target), X


def predict(model: Any, X: Any) -> np.ndarray:
    return model.predict_proba(X) if hasattr(model, "predict_proba") else model.predict(X)


@pytest.mark.parametrize("kind", ["classes", "one output", "two outputs"])
@pytest.mark.parametrize("options", [{}, {"fusion": "self", "missing": "token"}], ids=["mask", "token"])
def test_the_axioms_hold_for_every_sample_of_a_fitted_model(kind: str, options: dict[str, Any]) -> None:
    model, X = fitted(kind, **options)
    result = shapley(model, X)
    outputs = {"classes": (3,), "one output": (), "two outputs": (2,)}[kind]
    assert result.values.shape == (N, 3, *outputs) and result.values.dtype == np.float64
    assert result.interactions.shape == (N, 3, 3, *outputs)
    assert result.full.shape == result.empty.shape == (N, *outputs)
    assert np.allclose(result.full, predict(model, X), rtol=1e-12, atol=1e-12)
    gap = np.abs(result.values.sum(1) - (result.full - result.empty))
    assert (gap <= 1e-9 * np.maximum(1.0, np.abs(result.full))).all()
    assert result.completeness == pytest.approx((gap / np.maximum(1.0, np.abs(result.full))).max())
    for j, name in enumerate(result.names):
        gone = ~Samples(X).modality(name).present
        assert (result.values[gone, j] == 0.0).all() and (result.interactions[gone, j] == 0.0).all()
        assert (result.values[~gone, j] != 0.0).any()
    if kind == "classes":
        assert np.allclose(result.values.sum(2), 0.0, atol=1e-12), "what one class wins, others lose"


@pytest.mark.parametrize("kind", ["classes", "one output", "two outputs"])
def test_empty_is_the_prediction_with_nothing(kind: str) -> None:
    model, X = fitted(kind)
    module, feed = model.prepared(X)
    x = feed.batch(np.arange(N)).x
    nothing = {n: torch.zeros(v.shape[:-1], dtype=torch.bool) for n, v in x.items()}
    with torch.no_grad():
        wanted = model.to_prediction(module(x, nothing).outputs)
    found = shapley(model, X).empty
    assert np.allclose(found, wanted, rtol=1e-12, atol=1e-12)
    assert np.ptp(found, axis=0).max() < 1e-12, "nothing is the same for every sample"


def test_the_size_of_a_pass_changes_nothing() -> None:
    model, X = fitted("classes")
    one, other = shapley(model, X, batch_size=1), shapley(model, X, batch_size=1024)
    assert np.allclose(one.values, other.values, atol=1e-12)
    assert np.allclose(one.interactions, other.interactions, atol=1e-12)


def test_a_modality_that_is_left_out_is_worth_nothing_and_the_others_are_worth_as_without_it() -> None:
    model, X = fitted("classes")
    alone = shapley(model, {n: X[n] for n in ("text", "video")})
    blank = shapley(model, X | {"audio": [None] * (N - 1) + [np.zeros(2)]})
    assert alone.names == ("text", "video", "audio")
    assert (alone.values[:, 2] == 0.0).all()
    assert np.allclose(alone.values[:-1], blank.values[:-1], atol=1e-12)


def test_removing_two_modalities_by_hand_gives_the_values() -> None:
    model, X = fitted("one output")
    rows = [i for i in range(N) if X["audio"][i] is not None and X["video"][i] is not None]
    X = {n: [v[i] for i in rows] for n, v in X.items()}
    v = np.zeros((8, len(rows)))
    v[0] = shapley(model, X).empty
    for s in range(1, 8):
        v[s] = model.predict({n: X[n] for i, n in enumerate(X) if s >> i & 1})
    assert np.allclose(shapley(model, X).values, values_of(v), atol=1e-9)


class Twins:
    """A network whose first two modalities are read by the same weights."""

    def __init__(self, samples: Samples) -> None:
        torch.manual_seed(0)
        network = FusionNetwork("self", {"a": 3, "b": 3, "c": 2}, d_model=8, n_tokens=2)
        self.module = FusionModel(network, 1).double().eval()
        network.encoders[1].load_state_dict(network.encoders[0].state_dict())
        with torch.no_grad():
            self.module.coef[:3] = self.module.coef[3:6] = torch.tensor([[1.0], [2.0], [-1.0]])
            self.module.weight.mul_(10)
        self.samples = samples

    def prepared(self, X: Any) -> tuple[nn.Module, Feed]:
        return self.module, Feed(self.samples, dtype=torch.float64)

    def to_prediction(self, outputs: Tensor) -> np.ndarray:
        return mean_of_members(outputs).numpy()[:, 0]


def test_twins_with_the_same_data_are_worth_the_same() -> None:
    rng = np.random.default_rng(0)
    same = rng.normal(size=(7, 3))
    result = shapley(Twins(Samples({"a": same, "b": same, "c": rng.normal(size=(7, 2))})), None)
    assert np.abs(result.values[:, 0] - result.values[:, 1]).max() <= 1e-12
    assert np.abs(result.interactions[:, 0, 2] - result.interactions[:, 1, 2]).max() <= 1e-12
    assert np.abs(result.values[:, 0]).min() > 1e-3


# --- worth ----------------------------------------------------------------------------------------


def result_of(values: np.ndarray) -> Shapley:
    n, m = values.shape[:2]
    full = values.sum(1)
    return Shapley(tuple("abc")[:m], values, full, 0 * full, np.zeros((n, m, *values.shape[1:])), 2**m)


def test_worth_is_the_mean_absolute_value_with_an_interval_around_it() -> None:
    values = np.random.default_rng(0).normal([[3.0, 0.0]], [[0.5, 0.1]], size=(101, 2)) * [1, -1]
    a, b = result_of(values).worth()
    assert (a["name"], b["name"]) == ("a", "b")
    assert a["mean"] == pytest.approx(np.abs(values[:, 0]).mean())
    assert a["share"] + b["share"] == pytest.approx(1.0)
    assert a["share"] == pytest.approx(a["mean"] / (a["mean"] + b["mean"]))
    half = 1.96 * np.abs(values[:, 0]).std() / np.sqrt(101)
    assert a["low"] == pytest.approx(a["mean"] - half, abs=half / 5)
    assert a["high"] == pytest.approx(a["mean"] + half, abs=half / 5)


def test_the_worth_of_probabilities_is_the_probability_that_was_moved() -> None:
    moved = np.zeros((4, 2, 3))
    moved[:, 0] = [0.3, -0.2, -0.1]
    a, b = result_of(moved).worth()
    assert (a["mean"], a["share"]) == (pytest.approx(0.3), pytest.approx(1.0))
    assert (b["mean"], b["share"]) == (0.0, 0.0)


def test_a_model_that_says_the_same_always_has_no_shares() -> None:
    assert [w["share"] for w in result_of(np.zeros((5, 2))).worth()] == [None, None]
