"""The grid of time: frames of any rate averaged onto clips, against the integral written as a loop."""

import math

import numpy as np
import pytest

from intermodal.data.samples import Samples
from intermodal.errors import InputError
from intermodal.find.timegrid import clip_of, counts, durations, on_grid, rates_of


def by_loop(frames: np.ndarray, there: np.ndarray, rate: float, clip: float) -> tuple[np.ndarray, np.ndarray]:
    """The mean of a step function over each clip, frame by frame."""
    n = math.ceil(len(frames) / rate / clip - 1e-9)
    mean, seen = np.zeros((n, frames.shape[1])), np.zeros(n, dtype=bool)
    for t in range(n):
        total = 0.0
        for k in range(len(frames)):
            shared = min((k + 1) / rate, (t + 1) * clip) - max(k / rate, t * clip)
            if shared > 1e-9 and there[k]:
                mean[t] += shared * frames[k]
                total += shared
        if total > 0:
            mean[t] /= total
            seen[t] = True
    return mean, seen


@pytest.mark.parametrize(("rate", "clip"), [(2.0, 0.5), (25.0, 0.4), (3.0, 0.7), (1.0, 0.3), (29.97, 1.0), (0.5, 0.4)])
def test_clips_are_the_mean_of_what_they_cover(rate: float, clip: float) -> None:
    rng = np.random.default_rng(0)
    frames = [rng.normal(size=(n, 3)) for n in (17, 1, 5)]
    holes = [rng.random(len(f)) < 0.3 for f in frames]
    holes[1][:] = False
    given = [np.where(hole[:, None], np.nan, f) for f, hole in zip(frames, holes, strict=True)]
    grid = on_grid(Samples({"video": given}), {"video": rate}, clip).modality("video")
    assert grid.offsets is not None
    for i, (f, hole) in enumerate(zip(frames, holes, strict=True)):
        mean, seen = by_loop(f, ~hole, rate, clip)
        own = slice(grid.offsets[i], grid.offsets[i + 1])
        np.testing.assert_allclose(grid.values[own], mean, atol=1e-5)
        flags = np.ones(len(mean), bool) if grid.token_present is None else grid.token_present[own]
        assert flags.tolist() == seen.tolist()


def test_a_missing_stream_and_a_vector_stay_as_they_are() -> None:
    samples = Samples({"a": [np.ones((7, 2)), None], "b": [np.ones((3, 5)), np.ones((11, 5))], "c": np.eye(2)})
    grid = on_grid(samples, {"a": 2.0, "b": 4.0}, 0.5)
    assert grid.modality("a").lengths.tolist() == [7, 0]
    assert grid.modality("b").lengths.tolist() == [2, 6]
    assert grid.modality("c").values.tolist() == np.eye(2).tolist()


def test_a_video_lasts_as_long_as_its_longest_stream() -> None:
    samples = Samples({"a": [np.ones((7, 2)), None], "b": [np.ones((3, 5)), np.ones((11, 5))]})
    lasts = durations(samples, {"a": 2.0, "b": 4.0})
    assert lasts.tolist() == [3.5, 2.75]
    assert counts(lasts, 0.5).tolist() == [7, 6]
    assert counts(np.array([0.1, 0.3 / 0.1 * 0.1]), 0.1).tolist() == [1, 3]


def test_a_clip_is_a_frame_until_that_is_too_many() -> None:
    assert clip_of({"a": 2.0, "b": 4.0}, np.array([64.0])) == 0.25
    assert clip_of({"a": 4.0}, np.array([64.1])) == 0.5
    assert clip_of({"a": 25.0}, np.array([3600.0, 3600.0, 1.0])) == pytest.approx(0.04 * 2**9)


@pytest.mark.parametrize(
    ("fps", "message"),
    [
        (0, 'fps is a number of tokens a second above zero, however: 0 for "video"'),
        (-2.0, 'fps is a number of tokens a second above zero, however: -2.0 for "video"'),
        (math.nan, 'fps is a number of tokens a second above zero, however: nan for "video"'),
        ("2", "fps is a number of tokens a second above zero, however: '2' for \"video\""),
        (True, 'fps is a number of tokens a second above zero, however: True for "video"'),
        ({"vidoe": 2}, 'fps names streams, however: "vidoe"; did you mean "video"?'),
        ({"video": 2}, 'fps names the rate of every stream, however: "audio" has none'),
    ],
)
def test_wrong_rates_are_told(fps: object, message: str) -> None:
    with pytest.raises(InputError) as told:
        rates_of(fps, ("video", "audio"))
    assert str(told.value) == message


def test_a_video_without_a_frame_is_told() -> None:
    with pytest.raises(InputError) as told:
        durations(Samples({"video": [[[1.0]], None]}), {"video": 1.0})
    assert str(told.value) == "a video has a frame, however: video 1 has none"
    with pytest.raises(InputError) as told:
        durations(Samples({"text": np.ones((2, 3))}), {})
    assert str(told.value) == (
        "a video has a stream, a sequence of vectors, however: there is none; "
        "a single video is a list of one array (frames, width)"
    )
