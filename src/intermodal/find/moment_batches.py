"""Batches of queries with their videos, padded, and with the answers as targets over time.

Shapes: B queries, T clips.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from intermodal.data.batching import batch
from intermodal.data.samples import Samples
from intermodal.find.queries import Asked, Queries
from intermodal.find.text_line import TextLine, likeness

MOST_CLIPS = 2**15
"""Clips of a batch: of longer videos it holds fewer."""

ON_GRID, MOSTLY = 0.01, 0.95
"""Share of a clip within which an edge lies between two clips, and share of the edges that are nearly all."""


class Shown(NamedTuple):
    """The videos of a batch of queries.

    Shape:
        x by name: (B, T, D) of a stream, (B, D) of a vector. present by name: bool (B, T), (B,). within: bool (B, T),
        False after the end of a video. near by name: (B, T, 3), how near each clip comes to what the text looks like,
        of streams that have a line for that.
    """

    x: dict[str, Tensor]
    present: dict[str, Tensor]
    within: Tensor
    near: dict[str, Tensor]


class Target(NamedTuple):
    """The answers of a batch.

    Shape:
        started (B, T), ended (B, T): shares of each clip in the start and the end, summing to 1, or to 0 where it
        does not happen. inside (B, T): share of each clip that is covered. happens (B,): 1 or 0. sure (B,): bool,
        False where only `happens` is known.
    """

    started: Tensor
    ended: Tensor
    inside: Tensor
    happens: Tensor
    sure: Tensor


class Batches:
    """Queries and their videos, ready for the network.

    Args:
        samples: N videos, on one grid of time and scaled.
        n_clips: (N,) clips of each.
        queries: what is asked.
        videos: (R,) for each row the row of its video.
        asked: (R,) for each row the number of its query; row i asks query i by default.
        lines: for a stream the line from a text to what it looks like, of streams that have one.
        directions: for the same streams (R, D), where the line looks for each row.
        dtype: of the tensors.
        device: where they lie.
    """

    def __init__(
        self,
        samples: Samples,
        n_clips: np.ndarray,
        queries: Queries,
        videos: np.ndarray,
        asked: np.ndarray | None = None,
        *,
        lines: Mapping[str, TextLine] | None = None,
        directions: Mapping[str, np.ndarray] | None = None,
        dtype: torch.dtype = torch.float32,
        device: torch.device | str = "cpu",
    ) -> None:
        self.samples, self.queries, self.videos = samples, queries, videos
        self.asked = np.arange(len(videos)) if asked is None else asked
        self.lengths = n_clips[videos]
        self.dtype, self.device = dtype, device
        self.lines, self.directions = lines or {}, directions or {}

    def shown(self, rows: np.ndarray) -> Shown:
        """Return the videos of these rows."""
        longest = int(self.lengths[rows].max())
        x, present = batch(self.samples, self.videos[rows], dtype=self.dtype, device=self.device)
        for name in self.samples.names:
            if self.samples.modality(name).kind == "sequence":
                lacking = longest - x[name].shape[1]
                x[name] = F.pad(x[name], (0, 0, 0, lacking))
                present[name] = F.pad(present[name], (0, lacking))
        within = torch.arange(longest) < torch.from_numpy(self.lengths[rows]).unsqueeze(1)
        near = {}
        for name, line in self.lines.items():
            if name in x:
                directions = torch.from_numpy(self.directions[name][rows]).to(x[name])
                near[name] = likeness(x[name], present[name], directions, line.scale)
        return Shown(x, present, within.to(self.device), near)

    def said(self, rows: np.ndarray) -> Asked:
        """Return the queries of these rows."""
        said = self.queries.batch(self.asked[rows], device=self.device)
        return Asked(said.tokens.to(self.dtype) if said.tokens.is_floating_point() else said.tokens, said.present)

    def epoch(self, rows: np.ndarray, size: int, rng: np.random.Generator) -> Iterator[np.ndarray]:
        """Yield `rows` once in random order, videos of similar length together."""
        order = rng.permutation(rows)
        batches: list[np.ndarray] = []
        for first in range(0, len(order), 16 * size):
            stretch = order[first : first + 16 * size]
            stretch = stretch[np.argsort(self.lengths[stretch], kind="stable")]
            batches += self.in_order(stretch, size)
        for i in rng.permutation(len(batches)):
            yield batches[i]

    def in_order(self, rows: np.ndarray, size: int) -> list[np.ndarray]:
        """Cut `rows` into batches of at most `size`, and fewer where videos are long."""
        batches, first, longest = [], 0, 0
        for i, row in enumerate(rows):
            longest = max(longest, int(self.lengths[row]))
            if i > first and (i - first >= size or longest * (i - first + 1) > MOST_CLIPS):
                batches.append(rows[first:i])
                first, longest = i, int(self.lengths[row])
        return [*batches, rows[first:]]


def targets(
    spans: list[np.ndarray],
    lengths: np.ndarray,
    clip: float,
    sure: np.ndarray,
    blur: float,
    device: torch.device | str,
) -> Target:
    """Write answers in seconds over the clips of their videos.

    Args:
        spans: for each of B rows (k, 2) seconds.
        lengths: (B,) clips of each video; T is the longest.
        clip: seconds of a clip.
        sure: (B,) bool.
        blur: standard deviation, in clips, of where somebody who marks an edge would put it; 0 shares an edge between
            two clips among these two.
        device: where the tensors lie.

    Example:
        >>> t = targets([np.array([[1.0, 2.5]])], np.array([4]), 1.0, np.array([True]), 0.0, "cpu")
        >>> t.started.tolist(), t.ended.tolist(), t.inside.tolist()
        ([[0.0, 1.0, 0.0, 0.0]], [[0.0, 0.5, 0.5, 0.0]], [[0.0, 1.0, 0.5, 0.0]])
    """
    longest = int(lengths.max())
    started, ended = np.zeros((len(spans), longest)), np.zeros((len(spans), longest))
    inside = np.zeros((len(spans), longest), dtype=np.float32)
    for i, (found, n) in enumerate(zip(spans, lengths.tolist(), strict=True)):
        for start, end in found / clip:
            started[i, :n] += _marked(start, n, blur) / len(found)
            ended[i, :n] += _marked(end - 1, n, blur) / len(found)
            inside[i, :n] = np.maximum(inside[i, :n], np.diff(np.clip(np.arange(n + 1), start, end)))
    happens = np.array([len(found) > 0 for found in spans], dtype=np.float32)
    arrays = (started, ended, inside, happens, sure)
    return Target(*(torch.from_numpy(a).to(device) for a in arrays))


def blur_of(spans: list[np.ndarray], clip: float) -> float:
    """How far, in clips, the edges of these spans may be from where they were meant.

    Example:
        >>> blur_of([np.array([[0.5, 2.0]])], 0.5), blur_of([np.array([[0.6, 2.1]])], 0.5)
        (0.0, 1.0)
    """
    edges = np.concatenate([found.ravel() for found in spans]) / clip
    return 0.0 if (np.abs(edges - np.round(edges)) < ON_GRID).mean() >= MOSTLY else 1.0


def _marked(at: float, n: int, blur: float) -> np.ndarray:
    """One edge as shares of n clips that sum to 1."""
    away = np.abs(np.arange(n) - min(max(at, 0.0), n - 1.0))
    shares = np.exp(-0.5 * (away / blur) ** 2) if blur > 0 else np.clip(1 - away, 0, None)
    return np.asarray(shares / shares.sum())
