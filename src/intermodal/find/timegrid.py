"""Streams of any rate on one grid of time: every clip lasts equally long, and all streams are averaged onto it.

Shapes: N videos, F frames of a stream, T clips of a video, D width of a stream.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from scipy.sparse import csr_matrix

from intermodal.data.modality import Modality
from intermodal.data.samples import Samples
from intermodal.errors import InputError, did_you_mean

MOST = 256
"""Clips of a usual video: beyond it "auto" makes a clip longer."""
SLIVER = 1e-6
"""Share of a clip below which an overlap is rounding."""


def streams_of(samples: Samples) -> tuple[str, ...]:
    """The names of what runs in time: the modalities that are sequences."""
    return tuple(name for name in samples.names if samples.modality(name).kind == "sequence")


def rates_of(fps: Any, streams: tuple[str, ...]) -> dict[str, float]:
    """Return the tokens a second of each stream.

    Args:
        fps: a number for all, or a mapping with a number for each stream.
        streams: their names.

    Raises:
        InputError: a rate that is not above zero, a stream that is not there, or one without a rate.

    Example:
        >>> rates_of({"video": 2, "audio": 50}, ("video", "audio"))
        {'video': 2.0, 'audio': 50.0}
    """
    if isinstance(fps, Mapping):
        for name in fps:
            if name not in streams:
                raise InputError(f'fps names streams, however: "{name}"' + did_you_mean(str(name), streams))
        lacking = [name for name in streams if name not in fps]
        if lacking:
            raise InputError(f'fps names the rate of every stream, however: "{lacking[0]}" has none')
        by_stream = {name: fps[name] for name in streams}
    else:
        by_stream = dict.fromkeys(streams, fps)
    for name, rate in by_stream.items():
        number = isinstance(rate, int | float | np.number) and not isinstance(rate, bool)
        if not number or not np.isfinite(rate) or rate <= 0:
            raise InputError(f'fps is a number of tokens a second above zero, however: {rate!r} for "{name}"')
    return {name: float(rate) for name, rate in by_stream.items()}


def durations(samples: Samples, rates: Mapping[str, float]) -> np.ndarray:
    """Return how many seconds each video lasts, (N,): as long as its longest stream.

    Raises:
        InputError: no stream, or a video without a frame.

    Example:
        >>> videos = Samples({"video": [[[1.0]] * 4, [[1.0]] * 6], "audio": [[[1.0]] * 50, None]})
        >>> durations(videos, {"video": 2.0, "audio": 20.0})
        array([2.5, 3. ])
    """
    if not rates:
        raise InputError(
            "a video has a stream, a sequence of vectors, however: there is none; "
            "a single video is a list of one array (frames, width)"
        )
    lasts = np.max([samples.modality(name).lengths / rate for name, rate in rates.items()], axis=0)
    empty = np.flatnonzero(lasts == 0)
    if len(empty):
        raise InputError(f"a video has a frame, however: video {empty[0]} has none")
    return np.asarray(lasts)


def clip_of(rates: Mapping[str, float], lasts: np.ndarray) -> float:
    """Choose how long a clip is: a frame of the fastest stream, doubled until the usual video has few enough.

    Example:
        >>> clip_of({"video": 2.0}, np.array([30.0])), clip_of({"video": 25.0}, np.array([30.0]))
        (0.5, 0.16)
    """
    clip = 1 / max(rates.values())
    while float(np.median(lasts)) / clip > MOST:
        clip *= 2
    return clip


def counts(lasts: np.ndarray, clip: float) -> np.ndarray:
    """How many clips cover each video, (N,)."""
    return np.maximum(1, np.ceil(lasts / clip - SLIVER)).astype(np.int64)


def on_grid(samples: Samples, rates: Mapping[str, float], clip: float) -> Samples:
    """Average every stream over each clip; vectors stay as they are.

    A frame counts by how much of the clip it fills. A slower stream keeps its frame for as many clips as it lasts.

    Args:
        samples: N videos.
        rates: tokens a second of each stream.
        clip: seconds of a clip.

    Returns:
        The same modalities, each stream with one token a clip, up to its own end.

    Example:
        >>> videos = Samples({"video": [[[1.0], [3.0], [5.0], [7.0]]], "audio": [[[1.0]]]})
        >>> on_grid(videos, {"video": 4.0, "audio": 1.0}, 0.5).modality("audio").lengths
        array([2])
        >>> on_grid(videos, {"video": 4.0, "audio": 1.0}, 0.5).modality("video").values.tolist()
        [[2.0], [6.0]]
    """
    return Samples(
        {
            name: _averaged(samples.modality(name), rates[name], clip) if name in rates else samples.modality(name)
            for name in samples.names
        },
        groups=samples.groups,
        split=samples.split,
        ids=samples.ids,
        nan="impute",
    )


def _averaged(stream: Modality, rate: float, clip: float) -> Modality:
    if abs(rate * clip - 1) < SLIVER:
        return stream
    assert stream.offsets is not None
    there = np.ones(len(stream.values), dtype=bool) if stream.token_present is None else stream.token_present
    values, present, lengths = [], [], []
    for first, last in zip(stream.offsets[:-1], stream.offsets[1:], strict=True):
        share = _overlaps(int(last - first), rate, clip)
        share = share.multiply(there[None, first:last]).tocsr()
        weight = np.asarray(share.sum(1)).ravel()
        seen = weight > SLIVER
        mean = share @ stream.values[first:last] / np.where(seen, weight, 1.0)[:, None]
        values.append(mean.astype(stream.values.dtype))
        present.append(seen)
        lengths.append(len(seen))
    flags = np.concatenate(present)
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    return replace(stream, values=np.concatenate(values), offsets=offsets, token_present=flags)


def _overlaps(frames: int, rate: float, clip: float) -> csr_matrix:
    """The share of each clip that each frame fills, (T, F): a handful of numbers a row."""
    n = 0 if frames == 0 else int(counts(np.array([frames / rate]), clip)[0])
    edges = np.unique(np.concatenate([np.arange(frames + 1) / (rate * clip), np.arange(n)]))  # in clips
    size, middle = np.diff(edges), (edges[1:] + edges[:-1]) / 2
    real = size > SLIVER
    size, middle = size[real], middle[real]
    at = np.minimum(middle.astype(np.int64), max(n - 1, 0))
    frame = np.minimum((middle * rate * clip).astype(np.int64), max(frames - 1, 0))
    return csr_matrix((size.astype(np.float32), (at, frame)), shape=(n, frames))
