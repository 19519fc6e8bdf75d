"""What is known of a clip by its name, beside what it shows: how much each weighs is chosen on users held out.

Shapes: U users, N clips.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.sparse import csr_matrix

from intermodal.find.popularity import KnownClips
from intermodal.find.ranking import ranking_scores
from intermodal.find.recommend_fitting import Halves, clip_vectors, user_vectors
from intermodal.find.recommend_network import Recommending
from intermodal.find.recommend_top import leave_out
from intermodal.find.recommend_users import Users
from intermodal.find.sides import Read

STEPS = 4
"""Weights are tried in steps of one over this."""


class Mix(NamedTuple):
    """What each part weighs; together 1."""

    content: float
    popularity: float
    together: float

    def of(self, content: np.ndarray, known: KnownClips, clips: Read, past: Read, users: Users) -> np.ndarray:
        """Return the mixed scores, (U, N); of a new clip nothing but its content is known, so that counts in full."""
        histories = users.histories or [np.arange(0)] * len(content)
        popular = np.log1p(known.popularity(clips))[None]
        new = known.rows(clips) < 0
        parts = (content, popular, known.by_past(clips, past, histories))
        shown, popular, together = (_standard(part, None if i == 0 else ~new) for i, part in enumerate(parts))
        return np.where(new, shown, self._mixed(shown, popular, together))

    def _mixed(self, content: np.ndarray, popular: np.ndarray, together: np.ndarray) -> np.ndarray:
        return self.content * content + self.popularity * popular + self.together * together


def choose(
    network: Recommending,
    users: Users,
    clips: Read,
    liked: csr_matrix,
    histories: Sequence[np.ndarray] | None,
    halves: Halves,
) -> Mix:
    """Try weights on the users held out, over the clips that were learned from; of equals the one with more content."""
    learned = liked.multiply(_rows(liked.shape[0], halves.users)).tocsr()
    own = None if histories is None else [h if u in set(halves.users) else h[:0] for u, h in enumerate(histories)]
    known = KnownClips.of(clips, learned, own)
    past = clip_vectors(network, clips)
    content = network.like(user_vectors(network, users, past, halves.held_users), past).detach().double().cpu().numpy()
    mine = [np.arange(0)] * len(halves.held_users) if histories is None else [histories[u] for u in halves.held_users]
    popular = np.log1p(known.popularity(clips))[None]
    parts = [_standard(part, None) for part in (content, popular, known.by_past(clips, clips, mine))]
    right = (liked[halves.held_users] > 0).toarray()[:, halves.clips]
    best, found = Mix(1.0, 0.0, 0.0), -1.0
    for mix in _mixes():
        scores = leave_out(mix._mixed(*parts), mine)[:, halves.clips]
        right_now = right & (scores > -np.inf)
        if not right_now.any():
            return best
        score = float(ranking_scores(scores, right_now)["nDCG@10"])
        if score > found:
            best, found = mix, score
    return best


def _mixes() -> list[Mix]:
    """All mixes, those with more content first."""
    pairs = [(p, t) for p in range(STEPS + 1) for t in range(STEPS + 1 - p)]
    mixes = [Mix((STEPS - p - t) / STEPS, p / STEPS, t / STEPS) for p, t in pairs]
    return sorted(mixes, key=lambda mix: -mix.content)


def _standard(part: np.ndarray, known: np.ndarray | None) -> np.ndarray:
    """Each user's scores with mean 0 and spread 1 over the clips that are known; 0 for the others."""
    seen = part if known is None else part[:, known]
    if seen.shape[1] == 0:
        return np.zeros_like(part)
    mean, spread = seen.mean(1, keepdims=True), seen.std(1, keepdims=True)
    scaled = (part - mean) / np.where(spread > 0, spread, 1.0)
    return scaled if known is None else np.where(known, scaled, 0.0)


def _rows(n: int, rows: np.ndarray) -> np.ndarray:
    kept = np.zeros((n, 1))
    kept[rows] = 1.0
    return kept
