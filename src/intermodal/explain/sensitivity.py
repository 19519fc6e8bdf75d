"""How well an explanation accounts for what perturbing does, and how much it shakes when the samples do.

Shapes: N samples, M modalities, O outputs, C = 2^M subsets, D features.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from intermodal.data.batching import Batch
from intermodal.errors import InputError
from intermodal.explain.coalitions import Coalitions, check_table, play
from intermodal.explain.explained import Explained
from intermodal.explain.shapley_values import values_of
from intermodal.explain.standing import StandIn, copy_of

Explanation = Callable[[Any, Any], Any]
"""(model, X) -> (N, ...)."""


@dataclass(frozen=True)
class Infidelity:
    """By how much an explanation misses what perturbing does.

    Attributes:
        squares: (N,) mean squared miss of each sample: 0 is exact.
        share: the mean of these as a share of the mean squared change itself: 0 is exact, 1 is as good as an
            explanation of zeros; None where perturbing changes nothing.
    """

    squares: np.ndarray
    share: float | None

    @property
    def mean(self) -> float:
        """The mean over the samples."""
        return float(self.squares.mean())

    @property
    def text(self) -> str:
        """The finding in words."""
        if self.share is None:
            return "perturbing changes nothing, so there is nothing to account for"
        told = (
            f"infidelity {self.mean:.3g}: the explanation misses {self.share:.1%} of what perturbing changes (squared)"
        )
        return told + ("; it says less than an explanation of zeros" if self.share > 1 else "")


@dataclass(frozen=True)
class Sensitivity:
    """By how much an explanation can change when the samples hardly do.

    Attributes:
        most: (N,) largest change over the draws, relative to the size of the explanation; NaN where it is all zero.
        radius: how far a number was moved at most.
        draws: perturbations of each sample.
    """

    most: np.ndarray
    radius: float
    draws: int

    @property
    def median(self) -> float | None:
        """The median over the samples, None where every explanation is all zero."""
        known = self.most[~np.isnan(self.most)]
        return float(np.median(known)) if len(known) else None

    @property
    def text(self) -> str:
        """The finding in words."""
        if self.median is None:
            return "the explanation is zero everywhere, so there is nothing to shake"
        told = f"moving every number by at most {self.radius:g} changes the explanation by up to {self.median:.1%}"
        return f"{told} in the median sample ({self.draws} draws)"


def infidelity(table: Coalitions, values: np.ndarray) -> Infidelity:
    """Compare what an explanation says of removing modalities with what removing them does, for every set of them.

    Of every set I of a sample's modalities, (sum of the values in I) - (v(all) - v(all without I)) is squared; the
    mean over all sets that are not empty is exact, no sample of perturbations.

    Args:
        table: the prediction for every subset of modalities.
        values: (N, M), or (N, M, O) where the table has several outputs, whose squares are added.

    Returns:
        The mean squared miss of each sample.

    Raises:
        InputError: a shape that does not fit the table, or no sample.

    Source: Yeh et al. 2019, On the (In)fidelity and Sensitivity of Explanations (arXiv 1901.09392), definition 2.1.

    Relation: 0 for the Shapley values of a model without interactions; `feature_infidelity` perturbs numbers.

    Example:
        >>> from intermodal.explain.coalitions import Coalitions
        >>> v = np.array([[0.0], [3.0], [1.0], [4.0]])
        >>> game = Coalitions(("a", "b"), v, "mask", np.ones((1, 2), dtype=bool), "prediction", 4)
        >>> infidelity(game, np.array([[3.0, 1.0]])).mean, infidelity(game, np.zeros((1, 2))).share
        (0.0, 1.0)
    """
    check_table(table)
    v, present = table.v, table.present
    values = np.asarray(values, dtype=np.float64)
    if values.shape != (*present.shape, *v.shape[2:]):
        raise InputError(
            f"values are (samples, modalities{', outputs' if v.ndim == 3 else ''}) = "
            f"{(*present.shape, *v.shape[2:])}, however: {values.shape}"
        )
    if not len(present):
        raise InputError("at least one sample is explained, however: there is none")
    n, m = present.shape
    there = (present.astype(np.int64) << np.arange(m)).sum(1)
    missed, changed, sets = np.zeros(n), np.zeros(n), np.zeros(n)
    for s in range(1, 1 << m):
        own = there & s == s  # a set of what the sample has
        change = v[there, np.arange(n)] - v[there & ~s, np.arange(n)]
        said = values[:, (s >> np.arange(m) & 1).astype(bool)].sum(1)
        missed += own * _squares(said - change)
        changed += own * _squares(change)
        sets += own
    missed, changed = missed / np.maximum(sets, 1), changed / np.maximum(sets, 1)
    return Infidelity(missed, float(missed.mean() / changed.mean()) if changed.any() else None)


def feature_infidelity(
    predict: Callable[[np.ndarray], np.ndarray],
    x: np.ndarray,
    values: np.ndarray,
    *,
    spread: float = 0.1,
    draws: int = 100,
    seed: int = 0,
) -> Infidelity:
    """Compare what an explanation of single numbers says of a small change with what the change does.

    Args:
        predict: (n, D) -> (n,).
        x: (N, D) samples.
        values: (N, D) the explanation: what a unit of each feature is worth, as a gradient says it.
        spread: standard deviation of the normal perturbation of a number.
        draws: perturbations of each sample.
        seed: of the draws.

    Returns:
        The mean squared miss of each sample.

    Raises:
        InputError: shapes that do not fit, or `draws` below 1.

    Source: Yeh et al. 2019, definition 2.1, with the noisy baseline of section 2.1.

    Example:
        >>> w = np.array([1.0, -2.0, 0.5])
        >>> feature_infidelity(lambda x: x @ w, np.ones((4, 3)), np.tile(w, (4, 1))).mean < 1e-20
        True
    """
    x, values = _features(x, values, draws)
    rng = np.random.default_rng(seed)
    whole = np.asarray(predict(x), dtype=np.float64)
    if whole.shape != (len(x),):
        raise InputError(f"predict gives one number for each sample, ({len(x)},), however: {whole.shape}")
    missed, changed = np.zeros(len(x)), np.zeros(len(x))
    for _ in range(draws):
        moved = rng.normal(0.0, spread, x.shape)
        change = whole - predict(x - moved)
        missed += ((moved * values).sum(1) - change) ** 2 / draws
        changed += change**2 / draws
    return Infidelity(missed, float(missed.mean() / changed.mean()) if changed.any() else None)


def max_sensitivity(
    model: Explained,
    X: Any,
    explanation: Explanation | None = None,
    *,
    radius: float = 0.02,
    draws: int = 10,
    seed: int = 0,
) -> Sensitivity:
    """Shake the samples a little, and see how far their explanation can go.

    Args:
        model: a fitted estimator; it is not touched.
        X: samples.
        explanation: (model, X) -> (N, ...), such as `attention_shares`; Shapley values over modalities by default.
        radius: how far every number moves at most, in the scaled samples: standard deviations of the training data.
        draws: perturbations, uniform within the radius.
        seed: of the draws.

    Returns:
        The largest relative change of each sample's explanation.

    Raises:
        InputError: no sample, no explanation, or `draws` or `radius` not positive.

    Source: Yeh et al. 2019, section 4, as a share of the explanation's own length.

    Example:
        >>> from intermodal.learn.estimators import FusionRegressor
        >>> X = {"a": np.arange(20.0)[:, None], "b": np.ones((20, 1))}
        >>> max_sensitivity(FusionRegressor(max_epochs=3).fit(X, X["a"][:, 0]), X, draws=2).most.shape
        (20,)
    """
    _check_draws(draws, radius)
    explain = _shapley_values if explanation is None else explanation
    module, feed = copy_of(model, X)
    generator = torch.Generator().manual_seed(seed)
    shaken = StandIn(model, module, _Shaken(feed, radius, generator))
    own = explain(StandIn(model, module, feed), X)
    if own is None:
        raise InputError("an explanation is shaken, however: this one says nothing of the model")
    return _largest(np.asarray(own), (np.asarray(explain(shaken, X)) for _ in range(draws)), radius, draws)


def feature_sensitivity(
    explain: Callable[[np.ndarray], np.ndarray], x: np.ndarray, *, radius: float = 0.02, draws: int = 10, seed: int = 0
) -> Sensitivity:
    """Shake single numbers a little, and see how far their explanation can go.

    Args:
        explain: (n, D) -> (n, ...), the explanation of each sample.
        x: (N, D) samples.
        radius: how far every number moves at most.
        draws: perturbations, uniform within the radius.
        seed: of the draws.

    Returns:
        The largest relative change of each sample's explanation.

    Raises:
        InputError: `draws` or `radius` not positive.

    Source: Yeh et al. 2019, section 4.

    Example:
        >>> float(feature_sensitivity(lambda x: np.ones_like(x), np.ones((4, 3))).most.max())
        0.0
    """
    _check_draws(draws, radius)
    x, rng = np.asarray(x, dtype=np.float64), np.random.default_rng(seed)
    moved = (np.asarray(explain(x + rng.uniform(-radius, radius, x.shape))) for _ in range(draws))
    return _largest(np.asarray(explain(x)), moved, radius, draws)


class _Shaken:
    """Samples with every number moved by chance; what is missing stays missing."""

    def __init__(self, feed: Any, radius: float, generator: torch.Generator) -> None:
        self._feed = feed
        self._radius = radius
        self._generator = generator

    def __len__(self) -> int:
        return len(self._feed)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._feed, name)

    def batch(self, rows: np.ndarray) -> Batch:
        x, present = self._feed.batch(rows)
        return Batch({name: values + self._noise(values) for name, values in x.items()}, present)

    def _noise(self, values: torch.Tensor) -> torch.Tensor:
        luck = torch.rand(values.shape, generator=self._generator, dtype=torch.float64)
        return ((2 * luck - 1) * self._radius).to(values.device, values.dtype)


def _shapley_values(model: Any, X: Any) -> np.ndarray:
    return values_of(play(model, X).v)


def _largest(own: np.ndarray, others: Any, radius: float, draws: int) -> Sensitivity:
    n = len(own)
    length = np.sqrt(_squares(own.reshape(n, -1)))
    most = np.zeros(n)
    for other in others:
        most = np.maximum(most, np.sqrt(_squares((other - own).reshape(n, -1))))
    return Sensitivity(np.where(length > 0, most / np.where(length > 0, length, 1.0), np.nan), radius, draws)


def _squares(x: np.ndarray) -> np.ndarray:
    """The sum of squares of each sample, (N,)."""
    return np.asarray((x**2).reshape(len(x), -1).sum(1))


def _features(x: np.ndarray, values: np.ndarray, draws: int) -> tuple[np.ndarray, np.ndarray]:
    x, values = np.asarray(x, dtype=np.float64), np.asarray(values, dtype=np.float64)
    if x.ndim != 2 or x.shape != values.shape or not len(x):
        raise InputError(f"x and values are (samples, features), the same, however: {x.shape=}, {values.shape=}")
    _check_draws(draws, 1.0)
    return x, values


def _check_draws(draws: int, radius: float) -> None:
    if draws < 1 or radius <= 0:
        raise InputError(f"draws and radius are positive, however: {draws=}, {radius=}")
