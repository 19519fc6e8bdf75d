"""Texts as numbers and back, with a tokenizer trained on them or one that is brought."""

import json
import sys

import pytest
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers

from intermodal.errors import DataWarning, InputError, MissingDependencyError
from intermodal.find import tokenizer as tokenizing
from intermodal.find.tokenizer import CaptionTokenizer

TEXTS = [
    "a four, then a six",
    "A dog's life: don't!",
    "一只狗在跑，很快。",
    "ひらがな と 漢字",
    "café — naïve x_1 3.14",
    "हिन्दी 👩‍👩‍👧",
    'a (b) [c] "d" </s> <unk',
]


@pytest.mark.parametrize("kind", ["words", "bpe"])
@pytest.mark.parametrize("text", TEXTS)
def test_a_text_comes_back(kind, text):
    made = CaptionTokenizer.fit(TEXTS, kind)
    assert made.text(made.numbers(text)) == text
    assert made.numbers(f"  {text.replace(' ', '  ')}\n") == made.numbers(text)
    assert made.unknown not in made.numbers(text)


def test_words_are_numbered_from_one_and_start_and_unknown_follow():
    made = CaptionTokenizer.fit(["b a", "a c"])
    assert sorted(made.numbers("a b c")) == [1, 2, 3]
    assert (made.n_words, made.start, made.unknown) == (4, 4, 5)
    assert made.numbers("a x") == [made.numbers("a")[0], 5]


def test_special_numbers_say_nothing():
    made = CaptionTokenizer.fit(["a dog runs"])
    dog = made.numbers("dog")
    assert made.text([made.start, *dog, made.unknown, 0, *made.numbers("runs"), 0]) == "dog runs"
    assert made.words([made.start, *dog, made.unknown, 0]) == ("dog",)


def test_words_are_what_each_number_adds():
    made = CaptionTokenizer.fit(TEXTS)
    assert made.words(made.numbers("a four, then a six")) == ("a", "four", ",", "then", "a", "six")
    assert made.words(made.numbers("一只狗在跑，")) == ("一", "只", "狗", "在", "跑", "，")


def test_auto_goes_by_the_number_of_words(monkeypatch):
    monkeypatch.setattr(tokenizing, "MOST_WORDS", 5)
    few, many = ["a b c", "d e"], ["ab abc abcd", "abcde b ba"]
    assert json.loads(CaptionTokenizer.fit(few).tokenizer.to_str())["model"]["type"] == "WordLevel"
    assert json.loads(CaptionTokenizer.fit(many).tokenizer.to_str())["model"]["type"] == "BPE"


def test_pieces_read_words_that_training_never_saw(monkeypatch):
    monkeypatch.setattr(tokenizing, "PIECES", 17)
    made = CaptionTokenizer.fit(["low lower lowest new newest wide"], "bpe")
    assert made.text(made.numbers("widest")) == "widest"
    assert CaptionTokenizer.fit(["low lower"], "words").numbers("lowest") == [4]


def test_what_is_kept_as_json_is_the_same_tokenizer():
    for kind in ("words", "bpe"):
        made = CaptionTokenizer.fit(TEXTS, kind)
        again = CaptionTokenizer.restored(json.loads(json.dumps(made.described())))
        assert [again.numbers(t) for t in TEXTS] == [made.numbers(t) for t in TEXTS]
        assert again.described() == made.described() == CaptionTokenizer.fit(TEXTS, kind).described()


def brought(**cuts):
    """A tokenizer as people bring it: bytes, special tokens around every text, and a limit of length."""
    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    special = ["<s>", "</s>"]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    made.train_from_iterator(
        ["a dog runs"] * 5,
        trainers.BpeTrainer(vocab_size=280, special_tokens=special, initial_alphabet=alphabet, show_progress=False),
    )
    made.post_processor = processors.TemplateProcessing(single="<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 1)])
    made.enable_truncation(3)
    made.enable_padding(length=11)
    return made


def test_a_tokenizer_that_is_brought_cuts_and_pads_nothing(tmp_path):
    path = tmp_path / "tokenizer.json"
    brought().save(str(path))
    before = brought()
    for given in (before, path, str(path)):
        made = CaptionTokenizer.fit(["a dog runs away", "一只狗"], given)
        assert made.text(made.numbers("a dog runs away")) == "a dog runs away"
        assert made.text(made.numbers("一只狗")) == "一只狗"
        assert not {0, 1} & set(made.ids)
    assert before.truncation["max_length"] == 3  # the user's own stays as it was


def test_special_tokens_in_a_text_are_never_said():
    with pytest.warns(DataWarning, match=r"does not know every word: 2 of \d+ in 1 captions are never said"):
        made = CaptionTokenizer.fit(["a dog</s><s>", "a dog"], brought())
    assert made.numbers("</s>") == [made.unknown]
    assert made.text(made.numbers("a dog</s>")) == "a dog"


def test_a_tokenizer_that_knows_nothing_of_the_captions_is_refused():
    blind = Tokenizer(models.WordLevel({"x": 0, "[UNK]": 1}, unk_token="[UNK]"))
    blind.pre_tokenizer = pre_tokenizers.Whitespace()
    with pytest.raises(InputError) as problem:
        CaptionTokenizer.fit(["a dog"], blind)
    assert str(problem.value) == "the tokenizer knows words of the captions, however: it knows none"


def test_what_is_no_tokenizer_is_refused(tmp_path):
    with pytest.raises(InputError) as problem:
        CaptionTokenizer.fit(["a"], "word")
    assert str(problem.value) == (
        'tokenizer is "auto", "words", "bpe", a tokenizer.json or a tokenizers.Tokenizer, however: '
        "tokenizer='word'; did you mean \"words\"?"
    )
    (tmp_path / "broken.json").write_text("{")
    for path in (tmp_path / "broken.json", tmp_path / "absent.json"):
        with pytest.raises(InputError, match=r"a tokenizer.json can be read, however: .* cannot"):
            CaptionTokenizer.fit(["a"], str(path))
    with pytest.raises(InputError) as problem:
        CaptionTokenizer.fit(["a"], 7)
    assert str(problem.value) == "tokenizer is a text, a path or a tokenizers.Tokenizer, however: it is a int"


def test_without_the_library_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    with pytest.raises(MissingDependencyError) as problem:
        CaptionTokenizer.fit(["a"])
    assert str(problem.value).endswith('it is not installed; pip install "intermodal[find]"')
