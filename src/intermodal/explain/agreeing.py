"""Do attention and worth tell the same story?

Shapes: N samples, M modalities.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from intermodal.errors import InputError
from intermodal.explain.looking import EVEN, mean_shares
from intermodal.explain.ranks import SAME, moved_by, spearman

UNUSED = 3.0
"""A modality whose share of attention is this many times its share of worth is attended but unused ..."""
NOTICED = 0.05
"""... when attention gave it at least this share."""
NEARLY_EVEN = 0.5
"""Shares of attention that lie within this part of an even share of one another put nobody first."""


@dataclass(frozen=True)
class Agreement:
    """Attention beside worth, modality by modality.

    Attributes:
        names: (M,) the modalities.
        attention: (M,) shares of attention, or None where attention does not choose.
        worth: (M,) shares of worth, or None for a model that says the same always.
        spearman: rank correlation over the modalities, None where one of the two ranks nothing.
        same_first: both put the same modality first; None where one of the two is even, or nearly so.
        unused: modalities that got a large share of attention and are worth little.
    """

    names: tuple[str, ...]
    attention: np.ndarray | None
    worth: np.ndarray | None
    spearman: float | None
    same_first: bool | None
    unused: tuple[str, ...]

    @property
    def agrees(self) -> bool | None:
        """False where the first differs or a modality is attended but unused; None where nothing can be compared."""
        return False if self.unused else self.same_first

    @property
    def text(self) -> str:
        """The finding in words."""
        if self.attention is None:
            return EVEN
        if self.worth is None:
            return "no modality moves the prediction, so there is no worth to compare attention with"
        if len(self.names) < 2:
            return "there is a single modality, so attention and worth have nothing to agree about"
        looked, worthy = int(self.attention.argmax()), int(self.worth.argmax())
        correlation = "" if self.spearman is None else f"; rank correlation {self.spearman:.2f}"
        if self.agrees is None:
            shares = [f"{x.min():.0%} to {x.max():.0%}" for x in (self.attention, self.worth)]
            return f"attention is shared out from {shares[0]} and worth from {shares[1]}: too evenly to be compared"
        if self.agrees:
            return f'attention and worth agree here: both put "{self.names[worthy]}" first{correlation}'
        parts = []
        if self.same_first is False:
            parts.append(
                f'attention looks most at "{self.names[looked]}" ({self.attention[looked]:.0%}), yet '
                f'"{self.names[worthy]}" is worth most ({self.worth[worthy]:.0%})'
            )
        for name in self.unused:
            i = self.names.index(name)
            parts.append(
                f'"{name}" got {self.attention[i]:.0%} of the attention and {self.worth[i]:.0%} of the worth: '
                "attended but unused"
            )
        return "attention and worth disagree here: " + "; ".join(parts) + correlation


def agreement(attention: np.ndarray | None, worth: np.ndarray, *, names: Sequence[str]) -> Agreement:
    """Compare what was looked at with what was worth something.

    Args:
        attention: (M,) or (N, M) shares, as `attention_shares` returns them; None where attention does not choose.
        worth: (M,) or (N, M) or (N, M, O): Shapley values or their sizes; absolute values are averaged.
        names: (M,) the modalities.

    Returns:
        Rank correlation, whether both put the same modality first, and what was attended but unused.

    Raises:
        InputError: shapes that do not fit the names.

    Source: Jain and Wallace 2019, section 4.1, ask the same of attention and gradients.

    Example:
        >>> agreement(np.array([0.5, 0.3, 0.2]), np.array([0.01, 0.6, 0.39]), names=("noise", "text", "audio")).text
        'attention and worth disagree here: attention looks most at "noise" (50%), yet "text" is worth most (60%);
        "noise" got 50% of the attention and 1% of the worth: attended but unused; rank correlation -0.50'
    """
    names = tuple(names)
    worth = moved_by(np.asarray(worth, dtype=np.float64))
    worth = worth.mean(0) if worth.ndim == 2 else worth
    if attention is not None:
        attention = np.asarray(attention, dtype=np.float64)
        attention = mean_shares(attention) if attention.ndim == 2 else attention
    for what, given in (("attention", attention), ("worth", worth)):
        if given is not None and given.shape != (len(names),):
            raise InputError(f"{what} has one share for each of {len(names)} modalities, however: {given.shape}")
    total = float(worth.sum())
    shares = worth / total if total > 0 else None
    if attention is None or shares is None or len(names) < 2:
        return Agreement(names, attention, shares, None, None, ())
    even = np.ptp(attention) <= NEARLY_EVEN / len(names) or np.ptp(shares) <= 1e3 * SAME
    same = None if even else bool(attention.argmax() == shares.argmax())
    neglected = tuple(names[i] for i in unused(attention, shares))
    return Agreement(names, attention, shares, spearman(attention, shares), same, neglected)


def unused(attention: np.ndarray, worth: np.ndarray) -> list[int]:
    """Return the places of the modalities that got a large share of attention and hold little of the worth.

    Args:
        attention: (M,) shares.
        worth: (M,) shares.

    Example:
        >>> unused(np.array([0.5, 0.3, 0.2]), np.array([0.01, 0.6, 0.39]))
        [0]
    """
    return np.flatnonzero((attention > UNUSED * worth) & (attention >= NOTICED)).tolist()
