"""Films of scans: every frame shows a scan of the right digit by the right writers."""

import numpy as np
import pytest
from sklearn.datasets import load_digits

from intermodal.errors import InputError
from intermodal.find.scans import FADE, PARTS, SHORTEST, cuts, film, scans, with_articles


def luck(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def plain(digits: list[int], starts: list[int], **changes: float) -> np.ndarray:
    settings = {"noise": 0.0, "blank": 0.0, "fade": 0.0} | changes
    return film(digits, np.array(starts), part="test", rng=luck(), **settings)


def rows(frames: np.ndarray) -> set[bytes]:
    return {row.tobytes() for row in frames}


def test_the_scans_are_those_of_scikit_learn_cut_by_writer() -> None:
    images, labels = load_digits(return_X_y=True)
    for part, rows_of_part in PARTS.items():
        for digit, found in enumerate(scans(part)):
            expected = images[rows_of_part][labels[rows_of_part] == digit] / 16
            np.testing.assert_array_equal(found, expected.astype(np.float32))
    assert PARTS["train"].stop == PARTS["test"].start and PARTS["test"].stop == len(images)


def test_no_scan_is_in_both_parts() -> None:
    train, test = (rows(np.concatenate(scans(part))) for part in ("train", "test"))
    assert not train & test
    assert len(train) > 1000 and len(test) > 500


def test_every_frame_is_a_scan_of_the_digit_that_is_on() -> None:
    frames = plain([7, 3, 7], [0, 5, 11, 18])
    for digit, start, stop in ((7, 0, 5), (3, 5, 11), (7, 11, 18)):
        of_digit = scans("test")[digit]
        assert all((frame == of_digit).all(1).any() for frame in frames[start:stop])


def test_a_digit_is_not_the_same_scan_all_the_time() -> None:
    assert len(rows(plain([7], [0, 31]))) > 15


def test_noise_has_the_standard_deviation_that_was_asked_for() -> None:
    noisy = film([7], np.array([0, 500]), part="test", noise=0.3, blank=1.0, fade=0.0, rng=luck())
    assert noisy.std() == pytest.approx(0.3, rel=0.02)
    assert abs(noisy.mean()) < 0.01


def test_the_share_of_blank_frames() -> None:
    frames = plain([7], [0, 1000], blank=0.3)
    assert (frames == 0).all(1).mean() == pytest.approx(0.3, abs=0.05)
    assert not (plain([7], [0, 100]) == 0).all(1).any()


def test_a_fade_goes_from_the_digit_before_to_the_digit_after() -> None:
    """Each digit's mean image is the unit: the share of the one that comes rises along the fade."""
    before, after = scans("test")[1].mean(0), scans("test")[0].mean(0)
    many = np.stack(
        [
            film([1, 0], np.array([0, 9, 18]), part="test", noise=0.0, blank=0.0, fade=1.0, rng=luck(i))
            for i in range(400)
        ]
    ).mean(0)
    share = ((many - before) @ (after - before)) / ((after - before) @ (after - before))
    expected = np.zeros(18)
    expected[9:] = 1
    expected[9 - FADE // 2 : 9 + FADE // 2] = (np.arange(FADE) + 0.5) / FADE
    np.testing.assert_allclose(share, expected, atol=0.06)


def test_no_segment_is_shorter_than_the_shortest() -> None:
    for seed in range(50):
        starts = cuts(5, 23, luck(seed))
        assert starts[0] == 0 and starts[-1] == 23 and len(starts) == 6
        assert np.diff(starts).min() >= SHORTEST


def test_cuts_fall_everywhere() -> None:
    lengths = np.array([np.diff(cuts(3, 17, luck(seed))) for seed in range(300)])
    assert {len(set(column)) for column in lengths.T} == {17 - 3 * SHORTEST + 1}


def test_an_unknown_part() -> None:
    with pytest.raises(InputError, match=r"""^part is "train" or "test", however: part='valid'$"""):
        scans("valid")


def test_an_eight_gets_its_article() -> None:
    assert with_articles("a eight after a one") == "an eight after a one"
