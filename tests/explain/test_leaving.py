"""Leaving a modality out, and shuffling it: against plain loops, against Shapley values, and where both mislead."""

from collections import Counter
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.metrics import r2_score
from torch import Tensor, nn

from intermodal.data.samples import Samples
from intermodal.errors import DataError, InputError
from intermodal.explain.coalitions import play
from intermodal.explain.leaving import leave_one_out, left_out_of, permutation_importance
from intermodal.explain.shapley_values import shapley_of
from intermodal.learn.estimators import FusionClassifier
from intermodal.learn.feed import Feed

N = 29


class Scripted(nn.Module):
    """A model that is a function of the values it sees, zero where a modality is missing."""

    def __init__(self, samples: Samples, say: Callable[[dict[str, Tensor]], Tensor]) -> None:
        super().__init__()
        self.network = SimpleNamespace(names=samples.names)
        self.samples, self.say = samples, say
        self.asked: Counter[tuple[int, ...]] = Counter()

    def forward(self, x: dict[str, Tensor], present: dict[str, Tensor]) -> Any:
        there = {n: present.get(n, torch.ones(v.shape[:-1], dtype=torch.bool)) for n, v in x.items()}
        self.asked.update(tuple(row) for row in torch.stack([there[n].long() for n in x], 1).tolist())
        return SimpleNamespace(outputs=self.say({n: v * there[n].unsqueeze(-1) for n, v in x.items()}))

    def prepared(self, X: Any) -> tuple[nn.Module, Feed]:
        return self, Feed(self.samples, dtype=torch.float64)

    def to_prediction(self, outputs: Tensor) -> np.ndarray:
        return outputs.numpy()


class Classes(Scripted):
    classes_ = np.array(["no", "yes"])

    def to_prediction(self, outputs: Tensor) -> np.ndarray:
        return outputs.log_softmax(-1).exp().mean(1).numpy()


def drawn(m: int, *, missing: bool = False, n: int = N) -> Samples:
    rng = np.random.default_rng(0)
    return Samples(
        {f"m{j}": [None if missing and (i + j) % 4 == 1 else rng.normal(size=2) for i in range(n)] for j in range(m)}
    )


def mixing(x: dict[str, Tensor]) -> Tensor:
    return x["m0"][:, 0] * x["m1"][:, 0] + x["m1"][:, 1] + 3 * x["m2"][:, 0].sin()


# --- leaving one out ------------------------------------------------------------------------------


@pytest.mark.parametrize("missing", [False, True], ids=["whole", "with gaps"])
def test_leaving_one_out_is_the_difference_to_everything(missing: bool) -> None:
    samples = drawn(3, missing=missing)
    model = Scripted(samples, mixing)
    found = leave_one_out(model, None)
    x = {n: torch.from_numpy(samples.modality(n).values * samples.modality(n).present[:, None]) for n in samples.names}
    full = mixing(x).numpy()
    for i, name in enumerate(samples.names):
        without = mixing({n: 0 * v if n == name else v for n, v in x.items()}).numpy()
        assert np.allclose(found.values[:, i], full - without, atol=1e-12)
        assert (found.values[~samples.modality(name).present, i] == 0.0).all()
    assert np.allclose(found.full, full) and found.names == samples.names
    assert (found.removal, found.of, found.evaluations) == ("mask", "prediction", 4)


def test_only_the_subsets_without_one_are_asked() -> None:
    model = Scripted(drawn(13), lambda x: sum(v.sum(1) for v in x.values()))
    found = leave_one_out(model, None, batch_size=5)
    assert found.evaluations == len(model.asked) == 14
    assert all(sum(seen) >= 12 for seen in model.asked) and set(model.asked.values()) == {N}
    terms = np.stack([model.samples.modality(n).values.sum(1) for n in model.samples.names], 1)
    assert np.allclose(found.values, terms, atol=1e-12)


@pytest.mark.parametrize("rule", ["mask", "permute"])
def test_it_is_read_from_a_game_alike(rule: str) -> None:
    model = Scripted(drawn(3, missing=True), mixing)
    game = play(model, None, removal=rule, donors=4)
    found = leave_one_out(model, None, removal=rule, donors=4)
    assert np.allclose(left_out_of(game).values, found.values, atol=1e-12)
    assert left_out_of(game).removal == found.removal == rule


def test_with_several_outputs() -> None:
    model = Scripted(drawn(2), lambda x: torch.cat([x["m0"], x["m1"]], 1))
    found = leave_one_out(model, None)
    assert found.values.shape == (N, 2, 4)
    assert (found.values[:, 0, 2:] == 0).all() and (found.values[:, 1, :2] == 0).all()


def test_in_an_additive_model_all_measures_are_one() -> None:
    model = Scripted(drawn(4), lambda x: 2 + sum((i + 1) * v.sum(1) for i, v in enumerate(x.values())))
    game = play(model, None)
    values = shapley_of(game)
    alone = np.stack([game.said(n) - game.empty for n in game.names], 1)
    assert np.allclose(values.values, left_out_of(game).values, atol=1e-12)
    assert np.allclose(values.values, alone, atol=1e-12)
    assert np.abs(values.interactions).max() <= 1e-12


def test_what_two_modalities_both_say_is_missed_by_leaving_one_out() -> None:
    samples = drawn(1)
    twice = Samples({"m0": samples.modality("m0").values, "m1": samples.modality("m0").values})
    model = Scripted(twice, lambda x: torch.maximum(x["m0"][:, 0].abs(), x["m1"][:, 0].abs()))
    game = play(model, None)
    assert (left_out_of(game).values == 0.0).all()
    assert np.allclose(shapley_of(game).values, game.full[:, None] / 2)


def test_leaving_out_needs_a_sample() -> None:
    with pytest.raises(InputError):
        leave_one_out(Scripted(drawn(2)[:0], mixing), None)


# --- shuffling ------------------------------------------------------------------------------------


def test_shuffling_by_the_loop() -> None:
    samples = drawn(3, missing=True)
    model = Scripted(samples, mixing)
    y = mixing({n: torch.tensor(samples.modality(n).values) for n in samples.names}).numpy() + np.linspace(0, 1, N)
    found = permutation_importance(model, None, y, repeats=3, seed=5, batch_size=11)
    rng = np.random.default_rng(5)
    x = {n: samples.modality(n).values * samples.modality(n).present[:, None] for n in samples.names}

    def say(values: dict[str, np.ndarray]) -> np.ndarray:
        return mixing({n: torch.from_numpy(v) for n, v in values.items()}).numpy()

    before = say(x)
    assert found.score == pytest.approx(r2_score(y, before)) and found.loss == pytest.approx(((y - before) ** 2).mean())
    falls, rises = np.zeros((3, 3)), np.zeros((3, 3))
    for r in range(3):
        order = rng.permutation(N)
        for i, name in enumerate(samples.names):
            after = say(x | {name: x[name][order]})
            falls[r, i] = r2_score(y, before) - r2_score(y, after)
            rises[r, i] = ((y - after) ** 2).mean() - ((y - before) ** 2).mean()
    assert np.allclose(found.score_fall, falls.mean(0), atol=1e-12)
    assert np.allclose(found.score_error, falls.std(0, ddof=1) / np.sqrt(3), atol=1e-12)
    assert np.allclose(found.loss_rise, rises.mean(0), atol=1e-12)
    assert np.allclose(found.loss_error, rises.std(0, ddof=1) / np.sqrt(3), atol=1e-12)
    assert found.share == pytest.approx([f / found.score for f in falls.mean(0)])
    assert (found.repeats, found.names) == (3, samples.names)


def test_a_modality_that_is_not_used_holds_up_nothing() -> None:
    samples = drawn(3)
    y = samples.modality("m0").values[:, 0]
    found = permutation_importance(Scripted(samples, lambda x: x["m0"][:, 0] + 0 * x["m1"][:, 0]), None, y)
    assert found.score == 1.0 and found.score_fall[0] > 0.5
    assert (found.score_fall[1:] == 0.0).all() and (found.loss_rise[1:] == 0.0).all()
    assert (found.score_error[1:] == 0.0).all()


def test_a_classifier_falls_to_chance_without_what_it_reads() -> None:
    samples = drawn(2, n=400)
    y = np.where(samples.modality("m0").values[:, 0] > 0, "yes", "no")
    samples = Samples({n: samples.modality(n) for n in samples.names}, y=y)
    model = Classes(samples, lambda x: torch.stack([-x["m0"][:, 0], x["m0"][:, 0]], 1)[:, None])
    found = permutation_importance(model, samples)
    assert found.score == 1.0 and found.score_fall[0] == pytest.approx(0.5, abs=0.05)
    assert found.share == [pytest.approx(found.score_fall[0]), 0.0]
    margin = 2 * samples.modality("m0").values[:, 0] * np.where(y == "yes", 1, -1)
    assert found.loss == pytest.approx(np.log1p(np.exp(-margin)).mean())


def test_a_score_that_is_not_above_zero_has_no_shares() -> None:
    samples = drawn(2)
    y = -10 * samples.modality("m0").values[:, 0]
    found = permutation_importance(Scripted(samples, lambda x: x["m0"][:, 0]), None, y)
    assert found.score < 0 and found.share == [None, None]


def test_several_outputs_are_scored_like_by_scikit_learn() -> None:
    samples = drawn(2)
    y = np.random.default_rng(1).normal(size=(N, 4))
    said = np.hstack([samples.modality(n).values for n in samples.names])
    found = permutation_importance(Scripted(samples, lambda x: torch.cat([x["m0"], x["m1"]], 1)), None, y)
    assert found.score == pytest.approx(r2_score(y, said)) and found.loss == pytest.approx(((y - said) ** 2).mean())


def test_a_fitted_model_is_scored_as_it_scores_itself() -> None:
    rng = np.random.default_rng(0)
    X = {
        "text": rng.normal(size=(N, 3)),
        "video": [None if i % 5 == 2 else rng.normal(size=(1 + i % 4, 2)) for i in range(N)],
    }
    y = np.where(X["text"][:, 0] > 0, "up", "down")
    model = FusionClassifier(d_model=8, n_heads=2, n_members=2, max_epochs=30, lr=1e-2).fit(X, y)
    found = permutation_importance(model, X, y, repeats=2)
    assert found.score == pytest.approx(model.score(X, y))
    assert found.loss == pytest.approx(-np.log(model.predict_proba(X)[np.arange(N), (y == "up").astype(int)]).mean())


@pytest.mark.parametrize(
    ("n", "asked", "sentence"),
    [
        (N, {"repeats": 1}, "repeats is at least 2, so that their spread can be told, however: repeats=1"),
        (1, {}, "a modality is shuffled across at least two samples, however: 1"),
    ],
)
def test_what_cannot_be_shuffled_is_refused(n: int, asked: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InputError) as error:
        permutation_importance(Scripted(drawn(2)[:n], mixing), None, np.ones(n), **asked)
    assert str(error.value) == sentence


def test_shuffling_needs_a_target() -> None:
    with pytest.raises(DataError) as error:
        permutation_importance(Scripted(drawn(2), mixing), None)
    assert str(error.value) == 'of="loss" needs a target, however: y is None and the samples carry none'
