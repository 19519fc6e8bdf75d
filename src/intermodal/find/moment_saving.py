"""A fitted finder of moments as text and numbers, and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from intermodal.find.text_line import TextLine
from intermodal.find.words import Words
from intermodal.learn.folder import parameters_of, part_of
from intermodal.learn.preprocess import Preprocessor

FORMAT = 1


def config_of(model: Any) -> dict[str, Any]:
    """Everything that is no tensor, ready for JSON."""
    return {
        "format": FORMAT,
        "class": type(model).__name__,
        "parameters": parameters_of(model),
        "modalities": model.preprocessor_.described(),
        "lines": {name: line.described() for name, line in model.lines_.items()},
        "words": None if model.words_ is None else list(model.words_.known),
        "d_query": model.d_query_,
        "clip": model.clip_,
        "blur": model.blur_,
        "rates": model.rates_,
        "knows_absent": model.knows_absent_,
        "calibration": list(model.calibration_),
        "history": model.history_,
    }


def tensors_of(model: Any) -> dict[str, torch.Tensor]:
    """Weights, scalings and lines, by name."""
    tensors = {f"model.{k}": v for k, v in model.network_.state_dict().items()} | model.preprocessor_.tensors()
    for i, line in enumerate(model.lines_.values()):
        tensors |= {f"line.{i}.{part}": t for part, t in line.tensors().items()}
    return tensors


def restore(model: Any, config: Mapping[str, Any], tensors: Mapping[str, torch.Tensor]) -> None:
    """Make a new finder with the parameters of the old one fitted as that was."""
    model.preprocessor_ = Preprocessor.restored(config["modalities"], tensors)
    model.lines_ = {
        name: TextLine.restored(described, part_of(tensors, f"line.{i}."))
        for i, (name, described) in enumerate(config["lines"].items())
    }
    model.words_ = None if config["words"] is None else Words(config["words"])
    model.d_query_, model.clip_, model.rates_ = config["d_query"], float(config["clip"]), dict(config["rates"])
    model.blur_, model.knows_absent_ = float(config["blur"]), bool(config["knows_absent"])
    slope, shift = config["calibration"]
    model.calibration_ = (float(slope), float(shift))
    model.history_ = config["history"]
    with torch.random.fork_rng(devices=[]):
        network = model._build()
    network.load_state_dict(part_of(tensors, "model."))
    model.network_ = network.eval()
