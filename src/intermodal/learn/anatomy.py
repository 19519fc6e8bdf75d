"""A model in numbers, as the compiled step wants to know it: sizes, places of the parameters, who asks whom.

Shapes: S tokens of a sample.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor, nn

from intermodal.kernel import step as kernel
from intermodal.learn.model import FusionModel
from intermodal.nn.encoders import Encoder
from intermodal.nn.layer import FusionLayer
from intermodal.nn.pooling import Pool

POOLS = ("mean", "tokens", "concat")
ROWS = 512
"""Tokens of all members that are worked on at a time, about: what a step needs of each of them stays in the cache."""


class Anatomy:
    """What a model is made of.

    Args:
        model: what is looked at.

    Example:
        >>> from intermodal.nn.network import FusionNetwork
        >>> network = FusionNetwork("self", {"a": 3, "b": 2}, d_model=16, n_tokens=2, n_members=3)
        >>> anatomy = Anatomy(FusionModel(network, n_outputs=2))
        >>> anatomy.slots, anatomy.dropped(5)
        (4, 4080)
    """

    def __init__(self, model: FusionModel) -> None:
        network = model.network
        self.model = model
        self.names = network.names
        self.n_members = network.n_members
        self.d_model = int(network.norm.normalized_shape[0])
        self.encoders = [e for e in network.encoders if isinstance(e, Encoder)]
        self.layers = [layer for layer in network.layers if isinstance(layer, FusionLayer)]
        self.inside = [_linear(layer.feed[0]).out_features for layer in self.layers]
        self.counts = [e.n_tokens for e in self.encoders]
        self.slots = sum(self.counts)
        self.asks = bool(self.layers) and bool(self.layers[0].edges)

    @property
    def fits(self) -> bool:
        """True where the compiled step knows all of it."""
        widths = [self.d_model, *self.inside]
        pool = self.model.network.pool
        return (
            all(width % kernel.LANES == 0 for width in widths)
            and max(*widths, self.model.network.d_pooled) <= kernel.MOST_WIDTH
            and len(set(self.inside)) <= 1
            and len(self.rates()) == 1
            and all(layer.tie for layer in self.layers)
            and len(self.layers) <= kernel.MOST_LAYERS
            and self.slots <= kernel.MOST_TOKENS
            and all(e.over_time is None for e in self.encoders)
            and isinstance(pool, Pool)
            and pool.how in POOLS
        )

    def rates(self) -> set[float]:
        """The probabilities of dropping a feature."""
        drops = [self.model.dropout, *(drop for layer in self.layers for drop in (layer.dropout, layer.feed[2]))]
        return {drop.p for drop in drops if isinstance(drop, nn.Dropout)}

    def dropped(self, batch: int) -> int:
        """How many numbers of a batch of samples go through dropout."""
        tokens = batch * self.n_members * self.slots
        a_layer = sum(inside + (2 if self.asks else 1) * self.d_model for inside in self.inside)
        return tokens * a_layer + batch * self.n_members * self.model.network.d_pooled

    def sizes(self, places: Mapping[str, int], batch: int, loss: int) -> list[int]:
        """The sizes in the order of `step_model.inc`; places say where a parameter begins, by its name."""
        network = self.model.network
        room = max(1, min(batch, ROWS // (self.n_members * self.slots)))
        sizes = [batch, room, self.slots, len(self.names), self.n_members, self.d_model]
        sizes += [self.layers[0].attention[0].n_heads if self.asks else 1]  # type: ignore[list-item]
        sizes += [self.inside[0] if self.inside else self.d_model, len(self.layers), self.model.n_outputs]
        sizes += [len(self.layers[0].groups) if self.asks else 0, POOLS.index(network.pool.how), loss]  # type: ignore[arg-type]
        sizes += [0] * (1 + len(kernel.Drawn._fields))
        first = 0
        for i, encoder in enumerate(self.encoders):
            own = f"network.encoders.{i}.project"
            absent = places.get(f"network.absent.{i}", -1)
            sizes += [encoder.d_in, encoder.n_tokens, first, places[f"{own}.weight"], places[f"{own}.bias"], absent]
            first += encoder.n_tokens
        sizes.append(places.get("network.member_scale", -1))
        parts = ("norm_ask", "attention.0.q_proj", "attention.0.out_proj", "norm_feed", "feed.0", "feed.3")
        for part in (f"network.layers.{i}.{part}" for i in range(len(self.layers)) for part in parts):
            sizes += [places.get(f"{part}.weight", -1), places.get(f"{part}.bias", -1)]
        end = ("network.norm.weight", "network.norm.bias", "hidden.weight", "hidden.bias", "weight", "bias")
        return sizes + [places[name] for name in end]

    def sides(self) -> tuple[Tensor | None, Tensor | None]:
        """How often each token asks, and which are asked, by group of edges: (groups, S) uint8 each, or None."""
        if not self.asks:
            return None, None
        asking, asked = [], []
        for group in self.layers[0].groups:
            often = np.array([sum(name in edge.query_names for edge in group) for name in self.names], np.uint8)
            seen = np.array([name in group[0].context_names for name in self.names], np.uint8)
            asking.append(np.repeat(often, self.counts))
            asked.append(np.repeat(seen, self.counts))
        return torch.from_numpy(np.stack(asking)), torch.from_numpy(np.stack(asked))


def _linear(module: nn.Module) -> nn.Linear:
    assert isinstance(module, nn.Linear)
    return module
