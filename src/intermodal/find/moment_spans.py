"""What was asked of which video, and when it happens, read and checked row by row.

Shapes: Q queries, N videos, k moments of one query.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from intermodal.errors import InputError
from intermodal.find.queries import are_texts


def videos_of(videos: Any, n_queries: int, n_videos: int) -> np.ndarray:
    """Return the row of each query's video, (Q,).

    Args:
        videos: (Q,) rows; None where query i asks video i, or all ask the only video.
        n_queries: Q.
        n_videos: N.

    Raises:
        InputError: another count, or a row that is not there.

    Example:
        >>> videos_of(None, 2, 2), videos_of(None, 3, 1), videos_of([1, 1, 0], 3, 2)
        (array([0, 1]), array([0, 0, 0]), array([1, 1, 0]))
    """
    if videos is None:
        if n_videos == 1:
            return np.zeros(n_queries, dtype=np.int64)
        if n_queries != n_videos:
            raise InputError(
                f"videos names the row of each query's video, however: there are {n_queries} queries for {n_videos} "
                "videos, and videos is None"
            )
        return np.arange(n_videos)
    rows = np.asarray(videos)
    if rows.ndim != 1 or len(rows) != n_queries:
        raise InputError(f"videos names one row for each query, however: {rows.shape=}, {n_queries=}")
    if rows.dtype.kind not in "iu":
        raise InputError(f"videos are rows, whole numbers from 0, however: they are of type {rows.dtype}")
    wrong = np.flatnonzero((rows < 0) | (rows >= n_videos))
    if len(wrong):
        raise InputError(
            f"videos are rows from 0 to {n_videos - 1}, however: query {wrong[0]} asks video {rows[wrong[0]]}"
        )
    return rows.astype(np.int64)


def spans_of(spans: Any, videos: np.ndarray, lasts: np.ndarray, frame: float) -> list[np.ndarray]:
    """Return for each query its moments in seconds, (k, 2).

    Args:
        spans: for each query (k, 2), one (start, end), or None or nothing where it does not happen.
        videos: (Q,) the row of each query's video.
        lasts: (N,) seconds of each video.
        frame: seconds; an end that is later than the video by no more than this is its end.

    Raises:
        InputError: another count, no numbers, not finite, reversed, of no length, or outside of the video.

    Example:
        >>> [s.tolist() for s in spans_of([(1, 2), None, [[0, 1], [3, 4]]], np.zeros(3, int), np.array([4.0]), 0.5)]
        [[[1.0, 2.0]], [], [[0.0, 1.0], [3.0, 4.0]]]
    """
    if not hasattr(spans, "__len__") or isinstance(spans, str):
        raise InputError(
            f"spans are a list, one entry for each query, however: they are of type {type(spans).__name__}"
        )
    if len(spans) != len(videos):
        raise InputError(f"spans has one entry for each query, however: {len(spans)} for {len(videos)} queries")
    return [_read(i, given, float(lasts[videos[i]]), frame) for i, given in enumerate(spans)]


def says_texts(asked: Any) -> bool:
    """Tell whether the queries are texts; what is no list at all is left to `Queries` to refuse."""
    listed = hasattr(asked, "__len__") and not isinstance(asked, str | Mapping)
    return listed and len(asked) > 0 and are_texts(_listed(asked))


def texts_of(asked: Any) -> list[str]:
    """Return the texts as a list."""
    return [str(text) for text in _listed(asked)]


def _listed(asked: Any) -> Any:
    return asked.to_list() if hasattr(asked, "to_list") else asked


def _read(i: int, given: Any, lasts: float, frame: float) -> np.ndarray:
    if given is None or (hasattr(given, "__len__") and len(given) == 0):
        return np.zeros((0, 2))
    try:
        found = np.atleast_2d(np.asarray(given, dtype=np.float64))
    except (TypeError, ValueError):
        raise InputError(f"a moment is (start, end) in seconds, however: query {i} has {given!r}") from None
    if found.ndim != 2 or found.shape[1] != 2:
        raise InputError(
            f"moments are (start, end) or an array (k, 2) of seconds, however: those of query {i} have the shape "
            f"{np.shape(given)}"
        )
    for start, end in found.tolist():
        said = f"query {i} has ({start:g}, {end:g})"
        if not np.isfinite([start, end]).all():
            raise InputError(f"a moment has finite seconds, however: {said}")
        if start >= end:
            kind = "reversed" if start > end else "of no length"
            raise InputError(f"a moment starts before it ends, however: {said}, which is {kind}")
        if start < 0 or end > lasts + frame or start >= lasts:
            raise InputError(f"a moment lies within its video, of {lasts:g} seconds, however: {said}")
    return np.minimum(found, lasts)
