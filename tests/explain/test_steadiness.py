"""Shares of worth and of attention over seeds, and which order may be claimed."""

import functools
from typing import Any

import numpy as np
import pytest

from intermodal.data.samples import Samples
from intermodal.errors import InputError
from intermodal.explain.attention_maps import attention_map
from intermodal.explain.looking import EVEN
from intermodal.explain.shapley_values import shapley
from intermodal.explain.steadiness import SeedVariance, seed_variance
from intermodal.learn.estimators import FusionClassifier, FusionRegressor

N = 41
QUICK: dict[str, Any] = {"d_model": 8, "n_heads": 2, "n_members": 2, "max_epochs": 3, "experts": False}


def samples() -> tuple[dict[str, Any], np.ndarray]:
    rng = np.random.default_rng(0)
    X = {n: rng.normal(size=(N, 3)) for n in ("a", "b", "c")}
    return X, 3 * X["a"][:, 0] + X["b"][:, 0]


@functools.cache
def fitted(seed: int, fusion: str = "self") -> FusionRegressor:
    X, y = samples()
    return FusionRegressor(fusion, **QUICK, seed=seed).fit(X, y)


def test_each_seed_is_a_fit_of_its_own_with_its_shares() -> None:
    X, y = samples()
    told: list[tuple[int, int, str]] = []
    model = FusionRegressor("self", **QUICK, seed=11)
    found = seed_variance(model, X, y, seeds=[2, 5], progress=lambda *said: told.append(said))
    for row, seed in enumerate((2, 5)):
        worth = [w["share"] for w in shapley(fitted(seed), X).worth()]
        assert found.worth[row] == pytest.approx(worth, abs=1e-12)
        looked_at = attention_map(*fitted(seed).prepared(X)).mean.mean(0)
        assert found.attention[row] == pytest.approx(looked_at, abs=1e-12)
    assert told == [(0, 2, "seed 2"), (1, 2, "seed 5"), (2, 2, "done")]
    assert found.worth_std == pytest.approx(found.worth.std(0, ddof=1))
    assert found.attention_std == pytest.approx(found.attention.std(0, ddof=1))
    assert found.worth_std.max() > 0 and not hasattr(model, "model_") and model.seed == 11


def test_fitted_models_are_taken_as_they_are() -> None:
    X, y = samples()
    by_seed = seed_variance(FusionRegressor("self", **QUICK), X, y, seeds=2)
    by_model = seed_variance([fitted(0), fitted(1)], X)
    assert np.array_equal(by_seed.worth, by_model.worth) and np.array_equal(by_seed.attention, by_model.attention)
    assert by_model.names == ("a", "b", "c")


def test_other_samples_can_be_explained_than_those_of_the_fit() -> None:
    X, y = samples()
    few = {n: v[:7] for n, v in X.items()}
    found = seed_variance(FusionRegressor("self", **QUICK), Samples(X, y=y), seeds=2, on=few)
    assert np.array_equal(found.worth, seed_variance([fitted(0), fitted(1)], few).worth)


def test_probabilities_have_shares_too() -> None:
    X, y = samples()
    models = [FusionClassifier("self", **QUICK, seed=s).fit(X, np.digitize(y, [-1, 1])) for s in (0, 1)]
    found = seed_variance(models, X)
    assert found.worth[0] == pytest.approx([w["share"] for w in shapley(models[0], X).worth()])


def result(worth: list[list[float]], attention: Any = None) -> SeedVariance:
    return SeedVariance(("a", "b", "c"), np.array(worth), None if attention is None else np.array(attention))


def test_an_order_is_claimed_only_where_the_difference_exceeds_its_spread() -> None:
    found = result([[0.60, 0.18, 0.22], [0.50, 0.26, 0.24], [0.55, 0.23, 0.22]])
    first, second = found.claims()
    assert (first["first"], first["second"], first["claim"]) == ("a", "c", True)
    assert first["difference"] == pytest.approx(0.55 - 0.68 / 3)
    assert (second["first"], second["second"], second["claim"]) == ("c", "b", False)
    difference = np.array([0.04, -0.02, -0.01])
    assert second["difference"] == pytest.approx(difference.mean())
    assert second["std"] == pytest.approx(difference.std(ddof=1))
    assert found.text == (
        'share of worth over 3 seeds (mean ± standard deviation): "a" 0.55 ± 0.05, "c" 0.23 ± 0.01, "b" 0.22 ± 0.04; '
        'no claim that "c" is worth more than "b": the difference of 0.00 is no larger than its standard deviation '
        f"over seeds, 0.03\n{EVEN}"
    )


def test_attention_is_judged_by_its_own_shares() -> None:
    found = result([[0.6, 0.3, 0.1]] * 2, [[0.2, 0.5, 0.3], [0.5, 0.2, 0.3]])
    assert [c["claim"] for c in found.claims("worth")] == [True, True]
    assert not any(c["claim"] for c in found.claims("attention"))
    assert 'no claim that "a" is looked at more than "b"' in found.text.splitlines()[1]
    with pytest.raises(InputError) as error:
        found.claims("wroth")
    assert str(error.value) == 'claims are of worth or of attention, however: of="wroth"'


def test_models_that_say_the_same_always_have_no_shares() -> None:
    found = result([[0.6, 0.3, 0.1], [np.nan] * 3])
    assert found.claims() == []
    assert found.text == "with some seeds no modality moves the prediction, so there are no shares to compare"


def test_attention_that_does_not_choose_is_none() -> None:
    found = seed_variance([fitted(0, "cross"), fitted(1, "cross")], samples()[0])
    assert found.attention is None and found.attention_std is None and found.claims("attention") == []


def test_what_has_no_spread_is_refused() -> None:
    X, y = samples()
    other = FusionRegressor("self", **QUICK).fit({"a": X["a"], "z": X["b"]}, y)
    model = FusionRegressor("self", **QUICK)
    cases: list[tuple[Any, str]] = [
        (lambda: seed_variance(model, X, y, seeds=1), "a spread needs at least two seeds, however: seeds=1"),
        (lambda: seed_variance(model, X, y, seeds=[3, 3]), "a spread needs at least two seeds, however: seeds=[3, 3]"),
        (lambda: seed_variance([fitted(0)], X), "a spread needs at least two models, however: there are 1"),
        (
            lambda: seed_variance([fitted(0), other], {"a": X["a"]}),
            "models of one set of modalities are compared, however: ('a', 'b', 'c') and ('a', 'z')",
        ),
        (lambda: seed_variance(model, X), "the target is needed here, however: y is None and the samples carry none"),
        (
            lambda: seed_variance(object(), X, y),
            "an estimator with get_params and fit is fitted anew, however: object",
        ),
    ]
    for call, sentence in cases:
        with pytest.raises(InputError) as error:
            call()
        assert str(error.value) == sentence
