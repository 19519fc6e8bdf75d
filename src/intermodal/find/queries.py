"""What is asked: texts, or token vectors that somebody else made of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from intermodal.data.batching import batch
from intermodal.data.samples import Samples
from intermodal.errors import InputError
from intermodal.find.words import Words

NAME = "query"


class Asked(NamedTuple):
    """A batch of queries.

    Shape:
        tokens (B, T) of word numbers, or (B, T, D) of vectors; present (B, T) bool.
    """

    tokens: Tensor
    present: Tensor


class Queries:
    """Q queries, each a text, or a sequence of token vectors.

    Args:
        asked: a list of texts; or what `Samples` takes for a modality: an array `(Q, D)` or `(Q, T, D)`, a list of
            arrays `(T_i, D)`, samples of one modality. A vector is a sequence of one token.
        words: the vocabulary the texts are read with; None where the queries are vectors.

    Raises:
        InputError: nothing is asked; texts without a vocabulary or vectors with one; a text without a known word.
        DataError: vectors that cannot be read.

    Example:
        >>> words = Words.fit(["a seven", "a three"])
        >>> Queries(["a seven", "three"], words).batch(np.array([0, 1]))
        Asked(tokens=tensor([[1, 2],
                [3, 0]]), present=tensor([[ True,  True],
                [ True, False]]))
        >>> Queries(np.ones((2, 5))).batch(np.array([1])).tokens.shape
        torch.Size([1, 1, 5])
    """

    def __init__(self, asked: Any, words: Words | None = None) -> None:
        self.words = words
        self._numbers: list[np.ndarray] | None = None
        self._vectors: Samples | None = None
        if isinstance(asked, str):
            raise InputError(f"queries are a list, however: one text was given; write [{asked[:40]!r}]")
        if isinstance(asked, Mapping) or not hasattr(asked, "__len__"):
            raise InputError(f"queries are a list, however: {_looks(asked)}")
        if hasattr(asked, "to_list"):  # a column of a table
            asked = asked.to_list()
        if len(asked) == 0:
            raise InputError("there is at least one query, however: the list is empty")
        if are_texts(asked):
            if words is None:
                raise InputError("queries are token vectors, as in training, however: they are texts")
            for i, text in enumerate(asked):
                try:
                    words.check(text)
                except InputError as problem:
                    raise InputError(f"query {i}: {problem}") from None
            self._numbers = [np.array(words.numbers(text), dtype=np.int64) for text in asked]
        else:
            if words is not None:
                raise InputError(f"queries are texts, as in training, however: {_looks(asked)}")
            self._vectors = Samples({NAME: _sequences(asked)})

    @property
    def width(self) -> int | None:
        """D of vectors; None for texts."""
        return None if self._vectors is None else self._vectors.modality(NAME).width

    def __len__(self) -> int:
        return len(self._numbers) if self._numbers is not None else len(self._vectors or ())

    def batch(self, rows: np.ndarray, device: torch.device | str = "cpu") -> Asked:
        """Return the queries at `rows`, padded on the right."""
        if self._numbers is None:
            assert self._vectors is not None
            x, present = batch(self._vectors, rows, device=device)
            return Asked(x[NAME], present[NAME])
        return padded([self._numbers[row] for row in rows], device)


def padded(numbers: Sequence[np.ndarray | None], device: torch.device | str = "cpu") -> Asked:
    """Return the word numbers of texts as a batch, padded on the right; None is a text that is missing.

    Example:
        >>> tokens, present = padded([np.array([3, 1]), None])
        >>> tokens.tolist(), present.tolist()
        ([[3, 1], [0, 0]], [[True, True], [False, False]])
    """
    lengths = np.array([0 if n is None else len(n) for n in numbers])
    longest = max(1, int(lengths.max(initial=0)))
    inside = np.arange(longest) < lengths[:, None]
    tokens = np.zeros(inside.shape, dtype=np.int64)
    tokens[inside] = np.concatenate([np.arange(0), *(n for n in numbers if n is not None)])
    return Asked(torch.from_numpy(tokens).to(device), torch.from_numpy(inside).to(device))


def are_texts(asked: Sequence[Any]) -> bool:
    """Tell texts from vectors; a mixture of both is refused.

    Example:
        >>> are_texts(["a dog"]), are_texts([[1.0, 2.0]])
        (True, False)
    """
    if isinstance(asked, np.ndarray) and asked.dtype.kind == "U":
        return True
    if not isinstance(asked, list | tuple | np.ndarray) or getattr(asked, "ndim", 1) != 1:
        return False
    texts = [isinstance(a, str) for a in asked]
    if any(texts) and not all(texts):
        odd = next(i for i, text in enumerate(texts) if not text)
        raise InputError(
            f"queries are all texts or all vectors, however: query {odd} is of type {type(asked[odd]).__name__}"
        )
    return all(texts)


def _sequences(asked: Any) -> Any:
    """Vectors as sequences of one token."""
    if isinstance(asked, Samples):
        if len(asked.names) != 1:
            raise InputError(f"queries are samples of one modality, however: it has {', '.join(asked.names)}")
        modality = asked.modality(asked.names[0])
        if modality.kind == "sequence":
            return replace(modality, name=NAME)
        pairs = zip(modality.values, modality.present, strict=True)
        return [vector[None] if there else None for vector, there in pairs]
    if getattr(asked, "ndim", 0) == 2:
        return asked[:, None]
    if isinstance(asked, list | tuple) and all(np.ndim(a) == 1 for a in asked):
        return [np.asarray(a)[None] for a in asked]
    return asked


def _looks(asked: Any) -> str:
    return f"they are of type {type(asked).__name__}"
