"""One stretch of a film: the probability of every start and end together, without a table of all pairs.

A stretch from clip i to clip j scores `start_i + end_j + inside_i + ... + inside_j`. The sum of what is inside is a
difference of two running sums, so the score is one number of i plus one number of j, and all pairs are summed up in
one pass over time: memory and work grow with the length of the film, not with its square.

Shapes: B batch, T clips, K candidates.

Source: a semi-Markov conditional random field (Sarawagi and Cohen 2004) with one segment.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

NEVER = -1e12
"""The score of a place that is not there."""


class Stretch(NamedTuple):
    """Scores of starts and of ends.

    Shape:
        starts (B, T), ends (B, T), float64: a stretch from i to j, j >= i, scores starts[i] + ends[j].
        total (B,): the logarithm of the sum of exp(score) over all stretches.
    """

    starts: Tensor
    ends: Tensor
    total: Tensor


def stretch(start: Tensor, end: Tensor, inside: Tensor, within: Tensor) -> Stretch:
    """Score all stretches.

    Args:
        start: (B, T) how well each clip begins the answer.
        end: (B, T) how well it ends it.
        inside: (B, T) how well it belongs to it.
        within: bool (B, T), False for padding; no stretch begins or ends there.

    Example:
        >>> zero = torch.zeros(1, 3)
        >>> stretch(zero, zero, zero, torch.ones(1, 3, dtype=torch.bool)).total.exp().round()  # six pairs
        tensor([6.], dtype=torch.float64)
    """
    start, end, inside = (t.double().masked_fill(~within, 0.0) for t in (start, end, inside))
    upto = inside.cumsum(1)
    starts = (start - (upto - inside)).masked_fill(~within, NEVER)
    ends = (end + upto).masked_fill(~within, NEVER)
    total = torch.logsumexp(ends + torch.logcumsumexp(starts, 1), 1)
    return Stretch(starts, ends, total)


def surprise(scored: Stretch, started: Tensor, ended: Tensor) -> Tensor:
    """Return the cross-entropy of where the answer starts and ends, (B,).

    Args:
        scored: all stretches.
        started: (B, T) shares of each clip in the true start, summing to 1.
        ended: (B, T) the same of the end.
    """
    there = (started * scored.starts.clamp(min=NEVER)).sum(1) + (ended * scored.ends).sum(1)
    return scored.total - there


def marginals(scored: Stretch) -> tuple[Tensor, Tensor]:
    """Return the probability that the answer starts at each clip, and that it ends there, (B, T) each.

    Example:
        >>> zero = torch.zeros(1, 3)
        >>> starts, ends = marginals(stretch(zero, zero, zero, torch.ones(1, 3, dtype=torch.bool)))
        >>> starts.mul(6).round().tolist(), ends.mul(6).round().tolist()
        ([[3.0, 2.0, 1.0]], [[1.0, 2.0, 3.0]])
    """
    total = scored.total.unsqueeze(1)
    starts = scored.starts + torch.logcumsumexp(scored.ends.flip(1), 1).flip(1) - total
    ends = scored.ends + torch.logcumsumexp(scored.starts, 1) - total
    return starts.exp(), ends.exp()
