"""What a search returns: hits, and the best hit of each group."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from intermodal.find.store import Found


@dataclass(frozen=True)
class Hit:
    """A clip that was found.

    Attributes:
        id: its name.
        score: how well it fits, higher is better: the inner product of the vectors, or what a reranker made of it.
        metadata: what was said of it.
    """

    id: str
    score: float
    metadata: dict[str, Any]


def best_of_groups(hits: Sequence[Hit], group: str) -> list[Hit]:
    """Keep the first hit of each value of a key.

    Example:
        >>> hits = [Hit("a", 0.9, {"video": 1}), Hit("b", 0.8, {"video": 1}), Hit("c", 0.7, {}), Hit("d", 0.6, {})]
        >>> [hit.id for hit in best_of_groups(hits, "video")]
        ['a', 'c', 'd']
    """
    seen: set[Any] = set()
    best = []
    for hit in hits:
        value = hit.metadata.get(group)
        if value is None or value not in seen:
            best.append(hit)
            seen.add(value)
    return best


def hits_of(found: Found) -> list[list[Hit]]:
    """Return what a store found as hits."""
    rows = zip(found.ids, found.scores, found.metadata, strict=True)
    return [
        [Hit(i, float(score), said) for i, score, said in zip(ids, scores, metadata, strict=True)]
        for ids, scores, metadata in rows
    ]
