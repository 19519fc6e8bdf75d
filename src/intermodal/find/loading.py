"""Any model that was saved, by the kind that its folder says it is."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

from intermodal.errors import InputError
from intermodal.learn.folder import read_folder, whole

FORMAT = 1
FINDERS = {
    "MomentLocalizer": "moments",
    "FusionRetriever": "retriever",
    "FusionRecommender": "recommender",
    "Captioner": "captioner",
}
"""The class that a folder names, and the file of this room that holds it."""


def load(folder: str | Path) -> Any:
    """Read a model that `save` wrote: an estimator, or a finder.

    Args:
        folder: the model's folder.

    Returns:
        A `FusionClassifier`, `FusionRegressor`, `MomentLocalizer`, `FusionRetriever`, `FusionRecommender` or
        `Captioner`, fitted, on the CPU; it answers what the one that was saved would answer.

    Raises:
        InputError: no folder, no model in it, or one that this version cannot read.

    Example:
        >>> load("nowhere/")
        Traceback (most recent call last):
        ...
        intermodal.errors.InputError: a model is a folder with config.json in it, however: "nowhere" has none
    """
    from intermodal.learn.saving import ESTIMATORS
    from intermodal.learn.saving import load as load_estimator

    folder = Path(folder)
    config, tensors = read_folder(folder, FORMAT)
    kind = config["class"]
    if kind in ESTIMATORS:
        return load_estimator(folder)
    if kind not in FINDERS:
        known = [*ESTIMATORS, *FINDERS]
        raise InputError(f'a model is one of {", ".join(known)}, however: "{folder}" says "{kind}"')
    with whole(folder):
        finder = getattr(importlib.import_module(f"intermodal.find.{FINDERS[kind]}"), kind)
        return finder.restored(config, tensors)


def load_finder(folder: str | Path, kind: str) -> Any:
    """Read a model of one kind, and say what it is when it is another.

    Args:
        folder: the model's folder.
        kind: the class that is needed.

    Raises:
        InputError: as `load`, or the folder holds another kind of model.
    """
    model = load(folder)
    if type(model).__name__ != kind:
        raise InputError(f'this needs a {kind}, however: "{folder}" holds a {type(model).__name__}')
    return model
