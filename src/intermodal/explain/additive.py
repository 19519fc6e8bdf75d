"""The additive part of a model: what it would say if modalities could only add up and never work together.

Shapes: N samples, M modalities, O outputs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from intermodal.errors import InputError
from intermodal.explain.explained import Explained, prepared
from intermodal.explain.outcome import Outcome, target_of
from intermodal.explain.removal import picked, taken_away

CAP = 500
"""Samples up to which every pair is asked: 250,000 pairs."""


@dataclass(frozen=True)
class Additive:
    """A model and its additive projection.

    Scores are the numbers of a regression, or the log-probabilities of a classifier less their mean over the classes,
    which are the logits up to what no prediction depends on.

    Attributes:
        names: (M,) the modalities.
        full: (N,) or (N, O), the scores of the model.
        additive: (N,) or (N, O), the scores of its additive part.
        predictions: (N,) or (N, O), what the additive part predicts: numbers, or probabilities.
        share: part of the variance of `full` that the additive part explains; None where the model says the same of
            every sample. Below 0 where the additive part is off by more than the model varies.
        reason: why `share` is None, or None.
        model_score: accuracy or R2 of the model; None without a target.
        additive_score: accuracy or R2 of the additive part; None without a target.
        evaluations: pairs asked: N^2, times M where there are more than two modalities.
    """

    names: tuple[str, ...]
    full: np.ndarray
    additive: np.ndarray
    predictions: np.ndarray
    share: float | None
    reason: str | None
    model_score: float | None
    additive_score: float | None
    evaluations: int


def additive_part(scores: np.ndarray) -> np.ndarray:
    """Project the scores of all pairs onto a sum of two terms, and read it where a pair belongs together.

    Shape:
        scores (N, N) or (N, N, O), row i from sample i, column j from sample j -> (N,) or (N, O).

    Example:
        >>> additive_part(np.array([[-1.3, 0.3, -0.2], [0.8, 3.0, 1.1], [1.1, -0.1, 0.7]])).round(12)
        array([-0.8,  2.1,  0.5])

    Source: Hessel and Lee 2020, Does my multimodal model learn cross-modal interactions? Algorithm 1.
    """
    return np.asarray(scores.mean(1) + scores.mean(0) - scores.mean((0, 1)))


def emap(model: Explained, X: Any, y: Any = None, *, batch_size: int = 1024, cap: int = CAP) -> Additive:
    """Project a fitted model onto the additive ones: does it need its modalities together?

    Where the additive part scores as well as the model, the model's interactions earn nothing on these samples. With
    two modalities this is the empirical multimodally-additive projection. With more, a modality's term is the mean over
    all samples j of what is said of the modality of sample i beside the rest of sample j: the main effects of an
    analysis of variance in which the rest of a sample stays together. An additive model is its own projection.

    Args:
        model: a fitted estimator.
        X: samples.
        y: the target, to score both; taken from the samples when None, and not needed.
        batch_size: pairs of one pass.
        cap: most samples: every pair of them is asked, for each modality when there are more than two.

    Returns:
        Scores of the model and of its additive part, and how well each does.

    Raises:
        InputError: no sample, or more than `cap`.

    Source: Hessel and Lee 2020, Does my multimodal model learn cross-modal interactions? It's harder to tell than
    you might think!

    Example:
        >>> from intermodal.learn.estimators import FusionRegressor
        >>> X = {"a": np.arange(20.0)[:, None], "b": np.ones((20, 1))}
        >>> found = emap(FusionRegressor(max_epochs=3).fit(X, X["a"][:, 0]), X, X["a"][:, 0])
        >>> found.additive.shape, found.evaluations
        ((20,), 400)
    """
    module, feed = prepared(model, X)
    names: tuple[str, ...] = module.network.names  # type: ignore[assignment, union-attr]
    n, m = len(feed), len(names)
    if n == 0:
        raise InputError("at least one sample is explained, however: X holds none")
    if n > cap:
        raise InputError(
            f"every pair of samples is asked, so there are at most cap={cap} of them, however: {n}; give fewer, or a "
            "higher cap"
        )
    target = target_of(X, y)
    classes = hasattr(model, "classes_")
    outcome = Outcome(model, "loss" if target is not None else "logit" if classes else "prediction", target, n)
    asked = [_pairs(module, feed, names, i, outcome, batch_size) for i in (range(m) if m > 2 else [0])]
    full = asked[0][np.arange(n), np.arange(n)]
    if m < 3:
        additive = additive_part(asked[0]) if m == 2 else full
    else:
        terms = np.stack([scores.mean(1) for scores in asked])  # (M, N, ...)
        means = terms.mean(1, keepdims=True)
        additive = means.mean((0, 1)) + (terms - means).sum(0)
    spread = float(np.square(full - full.mean(0)).sum())
    return Additive(
        names,
        full,
        additive,
        torch.from_numpy(additive).log_softmax(-1).exp().numpy() if classes else additive,
        1 - float(np.square(full - additive).sum()) / spread if spread > 0 else None,
        None if spread > 0 else "the model says the same of every sample, so there is nothing to explain",
        outcome.score(full) if target is not None else None,
        outcome.score(additive) if target is not None else None,
        len(asked) * n * n,
    )


@torch.no_grad()
def _pairs(module: Any, feed: Any, names: tuple[str, ...], i: int, outcome: Outcome, batch_size: int) -> np.ndarray:
    """Scores (N, N, ...) of modality i of a row's sample beside all others of a column's sample."""
    n = len(feed)
    batch = feed.batch(np.arange(n))
    device = next(iter(batch[0].values())).device
    alone = torch.tensor([name == names[i] for name in names], device=device)
    parts = []
    for start in range(0, n * n, batch_size):
        at = torch.arange(start, min(start + batch_size, n * n), device=device)
        own, other = (picked(batch, rows) for rows in (at // n, at % n))
        shown = taken_away(own, other, names, alone.expand(1, len(at), -1), "permute")
        parts.append(outcome.said(module(*shown).outputs))
    said = np.concatenate(parts)
    if outcome.classes is not None:  # logits are free up to a constant of the sample, which would not add up
        said = said - said.mean(-1, keepdims=True)
    return np.asarray(said.reshape(n, n, *said.shape[1:]))
