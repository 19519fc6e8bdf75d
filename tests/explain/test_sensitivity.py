"""Infidelity and sensitivity: against loops, against captum, and exactly nothing where nothing can be missed."""

import functools
from typing import Any

import numpy as np
import pytest
import torch
from captum.metrics import infidelity as captum_infidelity
from captum.metrics import sensitivity_max as captum_sensitivity

from intermodal.errors import InputError
from intermodal.explain.coalitions import Coalitions, play
from intermodal.explain.looking import attention_shares
from intermodal.explain.sensitivity import (
    Infidelity,
    Sensitivity,
    feature_infidelity,
    feature_sensitivity,
    infidelity,
    max_sensitivity,
)
from intermodal.explain.shapley_values import shapley, values_of
from intermodal.learn.estimators import FusionClassifier, FusionRegressor

N = 29
QUICK: dict[str, Any] = {"d_model": 8, "n_heads": 2, "n_members": 2, "max_epochs": 5, "lr": 1e-2, "experts": False}


def game(v: np.ndarray, present: Any = None) -> Coalitions:
    m, n = int(np.log2(len(v))), v.shape[1]
    there = np.ones((n, m), dtype=bool) if present is None else np.asarray(present)
    bits = (there << np.arange(m)).sum(1)
    v = v[np.arange(len(v))[:, None] & bits, np.arange(n)]
    return Coalitions(tuple("abcde"[:m]), v, "mask", there, "prediction", len(v))


def additive(adds: np.ndarray, start: float = 0.0) -> Coalitions:
    subsets = np.arange(1 << adds.shape[1])[:, None] >> np.arange(adds.shape[1]) & 1
    return game(start + subsets @ adds.T)


# --- over modalities ------------------------------------------------------------------------------


@pytest.mark.parametrize("m", [1, 2, 3, 5])
def test_an_additive_model_is_accounted_for_to_the_last_digit(m: int) -> None:
    adds = np.random.default_rng(m).normal(size=(7, m))
    table = additive(adds, start=3.0)
    found = infidelity(table, values_of(table.v))
    assert found.mean < 1e-25 and found.share == pytest.approx(0.0, abs=1e-25)
    assert found.text.startswith("infidelity ") and "misses 0.0%" in found.text
    assert infidelity(table, adds + 0.1).mean > 1e-3


@pytest.mark.parametrize("outputs", [(), (2,)])
def test_every_set_of_what_a_sample_has_is_taken_once(outputs: tuple[int, ...]) -> None:
    rng = np.random.default_rng(0)
    present = rng.random((11, 4)) < 0.7
    present[0], present[1] = False, [True, False, False, False]
    table, values = game(rng.normal(size=(16, 11, *outputs)), present), rng.normal(size=(11, 4, *outputs))
    missed, changed = np.zeros(11), np.zeros(11)
    for i in range(11):
        own = [j for j in range(4) if present[i, j]]
        everything = sum(1 << j for j in own)
        sets = [s for s in range(1, 16) if s & everything == s]
        for s in sets:
            change = table.v[everything, i] - table.v[everything - s, i]
            said = sum(values[i, j] for j in range(4) if s >> j & 1)
            missed[i] += np.sum((said - change) ** 2) / len(sets)
            changed[i] += np.sum(change**2) / len(sets)
    found = infidelity(table, values)
    assert found.squares == pytest.approx(missed, abs=1e-12) and missed[0] == 0.0
    assert found.mean == pytest.approx(missed.mean()) and found.share == pytest.approx(missed.mean() / changed.mean())


def test_an_explanation_of_zeros_misses_everything_and_a_wrong_sign_more() -> None:
    adds = np.random.default_rng(0).normal(size=(5, 3))
    table = additive(adds)
    assert infidelity(table, np.zeros((5, 3))).share == pytest.approx(1.0)
    wrong = infidelity(table, -adds)
    assert wrong.share == pytest.approx(4.0) and wrong.text.endswith("it says less than an explanation of zeros")


def test_a_fitted_model_of_a_straight_line_is_accounted_for() -> None:
    rng = np.random.default_rng(0)
    X = {n: rng.normal(size=(N, 2)) for n in "abc"}
    model = FusionRegressor("self", **QUICK).fit(X, X["a"][:, 0])
    with torch.no_grad():  # the network is silent, the line speaks
        model.model_.weight.zero_()
        model.model_.bias.zero_()
    assert infidelity(play(model, X), shapley(model, X).values).share < 1e-20


def test_a_constant_model_has_nothing_to_account_for() -> None:
    found = infidelity(game(np.full((8, 5), 2.0)), np.zeros((5, 3)))
    assert found.share is None and found.mean == 0.0
    assert found.text == "perturbing changes nothing, so there is nothing to account for"


def test_shapes_that_do_not_fit_the_table_are_refused() -> None:
    for table, shape in (
        (game(np.zeros((8, 5))), "modalities) = (5, 3)"),
        (game(np.zeros((8, 5, 2))), "outputs) = (5, 3, 2)"),
    ):
        with pytest.raises(InputError) as error:
            infidelity(table, np.zeros((5, 4)))
        assert str(error.value).endswith(f"{shape}, however: (5, 4)")
    with pytest.raises(InputError) as error:
        infidelity(game(np.zeros((4, 0))), np.zeros((0, 2)))
    assert str(error.value) == "at least one sample is explained, however: there is none"


# --- over features --------------------------------------------------------------------------------

W = np.array([1.5, -2.0, 0.5, 0.0, 3.0])


def test_a_linear_model_is_accounted_for_by_its_weights() -> None:
    x = np.random.default_rng(0).normal(size=(7, 5))
    assert feature_infidelity(lambda x: x @ W + 4, x, np.tile(W, (7, 1))).mean < 1e-25
    assert feature_infidelity(lambda x: x @ W + 4, x, np.tile(-W, (7, 1))).share == pytest.approx(4.0)


def bent(x: Any) -> Any:
    return x[:, 0] * x[:, 1] + (x[:, 2:] ** 2).sum(1)


def test_infidelity_is_that_of_captum_on_the_same_perturbations() -> None:
    rng = np.random.default_rng(0)
    x, values = rng.normal(size=(2, 7, 5))
    found = feature_infidelity(bent, x, values, spread=0.3, draws=13, seed=5)
    moved = np.random.default_rng(5).normal(0.0, 0.3, (13, 7, 5))

    def perturb(inputs: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        noise = torch.from_numpy(moved.transpose(1, 0, 2).reshape(-1, 5))  # captum repeats sample by sample
        return noise, inputs - noise

    wanted = captum_infidelity(
        bent, perturb, torch.from_numpy(x), torch.from_numpy(values), n_perturb_samples=13, normalize=False
    )
    assert found.squares == pytest.approx(wanted.numpy(), abs=1e-10)


def test_sensitivity_is_that_of_captum_on_the_same_perturbations() -> None:
    x = np.random.default_rng(0).normal(size=(7, 5))

    def explain(x: Any) -> Any:  # captum hands over a tuple of inputs, or the input itself
        return (x[0] ** 3,) if isinstance(x, tuple) else x**3

    found = feature_sensitivity(explain, x, radius=0.1, draws=11, seed=5)
    rng = np.random.default_rng(5)
    moved = np.stack([rng.uniform(-0.1, 0.1, x.shape) for _ in range(11)])

    def perturb(inputs: torch.Tensor) -> torch.Tensor:
        return inputs + torch.from_numpy(moved.transpose(1, 0, 2).reshape(-1, 5))

    wanted = captum_sensitivity(explain, torch.from_numpy(x), perturb_func=perturb, n_perturb_samples=11)
    assert found.most == pytest.approx(wanted.numpy(), abs=1e-10) and found.most.min() > 0


def test_features_that_do_not_fit_are_refused() -> None:
    cases: list[tuple[Any, str]] = [
        (
            lambda: feature_infidelity(bent, np.ones((3, 5)), np.ones((3, 4))),
            "x and values are (samples, features), the same, however: x.shape=(3, 5), values.shape=(3, 4)",
        ),
        (
            lambda: feature_infidelity(bent, np.ones((3, 5)), np.ones((3, 5)), draws=0),
            "draws and radius are positive, however: draws=0, radius=1.0",
        ),
        (
            lambda: feature_infidelity(lambda x: x, np.ones((3, 5)), np.ones((3, 5))),
            "predict gives one number for each sample, (3,), however: (3, 5)",
        ),
        (
            lambda: feature_sensitivity(lambda x: x, np.ones((3, 5)), radius=0.0),
            "draws and radius are positive, however: draws=10, radius=0.0",
        ),
        (
            lambda: max_sensitivity(fitted("cross"), samples(), attention_shares),
            "an explanation is shaken, however: this one says nothing of the model",
        ),
    ]
    for call, sentence in cases:
        with pytest.raises(InputError) as error:
            call()
        assert str(error.value) == sentence


# --- samples shaken -------------------------------------------------------------------------------


def samples() -> dict[str, Any]:
    rng = np.random.default_rng(0)
    video = [None if i % 4 == 1 else rng.normal(size=(1 + i % 3, 2)) for i in range(N)]
    return {"text": rng.normal(size=(N, 3)), "video": video, "audio": rng.normal(size=(N, 2))}


@functools.cache
def fitted(fusion: str = "self") -> FusionClassifier:
    X = samples()
    return FusionClassifier(fusion, **QUICK).fit(X, np.digitize(X["text"][:, 0], [-0.5, 0.5]))


def test_a_wider_shake_moves_an_explanation_further_and_missing_stays_missing() -> None:
    model, X = fitted(), samples()
    seen: list[np.ndarray] = []

    def explanation(model: Any, X: Any) -> np.ndarray:
        seen.append(shapley(model, X).values)
        return seen[-1]

    narrow = max_sensitivity(model, X, explanation, radius=0.01, draws=3)
    wide = max_sensitivity(model, X, radius=0.3, draws=3)
    assert len(seen) == 4 and np.allclose(seen[0], shapley(model, X).values)
    assert 0 < narrow.median < wide.median and (narrow.most > 0).all()
    gone = [v is None for v in X["video"]]
    assert all((values[gone, 1] == 0).all() for values in seen)
    length = np.sqrt((seen[0] ** 2).sum((1, 2)))
    change = np.max([np.sqrt(((values - seen[0]) ** 2).sum((1, 2))) for values in seen[1:]], 0)
    assert narrow.most == pytest.approx(change / length)


def test_the_shake_is_within_its_radius_and_in_both_directions() -> None:
    moves: list[torch.Tensor] = []

    def explanation(model: Any, X: Any) -> np.ndarray:
        moves.append(model.prepared(X)[1].batch(np.arange(N)).x["text"])
        return np.ones((N, 1))

    found = max_sensitivity(fitted(), samples(), explanation, radius=0.05, draws=4)
    shifts = torch.stack(moves[1:]) - moves[0]
    assert 0.04 < shifts.max() <= 0.05 and -0.05 <= shifts.min() < -0.04
    assert not torch.equal(shifts[0], shifts[1])
    assert (found.most == 0).all(), "an explanation that does not look is not moved"


def test_the_same_seed_shakes_alike_and_the_model_is_not_touched() -> None:
    model, X = fitted(), samples()
    before = {k: v.clone() for k, v in model.model_.state_dict().items()}
    one, same, other = (max_sensitivity(model, X, attention_shares, draws=2, seed=s) for s in (0, 0, 1))
    assert np.array_equal(one.most, same.most) and not np.array_equal(one.most, other.most)
    assert all(torch.equal(before[k], v) for k, v in model.model_.state_dict().items())


def test_the_findings_in_words() -> None:
    found = Sensitivity(np.array([0.1, np.nan, 0.3]), 0.02, 5)
    assert found.median == pytest.approx(0.2)
    assert found.text == (
        "moving every number by at most 0.02 changes the explanation by up to 20.0% in the median sample (5 draws)"
    )
    zero = feature_sensitivity(lambda x: 0 * x, np.ones((3, 2)))
    assert np.isnan(zero.most).all() and zero.text == "the explanation is zero everywhere, so there is nothing to shake"
    assert Infidelity(np.array([0.5]), 0.25).text == (
        "infidelity 0.5: the explanation misses 25.0% of what perturbing changes (squared)"
    )
