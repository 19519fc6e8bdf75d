"""What a saved estimator answers, without what fits one: a prediction loads torch, not scikit-learn or scipy."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from intermodal.data.samples import Samples
from intermodal.errors import DataError, InputError
from intermodal.learn import losses
from intermodal.learn.building import build
from intermodal.learn.experts import Experts
from intermodal.learn.feed import Feed
from intermodal.learn.folder import part_of, read_folder, whole
from intermodal.learn.model import FusionModel
from intermodal.learn.preprocess import Preprocessor
from intermodal.learn.threads import one_thread
from intermodal.spec import Spec

FORMAT = 1
KINDS = ("FusionClassifier", "FusionRegressor")
"""Estimators that a folder may hold."""
ROWS = 256
"""Samples of one pass."""


def read_estimator(folder: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Return the config and the tensors of a saved `FusionClassifier` or `FusionRegressor`.

    Args:
        folder: where `save` put it.

    Raises:
        InputError: no folder, no model in it, one of another kind, or one that this version cannot read.

    Example:
        >>> read_estimator(Path("nowhere"))
        Traceback (most recent call last):
        ...
        intermodal.errors.InputError: a model is a folder with config.json in it, however: "nowhere" has none
    """
    config, tensors = read_folder(folder, FORMAT)
    if config["class"] not in KINDS:
        raise InputError(
            f'the model predicts (a {" or a ".join(KINDS)}), however: "{folder}" holds a {config["class"]}'
        )
    return config, tensors


def restore_model(
    config: Mapping[str, Any], tensors: Mapping[str, Tensor], settings: Any, preprocessor: Preprocessor
) -> FusionModel:
    """Build the model of a folder and give it its weights.

    Args:
        config: of the folder.
        tensors: of the folder.
        settings: whatever has the estimator's parameters.
        preprocessor: of the folder; it knows the modalities.
    """
    spec = Spec.parse(config["spec"], tuple(preprocessor.scalings))
    with torch.random.fork_rng(devices=[]):
        encoder = config.get("encoder_", settings.encoder)  # a folder written before there was a choice
        model = build(settings, preprocessor.scalings, spec, config["stride_"], encoder, config["n_outputs"])
    own = part_of(tensors, "model.")
    beside = part_of(own, "experts.")
    if beside:
        model.experts = Experts.restored(model.network.names, beside)
    model.load_state_dict(own)
    return model.eval()


def classes_of(config: Mapping[str, Any]) -> np.ndarray:
    """Return the classes of a folder, in the order of the outputs."""
    return np.asarray(config["classes"]["values"], dtype=config["classes"]["dtype"])


def refuse_nan(samples: Samples, nan: str) -> None:
    """Refuse a NaN inside a vector, unless it is to be filled.

    Raises:
        DataError: there is one, and `nan` is not "impute".
    """
    if samples.has_nan and nan != "impute":
        raise DataError('samples hold no NaN inside a vector, however: some do; choose nan="impute"')


def outputs_of(model: FusionModel, feed: Feed) -> Tensor:
    """Return the outputs of every member for all samples, (N, n_members, O), in pieces."""
    with torch.no_grad(), one_thread(next(model.parameters()).device):
        parts = [model(*feed.batch(rows)).outputs.cpu() for rows in feed.in_order(np.arange(len(feed)), ROWS)]
    return torch.cat(parts)


def shares_of(outputs: Tensor) -> np.ndarray:
    """Turn outputs (N, n_members, K) into the probability of each class, (N, K), the mean over the members."""
    return losses.probabilities(outputs).double().cpu().numpy()


def numbers_of(outputs: Tensor, mean: np.ndarray, scale: np.ndarray, *, one_output: bool) -> np.ndarray:
    """Turn outputs (N, n_members, O) into numbers, (N, O) or (N,), the mean over the members in the target's units."""
    values = losses.mean_of_members(outputs).double().cpu().numpy() * scale + mean
    return np.asarray(values[:, 0] if one_output else values)


class Predictor:
    """A saved estimator that answers and cannot learn.

    Attributes:
        names_: the modalities it knows.
        target_: what it predicts, by name; absent where it has none.
        nan: what it does with a NaN inside a vector.

    Relation: `predict` and `predict_proba` equal those of the estimator that `intermodal.load` gives, bit for bit.
    """

    def __init__(self, config: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> None:
        settings = SimpleNamespace(**config["parameters"])
        self.preprocessor_ = Preprocessor.restored(config["modalities"], tensors)
        self.names_ = tuple(self.preprocessor_.scalings)
        self.nan = settings.nan
        if "target_" in config:
            self.target_ = config["target_"]
        self._model = restore_model(config, tensors, settings, self.preprocessor_).double()

    def _outputs(self, samples: Samples) -> Tensor:
        """Outputs of every member, (N, n_members, O), in float64."""
        refuse_nan(samples, self.nan)
        return outputs_of(self._model, Feed(self.preprocessor_.apply(samples), dtype=torch.float64))


class ClassPredictor(Predictor):
    """A saved `FusionClassifier` that answers and cannot learn.

    Attributes:
        classes_: in the order of the probabilities.
    """

    def __init__(self, config: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> None:
        super().__init__(config, tensors)
        self.classes_ = classes_of(config)

    def predict_proba(self, samples: Samples) -> np.ndarray:
        """Return the probability of each class, (N, K), the mean over the members."""
        return shares_of(self._outputs(samples))

    def predict(self, samples: Samples) -> np.ndarray:
        """Return the most probable class of each sample, (N,)."""
        return np.asarray(self.classes_[self.predict_proba(samples).argmax(1)])


class NumberPredictor(Predictor):
    """A saved `FusionRegressor` that answers and cannot learn."""

    def __init__(self, config: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> None:
        super().__init__(config, tensors)
        self._one_output = config["one_output"]
        self._mean, self._scale = tensors["y.mean"].numpy(), tensors["y.scale"].numpy()

    def predict(self, samples: Samples) -> np.ndarray:
        """Return the predicted numbers, (N,) or (N, O) as y came."""
        return numbers_of(self._outputs(samples), self._mean, self._scale, one_output=self._one_output)


def load_predictor(folder: str | Path) -> ClassPredictor | NumberPredictor:
    """Read what a saved estimator needs to answer.

    Args:
        folder: the model's folder.

    Raises:
        InputError: as `intermodal.load`.

    Relation: `intermodal.load` gives the estimator itself, which can also be fitted, scored and explained, and
        loads scikit-learn.

    Example:
        >>> load_predictor("nowhere/")
        Traceback (most recent call last):
        ...
        intermodal.errors.InputError: a model is a folder with config.json in it, however: "nowhere" has none
    """
    folder = Path(folder)
    config, tensors = read_estimator(folder)
    with whole(folder):
        return (ClassPredictor if config["class"] == "FusionClassifier" else NumberPredictor)(config, tensors)
