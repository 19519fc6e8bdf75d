"""Scores of captions against pycocoevalcap on the same words, and where each is blind."""

import sys

import numpy as np
import pytest
from pycocoevalcap.bleu.bleu import Bleu
from pycocoevalcap.cider.cider import Cider
from pycocoevalcap.rouge.rouge import Rouge, my_lcs

from intermodal.errors import InputError, MissingDependencyError
from intermodal.find.captioner import Caption
from intermodal.find.scoring_captions import caption_scores, cider, common, rouge_l, word_accuracy
from intermodal.find.words import words_of

GOLDEN = (
    ["a man rides a horse", "two dogs run on the beach", "a plate of food"],
    [
        ["a man riding a horse", "a man on a brown horse", "someone rides a horse"],
        ["two dogs run on the beach"],
        ["a bowl of soup", "a plate of food on a table"],
    ],
)


def drawn(seed, n):
    rng = np.random.default_rng(seed)
    vocabulary = ["a", "b", "c", "d", "e", "f"]

    def text(low):
        return " ".join(rng.choice(vocabulary, int(rng.integers(low, 9))))

    return [text(1) for _ in range(n)], [[text(1) for _ in range(rng.integers(1, 4))] for _ in range(n)]


CASES = {"golden": GOLDEN, **{f"drawn {s}": drawn(s, 7) for s in range(5)}}


def asked(scorer, predicted, references):
    gts, res = dict(enumerate(references)), {i: [text] for i, text in enumerate(predicted)}
    return scorer.compute_score(gts, res)


@pytest.mark.parametrize("case", CASES)
def test_cider_and_rouge_equal_pycocoevalcap_caption_by_caption(case):
    predicted, references = CASES[case]
    said, known = [t.split() for t in predicted], [[t.split() for t in own] for own in references]
    mean, each = asked(Cider(), predicted, references)
    np.testing.assert_allclose(cider(said, known), each, rtol=1e-12, atol=1e-12)
    assert caption_scores(predicted, references).cider == pytest.approx(mean, rel=1e-12)
    mean, each = asked(Rouge(), predicted, references)
    np.testing.assert_allclose([rouge_l(w, own) for w, own in zip(said, known, strict=True)], each, rtol=1e-12)
    assert caption_scores(predicted, references).rouge_l == pytest.approx(mean, rel=1e-12)


@pytest.mark.parametrize("case", CASES)
def test_bleu_equals_pycocoevalcap(case, capsys):
    predicted, references = CASES[case]
    bleu = asked(Bleu(4), predicted, references)[0][3]
    assert caption_scores(predicted, references).bleu4 == pytest.approx(100 * bleu, abs=0.01)


def test_an_empty_caption_counts_as_wrong():
    predicted, references = ["", "a dog runs home"], [["a cat sleeps"], ["a dog runs home"]]
    scores = caption_scores(predicted, references)
    assert (scores.exact, scores.word_accuracy, scores.rouge_l) == (0.5, 0.5, 0.5)
    assert scores.cider == pytest.approx(asked(Cider(), predicted, references)[0])


@pytest.mark.parametrize("seed", range(5))
def test_common_words_equal_another_count(seed):
    rng = np.random.default_rng(seed)
    a, b = ([str(i) for i in rng.integers(0, 4, rng.integers(0, 11))] for _ in range(2))
    assert common(a, b) == common(b, a) == my_lcs(a, b)


def test_order_counts_where_bleu_of_words_does_not():
    right, turned = words_of("a three then a seven then a two"), words_of("a two then a seven then a three")
    assert word_accuracy(right, [right]) == 1
    assert word_accuracy(turned, [right]) == 6 / 8
    assert word_accuracy([*right, "then", "a", "one"], [right]) == 8 / 11
    assert word_accuracy(["a", "three"], [right, ["a", "three", "x"]]) == 2 / 3
    assert caption_scores([" ".join(turned)], [" ".join(right)]).exact == 0


def test_case_and_punctuation_do_not_count():
    scores = caption_scores(["A Dog, runs!", "一只狗。"], [["it", "a dog runs"], "一只狗"])
    assert (scores.exact, scores.word_accuracy, scores.n) == (1, 1, 2)
    assert "lower case" in scores.tokenizer


def test_cider_that_says_nothing_is_left_out():
    for texts in (["a dog runs home"], ["a dog runs home"] * 3):
        scores = caption_scores(texts, texts)
        assert scores.cider is None
        assert scores.note.startswith("CIDEr is left out")
        assert scores.exact == scores.rouge_l == 1
        assert scores.bleu4 == pytest.approx(100)
    scores = caption_scores(["a dog runs home", "a cat"], ["a dog runs home", "a cat"])
    assert (scores.cider > 0, scores.note) == (True, "")


def test_captions_that_were_cut_are_counted():
    made = [Caption("a dog", -1.0, ("a", "dog"), finished) for finished in (True, False, False)]
    scores = caption_scores(made, ["a dog", "a cat", "a"])
    assert (scores.unfinished, scores.exact) == (2, pytest.approx(1 / 3))
    assert scores.to_dict()["unfinished"] == 2


@pytest.mark.parametrize(
    ("predicted", "references", "said"),
    [
        ([], [], "there is a caption to score, however: there is none"),
        (["a"], [], "there are references for each caption, however: 1 captions, 0 references"),
        ("a", ["a"], "captions are a list, however: one text was given; write ['a']"),
        (["a"], "a", "references are a list, however: one text was given; write ['a']"),
        (["a"], ["..."], "a reference is a text with words, however: reference 0 is '...'"),
        (["a"], [["a", ""]], "a reference is a text with words, however: reference 0 is ['a', '']"),
        (["a"], [[]], "a reference is a text with words, however: reference 0 is []"),
        (["a"], [["a", 3]], "a reference is a text with words, however: reference 0 is ['a', 3]"),
        (["a", 3], ["a", "b"], "a caption is a text, however: caption 1 is of type int"),
    ],
)
def test_what_cannot_be_scored_is_refused(predicted, references, said):
    with pytest.raises(InputError) as problem:
        caption_scores(predicted, references)
    assert str(problem.value) == said


def test_without_sacrebleu_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "sacrebleu.metrics", None)
    with pytest.raises(MissingDependencyError) as problem:
        caption_scores(["a"], ["a"])
    assert str(problem.value).endswith('sacrebleu, however: it is not installed; pip install "intermodal[find]"')
