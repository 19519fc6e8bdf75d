"""The contrastive loss: what belongs together is alike, more alike than anything else in the batch.

Shapes: A rows that ask, B rows that are asked.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def contrast(scores: Tensor, relevant: Tensor) -> Tensor:
    """Return the loss of a batch, asked in both directions: their mean.

    Every right pair stands against the wrong ones of its row alone: another right answer is no negative. So the loss of
    a pair is `-log(exp(s) / (exp(s) + sum of exp over the wrong ones))`; a row takes the mean over its right pairs.

    Shape:
        scores (A, B), relevant (A, B) bool -> ().

    Args:
        scores: of every pair, divided by the temperature.
        relevant: which pairs are right. A row without one, or a column, is left out.

    Source: van den Oord et al. 2018 (InfoNCE), Radford et al. 2021 (both directions), Khosla et al. 2020 (several right
    answers).

    Relation: with one right answer a row, `torch.nn.functional.cross_entropy` of the scores, both ways.

    Example:
        >>> contrast(torch.tensor([[2.0, 0.0], [0.0, 2.0]]), torch.eye(2, dtype=torch.bool))
        tensor(0.1269)
    """
    return 0.5 * (one_way(scores, relevant) + one_way(scores.mT, relevant.mT))


def one_way(scores: Tensor, relevant: Tensor) -> Tensor:
    """Return the loss of the rows alone; a score of minus infinity is nobody's.

    Shape, Args: as `contrast`.

    Example:
        >>> one_way(torch.tensor([[2.0, 0.0, -torch.inf]]), torch.tensor([[True, False, False]]))
        tensor(0.1269)
    """
    # Not minus infinity: a row without a wrong pair has a loss of zero, and a gradient of zero instead of NaN.
    lowest = torch.finfo(scores.dtype).min / 4
    scores = scores.clamp(min=lowest)
    wrong = scores.masked_fill(relevant, lowest).logsumexp(-1, keepdim=True)
    losses = F.softplus(wrong - scores) * relevant
    counts = relevant.sum(-1)
    rows = losses.sum(-1) / counts.clamp(min=1)
    return rows.sum() / (counts > 0).sum().clamp(min=1)
