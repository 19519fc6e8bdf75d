"""Does it matter who was looked at? Attention weights dealt to other keys, and attention made even.

Everything happens on a copy of the network; the model itself is not touched.

Shapes: N samples, B of a batch, K keys, d width of the model, O outputs.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from intermodal.errors import InputError
from intermodal.explain.explained import Explained
from intermodal.explain.outcome import needed_target, target_of
from intermodal.explain.ranks import mean_and_error
from intermodal.explain.standing import copy_of, layers_that_ask
from intermodal.explain.tapping import Answer, answering

LITTLE = 0.05
"""A median movement below this is called little."""
TVD = "total variation distance, 0 to 1"
SPREADS = "standard deviations of the predictions"
UNITS = "the unit of the predictions"


@dataclass(frozen=True)
class AttentionPermutation:
    """How far predictions move when the weights of a sample are dealt to other keys.

    Attributes:
        moved: (N,) median over the deals.
        unit: what `moved` is measured in.
        one_key: (N,) True where nobody saw more than one key in the sample, so that there was nothing to deal.
        repeats: deals.
    """

    moved: np.ndarray
    unit: str
    one_key: np.ndarray
    repeats: int

    @property
    def median(self) -> float:
        """The median over the samples with something to deal; 0 where there is none, by construction."""
        return 0.0 if self.one_key.all() else float(np.median(self.moved[~self.one_key]))

    @property
    def text(self) -> str:
        """The finding in words."""
        if self.one_key.all():
            return (
                "no query sees more than one key, so weights are 1 by construction and there is nothing to shuffle: "
                "the prediction cannot move"
            )
        told = (
            f"with the attention weights of a sample dealt to other keys, the prediction moves by {self.median:.2g} "
            f"in the median ({self.unit})"
        )
        if self.median < LITTLE:
            told += ": it matters little here which key got the weight"
        alone = int(self.one_key.sum())
        return told + (f"; {alone} samples have one key and nothing to shuffle" if alone else "")


@dataclass(frozen=True)
class UniformAttention:
    """What is lost when everybody looks at everything evenly.

    Attributes:
        moved: (N,) how far each prediction moves.
        unit: what `moved` is measured in.
        score_name: "accuracy" or "R2".
        score: of the model; None without a target.
        uniform_score: with even weights; None without a target.
        drop: `score - uniform_score`, or None.
        error: standard error of the drop, over the samples; None without a target or for one sample.
    """

    moved: np.ndarray
    unit: str
    score_name: str
    score: float | None
    uniform_score: float | None
    drop: float | None
    error: float | None

    @property
    def needed(self) -> bool | None:
        """True where even weights cost more than one standard error of the score; None where that is not known."""
        return None if self.drop is None or self.error is None else self.drop > self.error

    @property
    def text(self) -> str:
        """The finding in words."""
        if self.drop is None:
            return (
                f"with even attention the prediction moves by {np.median(self.moved):.2g} in the median ({self.unit})"
            )
        told = f"{self.score_name} {self.score:.3f} with attention and {self.uniform_score:.3f} with even weights"
        if self.error is None:
            return f"{told}; one sample, so nothing is known of the spread"
        told += f", a drop of {self.drop:z.3f} ± {self.error:.3f} (standard error)"
        return told + (": attention is needed here" if self.needed else ": attention is not needed here")


def attention_permutation(
    model: Explained, X: Any, *, repeats: int = 10, seed: int = 0, batch_size: int = 256
) -> AttentionPermutation:
    """Deal the attention weights of each sample to other keys, and see how far the prediction moves.

    The keys that may be looked at hand their weights round in a circle drawn by lot, so that each weight goes to
    another key; a deal holds for all queries and heads of an edge. The values stay where they are.

    Args:
        model: a fitted estimator; it is not touched.
        X: samples.
        repeats: deals, each for every sample.
        seed: of the deals.
        batch_size: samples at a time.

    Returns:
        How far each sample's prediction moves, its median over the deals: total variation distance of probabilities,
        or the difference of numbers in standard deviations of the predictions.

    Raises:
        InputError: no attention, no sample, or `repeats` below 1.

    Source: Jain and Wallace 2019, Attention is not Explanation (arXiv 1902.10186), section 4.2.1; there a deal may
        leave a weight where it is, which with two keys happens half the time.

    Relation: `uniform_attention` takes the choice away instead of turning it round.

    Example:
        >>> from intermodal.learn.estimators import FusionRegressor
        >>> X = {"a": np.arange(20.0)[:, None], "b": np.ones((20, 1))}
        >>> attention_permutation(FusionRegressor(max_epochs=3).fit(X, X["a"][:, 0]), X).moved.shape
        (20,)
    """
    if repeats < 1:
        raise InputError(f"repeats is at least 1, however: repeats={repeats}")
    module, feed = copy_of(model, X)
    before = _predicted(model, module, feed, batch_size)
    keys = _Keys()
    generator = torch.Generator().manual_seed(seed)
    moved = []
    most = np.zeros(len(feed), dtype=int)
    with _dealt(module, generator, keys):
        for _ in range(repeats):
            keys.most.clear()
            after = _predicted(model, module, feed, batch_size, keys)
            most = np.concatenate(keys.most)
            moved.append(_distance(before, after)[0])
    return AttentionPermutation(np.median(moved, 0), _distance(before, before)[1], most < 2, repeats)


def uniform_attention(model: Explained, X: Any, y: Any = None, *, batch_size: int = 256) -> UniformAttention:
    """Let everybody look at everything evenly, and see what that costs.

    It is the edges of the spec that are made even; a pooling that attends stays as it is.

    Args:
        model: a fitted estimator; it is not touched.
        X: samples, best such as the model was not fitted on.
        y: their target, for the score; taken from the samples when None, and where there is none, only the movement
            of the predictions is told.
        batch_size: samples at a time.

    Returns:
        Accuracy of a classifier or R2 of a regression with and without the choice, and how far predictions move.

    Raises:
        InputError: no attention, no sample, or a target that does not fit or does not vary.

    Source: Wiegreffe and Pinter 2019, Attention is not not Explanation (arXiv 1908.04626), section 3.2; there the
        model is also trained with even weights, which `compare` with fusion "none" comes close to.

    Example:
        >>> from intermodal.learn.estimators import FusionRegressor
        >>> X = {"a": np.arange(20.0)[:, None], "b": np.ones((20, 1))}
        >>> uniform_attention(FusionRegressor(max_epochs=3).fit(X, X["a"][:, 0]), X, X["a"][:, 0]).score_name
        'R2'
    """
    module, feed = copy_of(model, X)
    before = _predicted(model, module, feed, batch_size)
    with torch.no_grad():
        for layer in layers_that_ask(module):
            for attention in layer.attention:  # a query of zeros scores every key alike
                attention.q_proj.weight.zero_()
                if attention.q_proj.bias is not None:
                    attention.q_proj.bias.zero_()
    after = _predicted(model, module, feed, batch_size)
    moved, unit = _distance(before, after)
    classes = getattr(model, "classes_", None)
    name = "R2" if classes is None else "accuracy"
    if target_of(X, y) is None:
        return UniformAttention(moved, unit, name, None, None, None, None)
    y = needed_target(X, y, len(feed))
    scores = [_scores(predicted, y, classes) for predicted in (before, after)]
    drop, error = mean_and_error(scores[0] - scores[1])
    return UniformAttention(moved, unit, name, float(scores[0].mean()), float(scores[1].mean()), drop, error)


class _Keys:
    """The most keys that anybody saw in each sample, batch by batch."""

    def __init__(self) -> None:
        self.here: Tensor | None = None
        self.most: list[np.ndarray] = []

    def saw(self, count: Tensor) -> None:
        self.here = count if self.here is None else torch.maximum(self.here, count)

    def close(self, n: int) -> None:
        """Keep those of a batch of n samples; the members of an ensemble are stacked, and see the same."""
        self.most.append(np.zeros(n, dtype=int) if self.here is None else self.here[:n].cpu().numpy())
        self.here = None


def _dealt(module: nn.Module, generator: torch.Generator, keys: _Keys) -> AbstractContextManager[None]:
    """Let every layer attend with the keys of each context dealt anew; the values stay."""

    def dealing(_: int, answer: Answer) -> Answer:
        def dealt(i: int, q: Tensor, k: Tensor, v: Tensor, there: Tensor | None, *wanted: Any) -> Any:
            kept = torch.ones(k.shape[:2], dtype=torch.bool, device=k.device) if there is None else there
            keys.saw(kept.sum(1))
            place = round_by_lot(kept.cpu(), generator).to(k.device)
            return answer(i, q, k.gather(1, place.unsqueeze(-1).expand_as(k)), v, there, *wanted)

        return dealt

    return answering(layers_that_ask(module), dealing)


def round_by_lot(kept: Tensor, generator: torch.Generator) -> Tensor:
    """Return for each place another place, so that the kept ones form one circle and the others stay.

    Args:
        kept: (B, K) bool.
        generator: of the lot.

    Returns:
        (B, K) of int.

    Example:
        >>> round_by_lot(torch.tensor([[True, False, True]]), torch.Generator().manual_seed(0))
        tensor([[2, 1, 0]])
    """
    luck = torch.rand(kept.shape, generator=generator).masked_fill(~kept, 2.0)
    order = luck.argsort(1)  # the kept places in the order of the lot, then the others
    at = torch.arange(kept.shape[1]).expand(kept.shape)
    n = kept.sum(1, keepdim=True)
    following = torch.where(at < n, (at + 1) % n.clamp(min=1), at)
    return torch.empty_like(order).scatter_(1, order, order.gather(1, following))


@torch.no_grad()
def _predicted(
    model: Explained, module: nn.Module, feed: Any, batch_size: int, keys: _Keys | None = None
) -> np.ndarray:
    outputs = []
    for rows in feed.in_order(np.arange(len(feed)), batch_size):
        outputs.append(module(*feed.batch(rows)).outputs)
        if keys is not None:
            keys.close(len(rows))
    return np.asarray(model.to_prediction(torch.cat(outputs)), dtype=np.float64)


def _distance(before: np.ndarray, after: np.ndarray) -> tuple[np.ndarray, str]:
    """How far each prediction moved, (N,), and in what unit."""
    moved = np.abs(after - before)
    if before.ndim == 2 and np.allclose(before.sum(1), 1.0) and (before >= 0).all():
        return moved.sum(1) / 2, TVD
    spread = before.std(0)
    unit = UNITS if (spread == 0).any() else SPREADS
    moved = moved if unit == UNITS else moved / spread
    return (moved if moved.ndim == 1 else moved.mean(1)), unit


def _scores(predicted: np.ndarray, y: np.ndarray, classes: np.ndarray | None) -> np.ndarray:
    """One number a sample whose mean is the score."""
    if classes is not None:
        chosen = np.asarray(classes)[predicted.argmax(1)]
        return np.asarray(chosen == y.reshape(len(y), -1)[:, 0], dtype=np.float64)
    told, true = (np.asarray(x, dtype=np.float64).reshape(len(y), -1) for x in (predicted, y))
    if told.shape != true.shape:
        raise InputError(f"y has the shape of the predictions, {told.shape}, however: {true.shape}")
    variance = true.var(0)
    if len(y) > 1 and (variance == 0).any():
        raise InputError("R2 needs a target that varies, however: y is the same for every sample")
    return np.asarray((1 - np.square(told - true) / np.where(variance > 0, variance, 1.0)).mean(1))
