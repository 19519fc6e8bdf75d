"""Plain figures about one modality or one target, over what is present.

Shape letters: N samples, R rows (samples of a vector, or tokens of all sequences), D width.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from intermodal.data.modality import Modality


class ColumnStatistics(NamedTuple):
    """One figure per column, `(D,)`, over present rows without NaN; NaN where a column has none."""

    low: np.ndarray
    high: np.ndarray
    std: np.ndarray
    nan: np.ndarray

    @property
    def constant(self) -> np.ndarray:
        """Which columns hold one and the same value throughout, `(D,)`."""
        same: np.ndarray = self.low == self.high
        return same


def column_statistics(modality: Modality) -> ColumnStatistics:
    """Return the least, the greatest and the spread of each column, and how many NaN it holds.

    Example:
        >>> from intermodal.data.packing import pack
        >>> found = column_statistics(pack("text", [[1.0, 5.0], None, [3.0, 5.0]]))
        >>> found.high.tolist(), found.std.tolist(), found.constant.tolist()
        ([3.0, 5.0], [1.0, 0.0], [False, True])
    """
    there = present_rows(modality)
    rows = modality.values if there.all() else modality.values[there]
    holes = np.isnan(rows)
    counts = len(rows) - holes.sum(axis=0)
    empty = np.where(counts == 0, np.nan, 0.0)
    filled = holes.any()
    low = (np.where(holes, np.inf, rows) if filled else rows).min(axis=0, initial=np.inf) + empty
    high = (np.where(holes, -np.inf, rows) if filled else rows).max(axis=0, initial=-np.inf) + empty
    mean = (np.where(holes, 0, rows) if filled else rows).sum(axis=0, dtype=np.float64) / np.maximum(counts, 1)
    apart = np.where(holes, 0, rows - mean) if filled else rows - mean
    std = np.sqrt(np.einsum("rd,rd->d", apart, apart) / np.maximum(counts, 1)) + empty
    return ColumnStatistics(low, high, np.where(low == high, 0.0, std), holes.sum(axis=0))


def present_rows(modality: Modality) -> np.ndarray:
    """Return which rows of `values` are there, `(R,)`."""
    if modality.offsets is None:
        return modality.present
    return np.ones(len(modality.values), bool) if modality.token_present is None else modality.token_present


def fingerprints(modality: Modality) -> np.ndarray:
    """Return a number per sample, `(N,)`, equal where the values are equal; 0 where the modality is missing."""
    values, offsets = modality.values, modality.offsets
    starts = np.arange(len(modality) + 1) if offsets is None else offsets
    prints = np.zeros(len(modality), dtype=np.int64)
    for i in np.flatnonzero(modality.present):
        prints[i] = hash(values[starts[i] : starts[i + 1]].tobytes()) or 1
    return prints


def duplicates(modality: Modality) -> np.ndarray:
    """Return which samples repeat an earlier one in this modality, `(N,)`.

    Example:
        >>> from intermodal.data.packing import pack
        >>> duplicates(pack("text", [[1.0, 2.0], None, [1.0, 2.0], None])).tolist()
        [False, False, True, False]
    """
    prints = fingerprints(modality)
    first = np.zeros(len(prints), dtype=bool)
    first[np.unique(prints, return_index=True)[1]] = True
    return modality.present & ~first


def is_classes(y: np.ndarray) -> bool:
    """Tell whether `y` `(N,)` reads as classes rather than as a quantity.

    Texts and bools are classes; so are whole numbers of at most 10 kinds, or 100 kinds with 5 samples each on average.

    Example:
        >>> import numpy as np
        >>> is_classes(np.array([0.0, 1.0, 1.0])), is_classes(np.array([0.5, 1.0, 1.0]))
        (True, False)
    """
    if y.dtype.kind not in "iuf":
        return True
    if y.dtype.kind == "f" and not (y == np.round(y)).all():
        return False
    kinds = len(np.unique(y))
    return kinds <= 10 or (kinds <= 100 and 5 * kinds <= len(y))
