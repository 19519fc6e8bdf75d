"""Clips, captions and reviews: each says what the pixels show."""

import re
from itertools import pairwise

import numpy as np
import pytest

from intermodal.errors import InputError
from intermodal.find.digit_scenes import DigitClips, digit_clips, digit_reviews
from intermodal.find.scans import NAMES, SHORTEST, scans


def named(text: str) -> tuple[int, ...]:
    return tuple(NAMES.index(word) for word in re.findall("|".join(NAMES), text))


def shown(made: DigitClips, row: int, part: str) -> list[int]:
    digit_of = {scan.tobytes(): digit for digit, found in enumerate(scans(part)) for scan in found}
    return [digit_of[frame.tobytes()] for frame in made.samples[[row]].modality("video").values]


@pytest.mark.parametrize("part", ["train", "test"])
def test_captions_name_what_the_pixels_show_in_order(part: str) -> None:
    made = digit_clips(31, n_digits=(2, 4), repeats=True, noise=0.0, part=part, seed=2)
    for row, text in enumerate(made.texts):
        frames = shown(made, row, part)
        starts = [0, *(i for i in range(1, len(frames)) if frames[i] != frames[i - 1])]
        assert tuple(frames[i] for i in starts) == made.digits[row] == named(text)
        assert np.diff([*starts, len(frames)]).min() >= SHORTEST
    assert {len(digits) for digits in made.digits} == {2, 3, 4}
    assert any(len(set(digits)) < len(digits) for digits in made.digits)
    assert all(a != b for digits in made.digits for a, b in pairwise(digits))


def test_captions_are_distinct_as_long_as_there_are_different_ones() -> None:
    assert len(set(digit_clips(500).texts)) == 500
    assert len(set(digit_clips(90, n_digits=2).texts)) == 90
    assert len(set(digit_clips(97, n_digits=2).texts)) == 90
    assert len(set(digit_clips(90, n_digits=2, distinct=False).texts)) < 80


def test_sets_of_digits_that_differ_in_nothing_but_the_order() -> None:
    made = digit_clips(43, n_digits=4, n_sets=5)
    assert len(made) == 43 and len(set(made.texts)) == 43
    assert len({frozenset(digits) for digits in made.digits}) == 5


def test_the_same_arguments_give_the_same_clips_and_another_seed_others() -> None:
    one, again, other = (digit_clips(7, seed=seed) for seed in (3, 3, 4))
    assert one.texts == again.texts
    np.testing.assert_array_equal(one.samples.modality("video").values, again.samples.modality("video").values)
    assert one.texts != other.texts


def test_noise_is_added_to_every_pixel() -> None:
    clean, noisy = (digit_clips(5, noise=noise).samples.modality("video").values for noise in (0.0, 0.4))
    assert (noisy - clean).std() == pytest.approx(0.4, rel=0.03)


def test_reviews_say_what_is_loved_and_what_is_hated() -> None:
    made = digit_reviews(67, seed=3)
    for text, loved, hated in zip(made.texts, made.loved, made.hated, strict=True):
        assert named(text) == (*loved, hated) and len({*loved, hated}) == 3
        assert re.fullmatch(r"i loved the clip with an? \w+ and an? \w+ but hated the \w+", text)
    assert digit_reviews(67, seed=3) == made != digit_reviews(67, seed=4)
    assert not any("a eight" in text for text in made.texts)


def test_relevant_is_both_loved_and_not_hated() -> None:
    clips, reviews = digit_clips(53, n_digits=(2, 6), seed=1), digit_reviews(29)
    expected = [
        [set(loved) <= set(digits) and hated not in digits for digits in clips.digits]
        for loved, hated in zip(reviews.loved, reviews.hated, strict=True)
    ]
    np.testing.assert_array_equal(reviews.relevant(clips), expected)
    assert 0 < np.mean(expected) < 0.5


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"n": 0}, "^a clip has 1 to 10 digits, each on for 4 frames at least, however: n=0, "),
        ({"n_digits": 11}, "n_digits=11"),
        ({"n_digits": (3, 2)}, r"n_digits=\(3, 2\)"),
        ({"n_digits": 5, "frames": 19}, "frames=19"),
        ({"noise": -0.1}, r"noise=-0\.1$"),
        (
            {"n_sets": 5, "repeats": True},
            "^sets have one size and no repeats, and there are 120 of 3 digits, however: ",
        ),
        ({"n_sets": 5, "n_digits": (2, 3)}, r"n_digits=\(2, 3\)"),
        ({"n_sets": 121}, "n_sets=121"),
        ({"n_sets": 1, "n": 7}, "^3 digits stand in 6 orders, however: 7 clips a set$"),
    ],
)
def test_sizes_that_do_not_fit(settings: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        digit_clips(**settings)


def test_no_review() -> None:
    with pytest.raises(InputError, match=r"^there is a review, however: n=0$"):
        digit_reviews(0)
