"""The fused vector to an answer: a network from the spec, a head, the straight line that it starts from, and experts.

Shapes: B batch, K members, d width of the fused vector, O outputs.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from intermodal.learn.experts import Experts
from intermodal.nn.blank import blank
from intermodal.nn.dropping import Dropout
from intermodal.nn.fused import Fused, mean_present
from intermodal.nn.network import FusionNetwork


class Answer(NamedTuple):
    """What the model says, (B, K, O), and how it fused."""

    outputs: Tensor
    fused: Fused


class FusionModel(nn.Module):
    """A `FusionNetwork`, a head with one hidden layer, and a fixed linear model whose leftovers they learn.

    The members of an ensemble have an output layer each. It starts near zero, so that the model starts as the line.
    Beside them may stand experts, which no step of training moves: the answer is the sum of both, each times its share.

    Shape:
        x: name -> (B, D) or (B, T, D) -> outputs (B, K, O).

    Args:
        network: the fusion.
        n_outputs: O.
        dropout: probability of dropping a feature in the head, in training.

    Example:
        >>> model = FusionModel(FusionNetwork("self", {"a": 3, "b": 2}, d_model=8), n_outputs=2)
        >>> model({"a": torch.randn(5, 3), "b": torch.randn(5, 2)}).outputs.shape
        torch.Size([5, 1, 2])
    """

    def __init__(self, network: FusionNetwork, n_outputs: int, *, dropout: float = 0.0) -> None:
        super().__init__()
        self.network = network
        members, d = network.n_members, network.d_pooled
        self.hidden = nn.Linear(d, d)
        self.dropout = Dropout(dropout)
        self.weight = nn.Parameter(torch.empty(members, d, n_outputs))
        self.bias = nn.Parameter(torch.zeros(members, n_outputs))
        nn.init.uniform_(self.weight, -0.1 * d**-0.5, 0.1 * d**-0.5)
        self.register_buffer("coef", torch.zeros(sum(network.d_in.values()), n_outputs))
        self.register_buffer("intercept", torch.zeros(n_outputs))
        self.register_buffer("shares", torch.tensor([1.0, 0.0]))
        self.experts: Experts | None = None

    coef: Tensor
    intercept: Tensor
    shares: Tensor
    """What the network with its line counts, and what the experts count."""

    @property
    def n_outputs(self) -> int:
        """O."""
        return self.weight.shape[2]

    def forward(
        self,
        x: Mapping[str, Tensor],
        present: Mapping[str, Tensor] | None = None,
        *,
        need_weights: bool | Literal["layers", "mass"] = False,
        straight: bool = True,
        experts: bool = True,
    ) -> Answer:
        """Answer a batch; `x`, `present` and `need_weights` as in `FusionNetwork`.

        Without `straight` the answer is what the network adds to the line, without `experts` that of both, as training
        sees them: whole, not times their share.
        """
        fused = self.network(x, present, need_weights=need_weights)
        pooled = fused.pooled if fused.pooled.ndim == 3 else fused.pooled.unsqueeze(1)
        pooled = self.dropout(F.gelu(self.hidden(pooled)))
        outputs = torch.einsum("bkd,kdo->bko", pooled, self.weight) + self.bias
        if straight:
            outputs = outputs + self.line(x, present or {}).unsqueeze(1)
        if straight and experts and self.experts is not None:
            said = self.experts(x, present).unsqueeze(1)
            outputs = self.shares[0] * outputs + self.shares[1] * said
        return Answer(outputs, fused)

    def line(self, x: Mapping[str, Tensor], present: Mapping[str, Tensor]) -> Tensor:
        """What the straight line says, (B, O): a sequence by the mean of its tokens, a missing modality by nothing."""
        pieces = []
        for name, width in self.network.d_in.items():
            if name not in x:
                pieces.append(next(iter(x.values())).new_zeros(len(next(iter(x.values()))), width))
                continue
            values, there = x[name], present.get(name)
            if values.ndim == 2 and there is not None:
                values = blank(values, there.unsqueeze(-1))
            pieces.append(mean_present(values, there) if values.ndim == 3 else values)
        return torch.cat(pieces, 1) @ self.coef + self.intercept
