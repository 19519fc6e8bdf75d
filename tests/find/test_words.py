"""Words and their numbers, in any script."""

import pytest

from intermodal.errors import InputError
from intermodal.find.words import UNKNOWN, Words, words_of


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("When does the DOG appear?", ["when", "does", "the", "dog", "appear"]),
        ("don't stop-now", ["don", "t", "stop", "now"]),
        ("the 2nd seven, 3.5 s", ["the", "2nd", "seven", "3", "5", "s"]),
        ("狗在哪里出现", list("狗在哪里出现")),
        ("找dog和猫", ["找", "dog", "和", "猫"]),
        ("いぬ 개가", ["い", "ぬ", "개", "가"]),
        ("ﾄﾞｯｸﾞ ＤＯＧ", ["ド", "ッ", "グ", "dog"]),
        ("Größe café", ["größe", "café"]),
        ("cafe\u0301", ["café"]),  # the accent as a sign of its own
        ("सात कब", ["सात", "कब"]),
        ("", []),
        (" ?!… \n", []),
    ],
)
def test_words_of_a_text(text: str, words: list[str]) -> None:
    assert words_of(text) == words


def test_numbers_go_by_frequency_then_by_letter() -> None:
    words = Words.fit(["b a c", "a c", "a"])
    assert words.known == ("a", "c", "b")
    assert len(words) == 4
    assert words.numbers("c a b A d") == [2, 1, 3, 1, UNKNOWN]


def test_rare_words_and_the_rest_are_unknown() -> None:
    texts = ["a b c", "a b", "a"]
    assert Words.fit(texts, min_count=2).known == ("a", "b")
    assert Words.fit(texts, max_words=1).known == ("a",)
    with pytest.raises(InputError, match=r"^the texts hold words, however: there is none in 3 texts$"):
        Words.fit(texts, min_count=4)


def test_a_vocabulary_without_a_word() -> None:
    with pytest.raises(InputError, match=r"^the texts hold words, however: there is none in 2 texts$"):
        Words.fit(["", "?!"])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"^a query holds a word, however: ''$"),
        ("?!", r"^a query holds a word, however: '\?!'$"),
        ("sevn", r'however: none of "sevn" is; did you mean "seven"\?$'),
        ("什么", r'however: none of "什", "么" is; it knows 3 words, such as "a", "seven", "three"$'),
        ("u v w x y z q", 'none of "u", "v", "w", "x", "y", "z", ... is'),
    ],
)
def test_a_query_that_says_nothing_to_the_model(text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        Words.fit(["a seven", "a three"]).check(text)


def test_one_known_word_is_enough() -> None:
    Words(["seven"]).check("wann kommt die seven")
