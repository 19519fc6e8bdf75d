"""Which training rows are held out to stop by: whole groups, or by class in proportion where that is possible."""

from __future__ import annotations

import numpy as np
from sklearn.model_selection import GroupShuffleSplit, ShuffleSplit, StratifiedShuffleSplit

FEWEST = 10
"""With fewer rows to learn from than this, none is held out."""


def hold_out(
    n: int, *, share: float, seed: int, labels: np.ndarray | None = None, groups: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Cut n rows into those to learn from and those to stop by.

    Args:
        n: rows.
        share: of the rows (of the groups, where there are groups) to hold out, rounded up; one always stays.
        seed: the same seed cuts the same way.
        labels: (n,) class numbers, to stratify by.
        groups: (n,) what must not be torn apart.

    Returns:
        Rows to learn from and rows held out, both in rising order; none is held out of fewer than `FEWEST` rows
        or from a single group.

    Example:
        >>> learn, held = hold_out(20, share=0.2, seed=0)
        >>> len(learn), len(held)
        (16, 4)
    """
    everything, nothing = np.arange(n), np.arange(0)
    if n < FEWEST or share <= 0 or (groups is not None and len(np.unique(groups)) < 2):
        return everything, nothing
    units = n if groups is None else len(np.unique(groups))
    away = min(int(np.ceil(share * units)), units - 1)
    if groups is not None:
        cutter = GroupShuffleSplit(1, test_size=away, random_state=seed)
    elif labels is not None and _stratifies(labels, away):
        cutter = StratifiedShuffleSplit(1, test_size=away, random_state=seed)
    else:
        cutter = ShuffleSplit(1, test_size=away, random_state=seed)
    learn, held = next(cutter.split(everything, labels if groups is None else None, groups))
    return np.sort(learn), np.sort(held)


def _stratifies(labels: np.ndarray, away: int) -> bool:
    counts = np.bincount(labels)
    counts = counts[counts > 0]
    return bool(counts.min() >= 2 and away >= len(counts) and len(labels) - away >= len(counts))
