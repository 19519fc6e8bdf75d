"""What is known of a clip by its name alone: how often it was liked, and what else those liked who liked it.

Shapes: U users, N clips, M clips that training saw.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
import torch
from scipy.sparse import csr_matrix, diags_array, vstack
from torch import Tensor

from intermodal.find.sides import Read

NEIGHBOURS = 50
"""Clips that are kept beside each one as liked together with it; more where the last ones are equals."""
PIECE = 1000
"""Clips that are compared with all others at once."""


class KnownClips:
    """The clips that training saw, known again by what they hold.

    Args:
        prints: (M,) int64, a fingerprint of each.
        likes: (M,) how often each was liked.
        together: (M, M) how alike two clips are by who liked them.

    Example:
        >>> read = lambda *texts: Read(None, {"title": [np.array(text) for text in texts]})
        >>> known = KnownClips.of(read([1], [2], [3]), csr_matrix(np.array([[1.0, 1.0, 0.0], [0.0, 1.0, 0.0]])), None)
        >>> known.popularity(read([3], [2], [7])).tolist()
        [0.0, 2.0, 0.0]
    """

    def __init__(self, prints: np.ndarray, likes: np.ndarray, together: csr_matrix) -> None:
        self.prints, self.likes, self.together = prints, likes, together
        self._row = {int(p): i for i, p in enumerate(prints)}

    @classmethod
    def of(cls, clips: Read, liked: csr_matrix, histories: Sequence[np.ndarray] | None) -> KnownClips:
        """Count what training saw: a clip in a user's past or among the right answers was liked by that user, once."""
        marks = csr_matrix((liked > 0).astype(np.float64))
        if histories is not None and any(len(h) for h in histories):
            owner = np.repeat(np.arange(len(histories)), [len(h) for h in histories])
            past = csr_matrix((np.ones(len(owner)), (owner, np.concatenate(histories))), shape=liked.shape)
            marks = csr_matrix(((marks + past) > 0).astype(np.float64))
        return cls(fingerprints(clips), np.asarray(marks.sum(0)).ravel(), _together(marks))

    def rows(self, clips: Read) -> np.ndarray:
        """(N,) the row in training of each clip, -1 for one that is new."""
        return np.array([self._row.get(int(p), -1) for p in fingerprints(clips)], dtype=np.int64)

    def popularity(self, clips: Read) -> np.ndarray:
        """(N,) how often each clip was liked in training; 0 for one that is new."""
        at = self.rows(clips)
        return np.asarray(np.where(at >= 0, self.likes[at], 0.0))

    def by_past(self, clips: Read, past: Read, histories: Sequence[np.ndarray]) -> np.ndarray:
        """(U, N) how alike each clip is to those of each user's past, by who liked them; 0 for what is new."""
        at, before = self.rows(clips), self.rows(past)
        known = np.flatnonzero(at >= 0)
        scores = np.zeros((len(histories), len(at)))
        for user, history in enumerate(histories):
            mine = before[history]
            mine = mine[mine >= 0]
            if len(mine) and len(known):
                scores[user, known] = np.asarray(self.together[mine].sum(0)).ravel()[at[known]]
        return scores

    def tensors(self) -> dict[str, Tensor]:
        """Everything as tensors."""
        table = self.together
        parts = {"prints": self.prints, "likes": self.likes, "data": table.data}
        parts |= {"indices": table.indices.astype(np.int64), "indptr": table.indptr.astype(np.int64)}
        return {f"known.{name}": torch.from_numpy(np.ascontiguousarray(part)) for name, part in parts.items()}

    @classmethod
    def restored(cls, tensors: dict[str, Tensor]) -> KnownClips:
        """Put together what `tensors` took apart."""
        names = ("prints", "likes", "data", "indices", "indptr")
        prints, likes, *table = (tensors[f"known.{name}"].numpy() for name in names)
        return cls(prints, likes, csr_matrix(tuple(table), shape=(len(prints), len(prints))))


def fingerprints(clips: Read) -> np.ndarray:
    """Return (N,) int64, the same for clips that hold the same, whatever row they stand in.

    Example:
        >>> a, b, c = fingerprints(Read(None, {"title": [np.array([4]), None, np.array([4])]}))
        >>> bool(a == c), bool(a == b)
        (True, False)
    """
    digests = [hashlib.blake2b(digest_size=8) for _ in range(len(clips))]
    for name, texts in sorted(clips.texts.items()):
        for digest, words in zip(digests, texts, strict=True):
            if words is not None:
                digest.update(name.encode())
                digest.update(np.asarray(words, dtype=np.int64).tobytes())
    samples = None if clips.feed is None else clips.feed.samples
    for modality in [] if samples is None else [samples.modality(name) for name in sorted(samples.names)]:
        name = modality.name
        ends = np.arange(len(clips) + 1) if modality.offsets is None else modality.offsets
        for i in np.flatnonzero(modality.present):
            digests[i].update(name.encode())
            digests[i].update(np.ascontiguousarray(modality.values[ends[i] : ends[i + 1]]).tobytes())
    return np.array([int.from_bytes(d.digest(), "little", signed=True) for d in digests], dtype=np.int64)


def _together(marks: csr_matrix) -> csr_matrix:
    """Cosines of the columns, the greatest of each row."""
    norms = np.sqrt(np.asarray(marks.multiply(marks).sum(0)).ravel())
    scaled = csr_matrix(marks @ diags_array(1 / np.where(norms > 0, norms, 1.0)))
    by_clip = csr_matrix(scaled.T)
    return csr_matrix(vstack([_closest(by_clip[i : i + PIECE] @ scaled, i) for i in range(0, len(norms), PIECE)]))


def _closest(alike: csr_matrix, first: int) -> csr_matrix:
    """The greatest entries of each row, that of the clip itself left out; the rows are those from `first` on."""
    alike = csr_matrix(alike)
    for i in range(alike.shape[0]):
        row = slice(alike.indptr[i], alike.indptr[i + 1])
        values = np.where(alike.indices[row] == first + i, 0.0, alike.data[row])
        least = np.partition(values, -NEIGHBOURS)[-NEIGHBOURS] if len(values) > NEIGHBOURS else 0.0
        alike.data[row] = np.where(values >= least, values, 0.0)
    alike.eliminate_zeros()
    return alike
