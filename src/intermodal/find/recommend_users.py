"""The users of a recommender: what each wrote, and the clips of each one's past, in order.

Shapes: U users, B users of a batch, L clips of the longest history of a batch, E width of a clip's vector.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from intermodal.errors import DataError, InputError, ShapeError
from intermodal.find.likes import read_rows
from intermodal.find.sides import Read, Side

REVIEW, HISTORY = "review", "history"
RATED = 2
"""Numbers beside a clip's vector in a history: the rating, and whether there is one."""


class Marks(NamedTuple):
    """How ratings are scaled: by the mean and the spread of those of training."""

    mean: float
    spread: float

    @classmethod
    def of(cls, ratings: list[np.ndarray]) -> Marks:
        """Measure all ratings that are there."""
        given = np.concatenate([*ratings, np.zeros(0)])
        given = given[np.isfinite(given)]
        return cls(float(given.mean()), float(given.std()) or 1.0) if len(given) else cls(0.0, 1.0)


class UserBatch(NamedTuple):
    """A batch of users.

    Shape:
        x, present: the review by name, as `Read.batch` has it; empty where nobody wrote.
        clips (B, L): rows of the past; there (B, L) bool; rated (B, L, RATED).
    """

    x: dict[str, Tensor]
    present: dict[str, Tensor]
    clips: np.ndarray
    there: Tensor
    rated: Tensor


class Users:
    """U users, each with a review, a history, both or neither.

    Args:
        review: the reviews, or None where nobody wrote.
        histories: for each user rows of the past, the earliest first; or None where there is no past.
        ratings: beside the histories, scaled, NaN where a clip was not rated.
        n: U.

    Example:
        >>> users = Users(None, [np.array([4, 2]), np.array([7])], None, 2)
        >>> users.batch(np.array([1, 0])).clips.tolist()
        [[7, 0], [4, 2]]
    """

    def __init__(
        self, review: Read | None, histories: list[np.ndarray] | None, ratings: list[np.ndarray] | None, n: int
    ) -> None:
        self.review, self.histories, self.ratings, self.n = review, histories, ratings, n

    def __len__(self) -> int:
        return self.n

    @property
    def nothing(self) -> np.ndarray:
        """(U,) True for a user of whom nothing is known."""
        written = np.zeros(self.n, bool) if self.review is None else self.review.lengths > 0
        past = np.zeros(self.n, bool) if self.histories is None else np.array([len(h) > 0 for h in self.histories])
        return ~(written | past)

    def batch(self, rows: np.ndarray, device: torch.device | str = "cpu") -> UserBatch:
        """Return the users at `rows`, histories padded on the right."""
        x, present = ({}, {}) if self.review is None else self.review.batch(rows)
        if x and not any(bool(t.any()) for t in present.values()) and present:
            x, present = {}, {}  # nobody of the batch wrote
        histories = [np.arange(0)] * len(rows) if self.histories is None else [self.histories[row] for row in rows]
        longest = max(map(len, histories))
        there = np.arange(longest) < np.array([len(h) for h in histories])[:, None]
        clips = np.zeros(there.shape, dtype=np.int64)
        clips[there] = np.concatenate([*histories, np.arange(0)])
        rated = np.zeros((*there.shape, RATED), dtype=np.float32)
        if self.ratings is not None and there.any():
            marks = np.concatenate([self.ratings[row] for row in rows])
            known = np.isfinite(marks)
            rated[there] = np.stack([np.where(known, marks, 0.0), known], 1)
        return UserBatch(x, present, clips, torch.from_numpy(there).to(device), torch.from_numpy(rated).to(device))

    def within(self, rows: np.ndarray) -> Users:
        """The same users, the clips of their past as places in `rows`, which is sorted and holds them all."""
        if self.histories is None:
            return self
        return Users(self.review, [np.searchsorted(rows, h) for h in self.histories], self.ratings, self.n)

    def among(self, known: np.ndarray) -> Users:
        """The same users, with only those clips in their past that are `known`, bool (N,)."""
        if self.histories is None:
            return self
        kept = [known[h] for h in self.histories]
        histories = [h[keep] for h, keep in zip(self.histories, kept, strict=True)]
        ratings = None
        if self.ratings is not None:
            ratings = [r[keep] for r, keep in zip(self.ratings, kept, strict=True)]
        return Users(self.review, histories, ratings, self.n)


def count_users(reviews: Any, histories: Any) -> int:
    """How many users there are.

    Raises:
        InputError: nothing is said of anybody, or there is no user.
        ShapeError: reviews and histories of different numbers of users.

    Example:
        >>> count_users(["good", None], [[], [3]])
        2
    """
    if isinstance(reviews, str):
        raise InputError(f"reviews are a list, one a user, however: one text came; write [{reviews[:40]!r}]")
    counts = {name: len(of) for name, of in ((REVIEW, reviews), (HISTORY, histories)) if of is not None}
    if not counts:
        raise InputError("users have reviews, histories or both, however: neither was given")
    if len(set(counts.values())) > 1:
        raise ShapeError(f"reviews and histories are one a user, however: {len(reviews)=}, {len(histories)=}")
    n = next(iter(counts.values()))
    if n == 0:
        raise InputError("there is at least one user, however: the list is empty")
    return n


def review_side(reviews: Any) -> Side | None:
    """How reviews are read; None where nobody wrote."""
    reviews = _listed(reviews)
    return None if _empty(reviews) else Side.fit({REVIEW: reviews})


def read_reviews(side: Side | None, reviews: Any, device: Any) -> Read | None:
    """Read reviews as those of training were read; None where nobody wrote.

    Raises:
        InputError: the model was fitted without reviews, or a review says nothing to it; the user is named.
    """
    reviews = _listed(reviews)
    if _empty(reviews):
        return None
    if side is None:
        raise InputError("reviews were there in training too, however: the model was fitted on histories alone")
    for user, review in enumerate(reviews):
        if isinstance(review, str) and REVIEW in side.words:
            try:
                side.words[REVIEW].check(review)
            except InputError as problem:
                said = f"{problem}".replace("a query", "a review", 1)
                raise InputError(f"{said} (user {user}; None stands for a user without a review)") from None
    return side.read({REVIEW: reviews}, device)


def _listed(reviews: Any) -> Any:
    if not hasattr(reviews, "to_list"):
        return reviews
    # A column of a table: what is missing may be a NaN there.
    return [None if isinstance(review, float) and review != review else review for review in reviews.to_list()]


def _empty(reviews: Any) -> bool:
    return reviews is None or all(review is None for review in reviews)


def read_histories(
    histories: Any, ratings: Any, n_users: int, n_past: int, *, most: int, marks: Marks | None
) -> tuple[list[np.ndarray] | None, list[np.ndarray] | None, Marks | None]:
    """Read histories and the ratings beside them; of a long history the latest `most` clips count.

    Args:
        histories: a list of rows for each user, or None.
        ratings: a list of numbers beside each history, NaN where a clip was not rated; or None.
        n_users: U.
        n_past: clips that a history may name.
        most: longest history.
        marks: the scale of the ratings of training; measured here where it is None.

    Raises:
        InputError: ratings without histories.
        ShapeError: ratings that do not lie beside the histories.
        DataError: a row outside the clips, or a rating that is infinite.
    """
    if histories is None:
        if ratings is not None:
            raise InputError("ratings are those of histories, however: no histories came")
        return None, None, marks
    rows = read_rows("histories", histories, n_users, n_past)
    if ratings is None:
        return [r[-most:] for r in rows], None, marks
    lists = list(ratings)
    if len(lists) != n_users:
        raise ShapeError(f"ratings has a list for each of {n_users} users, however: {len(lists)} came")
    given = [_marks_of(user, beside, len(r)) for user, (beside, r) in enumerate(zip(lists, rows, strict=True))]
    marks = Marks.of(given) if marks is None else marks
    scaled = [(g[-most:] - marks.mean) / marks.spread for g in given]
    return [r[-most:] for r in rows], scaled, marks


def _marks_of(user: int, ratings: Any, n: int) -> np.ndarray:
    try:
        array = np.atleast_1d(np.asarray([] if ratings is None else ratings, dtype=np.float64))
    except (TypeError, ValueError):
        raise DataError(f"a rating is a number, or NaN for none, however: user {user} has {ratings!r:.60}") from None
    if array.shape != (n,):
        raise ShapeError(f"ratings lie beside the history, {n} for user {user}, however: {len(array)} came")
    if np.isinf(array).any():
        raise DataError(f"a rating is a number, or NaN for none, however: user {user} has {array[np.isinf(array)][0]}")
    return array
