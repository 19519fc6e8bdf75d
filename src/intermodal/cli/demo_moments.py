"""The demo's question to a video: when does a seven appear?"""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING, Any

from intermodal.cli import console
from intermodal.cli.localizing import LIKELY, answer_blocks

if TYPE_CHECKING:
    import numpy as np

QUERY = "When does a seven appear?"
LEVEL, N_LEARNED, N_TESTED, ABSENT = "easy", 1200, 200, 0.2
SHORT: dict[str, Any] = {"d_model": 32, "n_layers": 2, "max_epochs": 10, "line": False}
"""A small network that learns fast: the demo shall end within a minute, not set a record."""


def fit_localizer(seed: int) -> Any:
    """Fit a small localizer on videos of digits that training's writers wrote, with a bar over the epochs."""
    from intermodal.find.digit_films import digit_videos
    from intermodal.find.moments import MomentLocalizer

    made = digit_videos(LEVEL, N_LEARNED, part="train", seed=seed, absent=ABSENT)
    with console.progress("learning to find") as advance:

        def after_epoch(line: dict[str, Any]) -> None:
            advance(line["epoch"], SHORT["max_epochs"], f"loss {line['train_loss']:.3f}")

        localizer = MomentLocalizer(**SHORT, seed=seed, callback=after_epoch)
        localizer.fit(made.samples, made.queries, made.spans, fps=made.fps)
    return localizer.set_params(callback=None)


def ask(localizer: Any, seed: int) -> tuple[dict[str, Any], list[dict[str, Any]], dict[str, Any]]:
    """Ask about videos by other writers: one is shown, all are scored.

    Returns:
        What was found, ready for JSON; the blocks that show it; and the arrays of the video that was shown.
    """
    from intermodal.find.digit_films import digit_videos
    from intermodal.find.scoring_moments import moment_scores

    tested = digit_videos(LEVEL, N_TESTED, part="test", seed=seed, absent=ABSENT)
    answers = localizer.predict(tested.samples, tested.queries)
    scores = moment_scores(answers, tested.spans)
    video, truth = _with_a_seven(seed)
    [moments] = localizer.predict({"video": [video]}, [QUERY], top=3)
    figures = {name: {"mean": i.mean, "low": i.low, "high": i.high} for name, i in scores.figures.items()}
    told = [(a.happens >= LIKELY) == (len(spans) > 0) for a, spans in zip(answers, tested.spans, strict=True)]
    found = {"query": QUERY, **moments.to_dict(), "truth": truth.tolist(), "scores": figures}
    found["told_whether"] = sum(told) / len(told)
    return found, answer_blocks(moments, truth=truth), {"video": video}


def in_words(found: dict[str, Any]) -> str:
    """Say what was asked, and how often the right moment is found."""
    share = found["scores"]["R1@0.5"]
    right, low, high, told = (100 * x for x in (share["mean"], share["low"], share["high"], found["told_whether"]))
    return (
        f"A small network learned from {N_LEARNED} videos in which handwritten digits come and go. Asked about "
        f"{N_TESTED} videos by other writers, it tells in {told:.0f} % whether the digit comes at all; where it does, "
        f"the first answer overlaps the right moment by half or more in {right:.0f} % ({low:.0f} to {high:.0f})."
    )


def _with_a_seven(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """The frames of a video in which a seven comes once, in the middle, and the seconds (1, 2) when it does."""
    from intermodal.find.digit_films import digit_videos

    for attempt in count():
        made = digit_videos(LEVEL, 50, part="test", seed=seed + 1000 * attempt)
        for row, (query, spans, digits) in enumerate(zip(made.queries, made.spans, made.digits, strict=True)):
            if "seven" in query and len(spans) == 1 and 7 in digits[1:-1]:
                return made.samples.modality("video").take(slice(row, row + 1)).values, spans
    raise AssertionError("there is always another video")
