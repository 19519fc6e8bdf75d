"""How good are captions? Exact match and order beside BLEU-4, CIDEr and ROUGE-L, all on the same words.

Every score reads `words_of` a text: lower case, punctuation left out, a Chinese, Japanese or Korean sign a word of its
own. METEOR is left out: without its own tables it would be another score of that name.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from intermodal.errors import InputError, MissingDependencyError
from intermodal.find.words import words_of

TOKENIZER = "words: lower case, no punctuation, CJK signs apart (intermodal.find.words); sacrebleu tokenize=none"
_N = 4
_SIGMA = 6.0
_BETA = 1.2


@dataclass(frozen=True)
class CaptionScores:
    """Scores of N captions.

    Attributes:
        exact: share of captions that equal a reference of theirs, word for word.
        word_accuracy: words that stand in the same order in a reference, as a share of the longer of the two; the best
            reference of each caption, the mean over captions.
        bleu4: corpus BLEU-4, 0 to 100, without smoothing.
        cider: CIDEr (the form with clipping and a penalty of length, CIDEr-D), 0 to 10 for most; None where there is
            one clip only, or every clip has the same words: then it is 0 for a perfect caption.
        rouge_l: mean F of the longest common subsequence, beta 1.2, 0 to 1.
        n: N.
        unfinished: captions that were cut, where `Caption`s were given.
        tokenizer: how words were cut.
        note: why a score is None, or nothing.

    Source: BLEU: Papineni et al. 2002, by sacrebleu (Post 2018); CIDEr: Vedantam et al. 2015; ROUGE-L: Lin 2004.
    """

    exact: float
    word_accuracy: float
    bleu4: float
    cider: float | None
    rouge_l: float
    n: int
    unfinished: int
    tokenizer: str
    note: str

    def to_dict(self) -> dict[str, Any]:
        """All of it, ready for JSON."""
        return asdict(self)


def caption_scores(predicted: Any, references: Any) -> CaptionScores:
    """Score captions against references.

    Args:
        predicted: N texts, or N `Caption`s. An empty text is a caption that says nothing.
        references: for each a text, or several.

    Returns:
        The scores.

    Raises:
        InputError: nothing to score, counts that differ, or a reference without a word.
        MissingDependencyError: sacrebleu is not installed.

    Relation: BLEU-4, CIDEr and ROUGE-L equal those of pycocoevalcap on the same words.

    Example:
        >>> scores = caption_scores(["A dog runs.", "a cat"], [["a dog runs", "it runs"], "a cat sleeps here"])
        >>> scores.exact, scores.word_accuracy
        (0.5, 0.75)
    """
    if isinstance(predicted, str):
        raise InputError(f"captions are a list, however: one text was given; write [{predicted[:40]!r}]")
    predicted = list(predicted)
    texts = [getattr(caption, "text", caption) for caption in predicted]
    said, known = _words(texts, references)
    bleu = _bleu(said, known)
    every = cider(said, known)
    note = ""
    if not any(cider_of_perfect > 0 for cider_of_perfect in cider([own[0] for own in known], known)):
        note = "CIDEr is left out: it weighs words by how few clips have them, and here all clips have the same"
    return CaptionScores(
        exact=float(np.mean([words in own for words, own in zip(said, known, strict=True)])),
        word_accuracy=float(np.mean([word_accuracy(w, own) for w, own in zip(said, known, strict=True)])),
        bleu4=bleu,
        cider=None if note else float(np.mean(every)),
        rouge_l=float(np.mean([rouge_l(w, own) for w, own in zip(said, known, strict=True)])),
        n=len(said),
        unfinished=sum(not getattr(caption, "finished", True) for caption in predicted),
        tokenizer=TOKENIZER,
        note=note,
    )


def word_accuracy(words: Sequence[str], references: Sequence[Sequence[str]]) -> float:
    """Words in the same order in a reference, as a share of the longer of the two; the best reference.

    Example:
        >>> word_accuracy(["a", "b", "c"], [["c", "b", "a"], ["a", "x", "c"]])
        0.6666666666666666
    """
    return max(common(words, own) / max(len(words), len(own)) for own in references)


def rouge_l(words: Sequence[str], references: Sequence[Sequence[str]]) -> float:
    """F of the longest common subsequence: the best precision and the best recall over the references.

    Example:
        >>> round(rouge_l(["a", "b"], [["a", "c", "b"]]), 3)
        0.772
    """
    found = [common(words, own) for own in references]
    precision = max(n / max(1, len(words)) for n in found)
    recall = max(n / len(own) for n, own in zip(found, references, strict=True))
    if precision == 0 or recall == 0:
        return 0.0
    return (1 + _BETA**2) * precision * recall / (recall + _BETA**2 * precision)


def cider(predicted: Sequence[Sequence[str]], references: Sequence[Sequence[Sequence[str]]]) -> list[float]:
    """CIDEr-D of each caption: how alike its n-grams are to a reference's, each weighed by how few clips have it.

    Args:
        predicted: N captions, in words.
        references: for each one or more, in words.

    Source: Vedantam, Zitnick and Parikh 2015, CIDEr: Consensus-based Image Description Evaluation, section 4 and 6.

    Example:
        >>> cider([["a", "dog"], ["a", "cat"]], [[["a", "dog"]], [["the", "cat"]]])
        [5.0, 1.25]
    """
    ours = [_grams(words) for words in predicted]
    theirs = [[_grams(words) for words in own] for own in references]
    clips_with = Counter(gram for own in theirs for gram in set().union(*own))
    every = math.log(len(references))

    def weighed(grams: Counter[tuple[str, ...]]) -> dict[tuple[str, ...], float]:
        return {gram: n * (every - math.log(max(1, clips_with[gram]))) for gram, n in grams.items()}

    scores = []
    for grams, own in zip(ours, theirs, strict=True):
        each = [_alike(weighed(grams), weighed(other), _length(grams) - _length(other)) for other in own]
        scores.append(10 * sum(each) / len(each))
    return scores


def common(a: Sequence[str], b: Sequence[str]) -> int:
    """The length of the longest common subsequence.

    Example:
        >>> common(["a", "b", "c", "d"], ["b", "x", "d"])
        2
    """
    row = [0] * (len(b) + 1)
    for word in a:
        before = row
        row = [0]
        for i, other in enumerate(b):
            row.append(before[i] + 1 if word == other else max(before[i + 1], row[i]))
    return row[-1]


def _grams(words: Sequence[str]) -> Counter[tuple[str, ...]]:
    return Counter(tuple(words[i : i + n]) for n in range(1, _N + 1) for i in range(len(words) - n + 1))


def _length(grams: Counter[tuple[str, ...]]) -> int:
    return sum(n for gram, n in grams.items() if len(gram) == 1)


def _alike(ours: dict[tuple[str, ...], float], theirs: dict[tuple[str, ...], float], longer: int) -> float:
    """The mean over n of the clipped cosine, less for another length."""
    total = 0.0
    for n in range(1, _N + 1):
        a = {gram: weight for gram, weight in ours.items() if len(gram) == n}
        b = {gram: weight for gram, weight in theirs.items() if len(gram) == n}
        norm = math.sqrt(sum(w * w for w in a.values()) * sum(w * w for w in b.values()))
        if norm > 0:
            total += sum(min(weight, b.get(gram, 0.0)) * b.get(gram, 0.0) for gram, weight in a.items()) / norm
    return total / _N * math.exp(-(longer**2) / (2 * _SIGMA**2))


def _bleu(said: list[list[str]], known: list[list[list[str]]]) -> float:
    try:
        from sacrebleu.metrics import BLEU
    except ImportError:
        raise MissingDependencyError(
            'caption scores need sacrebleu, however: it is not installed; pip install "intermodal[find]"'
        ) from None
    most = max(map(len, known))
    # One stream a reference: a clip with fewer has none in the later ones.
    streams: list[Any] = [[" ".join(own[k]) if k < len(own) else None for own in known] for k in range(most)]
    scorer = BLEU(tokenize="none", smooth_method="none", force=True)
    return float(scorer.corpus_score([" ".join(words) for words in said], streams).score)


def _words(texts: list[Any], references: Any) -> tuple[list[list[str]], list[list[list[str]]]]:
    if isinstance(references, str):
        raise InputError(f"references are a list, however: one text was given; write [{references[:40]!r}]")
    if len(texts) != len(references):
        counts = f"{len(texts)} captions, {len(references)} references"
        raise InputError(f"there are references for each caption, however: {counts}")
    if not texts:
        raise InputError("there is a caption to score, however: there is none")
    odd = next((i for i, text in enumerate(texts) if not isinstance(text, str)), None)
    if odd is not None:
        raise InputError(f"a caption is a text, however: caption {odd} is of type {type(texts[odd]).__name__}")
    known = []
    for i, own in enumerate(references):
        several = [own] if isinstance(own, str) else list(own)
        cut = [words_of(text) for text in several if isinstance(text, str)]
        if not cut or not all(cut) or len(cut) < len(several):
            raise InputError(f"a reference is a text with words, however: reference {i} is {own!r}")
        known.append(cut)
    return [words_of(text) for text in texts], known
