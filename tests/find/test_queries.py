"""Queries in: texts or vectors, never a mixture, each as itself in a batch."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from intermodal.data.samples import Samples
from intermodal.errors import DataError, InputError
from intermodal.find.queries import Queries, are_texts
from intermodal.find.words import Words

WORDS = Words(["a", "seven", "three"])
TEXTS = ["a seven", "three", "a nine a three"]
NUMBERS = [[1, 2], [3], [1, 0, 1, 3]]


@pytest.mark.parametrize(
    "asked", [TEXTS, tuple(TEXTS), np.array(TEXTS), np.array(TEXTS, dtype=object), pd.Series(TEXTS)]
)
def test_texts_in_any_list(asked: Any) -> None:
    queries = Queries(asked, WORDS)
    assert len(queries) == 3 and queries.width is None
    tokens, present = queries.batch(np.array([2, 0, 1]))
    for row, expected in enumerate([NUMBERS[2], NUMBERS[0], NUMBERS[1]]):
        assert tokens[row][present[row]].tolist() == expected
        assert present[row].tolist() == [True] * len(expected) + [False] * (4 - len(expected))
        assert not tokens[row][~present[row]].any()


def test_vectors_are_sequences_of_one_token() -> None:
    vectors = np.arange(15.0).reshape(3, 5)
    for asked in (vectors, list(vectors), vectors.tolist(), Samples({"query": vectors}), Samples({"any": vectors})):
        tokens, present = Queries(asked).batch(np.array([2, 0]))
        np.testing.assert_array_equal(tokens.numpy(), vectors[[2, 0], None])
        assert present.tolist() == [[True], [True]]


def test_token_vectors_of_any_length() -> None:
    rng = np.random.default_rng(0)
    pieces = [rng.normal(size=(n, 5)) for n in (2, 7, 3)]
    for asked in (pieces, Samples({"said": pieces})):
        queries = Queries(asked)
        assert queries.width == 5 and len(queries) == 3
        tokens, present = queries.batch(np.array([2, 1]))
        assert tokens.shape == (2, 7, 5) and present.sum(1).tolist() == [3, 7]
        np.testing.assert_allclose(tokens[0, :3], pieces[2], rtol=1e-6)


def test_texts_are_told_from_vectors() -> None:
    assert are_texts(["a"]) and are_texts(np.array(["a"])) and not are_texts([[1.0]])
    assert not are_texts(np.ones((2, 3))) and not are_texts(np.array([1.0, 2.0]))


@pytest.mark.parametrize(
    ("asked", "words", "message"),
    [
        ("a seven", WORDS, r"^queries are a list, however: one text was given; write \['a seven'\]$"),
        ([], WORDS, "^there is at least one query, however: the list is empty$"),
        ([], None, "^there is at least one query, however: the list is empty$"),
        ({"q": ["a"]}, WORDS, "^queries are a list, however: they are of type dict$"),
        ((text for text in TEXTS), WORDS, "^queries are a list, however: they are of type generator$"),
        (7, WORDS, "^queries are a list, however: they are of type int$"),
        (["a seven", None], WORDS, "^queries are all texts or all vectors, however: query 1 is .* NoneType$"),
        ([[1.0], "a"], None, "^queries are all texts or all vectors, however: query 0 is .* list$"),
        (TEXTS, None, "^queries are token vectors, as in training, however: they are texts$"),
        (np.ones((2, 3)), WORDS, "^queries are texts, as in training, however: they are of type ndarray$"),
        (["a seven", ""], WORDS, "^query 1: a query holds a word, however: ''$"),
        (["a seven", "sieben"], WORDS, "^query 1: a query holds a word that the model was fitted on, however: "),
        (Samples({"a": [[1.0]], "b": [[1.0]]}), None, "^queries are samples of one modality, however: it has a, b$"),
    ],
)
def test_what_cannot_be_asked(asked: Any, words: Words | None, message: str) -> None:
    with pytest.raises(InputError, match=message):
        Queries(asked, words)


@pytest.mark.parametrize("asked", [[[1.0, np.nan], [1.0, 2.0]], [1.0, 2.0], [[1.0], [1.0, 2.0]], [b"a", b"b"]])
def test_vectors_that_cannot_be_read(asked: Any) -> None:
    with pytest.raises(DataError):
        Queries(asked)


def test_a_batch_goes_where_it_is_sent() -> None:
    tokens, present = Queries(TEXTS, WORDS).batch(np.array([0]), device="meta")
    assert tokens.device == present.device == torch.device("meta")
