"""What answers for a saved estimator answers as the estimator does, to the last bit."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from intermodal.data.samples import Samples
from intermodal.errors import DataError, InputError
from intermodal.find.retriever import FusionRetriever
from intermodal.learn.estimators import FusionClassifier, FusionRegressor
from intermodal.learn.predicting import load_predictor
from intermodal.learn.saving import load

N = 41


def samples(kind: str = "vector", **options: Any) -> Samples:
    rng = np.random.default_rng(3)
    a: Any = rng.normal(size=(N, 5))
    b: Any = [None if i % 7 == 0 else rng.normal(size=(2 + i % 3, 3)) for i in range(N)]
    if kind == "vector":
        b = [None if t is None else t[0] for t in b]
    return Samples({"a": a, "b": b}, **options)


def saved(model: Any, at: Path, data: Samples, y: np.ndarray) -> Path:
    return Path(model.fit(data, y).save(at / "model"))


@pytest.mark.filterwarnings("ignore::intermodal.errors.OneKeyWarning")  # what stands for b alone is one key
@pytest.mark.parametrize("kind", ["vector", "sequence"])
@pytest.mark.parametrize("options", [{}, {"n_members": 1, "missing": "token", "pool": "concat", "stride": 2}])
def test_classes_and_their_shares_are_the_estimators(tmp_path: Path, kind: str, options: dict[str, Any]) -> None:
    data = samples(kind, target="mood")
    y = np.array(["bad", "fair", "good"])[np.arange(N) % 3]
    folder = saved(FusionClassifier("cross", max_epochs=2, d_model=8, n_heads=2, **options), tmp_path, data, y)
    estimator, predictor = load(folder), load_predictor(folder)
    for some in (data, data.without("b"), data[np.array([7])]):
        assert np.array_equal(predictor.predict_proba(some), estimator.predict_proba(some))
        assert predictor.predict(some).tolist() == estimator.predict(some).tolist()
    assert (predictor.names_, predictor.nan) == (estimator.names_, estimator.nan)
    assert getattr(predictor, "target_", None) == getattr(estimator, "target_", None)
    assert predictor.classes_.tolist() == estimator.classes_.tolist()


@pytest.mark.parametrize("shape", [(N,), (N, 1), (N, 2)])
def test_numbers_are_the_estimators(tmp_path: Path, shape: tuple[int, ...]) -> None:
    data, y = samples(), 9 + 4 * np.random.default_rng(0).normal(size=shape)
    folder = saved(FusionRegressor("self", max_epochs=2, d_model=8, n_heads=2), tmp_path, data, y)
    predictor = load_predictor(folder)
    assert not hasattr(predictor, "predict_proba")
    assert np.array_equal(predictor.predict(data), load(folder).predict(data))
    assert predictor.predict(data).shape == shape
    assert abs(predictor.predict(data).mean() - 9) < 3  # in the units of the target


def test_many_rows_are_answered_in_pieces_and_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data, y = samples(), np.arange(N) * 1.0
    predictor = load_predictor(saved(FusionRegressor("none", max_epochs=1, d_model=8), tmp_path, data, y))
    whole = predictor.predict(data)
    monkeypatch.setattr("intermodal.learn.predicting.ROWS", 7)
    np.testing.assert_allclose(predictor.predict(data), whole, rtol=1e-12)


def test_a_nan_is_refused_unless_it_is_to_be_filled(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    a = rng.normal(size=(N, 5))
    a[3, 2] = np.nan
    data, y = Samples({"a": a}, nan="impute"), np.arange(N) % 2
    folder = saved(FusionClassifier("none", max_epochs=1, d_model=8, nan="impute"), tmp_path, data, y)
    assert np.array_equal(load_predictor(folder).predict_proba(data), load(folder).predict_proba(data))
    config = json.loads((folder / "config.json").read_text())
    config["parameters"]["nan"] = "error"
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(DataError) as caught:
        load_predictor(folder).predict(data)
    assert str(caught.value) == 'samples hold no NaN inside a vector, however: some do; choose nan="impute"'


def test_a_folder_that_predicts_nothing_is_refused(tmp_path: Path) -> None:
    folder = saved(FusionClassifier("none", max_epochs=1, d_model=8), tmp_path, samples(), np.arange(N) % 2)
    text = (folder / "config.json").read_text()
    (folder / "config.json").write_text(text.replace('"class": "FusionClassifier"', '"class": "FusionRetriever"'))
    for read in (load_predictor, load):
        with pytest.raises(InputError) as caught:
            read(folder)
        assert str(caught.value) == (
            "the model predicts (a FusionClassifier or a FusionRegressor), however: "
            f'"{folder}" holds a {FusionRetriever.__name__}'
        )
    (folder / "config.json").write_text(text.replace('"stride_"', '"strode_"'))
    with pytest.raises(InputError, match="a model is whole, however"):
        load_predictor(folder)
