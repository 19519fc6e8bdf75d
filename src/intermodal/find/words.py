"""The words of the texts a model was fitted on, and texts as numbers.

Words are cut by scikit-learn's analyzer: lower case, punctuation left out, one spelling of what Unicode can spell in
several (NFKC). A Chinese, Japanese or Korean sign is a word of its own, since no space parts them.
"""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Sequence

from sklearn.feature_extraction.text import CountVectorizer

from intermodal.errors import InputError, nearest

_MARKS = "".join(c for c in map(chr, range(0x300, 0x10000)) if unicodedata.category(c) in ("Mn", "Mc"))
"""Vowel signs and accents that stand on the letter before them: letters to a reader of Hindi, not to `\\w`."""
_SIGNS = r"\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af"
WORD = rf"(?u)[{_SIGNS}]|[^\W{_SIGNS}](?:[^\W{_SIGNS}]|[{_MARKS}])*"
UNKNOWN = 0
"""The number of every word that training never saw."""

_cut = CountVectorizer(token_pattern=WORD, lowercase=True).build_analyzer()


def words_of(text: str) -> list[str]:
    """Cut a text into words.

    Example:
        >>> words_of("When does the DOG appear?"), words_of("狗 runs")
        (['when', 'does', 'the', 'dog', 'appear'], ['狗', 'runs'])
    """
    return list(_cut(unicodedata.normalize("NFKC", text)))


class Words:
    """A vocabulary: the words of the training texts, most frequent first, numbered from 1; 0 is any other.

    Args:
        known: the words in order.

    Example:
        >>> words = Words.fit(["a seven", "a three after a seven"])
        >>> words.known
        ('a', 'seven', 'after', 'three')
        >>> words.numbers("a nine after a seven")
        [1, 0, 3, 1, 2]
    """

    def __init__(self, known: Sequence[str]) -> None:
        self.known = tuple(known)
        self._number = {word: i for i, word in enumerate(self.known, 1)}

    @classmethod
    def fit(cls, texts: Sequence[str], *, min_count: int = 1, max_words: int = 20_000) -> Words:
        """Collect the words that at least `min_count` times appear, the `max_words` most frequent ones."""
        counts = Counter(word for text in texts for word in words_of(text))
        frequent = sorted((-n, word) for word, n in counts.items() if n >= min_count)
        if not frequent:
            raise InputError(f"the texts hold words, however: there is none in {len(texts)} texts")
        return cls([word for _, word in frequent[:max_words]])

    def __len__(self) -> int:
        """Known words, and one for all others."""
        return len(self.known) + 1

    def numbers(self, text: str) -> list[int]:
        """The numbers of a text's words, in order; `UNKNOWN` for a word that is not known."""
        return [self._number.get(word, UNKNOWN) for word in words_of(text)]

    def check(self, text: str) -> None:
        """Refuse a query that says nothing to the model.

        Raises:
            InputError: the text holds no word, or none that training saw.

        Example:
            >>> Words(["seven"]).check("wann kommt die sieben")
            Traceback (most recent call last):
            ...
            intermodal.errors.InputError: a query holds a word that the model was fitted on, however: none of ...
        """
        words = words_of(text)
        if not words:
            raise InputError(f"a query holds a word, however: {text!r}")
        if not any(word in self._number for word in words):
            said = ", ".join(f'"{word}"' for word in words[:6]) + (", ..." if len(words) > 6 else "")
            close = next((found for word in words if (found := nearest(word, self.known)) is not None), None)
            hint = (
                f'; did you mean "{close}"?'
                if close
                else f"; it knows {len(self.known)} words, such as " + ", ".join(f'"{word}"' for word in self.known[:5])
            )
            raise InputError(f"a query holds a word that the model was fitted on, however: none of {said} is{hint}")
