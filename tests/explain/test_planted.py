"""Truths that are known because they were planted: each must be named, and nothing beside it.

Small trained models, and networks built by hand. The same with more seeds: benchmarks/explain.py.
"""

from itertools import combinations
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from intermodal.data.samples import Samples
from intermodal.explain.agreeing import agreement
from intermodal.explain.coalitions import play
from intermodal.explain.curves import deletion_curves
from intermodal.explain.erasing import eraser
from intermodal.explain.looking import attention_shares
from intermodal.explain.sensitivity import infidelity
from intermodal.explain.shapley_values import interactions_of, values_of
from intermodal.explain.shuffling import attention_permutation, uniform_attention
from intermodal.explain.timing import timeline
from intermodal.learn.estimators import FusionRegressor
from intermodal.learn.feed import Feed
from intermodal.learn.losses import mean_of_members
from intermodal.learn.model import FusionModel
from intermodal.nn.network import FusionNetwork


class Built:
    """A network of our own with all numbers zero but those that `build` writes."""

    def __init__(self, samples: Samples, network: FusionNetwork) -> None:
        self.samples = samples
        self.module = FusionModel(network, 1).double().eval()
        with torch.no_grad():
            for name, tensor in self.module.named_parameters():
                if "norm" not in name:
                    tensor.zero_()
            self.build(network)

    def build(self, network: Any) -> None:
        raise NotImplementedError

    def read_first_place(self, plus: int, minus: int) -> None:
        """Answer with the difference of two numbers of the first modality's place: gelu(a) - gelu(-a) = a."""
        for row, sign in ((0, 1.0), (1, -1.0)):
            self.module.hidden.weight[row, plus], self.module.hidden.weight[row, minus] = sign, -sign
            self.module.weight[0, row, 0] = sign

    def prepared(self, X: Any) -> tuple[nn.Module, Feed]:
        return self.module, Feed(self.samples, dtype=torch.float64)

    def to_prediction(self, outputs: torch.Tensor) -> np.ndarray:
        return mean_of_members(outputs).numpy()[:, 0]


# --- a decoy with a large weight and a value of zero ----------------------------------------------

N = 71


class Decoy(Built):
    """ask -> [signal decoy]: the decoy's key fits the question, its value is zero; the answer is the signal's sign."""

    def __init__(self) -> None:
        rng = np.random.default_rng(0)
        self.truth = rng.choice([-1.0, 1.0], N)
        X = {"ask": rng.normal(size=(N, 1)), "decoy": rng.normal(size=(N, 1))}
        X["signal"] = (self.truth * rng.uniform(0.5, 2.0, N))[:, None]
        widths = dict.fromkeys(X, 1)
        network = FusionNetwork("ask -> [signal decoy]", widths, d_model=8, n_heads=1, pool="concat")
        super().__init__(Samples(X), network)

    def build(self, network: Any) -> None:
        _, decoy, signal = (encoder.project for encoder in network.encoders)
        signal.weight[2], signal.weight[3] = 1.0, -1.0
        decoy.bias[0], decoy.bias[1] = 1.0, -1.0  # what all decoys have, and the question asks for
        decoy.weight[4], decoy.weight[5] = 0.3, -0.3  # what they say, and nobody hears
        attention = network.layers[0].attention[0]
        attention.q_proj.bias[0] = 1.0
        attention.k_proj.weight[0, 0], attention.k_proj.weight[0, 1] = 2.0, -2.0
        attention.v_proj.weight[2, 2] = attention.v_proj.weight[3, 3] = 1.0
        attention.out_proj.weight.copy_(torch.eye(8))
        self.read_first_place(2, 3)


def test_a_decoy_is_attended_but_unused_and_nothing_else_is() -> None:
    model = Decoy()
    game = play(model, None)
    shares, values = attention_shares(model, None), values_of(game.v)
    assert np.array_equal(np.sign(game.full), model.truth)
    assert shares[:, 1].min() > 0.85 and (shares[:, 0] == 0).all()
    assert np.abs(values[:, 1]).max() < 0.01 * np.abs(values[:, 2]).min()
    found = agreement(shares, values, names=game.names)
    assert found.unused == ("decoy",) and found.agrees is False
    assert '"decoy" got 94% of the attention and 0% of the worth: attended but unused' in found.text


def test_the_decoy_makes_attention_a_bad_ranking_and_shapley_a_good_one() -> None:
    model = Decoy()
    game = play(model, None)
    curves = deletion_curves(game, {"attention": attention_shares(model, None)}, measure="nearness")
    rows = {row["ranking"]: row for row in curves.rows()}
    assert rows["Shapley"]["better"] is True and rows["attention"]["better"] is False
    assert rows["attention"]["deletion_gain"] < 0 and rows["attention"]["insertion_gain"] < 0
    worse = curves.compared("attention", "Shapley")
    assert worse["deletion"] < -2 * worse["deletion_error"] and worse["insertion"] < -2 * worse["insertion_error"]
    erased = {row["ranking"]: row for row in eraser(game, {"attention": attention_shares(model, None)}).rows()}
    assert set(erased) == {"Shapley", "leave-one-out", "attention", "random"}


def test_the_choice_of_the_decoy_matters_little_when_its_weight_goes_to_the_signal() -> None:
    """The norm after the answer makes a small and a large one equal: dealing and evening out change nothing."""
    model = Decoy()
    assert attention_permutation(model, None).median < 0.05
    told = play(model, None).full + np.random.default_rng(0).normal(size=N)
    found = uniform_attention(model, None, told)
    assert found.needed is False and found.text.endswith("attention is not needed here")


# --- noise ----------------------------------------------------------------------------------------


def test_noise_is_attended_but_unused() -> None:
    rng = np.random.default_rng(0)
    X = {m: rng.normal(size=(200, 3)) for m in ("text", "audio", "noise")}
    y = 2 * X["text"][:, 0] + 1.5 * X["audio"][:, 0] + 0.3 * rng.normal(size=200)
    train, test = ({m: v[part] for m, v in X.items()} for part in (slice(0, 150), slice(150, 200)))
    model = FusionRegressor("self", d_model=16, n_heads=2, n_members=2, max_epochs=12).fit(train, y[:150])
    assert model.score(test, y[150:]) > 0.9
    game = play(model, test)
    found = agreement(attention_shares(model, test), values_of(game.v), names=game.names)
    assert found.unused == ("noise",)
    assert found.attention[2] > 0.2 and found.worth[2] < 0.06


# --- two that count only together -----------------------------------------------------------------


class Pair(Built):
    """The answer is a * b: both reach one token, whose feed-forward step multiplies them; c adds its own."""

    def __init__(self) -> None:
        rng = np.random.default_rng(0)
        X = {m: rng.choice([-1.0, 1.0], (N, 1)) for m in ("a", "b", "c", "idle")}
        network = FusionNetwork("none", dict.fromkeys(X, 1), d_model=8, n_heads=1, pool="concat")
        super().__init__(Samples(X), network)
        self.X = X

    def build(self, network: Any) -> None:
        for encoder in network.encoders:
            encoder.project.weight[0], encoder.project.weight[1] = 1.0, -1.0
        # the norm leaves +-2 in place 0 of each modality; |a + b| / 4 - |a - b| / 4 is their product, of size 1
        for row, (u, v) in enumerate([(1.0, 1.0), (-1.0, -1.0), (1.0, -1.0), (-1.0, 1.0)]):
            self.module.hidden.weight[row, 0], self.module.hidden.weight[row, 8] = u, v
            self.module.weight[0, row, 0] = 0.5 if row < 2 else -0.5
        self.module.hidden.weight[4, 16], self.module.hidden.weight[5, 16] = 1.0, -1.0
        self.module.weight[0, 4, 0], self.module.weight[0, 5, 0] = 0.5, -0.5


def test_a_pair_that_counts_only_together_is_recognised_by_its_interaction() -> None:
    model = Pair()
    game = play(model, None)
    a, b, c = (model.X[m][:, 0] for m in "abc")
    assert np.array_equal(np.sign(game.full), np.sign(2 * a * b + c))
    size = np.abs(interactions_of(game.v)).mean(0)
    pairs = sorted(combinations(range(4), 2), key=lambda pair: -size[pair])
    assert pairs[0] == (0, 1)
    assert size[0, 1] > 1.0 and all(size[pair] < 1e-9 for pair in pairs[1:])
    values = values_of(game.v)
    assert values[:, 0] == pytest.approx(values[:, 1]) and (values[:, 3] == 0).all()
    assert infidelity(game, values).share > 0.05, "a sum cannot account for a product"


def test_a_trained_pair_stands_out() -> None:
    rng = np.random.default_rng(0)
    X = {m: rng.choice([-1.0, 1.0], (150, 1)) + 0.1 * rng.normal(size=(150, 1)) for m in ("text", "audio", "image")}
    y = X["text"][:, 0] * X["image"][:, 0] + 0.5 * X["audio"][:, 0]
    model = FusionRegressor("self", d_model=16, n_heads=2, n_members=1, max_epochs=25, lr=1e-2, dropout=0.0).fit(X, y)
    assert model.score(X, y) > 0.9
    size = np.abs(interactions_of(play(model, X).v)).mean(0)
    assert size[0, 2] > 2 * max(size[0, 1], size[1, 2])


# --- an event that a word asks for ----------------------------------------------------------------

FRAMES, AT, LENGTH, RATE = 200, 120, 20, 10.0


class Event(Built):
    """word -> video: the word's query fits the frames that carry its marker; the answer is the sign they carry."""

    def __init__(self, word: int) -> None:
        rng = np.random.default_rng(word)
        video = 0.2 * rng.normal(size=(N, FRAMES, 3))
        self.truth = rng.choice([-1.0, 1.0], N)
        other = rng.choice([-1.0, 1.0], N)
        for start, marker, sign in ((AT, word, self.truth), (40, 1 - word, other)):
            video[:, start : start + LENGTH, marker] += 2.0
            video[:, start : start + LENGTH, 2] += 2.0 * sign[:, None]
        X = {"word": np.tile(np.eye(2)[word], (N, 1)), "video": video}
        network = FusionNetwork("word -> video", {"word": 2, "video": 3}, d_model=8, n_heads=1, pool="concat")
        super().__init__(Samples(X), network)

    def build(self, network: Any) -> None:
        word, video = (encoder.project for encoder in network.encoders)
        for k in (0, 1):  # marker k stands in places 2k and 2k + 1, the sign in 4 and 5
            word.weight[2 * k, k], word.weight[2 * k + 1, k] = 1.0, -1.0
            video.weight[2 * k, k], video.weight[2 * k + 1, k] = 1.0, -1.0
        video.weight[4, 2], video.weight[5, 2] = 1.0, -1.0
        video.bias[6], video.bias[7] = 2.0, -2.0  # what every frame shows, or the norm would blow up a quiet one
        attention = network.layers[0].attention[0]
        attention.q_proj.weight.copy_(3 * torch.eye(8))
        attention.k_proj.weight[:4, :4] = torch.eye(4)
        attention.v_proj.weight[4, 4] = attention.v_proj.weight[5, 5] = 1.0
        attention.out_proj.weight.copy_(torch.eye(8))
        self.read_first_place(4, 5)

    def weights(self) -> np.ndarray:
        module, feed = self.prepared(None)
        with torch.no_grad():
            fused = module(*feed.batch(np.arange(N)), need_weights=True).fused
        (weights,) = fused.weights.values()
        return weights[:, 0, 0].numpy()


@pytest.mark.parametrize("word", [0, 1])
def test_the_peak_of_a_word_lies_in_the_event_it_asks_for_and_the_seconds_are_right(word: int) -> None:
    model = Event(word)
    weights = model.weights()
    assert weights.shape == (N, FRAMES) and np.allclose(weights.sum(1), 1.0)
    peak = weights.argmax(1)
    assert ((peak >= AT) & (peak < AT + LENGTH)).all()
    for sample in (0, 17):
        seen = timeline(model, None, query="word", context="video", sample=sample, seconds=1 / RATE, labels=["dog"])
        start, weight = seen.peak("dog")
        assert start == pytest.approx(peak[sample] / RATE) and 12.0 <= start <= 13.9
        assert weight == pytest.approx(weights[sample].max()) and weight > 5 * seen.uniform
    assert weights[:, AT : AT + LENGTH].sum(1).min() > 0.8
    assert weights[:, 40 : 40 + LENGTH].sum(1).max() < 0.05, "the other event is not looked at"
    assert np.array_equal(np.sign(play(model, None).full), model.truth)


def test_the_event_needs_attention() -> None:
    model = Event(0)
    found = uniform_attention(model, None, 2 * model.truth)
    assert found.needed is True
    assert attention_permutation(model, None, repeats=3).median > 0.5
