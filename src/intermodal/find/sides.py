"""One side of a search, the queries or the clips: read in training, and read the same way ever after.

Shapes: N samples of the side, B samples of a batch, T tokens, D width.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
from torch import Tensor

from intermodal.data.samples import Samples
from intermodal.errors import DataError, InputError, did_you_mean
from intermodal.find.queries import are_texts, padded
from intermodal.find.words import Words
from intermodal.learn.feed import Feed
from intermodal.learn.preprocess import Preprocessor, Scaling

TOKENS = 16_384
"""Tokens of a batch, at most, where nothing is learned."""


class Read:
    """Samples of a side as tensors, batch by batch.

    Args:
        feed: the scaled vectors and sequences, or None.
        texts: name -> the word numbers of each sample, None where it has no text.
        device: where the tensors lie.
        sizes: name -> how many words the vocabulary has.

    Example:
        >>> read = Read(None, {"query": [np.array([3, 1]), None]})
        >>> x, present = read.batch(np.array([0, 1]))
        >>> x["query"].tolist(), present["query"].tolist()
        ([[3, 1], [0, 0]], [[True, True], [False, False]])
    """

    def __init__(
        self,
        feed: Feed | None,
        texts: Mapping[str, list[np.ndarray | None]],
        device: Any = "cpu",
        *,
        sizes: Mapping[str, int] | None = None,
    ) -> None:
        self.feed, self.texts, self.device, self.sizes = feed, dict(texts), device, dict(sizes or {})
        self.lengths = self._lengths()
        """Tokens of each sample over all modalities, (N,)."""

    def __len__(self) -> int:
        return len(self.feed) if self.feed is not None else len(next(iter(self.texts.values())))

    def batch(self, rows: np.ndarray) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Tensors by modality, and what is there."""
        x: dict[str, Tensor] = {}
        present: dict[str, Tensor] = {}
        if self.feed is not None:
            x, present = self.feed.batch(rows)
        for name, numbers in self.texts.items():
            x[name], present[name] = padded([numbers[row] for row in rows], self.device)
        return x, present

    def _lengths(self) -> np.ndarray:
        total = np.zeros(len(self), dtype=np.int64)
        if self.feed is not None:
            total += np.sum([self.feed.samples.modality(n).lengths for n in self.feed.samples.names], axis=0)
        for numbers in self.texts.values():
            total += np.array([0 if n is None else len(n) for n in numbers])
        return total

    def pieces(self, rows: np.ndarray, most: int = TOKENS) -> Iterator[np.ndarray]:
        """Places in `rows`, in pieces of similar length, each of at most `most` tokens, or a single sample."""
        lengths = np.maximum(1, self.lengths[rows])
        order = np.argsort(lengths, kind="stable")
        start = 0
        for stop in range(1, len(order) + 1):
            if stop == len(order) or (stop + 1 - start) * lengths[order[stop]] > most:
                yield order[start:stop]
                start = stop


class Side:
    """How a side is read: a vocabulary for each modality of texts, a scaling for each of numbers.

    Args:
        words: name -> vocabulary.
        preprocessor: of the modalities of numbers, or None.
        plain: what a list without a name is called; None where only named modalities come.

    Example:
        >>> side = Side.fit(["a seven", "a three"], plain="query")
        >>> side.names, len(side.read(["seven"]))
        (('query',), 1)
    """

    def __init__(self, words: Mapping[str, Words], preprocessor: Preprocessor | None, plain: str | None) -> None:
        self.words, self.preprocessor, self.plain = dict(words), preprocessor, plain

    @classmethod
    def fit(cls, given: Any, *, plain: str | None = None, rows: np.ndarray | None = None) -> Side:
        """Learn to read from `rows` of what is given."""
        texts, samples = parts_of(given, plain)
        if rows is not None:
            samples = None if samples is None else samples[rows]
            texts = {name: [of[row] for row in rows] for name, of in texts.items()}
        words = {name: Words.fit([t for t in of if t is not None]) for name, of in texts.items()}
        return cls(words, None if samples is None else Preprocessor.fit(samples), plain)

    @property
    def names(self) -> tuple[str, ...]:
        """The modalities, texts first."""
        return (*self.words, *self.scalings)

    @property
    def scalings(self) -> dict[str, Scaling]:
        """The scaling of each modality of numbers."""
        return {} if self.preprocessor is None else self.preprocessor.scalings

    def read(self, given: Any, device: Any = "cpu") -> Read:
        """Read samples as those of training were read.

        Raises:
            DataError: a modality of another kind or width, or one that training never saw.
            InputError: a text without a word that training saw; texts where there were vectors, or the other way.
        """
        texts, samples = parts_of(given, self.plain)
        self._check_names(texts, () if samples is None else samples.names)
        for of in texts.values():
            if not any(text is not None for text in of):
                raise DataError("a modality of texts holds a text, however: all are missing")
        if self.plain is not None:  # who asks must say something; a clip may be of words that nobody knows
            for name, of in texts.items():
                for text in of:
                    if text is not None:
                        self.words[name].check(text)
        numbers = {
            name: [None if t is None else np.array(self.words[name].numbers(t), dtype=np.int64) for t in of]
            for name, of in texts.items()
        }
        feed = None
        if samples is not None:
            assert self.preprocessor is not None
            feed = Feed(self.preprocessor.apply(samples), device=device)
        return Read(feed, numbers, device, sizes={name: len(of) for name, of in self.words.items()})

    def _check_names(self, texts: Mapping[str, Any], others: tuple[str, ...]) -> None:
        for name in (*texts, *others):
            if name not in self.names:
                raise DataError(
                    f'a side holds the modalities of training, however: "{name}"' + did_you_mean(name, self.names)
                )
        for name in texts:
            if name in self.scalings:
                raise InputError(f'"{name}" holds vectors, as in training, however: they are texts')
        for name in others:
            if name in self.words:
                raise InputError(f'"{name}" holds texts, as in training, however: they are vectors')

    def described(self) -> dict[str, Any]:
        """Everything but the numbers, ready for JSON."""
        words = {name: list(of.known) for name, of in self.words.items()}
        numbers = None if self.preprocessor is None else self.preprocessor.described()
        return {"words": words, "modalities": numbers, "plain": self.plain}

    def tensors(self) -> dict[str, Tensor]:
        """The numbers of the scalings."""
        return {} if self.preprocessor is None else self.preprocessor.tensors()

    @classmethod
    def restored(cls, described: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> Side:
        """Put together what `described` and `tensors` took apart."""
        words = {name: Words(known) for name, known in described["words"].items()}
        numbers = described["modalities"]
        preprocessor = None if numbers is None else Preprocessor.restored(numbers, tensors)
        return cls(words, preprocessor, described["plain"])


class Parts(NamedTuple):
    """What is given of a side: the modalities of texts, and the samples of all others."""

    texts: dict[str, list[str | None]]
    samples: Samples | None

    def __len__(self) -> int:
        """How many samples."""
        return len(next(iter(self.texts.values()))) if self.samples is None else len(self.samples)


def texts_alone(given: Parts) -> list[str] | None:
    """The texts, where a side is one text a sample and nothing else; None otherwise.

    Example:
        >>> texts_alone(parts_of(["a seven", "a three"], "query"))
        ['a seven', 'a three']
    """
    texts, samples = given
    if samples is not None or len(texts) != 1:
        return None
    (only,) = texts.values()
    return None if any(t is None for t in only) else [str(t) for t in only]


def parts_of(given: Any, plain: str | None = None) -> Parts:
    """Take apart what is given of a side.

    Args:
        given: whatever `Samples.of` takes; or a list of texts, or a mapping in which some are lists of texts.
        plain: what a list without a name is called; None where it is what `Samples.of` makes of it.

    Raises:
        InputError: one text, an empty list, or texts and vectors in one list.
        DataError: numbers that cannot be read, or modalities of different counts.

    Example:
        >>> given = parts_of({"title": ["a dog", None], "size": [[1.0], [2.0]]})
        >>> given.texts, given.samples.names, len(given)
        ({'title': ['a dog', None]}, ('size',), 2)
    """
    if isinstance(given, Parts):
        return given
    if isinstance(given, str):
        raise InputError(f"a list is searched, however: one text was given; write [{given[:40]!r}]")
    if isinstance(given, Samples):
        return Parts({}, given)
    if not isinstance(given, Mapping):
        if plain is None or hasattr(given, "columns"):
            return Parts({}, Samples.of(given))
        if not hasattr(given, "__len__"):
            raise InputError(f"queries are texts, vectors or modalities, however: the type is {type(given).__name__}")
        if len(given) == 0:
            raise InputError("there is at least one query, however: the list is empty")
        given = {plain: given}
    texts = {name: [None if t is None else str(t) for t in of] for name, of in given.items() if _are_texts(of)}
    rest = {name: of for name, of in given.items() if name not in texts}
    samples = Samples(rest) if rest or not texts else None
    counts = {name: len(of) for name, of in texts.items()} | ({} if samples is None else {"the others": len(samples)})
    if len(set(counts.values())) > 1:
        raise DataError(f"all modalities have the same number of samples, however: {counts}")
    return Parts(texts, samples)


def _are_texts(of: Any) -> bool:
    if isinstance(of, list | tuple) and any(item is None for item in of):
        return are_texts([item for item in of if item is not None]) if any(isinstance(i, str) for i in of) else False
    return are_texts(of)
