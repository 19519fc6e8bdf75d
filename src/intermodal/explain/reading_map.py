"""What a map of attention, and the worth of the modalities beside it, must not be read as."""

from __future__ import annotations

from typing import Any

import numpy as np

from intermodal.explain.findings import Finding, finding
from intermodal.spec import Spec

_TIMES, _LEAST = 3.0, 0.05
"""Attention so many times the worth, and at least this share, tells another story than the worth."""


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
    fixed = cannot_choose(attended.names, spec)
    chose = [n > 0 and name not in fixed for name, n in zip(attended.names, attended.count, strict=True)]
    if not any(chose):
        return []
    found = []
    # A modality that few samples have asks seldom: its row counts for as many samples as it asked in.
    looked_at = np.average(attended.mean[chose], axis=0, weights=np.asarray(attended.count)[chose])
    for i, row in enumerate(worth.worth()):
        share = row["share"]
        if share is not None and looked_at[i] > _TIMES * share and looked_at[i] > _LEAST:
            found.append(
                finding(
                    "attended-but-unused",
                    f'attention and worth disagree: "{row["name"]}" got {looked_at[i]:.0%} of the attention '
                    f"and {share:.0%} of the worth",
                    attention=float(looked_at[i]),
                    worth=share,
                )
            )
    return found


def even_by_construction(names: tuple[str, ...], spec: Spec) -> list[Finding]:
    """Say which rows of the map the spec alone decides: they say nothing about the model.

    Args:
        names: the modalities.
        spec: who asks whom, wildcards expanded.

    Example:
        >>> len(even_by_construction(("a", "b"), Spec.parse("a <-> b")))
        1
    """
    fixed = cannot_choose(names, spec) if len(names) > 1 else []
    if not fixed:
        return []
    who = ", ".join(f'"{name}"' for name in fixed)
    return [
        finding(
            "even-by-construction",
            f"the shares in the row of {who} are even by construction: every edge from there asks a single "
            "modality, so attention chooses among its tokens and not between modalities",
            rows=len(fixed),
        )
    ]


def cannot_choose(names: tuple[str, ...], spec: Spec) -> list[str]:
    """Return the modalities that ask, and whose every edge asks a single modality.

    Example:
        >>> cannot_choose(("a", "b"), Spec.parse("a -> b, b -> [a b]"))
        ['a']
    """
    asked = {name: [len(e.context_names) for e in spec.edges if name in e.query_names] for name in names}
    return [name for name, widths in asked.items() if widths and max(widths) == 1]
