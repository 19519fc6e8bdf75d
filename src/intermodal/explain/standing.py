"""A fitted model whose network was exchanged, for everything that is asked of a model."""

from __future__ import annotations

import copy
from typing import Any

from torch import nn

from intermodal.errors import InputError
from intermodal.explain.explained import Explained, prepared


class StandIn:
    """Answer as a fitted model would with another network and the same samples; the model itself is not touched.

    Args:
        model: the fitted estimator, which is asked for everything else.
        module: the network that answers instead.
        feed: the samples as the network reads them; `prepared` returns it whatever it is asked for.

    Example:
        >>> import numpy as np
        >>> from intermodal.learn.estimators import FusionRegressor
        >>> X = {"a": np.arange(20.0)[:, None]}
        >>> model = FusionRegressor(max_epochs=2).fit(X, X["a"][:, 0])
        >>> other = StandIn(model, *copy_of(model, X))
        >>> other.prepared(X)[0] is other.prepared(X)[0], other.names_
        (True, ('a',))
    """

    def __init__(self, model: Explained, module: nn.Module, feed: Any) -> None:
        self._model = model
        self._module = module
        self._feed = feed

    def prepared(self, X: Any) -> tuple[nn.Module, Any]:
        """Return the other network, and the samples."""
        return self._module, self._feed

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)


def copy_of(model: Explained, X: Any) -> tuple[nn.Module, Any]:
    """Return a copy of a fitted model's network to be changed at will, and its samples.

    Raises:
        InputError: the model cannot be explained, or there is no sample.
    """
    module, feed = prepared(model, X)
    if len(feed) == 0:
        raise InputError("at least one sample is explained, however: X holds none")
    return copy.deepcopy(module).eval(), feed


def layers_that_ask(module: nn.Module) -> list[Any]:
    """Return the layers in which somebody asks somebody.

    Raises:
        InputError: nobody asks, so there is no attention to change.
    """
    layers = [layer for layer in getattr(module.network, "layers", ()) if getattr(layer, "edges", ())]  # type: ignore[union-attr]
    if not layers:
        raise InputError("a network in which somebody asks is changed, however: this one has no attention")
    return layers
