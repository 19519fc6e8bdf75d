"""How many neighbouring tokens of a long sequence become one: attention costs the square of their number."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from intermodal.find.reranker import CLIP, QUERY
from intermodal.find.sides import Read
from intermodal.learn.building import strides

TOKENS = 64
"""Tokens that `stride="auto"` leaves of a sequence of median length."""
PAIRED = 32
"""Tokens of a side that the reranker looks at, about."""


def shortened(wanted: int | str, reads: Mapping[str, Read]) -> dict[str, dict[str, int]]:
    """Return strides: side -> modality -> tokens that become one in its tower, and "reranker" -> those of each side.

    Args:
        wanted: a number for every sequence, or "auto".
        reads: "queries" and "clips" -> the samples to learn from.

    Example:
        >>> texts = Read(None, {"query": [np.ones(3, dtype=np.int64)]})
        >>> shortened("auto", {"queries": texts, "clips": texts})
        {'queries': {'query': 1}, 'clips': {'query': 1}, 'reranker': {'query': 1, 'clip': 1}}
    """
    found = {side: stride_of(wanted, read) for side, read in reads.items()}
    paired = {name: _fewer(reads[side], found[side]) for side, name in (("queries", QUERY), ("clips", CLIP))}
    return found | {"reranker": paired}


def stride_of(wanted: int | str, read: Read) -> dict[str, int]:
    """Return name -> tokens of a sequence that become one; texts and vectors keep theirs.

    Example:
        >>> from intermodal.data.samples import Samples
        >>> from intermodal.learn.feed import Feed
        >>> clips = Read(Feed(Samples({"a": np.ones((3, 200, 2)), "b": np.ones((3, 2))})), {})
        >>> stride_of("auto", clips), stride_of(2, clips)
        ({'a': 3, 'b': 1}, {'a': 2, 'b': 1})
    """
    found = dict.fromkeys(read.texts, 1)
    if read.feed is None:
        return found
    if wanted == "auto":
        return found | strides(read.feed.samples, TOKENS)
    return found | {n: int(wanted) if n in read.feed.sequences else 1 for n in read.feed.samples.names}


def _fewer(read: Read, stride: Mapping[str, int]) -> int:
    """How many tokens of a side become one in the reranker, so that about `PAIRED` are left."""
    return max(1, round(float(np.median(read.lengths)) / max(stride.values()) / PAIRED))
