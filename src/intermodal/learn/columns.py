"""Samples as one row of numbers each, for models that know neither sequences nor missing modalities.

Shapes: B batch, T tokens, D width of a modality, F columns of a modality, P columns of all.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from intermodal.nn.blank import blank
from intermodal.nn.fused import or_all

PARTS = 4
"""Parts of equal length that a sequence is cut into."""
LIMIT = 8.0
"""Standard deviations after which a column is cut."""


def columns_of(values: Tensor, there: Tensor | None = None) -> Tensor:
    """Return one modality as rows of numbers: a vector as it is, a sequence by what its tokens are on the whole.

    A sequence of T tokens becomes their mean, their standard deviation, the mean of each quarter (a token that lies
    across a cut counts in both, by its share), the mean step between neighbours, without its sign, and log T.

    Args:
        values: (B, D) or (B, T, D).
        there: (B,) or (B, T) bool, what is present; None for all. Tokens that are absent change nothing; a step
            is taken between neighbours that are both there.

    Returns:
        (B, D), or (B, 7 D + 1); zeros where the modality is missing.

    Example:
        >>> columns_of(torch.tensor([[[1.0], [3.0]]])).tolist()
        [[2.0, 1.0, 1.0, 1.0, 3.0, 3.0, 2.0, 0.6931471824645996]]
    """
    if values.ndim == 2:
        return values if there is None else blank(values, there.unsqueeze(-1))
    kept = or_all(there, values)
    values = blank(values, kept.unsqueeze(-1))
    share = kept.to(values.dtype)
    n = share.sum(1, keepdim=True)
    some = n.clamp(min=1)
    mean = (share.unsqueeze(1) @ values / some.unsqueeze(-1)).squeeze(1)
    off = (values - mean.unsqueeze(1)) * share.unsqueeze(-1)
    spread = (off.square().sum(1) / some + 1e-12).sqrt()
    steps = share[:, 1:] * share[:, :-1]
    step = ((values[:, 1:] - values[:, :-1]).abs() * steps.unsqueeze(-1)).sum(1) / steps.sum(1, keepdim=True).clamp(
        min=1
    )
    parts = (_in_part(share, some) @ values).flatten(1)
    return torch.cat([mean, spread, parts, step, some.log()], 1) * (n > 0)


def _in_part(share: Tensor, n: Tensor) -> Tensor:
    """How much of each part a token fills, (B, PARTS, T): the tokens that are there lie side by side from 0 to 1."""
    end = share.cumsum(1) / n * PARTS
    begin = end - share / n * PARTS
    left = torch.arange(PARTS, dtype=share.dtype, device=share.device).unsqueeze(-1)
    overlap = torch.minimum(end.unsqueeze(1), left + 1) - torch.maximum(begin.unsqueeze(1), left)
    return overlap.clamp(min=0)


class Columns(nn.Module):
    """The columns of all modalities side by side, each to mean 0 and standard deviation 1 over the training rows.

    A modality that a sample lacks stands at the mean of the training rows that have it: 0.

    Shape:
        x: name -> (B, D) or (B, T, D), as the network takes it -> (B, P).

    Attributes:
        sizes: (M,) columns of each modality.
        mean, scale: (P,); the scale of a constant column is infinite.
    """

    sizes: Tensor
    mean: Tensor
    scale: Tensor

    def __init__(self, names: tuple[str, ...], sizes: Tensor, mean: Tensor, scale: Tensor) -> None:
        super().__init__()
        self.names = names
        for name, value in {"sizes": sizes, "mean": mean, "scale": scale}.items():
            self.register_buffer(name, value)

    @classmethod
    def fit(cls, parts: Mapping[str, tuple[Tensor, Tensor]], weight: Tensor) -> Columns:
        """Measure mean and spread.

        Args:
            parts: name -> columns (N, F) of the rows, and which rows have the modality (N,) bool.
            weight: (N,) of each row.

        Example:
            >>> all_there = torch.ones(2).bool()
            >>> columns = Columns.fit({"a": (torch.tensor([[1.0], [3.0]]), all_there)}, torch.ones(2))
            >>> columns({"a": torch.tensor([[4.0]])}).tolist()
            [[2.0]]
        """
        means, scales = [], []
        for values, there in parts.values():
            share = (weight * there).to(values.dtype)
            total = share.sum().clamp(min=1e-12)
            mean = share @ values / total
            scale = (share @ (values - mean).square() / total).sqrt()
            means.append(mean)
            scales.append(torch.where(scale > 1e-6, scale, torch.inf))
        sizes = torch.tensor([values.shape[1] for values, _ in parts.values()])
        return cls(tuple(parts), sizes, torch.cat(means), torch.cat(scales))

    def forward(self, x: Mapping[str, Tensor], present: Mapping[str, Tensor] | None = None) -> Tensor:
        """Make and scale the columns."""
        present = present or {}
        some = next(iter(x.values()))
        pieces = []
        for name, size, at in zip(self.names, self.sizes.tolist(), self.places(), strict=True):
            if name not in x:
                pieces.append(some.new_zeros(len(some), size))
                continue
            there = present.get(name)
            pieces.append(self._scaled(columns_of(x[name], there), at, there))
        return torch.cat(pieces, 1)

    def scaled(self, parts: Mapping[str, tuple[Tensor, Tensor]]) -> Tensor:
        """Scale columns that were made before, as `fit` takes them, (N, P)."""
        places = zip(parts.values(), self.places(), strict=True)
        return torch.cat([self._scaled(values, at, there) for (values, there), at in places], 1)

    def _scaled(self, values: Tensor, at: slice, there: Tensor | None) -> Tensor:
        scaled = ((values - self.mean[at]) / self.scale[at]).clamp(-LIMIT, LIMIT)
        if there is None:
            return scaled
        return blank(scaled, (there if there.ndim == 1 else there.any(1)).unsqueeze(-1))

    def places(self) -> list[slice]:
        """Where the columns of each modality lie."""
        ends = self.sizes.cumsum(0).tolist()
        return [slice(end - size, end) for end, size in zip(ends, self.sizes.tolist(), strict=True)]
