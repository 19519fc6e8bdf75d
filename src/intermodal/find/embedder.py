"""What makes the vectors of a search: the towers, and beside them, where there are classes, a straight line.

Shapes: N samples of a side, E width of an embedding.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from intermodal.find.both_towers import BothTowers, embed
from intermodal.find.meaning import Meaning, columns
from intermodal.find.pairs import Pairs
from intermodal.find.sides import Read
from intermodal.find.towers_fitting import mean_precision

SHARES = (0.0, 0.25, 0.5, 0.7, 0.8, 0.85, 0.9, 0.95, 0.97, 1.0)
"""Shares of the similarity that are tried for the line."""
UNKNOWN_SHARE = 0.5
"""Where no row is held out to try them on."""


@dataclass(frozen=True)
class Embedder:
    """Towers and line, and the share of the similarity that is the line's.

    Attributes:
        towers: both.
        meaning: the line, or None.
        share: from 0 to 1.
    """

    towers: BothTowers
    meaning: Meaning | None = None
    share: float = 0.0

    @property
    def width(self) -> int:
        """E: that of the towers, and beside it that of the line where there is one."""
        return self.towers.clips.head.out_features + (0 if self.meaning is None else self.meaning.width)

    def embed(self, side: str, read: Read, rows: np.ndarray | None = None) -> np.ndarray:
        """Return the vectors (N, E) of a side, or of some of its rows, in float32, of unit length."""
        rows = np.arange(len(read)) if rows is None else rows
        vectors = embed(self.towers.of(side), read, rows)
        if self.meaning is None:
            return vectors
        meant = self.meaning.vectors(side, columns(read, rows))
        both = np.hstack([np.sqrt(self.share) * meant, np.sqrt(1 - self.share) * vectors])
        return both.astype(np.float32)


def with_meaning(towers: BothTowers, reads: dict[str, Read], pairs: Pairs, *, seed: int) -> Embedder:
    """Set a line beside fitted towers where there are classes; its share is the best on rows held out."""
    learn = {"queries": pairs.learn_queries, "clips": pairs.learn_clips}
    held = {"queries": pairs.held_queries, "clips": pairs.held_clips}
    meaning = Meaning.fit(reads, pairs, learn, seed=seed)
    if meaning is None:
        return Embedder(towers)
    if not len(held["queries"]):
        return Embedder(towers, meaning, UNKNOWN_SHARE)
    right = pairs.relevance.block(held["queries"], held["clips"])
    scores = []
    for share in (0.0, 1.0):
        trial = Embedder(towers, meaning, share)
        scores.append(trial.embed("queries", reads["queries"], held["queries"]) @ trial.embed(
            "clips", reads["clips"], held["clips"]
        ).T)  # fmt: skip
    found = [mean_precision((1 - share) * scores[0] + share * scores[1], right) for share in SHARES]
    # The line knows its penalty without the rows held out: once its share is chosen, it may learn from them too.
    everything = {side: np.sort(np.concatenate([learn[side], held[side]])) for side in learn}
    whole = Meaning.fit(reads, pairs, everything, seed=seed)
    return Embedder(towers, whole, SHARES[int(np.argmax(found))])
