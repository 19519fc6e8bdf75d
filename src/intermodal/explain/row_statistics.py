"""What the rows of an attention are like, added up batch by batch, and what that amounts to.

A row is one query's weights in one head. Only a row with several keys is a choice, and only one with at least `WIDE`
keys can be called even or collapsed.

Shapes: B batch, H heads, Q queries, K keys.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from intermodal.explain.findings import Finding, finding

WIDE, ENOUGH = 4, 32
"""Keys a row needs, and rows (over samples and queries) there must be, before shares are judged."""
EVEN, COLLAPSED, SURE = 0.98, 0.05, 0.99
"""Entropy over ln(keys) above which attention is even, below which it is collapsed; and the weight of a sure row."""
MOST_ROWS = 0.95
BLIND, LOOSE = 0.01, 0.95
"""Total variation between rows below which queries make no difference, where entropy is below `LOOSE`."""
SINK_WEIGHT, SINK_ROWS, SINK_SAMPLES = 0.5, 0.8, 8


class RowStatistics:
    """Statistics of rows of weights.

    Example:
        >>> rows = RowStatistics()
        >>> rows.add(torch.full((8, 2, 4, 5), 0.2))
        >>> rows.n_wide, round(rows.entropy, 6), rows.most_keys
        (32, 1.0, 5)
    """

    def __init__(self) -> None:
        self.n_samples = 0
        self.most_keys = 0
        self.n_choosing = 0  # rows with several keys, heads counted
        self.n_wide = 0  # rows with WIDE keys or more, heads not counted
        self.widest_spread = 0.0  # largest minus smallest weight of a row with several keys
        self._wide_rows = 0  # the same with heads counted
        self._entropy = 0.0
        self._collapsed = 0
        self._apart = [0.0, 0.0]  # total variation to the next row, and to the row half the queries away
        self._pairs = [0, 0]
        self._sinks = torch.zeros(0, dtype=torch.float64)
        self._sink_rows = 0

    def add(self, weights: Tensor, keep: Tensor | None = None) -> None:
        """Add a batch.

        Args:
            weights: (B, H, Q, K); a row of zeros asked nobody and does not count.
            keep: bool, broadcast over the weights, True where attention may look; by default the keys that anybody
                of the sample gives any weight to.
        """
        if weights.numel() == 0:
            return
        weights = weights.detach()
        seen = (weights > 0).any(1, keepdim=True).any(2, keepdim=True) if keep is None else keep
        asks = weights.sum(-1) > 0
        keys = seen.sum(-1).expand(asks.shape)
        choosing, wide = asks & (keys > 1), asks & (keys >= WIDE)
        self.n_samples += int(wide.flatten(1).any(1).sum())
        self.most_keys = max(self.most_keys, int((keys * asks).max()))
        self.n_choosing += int(choosing.sum())
        if bool(choosing.any()):
            least = weights.masked_fill(~seen, torch.inf).amin(-1)
            self.widest_spread = max(self.widest_spread, float((weights.amax(-1) - least)[choosing].max()))
        if bool(wide.any()):
            self._add_wide(weights, keys, wide)

    def _add_wide(self, weights: Tensor, keys: Tensor, wide: Tensor) -> None:
        self.n_wide += int(wide.any(1).sum())
        self._wide_rows += int(wide.sum())
        entropy = torch.special.entr(weights).sum(-1) / keys.clamp(min=2).to(weights.dtype).log()
        self._entropy += float(entropy[wide].double().sum())
        self._collapsed += int((wide & (entropy < COLLAPSED) & (weights.amax(-1) > SURE)).sum())
        n_queries = weights.shape[2]
        if n_queries > 1:
            for i, shift in enumerate((1, n_queries // 2)):
                pairs = wide & wide.roll(shift, 2)
                apart = (weights - weights.roll(shift, 2)).abs().sum(-1) / 2
                self._apart[i] += float(apart[pairs].double().sum())
                self._pairs[i] += int(pairs.sum())
        sinks = ((weights.mean(1) > SINK_WEIGHT) & wide.all(1).unsqueeze(-1)).double().sum((0, 1)).cpu()
        longer = torch.zeros(max(len(sinks), len(self._sinks)), dtype=torch.float64)
        longer[: len(sinks)] += sinks
        longer[: len(self._sinks)] += self._sinks
        self._sinks = longer
        self._sink_rows += int(wide.all(1).sum())

    @property
    def enough(self) -> bool:
        """Whether there are rows enough to judge shares."""
        return self.n_wide >= ENOUGH

    @property
    def entropy(self) -> float:
        """The mean of entropy over ln(keys): 1 is even, 0 is one key alone; NaN without a wide row."""
        return self._entropy / self._wide_rows if self._wide_rows else float("nan")

    @property
    def collapsed(self) -> float:
        """The share of wide rows that are sure of one key."""
        return self._collapsed / self._wide_rows if self._wide_rows else 0.0

    @property
    def apart(self) -> float | None:
        """How far the rows of a sample lie from one another: the mean total variation; None without two rows."""
        known = [total / n for total, n in zip(self._apart, self._pairs, strict=True) if n]
        return max(known) if known else None

    @property
    def sink(self) -> tuple[int, float]:
        """The key that gets over half of a row's weight most often, and in which share of the rows."""
        if not self._sink_rows:
            return 0, 0.0
        at = int(self._sinks.argmax())
        return at, float(self._sinks[at]) / self._sink_rows


def judged(rows: RowStatistics, who: str) -> Iterator[Finding]:
    """Say what the rows of one attention amount to; whether they are even is for all attentions together to say.

    Args:
        rows: of one attention.
        who: how a sentence calls it, such as "text -> video".
    """
    if rows.n_choosing and rows.widest_spread <= 1e-6:
        yield finding(
            "same-keys",
            f"{who}: every weight is exactly one over the number of keys, so the keys are all the same to it",
            keys=rows.most_keys,
            spread=rows.widest_spread,
        )
        return
    if not rows.enough:
        return
    if rows.collapsed > MOST_ROWS:
        yield finding(
            "collapsed",
            f"{who}: {rows.collapsed:.0%} of the rows put nearly all their weight on one key",
            share=rows.collapsed,
            entropy=rows.entropy,
        )
    if rows.apart is not None and rows.apart < BLIND and rows.entropy < LOOSE:
        yield finding(
            "query-blind",
            f"{who}: whoever asks looks at the same keys: the rows of a sample differ by {rows.apart:.4f} on average",
            apart=rows.apart,
            entropy=rows.entropy,
        )
    at, share = rows.sink
    if rows.n_samples >= SINK_SAMPLES and share > SINK_ROWS:
        yield finding(
            "sink",
            f"{who}: key {at} gets more than half of the weight in {share:.0%} of the rows",
            key=at,
            share=share,
        )


def too_even(rows: list[RowStatistics], start: float | None) -> Iterator[Finding]:
    """Say so where a trained attention is even everywhere, and was not so before its first step.

    Args:
        rows: of all attentions.
        start: the entropy over ln(keys) when it was freshly drawn; None where that is not known.
    """
    known = [r for r in rows if r.enough]
    if not known:
        return
    entropy = sum(r.entropy for r in known) / len(known)
    if entropy > EVEN and (start is None or entropy > start):
        before = "" if start is None else f", {start:.3f} before training"
        yield finding(
            "uniform",
            f"attention is even: its entropy is {entropy:.3f} of the largest there is{before}",
            entropy=entropy,
            start=start,
        )
