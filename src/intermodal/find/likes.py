"""What users liked: clips by user, however it came, as one sparse table of gains.

Shapes: U users, N clips.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from scipy.sparse import csr_matrix, issparse

from intermodal.errors import DataError, InputError, ShapeError


def read_likes(liked: Any, n_users: int, n_clips: int) -> csr_matrix:
    """Read what was liked.

    Args:
        liked: a list of U lists of rows; or (U, N), bool, or gains of 0 and more, sparse or not.
        n_users: U.
        n_clips: N.

    Returns:
        (U, N) gains, above 0 where a clip was liked.

    Raises:
        ShapeError: not U users, or not N clips.
        DataError: a row outside the clips, a gain that is negative or no number, or nobody likes anything.
        InputError: neither rows nor gains.

    Example:
        >>> read_likes([[2, 0], []], 2, 3).toarray().tolist()
        [[1.0, 0.0, 1.0], [0.0, 0.0, 0.0]]
    """
    gains = _matrix(liked) if issparse(liked) or getattr(liked, "ndim", 1) == 2 else None
    if gains is None:
        rows = read_rows("liked", liked, n_users, n_clips)
        owner = np.repeat(np.arange(n_users), [len(r) for r in rows])
        at = np.concatenate([*rows, np.arange(0)])
        pairs = np.unique(np.stack([owner, at]), axis=1)  # what is named twice is liked once
        gains = csr_matrix((np.ones(pairs.shape[1]), (pairs[0], pairs[1])), shape=(n_users, n_clips))
    if gains.shape != (n_users, n_clips):
        raise ShapeError(
            f"liked has a row for each user and a column for each clip, {(n_users, n_clips)}, however: {gains.shape}"
        )
    if not np.isfinite(gains.data).all() or (gains.data < 0).any():
        wrong = gains.data[~(np.isfinite(gains.data) & (gains.data >= 0))][0]
        raise DataError(f"a gain is a number, 0 or more, however: {wrong}")
    gains.eliminate_zeros()
    if gains.nnz == 0:
        raise DataError("somebody likes something, however: liked is empty for every user")
    return gains


def read_rows(name: str, lists: Any, n_users: int, n_clips: int) -> list[np.ndarray]:
    """Read a list of rows for each user; None is an empty one.

    Raises:
        ShapeError: not U lists.
        InputError: something other than whole numbers.
        DataError: a row outside the clips.

    Example:
        >>> [rows.tolist() for rows in read_rows("histories", [[2, 0], None], 2, 3)]
        [[2, 0], []]
    """
    if isinstance(lists, str) or not isinstance(lists, Iterable):
        raise InputError(f"{name} is a list of rows for each user, however: the type is {type(lists).__name__}")
    lists = list(lists)
    if len(lists) != n_users:
        raise ShapeError(f"{name} has a list for each of {n_users} users, however: {len(lists)} came")
    return [_rows(name, user, rows, n_clips) for user, rows in enumerate(lists)]


def _rows(name: str, user: int, rows: Any, n_clips: int) -> np.ndarray:
    array = np.atleast_1d(np.asarray([] if rows is None else rows))
    if array.size == 0:
        return np.arange(0)
    if array.ndim != 1 or array.dtype.kind not in "iu":
        raise InputError(f"{name} holds rows, whole numbers, however: user {user} has {rows!r:.60}")
    outside = (array < 0) | (array >= n_clips)
    if outside.any():
        raise DataError(
            f"{name} holds rows of the clips, 0 to {n_clips - 1}, however: user {user} has {array[outside][0]}"
        )
    return array.astype(np.int64)


def _matrix(liked: Any) -> csr_matrix:
    if issparse(liked):
        return csr_matrix(liked, dtype=np.float64)
    array = np.asarray(liked)
    if array.dtype.kind not in "biuf":
        raise InputError(f"liked as a matrix is bool or gains, however: {array.dtype=}")
    return csr_matrix(array.astype(np.float64))
