"""The words of captions as numbers, and numbers as text: a tokenizer trained on the captions, or one that is brought.

Words where the captions hold few different ones, pieces of words (BPE) where they hold many. Either way a text comes
back as it was, but for its white space. A Chinese, Japanese or Korean sign is a word of its own.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from intermodal.errors import DataWarning, InputError, MissingDependencyError, did_you_mean
from intermodal.find.words import words_of

KINDS = ("auto", "words", "bpe")
MOST_WORDS = 2_000
"""Different words up to which every word is a number of its own."""
PIECES = 4_000
"""Pieces, at most, where words are cut."""
END = 0
_UNKNOWN = "<unk>"
_BLANK = "▁"  # what the library writes for the space before a word
_SIGNS = r"\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af"
_WORD = rf"{_BLANK}?[{_SIGNS}]|{_BLANK}?[^\W{_SIGNS}_]+|{_BLANK}?[^\w{_BLANK}]|{_BLANK}?_|{_BLANK}"


class CaptionTokenizer:
    """Texts as numbers and back.

    0 is the end of a caption; 1 to `n_words` - 1 are the words (or pieces) that the training captions hold; `start` and
    `unknown`, the two numbers after, are read and never said. Special tokens of a tokenizer that is brought have no
    number, nor have its words that no training caption holds: they never come out.

    Args:
        tokenizer: a `tokenizers.Tokenizer`, without truncation or padding.
        ids: the ids of that tokenizer that have a number here, in order: the first is number 1.

    Example:
        >>> words = CaptionTokenizer.fit(["a dog runs", "a dog sleeps."])
        >>> words.text(words.numbers("a dog sleeps.")), words.n_words
        ('a dog sleeps.', 6)
        >>> words.words(words.numbers("a dog sleeps."))
        ('a', 'dog', 'sleeps', '.')
    """

    def __init__(self, tokenizer: Any, ids: Sequence[int]) -> None:
        self.tokenizer = tokenizer
        self.ids = tuple(ids)
        self._number = {token: i for i, token in enumerate(self.ids, 1)}

    @classmethod
    def fit(cls, texts: Sequence[str], tokenizer: Any = "auto") -> CaptionTokenizer:
        """Train a tokenizer on captions, or fit one that is brought to them.

        Args:
            texts: the captions.
            tokenizer: "words"; "bpe" (pieces of words); "auto": words where the captions hold no more than 2,000
                different ones, else pieces; the path of a `tokenizer.json`; or a `tokenizers.Tokenizer`.

        Raises:
            InputError: the tokenizer cannot be read, or knows nothing that the captions say.
            MissingDependencyError: the library tokenizers is not installed.

        Source: BPE: Sennrich et al. 2016, Neural Machine Translation of Rare Words with Subword Units.
        """
        made = _read(tokenizer) if not _is_kind(tokenizer) else _train(texts, tokenizer)
        hidden = _special(made)
        pieces = [made.encode(text, add_special_tokens=False).ids for text in texts]
        ids = sorted({i for some in pieces for i in some} - hidden)
        if not ids:
            raise InputError("the tokenizer knows words of the captions, however: it knows none")
        lost = [sum(i in hidden for i in some) for some in pieces]
        if any(lost):
            said = f"{sum(lost)} of {sum(map(len, pieces))} in {sum(n > 0 for n in lost)} captions"
            warnings.warn(f"the tokenizer does not know every word: {said} are never said", DataWarning, stacklevel=4)
        return cls(made, ids)

    @property
    def n_words(self) -> int:
        """What can be said: the words, and the end."""
        return len(self.ids) + 1

    @property
    def start(self) -> int:
        """The number that stands before the first word."""
        return self.n_words

    @property
    def unknown(self) -> int:
        """The number of a word that cannot be said."""
        return self.n_words + 1

    def numbers(self, text: str) -> list[int]:
        """The numbers of a text, in order, without start and end."""
        ids = self.tokenizer.encode(text, add_special_tokens=False).ids
        return [self._number.get(i, self.unknown) for i in ids]

    def text(self, numbers: Sequence[int]) -> str:
        """The text of numbers; what is no word is left out."""
        return str(self.tokenizer.decode(self._ids(numbers)))

    def words(self, numbers: Sequence[int]) -> tuple[str, ...]:
        """What each word or piece adds to the text, without the space before it: one entry a number."""
        ids = self._ids(numbers)
        grown = ["", *(str(self.tokenizer.decode(ids[:n])) for n in range(1, len(ids) + 1))]
        return tuple(
            now[len(before) :].strip() if now.startswith(before) and now != before else self.tokenizer.id_to_token(i)
            for before, now, i in zip(grown, grown[1:], ids, strict=False)
        )

    def described(self) -> dict[str, Any]:
        """Everything, ready for JSON."""
        return {"tokenizer": self.tokenizer.to_str(), "ids": list(self.ids)}

    @classmethod
    def restored(cls, described: Mapping[str, Any]) -> CaptionTokenizer:
        """Put together what `described` took apart.

        Example:
            >>> words = CaptionTokenizer.fit(["a dog runs"])
            >>> CaptionTokenizer.restored(words.described()).numbers("a dog")
            [1, 2]
        """
        return cls(_library().Tokenizer.from_str(described["tokenizer"]), described["ids"])

    def _ids(self, numbers: Sequence[int]) -> list[int]:
        return [self.ids[n - 1] for n in numbers if 0 < n < self.n_words]


def _library() -> Any:
    try:
        import tokenizers
    except ImportError:
        raise MissingDependencyError(
            'captions need the library tokenizers, however: it is not installed; pip install "intermodal[find]"'
        ) from None
    return tokenizers


def _is_kind(tokenizer: Any) -> bool:
    """True for the name of a kind, False for anything that can be read as a tokenizer; all else is refused."""
    if isinstance(tokenizer, str) and tokenizer in KINDS:
        return True
    if isinstance(tokenizer, str) and not tokenizer.endswith(".json"):
        known = ", ".join(f'"{kind}"' for kind in KINDS)
        raise InputError(
            f"tokenizer is {known}, a tokenizer.json or a tokenizers.Tokenizer, however: {tokenizer=}"
            + did_you_mean(tokenizer, KINDS)
        )
    return False


def _read(tokenizer: Any) -> Any:
    """A copy of what is brought, which cuts no text and pads none."""
    library = _library()
    if isinstance(tokenizer, str | Path):
        try:
            made = library.Tokenizer.from_str(Path(tokenizer).read_text(encoding="utf-8"))
        except Exception as problem:
            raise InputError(f'a tokenizer.json can be read, however: "{tokenizer}" cannot ({problem})') from problem
    elif isinstance(tokenizer, library.Tokenizer):
        made = library.Tokenizer.from_str(tokenizer.to_str())
    else:
        raise InputError(
            f"tokenizer is a text, a path or a tokenizers.Tokenizer, however: it is a {type(tokenizer).__name__}"
        )
    made.no_truncation()
    made.no_padding()
    return made


def _train(texts: Sequence[str], kind: str) -> Any:
    library = _library()
    from tokenizers import Regex, decoders, models, normalizers, pre_tokenizers, trainers

    if kind == "auto":
        kind = "words" if len({word for text in texts for word in words_of(text)}) <= MOST_WORDS else "bpe"
    made = library.Tokenizer((models.WordLevel if kind == "words" else models.BPE)(unk_token=_UNKNOWN))
    squeezed = normalizers.Replace(Regex(rf"[\s{_BLANK}]+"), " ")
    made.normalizer = normalizers.Sequence([normalizers.NFC(), squeezed, normalizers.Strip()])
    made.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Metaspace(prepend_scheme="always"), pre_tokenizers.Split(Regex(_WORD), "isolated")]
    )
    made.decoder = decoders.Metaspace(prepend_scheme="always")
    options: dict[str, Any] = {"special_tokens": [_UNKNOWN], "show_progress": False}
    trainer, most = (trainers.WordLevelTrainer, 2**31) if kind == "words" else (trainers.BpeTrainer, PIECES)
    made.train_from_iterator(texts, trainer(vocab_size=most, **options))
    return made


def _special(tokenizer: Any) -> set[int]:
    """Ids that are no words: special tokens, and the unknown one."""
    special = {i for i, token in tokenizer.get_added_tokens_decoder().items() if token.special}
    model = json.loads(tokenizer.to_str())["model"]
    unknown = tokenizer.token_to_id(model["unk_token"]) if model.get("unk_token") else model.get("unk_id")
    return special if unknown is None else special | {unknown}
