"""A model as a folder: `config.json` says what it is, `model.safetensors` holds its numbers. Nothing is pickled."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file

from intermodal.errors import InputError
from intermodal.learn.estimators import FusionClassifier, FusionRegressor
from intermodal.learn.preprocess import Preprocessor, Scaling
from intermodal.spec import Spec

FORMAT = 1
CONFIG, WEIGHTS = "config.json", "model.safetensors"
Estimator = FusionClassifier | FusionRegressor


def save(model: Any, folder: Path, *, overwrite: bool = False) -> Path:
    """Write a fitted estimator to a folder; see `FusionClassifier.save`."""
    if folder.exists() and not overwrite:
        raise InputError(f'a model is saved to a new folder, however: "{folder}" exists; choose overwrite or another')
    if folder.exists() and not (folder / CONFIG).is_file():
        raise InputError(f'only a model is overwritten, however: "{folder}" holds no {CONFIG}')
    folder.parent.mkdir(parents=True, exist_ok=True)
    beside = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    try:
        beside.chmod(0o755)
        (beside / CONFIG).write_text(json.dumps(_config(model), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        save_file(_tensors(model), beside / WEIGHTS)
        if folder.exists():
            shutil.rmtree(folder)
        os.replace(beside, folder)
    except BaseException:
        shutil.rmtree(beside, ignore_errors=True)
        raise
    return folder


def load(folder: str | Path) -> Estimator:
    """Read a model that `save` wrote.

    Args:
        folder: the model's folder.

    Returns:
        The estimator, fitted, on the CPU; its predictions are those of the one that was saved.

    Raises:
        InputError: no folder, no model in it, or one that this version cannot read.

    Example:
        >>> load("nowhere/")
        Traceback (most recent call last):
        ...
        intermodal.errors.InputError: a model is a folder with config.json in it, however: "nowhere" has none
    """
    folder = Path(folder)
    if not (folder / CONFIG).is_file():
        raise InputError(f'a model is a folder with {CONFIG} in it, however: "{folder}" has none')
    try:
        config = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
        if config["format"] != FORMAT:
            raise InputError(f"this version reads models of format {FORMAT}, however: {config['format']=}")
        model = {"FusionClassifier": FusionClassifier, "FusionRegressor": FusionRegressor}[config["class"]]()
        return _restore(model, config, load_file(folder / WEIGHTS))
    except InputError:
        raise
    except Exception as problem:
        raise InputError(f'a model is whole, however: "{folder}" is not ({problem})') from problem


def _config(model: Estimator) -> dict[str, Any]:
    parameters = {k: v for k, v in model.get_params(deep=False).items() if k != "callback"}
    parameters["fusion"] = str(parameters["fusion"])
    config: dict[str, Any] = {
        "format": FORMAT,
        "class": type(model).__name__,
        "parameters": {k: _plain(v) for k, v in parameters.items()},
        "spec": str(model.spec_),
        "n_outputs": model.model_.n_outputs,
        "modalities": [
            {"name": n, "kind": s.kind, "columns": None if s.columns is None else list(s.columns)}
            for n, s in model.preprocessor_.scalings.items()
        ],
        "history": model.history_,
        "findings": model.findings_,
    }
    for name in ("n_features_in_", "target_", "stride_"):
        if hasattr(model, name):
            config[name] = _plain(getattr(model, name))
    if hasattr(model, "feature_names_in_"):
        config["feature_names_in_"] = [str(n) for n in model.feature_names_in_]
    if isinstance(model, FusionClassifier):
        config["classes"] = {"dtype": _text_dtype(model.classes_), "values": model.classes_.tolist()}
    else:
        config["one_output"] = model._one_output
    return config


def _tensors(model: Estimator) -> dict[str, torch.Tensor]:
    tensors = {f"model.{k}": v.detach().cpu().contiguous() for k, v in model.model_.state_dict().items()}
    for i, scaling in enumerate(model.preprocessor_.scalings.values()):
        tensors[f"scaling.{i}.mean"] = torch.from_numpy(np.ascontiguousarray(scaling.mean, dtype=np.float64))
        tensors[f"scaling.{i}.scale"] = torch.from_numpy(np.ascontiguousarray(scaling.scale, dtype=np.float64))
    if isinstance(model, FusionRegressor):
        tensors |= {"y.mean": torch.from_numpy(model.y_mean_), "y.scale": torch.from_numpy(model.y_scale_)}
    return tensors


def _restore(model: Estimator, config: dict[str, Any], tensors: dict[str, torch.Tensor]) -> Estimator:
    model.set_params(**config["parameters"])
    scalings = {}
    for i, modality in enumerate(config["modalities"]):
        columns = modality["columns"]
        mean, scale = tensors[f"scaling.{i}.mean"].numpy(), tensors[f"scaling.{i}.scale"].numpy()
        scalings[modality["name"]] = Scaling(modality["kind"], mean, scale, None if columns is None else tuple(columns))
    model.preprocessor_ = Preprocessor(scalings)
    model.names_ = tuple(scalings)
    model.spec_ = Spec.parse(config["spec"], model.names_)
    model.history_ = config["history"]
    model.findings_ = config.get("findings", [])  # a folder written before there were any
    for name in ("n_features_in_", "target_", "stride_"):
        if name in config:
            setattr(model, name, config[name])
    if "feature_names_in_" in config:
        model.feature_names_in_ = np.asarray(config["feature_names_in_"], dtype=object)
    if isinstance(model, FusionClassifier):
        model.classes_ = np.asarray(config["classes"]["values"], dtype=config["classes"]["dtype"])
    else:
        model._one_output = config["one_output"]
        model.y_mean_, model.y_scale_ = tensors["y.mean"].numpy(), tensors["y.scale"].numpy()
    with torch.random.fork_rng(devices=[]):
        model.model_ = model._build(config["n_outputs"])
    own = {k.removeprefix("model."): v for k, v in tensors.items() if k.startswith("model.")}
    model.model_.load_state_dict(own)
    model.model_.eval()
    return model


def _text_dtype(classes: np.ndarray) -> str:
    return "object" if classes.dtype.kind == "O" else classes.dtype.str


def _plain(value: Any) -> Any:
    """Numbers and containers of numpy and friends as JSON has them."""
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, dict):
        return {str(k): _plain(v) for k, v in value.items()}
    return value
