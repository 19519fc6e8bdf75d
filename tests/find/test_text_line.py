"""A closed-form line from texts to clips: against scikit-learn's ridge, and blind to what it must not see."""

import numpy as np
import pytest
import torch
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import Ridge

from intermodal.errors import InputError
from intermodal.find import text_line
from intermodal.find.text_line import TextLine, likeness

KINDS = {"opens a door": 0, "sits on a sofa": 1, "pours some coffee": 2}


def made(n=47, width=5, seed=0):
    """Films in which a few clips are moved along the column that their text means."""
    rng = np.random.default_rng(seed)
    films, texts, spans = [], [], []
    for _ in range(n):
        film = rng.normal(size=(int(rng.integers(7, 14)), width))
        text = str(rng.choice(list(KINDS)))
        start = float(rng.integers(0, len(film) - 3))
        film[int(start) : int(start) + 3, KINDS[text]] += 4
        films.append(film)
        texts.append(f"a person {text}")
        spans.append(np.array([[start, start + 3]]))
    return texts, films, np.arange(n), spans


def wanted(films, of_film, spans):
    """The formula as a loop: mean of what is inside less mean of the film."""
    rows = []
    for at, found in zip(of_film, spans, strict=True):
        inside, total = np.zeros(films[at].shape[1]), 0.0
        for clip, vector in enumerate(films[at]):
            for start, end in found:
                share = max(0.0, min(end, clip + 1) - max(start, clip))
                inside, total = inside + share * vector, total + share
        rows.append(inside / total - films[at].mean(0))
    return np.array(rows)


def test_the_line_is_a_ridge_from_pieces_of_words_to_what_stands_inside(monkeypatch):
    monkeypatch.setattr(text_line, "STRENGTHS", (2.0,))
    texts, films, at, spans = made()
    spans[3] = np.array([[0.25, 1.5], [4, 5]])
    line, _ = TextLine.fit(texts, films, at, spans)
    counts = TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 5), sublinear_tf=True, max_features=1024)
    x, y = counts.fit_transform(texts).toarray(), wanted(films, at, spans)
    ridge = Ridge(2.0, fit_intercept=False).fit(x, y - y.mean(0))
    new = ["somebody opened doors", "a person sits down"]
    expected = ridge.predict(counts.transform(new).toarray()) + y.mean(0)
    np.testing.assert_allclose(line.directions(new), expected, atol=1e-10)


def test_directions_of_its_own_texts_come_from_films_of_other_groups(monkeypatch):
    monkeypatch.setattr(text_line, "STRENGTHS", (2.0,))
    texts, films, _, spans = made(n=23)
    at = np.arange(23)
    groups = np.arange(23) // 2
    _, seen = TextLine.fit(texts, films, at, spans, groups=groups)
    moved = [film.copy() for film in films]
    for q in (6, 7):  # one group
        moved[q][int(spans[q][0, 0])] += 100
    _, again = TextLine.fit(texts, moved, at, spans, groups=groups)
    np.testing.assert_array_equal(again[[6, 7]], seen[[6, 7]])
    assert (np.abs(again - seen).max(1) > 0).sum() >= 15


def test_two_texts_of_one_film_stay_together(monkeypatch):
    monkeypatch.setattr(text_line, "STRENGTHS", (2.0,))
    texts, films, _, spans = made(n=19)
    at = np.arange(19) // 2
    _, seen = TextLine.fit(texts, films, at, spans)
    moved = [*spans]
    moved[1] = moved[1] + 2.0
    _, again = TextLine.fit(texts, films, at, moved)
    np.testing.assert_array_equal(again[:2], seen[:2])


def test_the_strength_with_the_least_error_on_left_out_parts_is_chosen():
    rng = np.random.default_rng(1)
    texts, films, at, spans = made()
    noise = [rng.normal(size=film.shape) for film in films]
    line, _ = TextLine.fit(texts, films, at, spans)
    blind, _ = TextLine.fit(texts, noise, at, spans)
    asked = [f"a person {text}" for text in KINDS]
    assert np.linalg.norm(line.directions(asked)[0] - line.directions(asked)[1]) > 3
    # Where texts say nothing the strongest ridge wins, and all texts get nearly one direction
    assert np.linalg.norm(blind.directions(asked)[0] - blind.directions(asked)[1]) < 0.03


def test_a_word_in_another_form_and_an_unknown_one_still_give_a_direction():
    line, _ = TextLine.fit(*made())
    assert line.directions(["somebody opening doors"])[0].argmax() == 0
    assert line.directions(["the sofas"])[0].argmax() == 1
    np.testing.assert_allclose(line.directions(["zzzz"])[0], line.shift)
    np.testing.assert_array_equal(line.directions(["A \uff24OOR"]), line.directions(["a door"]))  # a wide D


def test_texts_without_an_answer_and_films_that_are_missing_teach_nothing():
    texts, films, _, spans = made(n=31)
    more = [*texts, "a person opens a door", "a person sits on a sofa"]
    line, seen = TextLine.fit(more, [*films, films[0], None], np.arange(33), [*spans, np.zeros((0, 2)), spans[0]])
    alone, _ = TextLine.fit(more, [*films, None, None], np.arange(33), [*spans, spans[0], spans[0]])
    np.testing.assert_array_equal(line.directions(texts), alone.directions(texts))
    assert np.isfinite(seen).all() and seen[31].argmax() == 0 and seen[32].argmax() == 1


def test_one_group_alone_gives_its_own_texts_no_hint():
    texts, films, at, spans = made(n=7)
    line, seen = TextLine.fit(texts, films, at, spans, groups=np.zeros(7, dtype=int))
    assert not seen.any() and line.directions(texts).any() and line.scale == 1.0


def test_no_text_that_happens_is_refused():
    with pytest.raises(InputError) as raised:
        TextLine.fit(["a", "b"], [np.ones((3, 2)), None], np.arange(2), [np.zeros((0, 2)), np.array([[0.0, 1.0]])])
    assert str(raised.value) == "a line is fitted on texts that happen, however: none of 2 does"


def test_what_was_saved_answers_the_same():
    line, _ = TextLine.fit(*made())
    again = TextLine.restored(line.described(), line.tensors())
    texts = ["a person opens", "coffee, a sofa"]
    np.testing.assert_array_equal(again.directions(texts), line.directions(texts))
    assert again.scale == line.scale


def test_the_scale_is_the_spread_of_what_new_texts_would_show():
    texts, films, at, spans = made()
    line, seen = TextLine.fit(texts, films, at, spans)
    curves = [film @ d - (film @ d).mean() for film, d in zip(films, seen, strict=True)]
    assert line.scale == pytest.approx(np.concatenate(curves).std())


def shown(b=3, t=11, d=5):
    torch.manual_seed(0)
    clips, directions = torch.randn(b, t, d, dtype=torch.float64), torch.randn(b, d, dtype=torch.float64)
    return clips, torch.arange(t)[None] < torch.tensor([11, 7, 2])[:, None], directions


def test_likeness_equals_a_plain_loop():
    clips, present, directions = shown()
    near = likeness(clips, present, directions, 1.7)
    for b in range(3):
        own = clips[b][present[b]].numpy()
        curve = [float((x - own.mean(0)) @ directions[b].numpy()) / 1.7 for x in own]
        spread = np.sqrt(np.mean(np.square(curve))) + 0.2
        best = max(curve) / spread
        expected = [[c, c / spread, c / spread - best] for c in curve]
        np.testing.assert_allclose(near[b][present[b]].numpy(), expected)
        assert not near[b][~present[b]].any()


def test_likeness_does_not_see_padding_or_what_stands_in_it():
    clips, present, directions = shown()
    alone = likeness(clips[1:2, :7], present[1:2, :7], directions[1:2], 1.0)
    clips[~present] = torch.nan
    padded = likeness(clips, present, directions, 1.0)
    torch.testing.assert_close(padded[1:2, :7], alone)
    left = likeness(clips.flip(1), present.flip(1), directions, 1.0).flip(1)
    torch.testing.assert_close(left, padded)


def test_a_film_that_is_missing_or_never_changes_is_like_nothing():
    clips, present, directions = shown()
    present[0], clips[1] = False, clips[1, 0]
    near = likeness(clips, present, directions, 1.0)
    assert not near[0].any() and near[1].abs().max() < 1e-9
