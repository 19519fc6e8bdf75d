"""Fit an estimator anew with its own parameters, without knowing what it is."""

from __future__ import annotations

from typing import Any

import numpy as np

from intermodal.errors import InputError


def refitted(model: Any, X: Any, y: np.ndarray, **changed: Any) -> Any:
    """Fit a new estimator with the parameters of a fitted one.

    Args:
        model: an estimator with `get_params`.
        X: samples.
        y: their target.
        **changed: parameters that differ.

    Raises:
        InputError: the model is no estimator, or has no such parameter.

    Example:
        >>> from intermodal.learn.estimators import FusionRegressor
        >>> X = {"a": np.arange(20.0)[:, None]}
        >>> refitted(FusionRegressor(max_epochs=2), X, X["a"][:, 0], seed=7).seed
        7
    """
    if not hasattr(model, "get_params") or not hasattr(model, "fit"):
        raise InputError(f"an estimator with get_params and fit is fitted anew, however: {type(model).__name__}")
    parameters = dict(model.get_params(deep=False))
    for name in changed:
        if name not in parameters:
            raise InputError(f"{type(model).__name__} takes {name}, however: its parameters are {sorted(parameters)}")
    if "callback" in parameters:  # it was given to hear of the user's own fit
        parameters["callback"] = None
    return type(model)(**(parameters | changed)).fit(X, y)
