"""Where what fits is a matter of classes: each side says how probable each class is, by a straight line.

Two samples fit when they are of one class. With the classes' probabilities on both sides, how much more often than by
chance they do is `sum over c of p(c | query) p(c | clip) / p(c)`: a product of two vectors, one a side.

Shapes: N samples of a side, P columns, C classes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from scipy.special import logsumexp
from torch import Tensor

from intermodal.data.samples import Samples
from intermodal.find.pairs import Pairs
from intermodal.find.sides import Read
from intermodal.learn.straight import fit_straight, flat

SIDES = ("queries", "clips")
MOST_WORDS = 2000
"""Words that are counted, the most frequent ones."""
FEWEST = 10
"""Samples a class, on average on both sides, from which classes can be told apart by a line."""


@dataclass(frozen=True)
class Meaning:
    """A line from the columns of each side to the classes.

    Attributes:
        coef: side -> (P, C). intercept: side -> (C,).
        prior: (C,) how frequent each class is.

    Source: semantic matching, Rasiwasia et al. 2010; a product as a cosine of longer vectors, Neyshabur and Srebro
    2015.

    Relation: the towers learn from pairs that fit; this learns from the classes that make them fit.
    """

    coef: Mapping[str, np.ndarray]
    intercept: Mapping[str, np.ndarray]
    prior: np.ndarray

    @classmethod
    def fit(
        cls, reads: Mapping[str, Read], pairs: Pairs, rows: Mapping[str, np.ndarray], *, seed: int
    ) -> Meaning | None:
        """Fit on some rows of each side; None where what fits is no matter of classes, or classes are too small."""
        if not pairs.relevance.classes:
            return None
        kinds = {"queries": pairs.relevance.query_kind, "clips": pairs.relevance.clip_kind}
        labels = {side: kinds[side][rows[side]] for side in SIDES}
        known = np.unique(np.concatenate(list(labels.values())))
        if len(known) < 2 or min(map(len, labels.values())) < FEWEST * len(known):
            return None
        labels = {side: np.searchsorted(known, of) for side, of in labels.items()}
        counts = np.stack([np.bincount(of, minlength=len(known)) / len(of) for of in labels.values()])
        prior = np.maximum(counts.mean(0), 1 / (2 * sum(map(len, labels.values()))))
        coef, intercept = {}, {}
        for side in SIDES:
            samples = Samples({"columns": columns(reads[side], rows[side])})
            nothing, ones = np.zeros(len(samples)), np.ones(len(samples))
            line = fit_straight(samples, nothing, ones, labels=labels[side], groups=None, seed=seed)
            missing = len(known) - line.coef.shape[1]  # classes after the last that this side has
            coef[side] = np.pad(line.coef, ((0, 0), (0, missing)))
            intercept[side] = np.pad(line.intercept, (0, missing), constant_values=float(line.intercept.min()))
        return cls(coef, intercept, prior / prior.sum())

    @property
    def width(self) -> int:
        """Width of the vectors."""
        return len(self.prior) + 2

    def probabilities(self, side: str, values: np.ndarray) -> np.ndarray:
        """How probable each class is, (N, C), from columns (N, P)."""
        scores = values @ self.coef[side] + self.intercept[side]
        return np.asarray(np.exp(scores - logsumexp(scores, axis=1, keepdims=True)))

    def vectors(self, side: str, values: np.ndarray) -> np.ndarray:
        """Return vectors (N, C + 2) of unit length whose product, between sides, is the ratio less 1, by its largest.

        A ratio is no cosine: what is unsure must be near to nothing. So each side keeps a place of its own for what its
        vector lacks to unit length, where the other side has zero.
        """
        ratio = (self.probabilities(side, values) - self.prior) / np.sqrt(self.prior)
        ratio /= np.sqrt(1 / self.prior.min() - 1)
        lacks = np.sqrt(np.maximum(0.0, 1 - (ratio**2).sum(1)))
        own = np.zeros((len(ratio), 2))
        own[:, SIDES.index(side)] = lacks
        return np.hstack([ratio, own])

    def tensors(self) -> dict[str, Tensor]:
        """The numbers, to be saved."""
        numbers = {"prior": self.prior}
        for side in SIDES:
            numbers |= {f"{side}.coef": self.coef[side], f"{side}.intercept": self.intercept[side]}
        return {name: torch.from_numpy(np.ascontiguousarray(values)) for name, values in numbers.items()}

    @classmethod
    def restored(cls, tensors: Mapping[str, Tensor]) -> Meaning:
        """Put together what `tensors` took apart."""
        coef = {side: tensors[f"{side}.coef"].numpy() for side in SIDES}
        intercept = {side: tensors[f"{side}.intercept"].numpy() for side in SIDES}
        return cls(coef, intercept, tensors["prior"].numpy())


def columns(read: Read, rows: np.ndarray) -> np.ndarray:
    """All modalities of a side in columns (N, P): numbers by their means, texts by the words they hold.

    Example:
        >>> read = Read(None, {"query": [np.array([1, 2, 2]), None]}, sizes={"query": 4})
        >>> columns(read, np.array([0, 1])).round(2).tolist()
        [[0.0, 0.45, 0.89, 0.0], [0.0, 0.0, 0.0, 0.0]]
    """
    parts = [] if read.feed is None else [flat(read.feed.samples[rows])]
    for name, numbers in read.texts.items():
        counted = np.zeros((len(rows), min(read.sizes[name], MOST_WORDS)))
        for at, row in enumerate(rows):
            of = numbers[row]
            if of is not None:
                np.add.at(counted[at], of[of < MOST_WORDS], 1)
        parts.append(counted / np.maximum(1e-12, np.linalg.norm(counted, axis=1, keepdims=True)))
    return np.hstack(parts)
