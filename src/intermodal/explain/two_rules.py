"""Two removal rules beside each other: does the order of the modalities depend on what stands where one was?

Shapes: N samples, M modalities.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from intermodal.errors import InputError
from intermodal.explain.ranks import ranked, resamples, spearman
from intermodal.explain.shapley_values import Shapley


@dataclass(frozen=True)
class RuleComparison:
    """The order of the modalities under two rules.

    Attributes:
        names: (M,) the modalities.
        rules: the two rules.
        worth: (2, M) the mean of how far each modality moved the prediction, under each rule.
        ranks: (2, M) 1 for the modality that moved most; equals share the mean of their ranks.
        spearman: rank correlation of the two orders; None where one of them puts all on one rank.
        flips: one dict for each pair whose order differs: `first` and `second` in the order of the first rule, `clear`
            (the samples settle both orders: neither 95 % bootstrap interval of the difference holds 0), and `text`.
    """

    names: tuple[str, ...]
    rules: tuple[str, str]
    worth: np.ndarray
    ranks: np.ndarray
    spearman: float | None
    flips: list[dict[str, Any]]

    @property
    def agree(self) -> bool:
        """True when no pair changes its order."""
        return not self.flips


def compare_rules(
    a: Shapley, b: Shapley, *, n_resamples: int = 1000, seed: int = 0, groups: Any = None
) -> RuleComparison:
    """Compare the order of the modalities under two rules, and say which pairs change places.

    Args:
        a: values of some samples under one rule.
        b: values of the same samples under another.
        n_resamples: how often the samples are drawn anew.
        seed: of the draws.
        groups: (N,) samples of a group are drawn together.

    Returns:
        Ranks, their correlation, and each pair that changes its order with a sentence.

    Raises:
        InputError: the two are not about the same modalities, samples and outcome.

    Example:
        >>> size = np.array([[3.0, 1.0], [2.0, 1.0], [4.0, 1.0]])
        >>> def under(rule, values):
        ...     return Shapley(("a", "b"), values, values.sum(1), np.zeros(3), np.zeros((3, 2, 2)), 4, rule)
        >>> found = compare_rules(under("mask", size), under("mean", size[:, ::-1]))
        >>> found.ranks.tolist(), found.spearman
        ([[1.0, 2.0], [2.0, 1.0]], -1.0)
        >>> found.flips[0]["text"]
        '"a" is worth more than "b" under mask (3 and 1), and less under mean (1 and 3)'
    """
    for what, one, other in (
        ("modalities", a.names, b.names),
        ("samples", len(a.values), len(b.values)),
        ("outcome", a.of, b.of),
    ):
        if one != other:
            raise InputError(f"two rules are compared over the same {what}, however: {one} and {other}")
    moved = np.stack([a.moved, b.moved])  # (2, N, M)
    worth = moved.mean(1)
    draws = np.stack([moved[:, rows].mean(1) for rows in resamples(moved.shape[1], n_resamples, seed, groups)])
    flips = []
    for i, j in zip(*np.triu_indices(len(a.names), 1), strict=True):
        first, second = (i, j) if worth[0, i] >= worth[0, j] else (j, i)
        gaps = worth[:, first] - worth[:, second]
        if gaps[0] > 0 > gaps[1]:
            low, high = np.quantile(draws[:, :, first] - draws[:, :, second], [0.025, 0.975], axis=0)
            clear = bool(low[0] > 0 and high[1] < 0)
            flips.append(_flip(a, b, int(first), int(second), worth, clear))
    return RuleComparison(a.names, (a.removal, b.removal), worth, ranked(-worth) + 1, spearman(*worth), flips)


def _flip(a: Shapley, b: Shapley, first: int, second: int, worth: np.ndarray, clear: bool) -> dict[str, Any]:
    one, other = a.names[first], a.names[second]
    (more, less), (now_less, now_more) = worth[:, [first, second]].tolist()
    text = f'"{one}" is worth more than "{other}" under {a.removal} ({more:.3g} and {less:.3g}), '
    text += f"and less under {b.removal} ({now_less:.3g} and {now_more:.3g})"
    text += "" if clear else "; these samples do not settle it"
    return {"first": one, "second": other, "clear": clear, "text": text}
