"""What can be explained: a fitted model that turns batches of modalities into predictions.

The rooms below know networks and samples, not estimators; an estimator is whatever keeps this promise.
"""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from intermodal.errors import InputError


class Explained(Protocol):
    """The promise of a fitted model: its network with the samples as it reads them, and its last step."""

    def prepared(self, X: Any) -> tuple[torch.nn.Module, Any]:
        """Return a module `(x, present, need_weights=) -> Answer` and a feed with `batch(rows)` and `len`."""
        ...

    def to_prediction(self, outputs: Tensor) -> np.ndarray:
        """Turn the module's outputs into what the model predicts, (N,) or (N, O)."""
        ...


def prepared(model: Any, X: Any) -> tuple[Any, Any]:
    """Return what a fitted model's `prepared` returns, and refuse what cannot be explained.

    Raises:
        InputError: the model is no fitted estimator.

    Example:
        >>> prepared(torch.nn.Linear(2, 2), None)
        Traceback (most recent call last):
        ...
        intermodal.errors.InputError: a fitted FusionClassifier or FusionRegressor is explained, however: Linear
    """
    if not hasattr(model, "prepared"):
        raise InputError(f"a fitted FusionClassifier or FusionRegressor is explained, however: {type(model).__name__}")
    module, feed = model.prepared(X)
    return module, feed
