"""Attention dealt to other keys, and attention made even: on copies, against the weights themselves."""

import functools
import itertools
from typing import Any

import numpy as np
import pytest
import torch
from scipy import stats
from sklearn.metrics import accuracy_score, r2_score

from intermodal.data.samples import Samples
from intermodal.errors import InputError, OneKeyWarning
from intermodal.explain import shuffling
from intermodal.explain.shuffling import SPREADS, TVD, UNITS, attention_permutation, round_by_lot, uniform_attention
from intermodal.explain.standing import StandIn, copy_of, layers_that_ask
from intermodal.learn.estimators import FusionClassifier, FusionRegressor
from intermodal.learn.feed import Feed
from intermodal.learn.losses import mean_of_members
from intermodal.learn.model import FusionModel
from intermodal.nn.network import FusionNetwork

N = 53
QUICK: dict[str, Any] = {"d_model": 8, "n_heads": 2, "n_members": 2, "max_epochs": 15, "lr": 1e-2, "experts": False}


def samples() -> tuple[dict[str, Any], np.ndarray]:
    rng = np.random.default_rng(0)
    X = {
        "text": rng.normal(size=(N, 3)),
        "video": [None if i % 5 == 2 else rng.normal(size=(1 + i % 4, 2)) for i in range(N)],
        "audio": rng.normal(size=(N, 2)),
    }
    return X, X["text"][:, 0] * X["audio"][:, 0]


@functools.cache
def fitted(fusion: str = "self", kind: str = "number", **options: Any) -> Any:
    X, y = samples()
    if kind == "class":
        return FusionClassifier(fusion, **QUICK | options).fit(X, np.where(y > 0, "up", "down"))
    if kind == "two":
        return FusionRegressor(fusion, **QUICK | options).fit(X, np.stack([y, 100 * y + X["text"][:, 1]], 1))
    return FusionRegressor(fusion, **QUICK | options).fit(X, y)


class Wide:
    """A network of our own, large weights, every projection shared or each edge with its own."""

    def __init__(self, fusion: str, *, tie: bool = True, n_layers: int = 1, X: Any = None) -> None:
        torch.manual_seed(0)
        self.samples = Samples(samples()[0] if X is None else X)
        widths = {n: self.samples.modality(n).values[0].shape[-1] for n in self.samples.names}
        widths |= {"video": 2} if "video" in widths else {}
        tokens = {n: 1 if n == "video" else 3 for n in widths}
        network = FusionNetwork(fusion, widths, d_model=8, n_heads=2, n_tokens=tokens, tie=tie, n_layers=n_layers)
        self.module = FusionModel(network, 1).double().eval()
        with torch.no_grad():
            self.module.weight.mul_(30)

    def prepared(self, X: Any) -> tuple[Any, Feed]:
        return self.module, Feed(self.samples, dtype=torch.float64)

    def to_prediction(self, outputs: torch.Tensor) -> np.ndarray:
        return mean_of_members(outputs).numpy()[:, 0]


def weights_of(module: Any, feed: Any) -> Any:
    with torch.no_grad():
        return module(*feed.batch(np.arange(len(feed))), need_weights=True).fused.weights


# --- the lot --------------------------------------------------------------------------------------


def test_every_kept_key_hands_its_weight_to_another_in_one_circle_and_the_rest_stay() -> None:
    generator = torch.Generator().manual_seed(0)
    kept = torch.rand(200, 7, generator=generator) < 0.6
    place = round_by_lot(kept, generator)
    for row, there in zip(place.tolist(), kept.tolist(), strict=True):
        assert sorted(row) == list(range(7))
        members = [i for i in range(7) if there[i]]
        assert all(row[i] == i for i in range(7) if not there[i])
        if members:
            walk = [members[0]]
            while row[walk[-1]] != members[0]:
                walk.append(row[walk[-1]])
            assert sorted(walk) == members


def test_every_circle_is_equally_likely() -> None:
    place = round_by_lot(torch.ones(6000, 4, dtype=torch.bool), torch.Generator().manual_seed(1))
    seen = {tuple(row): 0 for row in place.tolist()}
    for row in place.tolist():
        seen[tuple(row)] += 1
    assert len(seen) == 6  # 3! circles of four
    assert stats.chisquare(list(seen.values())).pvalue > 1e-3


# --- weights dealt to other keys ------------------------------------------------------------------


@pytest.mark.parametrize("tie", [True, False])
@pytest.mark.parametrize("fusion", ["self", "cross", "text -> [audio video], audio -> audio, video -> [*]"])
def test_the_weights_of_a_sample_are_the_same_on_other_keys(fusion: str, tie: bool) -> None:
    model = Wide(fusion, tie=tie)
    before = weights_of(*model.prepared(None))
    module, feed = copy_of(model, None)
    with shuffling._dealt(module, torch.Generator().manual_seed(0), shuffling._Keys()):
        after = weights_of(module, feed)
    assert list(before) == list(after)
    for edge, weights in before.items():
        for i in range(N):
            old, new = weights[i].flatten(0, 1), after[edge][i].flatten(0, 1)  # (H * Q, K)
            seen = old.sum(0) > 0
            assert torch.equal(new.sum(0) > 0, seen), "only what may be looked at is looked at"
            columns, moved = old[:, seen], new[:, seen]
            places = [int((columns - moved[:, j : j + 1]).abs().sum(0).argmin()) for j in range(moved.shape[1])]
            assert sorted(places) == list(range(len(places))), "one deal for all queries and heads"
            assert torch.allclose(columns[:, places], moved, atol=1e-9)
            assert len(places) < 2 or all(a != b for a, b in enumerate(places)), "every weight goes elsewhere"


@pytest.mark.parametrize(("kind", "unit"), [("class", TVD), ("number", SPREADS), ("two", SPREADS)])
def test_how_far_the_prediction_moves_is_that_of_the_dealt_network(kind: str, unit: str) -> None:
    model, X = fitted(kind=kind), samples()[0]
    found = attention_permutation(model, X, repeats=3, seed=5)
    before = model.predict_proba(X) if kind == "class" else model.predict(X)
    module, feed = copy_of(model, X)
    generator = torch.Generator().manual_seed(5)
    moved = []
    for _ in range(3):
        with torch.no_grad(), shuffling._dealt(module, generator, shuffling._Keys()):
            after = model.to_prediction(module(*feed.batch(np.arange(N))).outputs)
        change = np.abs(after - before)
        moved.append(change.sum(1) / 2 if kind == "class" else (change / before.std(0)).reshape(N, -1).mean(1))
    assert found.moved == pytest.approx(np.median(moved, 0), abs=1e-9)
    assert found.unit == unit and found.repeats == 3 and not found.one_key.any()
    assert found.median == pytest.approx(np.median(np.median(moved, 0)), abs=1e-9) and found.median > 0
    assert f"moves by {found.median:.2g} in the median ({unit})" in found.text


def test_with_one_key_nothing_moves_by_construction_and_it_is_said() -> None:
    rng = np.random.default_rng(0)
    X = {"a": rng.normal(size=(N, 3)), "b": rng.normal(size=(N, 2))}
    with pytest.warns(OneKeyWarning):
        model = FusionRegressor("cross", **QUICK, n_tokens=1).fit(X, X["a"][:, 0])
    found = attention_permutation(model, X)
    assert (found.moved == 0).all() and found.one_key.all() and found.median == 0.0
    assert found.text == (
        "no query sees more than one key, so weights are 1 by construction and there is nothing to shuffle: the "
        "prediction cannot move"
    )


def test_samples_with_one_key_are_counted_and_left_out_of_the_median() -> None:
    X, y = samples()
    model = FusionRegressor("text -> video", **QUICK).fit(X, y)
    found = attention_permutation(model, X)
    keys = np.array([0 if v is None else len(v) for v in X["video"]])
    assert np.array_equal(found.one_key, keys < 2)
    assert np.abs(found.moved[keys < 2]).max() < 1e-12 < found.moved[keys > 1].min()
    assert found.median == np.median(found.moved[keys > 1])
    assert f"; {(keys < 2).sum()} samples have one key and nothing to shuffle" in found.text
    assert np.allclose(attention_permutation(model, X, batch_size=7).one_key, found.one_key)


def test_the_keys_of_every_edge_count() -> None:
    """A sample whose video is a single frame, or none, still has three tokens of text to choose among."""
    found = attention_permutation(Wide("audio -> text, text -> video"), None, repeats=1)
    assert not found.one_key.any() and (found.moved > 1e-9).all()


def test_with_two_keys_every_deal_moves_the_weights() -> None:
    X = {"a": samples()[0]["text"], "video": [v[:1].repeat(2, 0) * [[1], [3]] for v in np.ones((N, 1, 2))]}
    found = attention_permutation(Wide("a -> video", X=X), None, repeats=1)
    assert (found.moved > 1e-9).all()


def test_little_is_said_to_be_little() -> None:
    model = Wide("self")
    with torch.no_grad():
        for layer in model.module.network.layers:
            layer.attention[0].q_proj.weight.mul_(1e-6)
            layer.attention[0].q_proj.bias.zero_()
    found = attention_permutation(model, None)
    assert found.median < 1e-3 and found.text.endswith("it matters little here which key got the weight")


# --- even weights ---------------------------------------------------------------------------------


@pytest.mark.parametrize("tie", [True, False])
def test_even_weights_are_even_over_what_may_be_looked_at(tie: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    model = Wide("self", tie=tie, n_layers=2)
    seen: list[Any] = []
    plain = shuffling._predicted

    def watched(model: Any, module: Any, feed: Any, batch_size: int) -> np.ndarray:
        with torch.no_grad():
            seen.append(module(*feed.batch(np.arange(N)), need_weights="layers").fused.weights)
        return plain(model, module, feed, batch_size)

    monkeypatch.setattr(shuffling, "_predicted", watched)
    found = uniform_attention(model, None)
    assert len(seen) == 2
    for layer in seen[1]:
        for weights in layer.values():
            kept = (weights > 0).double()
            assert torch.allclose(weights, kept / kept.sum(-1, keepdim=True).clamp(min=1))
    assert not torch.allclose(next(iter(seen[0][0].values())), next(iter(seen[1][0].values())))
    assert (found.moved > 0).all() and found.score is None and found.needed is None
    assert found.text.startswith("with even attention the prediction moves by")


@pytest.mark.parametrize("kind", ["class", "number", "two"])
def test_the_scores_are_those_of_scikit_learn_and_the_error_is_paired(kind: str) -> None:
    X, y = samples()
    y = {"class": np.where(y > 0, "up", "down"), "number": y, "two": np.stack([y, 100 * y + X["text"][:, 1]], 1)}[kind]
    model = fitted(kind=kind)
    found = uniform_attention(model, X, y)
    module, feed = copy_of(model, X)
    with torch.no_grad():
        for layer in layers_that_ask(module):
            layer.attention[0].q_proj.weight.zero_()
            layer.attention[0].q_proj.bias.zero_()
        even = model.to_prediction(module(*feed.batch(np.arange(N))).outputs)
    if kind == "class":
        chosen = model.classes_[even.argmax(1)]
        wanted, each = accuracy_score(y, chosen), (model.predict(X) == y) * 1.0 - (chosen == y)
    else:
        wanted = r2_score(y, even)
        squares = [np.square(p - y) / y.var(0) for p in (even, model.predict(X))]
        each = (squares[0] - squares[1]).reshape(N, -1).mean(1)
    assert found.score == pytest.approx(model.score(X, y)) and found.uniform_score == pytest.approx(wanted)
    assert found.drop == pytest.approx(found.score - found.uniform_score)
    assert found.error == pytest.approx(stats.sem(each))
    assert found.score_name == ("accuracy" if kind == "class" else "R2")


@pytest.mark.parametrize(
    ("drop", "error", "needed", "words"),
    [
        (0.03, 0.02, True, "± 0.020 (standard error): attention is needed here"),
        (0.01, 0.02, False, "± 0.020 (standard error): attention is not needed here"),
        (-0.5, 0.02, False, "attention is not needed here"),
        (0.0, 0.0, False, "attention is not needed here"),
        (0.5, None, None, "one sample, so nothing is known of the spread"),
    ],
)
def test_attention_is_needed_where_even_weights_cost_more_than_an_error(
    drop: float, error: float | None, needed: bool | None, words: str
) -> None:
    found = shuffling.UniformAttention(np.ones(3), TVD, "accuracy", 0.9, 0.9 - drop, drop, error)
    assert found.needed is needed and words in found.text


def test_a_task_that_is_all_choice_needs_attention_and_one_that_is_none_does_not() -> None:
    """Which of five frames carries the sign: it is marked. Without the choice the others drown it."""
    rng = np.random.default_rng(0)
    frames = rng.normal(size=(240, 5, 2))
    frames[..., 1] = 0.0
    marked = rng.integers(0, 5, 240)
    frames[np.arange(240), marked, 1] = 3.0
    y = np.where(frames[np.arange(240), marked, 0] > 0, "up", "down")
    X = {"ask": np.ones((240, 1)), "video": frames}
    options = {"d_model": 16, "n_heads": 2, "max_epochs": 30, "n_tokens": {"ask": 2, "video": 1}, "encoder": "linear"}
    train, test = ({n: v[part] for n, v in X.items()} for part in (slice(0, 180), slice(180, 240)))
    model = FusionClassifier("ask -> video", **options, lr=1e-2).fit(train, y[:180])
    assert uniform_attention(model, test, y[180:]).needed is True
    plain = np.where(frames[..., 0].mean(1) > 0, "up", "down")
    model = FusionClassifier("ask -> video", **options, lr=1e-2).fit(train, plain[:180])
    found = uniform_attention(model, test, plain[180:])
    assert found.needed is False and found.text.endswith("attention is not needed here")


# --- the rest -------------------------------------------------------------------------------------


def test_the_model_is_not_touched() -> None:
    model, (X, y) = fitted(), samples()
    before = {k: v.clone() for k, v in model.model_.state_dict().items()}
    told, luck = model.predict(X), torch.random.get_rng_state()
    attention_permutation(model, X, repeats=1)
    uniform_attention(model, X, y)
    assert all(torch.equal(before[k], v) for k, v in model.model_.state_dict().items())
    assert np.array_equal(model.predict(X), told) and torch.equal(torch.random.get_rng_state(), luck)
    own = Wide("self")
    attention_permutation(own, None, repeats=1), uniform_attention(own, None)
    assert all(not hasattr(layer, "_answer") or "_answer" not in vars(layer) for layer in own.module.network.layers)


def test_one_sample_is_told_in_the_unit_of_the_prediction() -> None:
    model, (X, y) = fitted(), samples()
    one = {n: v[:1] for n, v in X.items()}
    assert attention_permutation(model, one).unit == UNITS
    found = uniform_attention(model, one, y[:1])
    assert found.error is None and found.needed is None and "one sample" in found.text


def test_samples_that_carry_their_target_are_scored() -> None:
    X, y = samples()
    model = fitted()
    assert uniform_attention(model, Samples(X, y=y)).score == uniform_attention(model, X, y).score


def test_what_cannot_be_shuffled_is_refused() -> None:
    X, y = samples()
    none = fitted("none")
    cases: list[tuple[Any, str]] = [
        (
            lambda: attention_permutation(none, X),
            "a network in which somebody asks is changed, however: this one has no attention",
        ),
        (
            lambda: uniform_attention(none, X, y),
            "a network in which somebody asks is changed, however: this one has no attention",
        ),
        (lambda: attention_permutation(fitted(), X, repeats=0), "repeats is at least 1, however: repeats=0"),
        (
            lambda: attention_permutation([], X),
            "a fitted FusionClassifier or FusionRegressor is explained, however: list",
        ),
        (
            lambda: uniform_attention(fitted(), X, y[:3]),
            "y holds one target for each sample, however: y.shape=(3,), 53 samples",
        ),
        (
            lambda: uniform_attention(fitted(), X, np.stack([y, y], 1)),
            "y has the shape of the predictions, (53, 1), however: (53, 2)",
        ),
        (
            lambda: uniform_attention(fitted(), X, np.ones(N)),
            "R2 needs a target that varies, however: y is the same for every sample",
        ),
    ]
    for call, sentence in cases:
        with pytest.raises(InputError) as error:
            call()
        assert str(error.value) == sentence


def test_deals_differ_from_repeat_to_repeat() -> None:
    model, X = fitted(), samples()[0]
    found = [attention_permutation(model, X, repeats=1, seed=s).moved for s in (0, 0, 1)]
    assert np.array_equal(found[0], found[1])
    assert all(not np.array_equal(a, b) for a, b in itertools.combinations([found[0], found[2]], 2))


def test_a_model_that_hands_out_its_own_network_keeps_it() -> None:
    model, (X, _) = fitted(), samples()
    own = StandIn(model, *model.prepared(X))
    before = {name: value.clone() for name, value in own.prepared(X)[0].state_dict().items()}
    uniform_attention(own, X)
    after = own.prepared(X)[0].state_dict()
    assert before and all(torch.equal(value, after[name]) for name, value in before.items())
