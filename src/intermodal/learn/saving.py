"""A fitted estimator as a folder, and back: parameters and findings as text, weights and scalings as numbers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch

from intermodal.learn.estimators import FusionClassifier, FusionRegressor
from intermodal.learn.folder import parameters_of, plain, whole, write_folder
from intermodal.learn.predicting import FORMAT, classes_of, read_estimator, restore_model
from intermodal.learn.preprocess import Preprocessor
from intermodal.spec import Spec

Estimator = FusionClassifier | FusionRegressor
ESTIMATORS = {"FusionClassifier": FusionClassifier, "FusionRegressor": FusionRegressor}


def save(model: Any, folder: Path, *, overwrite: bool = False) -> Path:
    """Write a fitted estimator to a folder; see `FusionClassifier.save`."""
    return write_folder(folder, _config(model), _tensors(model), overwrite=overwrite)


def load(folder: str | Path) -> Estimator:
    """Read an estimator that `save` wrote.

    Args:
        folder: the model's folder.

    Returns:
        The estimator, fitted, on the CPU; its predictions are those of the one that was saved.

    Raises:
        InputError: no folder, no model in it, one of another kind, or one that this version cannot read.

    Example:
        >>> load("nowhere/")
        Traceback (most recent call last):
        ...
        intermodal.errors.InputError: a model is a folder with config.json in it, however: "nowhere" has none
    """
    folder = Path(folder)
    config, tensors = read_estimator(folder)
    with whole(folder):
        return _restore(ESTIMATORS[config["class"]](), config, tensors)


def _config(model: Estimator) -> dict[str, Any]:
    config: dict[str, Any] = {
        "format": FORMAT,
        "class": type(model).__name__,
        "parameters": parameters_of(model),
        "spec": str(model.spec_),
        "n_outputs": model.model_.n_outputs,
        "modalities": model.preprocessor_.described(),
        "history": model.history_,
        "findings": model.findings_,
    }
    for name in ("n_features_in_", "target_", "stride_", "encoder_", "validation_score_"):
        if hasattr(model, name):
            config[name] = plain(getattr(model, name))
    if hasattr(model, "feature_names_in_"):
        config["feature_names_in_"] = [str(n) for n in model.feature_names_in_]
    if isinstance(model, FusionClassifier):
        config["classes"] = {"dtype": _text_dtype(model.classes_), "values": model.classes_.tolist()}
    else:
        config["one_output"] = model._one_output
    return config


def _tensors(model: Estimator) -> dict[str, torch.Tensor]:
    tensors = {f"model.{k}": v for k, v in model.model_.state_dict().items()} | model.preprocessor_.tensors()
    if isinstance(model, FusionRegressor):
        tensors |= {"y.mean": torch.from_numpy(model.y_mean_), "y.scale": torch.from_numpy(model.y_scale_)}
    return tensors


def _restore(model: Estimator, config: dict[str, Any], tensors: dict[str, torch.Tensor]) -> Estimator:
    model.set_params(**config["parameters"])
    model.preprocessor_ = Preprocessor.restored(config["modalities"], tensors)
    model.names_ = tuple(model.preprocessor_.scalings)
    model.spec_ = Spec.parse(config["spec"], model.names_)
    model.history_ = config["history"]
    model.findings_ = config.get("findings", [])  # a folder written before there were any
    for name in ("n_features_in_", "target_", "stride_", "encoder_", "validation_score_"):
        if name in config:
            setattr(model, name, config[name])
    if "feature_names_in_" in config:
        model.feature_names_in_ = np.asarray(config["feature_names_in_"], dtype=object)
    if isinstance(model, FusionClassifier):
        model.classes_ = classes_of(config)
    else:
        model._one_output = config["one_output"]
        model.y_mean_, model.y_scale_ = tensors["y.mean"].numpy(), tensors["y.scale"].numpy()
    model.model_ = restore_model(config, tensors, model, model.preprocessor_)
    return model


def _text_dtype(classes: np.ndarray) -> str:
    return "object" if classes.dtype.kind == "O" else classes.dtype.str
