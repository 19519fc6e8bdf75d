"""Videos in which handwritten digits come and go, with questions whose answers are known: "find the part with a seven".

| level | frames | segments | noise | also |
|---|---|---|---|---|
| easy | 32 | 3-4 | .1 | |
| noisy | 64 | 5-7 | .6 | 30 % of the frames are blank |
| two | 64 | 5-7 | .4 | the digit comes once or twice |
| rel | 64 | 5-7 | .4 | the digit comes twice, and "after a three" says which |
| hard | 128 | 8-12 | .5 | 30 % blank, 30 % of the changes fade, half of the questions as in rel |
| long | 256 | 14-20 | .6 | |
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from intermodal.data.samples import Samples
from intermodal.errors import InputError, did_you_mean
from intermodal.find.scans import NAMES, SHORTEST, cuts, film, with_articles


@dataclass(frozen=True)
class Level:
    """What a film is like, and what is asked of it.

    Args:
        frames: T.
        segments: fewest and most.
        noise: standard deviation, where pixels run from 0 to 1.
        blank: share of frames without a digit.
        fade: share of changes that fade.
        twice: share of questions whose digit comes twice, both times an answer.
        relational: share of questions that name another digit, before or after which the answer comes.

    Raises:
        InputError: segments that do not fit into the film, too few for what is asked, or a share that is none.
    """

    frames: int
    segments: tuple[int, int]
    noise: float
    blank: float = 0.0
    fade: float = 0.0
    twice: float = 0.0
    relational: float = 0.0

    def __post_init__(self) -> None:
        fewest, most = self.segments
        least = 3 if self.twice or self.relational else 1
        if not least <= fewest <= most or most * SHORTEST > self.frames:
            raise InputError(
                f"a film has {least} segments or more, each of {SHORTEST} frames at least, however: "
                f"{self.segments=}, {self.frames=}"
            )
        shares = (self.blank, self.fade, self.twice, self.relational, self.twice + self.relational)
        if not all(0 <= share <= 1 for share in shares) or not self.noise >= 0:
            raise InputError(f"noise is 0 or more and a share lies between 0 and 1, however: {self}")


LEVELS = {
    "easy": Level(32, (3, 4), 0.1),
    "noisy": Level(64, (5, 7), 0.6, blank=0.3),
    "two": Level(64, (5, 7), 0.4, twice=0.5),
    "rel": Level(64, (5, 7), 0.4, relational=1.0),
    "hard": Level(128, (8, 12), 0.5, blank=0.3, fade=0.3, relational=0.5),
    "long": Level(256, (14, 20), 0.6),
}
PLAIN = ("find the part with a {a}", "when does a {a} appear", "where is the {a}", "show me the {a}")
RELATIVE = ("find the {a} {order} a {b}", "when does a {a} appear {order} the {b}", "show me the {a} {order} the {b}")


@dataclass(frozen=True)
class DigitVideos:
    """Videos, one question for each, and the answers.

    Attributes:
        samples: N videos, the modality "video" with one vector of 64 pixels a frame.
        queries: N questions.
        spans: for each question an array (answers, 2) of seconds; empty where the digit never comes.
        fps: frames a second.
        digits: for each video its digits in order.
    """

    samples: Samples
    queries: list[str]
    spans: list[np.ndarray]
    fps: float
    digits: list[list[int]]

    def __len__(self) -> int:
        return len(self.queries)


def digit_videos(
    level: str | Level = "easy",
    n: int = 1000,
    *,
    part: str = "train",
    seed: int = 0,
    fps: float = 2.0,
    absent: float = 0.0,
    frames: int | tuple[int, int] | None = None,
) -> DigitVideos:
    """Make videos from scikit-learn's handwritten digits, with questions and answers.

    Args:
        level: easy, noisy, two, rel, hard or long, or a `Level` of your own.
        n: how many videos, each with one question.
        part: "train" or "test": whose handwriting.
        seed: of everything random.
        fps: frames a second, of the answers.
        absent: share of questions about a digit that never comes; the other digit that such a question names does.
        frames: another number of frames, or fewest and most; the number of segments grows with it.

    Returns:
        The videos. The same arguments give the same videos.

    Raises:
        InputError: an unknown level or part, or sizes that do not fit.

    Source: the scans are the test part of Optical Recognition of Handwritten Digits (Alpaydin and Kaynak 1998, UCI,
    CC BY 4.0), as scikit-learn ships them.

    Example:
        >>> made = digit_videos("rel", 3, part="test")
        >>> made.queries[0], made.spans[0].tolist()
        ('when does a four appear before the six', [[0.0, 2.0]])
        >>> made.samples
        Samples(3 samples, 1 modality)
          video  sequence of 64 x 64
    """
    if isinstance(level, str):
        if level not in LEVELS:
            problem = f'level is one of {", ".join(LEVELS)}, however: "{level}"'
            raise InputError(problem + did_you_mean(level, LEVELS))
        level = LEVELS[level]
    fixed = level.frames if frames is None else frames
    shortest, longest = fixed if isinstance(fixed, tuple | list) else (int(fixed), int(fixed))
    if n < 1 or fps <= 0 or not 0 <= absent <= 1 or not 0 < shortest <= longest:
        raise InputError(f"there is a video, with frames, however: {n=}, {fps=}, {absent=}, {frames=}")
    rng = np.random.default_rng(seed)
    videos, queries, spans, digits = [], [], [], []
    for _ in range(n):
        stretched = _stretched(level, int(rng.integers(shortest, longest + 1)))
        order, asked, answers = _plot(stretched, rng.random() < absent, rng)
        starts = cuts(len(order), stretched.frames, rng)
        look = {"noise": level.noise, "blank": level.blank, "fade": level.fade}
        videos.append(film(order, starts, part=part, rng=rng, **look))
        queries.append(asked)
        spans.append(np.array([[starts[i], starts[i + 1]] for i in answers], dtype=np.float64).reshape(-1, 2) / fps)
        digits.append(order)
    return DigitVideos(Samples({"video": videos}), queries, spans, fps, digits)


def _stretched(level: Level, frames: int) -> Level:
    """The same pace at another length: half the frames, half the segments."""
    if frames == level.frames:
        return level
    fewest, most = (max(3, round(s * frames / level.frames)) for s in level.segments)
    return replace(level, frames=frames, segments=(fewest, most))


def _plot(level: Level, absent: bool, rng: np.random.Generator) -> tuple[list[int], str, list[int]]:
    """The digits in their order, a question, and which segments answer it."""
    n = int(rng.integers(level.segments[0], level.segments[1] + 1))
    a, b, *others = (int(d) for d in rng.permutation(10))
    kind = rng.random()
    if absent and kind >= level.relational:
        return _between(n, {}, others, rng), _asked(PLAIN, rng, a=NAMES[a]), []
    if kind < level.relational:  # seven .. three .. seven: the word says which
        first, middle, last = np.sort(rng.permutation(n)[:3])
        after = bool(rng.random() < 0.5)
        asked = _asked(RELATIVE, rng, a=NAMES[a], b=NAMES[b], order="after" if after else "before")
        if absent:  # asked in the same words, or the words would betray that nothing answers
            return _between(n, {int(middle): b}, others, rng), asked, []
        order = _between(n, {int(first): a, int(middle): b, int(last): a}, others, rng)
        return order, asked, [int(last if after else first)]
    at = [int(rng.integers(n))]
    if kind < level.relational + level.twice:
        at = sorted(int(i) for i in rng.choice([[i, j] for i in range(n) for j in range(i + 2, n)]))
    order = _between(n, dict.fromkeys(at, a), [b, *others], rng)
    return order, _asked(PLAIN, rng, a=NAMES[a]), at


def _between(n: int, given: dict[int, int], others: list[int], rng: np.random.Generator) -> list[int]:
    """Fill the segments that are not given with other digits, neighbours never the same."""
    order: list[int] = []
    for i in range(n):
        if i in given:
            order.append(given[i])
        else:
            order.append(int(rng.choice([d for d in others if not order or d != order[-1]])))
    return order


def _asked(templates: tuple[str, ...], rng: np.random.Generator, **words: str) -> str:
    return with_articles(templates[int(rng.integers(len(templates)))].format(**words))
