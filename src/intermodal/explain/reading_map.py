"""What a map of attention, and the worth of the modalities beside it, must not be read as."""

from __future__ import annotations

from typing import Any

import numpy as np

from intermodal.explain.agreeing import unused
from intermodal.explain.findings import Finding, finding, quoted
from intermodal.explain.looking import may_choose
from intermodal.spec import Spec


def attended_but_unused(attended: Any, worth: Any, spec: Spec) -> list[Finding]:
    """Say where attention and worth tell different stories, by the modalities that could choose whom to look at.

    Args:
        attended: an `AttentionMap`.
        worth: a `Shapley`, of the same samples.
        spec: who asks whom, wildcards expanded.

    Example:
        >>> from intermodal.explain.attention_maps import AttentionMap
        >>> from intermodal.explain.shapley_values import Shapley
        >>> names, zero = ("a", "b"), np.zeros(1)
        >>> looked = AttentionMap(names, np.array([[0.4, 0.6]] * 2), np.zeros((2, 2)), np.array([5, 5]), None)
        >>> worth = Shapley(names, np.array([[1.0, 0.0]]), zero + 1, zero, np.zeros((1, 2, 2)), 4)
        >>> print(attended_but_unused(looked, worth, Spec.parse("self", names))[0].text)
        attention and worth disagree: "b" got 60% of the attention and 0% of the worth
    """
    if attended.mean is None:
        return []
    choosing = may_choose(attended.names, spec)
    chose = [n > 0 and name in choosing for name, n in zip(attended.names, attended.count, strict=True)]
    size = worth.moved.mean(0)
    if not any(chose) or not size.any():
        return []
    # A modality that few samples have asks seldom: its row counts for as many samples as it asked in.
    looked_at = np.average(attended.mean[chose], axis=0, weights=np.asarray(attended.count)[chose])
    shares = size / size.sum()
    return [
        finding(
            "attended-but-unused",
            f'attention and worth disagree: "{worth.names[i]}" got {looked_at[i]:.0%} of the attention '
            f"and {shares[i]:.0%} of the worth",
            attention=float(looked_at[i]),
            worth=float(shares[i]),
        )
        for i in unused(looked_at, shares)
    ]


def even_by_construction(names: tuple[str, ...], spec: Spec) -> list[Finding]:
    """Say which rows of the map the spec alone decides: they say nothing about the model.

    Args:
        names: the modalities.
        spec: who asks whom, wildcards expanded.

    Example:
        >>> len(even_by_construction(("a", "b"), Spec.parse("a <-> b")))
        1
    """
    ask, choosing = {name for edge in spec.edges for name in edge.query_names}, may_choose(names, spec)
    fixed = [name for name in names if name in ask and name not in choosing]
    if not fixed or len(names) < 2:
        return []
    return [
        finding(
            "even-by-construction",
            f"the shares in the row of {quoted(fixed)} are fixed by the fusion: every edge from there asks a single "
            "modality, so attention chooses among its tokens and not between modalities",
            rows=len(fixed),
        )
    ]
