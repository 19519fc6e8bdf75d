"""What the finder of moments learns from, what it is validated by, and the calibration of "it happens"."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from intermodal.find.moment_batches import Target
from intermodal.find.moment_network import Seen
from intermodal.find.moment_stretch import surprise

WEIGHT_HAPPENS = 0.3


def loss_of(seen: Seen, target: Target, within: Tensor) -> Tensor:
    """The mean loss of a batch: where the answer starts and ends, which clips it covers, and whether it happens."""
    happens, sure = target.happens, target.sure
    where = surprise(seen.scored, target.started, target.ended) * happens
    cover = F.binary_cross_entropy_with_logits(seen.inside, target.inside, reduction="none") * within
    cover = cover.sum(1) / within.sum(1) * sure
    there = F.binary_cross_entropy_with_logits(seen.happens, happens)
    where_mean = (where.sum() / happens.sum().clamp(min=1)).to(cover.dtype)
    return where_mean + cover.sum() / sure.sum().clamp(min=1) + WEIGHT_HAPPENS * there


def platt(logits: np.ndarray, happens: np.ndarray) -> tuple[float, float]:
    """Fit slope and shift that make logits probabilities on rows that training did not see.

    Args:
        logits: (R,).
        happens: (R,) 1 or 0.

    Returns:
        (1, 0) where a kind has fewer than five rows, or where the slope would turn the answers around.

    Source: Platt 1999, Probabilistic Outputs for Support Vector Machines.

    Example:
        >>> platt(np.array([3.0, -3.0]), np.array([1, 0]))
        (1.0, 0.0)
    """
    from sklearn.linear_model import LogisticRegression

    if min(int((happens > 0.5).sum()), int((happens < 0.5).sum())) < 5:
        return 1.0, 0.0
    fitted = LogisticRegression(C=100.0).fit(logits[:, None].astype(np.float64), happens > 0.5)
    slope, shift = float(fitted.coef_[0, 0]), float(fitted.intercept_[0])
    return (slope, shift) if slope > 0 else (1.0, 0.0)


def chance(logit: Tensor, calibration: tuple[float, float]) -> Tensor:
    """The probability that a calibrated logit stands for."""
    return torch.sigmoid(calibration[0] * logit.double() + calibration[1])
