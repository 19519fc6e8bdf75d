"""Would another seed tell the same story? The shares of worth and of attention over models that differ by seed alone.

Shapes: S seeds, N samples, M modalities.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from intermodal.errors import InputError
from intermodal.explain.coalitions import play
from intermodal.explain.looking import EVEN, attention_shares, mean_shares
from intermodal.explain.outcome import needed_target
from intermodal.explain.ranks import moved_by
from intermodal.explain.refitting import refitted
from intermodal.explain.shapley_values import values_of


@dataclass(frozen=True)
class SeedVariance:
    """Shares of worth and of attention, seed by seed.

    Attributes:
        names: (M,) the modalities.
        worth: (S, M) share of the mean absolute Shapley value; NaN for a model that says the same always.
        attention: (S, M) mean share of attention, or None where attention does not choose.
    """

    names: tuple[str, ...]
    worth: np.ndarray
    attention: np.ndarray | None

    @property
    def worth_std(self) -> np.ndarray:
        """(M,): standard deviation of each share of worth over the seeds."""
        return np.asarray(self.worth.std(0, ddof=1))

    @property
    def attention_std(self) -> np.ndarray | None:
        """(M,): standard deviation of each share of attention over the seeds, or None."""
        return None if self.attention is None else np.asarray(self.attention.std(0, ddof=1))

    def claims(self, of: str = "worth") -> list[dict[str, Any]]:
        """Say of each modality and the next one whether their order can be claimed.

        Args:
            of: "worth" or "attention".

        Returns:
            One dict a pair of neighbours in the order of their mean shares: `first`, `second`, `difference`, `std`
            (of the difference, over the seeds), `claim`: whether the difference is larger than that.

        Raises:
            InputError: another word.
        """
        if of not in ("worth", "attention"):
            raise InputError(f'claims are of worth or of attention, however: of="{of}"')
        shares = self.worth if of == "worth" else self.attention
        if shares is None or np.isnan(shares).any():
            return []
        found = []
        for i, j in pairwise(np.argsort(-shares.mean(0), kind="stable").tolist()):
            difference = shares[:, i] - shares[:, j]
            mean, std = float(difference.mean()), float(difference.std(ddof=1))
            found.append(
                {"first": self.names[i], "second": self.names[j], "difference": mean, "std": std, "claim": mean > std}
            )
        return found

    @property
    def text(self) -> str:
        """The finding in words."""
        if np.isnan(self.worth).any():
            return "with some seeds no modality moves the prediction, so there are no shares to compare"
        lines = [self._said("worth", self.worth)]
        lines.append(EVEN if self.attention is None else self._said("attention", self.attention))
        return "\n".join(lines)

    def _said(self, of: str, shares: np.ndarray) -> str:
        means, stds = shares.mean(0), shares.std(0, ddof=1)
        order = np.argsort(-means, kind="stable")
        told = ", ".join(f'"{self.names[i]}" {means[i]:.2f} ± {stds[i]:.2f}' for i in order)
        line = f"share of {of} over {len(shares)} seeds (mean ± standard deviation): {told}"
        unsure = [c for c in self.claims(of) if not c["claim"]]
        verb = "is worth more than" if of == "worth" else "is looked at more than"
        for c in unsure:
            line += (
                f'; no claim that "{c["first"]}" {verb} "{c["second"]}": the difference of {c["difference"]:.2f} is no '
                f"larger than its standard deviation over seeds, {c['std']:.2f}"
            )
        return line


def seed_variance(
    model: Any,
    X: Any,
    y: Any = None,
    *,
    seeds: int | Sequence[int] = 5,
    on: Any = None,
    removal: str | None = None,
    batch_size: int = 1024,
    progress: Callable[[int, int, str], None] | None = None,
) -> SeedVariance:
    """Fit the same estimator with several seeds, and see how far the shares of its modalities vary.

    Args:
        model: an estimator with a parameter `seed`, or several fitted models of the same modalities, which are then
            taken as they are.
        X: the samples to fit on.
        y: their target; taken from the samples when None. Not needed for fitted models.
        seeds: how many (0, 1, ...), or which. Each costs a fit.
        on: samples to explain; X by default.
        removal: how a modality is taken away, as in `play`.
        batch_size: samples times subsets of one pass.
        progress: called with (fits done, fits in all, what runs next).

    Returns:
        The shares of each seed, their standard deviations, and which order of modalities can be claimed.

    Raises:
        InputError: fewer than two seeds or models, an estimator that takes no seed, or models of other modalities.

    Example:
        >>> from intermodal.learn.estimators import FusionRegressor
        >>> X = {"a": np.arange(20.0)[:, None], "b": np.ones((20, 1))}
        >>> seed_variance(FusionRegressor(max_epochs=3), X, X["a"][:, 0], seeds=2).worth.shape
        (2, 2)
    """
    on = X if on is None else on
    if isinstance(model, list | tuple):
        return _over(list(model), on, removal, batch_size)
    chosen = list(range(seeds)) if isinstance(seeds, int) else list(seeds)
    if len(set(chosen)) < 2:
        raise InputError(f"a spread needs at least two seeds, however: {seeds=}")
    y = needed_target(X, y)
    models = []
    for i, seed in enumerate(chosen):
        if progress is not None:
            progress(i, len(chosen), f"seed {seed}")
        models.append(refitted(model, X, y, seed=seed))
    if progress is not None:
        progress(len(chosen), len(chosen), "done")
    return _over(models, on, removal, batch_size)


def _over(models: list[Any], X: Any, removal: str | None, batch_size: int) -> SeedVariance:
    if len(models) < 2:
        raise InputError(f"a spread needs at least two models, however: there are {len(models)}")
    worth, attention, names = [], [], None
    for model in models:
        table = play(model, X, removal=removal, batch_size=batch_size)
        if names is not None and table.names != names:
            raise InputError(f"models of one set of modalities are compared, however: {names} and {table.names}")
        names = table.names
        size = moved_by(values_of(table.v)).mean(0)
        worth.append(size / size.sum() if size.sum() > 0 else np.full(len(size), np.nan))
        looked = attention_shares(model, X)
        attention.append(None if looked is None else mean_shares(looked))
    assert names is not None
    there = [a for a in attention if a is not None]
    return SeedVariance(names, np.array(worth), np.array(there) if len(there) == len(models) else None)
