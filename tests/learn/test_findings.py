"""What `fit` finds about its own attention: kept, saved, and warned of only where the structure is sure."""

import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.base import clone

from intermodal.data.samples import Samples
from intermodal.errors import AttentionWarning, InputError, OneKeyWarning
from intermodal.learn.estimators import FusionClassifier, FusionRegressor
from intermodal.learn.saving import load

N, T = 53, 5
QUICK: dict[str, Any] = {"d_model": 8, "n_heads": 2, "n_members": 2, "max_epochs": 3}


def data(**more: Any) -> dict[str, Any]:
    rng = np.random.default_rng(0)
    return {"a": rng.normal(size=(N, 3)), "b": rng.normal(size=(N, T, 2)), **more}


def target(X: dict[str, Any]) -> np.ndarray:
    return np.asarray(X["a"][:, 0])


def ids(model: Any) -> list[str]:
    return [f["id"] for f in model.findings_ if f["id"] not in ("untrained", "not-heard")]


def test_an_ordinary_fit_finds_nothing_and_says_nothing() -> None:
    X = data()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert ids(FusionRegressor(**QUICK).fit(X, target(X))) == []
        assert ids(FusionClassifier("none", **QUICK).fit(X, target(X) > 0)) == []


def test_findings_are_what_a_report_draws() -> None:
    X = data()
    model = FusionRegressor("cross", **QUICK).fit(X, target(X))
    assert ids(model) == ["even-by-construction"]
    assert all(sorted(f) == ["id", "remedy", "severity", "text"] for f in model.findings_)
    assert all(isinstance(value, str) for f in model.findings_ for value in f.values())


def test_one_key_is_found_over_all_rows_and_warned_of_once() -> None:
    X = data(b=[b[:1] for b in data()["b"]])
    with pytest.warns(OneKeyWarning) as warned:
        model = FusionRegressor("a -> b", **QUICK).fit(X, target(X))
    assert [f["id"] for f in model.findings_ if f["severity"] == "warning"] == ["one-key"]
    assert not [w for w in warned if w.category is AttentionWarning]


def test_what_only_the_data_say_is_found_and_not_warned_of() -> None:
    rng = np.random.default_rng(0)
    X = data(
        b=np.repeat(rng.normal(size=(N, 1, 2)), T, axis=1), c=[None if i % 5 else rng.normal(size=2) for i in range(N)]
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = FusionRegressor("a -> b, c -> [a b]", **QUICK).fit(X, target(X))
    found = {f["id"]: f for f in model.findings_}
    assert found["same-keys"]["severity"] == "warning" and '"b"' in found["same-keys"]["text"]
    assert found["often-missing"]["text"].startswith('"c" is missing in ')


def test_a_fusion_that_has_no_layer_to_ask_in_is_warned_of_where_fit_was_called() -> None:
    X = data()
    with pytest.warns(AttentionWarning) as warned:
        model = FusionRegressor("self", n_layers=0, **QUICK).fit(X, target(X))
    assert [w.filename for w in warned] == [__file__]
    assert str(warned[0].message) == (
        'the fusion "[a b] -> [a b]" lets modalities ask, however: the network has no layer in which they can; choose '
        'n_layers=1 or more, or the fusion "none"'
    )
    assert ids(model) == ["nobody-can-ask"]


def test_rows_of_the_test_are_not_looked_at() -> None:
    X = data(c=[None if i < 30 else np.ones(2) * i for i in range(N)])
    split = np.where(np.arange(N) < 40, "train", "test")
    model = FusionRegressor(**QUICK).fit(Samples(X, y=target(X), split=split))
    (missing,) = [f["text"] for f in model.findings_ if f["id"] == "often-missing"]
    assert missing == '"c" is missing in 75% of 40 samples'


def test_rows_that_tell_when_to_stop_are_not_looked_at() -> None:
    rng = np.random.default_rng(0)
    b = np.repeat(rng.normal(size=(N, 1, 2)), T, axis=1)  # copies of one vector
    b[40:] = rng.normal(size=(N - 40, T, 2))
    X = data(b=b)
    split = np.where(np.arange(N) < 40, "train", "valid")
    assert "same-keys" in ids(FusionRegressor("a -> b", **QUICK).fit(Samples(X, y=target(X), split=split)))


def test_the_predictions_do_not_depend_on_the_looking() -> None:
    X = data()

    class Blind(FusionRegressor):
        def _findings(self, *rest: Any) -> list[dict[str, str]]:
            return []

    state = torch.get_rng_state()
    seeing = FusionRegressor("cross", **QUICK).fit(X, target(X))
    assert torch.equal(torch.get_rng_state(), state)
    assert np.array_equal(seeing.predict(X), Blind("cross", **QUICK).fit(X, target(X)).predict(X))


def test_findings_are_saved_and_loaded(tmp_path: Path) -> None:
    X = data()
    model = FusionRegressor("cross", **QUICK).fit(X, target(X))
    model.save(tmp_path / "model")
    assert load(tmp_path / "model").findings_ == model.findings_ != []


def test_a_folder_from_before_there_were_findings_is_loaded(tmp_path: Path) -> None:
    X = data()
    FusionRegressor(**QUICK).fit(X, target(X)).save(tmp_path / "model")
    path = tmp_path / "model" / "config.json"
    config = json.loads(path.read_text())
    del config["findings"]
    path.write_text(json.dumps(config))
    assert load(tmp_path / "model").findings_ == []


def test_a_fit_that_is_broken_off_leaves_no_findings_of_another_model() -> None:
    X = data()
    model = FusionRegressor("cross", **QUICK).fit(X, target(X))

    def stop(line: dict[str, Any]) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        model.set_params(callback=stop).fit(X, target(X))
    assert not hasattr(model, "findings_") and not hasattr(model, "model_")


def test_a_model_before_its_first_step_is_drawn_for_any_samples() -> None:
    X = data(c=[None if i % 5 else np.ones(2) for i in range(N)])
    estimator = FusionClassifier("a -> [b c]", **QUICK)
    before = {name: value for name, value in vars(estimator).items()}
    module, samples = estimator.untrained(X)
    assert vars(estimator) == before and clone(estimator).get_params() == estimator.get_params()
    assert module.network.names == samples.names == ("a", "b", "c")
    assert not module.training and len(samples) == N
    with pytest.raises(InputError, match=r"^n_heads is a whole number above zero, however: n_heads=0$"):
        FusionClassifier(n_heads=0).untrained(X)
