"""The localizer: what it learns, what it promises, and what it says of input that cannot be used."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from intermodal.data.samples import Samples
from intermodal.errors import InputError
from intermodal.find import loading, moments
from intermodal.find.moment_answers import Moments, overlap
from intermodal.find.moment_network import MomentNetwork
from intermodal.find.moment_rows import parted
from intermodal.find.moments import MomentLocalizer
from intermodal.find.queries import Queries
from intermodal.find.text_line import likeness

RATE = 2.0
SIZES: dict[str, Any] = {"d_model": 12, "n_heads": 2, "n_layers": 1, "batch_size": 16}


def signs(n: int, seed: int, *, absent: float = 0.0) -> tuple[dict[str, Any], list[str], list[Any]]:
    """Videos in which one of three signs is on for a while, and the question when."""
    rng = np.random.default_rng(seed)
    videos, sounds, queries, spans = [], [], [], []
    for _ in range(n):
        length = int(rng.integers(11, 24))
        start = int(rng.integers(0, length - 5))
        end = int(rng.integers(start + 3, length + 1))
        sign = int(rng.integers(3))
        frames = 0.3 * rng.normal(size=(length, 5))
        frames[start:end, sign] += 2.0
        videos.append(frames)
        sounds.append(rng.normal(size=(2 * length, 3)))
        missing = rng.random() < absent
        asked = (sign + 1 + int(rng.integers(2))) % 3 if missing else sign
        queries.append(f"when is the {('red', 'green', 'blue')[asked]} light on")
        spans.append(None if missing else (start / RATE, end / RATE))
    return {"video": videos, "audio": sounds}, queries, spans


FPS = {"video": RATE, "audio": 2 * RATE}


@pytest.fixture(scope="module")
def fitted() -> MomentLocalizer:
    X, queries, spans = signs(160, 0, absent=0.3)
    X["where"] = list(np.random.default_rng(1).normal(size=(160, 7)))
    X["audio"][3] = None
    X["where"][5] = None
    return MomentLocalizer(**SIZES, clip=0.5, max_epochs=14, lr=6e-3).fit(X, queries, spans, fps=FPS)


def same(a: list[Moments], b: list[Moments], *, atol: float = 1e-9) -> None:
    assert len(a) == len(b)
    for x, y in zip(a, b, strict=True):
        np.testing.assert_allclose(x.spans, y.spans, atol=atol)
        np.testing.assert_allclose(x.scores, y.scores, atol=atol)
        np.testing.assert_allclose(x.timeline.relevance, y.timeline.relevance, atol=atol)
        np.testing.assert_allclose(x.timeline.attention, y.timeline.attention, atol=atol)
        assert x.happens == pytest.approx(y.happens, abs=atol) and x.query == y.query


def test_finds_the_moment_in_new_videos(fitted: MomentLocalizer) -> None:
    X, queries, spans = signs(60, 9)
    assert fitted.score(X, queries, spans) > 0.85
    found = fitted.predict(X, queries, top=1)
    near = [abs(f.spans[0] - s).max() <= 0.5 for f, s in zip(found, spans, strict=True)]
    assert np.mean(near) > 0.7


def test_tells_what_does_not_happen(fitted: MomentLocalizer) -> None:
    X, queries, spans = signs(120, 9, absent=0.5)
    happens = np.array([f.happens for f in fitted.predict(X, queries)], dtype=float)
    there = np.array([s is not None for s in spans])
    above = (happens[there][:, None] > happens[~there][None]).mean()
    assert above > 0.85
    assert happens.min() >= 0 and happens.max() <= 1


def test_an_answer_holds_what_it_promises(fitted: MomentLocalizer) -> None:
    X, queries, _ = signs(7, 5)
    for frames, found in zip(X["video"], fitted.predict(X, queries, top=4), strict=True):
        n = len(frames)
        assert found.spans.shape == (4, 2) and found.scores.shape == (4,)
        assert (
            (found.spans[:, 0] < found.spans[:, 1]).all() and found.spans.min() >= 0 and found.spans.max() <= n / RATE
        )
        assert (np.diff(found.scores) <= 0).all()
        line = found.timeline
        np.testing.assert_allclose(line.times, np.stack([np.arange(n), np.arange(n) + 1], 1) / RATE)
        assert line.words == ["when", "is", "the", line.words[3], "light", "on"]
        assert line.attention.shape == (6, n) and line.attention.min() >= 0
        assert (line.attention.sum(0) < 1).all()  # nobody, and the vector, got the rest
        assert line.relevance.shape == (n,) and line.relevance.min() >= 0 and line.relevance.max() <= 1


def test_relevance_is_high_inside_and_low_outside(fitted: MomentLocalizer) -> None:
    X, queries, spans = signs(40, 9)
    inside, outside = [], []
    for found, (start, end) in zip(fitted.predict(X, queries), spans, strict=True):
        middle = found.timeline.times.mean(1)
        there = (middle > start) & (middle < end)
        inside.append(found.timeline.relevance[there].mean())
        outside.append(found.timeline.relevance[~there].mean())
    assert np.mean(inside) > 0.7 > 0.3 > np.mean(outside)


def test_an_answer_depends_neither_on_its_batch_nor_on_its_order(fitted: MomentLocalizer) -> None:
    X, queries, _ = signs(7, 5)
    together = fitted.predict(X, queries)
    back = fitted.predict({k: v[::-1] for k, v in X.items()}, queries[::-1])[::-1]
    alone = [fitted.predict({k: v[i : i + 1] for k, v in X.items()}, queries[i : i + 1])[0] for i in range(7)]
    same(together, back)
    same(together, alone)


def test_several_queries_may_ask_one_video(fitted: MomentLocalizer) -> None:
    X, queries, _ = signs(3, 5)
    one = fitted.predict(X, queries[:1] * 3, videos=[2, 0, 2])
    two = fitted.predict({k: [v[2], v[0]] for k, v in X.items()}, queries[:1] * 2)
    same(one, [two[0], two[1], two[0]])
    same(fitted.predict({k: v[2:] for k, v in X.items()}, queries[:1] * 2), [two[0], two[0]])


def test_a_missing_stream_is_as_if_it_had_never_been_there(fitted: MomentLocalizer) -> None:
    X, queries, _ = signs(5, 5)
    gone = fitted.predict({"video": X["video"], "audio": [None, *X["audio"][1:]]}, queries)
    never = fitted.predict({"video": X["video"]}, queries)
    same(gone[:1], never[:1])
    same(gone[1:], fitted.predict(X, queries)[1:])
    assert abs(gone[0].scores - fitted.predict(X, queries)[0].scores).max() > 1e-6


def test_a_vector_of_the_video_is_asked(fitted: MomentLocalizer) -> None:
    X, queries, _ = signs(2, 5)
    plain = fitted.predict(X, queries)
    told = fitted.predict(X | {"where": [np.full(7, 2.0), None]}, queries)
    assert abs(plain[0].timeline.attention - told[0].timeline.attention).max() > 1e-6
    same(plain[1:], told[1:])


def test_another_rate_of_the_same_video_gives_nearly_the_same_answer(fitted: MomentLocalizer) -> None:
    X, queries, _ = signs(5, 5)
    twice = {name: [np.repeat(frames, 2, 0) for frames in stream] for name, stream in X.items()}
    same(fitted.predict(X, queries), fitted.predict(twice, queries, fps={k: 2 * v for k, v in FPS.items()}), atol=1e-5)


def test_saved_and_loaded_answers_are_identical(fitted: MomentLocalizer, tmp_path: Path) -> None:
    X, queries, _ = signs(5, 5)
    folder = fitted.save(tmp_path / "model")
    again = loading.load(folder)
    assert isinstance(again, MomentLocalizer)
    same(fitted.predict(X, queries), again.predict(X, queries), atol=0)
    assert again.get_params() == fitted.get_params() and again.history_ == fitted.history_
    with pytest.raises(InputError, match="exists"):
        fitted.save(folder)


def test_the_same_seed_gives_the_same_model() -> None:
    X, queries, spans = signs(24, 0)
    state = torch.random.get_rng_state()
    one, two, other = (
        MomentLocalizer(**SIZES, max_epochs=2, line=True, seed=seed).fit(X, queries, spans, fps=FPS)
        for seed in (3, 3, 4)
    )
    assert torch.equal(state, torch.random.get_rng_state())
    for a, b, c in zip(*(m.network_.state_dict().values() for m in (one, two, other)), strict=True):
        assert torch.equal(a, b)
        assert a.ndim < 2 or not torch.equal(a, c)


def test_without_absent_queries_nothing_is_said_of_happening() -> None:
    X, queries, spans = signs(24, 0)
    model = MomentLocalizer(**SIZES, max_epochs=1).fit(X, queries, spans, fps=FPS)
    assert model.predict(X, queries)[0].happens is None
    model = MomentLocalizer(**SIZES, max_epochs=1, borrow=0.5).fit(X, queries, spans, fps=FPS)
    assert 0 <= model.predict(X, queries)[0].happens <= 1


def test_a_line_is_drawn_where_it_is_wanted_or_better_on_videos_held_out(monkeypatch: pytest.MonkeyPatch) -> None:
    X, queries, spans = signs(24, 0)

    def fit(line: Any, **options: Any) -> MomentLocalizer:
        return MomentLocalizer(**SIZES, max_epochs=1, line=line, **options).fit(X, queries, spans, fps=FPS)

    def top(model: MomentLocalizer) -> float:
        return model.history_[0]["valid"]

    without, drawn = fit(False), fit(True)
    assert list(without.lines_) == [] and list(drawn.lines_) == ["video", "audio"]
    assert top(without) != top(drawn)
    better = max(without, drawn, key=top)
    chosen = fit("auto")
    assert (list(chosen.lines_), top(chosen)) == (list(better.lines_), top(better))
    with torch.no_grad():
        for a, b in zip(chosen.network_.parameters(), better.network_.parameters(), strict=True):
            assert torch.equal(a, b)
    assert list(fit("auto", validation=0.0).lines_) == []  # nothing to judge by
    monkeypatch.setattr(moments, "top_of", lambda history: -max(line["valid"] for line in history))
    assert list(fit("auto").lines_) != list(better.lines_)
    monkeypatch.setattr(moments, "top_of", lambda history: float(len(history)))
    monkeypatch.setattr(moments, "FEW", 20)
    assert list(fit("auto").lines_) == []


def test_query_vectors_are_learned_too() -> None:
    X, queries, spans = signs(96, 0)
    of = {"red": 0, "green": 1, "blue": 2}
    vectors = [np.eye(3)[[of[text.split()[3]]]] for text in queries]
    model = MomentLocalizer(**SIZES, clip=0.5, max_epochs=14, lr=6e-3).fit(X, vectors, spans, fps=FPS)
    new, asked, answers = signs(40, 9)
    told = np.stack([np.eye(3)[of[text.split()[3]]] for text in asked])
    assert model.score(new, told, answers) > 0.8
    found = model.predict(new, told)[0]
    assert found.timeline.words == ["1"] and found.query is None
    with pytest.raises(InputError, match="width 3 as in training, however: 4"):
        model.predict(new, np.ones((40, 4)))


def test_groups_and_parts_are_kept_apart() -> None:
    X, queries, spans = signs(24, 0)
    split = np.array(["train"] * 12 + ["valid"] * 6 + ["test"] * 6)
    numbers = [np.full_like(v, 1e6) if part == "test" else v for v, part in zip(X["video"], split, strict=True)]
    samples = Samples(X | {"video": numbers}, split=split)
    model = MomentLocalizer(**SIZES, max_epochs=1).fit(samples, queries, spans, fps=FPS)
    assert abs(model.preprocessor_.scalings["video"].mean).max() < 10
    held = {name: stream[12:18] for name, stream in X.items()}
    found = model.predict(held, queries[12:18], top=1)
    mean = np.mean([overlap(f.spans, np.array([s])).max() for f, s in zip(found, spans[12:18], strict=True)])
    assert model.history_[0]["valid"] == pytest.approx(mean, abs=1e-3)
    groups = np.arange(24) // 6
    given = {"validation": 0.15, "borrow": 0.0, "seed": 0}
    answers = [np.ones((1, 2))] * 24
    rows = parted(Samples(X), Queries(queries, model.words_), np.arange(24), answers, groups=groups, **given)
    assert not set(groups[rows.learn]) & set(groups[rows.held]) and len(rows.held) == 6


def test_several_true_moments_are_ranked_first() -> None:
    rng = np.random.default_rng(0)
    videos, spans = [], []
    for _ in range(120):
        frames = 0.3 * rng.normal(size=(30, 3))
        a, b = int(rng.integers(1, 9)), int(rng.integers(16, 23))
        frames[a : a + 5, 0] += 2
        frames[b : b + 6, 0] += 2
        videos.append(frames)
        spans.append(np.array([[a, a + 5], [b, b + 6]], dtype=float))
    model = MomentLocalizer(**SIZES, max_epochs=14, lr=6e-3).fit({"v": videos[:100]}, ["it"] * 100, spans[:100])
    hits = 0
    for found, true in zip(model.predict({"v": videos[100:]}, ["it"] * 20), spans[100:], strict=True):
        order = np.argsort(found.spans[:2, 0])
        hits += int(abs(found.spans[:2][order] - true).max() < 1.5)
    assert hits >= 16


def test_padding_changes_nothing_in_the_network() -> None:
    torch.manual_seed(0)
    network = MomentNetwork({"a": 5, "b": 3}, {"c": 7}, lines=["b"], n_words=11, d_model=12, n_heads=2).double().eval()
    directions = torch.randn(2, 3).double()
    n = 13
    x = {"a": torch.randn(2, n, 5), "b": torch.randn(2, n, 3), "c": torch.randn(2, 7)}
    x = {k: v.double() for k, v in x.items()}
    present = {
        "a": torch.ones(2, n, dtype=torch.bool),
        "b": torch.ones(2, n, dtype=torch.bool),
        "c": torch.tensor([True, False]),
    }
    present["b"][0, 4:7] = False
    words, said = torch.tensor([[1, 4, 0], [7, 2, 0]]), torch.tensor([[True, True, True], [True, True, False]])
    within = torch.ones(2, n, dtype=torch.bool)
    alone = network(
        x, present, within, {"b": likeness(x["b"], present["b"], directions, 2.0)}, words, said, need_weights=True
    )
    for left, right in ((0, 6), (4, 0), (3, 5)):

        def padded(t: torch.Tensor, fill: Any, left: int = left, right: int = right) -> torch.Tensor:
            return torch.cat(
                [t.new_full((2, left, *t.shape[2:]), fill), t, t.new_full((2, right, *t.shape[2:]), fill)], 1
            )

        wide = {"a": padded(x["a"], np.nan), "b": padded(x["b"], np.nan), "c": x["c"]}
        there = {"a": padded(present["a"], False), "b": padded(present["b"], False), "c": present["c"]}
        inner = slice(left, left + n)
        near = {"b": likeness(wide["b"], there["b"], directions, 2.0)}
        said_so = (padded(words, 3), padded(said, False))
        seen = network(wide, there, padded(within, False), near, *said_so, need_weights=True)
        torch.testing.assert_close(seen.inside[:, inner], alone.inside)
        torch.testing.assert_close(seen.scored.total, alone.scored.total)
        torch.testing.assert_close(seen.happens, alone.happens)
        torch.testing.assert_close(seen.asked[:, :, inner, left : left + 3], alone.asked[..., :3])


def test_every_parameter_gets_a_gradient() -> None:
    torch.manual_seed(0)
    network = MomentNetwork({"a": 5, "b": 3}, {"c": 7}, lines=["a"], n_words=6, d_model=12, n_heads=2).train()
    within = torch.ones(4, 13, dtype=torch.bool)
    x = {"a": torch.randn(4, 13, 5), "b": torch.randn(4, 13, 3), "c": torch.randn(4, 7)}
    present = {"a": within, "b": within, "c": within[:, 0]}
    near = {"a": torch.randn(4, 13, 3)}
    seen = network(x, present, within, near, torch.arange(6).expand(4, 6), torch.ones(4, 6, dtype=torch.bool))
    (
        seen.scored.total.sum() - seen.scored.starts[:, 3].sum() - seen.scored.ends[:, 7].sum() + seen.happens.sum()
    ).backward()
    without = [name for name, p in network.named_parameters() if p.grad is None or not float(p.grad.abs().max()) > 1e-9]
    assert without == []


X2 = {"video": [np.ones((4, 3)), np.ones((6, 3))]}
WRONG: list[tuple[dict[str, Any], str]] = [
    ({"queries": []}, "there is at least one query, however: the list is empty"),
    ({"queries": "a dog"}, "queries are a list, however: one text was given; write ['a dog']"),
    ({"queries": ["a", "?!"]}, "query 1: a query holds a word, however: '?!'"),
    ({"queries": ["a", 3]}, "queries are all texts or all vectors, however: query 1 is of type int"),
    ({"spans": [(0, 1)]}, "spans has one entry for each query, however: 1 for 2 queries"),
    ({"spans": 3}, "spans are a list, one entry for each query, however: they are of type int"),
    ({"spans": [(0, 1), (2, 1)]}, "a moment starts before it ends, however: query 1 has (2, 1), which is reversed"),
    ({"spans": [(0, 1), (1, 1)]}, "a moment starts before it ends, however: query 1 has (1, 1), which is of no length"),
    ({"spans": [(0, 1), (1, 9)]}, "a moment lies within its video, of 6 seconds, however: query 1 has (1, 9)"),
    ({"spans": [(-1, 1), (1, 2)]}, "a moment lies within its video, of 4 seconds, however: query 0 has (-1, 1)"),
    ({"spans": [(4, 5), (1, 2)]}, "a moment lies within its video, of 4 seconds, however: query 0 has (4, 5)"),
    ({"spans": [(0, np.nan), (1, 2)]}, "a moment has finite seconds, however: query 0 has (0, nan)"),
    (
        {"spans": [(0, 1, 2), (1, 2)]},
        "moments are (start, end) or an array (k, 2) of seconds, however: those of query 0 have the shape (3,)",
    ),
    ({"spans": [("a", "b"), (1, 2)]}, "a moment is (start, end) in seconds, however: query 0 has ('a', 'b')"),
    ({"spans": [None, []]}, "a query to learn from happens, however: the spans of all of them are empty"),
    (
        {"queries": ["a"]},
        "videos names the row of each query's video, however: there are 1 queries for 2 videos, and videos is None",
    ),
    ({"videos": [0]}, "videos names one row for each query, however: rows.shape=(1,), n_queries=2"),
    ({"videos": [0, 2]}, "videos are rows from 0 to 1, however: query 1 asks video 2"),
    ({"videos": [0.0, 1.0]}, "videos are rows, whole numbers from 0, however: they are of type float64"),
    ({"groups": [0]}, "groups name one group for each video, however: len(groups)=1, len(samples)=2"),
    ({"X": {"video": [np.ones((4, 3)), None]}}, "a video has a frame, however: video 1 has none"),
    ({"fps": 0}, 'fps is a number of tokens a second above zero, however: 0 for "video"'),
]


@pytest.mark.parametrize(("change", "message"), WRONG, ids=[message[:40] for _, message in WRONG])
def test_wrong_input_is_told_in_a_sentence(change: dict[str, Any], message: str) -> None:
    given: dict[str, Any] = {"X": X2, "queries": ["a dog", "a cat"], "spans": [(0, 1), (1, 2)]} | change
    with pytest.raises(InputError) as told:
        MomentLocalizer(**SIZES).fit(given.pop("X"), given.pop("queries"), given.pop("spans"), **given)
    assert str(told.value) == message


def test_an_end_a_frame_after_the_video_is_its_end() -> None:
    model = MomentLocalizer(**SIZES, max_epochs=1).fit(X2, ["a dog", "a cat"], [(0, 4.9), (1, 2)])
    assert len(model.history_) == 1


def test_wrong_parameters_are_told_at_once() -> None:
    with pytest.raises(InputError) as told:
        MomentLocalizer(d_model=0, dropout=1.0, clip=0, lr=-1, borrow=-1, patience=0, line="no").fit(
            X2, ["a"], [(0, 1)]
        )
    assert str(told.value).split("\n") == [
        "d_model is a whole number above zero, however: d_model=0",
        "dropout lies in [0, 1), however: dropout=1.0",
        "lr is a number above zero, however: lr=-1",
        "clip is a number above zero, however: clip=0",
        "borrow is a number, 0 or more, however: borrow=-1",
        "line is True, False or \"auto\", however: line='no'",
        "patience is a whole number above zero or None, however: patience=0",
    ]


PREDICTED: list[tuple[dict[str, Any], str]] = [
    (
        {"queries": ["when is the red light on", "wann kommt die sieben"]},
        "query 1: a query holds a word that the model was fitted on, however: none of",
    ),
    ({"queries": np.ones((2, 3))}, "queries are texts, as in training, however:"),
    (
        {"X": {"vidoe": [np.ones((4, 5))] * 2}},
        'the videos hold streams that the model was fitted on, however: "vidoe"; did you mean "video"?',
    ),
    ({"X": {"where": np.ones((2, 7))}}, "a video has a stream, a sequence of vectors, however: there is none"),
    ({"fps": {"video": -1}}, "fps is a number of tokens a second above zero, however: -1"),
    ({"top": 0}, "top is a whole number above zero, however: top=0"),
    ({"X": {"video": [np.ones((4, 6))] * 2}}, '"video" has 5 columns as in training, however: it has 6'),
]


@pytest.mark.parametrize(("change", "message"), PREDICTED, ids=[message[:40] for _, message in PREDICTED])
def test_wrong_questions_are_told_in_a_sentence(change: dict[str, Any], message: str, fitted: MomentLocalizer) -> None:
    given: dict[str, Any] = {
        "X": {"video": [np.ones((4, 5))] * 2},
        "queries": ["when is the red light on"] * 2,
    } | change
    with pytest.raises(InputError) as told:
        fitted.predict(given.pop("X"), given.pop("queries"), **given)
    assert str(told.value).startswith(message)
