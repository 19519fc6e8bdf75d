"""The additive projection: the paper's example, an analysis of variance by hand, and models that are additive."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from intermodal.data.samples import Samples
from intermodal.errors import InputError
from intermodal.explain.additive import additive_part, emap
from intermodal.learn.estimators import FusionClassifier
from intermodal.learn.feed import Feed

N = 11


class Scripted(nn.Module):
    """A regression that is a function of the values it sees, zero where a modality is missing."""

    def __init__(self, samples: Samples, say: Callable[[dict[str, Tensor]], Tensor]) -> None:
        super().__init__()
        self.network = SimpleNamespace(names=samples.names)
        self.samples, self.say, self.asked = samples, say, 0

    def forward(self, x: dict[str, Tensor], present: dict[str, Tensor]) -> Any:
        self.asked += len(next(iter(x.values())))
        seen = {n: v * present[n].unsqueeze(-1) if n in present else v for n, v in x.items()}
        return SimpleNamespace(outputs=self.say(seen))

    def prepared(self, X: Any) -> tuple[nn.Module, Feed]:
        return self, Feed(self.samples, dtype=torch.float64)

    def to_prediction(self, outputs: Tensor) -> np.ndarray:
        return outputs.numpy()


class Classes(Scripted):
    classes_ = np.array(["no", "so", "yes"])

    def to_prediction(self, outputs: Tensor) -> np.ndarray:
        return outputs.log_softmax(-1).exp().mean(1).numpy()


def drawn(m: int, *, missing: bool = False, seed: int = 0) -> Samples:
    rng = np.random.default_rng(seed)
    return Samples(
        {f"m{j}": [None if missing and (i + j) % 4 == 1 else rng.normal(size=2) for i in range(N)] for j in range(m)}
    )


def test_the_example_of_the_paper() -> None:
    logits = np.array([[-1.3, 0.3, -0.2], [0.8, 3.0, 1.1], [1.1, -0.1, 0.7]])
    assert additive_part(logits) == pytest.approx([-0.8, 2.1, 0.5], abs=1e-12)


@given(st.integers(1, 6), st.integers(0, 2**31))
def test_the_projection_is_the_least_squares_sum_of_a_row_and_a_column_term(n: int, seed: int) -> None:
    scores = np.random.default_rng(seed).normal(size=(n, n, 2))
    design = np.zeros((n * n, 2 * n))
    for i in range(n):
        for j in range(n):
            design[i * n + j, [i, n + j]] = 1
    fitted = (design @ np.linalg.lstsq(design, scores.reshape(n * n, 2), rcond=None)[0]).reshape(n, n, 2)
    assert np.allclose(additive_part(scores), fitted[np.arange(n), np.arange(n)], atol=1e-9)
    assert np.allclose(additive_part(fitted), additive_part(scores), atol=1e-9), "projecting twice is projecting once"


def test_two_modalities_by_the_loop() -> None:
    samples = drawn(2, missing=True)
    model = Scripted(samples, lambda x: (x["m0"] * x["m1"]).sum(1) + torch.sin(x["m0"][:, 0]) + x["m1"][:, 1])
    a, b = (samples.modality(n).values * samples.modality(n).present[:, None] for n in samples.names)
    pairs = np.array([[(p * q).sum() + np.sin(p[0]) + q[1] for q in b] for p in a])
    found = emap(model, None, batch_size=7)
    assert np.allclose(found.additive, pairs.mean(1) + pairs.mean(0) - pairs.mean(), atol=1e-12)
    assert np.allclose(found.full, np.diag(pairs), atol=1e-12)
    assert found.share == pytest.approx(1 - ((found.full - found.additive) ** 2).mean() / found.full.var())
    assert found.evaluations == model.asked == N * N
    assert (found.predictions == found.additive).all() and found.model_score is found.additive_score is None


def test_three_modalities_by_the_loop() -> None:
    samples = drawn(3)
    model = Scripted(samples, lambda x: x["m0"][:, 0] * x["m1"][:, 0] * x["m2"][:, 0] + x["m2"][:, 1])
    x = np.stack([samples.modality(n).values for n in samples.names])  # (M, N, 2)
    terms = np.zeros((3, N))
    for m in range(3):
        for i in range(N):
            mixed = x.copy()
            mixed[m] = x[m, i]
            terms[m, i] = (mixed[0, :, 0] * mixed[1, :, 0] * mixed[2, :, 0] + mixed[2, :, 1]).mean()
    wanted = terms.mean() + sum(terms[m] - terms[m].mean() for m in range(3))
    found = emap(model, None)
    assert np.allclose(found.additive, wanted, atol=1e-12)
    assert found.evaluations == model.asked == 3 * N * N


@settings(deadline=None, max_examples=20)
@given(st.integers(1, 4), st.booleans(), st.integers(0, 2**31))
def test_an_additive_model_is_its_own_projection(m: int, missing: bool, seed: int) -> None:
    samples = drawn(m, missing=missing, seed=seed)
    model = Scripted(samples, lambda x: 5 + sum(torch.exp(v[:, 0]) - v[:, 1].square() for v in x.values()))
    found = emap(model, None)
    assert np.allclose(found.additive, found.full, atol=1e-10)
    assert found.share == pytest.approx(1.0)


def additive_logits(x: dict[str, Tensor]) -> Tensor:
    a, b = x["m0"], x["m1"]
    return torch.stack([a[:, 0] + b[:, 0], 2 * a[:, 1], b[:, 1] - a[:, 0]], 1)[:, None]


def test_a_classifier_whose_logits_add_up_is_its_own_projection() -> None:
    model = Classes(drawn(2), additive_logits)
    found = emap(model, None)
    assert np.allclose(found.additive, found.full, atol=1e-12)
    outputs = model(*model.prepared(None)[1].batch(np.arange(N))).outputs
    assert np.allclose(found.predictions, model.to_prediction(outputs), atol=1e-12)
    assert np.allclose(found.full, (outputs - outputs.mean(-1, keepdim=True))[:, 0].numpy(), atol=1e-12)


def test_a_product_has_no_additive_part_and_scores_say_so() -> None:
    """Who must see both sides, and whose additive part does no better than a guess."""
    signs = np.array([(a, b) for a in (-1.0, 1.0) for b in (-1.0, 1.0)] * 25)
    samples = Samples({"m0": signs[:, :1], "m1": signs[:, 1:]})
    y = np.where(signs.prod(1) > 0, "yes", "no")
    model = Classes(
        samples, lambda x: 3 * torch.cat([-x["m0"] * x["m1"], 0 * x["m0"] - 9, x["m0"] * x["m1"]], 1)[:, None]
    )
    found = emap(model, None, y)
    assert found.model_score == 1.0
    assert found.additive_score is not None and found.additive_score <= 0.5
    assert found.share is not None and found.share < 0.1


def test_scores_of_a_regression_are_r2() -> None:
    samples = drawn(2)
    model = Scripted(samples, lambda x: x["m0"][:, 0] + x["m1"][:, 0])
    y = samples.modality("m0").values[:, 0] + samples.modality("m1").values[:, 0]
    found = emap(model, None, y)
    assert found.model_score == pytest.approx(1.0) and found.additive_score == pytest.approx(1.0)
    off = emap(model, None, y + np.arange(N))
    assert off.model_score == pytest.approx(1 - (np.arange(N) ** 2).sum() / ((y + np.arange(N)).var() * N))


def test_a_constant_model_has_no_share_and_says_why() -> None:
    found = emap(Scripted(drawn(2), lambda x: 0 * x["m0"][:, 0] + 2), None)
    assert found.share is None
    assert found.reason == "the model says the same of every sample, so there is nothing to explain"
    assert emap(Scripted(drawn(2), lambda x: x["m0"][:, 0]), None).reason is None


def test_more_samples_than_the_cap_are_refused_before_anything_is_asked() -> None:
    model = Scripted(drawn(2), lambda x: x["m0"][:, 0])
    with pytest.raises(InputError) as error:
        emap(model, None, cap=10)
    assert str(error.value) == (
        "every pair of samples is asked, so there are at most cap=10 of them, however: 11; give fewer, or a higher cap"
    )
    assert model.asked == 0
    with pytest.raises(InputError):
        emap(Scripted(drawn(2)[:0], lambda x: x["m0"][:, 0]), None)


def test_a_fitted_classifier_with_sequences_and_gaps() -> None:
    rng = np.random.default_rng(0)
    X = {
        "text": rng.normal(size=(N, 3)),
        "video": [None if i % 5 == 2 else rng.normal(size=(1 + i % 4, 2)) for i in range(N)],
    }
    y = np.where(X["text"][:, 0] > 0, "up", "down")
    model = FusionClassifier(d_model=8, n_heads=2, n_members=2, max_epochs=3).fit(X, y)
    found = emap(model, X, y)
    p = model.predict_proba(X)
    assert np.allclose(found.full, np.log(p) - np.log(p).mean(1, keepdims=True), atol=1e-9)
    assert found.model_score == pytest.approx(model.score(X, y))
    assert found.predictions.shape == (N, 2) and np.allclose(found.predictions.sum(1), 1.0)
    lacks = [i for i in range(N) if X["video"][i] is None]
    mixed = {"text": X["text"][[lacks[0]] * N], "video": X["video"]}
    q = model.predict_proba(mixed)
    row = (np.log(q) - np.log(q).mean(1, keepdims=True)).mean(0)
    mixed = {"text": X["text"], "video": [None] * (N - 1) + [np.ones((1, 2))]}
    q = model.predict_proba(mixed)
    q[-1] = model.predict_proba({"text": X["text"]})[-1]
    column = (np.log(q) - np.log(q).mean(1, keepdims=True)).mean(0)
    everything = found.additive[lacks[0]] - row - column
    other = found.additive[lacks[1]]
    q = model.predict_proba({"text": X["text"][[lacks[1]] * N], "video": X["video"]})
    assert np.allclose(other, (np.log(q) - np.log(q).mean(1, keepdims=True)).mean(0) + column + everything, atol=1e-9)
