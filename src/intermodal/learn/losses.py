"""Losses per sample and member, and how the members' answers become one.

Shapes: B batch, K members, O outputs.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor


def cross_entropy(outputs: Tensor, target: Tensor) -> Tensor:
    """Cross-entropy of each member: outputs (B, K, O), target (B,) of class numbers -> (B, K).

    Example:
        >>> import torch
        >>> cross_entropy(torch.zeros(1, 2, 4), torch.tensor([3]))
        tensor([[1.3863, 1.3863]])
    """
    b, k, o = outputs.shape
    return F.cross_entropy(outputs.reshape(-1, o), target.repeat_interleave(k), reduction="none").reshape(b, k)


def squared_error(outputs: Tensor, target: Tensor) -> Tensor:
    """Mean squared error over the outputs of each member: (B, K, O), (B, O) -> (B, K).

    Example:
        >>> import torch
        >>> squared_error(torch.zeros(1, 1, 2), torch.tensor([[1.0, 3.0]]))
        tensor([[5.]])
    """
    return (outputs - target.unsqueeze(1)).square().mean(-1)


def probabilities(outputs: Tensor) -> Tensor:
    """The mean of the members' probabilities: (B, K, O) -> (B, O).

    Example:
        >>> import torch
        >>> probabilities(torch.zeros(1, 3, 2))
        tensor([[0.5000, 0.5000]])
    """
    return outputs.log_softmax(-1).exp().mean(1)


def mean_of_members(outputs: Tensor) -> Tensor:
    """The mean of the members' answers: (B, K, O) -> (B, O)."""
    return outputs.mean(1)
