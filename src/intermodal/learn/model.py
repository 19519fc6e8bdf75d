"""The fused vector to an answer: a network from the spec, a head, and a straight line beside them.

Shapes: B batch, K members, d width of the fused vector, O outputs.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from intermodal.nn.fused import Fused, mean_present
from intermodal.nn.network import FusionNetwork


class Answer(NamedTuple):
    """What the model says, (B, K, O), and how it fused."""

    outputs: Tensor
    fused: Fused


class FusionModel(nn.Module):
    """A `FusionNetwork`, a head with one hidden layer, and a linear path from the inputs to the outputs.

    The linear path reads the mean of each modality's tokens, so that the start is a linear model and attention
    learns what a linear model cannot say.

    Shape:
        x: name -> (B, D) or (B, T, D) -> outputs (B, K, O).

    Args:
        network: the fusion.
        n_outputs: O.
        dropout: probability of dropping a feature in the head, in training.
        linear: add the linear path.

    Example:
        >>> model = FusionModel(FusionNetwork("self", {"a": 3, "b": 2}, d_model=8), n_outputs=2)
        >>> model({"a": torch.randn(5, 3), "b": torch.randn(5, 2)}).outputs.shape
        torch.Size([5, 1, 2])
    """

    def __init__(self, network: FusionNetwork, n_outputs: int, *, dropout: float = 0.0, linear: bool = True) -> None:
        super().__init__()
        self.network = network
        members, d = network.n_members, network.d_pooled
        self.hidden = nn.Linear(d, d)
        self.dropout = nn.Dropout(dropout)
        self.weight = nn.Parameter(torch.empty(members, d, n_outputs))
        self.bias = nn.Parameter(torch.zeros(members, n_outputs))
        nn.init.uniform_(self.weight, -(d**-0.5), d**-0.5)
        self.linear: nn.ModuleList | None = None
        if linear:
            self.linear = nn.ModuleList(nn.Linear(width, n_outputs, bias=False) for width in network.d_in.values())
            for path in self.linear:
                nn.init.zeros_(path.weight)  # type: ignore[arg-type]

    @property
    def n_outputs(self) -> int:
        """O."""
        return self.weight.shape[2]

    def forward(
        self,
        x: Mapping[str, Tensor],
        present: Mapping[str, Tensor] | None = None,
        *,
        need_weights: bool | Literal["layers"] = False,
    ) -> Answer:
        """Answer a batch; `x`, `present` and `need_weights` as in `FusionNetwork`."""
        fused = self.network(x, present, need_weights=need_weights)
        pooled = fused.pooled if fused.pooled.ndim == 3 else fused.pooled.unsqueeze(1)
        pooled = self.dropout(F.gelu(self.hidden(pooled)))
        outputs = torch.einsum("bkd,kdo->bko", pooled, self.weight) + self.bias
        if self.linear is not None:
            outputs = outputs + self._straight(x, present or {}).unsqueeze(1)
        return Answer(outputs, fused)

    def _straight(self, x: Mapping[str, Tensor], present: Mapping[str, Tensor]) -> Tensor:
        assert self.linear is not None
        total: Any = 0.0
        for name, path in zip(self.network.names, self.linear, strict=True):
            if name not in x:
                continue
            values, there = x[name], present.get(name)
            if values.ndim == 3:
                values = mean_present(values, there)
            elif there is not None:
                values = values.masked_fill(~there.unsqueeze(-1), 0.0)
            total = total + path(values)
        return torch.as_tensor(total)
