"""How a recommender learns: users against clips, users and clips held out to stop by.

Shapes: U users, N clips, B users of a batch, C clips of a batch.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from scipy.sparse import csr_matrix
from torch import Tensor, nn

from intermodal.errors import DataError
from intermodal.find.both_towers import embed
from intermodal.find.ranking import ranking_scores
from intermodal.find.recommend_network import Recommending, prefer
from intermodal.find.recommend_top import leave_out
from intermodal.find.recommend_users import Users
from intermodal.find.sides import Read
from intermodal.find.training import Plan, train
from intermodal.learn.holding import hold_out

STEPS = 25
"""Steps of a pass, at least: few users are gone through several times."""
SHARE_OF_LIKED = 0.5
"""Share of a batch's clips, at most, that are there because somebody of the batch liked them."""
ENOUGH = 5
"""Held-out clips are ranked alone where at least so many held-out users like one of them."""
EXAMINED = 500
"""Users, at most, who say when to stop."""
CHUNK = 256
"""Users that are read at once where nothing is learned."""


@dataclass(frozen=True)
class Halves:
    """Which users and clips are learned from, and which are held out.

    Attributes:
        users, held_users: rows of the users.
        clips: rows that are learned from.
        ranked: rows that are ranked for the users held out: new clips, where these users like enough of them.
    """

    users: np.ndarray
    held_users: np.ndarray
    clips: np.ndarray
    ranked: np.ndarray


def halve(
    liked: csr_matrix, *, share: float, seed: int, split: np.ndarray | None = None, groups: np.ndarray | None = None
) -> Halves:
    """Hold out users and clips.

    Args:
        liked: (U, N) gains.
        share: of both to hold out.
        seed: the same seed cuts the same way.
        split: the part of each clip; "valid" ones are the ones held out, "test" ones are left alone.
        groups: (N,) clips of a group stay together.

    Example:
        >>> half = halve(csr_matrix(np.ones((20, 30))), share=0.2, seed=0)
        >>> len(half.users), len(half.held_users), len(half.clips), len(half.ranked)
        (16, 4, 24, 30)
    """
    n_users, n_clips = liked.shape
    users, held_users = hold_out(n_users, share=share, seed=seed)
    if split is not None and (split == "valid").any():
        clips, held = np.flatnonzero(split == "train"), np.flatnonzero(split == "valid")
    else:
        own = np.arange(n_clips) if split is None else np.flatnonzero(split == "train")
        learn, away = hold_out(len(own), share=share, seed=seed, groups=None if groups is None else groups[own])
        clips, held = own[learn], own[away]
    likes_new = np.asarray((liked[held_users][:, held] > 0).sum(1)).ravel() > 0 if len(held) else np.zeros(0, bool)
    ranked = held if likes_new.sum() >= ENOUGH else np.sort(np.concatenate([clips, held]))
    return Halves(users, held_users, clips, ranked)


class Lessons:
    """The batches that a recommender learns from.

    Args:
        users: U users.
        clips: N clips.
        liked: (U, N) gains.
        halves: what is learned from.
        batch_users: B.
        batch_clips: C, where histories name no more.

    Raises:
        DataError: nothing can be learned: no user that is learned from likes a clip that is.
    """

    def __init__(
        self, users: Users, clips: Read, liked: csr_matrix, halves: Halves, *, batch_users: int, batch_clips: int
    ) -> None:
        known = _known(halves.clips, liked)
        self.users, self.clips, self.halves = users.among(known), clips, halves
        self.liked = csr_matrix(liked.multiply(known))  # a clip that is held out teaches nothing
        self.liked.eliminate_zeros()
        self.rows = np.array([u for u in halves.users if self.liked.indptr[u + 1] > self.liked.indptr[u]])
        if len(self.rows) == 0:
            raise DataError("a user that is learned from likes a clip that is learned from, however: none does")
        self.batch_users, self.batch_clips = min(batch_users, len(self.rows)), batch_clips

    @property
    def steps(self) -> int:
        """Batches of a pass."""
        return max(STEPS, -(-len(self.rows) // max(1, self.batch_users)))

    def epoch(self, rng: np.random.Generator) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield the users and the clips of each batch."""
        order = np.arange(0)
        for _ in range(self.steps):
            if len(order) < self.batch_users:
                order = np.concatenate([order, rng.permutation(self.rows)])
            users, order = order[: self.batch_users], order[self.batch_users :]
            yield users, self._clips_for(users, rng)

    def _clips_for(self, users: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Clips of the users' pasts, clips they like, and clips by chance, each once."""
        if self.batch_clips >= len(self.halves.clips):
            return self.halves.clips
        each = max(1, int(SHARE_OF_LIKED * self.batch_clips) // len(users))
        chosen = [rng.permutation(self._likes(u))[:each] for u in users]
        if self.users.histories is not None:
            chosen += [self.users.histories[u] for u in users]
        some = np.unique(np.concatenate(chosen))
        rest = max(0, self.batch_clips - len(some))
        return np.union1d(some, rng.choice(self.halves.clips, min(rest, len(self.halves.clips)), replace=False))

    def _likes(self, user: int) -> np.ndarray:
        return np.asarray(self.liked.indices[self.liked.indptr[user] : self.liked.indptr[user + 1]])

    def loss(self, network: nn.Module, picked: tuple[np.ndarray, np.ndarray]) -> Tensor:
        """The loss of one batch."""
        assert isinstance(network, Recommending)
        rows, clips = picked
        x, present = self.clips.batch(clips)
        vectors = network.clips(x, present).vector
        batch = self.users.batch(rows, vectors.device)
        counts = np.ones((len(rows), len(clips)), dtype=bool)
        if self.users.histories is not None:
            for i, user in enumerate(rows):  # what is in the past is not recommended, so it is not learned either
                counts[i] = ~np.isin(clips, self.users.histories[user])
        batch = batch._replace(clips=np.searchsorted(clips, batch.clips).clip(max=len(clips) - 1))
        scores = network.like(network.user(batch, vectors), vectors)
        gains = torch.from_numpy(self.liked[rows][:, clips].toarray()).to(scores)
        return prefer(scores, gains, torch.from_numpy(counts).to(scores.device))


class Examined:
    """The users held out, and what is right for them among the clips that are ranked."""

    def __init__(self, users: Users, clips: Read, liked: csr_matrix, halves: Halves) -> None:
        rows = halves.held_users[:EXAMINED]
        pasts = [np.arange(0)] * len(rows) if users.histories is None else [users.histories[u] for u in rows]
        self.rows, self.clips = rows, clips
        self.needed = np.unique(np.concatenate([halves.ranked, *pasts]))
        self.users = users.among(_known(self.needed, liked))
        self.users = self.users.within(self.needed)
        self.ranked = np.searchsorted(self.needed, halves.ranked)
        self.seen = [np.flatnonzero(np.isin(halves.ranked, past)) for past in pasts]
        self.right = (liked[rows][:, halves.ranked] > 0).toarray()
        for i, out in enumerate(self.seen):
            self.right[i, out] = False

    def gain(self, network: nn.Module) -> float:
        """nDCG@10."""
        assert isinstance(network, Recommending)
        vectors = clip_vectors(network, self.clips, self.needed)
        of_users = user_vectors(network, self.users, vectors, self.rows)
        scores = network.like(of_users, vectors[torch.from_numpy(self.ranked).to(vectors.device)])
        left = leave_out(scores.detach().double().cpu().numpy(), self.seen)
        return float(ranking_scores(left, self.right)["nDCG@10"])


def fit_network(
    network: Recommending,
    users: Users,
    clips: Read,
    liked: csr_matrix,
    halves: Halves,
    settings: Any,
) -> list[dict[str, Any]]:
    """Train a network in place and return the history; nDCG@10 of the users held out says when to stop.

    Args:
        network: what to train.
        users: U users; their pasts name clips.
        clips: N clips.
        liked: (U, N) gains.
        halves: what is learned from, what is held out.
        settings: a `FusionRecommender`, or whatever else has its parameters.
    """
    lessons = Lessons(users, clips, liked, halves, batch_users=settings.batch_users, batch_clips=settings.batch_clips)
    examined = Examined(users, clips, liked, halves)
    plan = Plan(
        settings.max_epochs,
        lessons.steps,
        lr=settings.lr,
        weight_decay=settings.weight_decay,
        patience=settings.patience,
        seed=settings.seed,
    )
    return train(
        network,
        lessons.epoch,
        lessons.loss,
        plan,
        validate=examined.gain if examined.right.any() else None,
        callback=settings.callback,
    )


def clip_vectors(network: Recommending, clips: Read, rows: np.ndarray | None = None) -> Tensor:
    """A vector for each clip, (N, E), or for those at `rows`."""
    return torch.from_numpy(embed(network.clips, clips, rows)).to(network.log_scale.device)


@torch.no_grad()
def user_vectors(network: Recommending, users: Users, past: Tensor, rows: np.ndarray | None = None) -> Tensor:
    """A vector for each user at `rows`, (B, E); `past` are the vectors of the clips that histories name."""
    rows = np.arange(len(users)) if rows is None else rows
    parts = [network.user(users.batch(rows[i : i + CHUNK], past.device), past) for i in range(0, len(rows), CHUNK)]
    return torch.cat(parts)


def _known(rows: np.ndarray, liked: csr_matrix) -> np.ndarray:
    known = np.zeros(liked.shape[1], dtype=bool)
    known[rows] = True
    return known
