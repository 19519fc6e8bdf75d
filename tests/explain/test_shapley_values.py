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
from intermodal.explain.coalitions import play
from intermodal.explain.shapley_values import MOST, Shapley, interactions_of, shapley, shapley_of, values_of
from intermodal.explain.two_rules import compare_rules
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
        present = {n: present.get(n, torch.ones(len(v), dtype=torch.bool)) for n, v in x.items()}
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
        "exact values take at most 10 modalities, however: 11; join some of them into one, or in Python ask "
        "shapley(model, X, only=...) of at most 10 or estimate with shapley(permutations=...)"
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
    quick = {"d_model": 8, "n_heads": 2, "n_members": 2, "max_epochs": 4, "lr": 1e-2, "experts": False} | options
    if kind == "classes":
        return FusionClassifier(fusion, **quick).fit(X, np.digitize(X["text"][:, 0], [-0.5, 0.5])), X
    target = X["text"][:, 0] if kind == "one output" else X["text"][:, :2] * [1, 100]
    return FusionRegressor(fusion, **quick).fit(X, target), X


def test_the_experts_have_their_part_in_what_a_modality_is_worth() -> None:
    rng = np.random.default_rng(0)
    X = {"a": rng.normal(size=(300, 2)), "b": rng.normal(size=(300, 5, 2)), "c": rng.normal(size=(300, 3))}
    y = np.sign(X["a"][:, 0]) * np.floor(2 * X["a"][:, 1]) + 2 * np.sign(X["b"][:, :, 0].mean(1))
    model = FusionRegressor(d_model=8, n_heads=2, n_members=2, max_epochs=2).fit(X, y)
    kinds = model.model_.experts
    assert kinds.bells is not None and kinds.trees is not None and float(model.model_.shares[1]) > 0.5
    result = shapley(model, X)
    assert np.allclose(result.full, model.predict(X), rtol=1e-12, atol=1e-12) and result.completeness < 1e-9
    worth = np.abs(result.values).mean(0)
    assert min(worth[:2]) > 5 * worth[2]  # the third is noise
    alone = FusionRegressor(d_model=8, n_heads=2, n_members=2, max_epochs=2, experts=False).fit(X, y)
    assert np.abs(shapley(alone, X).values).mean(0)[0] < worth[0]


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


def test_a_constant_model_says_why_it_has_no_shares() -> None:
    rows = result_of(np.zeros((5, 2))).worth()
    assert {w["reason"] for w in rows} == {"the model says the same whatever it is shown, so there is nothing to share"}
    assert [w["reason"] for w in result_of(np.ones((5, 2))).worth()] == [None, None]


def test_samples_of_a_group_are_drawn_together() -> None:
    rng = np.random.default_rng(0)
    patients = np.repeat(np.arange(20), 5)
    values = np.repeat(rng.normal(3, 1, size=(20, 2)), 5, axis=0)  # the five samples of a patient say the same
    alone, grouped = result_of(values).worth(), result_of(values).worth(groups=[f"p{i}" for i in patients])
    wide = np.abs(values[::5, 0]).std() / np.sqrt(20) * 1.96
    assert grouped[0]["high"] - grouped[0]["mean"] == pytest.approx(wide, rel=0.25)
    assert grouped[0]["high"] - grouped[0]["low"] > 1.8 * (alone[0]["high"] - alone[0]["low"])
    assert grouped[0]["mean"] == alone[0]["mean"]
    with pytest.raises(InputError) as error:
        result_of(values).worth(groups=[1, 2])
    assert str(error.value) == "groups name one group for each sample, however: groups.shape=(2,), 100 samples"


# --- against other libraries ----------------------------------------------------------------------


def lookup(v: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """A game as a function of rows of zeros and ones."""
    n = n_players(v)
    return lambda z: v[(np.asarray(z) > 0.5) @ (1 << np.arange(n)), 0]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("n", range(1, 7))
def test_values_equal_those_of_the_shap_library(n: int) -> None:
    shap = pytest.importorskip("shap")
    for seed in range(5):
        v = np.random.default_rng(seed).normal(size=(1 << n, 1))
        explainer = shap.explainers.ExactExplainer(lookup(v), shap.maskers.Independent(np.zeros((1, n))))
        theirs = explainer(np.ones((1, n)), max_evals=1 << n)
        assert np.abs(values_of(v)[0] - theirs.values[0]).max() <= 1e-12
        assert theirs.base_values[0] == pytest.approx(v[0, 0], abs=1e-12)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("n", range(1, 7))
def test_values_equal_those_of_captum(n: int) -> None:
    attr = pytest.importorskip("captum.attr")
    v = np.random.default_rng(n).normal(size=(1 << n, 1))
    theirs = attr.ShapleyValues(lambda z: torch.from_numpy(lookup(v)(z.numpy()))).attribute(torch.ones(1, n))
    assert np.abs(values_of(v)[0] - theirs.numpy()[0]).max() <= 1e-5


# --- completeness from end to end -----------------------------------------------------------------


@settings(deadline=None, max_examples=25)
@given(st.integers(1, 10), st.sampled_from(["self", "cross", "none"]), st.booleans(), st.integers(0, 2**31))
@pytest.mark.filterwarnings("ignore::intermodal.errors.OneKeyWarning")
def test_values_of_a_network_sum_to_what_everything_adds_to_nothing(n: int, spec: str, token: bool, seed: int) -> None:
    torch.manual_seed(seed)
    names = [f"m{i}" for i in range(n)]
    network = FusionNetwork(spec, dict.fromkeys(names, 2), d_model=4, n_heads=2, missing="token" if token else "mask")
    module = FusionModel(network, 1).double().eval()
    with torch.no_grad():
        module.weight.mul_(1000)
    rng = np.random.default_rng(seed)
    lacks = rng.random((3, n)) < 0.3
    lacks[0] = False
    samples = Samples({m: [None if lacks[k, i] else rng.normal(size=2) for k in range(3)] for i, m in enumerate(names)})
    model: Any = SimpleNamespace(
        prepared=lambda X: (module, Feed(samples, dtype=torch.float64)), to_prediction=lambda o: o.mean(1)[:, 0].numpy()
    )
    result = shapley(model, None)
    assert result.completeness <= 1e-9 and result.evaluations == 2**n
    assert (result.values[lacks] == 0.0).all()
    alone = result.values[0]
    assert np.abs(alone).max() > 1e-6


def test_one_modality_is_worth_all() -> None:
    result = shapley(Scripted(vectors(3, 1), lambda x: x["m0"].sum(1) + 2), None)
    assert np.allclose(result.values[:, 0], result.full - result.empty) and np.allclose(result.empty, 2.0)
    assert result.interactions.shape == (3, 1, 1) and (result.interactions == 0).all()


def test_one_sample_is_explained() -> None:
    result = shapley(Scripted(vectors(1, 3), lambda x: x["m0"].sum(1) * x["m1"].sum(1)), None)
    assert result.values.shape == (1, 3)
    assert [w["low"] for w in result.worth()] == [w["mean"] for w in result.worth()]


def test_a_sample_that_lacks_everything_is_worth_nothing() -> None:
    samples = Samples({"a": [None, [1.0, 2.0], [3.0, 4.0]], "b": [None, [1.0], None]})
    result = shapley(Scripted(samples, lambda x: x["a"].sum(1) * 2 + x["b"].sum(1) + 1), None)
    assert (result.values[0] == 0.0).all() and result.full[0] == result.empty[0] == 1.0
    assert result.values[2].tolist() == [14.0, 0.0]


# --- rules and outcomes ---------------------------------------------------------------------------


def test_the_rule_and_the_outcome_are_named_in_the_result() -> None:
    model, X = fitted("classes")
    result = shapley(model, X, removal="permute", of="logit", donors=3, only=["text", "audio"])
    assert (result.names, result.removal, result.of) == (("text", "audio"), "permute", "logit")
    assert result.values.shape == (N, 2) and result.evaluations == 4 * 3 and result.error is None
    game = play(model, X, removal="permute", of="logit", donors=3, only=["text", "audio"])
    assert (shapley_of(game).values == result.values).all() and shapley_of(game).of == "logit"


def test_what_lowers_the_loss_is_worth_less_than_nothing() -> None:
    samples = vectors(200, 3)
    y = samples.modality("m0").values[:, 0]
    model = Scripted(samples, lambda x: x["m0"][:, 0] + 0.3 * x["m1"][:, 1])
    mean = shapley(model, None, of="loss", y=y).values.mean(0)
    assert mean[0] < -0.5 and mean[1] > 0.05 and mean[2] == 0.0


# --- estimates ------------------------------------------------------------------------------------


def mixing(x: dict[str, Tensor]) -> Tensor:
    """Pairs, a threefold product and single terms."""
    a = torch.stack([v[:, 0] for v in x.values()], 1)
    return a.sum(1) + (a[:, :-1] * a[:, 1:]).sum(1) + 3 * a[:, 0] * a[:, 2] * a[:, 3]


def test_an_estimate_lies_within_its_own_error() -> None:
    samples = vectors(7, 6)
    exact = shapley(Scripted(samples, mixing), None).values
    found = [shapley(Scripted(samples, mixing), None, permutations=40, seed=seed) for seed in range(60)]
    off = np.stack([f.values for f in found]) - exact
    assert np.abs(off.mean(0)).max() < 5 * off.std(0).max() / np.sqrt(60), "no bias"
    error = np.stack([f.error for f in found])  # type: ignore[misc]
    told, true = np.sqrt((error**2).mean(0)), off.std(0)
    moves = true > 0.01
    assert moves.any() and np.allclose(told[moves], true[moves], rtol=0.35)
    assert all(f.completeness <= 1e-9 for f in found)
    assert np.isnan(found[0].interactions).all()


def test_two_players_and_pairs_are_estimated_exactly_by_an_order_and_its_reverse() -> None:
    samples = vectors(5, 4)
    model = Scripted(samples, lambda x: x["m0"][:, 0] * x["m1"][:, 0] + x["m2"][:, 0] * x["m3"][:, 0])
    exact, found = shapley(model, None), shapley(model, None, permutations=4)
    assert np.allclose(found.values, exact.values, atol=1e-12)
    assert found.error is not None and found.error.max() <= 1e-12


def test_an_estimate_plays_only_the_subsets_on_its_way_and_each_once() -> None:
    samples = vectors(3, 13)
    model = Scripted(samples, lambda x: sum(v.sum(1) for v in x.values()))
    found = shapley(model, None, permutations=4, batch_size=7)
    assert found.evaluations == len(model.asked) <= 4 * 12 + 2 and set(model.asked.values()) == {3}
    terms = np.stack([samples.modality(n).values.sum(1) for n in samples.names], 1)
    assert np.allclose(found.values, terms, atol=1e-12)


def test_in_an_estimate_too_a_missing_modality_is_worth_exactly_nothing() -> None:
    """Of twelve players few subsets are played: one that also holds both that are missing is often not among them."""
    lacks = {(i, j) for i in range(12) for j in (i, (i + 5) % 12)}
    samples = Samples(
        {n: [None if (i, j) in lacks else [1.0 + j] for i in range(13)] for j, n in enumerate("abcdefghijkl")}
    )
    model = Scripted(samples, lambda x: sum(v.sum(1) for v in x.values()) + 1e-13 * torch.arange(len(x["a"])))
    found = shapley(model, None, permutations=4)
    assert found.error is not None
    for i, j in lacks:
        assert found.values[i, j] == 0.0 and found.error[i, j] == 0.0
        assert found.values[12, j] == pytest.approx(1.0 + j)


def test_what_a_sample_lacks_is_not_lent_to_it_in_an_estimate() -> None:
    rng = np.random.default_rng(0)
    samples = Samples({n: [None if i % 4 == j else rng.normal(size=1) for i in range(9)] for j, n in enumerate("abcd")})
    pairs = Scripted(samples, lambda x: (x["a"] * x["b"] + x["c"] * x["d"] + x["a"])[:, 0])
    exact = shapley(pairs, None, removal="permute", donors=3)
    found = shapley(pairs, None, removal="permute", donors=3, permutations=4)
    assert np.allclose(found.values, exact.values, atol=1e-12) and found.completeness <= 1e-9
    assert (found.values[0, 0], found.values[1, 1]) == (0.0, 0.0)


@pytest.mark.parametrize("wrong", [0, 2, 5, 4.0])
def test_an_odd_number_of_orders_is_refused(wrong: Any) -> None:
    with pytest.raises(InputError) as error:
        shapley(Scripted(vectors(3, 2), mixing), None, permutations=wrong)
    assert str(error.value) == (
        "permutations is an even number from 4, so that each order has its reverse and the error can be told, "
        f"however: permutations={wrong}"
    )


# --- two rules ------------------------------------------------------------------------------------


def under(rule: str, values: Any, of: str = "prediction") -> Shapley:
    values = np.asarray(values, dtype=float)
    n, m = values.shape
    return Shapley(tuple("abcd")[:m], values, values.sum(1), np.zeros(n), np.zeros((n, m, m)), 2**m, rule, of)


def test_two_rules_that_agree() -> None:
    values = np.random.default_rng(0).normal([5, -3, 1], 0.1, size=(11, 3))
    found = compare_rules(under("mask", values), under("mean", values / 2))
    assert found.agree and found.flips == [] and found.spearman == pytest.approx(1.0)
    assert found.rules == ("mask", "mean") and found.ranks.tolist() == [[1, 2, 3], [1, 2, 3]]
    assert np.allclose(found.worth, [np.abs(values).mean(0), np.abs(values).mean(0) / 2])


def test_a_pair_that_changes_its_order_is_told_in_a_sentence() -> None:
    rng = np.random.default_rng(0)
    one, other = rng.normal([5, -3, 1], 0.1, size=(2, 31, 3)) * [[[1, 1, 1]], [[0.2, 1, 1]]]
    found = compare_rules(under("mask", one), under("permute", other))
    assert found.ranks.tolist() == [[1, 2, 3], [2, 1, 3]] or found.ranks.tolist() == [[1, 2, 3], [3, 1, 2]]
    first = found.flips[0]
    assert (first["first"], first["second"], first["clear"]) == ("a", "b", True)
    assert first["text"] == (
        f'"a" is worth more than "b" under mask ({found.worth[0, 0]:.3g} and {found.worth[0, 1]:.3g}), '
        f"and less under permute ({found.worth[1, 0]:.3g} and {found.worth[1, 1]:.3g})"
    )
    assert not found.agree


def test_a_flip_that_the_samples_do_not_settle_says_so() -> None:
    rng = np.random.default_rng(0)
    noise = np.abs(rng.normal(0, 1, size=(31, 2)))
    noise += noise.mean(0).max() - noise.mean(0) + [0.01, 0]
    found = compare_rules(under("mask", noise), under("mean", noise[:, ::-1]))
    (flip,) = found.flips
    assert not flip["clear"] and flip["text"].endswith("; these samples do not settle it")


def test_the_rank_correlation_by_the_formula() -> None:
    one, other = np.array([[4.0, 3, 2, 1]] * 3), np.array([[4.0, 1, 2, 3]] * 3)
    found = compare_rules(under("mask", one), under("mean", other))
    assert found.ranks.tolist() == [[1, 2, 3, 4], [1, 4, 3, 2]]
    assert found.spearman == pytest.approx(1 - 6 * (0 + 4 + 0 + 4) / (4 * 15))
    assert {(f["first"], f["second"]) for f in found.flips} == {("b", "c"), ("b", "d"), ("c", "d")}
    back = compare_rules(under("mean", other), under("mask", one))
    assert {(f["first"], f["second"]) for f in back.flips} == {("c", "b"), ("d", "b"), ("d", "c")}
    tied = compare_rules(under("mask", one), under("mean", np.ones((3, 4))))
    assert tied.spearman is None and tied.ranks[1].tolist() == [2.5] * 4 and tied.agree


def test_two_rules_are_compared_over_the_same_samples_and_outcome() -> None:
    a = under("mask", np.ones((3, 2)))
    for other, sentence in [
        (under("mean", np.ones((3, 3))), "modalities, however: ('a', 'b') and ('a', 'b', 'c')"),
        (under("mean", np.ones((4, 2))), "samples, however: 3 and 4"),
        (under("mean", np.ones((3, 2)), "loss"), "outcome, however: prediction and loss"),
    ]:
        with pytest.raises(InputError) as error:
            compare_rules(a, other)
        assert str(error.value) == f"two rules are compared over the same {sentence}"
