"""Which samples to show, of more than anybody reads: some by chance, some that went wrong, some unlike the mean.

Shapes: N samples, L layers, H heads (of all members), M modalities.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from intermodal.errors import InputError
from intermodal.explain.attention_maps import AttentionMap, attention_map, masses
from intermodal.explain.opening import Opened, opened

RANDOM, LOSS, UNLIKE, BROKEN = "random", "highest loss", "unlike the mean", "not a number"


@dataclass(frozen=True)
class Chosen:
    """A sample to show, and why.

    Attributes:
        row: its position.
        reasons: "random", "highest loss", "unlike the mean" or "not a number"; several where several hold.
        loss: its loss; None without losses.
        distance: how far its attention is from the mean, 0 to 1; None where it asks nobody or is not a number.
    """

    row: int
    reasons: tuple[str, ...]
    loss: float | None
    distance: float | None

    @property
    def why(self) -> str:
        """The reasons in one text."""
        return ", ".join(self.reasons)


def chosen_samples(
    model: Any,
    X: Any,
    attention: AttentionMap | None = None,
    *,
    losses: Sequence[float] | np.ndarray | None = None,
    n_random: int = 10,
    n_loss: int = 5,
    n_unlike: int = 5,
    seed: int = 0,
    batch_size: int = 256,
) -> tuple[Chosen, ...]:
    """Choose samples to show: by chance, of the highest loss, and most unlike the mean attention.

    A sample that is chosen for several reasons stands once, with all of them, so there may be fewer than the numbers
    add up to. Of equal samples the first is taken. Samples whose attention is not a number come before all others
    that are unlike the mean.

    Args:
        model: as in `attention_map`.
        X: as in `attention_map`.
        attention: the map of the same samples, if it is there already.
        losses: (N,) the loss of every sample; without them none is chosen for its loss.
        n_random: samples drawn by chance.
        n_loss: samples of the highest loss.
        n_unlike: samples most unlike the mean.
        seed: of the drawing.
        batch_size: samples at a time.

    Returns:
        The chosen, in the order in which they were chosen: by chance, by loss, by distance.

    Raises:
        InputError: the model or the samples cannot be read, or `losses` are not one finite number a sample.

    Relation: the distance is half the sum of absolute differences between a row of the sample's attention and the
    same row of `attention.by_head` (the total variation), averaged over layers, heads and the modalities that asked.

    Example:
        >>> from intermodal.nn import FusionNetwork
        >>> network = FusionNetwork("self", {"text": 3, "video": 2}, d_model=8)
        >>> x = {"text": torch.randn(50, 3), "video": torch.randn(50, 4, 2)}
        >>> chosen = chosen_samples(network, x, losses=range(50), n_random=2, n_loss=1, n_unlike=0)
        >>> [c.why for c in chosen]
        ['random', 'random', 'highest loss']
    """
    negative = {"n_random": n_random, "n_loss": n_loss, "n_unlike": n_unlike}
    for name, k in negative.items():
        if k < 0:
            raise InputError(f"{name} is 0 or more, however: {name}={k}")
    given = opened(model, X, what="chosen_samples")
    n = len(given.feed)
    loss = None if losses is None else _losses(losses, n)
    attention = attention_map(given.module, given.feed, batch_size=batch_size) if attention is None else attention
    distance = _distances(given, attention, batch_size)
    picked: dict[int, list[str]] = {}
    drawn = np.sort(np.random.default_rng(seed).choice(n, size=min(n_random, n), replace=False))
    by_loss = np.zeros(0, int) if loss is None else np.argsort(-loss, kind="stable")[:n_loss]
    # Nobody asked: NaN, never unlike. Not a number: infinitely unlike.
    by_distance = [i for i in np.argsort(-distance, kind="stable") if not np.isnan(distance[i])][:n_unlike]
    for reason, rows in ((RANDOM, drawn), (LOSS, by_loss), (UNLIKE, by_distance)):
        for row in rows:
            broken = reason == UNLIKE and np.isinf(distance[row])
            picked.setdefault(int(row), []).append(BROKEN if broken else reason)
    return tuple(
        Chosen(
            row,
            tuple(reasons),
            None if loss is None else float(loss[row]),
            float(distance[row]) if np.isfinite(distance[row]) else None,
        )
        for row, reasons in picked.items()
    )


def _losses(losses: Sequence[float] | np.ndarray, n: int) -> np.ndarray:
    loss = np.asarray(losses, dtype=np.float64)
    if loss.shape != (n,):
        raise InputError(f"losses are one number a sample, ({n},), however: {loss.shape=}")
    if not np.isfinite(loss).all():
        at = int(np.flatnonzero(~np.isfinite(loss))[0])
        raise InputError(f"losses are finite, however: losses[{at}]={loss[at]}")
    return loss


def _distances(model: Opened, attention: AttentionMap, batch_size: int) -> np.ndarray:
    """(N,) how unlike the mean each sample is: NaN where nobody asked, infinite where it is not a number."""
    distance = np.full(len(model.feed), np.nan)
    if attention.by_head is None:
        return distance
    known = torch.from_numpy(~np.isnan(attention.by_head).any((0, 1, 3)))  # (M,) rows whose mean is a number
    usual = torch.from_numpy(attention.by_head).nan_to_num()
    start = 0
    for mass, asked, _ in masses(model, np.arange(len(model.feed)), batch_size):
        assert mass is not None
        rows = asked & known
        far = (mass - usual).abs().sum(-1).mean((1, 2)) / 2  # (B, M)
        far = far.masked_fill(~rows, 0.0).sum(1) / rows.sum(1).clamp(min=1)
        far = far.masked_fill(~rows.any(1), torch.nan)
        far = far.masked_fill(mass.isnan().flatten(1).any(1), torch.inf)
        distance[start : start + len(far)] = far.numpy()
        start += len(far)
    return distance
