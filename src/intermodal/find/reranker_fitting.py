"""How a reranker learns from what frozen towers confuse, in both directions, and whether it is worth asking.

Shapes: Q queries, N clips, K candidates.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from intermodal.find.both_towers import SIDES, tokens_of
from intermodal.find.candidates import best_of, fuse, move_down
from intermodal.find.contrast import one_way
from intermodal.find.embedder import Embedder
from intermodal.find.negatives import hardest
from intermodal.find.pairs import Pairs
from intermodal.find.ranking import average_precision
from intermodal.find.reranker import Reranker
from intermodal.find.saying import said
from intermodal.find.sides import Read
from intermodal.find.training import Plan, train
from intermodal.learn.feed import Feed

MINE = 4096
"""Queries, and clips, among which hard negatives are sought."""
MINED = 32
"""Hard negatives that are kept of each row."""
SHOWN = 7
"""Of these, drawn for each step."""
PAIRS = 16
"""Queries of a step, and as many clips."""
STEPS = 80
"""Steps of a pass, at most: the rows held out are looked at after each."""
EPOCHS = 8
PATIENCE = 3
LOOKED_AT = 96
"""Rows held out that are reranked after each pass, in each direction."""
WEIGHTS = (0.0, *np.geomspace(0.002, 2.0, 13).tolist())
"""Weights of the reranker beside the towers that are tried."""
MARGIN = 2.0
"""Standard errors by which the reranker must be better on rows held out."""
UNKNOWN_WEIGHT = 0.1
"""Where no row is held out to try them on."""


@dataclass(frozen=True)
class Stage:
    """What the towers made of some queries and clips.

    Attributes:
        queries, clips: their tokens.
        scores: (Q, N) similarity.
        right: (Q, N) bool.
    """

    queries: Feed
    clips: Feed
    scores: np.ndarray
    right: np.ndarray

    @classmethod
    def of(
        cls, embedder: Embedder, reads: dict[str, Read], pairs: Pairs, asked: np.ndarray, answers: np.ndarray
    ) -> Stage:
        """Let the towers see some rows."""
        queries, clips, towers = reads["queries"], reads["clips"], embedder.towers
        scores = embedder.embed("queries", queries, asked) @ embedder.embed("clips", clips, answers).T
        right = pairs.relevance.block(asked, answers)
        return cls(
            tokens_of(towers.queries, queries, asked),
            tokens_of(towers.clips, clips, answers),
            scores,
            right,
        )

    def towards(self, side: str) -> tuple[np.ndarray, np.ndarray]:
        """Similarity and right answers, from those who ask to the side that is ranked."""
        return (self.scores, self.right) if side == "clips" else (self.scores.T, self.right.T)


def train_reranker(
    reranker: Reranker, embedder: Embedder, reads: dict[str, Read], pairs: Pairs, settings: Any
) -> tuple[list[dict[str, Any]], dict[str, dict[str, Any]]]:
    """Train the reranker in place; return the history, and for each side whether it is kept, and its weight."""
    known = Stage.of(embedder, reads, pairs, *_some(pairs, settings.seed))
    held = Stage.of(embedder, reads, pairs, pairs.held_queries, pairs.held_clips) if len(pairs.held_clips) else None
    mined = {side: hardest(*known.towards(side), MINED) for side in SIDES}
    able = {side: np.flatnonzero(known.towards(side)[1].any(1) & (mined[side] >= 0).any(1)) for side in SIDES}

    def epoch(rng: np.random.Generator) -> Iterator[list[tuple[str, np.ndarray, np.ndarray]]]:
        order = {side: rng.permutation(able[side]) for side in SIDES}
        for i in range(0, steps * PAIRS, PAIRS):
            rows = {side: np.take(of, np.arange(i, i + PAIRS), mode="wrap") for side, of in order.items() if len(of)}
            yield [(side, at, _shown(known, mined[side], at, side, rng)) for side, at in rows.items()]

    def loss(module: nn.Module, batch: list[tuple[str, np.ndarray, np.ndarray]]) -> Tensor:
        assert isinstance(module, Reranker)
        losses = []
        for side, rows, others in batch:
            scores = module.candidates(known.queries, known.clips, rows, others, side)
            right = torch.zeros(scores.shape, dtype=torch.bool, device=scores.device)
            right[:, 0] = True
            losses.append(one_way(scores, right))
        return torch.stack(losses).mean()

    def validate(module: nn.Module) -> float:
        assert isinstance(module, Reranker) and held is not None
        tried = [tried_weights(module, held, side, settings.top_k, most=LOOKED_AT) for side in SIDES]
        return float(np.mean([precisions.mean(1).max() for precisions in tried]))

    most = max(map(len, able.values()))
    steps = min(STEPS, -(-most // PAIRS))
    history: list[dict[str, Any]] = []
    if most:
        plan = Plan(
            min(EPOCHS, settings.max_epochs),
            steps,
            lr=settings.lr,
            weight_decay=settings.weight_decay,
            average=0.98,
            patience=PATIENCE,
            seed=settings.seed,
        )
        history = train(
            reranker,
            epoch,
            loss,
            plan,
            validate=validate if held is not None else None,
            callback=said(settings.callback, "reranker"),
        )
    reranker.eval()
    return history, {side: chosen_weight(reranker, held, side, settings) for side in SIDES}


def _some(pairs: Pairs, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Queries and clips to mine among, `MINE` at most of each: all with all costs the square of their number."""
    rng = np.random.default_rng(seed)
    asked = rng.permutation(pairs.learn_queries)[:MINE]
    answers = np.empty(0, dtype=np.int64) if pairs.clips is None else np.unique(pairs.clips[asked])
    others = rng.permutation(np.setdiff1d(pairs.learn_clips, answers))[: MINE - len(answers)]
    return np.sort(asked), np.sort(np.concatenate([answers, others]).astype(np.int64))


def _shown(known: Stage, mined: np.ndarray, rows: np.ndarray, side: str, rng: np.random.Generator) -> np.ndarray:
    """For each row a right answer, drawn, and some of its hard negatives, -1 where there are fewer: (B, 1 + SHOWN)."""
    right = known.towards(side)[1][rows]
    drawn = np.where(right, rng.random(right.shape), -1.0).argmax(1)
    luck = rng.random((len(rows), mined.shape[1])).argsort(1)[:, :SHOWN]
    return np.concatenate([drawn[:, None], np.take_along_axis(mined[rows], luck, 1)], 1)


def tried_weights(reranker: Reranker, stage: Stage, side: str, top_k: int, *, most: int | None = None) -> np.ndarray:
    """Average precision of each row (weights, rows) with each weight of the reranker on the best candidates."""
    scores, right = stage.towards(side)
    rows = np.flatnonzero(right.any(1))
    if most is not None and len(rows) > most:
        rows = rows[np.linspace(0, len(rows) - 1, most).astype(int)]
    scores, right = scores[rows], right[rows]
    best = best_of(scores, top_k)
    opinions = np.full(scores.shape, -np.inf, dtype=np.float32)
    said = reranker.opinions(stage.queries, stage.clips, best, side, rows=rows)
    np.put_along_axis(opinions, best, said, 1)
    found = []
    for weight in WEIGHTS:
        fused = fuse(np.take_along_axis(scores, best, 1), said, weight)
        found.append(average_precision(move_down(scores, best, fused), right))
    return np.stack(found)


def chosen_weight(reranker: Reranker, held: Stage | None, side: str, settings: Any) -> dict[str, Any]:
    """The weight that is best on rows held out, and whether it is better there than none, by more than chance."""
    if held is None:
        return {"kept": settings.reranker is True, "weight": UNKNOWN_WEIGHT, "rows": 0}
    precisions = tried_weights(reranker, held, side, settings.top_k)
    means = precisions.mean(1)
    at = 1 + int(np.argmax(means[1:]))
    gains = precisions[at] - precisions[0]
    se = float(gains.std(ddof=1) / np.sqrt(len(gains))) if len(gains) > 1 else float("inf")
    better = float(gains.mean()) > MARGIN * se  # the weight, and the epoch, were chosen on these rows too
    return {
        "kept": bool(settings.reranker is True or better),
        "weight": float(WEIGHTS[at]),
        "towers": float(means[0]),
        "fused": float(means[at]),
        "gain": float(gains.mean()),
        "se": se,
        "rows": len(gains),
    }
