"""Short films made of real handwritten digits: every frame is another scan of the digit that is on.

The scans are scikit-learn's `load_digits` (1,797 scans of 8 x 8, by many writers). Films for training draw from the
first 1,200, films for testing from the rest, which other people wrote.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np

from intermodal.errors import InputError

NAMES = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
PARTS = {"train": slice(0, 1200), "test": slice(1200, 1797)}
WIDTH = 64
SHORTEST = 4
"""Frames of the shortest segment."""
FADE = 4
"""Frames over which one digit fades into the next."""


@cache
def scans(part: str) -> tuple[np.ndarray, ...]:
    """The scans of each digit, ten arrays (N, 64) with values from 0 to 1.

    Args:
        part: "train" or "test".

    Example:
        >>> [len(of_digit) for of_digit in scans("test")][:3]
        [59, 61, 60]
    """
    if part not in PARTS:
        raise InputError(f'part is "train" or "test", however: {part=}')
    from sklearn.datasets import load_digits

    images, labels = load_digits(return_X_y=True)
    images, labels = images[PARTS[part]].astype(np.float32) / 16, labels[PARTS[part]]
    return tuple(images[labels == digit] for digit in range(10))


def film(
    digits: Sequence[int],
    starts: np.ndarray,
    *,
    part: str,
    noise: float,
    blank: float,
    fade: float,
    rng: np.random.Generator,
) -> np.ndarray:
    """Show digits one after the other.

    Args:
        digits: S digits.
        starts: (S + 1,) the first frame of each, and the number of frames T.
        part: whose scans.
        noise: standard deviation of what is added to every pixel.
        blank: share of frames that show nothing but noise.
        fade: share of the changes at which one digit fades into the next.
        rng: the luck.

    Returns:
        (T, 64).

    Example:
        >>> rng = np.random.default_rng(0)
        >>> film([7, 3], np.array([0, 5, 9]), part="test", noise=0.1, blank=0.0, fade=0.0, rng=rng).shape
        (9, 64)
    """
    of_digit = scans(part)
    shown = np.repeat(digits, np.diff(starts))
    frames = _drawn(of_digit, shown, rng)
    for change in starts[1:-1]:
        if rng.random() < fade:
            at = np.arange(max(0, change - FADE // 2), min(len(shown), change + FADE // 2))
            share = ((at - change + FADE // 2 + 0.5) / FADE)[:, None]  # of the digit that comes
            before, after = shown[change - 1], shown[change]
            frames[at] = (1 - share) * _drawn(of_digit, np.full(len(at), before), rng)
            frames[at] += share * _drawn(of_digit, np.full(len(at), after), rng)
    frames[rng.random(len(frames)) < blank] = 0.0
    return frames + noise * rng.standard_normal(frames.shape, dtype=np.float32)


def cuts(n_segments: int, n_frames: int, rng: np.random.Generator) -> np.ndarray:
    """Cut a film into segments of random length, none shorter than `SHORTEST`: (S + 1,) starts and the end.

    Example:
        >>> cuts(3, 12, np.random.default_rng(1)).tolist()
        [0, 4, 8, 12]
    """
    free = n_frames - n_segments * SHORTEST
    inner = np.sort(rng.integers(0, free + 1, n_segments - 1)) + SHORTEST * np.arange(1, n_segments)
    return np.concatenate([[0], inner, [n_frames]])


def with_articles(text: str) -> str:
    """Write "an" where a digit's name begins with a vowel.

    Example:
        >>> with_articles("a seven, then a eight")
        'a seven, then an eight'
    """
    return text.replace("a eight", "an eight")


def _drawn(of_digit: Sequence[np.ndarray], digits: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """One scan for each entry of `digits`, (len(digits), 64)."""
    frames = np.empty((len(digits), WIDTH), dtype=np.float32)
    for digit in np.unique(digits):
        at = digits == digit
        frames[at] = of_digit[digit][rng.integers(0, len(of_digit[digit]), int(at.sum()))]
    return frames
