"""What each modality was worth: exact Shapley values over modalities.

The players of a sample are its modalities; v(S) is the prediction with all others removed. Values are exact: every
one of the 2^M subsets is evaluated once.

Shapes: N samples, M modalities, O outputs, C = 2^M subsets.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import factorial
from typing import Any

import numpy as np

from intermodal.explain.coalitions import MOST, play
from intermodal.explain.explained import Explained

__all__ = ["MOST", "Shapley", "interactions_of", "shapley", "values_of"]


@dataclass(frozen=True)
class Shapley:
    """Shapley values of every sample.

    For each sample and output the values sum to `full - empty`.

    Attributes:
        names: (M,) the modalities.
        values: (N, M), or (N, M, O) when the prediction has several outputs.
        full: (N,) or (N, O), the prediction with everything.
        empty: (N,) or (N, O), the prediction with nothing.
        interactions: (N, M, M) or (N, M, M, O): the Shapley interaction index of each pair, zero on the diagonal.
        evaluations: subsets evaluated, 2^M.
        removal: how a modality is taken away: `mask`, nobody looks at it.

    Source: Shapley 1953; interactions: Grabisch and Roubens 1999.
    """

    names: tuple[str, ...]
    values: np.ndarray
    full: np.ndarray
    empty: np.ndarray
    interactions: np.ndarray
    evaluations: int
    removal: str = "mask"

    @property
    def completeness(self) -> float:
        """The largest |sum of values - (full - empty)|, relative to max(1, |full|)."""
        gap = np.abs(self.values.sum(1) - (self.full - self.empty))
        return float((gap / np.maximum(1.0, np.abs(self.full))).max(initial=0.0))

    def worth(self, *, n_resamples: int = 1000, seed: int = 0) -> list[dict[str, Any]]:
        """Say what each modality moved the prediction by: the mean absolute value, with a 95 % bootstrap interval.

        With several outputs the absolute values of a sample are summed and halved, so that probabilities read as
        the probability that was moved.

        Returns:
            One dict a modality: `name`, `mean`, `low`, `high`, `share` of the sum of means (None where all are 0).
        """
        size = np.abs(self.values)
        size = size.sum(2) / 2 if size.ndim == 3 else size
        rng = np.random.default_rng(seed)
        picks = rng.integers(0, len(size), size=(n_resamples, len(size)))
        means = np.stack([size[p].mean(0) for p in picks])
        low, high = np.quantile(means, [0.025, 0.975], axis=0)
        mean = size.mean(0)
        total = float(mean.sum())
        return [
            {
                "name": name,
                "mean": float(mean[i]),
                "low": float(low[i]),
                "high": float(high[i]),
                "share": float(mean[i]) / total if total > 0 else None,
            }
            for i, name in enumerate(self.names)
        ]


def shapley(
    model: Explained,
    X: Any,
    *,
    removal: str | None = None,
    of: str = "prediction",
    y: Any = None,
    only: Sequence[str] | None = None,
    donors: int = 8,
    seed: int = 0,
    batch_size: int = 1024,
) -> Shapley:
    """Compute exact Shapley values over the modalities of a fitted model.

    A modality is removed by never looking at it, which is how the model treats one that is missing.

    Args:
        model: a fitted estimator.
        X: samples.
        removal: how a modality is taken away, as in `play`; by default what the model does with a missing one.
        of: which number is explained: `prediction`, `logit`, `margin` or `loss`.
        y: the target, for `loss`.
        only: the players; the other modalities are always there. All by default.
        donors: samples that a modality is taken from under `permute`.
        seed: of the donors.
        batch_size: samples times subsets of one pass.

    Returns:
        Values of every sample, with the interactions of every pair.

    Raises:
        InputError: more than `MOST` modalities, or no sample.

    Example:
        >>> from intermodal.learn.estimators import FusionRegressor
        >>> X = {"a": np.arange(20.0)[:, None], "b": np.ones((20, 1))}
        >>> result = shapley(FusionRegressor(max_epochs=3).fit(X, X["a"][:, 0]), X)
        >>> result.values.shape, result.evaluations
        ((20, 2), 4)
    """
    game = play(model, X, removal=removal, of=of, y=y, only=only, donors=donors, seed=seed, batch_size=batch_size)
    return Shapley(
        game.names, values_of(game.v), game.full, game.empty, interactions_of(game.v), game.evaluations, game.removal
    )


def values_of(v: np.ndarray) -> np.ndarray:
    """Shapley values of a game: v (2^M, N, ...) with bit i of the index for player i -> (N, M, ...).

    Example:
        >>> values_of(np.array([[0.0], [1.0], [2.0], [3.0]]))  # two players, additive: 1 and 2
        array([[1., 2.]])
    """
    n = int(v.shape[0]).bit_length() - 1
    values = np.zeros((v.shape[1], n, *v.shape[2:]))
    for i in range(n):
        for s in range(1 << n):
            if not s >> i & 1:
                size = s.bit_count()
                share = factorial(size) * factorial(n - size - 1) / factorial(n)
                values[:, i] += share * (v[s | 1 << i] - v[s])
    return values


def interactions_of(v: np.ndarray) -> np.ndarray:
    """Shapley interaction index of each pair: v (2^M, N, ...) -> (N, M, M, ...), symmetric, zero diagonal.

    Example:
        >>> float(interactions_of(np.array([[0.0], [0.0], [0.0], [1.0]]))[0, 0, 1])  # the pair alone makes 1
        1.0
    """
    n = int(v.shape[0]).bit_length() - 1
    index = np.zeros((v.shape[1], n, n, *v.shape[2:]))
    for i in range(n):
        for j in range(i + 1, n):
            for s in range(1 << n):
                if s >> i & 1 or s >> j & 1:
                    continue
                size = s.bit_count()
                share = factorial(size) * factorial(n - size - 2) / factorial(n - 1)
                # In this order of differences a player who adds nothing interacts by exactly nothing.
                index[:, i, j] += share * ((v[s | 1 << i | 1 << j] - v[s | 1 << j]) - (v[s | 1 << i] - v[s]))
            index[:, j, i] = index[:, i, j]
    return index
