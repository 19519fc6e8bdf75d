"""From tokens to one vector.

Shapes: B batch, S tokens of all modalities, d width, M modalities.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from intermodal.attention import attend_unchecked
from intermodal.nn.fused import mean_present

POOLS = ("mean", "tokens", "attention", "concat")


class Pool(nn.Module):
    """Pool without weights.

    Shape:
        tokens (B, S, d), present (B, S) or None -> (B, d), or (B, M * d) for `concat`.

    Args:
        how: `mean`: over the tokens of a modality, then over the modalities that are there; `tokens`: over all
            tokens; `concat`: the means of the modalities side by side, zeros for a missing one.
        names: the modalities, in order.

    Example:
        >>> Pool("mean", ("a", "b"))(torch.tensor([[[1.], [3.], [6.]]]), None, {"a": slice(0, 2), "b": slice(2, 3)})
        tensor([[4.]])
    """

    def __init__(self, how: str, names: tuple[str, ...]) -> None:
        super().__init__()
        self.how = how
        self.names = names

    @property
    def per_modality(self) -> bool:
        """True when every modality has a place of its own in the result."""
        return self.how == "concat"

    def forward(self, tokens: Tensor, present: Tensor | None, places: Mapping[str, slice]) -> Tensor:
        """Pool."""
        if self.how == "tokens":
            return mean_present(tokens, present)
        means = {
            name: mean_present(tokens[:, place], None if present is None else present[:, place])
            for name, place in places.items()
        }
        if self.how == "concat":
            nothing = tokens.new_zeros(tokens.shape[0], tokens.shape[2])
            return torch.cat([means.get(name, nothing) for name in self.names], 1)
        there = None
        if present is not None:
            there = torch.stack([present[:, place].any(1) for place in places.values()], 1)
        return mean_present(torch.stack(list(means.values()), 1), there)

    def extra_repr(self) -> str:
        """Show how."""
        return self.how


class AttentionPool(nn.Module):
    """Pool by a learned query that asks all tokens.

    Shape:
        tokens (B, S, d), present (B, S) or None -> (B, d). Nothing there gives zeros.

    Args:
        d_model: d.

    Source: Ilse, Tomczak and Welling 2018, Attention-based Deep Multiple Instance Learning, without the gate.

    Example:
        >>> AttentionPool(4)(torch.randn(2, 3, 4), None, {}).shape
        torch.Size([2, 4])
    """

    per_modality = False

    def __init__(self, d_model: int) -> None:
        super().__init__()
        self.query = nn.Parameter(torch.randn(d_model) / d_model**0.5)
        self.key = nn.Linear(d_model, d_model, bias=False)  # a bias would cancel in the softmax

    def forward(self, tokens: Tensor, present: Tensor | None, places: Mapping[str, slice]) -> Tensor:
        """Pool."""
        query = self.query.expand(tokens.shape[0], 1, 1, -1).to(tokens.dtype)
        keep = None if present is None else present[:, None, None]
        output, _ = attend_unchecked(query, self.key(tokens).unsqueeze(1), tokens.unsqueeze(1), keep=keep)
        return output[:, 0, 0]


def make_pool(how: str, d_model: int, names: tuple[str, ...]) -> Pool | AttentionPool:
    """Return the pooling of this name."""
    return AttentionPool(d_model) if how == "attention" else Pool(how, names)
