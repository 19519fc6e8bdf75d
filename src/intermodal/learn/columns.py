"""Samples as one row of numbers each, for models that know neither sequences nor missing modalities.

Shapes: B batch, T tokens, D width of a modality, F columns of a modality, P columns of all.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from intermodal.learn.folder import part_of
from intermodal.learn.shapes import Shapes
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

    They come in blocks: each modality is one, and a sequence with shapes has another behind it. A modality that a
    sample lacks stands at the mean of the training rows that have it: 0.

    Args:
        names: of the modalities.
        sizes, mean, scale: see below.
        shapes: by the number of their modality.

    Shape:
        x: name -> (B, D) or (B, T, D), as the network takes it -> (B, P).

    Attributes:
        sizes: columns of each block.
        mean, scale: (P,); the scale of a constant column is infinite.
    """

    sizes: Tensor
    mean: Tensor
    scale: Tensor

    def __init__(
        self, names: tuple[str, ...], sizes: Tensor, mean: Tensor, scale: Tensor, shapes: Mapping[str, Shapes]
    ) -> None:
        super().__init__()
        self.names = names
        self.shapes = nn.ModuleDict(dict(shapes))
        for name, value in {"sizes": sizes, "mean": mean, "scale": scale}.items():
            self.register_buffer(name, value)

    @classmethod
    def restored(cls, names: tuple[str, ...], tensors: Mapping[str, Tensor]) -> Columns:
        """Put together what `state_dict` took apart."""
        own = {k: v for k, v in tensors.items() if "." not in k}
        numbers = sorted({k.split(".")[1] for k in tensors if "." in k})
        shapes = {i: Shapes(**part_of(tensors, f"shapes.{i}.")) for i in numbers}
        return cls(names, **own, shapes=shapes)

    @classmethod
    def fit(
        cls,
        blocks: Mapping[str, Sequence[Tensor]],
        there: Mapping[str, Tensor],
        weight: Tensor,
        shapes: Mapping[str, Shapes] | None = None,
    ) -> Columns:
        """Measure mean and spread.

        Args:
            blocks: name -> the columns (N, F) of each of its blocks.
            there: name -> (N,) bool, which rows have the modality.
            weight: (N,) of each row.
            shapes: by the number of their modality; none by default.

        Example:
            >>> a = torch.tensor([[1.0], [3.0]])
            >>> columns = Columns.fit({"a": [a]}, {"a": torch.ones(2).bool()}, torch.ones(2))
            >>> columns({"a": torch.tensor([[4.0]])}).tolist()
            [[2.0]]
        """
        sizes, means, scales = [], [], []
        for name, own in blocks.items():
            for values in own:
                share = (weight * there[name]).to(values.dtype)
                total = share.sum().clamp(min=1e-12)
                mean = share @ values / total
                scale = (share @ (values - mean).square() / total).sqrt()
                sizes.append(values.shape[1])
                means.append(mean)
                scales.append(torch.where(scale > 1e-6, scale, torch.inf))
        return cls(tuple(blocks), torch.tensor(sizes), torch.cat(means), torch.cat(scales), shapes or {})

    def forward(self, x: Mapping[str, Tensor], present: Mapping[str, Tensor] | None = None) -> Tensor:
        """Make and scale the columns."""
        present = present or {}
        some = next(iter(x.values()))
        blocks, there = {}, {}
        for i, name in enumerate(self.names):
            if name in x:
                kept = present.get(name)
                blocks[name] = made(x[name], kept, self._shapes(i))
                there[name] = kept if kept is None or kept.ndim == 1 else kept.any(1)
        return self.scaled(blocks, there, like=some)

    def scaled(
        self,
        blocks: Mapping[str, Sequence[Tensor]],
        there: Mapping[str, Tensor | None],
        like: Tensor | None = None,
    ) -> Tensor:
        """Scale columns that were made before, as `fit` takes them, (N, P).

        A modality that is not among them is missing everywhere, in as many rows as `like` has.
        """
        like = next(iter(blocks.values()))[0] if like is None else like
        pieces = []
        place = iter(self.places().values())
        for i, name in enumerate(self.names):
            for number in range(1 + (self._shapes(i) is not None)):
                at = next(place)
                if name not in blocks:
                    pieces.append(like.new_zeros(len(like), at.stop - at.start))
                    continue
                scaled = ((blocks[name][number] - self.mean[at]) / self.scale[at]).clamp(-LIMIT, LIMIT)
                kept = there[name]
                pieces.append(scaled if kept is None else blank(scaled, kept.unsqueeze(-1)))
        return torch.cat(pieces, 1)

    def places(self) -> dict[str, slice]:
        """Where the columns of each block lie; a modality's own is named like it."""
        labels: list[str] = []
        for i, name in enumerate(self.names):
            labels += [name] if self._shapes(i) is None else [name, self._label(name)]
        ends = self.sizes.cumsum(0).tolist()
        return {n: slice(end - size, end) for n, end, size in zip(labels, ends, self.sizes.tolist(), strict=True)}

    def _label(self, name: str) -> str:
        label = f"{name} (shapes)"
        while label in self.names:
            label += "'"
        return label

    def _shapes(self, i: int) -> Shapes | None:
        found = dict(self.shapes.items()).get(str(i))
        return found if isinstance(found, Shapes) else None


def made(values: Tensor, there: Tensor | None, shapes: Shapes | None) -> list[Tensor]:
    """The blocks of one modality: its columns, and its shapes where it has some."""
    return [columns_of(values, there)] + ([] if shapes is None else [shapes(values, there)])
