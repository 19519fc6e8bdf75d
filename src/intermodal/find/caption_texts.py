"""Captions as users give them: checked, and each with the clip it is of."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from intermodal.errors import InputError


class Captions(NamedTuple):
    """C captions.

    Attributes:
        texts: C texts, none of them empty.
        clips: (C,) the row of the clip that each is of.
    """

    texts: list[str]
    clips: np.ndarray

    def of(self, rows: np.ndarray) -> Captions:
        """The captions of these clips, in order."""
        there = np.isin(self.clips, rows)
        return Captions([text for text, keeps in zip(self.texts, there, strict=True) if keeps], self.clips[there])

    def by_clip(self) -> dict[int, list[int]]:
        """For each clip that has captions, in rising order, which ones."""
        found: dict[int, list[int]] = {int(clip): [] for clip in np.unique(self.clips)}
        for i, clip in enumerate(self.clips.tolist()):
            found[clip].append(i)
        return found


def read_captions(texts: Any, clips: Any, n: int) -> Captions:
    """Check captions.

    Args:
        texts: C texts.
        clips: (C,) the row of the clip that each is of; None where there is one for each of the n clips, in order.
        n: clips.

    Raises:
        InputError: no text, an empty one, something that is no text, or clips that do not fit.

    Example:
        >>> read_captions(["a dog", "it runs", "a cat"], [0, 0, 1], 2).by_clip()
        {0: [0, 1], 1: [2]}
    """
    if isinstance(texts, str):
        raise InputError(f"captions are a list, however: one text was given; write [{texts[:40]!r}]")
    if not isinstance(texts, Sequence | np.ndarray) and not hasattr(texts, "tolist"):
        raise InputError(f"captions are a list of texts, however: they are of type {type(texts).__name__}")
    texts = texts.tolist() if hasattr(texts, "tolist") else list(texts)
    if not texts:
        raise InputError("there is at least one caption, however: the list is empty")
    for i, text in enumerate(texts):
        if not isinstance(text, str):
            hint = "; for several captions of a clip give one list, and clips=" * isinstance(text, list | tuple)
            raise InputError(f"a caption is a text, however: caption {i} is of type {type(text).__name__}{hint}")
        if not text.strip():
            raise InputError(f"a caption says something, however: caption {i} is {text!r}")
    return Captions(texts, _clips(clips, len(texts), n))


def _clips(clips: Any, n_texts: int, n: int) -> np.ndarray:
    if clips is None:
        if n_texts != n:
            raise InputError(
                f"there is one caption for each clip, however: {n_texts} captions, {n} clips; "
                "clips= says which clip each caption is of"
            )
        return np.arange(n)
    rows = np.asarray(clips)
    if rows.shape != (n_texts,) or (rows.dtype.kind not in "iu"):
        raise InputError(
            f"clips hold one row number for each caption, however: {rows.shape=}, {rows.dtype=}, {n_texts} captions"
        )
    outside = (rows < 0) | (rows >= n)
    if outside.any():
        raise InputError(f"clips are rows from 0 to {n - 1}, however: {rows[outside][0]}")
    return rows.astype(np.int64)
