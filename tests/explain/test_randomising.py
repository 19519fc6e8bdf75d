"""Explanations of random models beside the trained one's: what is drawn anew, when, and what it is compared with."""

import functools
from typing import Any

import numpy as np
import pytest
import torch
from scipy import stats

from intermodal.errors import InputError
from intermodal.explain.looking import EVEN
from intermodal.explain.randomising import BY_DESIGN, Randomised, data_randomisation, model_randomisation
from intermodal.explain.randomising import _redraw as redraw
from intermodal.explain.randomising import _stages as stages_of
from intermodal.explain.refitting import refitted
from intermodal.explain.shapley_values import shapley
from intermodal.learn.estimators import FusionClassifier, FusionRegressor
from intermodal.learn.feed import Feed
from intermodal.learn.model import FusionModel
from intermodal.nn.network import FusionNetwork

N = 61
QUICK: dict[str, Any] = {"d_model": 8, "n_heads": 2, "n_members": 2, "max_epochs": 15, "lr": 1e-2, "experts": False}


def samples() -> tuple[dict[str, Any], np.ndarray]:
    rng = np.random.default_rng(0)
    X: dict[str, Any] = {n: rng.normal(size=(N, 3)) for n in ("a", "b", "c")}
    y = 3 * X["a"][:, 0] + X["b"][:, 0]
    return X | {"d": [None if i % 7 == 3 else rng.normal(size=(2, 2)) for i in range(N)]}, y


@functools.cache
def fitted(fusion: str = "self", kind: str = "number", **options: Any) -> Any:
    X, y = samples()
    if kind == "class":
        return FusionClassifier(fusion, **QUICK | options).fit(X, np.digitize(y, [-1, 1]))
    return FusionRegressor(fusion, **QUICK | options).fit(X, y)


def state(model: Any) -> dict[str, torch.Tensor]:
    return {k: v.clone() for k, v in model.model_.state_dict().items()}


# --- what is drawn anew ---------------------------------------------------------------------------


@pytest.mark.parametrize("missing", ["mask", "token"])
@pytest.mark.parametrize("pool", ["mean", "attention"])
def test_each_stage_draws_its_own_numbers_and_no_others(missing: str, pool: str) -> None:
    network = FusionNetwork(
        "self", {"a": 3, "b": 2}, d_model=8, n_layers=2, n_members=2, missing=missing, pool=pool, encoder={"b": "gru"}
    )
    model = FusionModel(network, 2)
    with torch.no_grad():
        for tensor in model.state_dict().values():
            tensor.copy_(torch.rand_like(tensor) + 1)  # nothing stands at a value that drawing could give back
    assert stages_of(model) == ("head", "layer 2", "layer 1", "encoders")
    wanted = {
        "head": lambda k: not k.startswith("network.") or k.startswith(("network.norm.", "network.pool.")),
        "layer 2": lambda k: k.startswith("network.layers.1."),
        "layer 1": lambda k: k.startswith("network.layers.0."),
        "encoders": lambda k: k.startswith(("network.encoders.", "network.absent.", "network.member_scale")),
    }
    for stage, mine in wanted.items():
        before = {k: v.clone() for k, v in model.state_dict().items()}
        with torch.no_grad():
            redraw(model, stage)
        changed = {k for k, v in model.state_dict().items() if not torch.equal(v, before[k])}
        assert changed == {k for k in before if mine(k)}, stage
    assert {"coef", "intercept", "weight", "bias", "hidden.weight"} <= {k for k in before if wanted["head"](k)}


def test_what_has_no_rule_of_its_own_is_drawn_with_its_size() -> None:
    model = FusionModel(FusionNetwork("self", {"a": 300}, d_model=8), 7)
    model.coef.normal_(5.0, 1.0)
    torch.manual_seed(0)
    with torch.no_grad():
        redraw(model, "head")
    assert abs(float(model.coef.mean())) < 0.5
    assert float(model.coef.square().mean().sqrt()) == pytest.approx(26**0.5, rel=0.1)


def test_the_model_and_the_luck_of_its_user_are_not_touched() -> None:
    model, (X, y) = fitted(), samples()
    before, luck = state(model), torch.random.get_rng_state()
    model_randomisation(model, X, draws=1)
    assert torch.equal(torch.random.get_rng_state(), luck)
    data_randomisation(model, X, y)
    assert all(torch.equal(before[k], v) for k, v in state(model).items())


# --- the cascade ----------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["number", "class"])
def test_attention_does_not_see_the_head_and_the_text_says_so(kind: str) -> None:
    found = model_randomisation(fitted(kind=kind, n_layers=2), samples()[0], draws=3)
    assert found.stages == ("head", "layer 2", "layer 1", "encoders") and found.draws == 3
    assert found.attention[0] == pytest.approx(1.0, abs=1e-12)
    assert (found.attention[1:] < 0.9).all() and abs(found.shapley[0]) < 0.9
    assert BY_DESIGN in found.text and "attention does not see the head" in BY_DESIGN
    assert all(stage in found.text for stage in found.stages)


def test_the_explanations_of_a_trained_model_are_lost_with_its_weights() -> None:
    found = model_randomisation(fitted(), samples()[0], draws=10)
    assert abs(found.shapley[-1]) < 0.2 and found.passed["shapley"] is True
    assert (found.shapley_std > 0).all()


def test_the_line_to_the_answer_goes_with_the_head() -> None:
    """A model whose network is silent is all line: were the line kept, its explanation would stay the same."""
    model = fitted()
    silent = refitted(model, *samples())
    with torch.no_grad():
        silent.model_.weight.zero_()
        silent.model_.bias.zero_()
    found = model_randomisation(silent, samples()[0], draws=5)
    assert found.shapley[0] < 0.6
    assert np.allclose(found.shapley, found.shapley[0]), "what comes after the head has no say"


def test_the_correlation_is_the_mean_over_samples_outputs_and_draws() -> None:
    """The last stage of one draw, worked out with a model of our own."""
    model, (X, _) = fitted(kind="class"), samples()
    found = model_randomisation(model, X, draws=1, seed=5)
    module, feed = model.prepared(X)
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(5)
        for stage in stages_of(module):
            redraw(module, stage)

    class Random:
        def prepared(self, X: Any) -> tuple[Any, Feed]:
            return module, feed

        def to_prediction(self, outputs: torch.Tensor) -> np.ndarray:
            return model.to_prediction(outputs)

    own, other = shapley(model, X).values, shapley(Random(), X).values
    correlations = []
    for i in range(N):
        there = [j for j in range(4) if j != 3 or X["d"][i] is not None]
        each = [stats.spearmanr(own[i, there, o], other[i, there, o]).statistic for o in range(3)]
        correlations.append(np.mean(each))
    assert found.shapley[-1] == pytest.approx(np.mean(correlations), abs=1e-9)


def test_one_seed_gives_one_result_and_another_another() -> None:
    model, X = fitted(), samples()[0]
    one, same, other = (model_randomisation(model, X, draws=2, seed=s) for s in (0, 0, 7))
    assert np.array_equal(one.shapley, same.shapley) and np.array_equal(one.attention, same.attention)
    assert not np.array_equal(one.shapley, other.shapley)


def test_where_attention_does_not_choose_it_is_said() -> None:
    found = model_randomisation(fitted("a <-> b, c <-> d"), samples()[0], draws=1)
    assert found.attention is None and found.text.endswith(EVEN)
    assert found.passed["attention"] is None


def test_an_explanation_that_stays_is_told() -> None:
    found = Randomised(
        ("head", "encoders"), np.array([0.9, 0.5]), np.zeros(2), np.array([1.0, 0.1]), np.zeros(2), 3, 0.2
    )
    assert found.passed == {"shapley": False, "attention": True}
    lines = found.text.splitlines()
    assert lines[0] == (
        "Shapley values: correlation with the trained model, head 0.90, encoders 0.50: it stays alike (0.2 or more at "
        "the end), so it tells of the samples and the network's shape too"
    )
    assert lines[1].endswith("head 1.00, encoders 0.10: it changes with the model (below 0.2 at the end)")
    flat = Randomised(("head",), np.array([np.nan]), np.zeros(1), None, None, 1, 0.2)
    assert flat.passed["shapley"] is None
    assert flat.text.splitlines()[0] == "Shapley values: no modality ranks before another, so nothing can be compared"


# --- shuffled labels ------------------------------------------------------------------------------


def test_a_model_of_shuffled_labels_is_explained_otherwise() -> None:
    X, y = samples()
    told: list[tuple[int, int, str]] = []
    found = data_randomisation(fitted(), X, y, repeats=3, progress=lambda *said: told.append(said))
    assert found.stages == ("shuffled labels",) and found.limit == 0.3
    assert abs(found.shapley[0]) < 0.3 and found.passed["shapley"] is True
    assert told == [(0, 3, "shuffled labels"), (1, 3, "shuffled labels"), (2, 3, "shuffled labels"), (3, 3, "done")]
    assert BY_DESIGN not in found.text


def test_the_labels_are_those_of_the_model_shuffled_and_its_parameters_its_own() -> None:
    X, y = samples()
    model = fitted()
    by_hand = FusionRegressor("self", **QUICK).fit(X, y[np.random.default_rng(0).permutation(N)])
    own, other = shapley(model, X).values, shapley(by_hand, X).values
    there = np.array([[True, True, True, v is not None] for v in X["d"]])
    wanted = [stats.spearmanr(own[i, t], other[i, t]).statistic for i, t in enumerate(there)]
    assert data_randomisation(model, X, y).shapley[0] == pytest.approx(np.mean(wanted), abs=1e-9)


def test_a_refit_is_the_same_fit_and_calls_nobody() -> None:
    X, y = samples()
    lines: list[Any] = []
    model = FusionRegressor("self", **QUICK, callback=lines.append).fit(X, y)
    heard = len(lines)
    assert heard > 0
    again = refitted(model, X, y)
    assert len(lines) == heard and again is not model
    assert np.array_equal(again.predict(X), model.predict(X))
    assert refitted(model, X, y, seed=7).seed == 7


# --- what is refused ------------------------------------------------------------------------------


def test_what_cannot_be_randomised_is_refused() -> None:
    X, y = samples()
    alone = FusionRegressor("self", **QUICK).fit({"a": X["a"]}, y)
    cases: list[tuple[Any, str]] = [
        (lambda: model_randomisation(fitted(), X, draws=0), "draws is at least 1, however: draws=0"),
        (lambda: data_randomisation(fitted(), X, y, repeats=0), "repeats is at least 1, however: repeats=0"),
        (
            lambda: model_randomisation(alone, {"a": X["a"]}),
            "explanations rank at least two modalities, however: no sample has more than one",
        ),
        (
            lambda: data_randomisation(fitted(), X),
            "the target is needed here, however: y is None and the samples carry none",
        ),
        (
            lambda: data_randomisation(fitted(), X, y[:5]),
            "y holds one target for each sample, however: y.shape=(5,), 61 samples",
        ),
        (
            lambda: model_randomisation({}, X),
            "a fitted FusionClassifier or FusionRegressor is explained, however: dict",
        ),
        (
            lambda: refitted(object(), X, y),
            "an estimator with get_params and fit is fitted anew, however: object",
        ),
    ]
    for call, sentence in cases:
        with pytest.raises(InputError) as error:
            call()
        assert str(error.value) == sentence
    with pytest.raises(InputError, match=r"^FusionRegressor takes sead, however: its parameters are \["):
        refitted(fitted(), X, y, sead=3)
