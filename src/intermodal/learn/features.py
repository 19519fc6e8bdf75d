"""Samples as one flat matrix, for models that know neither sequences nor missing modalities."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.preprocessing import StandardScaler

from intermodal.data.batching import batch
from intermodal.data.modality import Modality
from intermodal.data.samples import Samples
from intermodal.errors import InputError
from intermodal.learn.columns import columns_of

_AT_ONCE = 256


def summary(samples: Samples, name: str) -> np.ndarray:
    """Return one modality as rows of numbers.

    A vector stays as it is. A sequence becomes what `intermodal.learn.columns` says of its present tokens: their mean,
    standard deviation, the mean of each quarter, the mean step from one to the next, and the logarithm of their number.
    A NaN cell takes the mean of its column in the sequence.

    Args:
        samples: N samples.
        name: the modality.

    Returns:
        (N, D) for a vector, (N, 7 D + 1) for a sequence, in float64; NaN where the modality is missing.

    Example:
        >>> flat = summary(Samples({"clip": [np.array([[1.0], [3.0]]), None]}), "clip")
        >>> flat.round(3).tolist()
        [[2.0, 1.0, 1.0, 1.0, 3.0, 3.0, 2.0, 0.693], [nan, nan, nan, nan, nan, nan, nan, nan]]
    """
    modality = samples.modality(name)
    if modality.kind == "vector":
        flat = np.array(modality.values, dtype=np.float64)
    else:
        assert modality.offsets is not None
        flat = _of_sequence(modality)
    flat[~np.asarray(modality.present)] = np.nan
    return flat


def _of_sequence(modality: Modality) -> np.ndarray:
    assert modality.offsets is not None
    values, offsets = np.asarray(modality.values, dtype=np.float64), modality.offsets
    known = np.isfinite(values)
    if modality.token_present is not None:
        known &= modality.token_present[:, None]
    n = _segment_sums(known.astype(np.float64), offsets)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = _segment_sums(np.where(known, values, 0.0), offsets) / n
    filled = np.where(known, values, np.repeat(np.nan_to_num(mean), np.diff(offsets), axis=0))
    samples = Samples({"it": replace(modality, values=filled)})
    flat = np.empty((len(modality), 7 * modality.width + 1))
    for begin in range(0, len(flat), _AT_ONCE):
        rows = np.arange(begin, min(begin + _AT_ONCE, len(flat)))
        x, present = batch(samples, rows, dtype=torch.float64)
        flat[rows] = columns_of(x["it"], present["it"]).numpy()
    flat[:, :-1][np.tile(n == 0, 7)] = np.nan  # a column of which nothing is known
    return flat


def _segment_sums(values: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """Sum over each sequence; an empty one gives zeros (`reduceat` alone would give its neighbour's first row)."""
    sums = np.zeros((len(offsets) - 1, values.shape[1]))
    filled = np.flatnonzero(np.diff(offsets) > 0)
    if filled.size:
        sums[filled] = np.add.reduceat(values, offsets[filled], axis=0)
    return sums


class Features(TransformerMixin, BaseEstimator):
    """Standardised columns of some modalities, side by side; fitted on training rows only.

    Every column is centred and scaled by the training rows. What is missing takes the mean of the training rows (0
    after centring). A modality that misses some training rows gets one more column: 1 where it is present, 0 where not.

    Args:
        names: the modalities, or None for all that the training samples have.

    Example:
        >>> samples = Samples({"text": np.array([[1.0], [3.0]]), "video": [np.array([5.0]), None]})
        >>> Features().fit_transform(samples).tolist()
        [[-1.0, 0.0, 1.0], [1.0, 0.0, 0.0]]
    """

    def __init__(self, names: Sequence[str] | None = None) -> None:
        self.names = names

    def fit(self, X: Samples, y: Any = None) -> Features:
        """Learn mean, scale and which modalities miss rows."""
        self.names_ = tuple(X.names if self.names is None else self.names)
        self.scalers_, self.seen_ = {}, {}
        for name in self.names_:
            flat = summary(X, name)
            self.seen_[name] = np.isfinite(flat).any(axis=0)
            self.scalers_[name] = StandardScaler().fit(np.where(self.seen_[name], flat, 0.0))
        self.flags_ = [name for name in self.names_ if not np.all(X.modality(name).present)]
        return self

    def transform(self, X: Samples) -> np.ndarray:
        """Return the columns (N, F) in float64; a modality that is absent counts as missing for all."""
        parts = [np.empty((len(X), 0))]
        for name in self.names_:
            width = self.scalers_[name].n_features_in_
            flat = summary(X, name) if name in X.names else np.full((len(X), width), np.nan)
            if flat.shape[1] != width:
                raise InputError(f'"{name}" was fitted with {width} columns, however: {flat.shape[1]} came')
            scaled = self.scalers_[name].transform(flat)
            parts.append(np.where(np.isfinite(scaled) & self.seen_[name], scaled, 0.0))  # 0 is the training mean
        for name in self.flags_:
            there = X.modality(name).present if name in X.names else np.zeros(len(X), bool)
            parts.append(np.asarray(there, dtype=np.float64)[:, None])
        return np.hstack(parts)
