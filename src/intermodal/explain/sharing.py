"""Let a fitted model answer for all subsets at once, where its network can share what the subsets have in common.

The model runs as it is, on the batch repeated once a subset; only its network is swapped for one that knows the fused
vectors of this very batch. A model that asks its network for anything else is answered the plain way.

Shapes: B samples, C subsets, E members.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import numpy as np
from torch import Tensor, nn

from intermodal.explain.removal import Batch
from intermodal.nn.network import FusionNetwork
from intermodal.nn.subsets import fuse_subsets

LOOKS_AWAY = ("mask", "learned_missing")
"""Rules under which a subset is the same samples with other modalities present."""


class NotKnownError(Exception):
    """A model asked for more than the fused vectors; our own signal, never shown to a user."""


def can_share(module: Any, rule: str) -> bool:
    """Tell whether this module's network can fuse all subsets of a batch at once.

    Example:
        >>> can_share(nn.Linear(2, 2), "mask")
        False
    """
    network = getattr(module, "network", None)
    at_rest = isinstance(module, nn.Module) and not any(part.training for part in module.modules())
    return rule in LOOKS_AWAY and type(network) is FusionNetwork and at_rest


def share(module: nn.Module, own: Batch, repeated: Batch, subsets: np.ndarray) -> nn.Module:
    """Return the module with a network that knows its answer to `repeated`: `own` once for each subset.

    Args:
        module: one that `can_share`.
        own: B samples.
        repeated: C * B samples, subset by subset.
        subsets: (C,) of int, bit i for modality i of the network.

    Returns:
        A module like the given one, which stays as it is.
    """
    network = module.network
    assert isinstance(network, FusionNetwork)
    pooled = fuse_subsets(network, *own, subsets=subsets.tolist()).flatten(0, 1)
    sharing = copy.copy(module)
    sharing.__dict__["_modules"] = dict(module._modules) | {"network": _Known(network, repeated, pooled)}
    return sharing


class _Known(nn.Module):
    """A network that has already fused one batch."""

    def __init__(self, network: FusionNetwork, repeated: Batch, pooled: Tensor) -> None:
        super().__init__()
        self.network = network
        self.repeated = repeated
        self.pooled = pooled

    def __getattr__(self, name: str) -> Any:
        return super().__getattr__(name) if name == "network" else getattr(self.network, name)

    def forward(self, x: Mapping[str, Tensor], present: Any = None, *, need_weights: Any = False) -> Any:
        if x is not self.repeated[0] or present is not self.repeated[1] or need_weights:
            raise NotKnownError
        return _OnlyPooled(self.pooled)


class _OnlyPooled:
    """The fused vectors, of which nothing else is known."""

    def __init__(self, pooled: Tensor) -> None:
        self.pooled = pooled

    def __getattr__(self, name: str) -> Any:
        raise NotKnownError
