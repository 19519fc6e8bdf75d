"""Run a model of this package on samples, and keep what its layers saw.

Shapes: B samples, P = members x B passes (member by member), S tokens of all modalities, H heads, M modalities.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from intermodal.errors import InputError
from intermodal.explain.opening import as_in_prediction, opened
from intermodal.explain.provenance import Provenance
from intermodal.explain.tapping import Used, tapped
from intermodal.explain.watching import leave, listen
from intermodal.nn.fused import Fused, or_all
from intermodal.nn.network import FusionNetwork
from intermodal.spec import Edge


@dataclass(frozen=True)
class Run:
    """One batch, as the network saw it.

    Attributes:
        module: what ran.
        network: the network in it.
        fused: what it returned.
        outputs: (B, members, O) where the module has a head; otherwise None.
        tokens: (P, S, d) as they were pooled, in the graph of the result.
        there: bool (P, S), which tokens are there.
        places: modality -> where its tokens lie.
        used: for each layer the weights that were used, in the graph of the result; empty without gradients.
    """

    module: nn.Module
    network: FusionNetwork
    fused: Fused
    outputs: Tensor | None
    tokens: Tensor
    there: Tensor
    places: dict[str, slice]
    used: list[Used]

    @property
    def names(self) -> tuple[str, ...]:
        """(M,) the modalities, those that are in no sample too."""
        return self.network.names

    @property
    def has(self) -> Tensor:
        """Bool (B, M): which modalities a sample has, or a learned token in their place."""
        n = len(self.there) // self.network.n_members
        found = torch.zeros(n, len(self.names), dtype=torch.bool)
        for name, place in self.places.items():
            found[:, self.names.index(name)] = self.there[:n, place].any(1)
        return found

    @property
    def provenance(self) -> Provenance:
        """What was read."""
        n = len(self.network.layers)
        members = f" each, over {self.network.n_members} members" if self.network.n_members > 1 else ""
        heads = f"mean of {self.n_heads}{members}"
        dtype = str(self.tokens.dtype).removeprefix("torch.")
        return Provenance(f"1 to {n}" if n > 1 else str(n), "joint", False, dtype, heads)

    @property
    def n_heads(self) -> int:
        """H, of one member; 1 without attention."""
        assert isinstance(self.fused.weights, list)
        heads = next((w.shape[1] for layer in self.fused.weights for w in layer.values()), self.network.n_members)
        return heads // self.network.n_members

    def averaged(self) -> list[dict[Edge, Tensor]]:
        """For each layer edge -> (P, Q, K) in float64, on the processor, heads averaged."""
        assert isinstance(self.fused.weights, list)
        k, h = self.network.n_members, self.n_heads
        return [
            {
                e: w.detach().double().cpu().unflatten(1, (k, h)).mean(2).transpose(0, 1).flatten(0, 1)
                for e, w in layer.items()
            }
            for layer in self.fused.weights
        ]

    def in_order(self, blocks: Tensor) -> Tensor:
        """(..., m, m) over the modalities that have a place -> (..., M, M), zeros for the others."""
        at = torch.tensor([self.names.index(name) for name in self.places])
        full = blocks.new_zeros(*blocks.shape[:-2], len(self.names), len(self.names))
        full[..., at[:, None], at] = blocks
        return full

    def over_members(self, passes: Tensor) -> Tensor:
        """(P, ...) -> (B, ...), the mean over the members."""
        return passes.unflatten(0, (self.network.n_members, -1)).mean(0)


def runs(model: Any, X: Any, batch_size: int, *, what: str, gradients: bool = False) -> Iterator[Run]:
    """Run a model on samples, batch by batch, as it predicts: dropout is off.

    Args:
        model: a fitted estimator, or a module that is or holds a `FusionNetwork`.
        X: samples for an estimator; `x` or `(x, present)` as tensors for a module.
        batch_size: samples of a batch.
        what: how errors call the caller.
        gradients: keep the graph from the inputs to the outputs.

    Raises:
        InputError: the model holds no `FusionNetwork`, or there is no sample.
    """
    module, network, feed = opened(model, X, what=what)
    if not isinstance(network, FusionNetwork):
        raise InputError(
            f"{what} reads the layers of a FusionNetwork, however: {type(network).__name__}; for any other model "
            "capture records its attention"
        )
    for rows in feed.in_order(np.arange(len(feed)), batch_size):
        x, present = feed.batch(rows)
        with torch.inference_mode(False), as_in_prediction(module), torch.set_grad_enabled(gradients):
            run = _run(module, network, x, present, gradients)
        yield run


def _run(
    module: nn.Module, network: FusionNetwork, x: Mapping[str, Tensor], present: Mapping[str, Tensor], gradients: bool
) -> Run:
    if gradients:  # frozen weights too have a gradient then: it starts at the inputs
        x = {name: values.clone().requires_grad_() for name, values in x.items()}
    pooled: list[Any] = []

    def before_pooling(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Callable[[], None]:
        pooled.append(args)
        return lambda: None

    # What a network returns are copies of its tokens, and not which of them are there: the pool is told both.
    listen(network.pool, before_pooling)
    try:
        with ExitStack() as stack:
            used = stack.enter_context(tapped(network)) if gradients else []
            alone = {} if getattr(module, "experts", None) is None else {"experts": False}  # attention is not in them
            answer = module(x, present, need_weights="layers", **alone)
    finally:
        leave(network.pool, before_pooling)
    tokens, there, places = pooled[-1]
    fused, outputs = (answer, None) if isinstance(answer, Fused) else (answer.fused, answer.outputs)
    return Run(module, network, fused, outputs, tokens, or_all(there, tokens).cpu(), dict(places), used)
