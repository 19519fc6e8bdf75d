"""Captioner: clips and texts in, captions out; what it learns, keeps and refuses."""

import json
import sys

import numpy as np
import pytest
import torch
from sklearn.base import clone
from tokenizers import Tokenizer, models, pre_tokenizers

from intermodal.data.samples import Samples
from intermodal.errors import DataError, InputError, MissingDependencyError, SpecError
from intermodal.find.caption_lessons import Lessons, lesson_loss
from intermodal.find.caption_texts import read_captions
from intermodal.find.captioner import Captioner
from intermodal.find.loading import load, load_finder

N = 43
THINGS = ("dog", "cat", "bird")
SMALL = {"d_model": 16, "n_heads": 2, "n_layers": 1, "input_dropout": 0.0, "validation": 0.2, "device": "cpu"}
HIDING = ("dropout", "input_dropout", "word_dropout", "label_smoothing")


def films(seed=0, n=N):
    """Video that shows two things one after the other, audio that tells how loud, a vector that says nothing."""
    rng = np.random.default_rng(seed)
    order, loud = rng.integers(0, 3, (n, 2)), rng.integers(0, 2, n)
    video, audio = [], []
    for (a, b), noisy in zip(order, loud, strict=True):
        cut, end = rng.integers(2, 5), rng.integers(6, 10)
        frames = 0.1 * rng.normal(size=(end, 4))
        frames[:cut, a] += 3
        frames[cut:, b] += 3
        video.append(frames)
        audio.append(noisy * 2 + 0.1 * rng.normal(size=(int(rng.integers(2, 6)), 2)))
    said = [f"a {'loud ' * bool(v)}{THINGS[a]}, then a {THINGS[b]}" for (a, b), v in zip(order, loud, strict=True)]
    return {"video": video, "audio": audio, "place": rng.normal(size=(n, 3))}, said


@pytest.fixture(scope="module")
def learned():
    X, texts = films(n=300)
    return Captioner(**SMALL, max_epochs=25, batch_size=16, lr=1e-2, encoder="conv", dropout=0.0).fit(X, texts)


def untrained(**options):
    X, texts = films()
    return Captioner(**{**SMALL, "max_epochs": 1, **options}).fit(X, texts)


def test_it_learns_what_happens_and_in_which_order(learned):
    X, texts = films(seed=1, n=60)
    assert learned.score(X, texts) > 0.9
    right = learned.log_probability(X, texts)
    turned = learned.log_probability(X, texts[1:] + texts[:1])
    assert right.mean() > turned.mean() + 1
    losses = [line["train_loss"] for line in learned.history_]
    assert losses[-1] < losses[0] / 2
    assert {"epoch", "train_loss", "valid", "seconds", "best"} <= set(learned.history_[0])


def test_words_look_at_the_frames_that_show_them(learned):
    X, _ = films(seed=2, n=20)
    for i, caption in enumerate(learned.predict(X, need_attention=True)):
        weights = caption.attention
        assert {name: w.shape for name, w in weights.items()} == {
            "video": (len(caption.words), len(X["video"][i])),
            "audio": (len(caption.words), len(X["audio"][i])),
            "place": (len(caption.words), 1),
        }
        np.testing.assert_allclose(sum(w.sum(1) for w in weights.values()), 1, rtol=1e-9)
        first, *_, last = (k for k, word in enumerate(caption.words) if word in THINGS)
        middle = weights["video"] @ np.linspace(0, 1, len(X["video"][i])) / weights["video"].sum(1)
        assert middle[last] > middle[first] + 0.1
    assert learned.predict(X)[0].attention is None


def test_a_caption_says_its_text_word_by_word(learned):
    X, _ = films(seed=3, n=9)
    for caption in learned.predict(X):
        assert caption.finished
        assert "".join(caption.words) == caption.text.replace(" ", "")


@pytest.mark.parametrize("beam", [1, 3])
def test_the_score_is_that_of_the_text_read_again(learned, beam):
    X, _ = films(seed=4)
    captions = learned.predict(X, beam=beam, max_words=6 if beam == 1 else 7)  # the longest caption has seven
    assert {c.finished for c in captions} == ({True, False} if beam == 1 else {True})
    ended = [i for i, c in enumerate(captions) if c.finished]
    again = learned.log_probability(X, [captions[i].text for i in ended], clips=ended)
    np.testing.assert_allclose([captions[i].score for i in ended], again, rtol=1e-9)


def test_a_beam_of_one_is_greedy_and_a_wider_one_no_worse(learned):
    X, _ = films(seed=5)
    one, five = learned.predict(X), learned.predict(X, beam=5, length_penalty=0.0)
    total = [c.score * (len(c.words) + c.finished) for c in one]
    wider = [c.score * (len(c.words) + c.finished) for c in five]
    assert all(b >= a - 1e-9 for a, b in zip(total, wider, strict=True))
    assert learned.predict(X, beam=5) == five


def test_a_beam_takes_the_likeliest_caption_unless_told_otherwise():
    model, X = untrained(), films(seed=5)[0]
    likeliest = model.predict(X, beam=5)
    assert likeliest == model.predict(X, beam=5, length_penalty=0.0)
    assert likeliest != model.predict(X, beam=5, length_penalty=1.0)


def test_lengths_are_kept(learned):
    X, _ = films(seed=6, n=9)
    assert {len(c.words) for c in learned.predict(X)} <= {6, 7}
    long = learned.predict(X, min_words=11, max_words=13)
    assert all(11 <= len(c.words) <= 13 for c in long)
    assert [(len(c.words), c.finished) for c in learned.predict(X, max_words=2)] == [(2, False)] * 9


def test_a_clip_never_touches_another_and_padding_changes_nothing(learned):
    X, _ = films(seed=7, n=9)
    together = learned.predict(X, beam=2, need_attention=True)
    for i in range(9):
        alone = learned.predict({name: x[i : i + 1] for name, x in X.items()}, beam=2, need_attention=True)[0]
        assert alone.text == together[i].text
        assert alone.score == pytest.approx(together[i].score, abs=1e-9)
        np.testing.assert_allclose(alone.attention["video"], together[i].attention["video"], atol=1e-9)


def test_a_missing_modality_is_as_if_it_had_never_been_there(learned):
    X, _ = films(seed=8, n=9)
    gone = {**X, "audio": [None, *X["audio"][1:]]}
    first = learned.predict(gone, need_attention=True)
    without = learned.predict({"video": X["video"], "place": X["place"]}, need_attention=True)
    assert first[0].text == without[0].text
    assert first[0].score == pytest.approx(without[0].score, abs=1e-9)
    assert first[0].attention["audio"].shape == (len(first[0].words), 0)
    assert "audio" not in without[0].attention
    nothing = {name: [None, *list(x)[1:]] for name, x in X.items()}
    assert np.isfinite(learned.predict(nothing)[0].score)


def test_the_same_seed_gives_the_same_model():
    first, second, other = untrained(), untrained(), untrained(seed=1)
    a, b, c = (m.network_.state_dict() for m in (first, second, other))
    assert all(torch.equal(a[k], b[k]) for k in a)
    assert not all(torch.equal(a[k], c[k]) for k in a)
    assert [{k: v for k, v in line.items() if k != "seconds"} for line in first.history_] == [
        {k: v for k, v in line.items() if k != "seconds"} for line in second.history_
    ]


def test_the_randomness_of_others_is_left_alone():
    torch.manual_seed(3)
    want = torch.rand(2)
    torch.manual_seed(3)
    untrained()
    assert torch.equal(torch.rand(2), want)


def test_a_saved_model_answers_the_same(learned, tmp_path):
    X, texts = films(seed=9, n=9)
    learned.save(tmp_path / "model")
    again = load(tmp_path / "model")
    assert again.predict(X, beam=2) == learned.predict(X, beam=2)
    assert again.predict(X, need_attention=True)[0].attention["video"].tolist() == (
        learned.predict(X, need_attention=True)[0].attention["video"].tolist()
    )
    assert (again.history_, again.max_words_, again.names_) == (learned.history_, learned.max_words_, learned.names_)
    assert again.get_params() == learned.get_params()
    assert again.spec_ == learned.spec_
    assert load_finder(tmp_path / "model", "Captioner").score(X, texts) == learned.score(X, texts)
    with pytest.raises(InputError):
        learned.save(tmp_path / "model")
    learned.save(tmp_path / "model", overwrite=True)
    again.save(tmp_path / "again")
    assert (tmp_path / "again/config.json").read_text() == (tmp_path / "model/config.json").read_text()


def test_a_damaged_tokenizer_in_a_folder_is_one_sentence(learned, tmp_path):
    learned.save(tmp_path / "model")
    config = json.loads((tmp_path / "model/config.json").read_text())
    config["words"]["tokenizer"] = "{"
    (tmp_path / "model/config.json").write_text(json.dumps(config))
    with pytest.raises(InputError, match="a model is whole, however"):
        load(tmp_path / "model")


def test_a_tokenizer_that_is_brought_is_kept(tmp_path):
    given = Tokenizer(
        models.WordLevel({w: i for i, w in enumerate(("[UNK]", "a", "loud", "then", ",", *THINGS))}, "[UNK]")
    )
    given.pre_tokenizer = pre_tokenizers.Whitespace()
    model, (X, _) = untrained(tokenizer=given), films(seed=3)
    assert model.predict(X, max_words=5)[0].words
    again = load(model.save(tmp_path / "model"))
    assert again.predict(X) == model.predict(X)
    assert again.tokenizer.to_str() == model.tokenizer_.tokenizer.to_str()
    given.save(str(tmp_path / "tokenizer.json"))
    assert untrained(tokenizer=str(tmp_path / "tokenizer.json")).predict(X) == model.predict(X)
    assert load(untrained(tokenizer="bpe").save(tmp_path / "pieces")).tokenizer == "bpe"


def test_chinese_captions_come_out():
    X, _ = films(n=20)
    model = Captioner(**SMALL, max_epochs=30, lr=1e-2, batch_size=8, encoder="linear").fit(X, ["一只狗在跑。"] * 20)
    caption = model.predict(X)[0]
    assert (caption.text, caption.words) == ("一只狗在跑。", ("一", "只", "狗", "在", "跑", "。"))


def test_several_captions_of_a_clip_are_all_learned():
    X, _ = films(n=12)
    clips = np.repeat(np.arange(0, 12, 2), 2)
    options = {"validation": 0.0, "word_dropout": 0.0, "label_smoothing": 0.0, "dropout": 0.0, "lr": 1e-2}
    model = Captioner(**SMALL | options, max_epochs=60).fit(X, ["a dog", "one cat"] * 6, clips=clips)
    both = np.exp(model.log_probability(X, ["a dog", "one cat"], clips=[0, 0]) * 3)
    assert both.min() > 0.3
    assert model.score(X, ["a dog", "one cat"], clips=[1, 1]) == 1
    assert model.history_[-1]["valid"] is None


def test_a_word_that_cannot_be_said_has_no_probability(learned):
    X, texts = films(n=2)
    found = learned.log_probability(X, [texts[0], "a dog, then a whale"])
    assert np.isfinite(found[0])
    assert found[1] == -np.inf


def test_groups_stay_together_and_test_rows_are_left_alone(monkeypatch):
    X, texts = films()
    split = np.array(["train", "valid", "test"])[np.arange(N) % 3]
    seen = {}

    def spy(self, network, lessons, learn, held):
        seen.update(learn=learn, held=held)
        return []

    monkeypatch.setattr(Captioner, "_train", spy)
    Captioner(**SMALL).fit(
        Samples(X, split=split), [t if s != "test" else "secret words" for t, s in zip(texts, split, strict=True)]
    )
    assert set(split[seen["learn"]]) == {"train"}
    assert set(split[seen["held"]]) == {"valid"}
    groups = np.arange(N) // 4
    model = Captioner(**SMALL).fit(X, texts, groups=groups)
    assert len(seen["held"]) and not set(groups[seen["learn"]]) & set(groups[seen["held"]])
    held_mean = np.concatenate([X["video"][i] for i in seen["learn"]]).mean(0)
    np.testing.assert_allclose(model.preprocessor_.scalings["video"].mean, held_mean)


def test_the_words_of_rows_for_the_test_are_not_known():
    X, texts = films()
    split = np.where(np.arange(N) < 30, "train", "test")
    texts[40] = "a very long caption that only the test part has, and which must not be learned"
    model = Captioner(**{**SMALL, "max_epochs": 1}).fit(Samples(X, split=split), texts)
    assert model.max_words_ == 7
    assert model.tokenizer_.unknown in model.tokenizer_.numbers("caption")


def test_a_lesson_pads_and_hides_as_drawn(learned):
    X, _ = films(n=3)
    _, feed = learned.prepared(X)
    lessons = Lessons(feed, read_captions(["a dog", "a dog, then a whale", "a"], None, 3), learned.tokenizer_)
    numbers = learned.tokenizer_.numbers
    start, unknown = learned.tokenizer_.start, learned.tokenizer_.unknown
    lesson = lessons.lesson(np.array([1, 0]))
    assert lesson.read.tolist() == [[start, *numbers("a dog, then a"), unknown], [start, *numbers("a dog"), 0, 0, 0, 0]]
    assert lesson.follow.tolist() == [[*numbers("a dog, then a"), -100, 0], [*numbers("a dog"), 0] + [-100] * 4]
    assert lesson.seen.x["video"].shape[0] == 2
    torch.testing.assert_close(lesson.seen.x["place"], feed.batch(np.array([1, 0])).x["place"])
    heard = []

    def network(x, read, present):
        heard.append(read)
        return type("Said", (), {"logits": torch.zeros(2, 7, learned.tokenizer_.n_words)})

    options = {"start": start, "unknown": unknown, "label_smoothing": 0.0, "input_dropout": 0.0}
    loss = lesson_loss(network, lesson, word_dropout=0.999999, **options)
    assert heard[0].tolist() == [[start] + [unknown] * 6] * 2
    assert float(loss) == pytest.approx(np.log(learned.tokenizer_.n_words))


def test_a_lesson_hides_features_of_sequences_as_drawn(learned):
    X, texts = films(n=31)
    _, feed = learned.prepared(X)
    lesson = Lessons(feed, read_captions(texts, None, 31), learned.tokenizer_).lesson(np.arange(31))
    whole = {name: values.clone() for name, values in lesson.seen.x.items()}
    seen = []

    def network(x, read, present):
        seen.append((x, read, present))
        return type("Said", (), {"logits": torch.zeros(*read.shape, learned.tokenizer_.n_words)})

    options = {"start": learned.tokenizer_.start, "unknown": learned.tokenizer_.unknown, "label_smoothing": 0.0}
    torch.manual_seed(0)
    lesson_loss(network, lesson, word_dropout=0.0, input_dropout=0.3, **options)
    lesson_loss(network, lesson, word_dropout=0.0, input_dropout=0.0, **options)
    (x, read, present), (untouched, *_) = seen
    for name in ("video", "audio"):
        there = lesson.seen.present[name]
        hidden = (x[name] == 0)[there]
        assert 0.2 < float(hidden.float().mean()) < 0.4
        assert len({tuple(row.tolist()) for row in hidden}) == 2 ** hidden.shape[1]  # feature by feature
        torch.testing.assert_close(x[name][there][~hidden], whole[name][there][~hidden] / 0.7)  # the mean stays
    assert x["place"].equal(whole["place"])
    assert read.equal(lesson.read)
    assert present is lesson.seen.present
    for name, values in whole.items():
        assert values.equal(lesson.seen.x[name])
        assert values.equal(untouched[name])


@pytest.mark.parametrize("name", HIDING)
def test_training_keeps_to_what_it_is_told_to_hide(name):
    without, half = ({**dict.fromkeys(HIDING, 0.0), name: share} for share in (0.0, 0.5))
    one, again, other = (untrained(**told).history_[0]["train_loss"] for told in (without, without, half))
    assert one == again != other


@pytest.mark.parametrize(
    ("texts", "clips", "said"),
    [
        ([], None, "there is at least one caption, however: the list is empty"),
        ("a dog", None, "captions are a list, however: one text was given; write ['a dog']"),
        (7, None, "captions are a list of texts, however: they are of type int"),
        (["a", " \n"], None, "a caption says something, however: caption 1 is ' \\n'"),
        (["a", ""], None, "a caption says something, however: caption 1 is ''"),
        (["a", 3], None, "a caption is a text, however: caption 1 is of type int"),
        (
            ["a", ["b", "c"]],
            None,
            "a caption is a text, however: caption 1 is of type list; "
            "for several captions of a clip give one list, and clips=",
        ),
        (
            ["a"],
            None,
            "there is one caption for each clip, however: 1 captions, 2 clips; "
            "clips= says which clip each caption is of",
        ),
        (
            ["a", "b"],
            [0],
            "clips hold one row number for each caption, however: "
            "rows.shape=(1,), rows.dtype=dtype('int64'), 2 captions",
        ),
        (
            ["a", "b"],
            [0.0, 1.0],
            "clips hold one row number for each caption, however: "
            "rows.shape=(2,), rows.dtype=dtype('float64'), 2 captions",
        ),
        (["a", "b"], [0, 2], "clips are rows from 0 to 1, however: 2"),
        (["a", "b"], [-1, 0], "clips are rows from 0 to 1, however: -1"),
    ],
)
def test_captions_that_cannot_be_used_are_refused(texts, clips, said):
    with pytest.raises(InputError) as problem:
        Captioner(**SMALL).fit({"video": np.ones((2, 3, 4))}, texts, clips=clips)
    assert str(problem.value) == said


def test_a_caption_that_the_tokenizer_reads_as_nothing_is_refused():
    X, texts = films()
    texts[3] = "▁ ▁"
    with pytest.raises(InputError) as problem:
        Captioner(**SMALL).fit(X, texts)
    assert str(problem.value) == "a caption holds words of the tokenizer, however: caption 3 holds none"


def test_a_nan_is_refused_or_filled():
    X, texts = films()
    X["place"][5, 1] = np.nan
    with pytest.raises(DataError):
        Captioner(**SMALL).fit(X, texts)
    samples = Samples(X, nan="impute")
    with pytest.raises(DataError) as problem:
        Captioner(**SMALL).fit(samples, texts)
    assert str(problem.value) == 'clips hold no NaN inside a vector, however: some do; choose nan="impute"'
    model = Captioner(**{**SMALL, "max_epochs": 1}, nan="impute").fit(samples, texts)
    assert np.isfinite(model.predict(samples)[5].score)


def test_arrays_and_series_of_texts_are_read():
    import pandas as pd

    for texts in (np.array(["a", "b"]), pd.Series(["a", "b"]), ("a", "b")):
        assert read_captions(texts, None, 2).texts == ["a", "b"]


def test_a_caption_that_is_too_long_is_an_error_and_never_cut():
    X, texts = films()
    texts[5] = "a loud dog, then a loud dog"
    with pytest.raises(InputError) as problem:
        Captioner(**SMALL, max_words=7).fit(X, texts)
    assert str(problem.value) == (
        "a caption has 7 words of the tokenizer at most (max_words), however: 1 of 43 have more; caption 5 has 8"
    )
    assert Captioner(**SMALL, max_words=8, max_epochs=1).fit(X, texts).max_words_ == 8


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"beam": 0}, "beam is a whole number from 1, however: beam=0"),
        ({"beam": 1.5}, "beam is a whole number from 1, however: beam=1.5"),
        ({"min_words": -1}, "min_words is a whole number from 0, however: min_words=-1"),
        ({"max_words": 0}, "max_words is a whole number from 1, however: max_words=0"),
        ({"min_words": 5, "max_words": 3}, "min_words is not above max_words, however: min_words=5, max_words=3"),
        ({"min_words": 50}, "min_words is not above max_words, however: min_words=50, max_words=7"),
        ({"length_penalty": -0.1}, "length_penalty is 0 or more, however: length_penalty=-0.1"),
    ],
)
def test_lengths_that_cannot_be_are_refused(learned, options, said):
    with pytest.raises(InputError) as problem:
        learned.predict(films(n=2)[0], **options)
    assert str(problem.value) == said


def test_wrong_parameters_are_said_at_once():
    with pytest.raises(InputError) as problem:
        wrong = {"d_model": 0, "dropout": 1.0, "input_dropout": -0.1, "max_words": 0, "patience": 0, "nan": "x"}
        Captioner(**wrong, batch_size=2.5, n_encoder_layers=-1).fit([], [])
    assert str(problem.value).splitlines() == [
        "d_model is a whole number above zero, however: d_model=0",
        "batch_size is a whole number above zero, however: batch_size=2.5",
        "max_words is a whole number above zero, however: max_words=0",
        "patience is a whole number above zero, however: patience=0",
        "dropout lies in [0, 1), however: dropout=1.0",
        "input_dropout lies in [0, 1), however: input_dropout=-0.1",
        "n_encoder_layers is a whole number from zero, however: n_encoder_layers=-1",
        'nan is "error" or "impute", however: nan=\'x\'',
    ]


def test_specs_and_widths_that_do_not_fit_are_refused(learned):
    X, texts = films()
    with pytest.raises(SpecError, match='did you mean "video"'):
        Captioner("caption -> vidoe", **SMALL).fit(X, texts)
    with pytest.raises(DataError) as problem:
        learned.predict({"video": np.ones((2, 7, 5))})
    assert str(problem.value) == '"video" has 4 columns as in training, however: it has 5'
    with pytest.raises(DataError, match='"vidoe"; did you mean "video"'):
        learned.predict({"vidoe": np.ones((2, 7, 4))})
    with pytest.raises(DataError) as problem:
        Captioner(**SMALL).fit(X, texts, groups=[1, 2])
    assert str(problem.value) == "groups name one group for each clip, however: len(groups)=2, len(samples)=43"


def test_modalities_that_no_clause_asks_are_carried_along():
    X, texts = films()
    model = Captioner("caption -> video", **{**SMALL, "max_epochs": 1}).fit(X, texts)
    assert model.network_.names == ("video",)
    only = {"video": X["video"]}
    assert [c.text for c in model.predict(X)] == [c.text for c in model.predict(only)]
    assert list(model.predict(X, need_attention=True)[0].attention) == ["video"]
    assert model.predict({"audio": X["audio"]}, need_attention=True)[0].attention == {}


def test_a_fit_that_is_broken_off_leaves_no_model():
    X, texts = films()

    def stop(line):
        raise KeyboardInterrupt

    model = Captioner(**{**SMALL, "max_epochs": 1}).fit(X, texts)
    with pytest.raises(KeyboardInterrupt):
        model.set_params(callback=stop).fit(X, texts)
    assert not hasattr(model, "network_")
    with pytest.raises(Exception, match="not fitted"):
        model.predict(X)


def test_it_is_cloned_with_its_parameters():
    model = Captioner("caption -> video", d_model=8)
    assert clone(model).get_params() == model.get_params()


def test_without_the_library_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    X, texts = films(n=12)
    with pytest.raises(MissingDependencyError, match="intermodal\\[find\\]"):
        Captioner(**SMALL).fit(X, texts)
