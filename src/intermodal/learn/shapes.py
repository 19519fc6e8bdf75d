"""What happens in a sequence, and when: how often, and how much, random waves are found in each quarter of it.

Source: Dempster et al. 2020 (ROCKET) and 2021 (MiniRocket): random convolutions and the share of time that they are
on, read by a linear model, classify time series as well as any network; Tan et al. 2022 (MultiRocket) for several
such numbers; Dempster et al. 2023 (Hydra) for rivals, of which one is the closest.

Shapes: B batch, T tokens, D width, W waves, F columns.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from intermodal.nn.blank import blank
from intermodal.nn.fused import or_all

LENGTH = 64
"""Points to which every sequence is stretched: what is slow for one is quick for another."""
SIZE = 9
"""Points of a wave."""
DISTANCES = (1, 2, 4)
"""Between the points of a wave."""
EACH = 64
"""Waves of each distance."""
CHANNELS = 9
"""Channels, at most, that a wave looks at."""
PARTS = 4
"""Parts of equal length in which it is asked whether a wave is there."""
RIVALS = 8
"""Waves of which one is the closest at each point."""
EDGE = 20.0
"""How sharp the border is between there and not there, per standard deviation."""
SHORTEST = 8
"""Tokens of the median sequence from which it is long enough to move."""


class Shapes(nn.Module):
    """How a sequence moves, as a row of numbers.

    A wave is a random pattern of nine points over a random few channels. For each it is told for which share of each
    quarter the sequence follows it by more than a random cut, how closely it does at best, and (the root of) the shares
    of time for which it does so more closely than each of seven rivals, and less closely than each.

    Attributes:
        mix: (D, W) which channels a wave looks at, and with which sign.
        wave: (W, 1, 9).
        scale, cut: (W,) spread of what the waves say over training rows; from where on a wave is there.

    Shape:
        values (B, T, D), there (B, T) bool or None -> (B, 7 W); zeros where no token is there.

    Example:
        >>> up = torch.arange(12.0).reshape(1, 12, 1)
        >>> shapes = Shapes.fit(torch.cat([up, -up]), None, seed=0)
        >>> shapes(up).shape
        torch.Size([1, 1344])
    """

    mix: Tensor
    wave: Tensor
    scale: Tensor
    cut: Tensor

    def __init__(self, mix: Tensor, wave: Tensor, scale: Tensor, cut: Tensor) -> None:
        super().__init__()
        for name, value in {"mix": mix, "wave": wave, "scale": scale, "cut": cut}.items():
            self.register_buffer(name, value)

    @classmethod
    def fit(cls, values: Tensor, there: Tensor | None, seed: int) -> Shapes:
        """Draw waves, and measure on some sequences what they say.

        Args:
            values: (B, T, D), scaled; some training rows.
            there: (B, T) bool, or None for all.
            seed: of the waves.
        """
        rng = np.random.default_rng(seed)
        n, width = EACH * len(DISTANCES), values.shape[2]
        most = np.floor(2 ** (rng.random(n) * np.log2(min(width, CHANNELS) + 1))).clip(1)
        rank = rng.random((width, n)).argsort(0).argsort(0)
        mix = np.where(rank < most, rng.choice([-1.0, 1.0], (width, n)), 0.0)
        wave = rng.normal(size=(n, 1, SIZE))
        wave -= wave.mean(2, keepdims=True)  # where a channel stands says nothing, only how it moves
        drawn = cls(*(torch.from_numpy(a).to(values) for a in (mix, wave, np.ones(n), np.zeros(n))))
        with torch.no_grad():
            some = or_all(there, values).any(1)
            said = drawn._said(values[some], None if there is None else there[some]).transpose(0, 1).flatten(1)
            drawn.scale = said.std(1).clamp(min=1e-6)
            at = (rng.uniform(0.1, 0.9, n) * (said.shape[1] - 1)).astype(np.int64)
            ordered = said.sort(1).values
            drawn.cut = ordered.gather(1, torch.from_numpy(at).to(ordered.device)[:, None])[:, 0] / drawn.scale
        return drawn

    def forward(self, values: Tensor, there: Tensor | None = None) -> Tensor:
        """Look for the waves."""
        said = self._said(values, there) / self.scale[:, None]
        on = torch.sigmoid(EDGE * (said - self.cut[:, None]))
        found = [part.mean(2) for part in on.chunk(PARTS, 2)] + [said.amax(2)]
        for side in (EDGE, -EDGE):  # most closely, and least
            first = F.log_softmax((side * said).unflatten(1, (-1, RIVALS)), 2).exp().flatten(1, 2)
            found.append((first.mean(2) + 1e-12).sqrt())
        return torch.cat(found, 1) * or_all(there, values).any(1, keepdim=True)

    def _said(self, values: Tensor, there: Tensor | None) -> Tensor:
        """How closely the sequence follows each wave at each point, (B, W, LENGTH)."""
        kept = or_all(there, values)
        mixed = stretched(blank(values, kept.unsqueeze(-1)) @ self.mix, kept).transpose(1, 2)
        pieces = zip(mixed.split(EACH, 1), self.wave.split(EACH), DISTANCES, strict=True)
        return torch.cat([_along(piece, wave, distance) for piece, wave, distance in pieces], 1)


def _along(values: Tensor, wave: Tensor, distance: int) -> Tensor:
    """Each channel with its own wave; beyond its ends a sequence stays as it is there."""
    beyond = (SIZE // 2) * distance
    return F.conv1d(F.pad(values, (beyond, beyond), mode="replicate"), wave, dilation=distance, groups=len(wave))


def stretched(values: Tensor, there: Tensor, length: int = LENGTH) -> Tensor:
    """Sequences of `length` points each, between the tokens that are there in straight lines, (B, length, D).

    Args:
        values: (B, T, D); zeros where nothing is there.
        there: (B, T) bool.
        length: points.

    Example:
        >>> stretched(torch.tensor([[[1.0], [9.0], [2.0]]]), torch.tensor([[True, False, True]]), 3)[0, :, 0].tolist()
        [1.0, 1.5, 2.0]
    """
    order = (~there).to(torch.uint8).sort(dim=1, stable=True).indices
    n = there.sum(1, keepdim=True)
    at = torch.linspace(0, 1, length, device=values.device, dtype=values.dtype) * (n - 1).clamp(min=0)
    low = at.floor().long()
    high = torch.minimum(low + 1, (n - 1).clamp(min=0))
    share = (at - low).unsqueeze(-1)

    def taken(place: Tensor) -> Tensor:
        return values.gather(1, order.gather(1, place).unsqueeze(-1).expand(-1, -1, values.shape[2]))

    return (1 - share) * taken(low) + share * taken(high)
