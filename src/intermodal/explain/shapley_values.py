"""What each modality was worth: Shapley values over modalities.

The players of a sample are its modalities; v(S) is what the model says with all others removed. Values are exact, every
one of the 2^M subsets being evaluated once, unless an estimate over drawn orders is asked for.

Shapes: N samples, M modalities, O outputs, C = 2^M subsets.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import factorial
from typing import Any

import numpy as np

from intermodal.errors import InputError
from intermodal.explain.coalitions import MOST, Coalitions, Table, play
from intermodal.explain.explained import Explained
from intermodal.explain.ranks import moved_by, resamples, standard_error

__all__ = ["MOST", "Shapley", "interactions_of", "shapley", "shapley_of", "values_of"]


@dataclass(frozen=True)
class Shapley:
    """Shapley values of every sample.

    For each sample and output the values sum to `full - empty`.

    Attributes:
        names: (M,) the modalities.
        values: (N, M), or (N, M, O) when what is explained has several outputs.
        full: (N,) or (N, O), what the model says of everything.
        empty: (N,) or (N, O), what it says of nothing.
        interactions: (N, M, M) or (N, M, M, O): the Shapley interaction index of each pair, zero on the diagonal;
            NaN where the values are estimated.
        evaluations: forward evaluations of a sample: 2^M, times the donors under `permute`; fewer when estimated.
        removal: how a modality is taken away, a key of `removal.RULES`.
        of: which number is explained, a key of `outcome.OUTCOMES`.
        error: standard error of the values over the drawn orders, as `values`; None where they are exact.

    Source: Shapley 1953; interactions: Grabisch and Roubens 1999.
    """

    names: tuple[str, ...]
    values: np.ndarray
    full: np.ndarray
    empty: np.ndarray
    interactions: np.ndarray
    evaluations: int
    removal: str = "mask"
    of: str = "prediction"
    error: np.ndarray | None = None

    @property
    def completeness(self) -> float:
        """The largest |sum of values - (full - empty)|, relative to max(1, |full|)."""
        gap = np.abs(self.values.sum(1) - (self.full - self.empty))
        return float((gap / np.maximum(1.0, np.abs(self.full))).max(initial=0.0))

    @property
    def moved(self) -> np.ndarray:
        """How far each modality moved each sample, (N, M), as `moved_by` says it."""
        return moved_by(self.values)

    def worth(self, *, n_resamples: int = 1000, seed: int = 0, groups: Any = None) -> list[dict[str, Any]]:
        """Say how far each modality moved the prediction: the mean of `moved`, with a 95 % bootstrap interval.

        Args:
            n_resamples: how often the samples are drawn anew.
            seed: of the draws.
            groups: (N,) samples of a group are drawn together.

        Returns:
            One dict a modality: `name`, `mean`, `low`, `high`, and `share` of the sum of means. Where no modality
            moves anything the share is None, and `reason` says so; elsewhere `reason` is None.
        """
        size = self.moved
        means = np.stack([size[p].mean(0) for p in resamples(len(size), n_resamples, seed, groups)])
        low, high = np.quantile(means, [0.025, 0.975], axis=0)
        mean = size.mean(0)
        total = float(mean.sum())
        reason = None if total > 0 else "the model says the same whatever it is shown, so there is nothing to share"
        return [
            {
                "name": name,
                "mean": float(mean[i]),
                "low": float(low[i]),
                "high": float(high[i]),
                "share": float(mean[i]) / total if total > 0 else None,
                "reason": reason,
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
    permutations: int | None = None,
    donors: int = 8,
    seed: int = 0,
    batch_size: int = 1024,
) -> Shapley:
    """Compute Shapley values over the modalities of a fitted model, exact unless an estimate is asked for.

    By default a modality is removed as the model treats one that is missing.

    Args:
        model: a fitted estimator.
        X: samples.
        removal: how a modality is taken away, as in `play`.
        of: which number is explained: `prediction`, `logit`, `margin` or `loss`.
        y: the target, for `loss`; taken from the samples when None.
        only: the players; the other modalities are always there. All by default.
        permutations: estimate over so many orders of joining, an even number: each is drawn with its reverse. The
            result carries their standard error.
        donors: samples that a modality is taken from under `permute`.
        seed: of the donors and the orders.
        batch_size: samples times subsets of one pass.

    Returns:
        Values of every sample, with the interactions of every pair.

    Raises:
        InputError: more than `MOST` modalities without `permutations`, no sample, a rule that the model cannot
            follow, or an outcome it lacks.

    Source: orders with their reverses: Mitchell et al. 2022, Sampling Permutations for Shapley Value Estimation.

    Example:
        >>> from intermodal.learn.estimators import FusionRegressor
        >>> X = {"a": np.arange(20.0)[:, None], "b": np.ones((20, 1))}
        >>> result = shapley(FusionRegressor(max_epochs=3).fit(X, X["a"][:, 0]), X)
        >>> result.values.shape, result.evaluations
        ((20, 2), 4)
    """
    if permutations is None:
        game = play(model, X, removal=removal, of=of, y=y, only=only, donors=donors, seed=seed, batch_size=batch_size)
        return shapley_of(game)
    table = Table(model, X, removal=removal, of=of, y=y, only=only, donors=donors, seed=seed, batch_size=batch_size)
    return _estimated(table, permutations, seed)


def shapley_of(game: Coalitions) -> Shapley:
    """Compute the values of a game that was played.

    Example:
        >>> game = Coalitions(("a", "b"), np.array([[0.0], [1], [2], [5]]), "mask", np.ones((1, 2), bool), "loss", 4)
        >>> shapley_of(game).values
        array([[2., 3.]])
    """
    values, interactions = values_of(game.v), interactions_of(game.v)
    return Shapley(game.names, values, game.full, game.empty, interactions, game.evaluations, game.removal, game.of)


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


def _estimated(table: Table, permutations: int, seed: int) -> Shapley:
    """Average what each player adds over drawn orders; an order and its reverse make one draw."""
    m = len(table.players)
    if not isinstance(permutations, int | np.integer) or permutations < 4 or permutations % 2:
        raise InputError(
            "permutations is an even number from 4, so that each order has its reverse and the error can be told, "
            f"however: {permutations=}"
        )
    if m > 62:
        raise InputError(f"an estimate takes at most 62 players, however: {m}; join some of them into one")
    rng = np.random.default_rng(seed)
    drawn = [rng.permutation(m) for _ in range(permutations // 2)]
    walks = [[_walk(order), _walk(order[::-1])] for order in drawn]
    subsets = np.unique(np.concatenate([walk for pair in walks for walk in pair]))
    v = table.of(subsets)
    added = np.zeros((len(drawn), v.shape[1], m, *v.shape[2:]))
    for k, (order, pair) in enumerate(zip(drawn, walks, strict=True)):
        for players, walk in zip((order, order[::-1]), pair, strict=True):
            steps = np.diff(v[np.searchsorted(subsets, walk)], axis=0)  # (M, N, ...), in the order of joining
            added[k][:, players] += np.moveaxis(steps, 0, 1) / 2
    added[:, ~table.present] = 0.0  # who is not there adds nothing, to the last bit
    values, error = added.mean(0), standard_error(added)
    unknown = np.full((len(values), m, m, *v.shape[2:]), np.nan)
    evaluations = len(subsets) * table.n_donors
    outcome = table.outcome.of
    return Shapley(table.players, values, v[-1], v[0], unknown, evaluations, table.rule, outcome, error)


def _walk(order: np.ndarray) -> np.ndarray:
    """The subsets on the way from nothing to everything, (M + 1,)."""
    return np.concatenate([[0], np.cumsum(1 << order.astype(np.int64))])
