"""How a retriever learns: the towers, from batches of pairs that are hard to tell apart.

Shapes: Q queries, N clips, K candidates.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from intermodal.find.both_towers import BothTowers, embed
from intermodal.find.contrast import contrast
from intermodal.find.negatives import alike
from intermodal.find.pairs import Pairs
from intermodal.find.ranking import average_precision
from intermodal.find.saying import said
from intermodal.find.sides import Read
from intermodal.find.training import Plan, train

STRETCH = 2048
"""Pairs among which those are sought that are hard to tell apart."""
EASY = 1
"""Passes before that: a model that knows nothing finds nothing hard."""
AVERAGE = 0.98
Batch = tuple[np.ndarray, np.ndarray]


def train_towers(towers: BothTowers, queries: Read, clips: Read, pairs: Pairs, settings: Any) -> list[dict[str, Any]]:
    """Train both towers in place, and return the history."""
    n = len(pairs.learn_queries)
    size = min(settings.batch_size, n)
    plan = Plan(
        settings.max_epochs,
        max(1, n // size),
        lr=settings.lr,
        weight_decay=settings.weight_decay,
        average=AVERAGE,
        patience=settings.patience,
        seed=settings.seed,
    )

    def loss(module: nn.Module, batch: Batch) -> Tensor:
        asked, answers = batch[0], np.unique(batch[1])
        scores = module(queries.batch(asked), clips.batch(answers))
        right = torch.from_numpy(pairs.relevance.block(asked, answers)).to(scores.device)
        return contrast(scores, right)

    def validate(module: nn.Module) -> float:
        assert isinstance(module, BothTowers)
        scores = embed(module.queries, queries, pairs.held_queries) @ embed(module.clips, clips, pairs.held_clips).T
        return mean_precision(scores, pairs.relevance.block(pairs.held_queries, pairs.held_clips))

    batches = Batches(towers, queries, clips, pairs, size, settings.hard)
    return train(
        towers,
        batches,
        loss,
        plan,
        validate=validate if len(pairs.held_queries) else None,
        callback=said(settings.callback, "towers"),
    )


class Batches:
    """The batches of a pass: pairs in groups that the towers, as they are now, find hard to tell apart."""

    def __init__(self, towers: BothTowers, queries: Read, clips: Read, pairs: Pairs, size: int, hard: int) -> None:
        self.towers, self.queries, self.clips, self.pairs = towers, queries, clips, pairs
        self.size, self.hard, self.passes = size, hard, 0

    def __call__(self, rng: np.random.Generator) -> Iterator[Batch]:
        """Yield query rows and the clip of each."""
        self.passes += 1
        pairs = self.pairs
        asked = rng.permutation(pairs.learn_queries)
        if pairs.clips is not None:
            answers = pairs.clips[asked]
        else:
            answers = pairs.relevance.partners(asked, pairs.learn_clips, rng)
        order = np.arange(len(asked))
        if self.hard > 1 and self.passes > EASY:
            stretches = np.array_split(order, -(-len(order) // STRETCH))
            order = np.concatenate([self._grouped(asked, answers, stretch, rng) for stretch in stretches])
        for i in range(0, max(1, len(order) - self.size + 1), self.size):
            rows = order[i : i + self.size]
            yield asked[rows], answers[rows]

    def _grouped(
        self, asked: np.ndarray, answers: np.ndarray, stretch: np.ndarray, rng: np.random.Generator
    ) -> np.ndarray:
        """The rows of a stretch in an order in which those that are hard to tell apart stand together."""
        training = self.towers.training
        self.towers.eval()
        scores = (
            embed(self.towers.queries, self.queries, asked[stretch])
            @ embed(self.towers.clips, self.clips, answers[stretch]).T
        )
        self.towers.train(training)
        right = self.pairs.relevance.block(asked[stretch], answers[stretch])
        groups = list(alike(scores + scores.T, right | right.T, self.hard, rng))
        # Whole groups fill a batch; shuffled, so that leftovers of the search do not stand together.
        whole = [g for g in groups if len(g) == self.hard]
        rest = [g for g in groups if len(g) < self.hard]
        mixed = [whole[i] for i in rng.permutation(len(whole))] + rest
        return stretch[np.concatenate(mixed)]


def mean_precision(scores: np.ndarray, right: np.ndarray) -> float:
    """Mean average precision, the mean of both directions; rows without a right answer are left out."""
    both = []
    for s, r in ((scores, right), (scores.T, right.T)):
        counts = r.any(1)
        both.append(float(average_precision(s[counts], r[counts]).mean()) if counts.any() else 0.0)
    return sum(both) / 2
