"""Which rows a finder of moments learns from and which validate it: a row is a query put to a video.

Shapes: N videos, Q queries, R rows: the queries, and those that are borrowed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from intermodal.data.samples import Samples
from intermodal.errors import InputError
from intermodal.find.queries import Queries
from intermodal.learn.holding import hold_out


@dataclass(frozen=True, eq=False)
class Rows:
    """What is known of every row.

    Attributes:
        asked: (R,) the number of its query.
        videos: (R,) the row of its video.
        answers: for each (k, 2) seconds.
        sure: (R,) bool, False where the query was borrowed and only taken for one that does not happen.
        learn: the rows to learn from.
        held: the rows to validate on.
    """

    asked: np.ndarray
    videos: np.ndarray
    answers: list[np.ndarray]
    sure: np.ndarray
    learn: np.ndarray
    held: np.ndarray

    def happening(self, rows: np.ndarray) -> np.ndarray:
        """Those of `rows` that have an answer."""
        return rows[np.array([len(self.answers[row]) > 0 for row in rows], dtype=bool)]


def groups_of(samples: Samples, groups: Any) -> np.ndarray | None:
    """Return the group of each video (N,), those of the samples by default, or None.

    Raises:
        InputError: another count.
    """
    groups = samples.groups if groups is None else np.asarray(groups)
    if groups is not None and len(groups) != len(samples):
        raise InputError(f"groups name one group for each video, however: {len(groups)=}, {len(samples)=}")
    return groups


def parted(
    samples: Samples,
    asked: Queries,
    videos: np.ndarray,
    answers: list[np.ndarray],
    *,
    groups: np.ndarray | None,
    validation: float,
    borrow: float,
    seed: int,
) -> Rows:
    """Borrow queries, leave out the test part, and hold out whole videos, or groups of them, to validate on.

    Args:
        samples: N videos; where they have a "valid" part, that is held out.
        asked: the queries.
        videos: (Q,) the row of each query's video.
        answers: for each query (k, 2) seconds.
        groups: (N,) videos that are not torn apart.
        validation: share of the rows to hold out.
        borrow: queries to borrow, as a share of all.
        seed: of what is held out and borrowed.

    Raises:
        InputError: nothing is left to learn from, or nothing of it happens.
    """
    numbers, sure = np.arange(len(asked)), np.ones(len(asked), dtype=bool)
    if borrow > 0:
        taken, where = _borrowed(videos, asked, borrow, seed)
        numbers, videos = np.concatenate([numbers, taken]), np.concatenate([videos, where])
        answers = answers + [np.zeros((0, 2))] * len(taken)
        sure = np.concatenate([sure, np.zeros(len(taken), dtype=bool)])
    split = samples.split
    own = np.arange(len(numbers)) if split is None else np.flatnonzero(split[videos] != "test")
    if split is not None and (split[videos[own]] == "valid").any():
        valid = split[videos[own]] == "valid"
        learn, held = own[~valid], own[valid]
    else:
        unit = videos[own] if groups is None else groups[videos[own]]
        learn, held = (own[rows] for rows in hold_out(len(own), share=validation, seed=seed, groups=unit))
    if len(learn) == 0:
        raise InputError("there is a query to learn from, however: every video is in the valid or the test part")
    rows = Rows(numbers, videos, answers, sure, learn, held)
    if not len(rows.happening(learn)):
        raise InputError("a query to learn from happens, however: the spans of all of them are empty")
    return rows


def _borrowed(videos: np.ndarray, asked: Queries, share: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Queries and the videos they are put to: never a video that somebody asks the same."""
    rng = np.random.default_rng(seed)
    taken = rng.integers(0, len(videos), round(share * len(videos)))
    where = videos[rng.integers(0, len(videos), len(taken))]
    said = [asked.batch(np.array([i])).tokens.numpy().tobytes() for i in range(len(asked))]
    own: dict[int, set[bytes]] = {}
    for text, video in zip(said, videos, strict=True):
        own.setdefault(int(video), set()).add(text)
    strange = np.array([said[q] not in own[int(v)] for q, v in zip(taken, where, strict=True)], dtype=bool)
    return taken[strange], where[strange]
