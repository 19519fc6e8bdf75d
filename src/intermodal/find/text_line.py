"""A closed-form line from a text to the vectors that it asks for, and how near each clip of a film comes to it.

A network that learns words from a few thousand questions overfits before it knows them; a ridge regression does not.
It answers with a direction in the space of the clips: where the clips inside an answer lie, seen from the middle of
their film. The likeness of each clip to it is what the network gets to see beside the clips themselves.

Shapes: Q queries, N films, T clips, D width of a clip, P terms.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import scipy.linalg
import torch
from scipy.sparse import spmatrix
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.model_selection import GroupKFold
from torch import Tensor

from intermodal.errors import InputError

STRENGTHS = (1.0, 3.0, 10.0, 30.0, 100.0, 300.0)
"""Strengths of the ridge to choose from, on parts that were left out."""
PARTS = 5
MOST_TERMS = 1024
_SOFT = 0.2  # a film in which nothing changes has no spread to divide by


class TextLine:
    """Ridge regression from the letters of a text to a direction in the space of clips.

    A text is the weighted counts of its pieces of two to five letters, so that "opens" says something about "opening",
    and a word that training never saw is not nothing.

    Args:
        terms: the P pieces that count.
        idf: (P,) weight of each.
        weights: (P, D).
        shift: (D,) the direction of a text without any of them.
        scale: standard deviation of the likeness over the clips of the films it was fitted on.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> films = [rng.normal(size=(7, 3)) for _ in range(30)]
        >>> for film in films: film[2:4, 0] += 5  # what the first column says is a dog
        >>> line, seen = TextLine.fit(["a dog"] * 30, films, np.arange(30), [np.array([[2.0, 4.0]])] * 30)
        >>> seen.shape, int(np.argmax(line.directions(["dogs"])[0]))
        ((30, 3), 0)
    """

    def __init__(
        self, terms: Sequence[str], idf: np.ndarray, weights: np.ndarray, shift: np.ndarray, scale: float
    ) -> None:
        self.terms = tuple(terms)
        self.idf, self.weights, self.shift, self.scale = idf, weights, shift, scale
        self._counts = _counter(vocabulary=list(self.terms))
        self._counts.idf_ = idf

    @classmethod
    def fit(
        cls,
        texts: Sequence[str],
        films: Sequence[np.ndarray | None],
        of_film: np.ndarray,
        spans: Sequence[np.ndarray],
        *,
        groups: np.ndarray | None = None,
    ) -> tuple[TextLine, np.ndarray]:
        """Fit the line, and say what it would have answered to the texts it was fitted on.

        Args:
            texts: Q texts.
            films: N arrays (T, D), of one scale; None where a film is missing.
            of_film: (Q,) the row of each text's film.
            spans: for each text (k, 2) clips, the end exclusive, k may be 0.
            groups: (N,) films that are not torn apart; each film alone by default.

        Returns:
            The line, and directions (Q, D) from lines that were fitted on the films of other groups: what the line
            says of its own texts is better than what it will say of new ones, and a network must not learn to trust it.

        Raises:
            InputError: no text has both a film and a span.

        Source: cross-fitting as in stacked generalization, Wolpert 1992.
        """
        wanted, known = _wanted(films, of_film, spans)
        if not known.any():
            raise InputError(f"a line is fitted on texts that happen, however: none of {len(texts)} does")
        unit = of_film if groups is None else np.asarray(groups)[of_film]
        counts = _counter(max_features=MOST_TERMS)
        x = counts.fit_transform(texts)
        terms = counts.get_feature_names_out().tolist()
        parts = _parts(unit, known)
        strength = _strength(x, wanted, known, parts)
        crossed = np.zeros((len(texts), wanted.shape[1]))
        for part in parts:
            crossed[part] = _apply(x[part], *_solved(x, wanted, known & ~_marked(part, len(texts)), [strength])[0])
        weights, shift = _solved(x, wanted, known, [strength])[0]
        scale = _spread(films, of_film, crossed, known)
        return cls(terms, counts.idf_, weights, shift, scale), crossed

    def directions(self, texts: Sequence[str]) -> np.ndarray:
        """Return where the line looks for each text, (Q, D)."""
        return _apply(self._counts.transform(texts), self.weights, self.shift)

    def described(self) -> dict[str, Any]:
        """What is no array, ready for JSON."""
        return {"terms": list(self.terms), "scale": self.scale}

    def tensors(self) -> dict[str, Tensor]:
        """The arrays, by name."""
        return {name: torch.from_numpy(np.ascontiguousarray(getattr(self, name))) for name in _ARRAYS}

    @classmethod
    def restored(cls, described: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> TextLine:
        """Put together what `described` and `tensors` took apart."""
        idf, weights, shift = (tensors[name].double().numpy() for name in _ARRAYS)
        return cls(described["terms"], idf, weights, shift, float(described["scale"]))


_ARRAYS = ("idf", "weights", "shift")


def likeness(clips: Tensor, present: Tensor, directions: Tensor, scale: float) -> Tensor:
    """Return how near each clip comes to the direction of its text, seen from the middle of its film, in three ways.

    Shape:
        clips (B, T, D), present (B, T) bool, directions (B, D) -> (B, T, 3): against the spread of all films, against
        the spread of this film, and below its best clip; zero where no clip is.

    Args:
        clips: vectors on the scale that the line was fitted on.
        present: which are there.
        directions: from `TextLine`.
        scale: of the line.

    Example:
        >>> clips = torch.tensor([[[1.0], [3.0], [9.0]]])
        >>> likeness(clips, torch.tensor([[True, True, False]]), torch.ones(1, 1), 1.0)[..., 0]
        tensor([[-1.,  1.,  0.]])
    """
    there = present.unsqueeze(-1)
    count = present.sum(1, keepdim=True).clamp(min=1).to(clips.dtype)
    clips = torch.where(there, clips, 0.0)
    middle = clips.sum(1) / count
    # (clip - middle) . direction, without a copy of all clips
    near = torch.einsum("btd,bd->bt", clips, directions) - (middle * directions).sum(1, keepdim=True)
    near = torch.where(present, near / scale, 0.0)
    own = near / ((near.square().sum(1, keepdim=True) / count).sqrt() + _SOFT)
    best = own.amax(1, keepdim=True)  # seen from the middle some clip is above zero, where padding is
    return torch.stack([near, own, torch.where(present, own - best, 0.0)], -1)


def _counter(**given: Any) -> TfidfVectorizer:
    return TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 5), sublinear_tf=True, preprocessor=_plain, **given)


def _plain(text: str) -> str:
    """One spelling of what Unicode can spell in several, as `words_of` reads it."""
    return unicodedata.normalize("NFKC", text).lower()


def _wanted(
    films: Sequence[np.ndarray | None], of_film: np.ndarray, spans: Sequence[np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    """The direction to each answer (Q, D): the mean clip inside it less the mean clip of the film; and which exist."""
    width = next((film.shape[1] for film in films if film is not None), 0)
    wanted, known = np.zeros((len(spans), width)), np.zeros(len(spans), dtype=bool)
    middles: dict[int, np.ndarray] = {}
    for q, (at, found) in enumerate(zip(of_film.tolist(), spans, strict=True)):
        film = films[at]
        if film is None or len(film) == 0 or len(found) == 0:
            continue
        share = np.zeros(len(film))
        for start, end in found:
            share += np.diff(np.clip(np.arange(len(film) + 1.0), start, end))
        if share.sum() > 0:
            if at not in middles:
                middles[at] = film.mean(0, dtype=np.float64)
            wanted[q], known[q] = share @ film / share.sum() - middles[at], True
    return wanted, known


def _parts(unit: np.ndarray, known: np.ndarray) -> list[np.ndarray]:
    """Cut the rows into parts that share no group; one part of all rows where there is one group."""
    _, code = np.unique(unit, return_inverse=True)
    # in an order that has nothing to do with names: neighbours often come from one recording
    code = np.random.default_rng(0).permutation(code.max() + 1)[code]
    n_parts = min(PARTS, int(code.max()) + 1)
    if n_parts < 2:
        return [np.arange(len(unit))]
    return [part for _, part in GroupKFold(n_parts).split(unit, groups=code)]


def _strength(x: spmatrix, wanted: np.ndarray, known: np.ndarray, parts: list[np.ndarray]) -> float:
    """The strength whose squared error on left-out parts is least."""
    errors = np.zeros(len(STRENGTHS))
    for part in parts:
        judged = part[known[part]]
        lines = _solved(x, wanted, known & ~_marked(part, len(known)), STRENGTHS)
        errors += [float(((_apply(x[judged], *line) - wanted[judged]) ** 2).sum()) for line in lines]
    return STRENGTHS[int(np.argmin(errors))]


def _solved(
    x: spmatrix, wanted: np.ndarray, rows: np.ndarray, strengths: Sequence[float]
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Weights and shift for each strength, from these rows; nothing is known from no rows."""
    if not rows.any():
        return [(np.zeros((x.shape[1], wanted.shape[1])), np.zeros(wanted.shape[1]))] * len(strengths)
    x, shift = x[rows], wanted[rows].mean(0)
    gram, target = (x.T @ x).toarray(), x.T @ (wanted[rows] - shift)
    ridge = np.eye(len(gram))
    return [(scipy.linalg.solve(gram + s * ridge, target, assume_a="pos"), shift) for s in strengths]


def _apply(x: spmatrix, weights: np.ndarray, shift: np.ndarray) -> np.ndarray:
    return np.asarray(x @ weights + shift)


def _marked(part: np.ndarray, n: int) -> np.ndarray:
    marked = np.zeros(n, dtype=bool)
    marked[part] = True
    return marked


def _spread(
    films: Sequence[np.ndarray | None], of_film: np.ndarray, directions: np.ndarray, known: np.ndarray
) -> float:
    total, count = 0.0, 0
    for q in np.flatnonzero(known):
        film = films[of_film[q]]
        assert film is not None
        near = film @ directions[q]
        total, count = total + float(((near - near.mean()) ** 2).sum()), count + len(near)
    return float(np.sqrt(total / count)) or 1.0
