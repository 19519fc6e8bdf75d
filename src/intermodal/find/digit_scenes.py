"""Short clips of handwritten digits with the words for them: for search, captions and recommendation.

A clip shows a few digits one after the other, every frame another scan; its caption names them in their order.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import permutations
from math import comb

import numpy as np

from intermodal.data.samples import Samples
from intermodal.errors import InputError
from intermodal.find.scans import NAMES, SHORTEST, cuts, film, with_articles


@dataclass(frozen=True)
class DigitClips:
    """Clips and the words for them.

    Attributes:
        samples: N clips, the modality "video" with one vector of 64 pixels a frame.
        texts: the caption of each clip.
        digits: for each clip its digits in order.
    """

    samples: Samples
    texts: list[str]
    digits: list[tuple[int, ...]]

    def __len__(self) -> int:
        return len(self.texts)


@dataclass(frozen=True)
class DigitReviews:
    """Reviews of clips: which digits a viewer loved, and which one not.

    Attributes:
        texts: U reviews, one a viewer.
        loved: for each two digits.
        hated: for each one digit.
    """

    texts: list[str]
    loved: list[tuple[int, int]]
    hated: list[int]

    def relevant(self, clips: DigitClips) -> np.ndarray:
        """Return which clips fit which review, (U, N) bool: both loved digits are there and the hated one is not."""
        there = np.zeros((len(clips), 10), dtype=bool)
        for row, digits in enumerate(clips.digits):
            there[row, list(digits)] = True
        loved = np.array(self.loved)
        return (there[:, loved[:, 0]] & there[:, loved[:, 1]] & ~there[:, self.hated]).T


def digit_clips(
    n: int = 500,
    *,
    n_digits: int | tuple[int, int] = 3,
    repeats: bool = False,
    n_sets: int | None = None,
    distinct: bool = True,
    frames: int = 48,
    noise: float = 0.4,
    part: str = "train",
    seed: int = 0,
) -> DigitClips:
    """Make clips from scikit-learn's handwritten digits, with captions.

    Args:
        n: how many clips.
        n_digits: digits of a clip, or fewest and most.
        repeats: a digit may come again, though not twice in a row.
        n_sets: draw the digits from this many sets only, so that clips differ in nothing but the order; all by default.
        distinct: no two clips have the same caption, as far as there are different ones.
        frames: T.
        noise: standard deviation, where pixels run from 0 to 1.
        part: "train" or "test": whose handwriting.
        seed: of everything random.

    Returns:
        The clips. The same arguments give the same clips.

    Raises:
        InputError: sizes that do not fit.

    Source: as in `digit_videos`.

    Example:
        >>> made = digit_clips(2, part="test")
        >>> made.texts[0]
        'a four, then a six, then a two'
    """
    fewest, most = (n_digits,) * 2 if isinstance(n_digits, int) else n_digits
    if not 1 <= fewest <= most <= 10 or most * SHORTEST > frames or n < 1 or not noise >= 0:
        raise InputError(
            f"a clip has 1 to 10 digits, each on for {SHORTEST} frames at least, however: "
            f"{n=}, {n_digits=}, {frames=}, {noise=}"
        )
    if n_sets is not None and (repeats or fewest != most or not 1 <= n_sets <= comb(10, fewest)):
        raise InputError(
            f"sets have one size and no repeats, and there are {comb(10, fewest)} of {fewest} digits, however: "
            f"{n_sets=}, {n_digits=}, {repeats=}"
        )
    rng = np.random.default_rng(seed)
    orders = _orders(n, fewest, most, repeats, n_sets, distinct, rng)
    videos = [
        film(order, cuts(len(order), frames, rng), part=part, noise=noise, blank=0.0, fade=0.0, rng=rng)
        for order in orders
    ]
    return DigitClips(Samples({"video": videos}), [_caption(order) for order in orders], orders)


def digit_reviews(n: int = 200, *, seed: int = 0) -> DigitReviews:
    """Make reviews: "i loved the clip with a three and a seven but hated the two".

    Example:
        >>> digit_reviews(1).texts
        ['i loved the clip with a four and a six but hated the two']
    """
    if n < 1:
        raise InputError(f"there is a review, however: {n=}")
    rng = np.random.default_rng(seed)
    picked = [tuple(int(d) for d in rng.permutation(10)[:3]) for _ in range(n)]
    texts = [f"i loved the clip with a {NAMES[a]} and a {NAMES[b]} but hated the {NAMES[c]}" for a, b, c in picked]
    return DigitReviews(list(map(with_articles, texts)), [(a, b) for a, b, _ in picked], [c for _, _, c in picked])


def _orders(
    n: int, fewest: int, most: int, repeats: bool, n_sets: int | None, distinct: bool, rng: np.random.Generator
) -> list[tuple[int, ...]]:
    """What each clip shows."""
    if n_sets is not None:
        sets: set[tuple[int, ...]] = set()
        while len(sets) < n_sets:
            sets.add(tuple(sorted(int(d) for d in rng.permutation(10)[:fewest])))
        share = -(-n // n_sets)
        every = [list(permutations(digits)) for digits in sorted(sets)]
        if share > len(every[0]):
            raise InputError(f"{fewest} digits stand in {len(every[0])} orders, however: {share} clips a set")
        return [orders[i] for orders in every for i in rng.permutation(len(orders))[:share]][:n]
    seen: set[tuple[int, ...]] = set()
    found: list[tuple[int, ...]] = []
    tries = 0
    while len(found) < n:
        order = _order(int(rng.integers(fewest, most + 1)), repeats, rng)
        tries += 1
        if distinct and order in seen and tries < 20 * n:
            continue
        seen.add(order)
        found.append(order)
    return found


def _order(length: int, repeats: bool, rng: np.random.Generator) -> tuple[int, ...]:
    if not repeats:
        return tuple(int(d) for d in rng.permutation(10)[:length])
    order: list[int] = []
    while len(order) < length:
        digit = int(rng.integers(10))
        if not order or digit != order[-1]:
            order.append(digit)
    return tuple(order)


def _caption(order: Sequence[int]) -> str:
    return with_articles(", then ".join(f"a {NAMES[digit]}" for digit in order))
