"""Videos with questions: the answers are right, seen from the pixels and from the words."""

import re
from itertools import pairwise

import numpy as np
import pytest

from intermodal.errors import InputError
from intermodal.find.digit_films import LEVELS, DigitVideos, Level, digit_videos
from intermodal.find.scans import NAMES, scans


def clean(level: str, n: int, **more: object) -> DigitVideos:
    """The level without noise, blanks and fades, so that every frame can be looked up."""
    like = LEVELS[level]
    bare = Level(like.frames, like.segments, 0.0, twice=like.twice, relational=like.relational)
    return digit_videos(bare, n, **more)  # type: ignore[arg-type]


def frames_of(made: DigitVideos, row: int) -> np.ndarray:
    return made.samples[[row]].modality("video").values


def shown(frames: np.ndarray, part: str) -> list[int]:
    """The digit of every frame, found by its pixels."""
    digit_of = {scan.tobytes(): digit for digit, found in enumerate(scans(part)) for scan in found}
    return [digit_of[frame.tobytes()] for frame in frames]


def runs(digits: list[int]) -> list[tuple[int, int, int]]:
    """(digit, first frame, frame after the last) of each run."""
    starts = [0, *(i for i in range(1, len(digits)) if digits[i] != digits[i - 1]), len(digits)]
    return [(digits[a], a, b) for a, b in pairwise(starts)]


def answers(question: str, digits: list[int]) -> list[tuple[int, int]]:
    """Read the question by itself: the runs that answer it."""
    named = [NAMES.index(word) for word in re.findall("|".join(NAMES), question)]
    found = runs(digits)
    of_a = [i for i, (digit, _, _) in enumerate(found) if digit == named[0]]
    if len(named) == 2:
        (at,) = (i for i, (digit, _, _) in enumerate(found) if digit == named[1])
        of_a = [i for i in of_a if (i > at if " after " in question else i < at)]
    return [found[i][1:] for i in of_a]


@pytest.mark.parametrize("level", list(LEVELS))
@pytest.mark.parametrize("part", ["train", "test"])
def test_the_answers_are_those_of_who_reads_question_and_pixels(level: str, part: str) -> None:
    made = clean(level, 37, part=part, seed=3, fps=4.0)
    for row, question in enumerate(made.queries):
        digits = shown(frames_of(made, row), part)
        assert [digit for digit, _, _ in runs(digits)] == made.digits[row]
        assert [tuple(span) for span in made.spans[row] * 4] == answers(question, digits)


@pytest.mark.parametrize("level", list(LEVELS))
def test_the_digit_that_is_asked_for_never_comes_where_it_is_absent(level: str) -> None:
    made = clean(level, 37, seed=3, absent=1.0)
    for row, question in enumerate(made.queries):
        named = [NAMES.index(word) for word in re.findall("|".join(NAMES), question)]
        assert named[0] not in shown(frames_of(made, row), "train")
        assert made.spans[row].shape == (0, 2)
        assert all(made.digits[row].count(other) == 1 for other in named[1:])


def test_the_words_do_not_tell_what_is_absent() -> None:
    """A level of relational questions asks them for absent digits too."""
    made = digit_videos("rel", 53, absent=0.5, seed=1)
    order = np.array([" after " in q or " before " in q for q in made.queries])
    absent = np.array([len(spans) == 0 for spans in made.spans])
    assert order.all()
    assert 15 < absent.sum() < 38


def test_a_relational_question_has_one_answer_of_two_occurrences() -> None:
    made = digit_videos("rel", 41, seed=5)
    words = [" after " in q for q in made.queries]
    assert 0.2 < np.mean(words) < 0.8
    for question, spans, digits in zip(made.queries, made.spans, made.digits, strict=True):
        a, b = (NAMES.index(word) for word in re.findall("|".join(NAMES), question))
        assert digits.count(a) == 2 and digits.count(b) == 1 and len(spans) == 1


def test_the_shares_of_the_levels() -> None:
    two = digit_videos("two", 300, seed=0)
    assert np.mean([len(spans) == 2 for spans in two.spans]) == pytest.approx(0.5, abs=0.1)
    hard = digit_videos("hard", 300, seed=0)
    assert np.mean([" the part " in q or "after" in q or "before" in q for q in hard.queries]) > 0.4
    assert np.mean(["after" in q or "before" in q for q in hard.queries]) == pytest.approx(0.5, abs=0.1)
    assert {len(digits) for digits in hard.digits} == {8, 9, 10, 11, 12}


def test_the_same_arguments_give_the_same_videos_and_another_seed_others() -> None:
    one, again, other = (digit_videos("hard", 3, seed=seed) for seed in (7, 7, 8))
    assert one.queries == again.queries and one.digits == again.digits
    np.testing.assert_array_equal(one.samples.modality("video").values, again.samples.modality("video").values)
    assert one.digits != other.digits


def test_seconds_follow_the_frame_rate() -> None:
    slow, fast = (digit_videos("easy", 5, fps=fps) for fps in (1.0, 8.0))
    for a, b in zip(slow.spans, fast.spans, strict=True):
        np.testing.assert_allclose(a, 8 * b)


@pytest.mark.parametrize("frames", [128, (100, 140)])
def test_a_longer_film_has_more_segments(frames: int | tuple[int, int]) -> None:
    made = digit_videos("noisy", 40, frames=frames)
    lengths = made.samples.modality("video").lengths
    assert lengths.min() >= 100 and lengths.max() <= 140
    assert len(set(lengths.tolist())) > 10 or frames == 128
    assert min(map(len, made.digits)) >= 8 and max(map(len, made.digits)) <= 15


def test_an_eight_is_asked_for_in_english() -> None:
    assert not any("a eight" in q for q in digit_videos("rel", 60).queries)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: digit_videos("eazy"), r'^level is one of easy, .*, long, however: "eazy"; did you mean "easy"\?$'),
        (lambda: digit_videos("easy", 0), "^there is a video, with frames, however: n=0, "),
        (lambda: digit_videos("easy", 2, fps=0.0), r"however: n=2, fps=0\.0"),
        (lambda: digit_videos("easy", 2, absent=1.5), r"absent=1\.5"),
        (lambda: digit_videos("easy", 2, frames=(9, 5)), r"frames=\(9, 5\)"),
        (lambda: digit_videos("easy", 2, frames=8), "^a film has 1 segments or more, each of 4 frames at least"),
        (lambda: digit_videos("easy", 2, part="valid"), '^part is "train" or "test"'),
        (lambda: Level(16, (3, 5), 0.1), r"however: self\.segments=\(3, 5\), self\.frames=16$"),
        (lambda: Level(64, (2, 5), 0.1, relational=0.5), "^a film has 3 segments or more"),
        (lambda: Level(64, (3, 5), 0.1, blank=1.5), "^noise is 0 or more and a share lies between 0 and 1"),
        (lambda: Level(64, (3, 5), float("nan")), "^noise is 0 or more"),
    ],
)
def test_sizes_that_do_not_fit(make: object, message: str) -> None:
    with pytest.raises(InputError, match=message):
        make()  # type: ignore[operator]
