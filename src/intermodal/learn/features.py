"""Samples as one flat matrix, for models that know neither sequences nor missing modalities."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.preprocessing import StandardScaler

from intermodal.data.samples import Samples
from intermodal.errors import InputError


def summary(samples: Samples, name: str) -> np.ndarray:
    """Return one modality as rows of numbers.

    A vector stays as it is. A sequence becomes the mean over its present tokens, their standard deviation and the
    logarithm of their number: `[mean (D), std (D), log T (1)]`.

    Args:
        samples: N samples.
        name: the modality.

    Returns:
        (N, D) for a vector, (N, 2 D + 1) for a sequence, in float64; NaN where the modality is missing.

    Example:
        >>> flat = summary(Samples({"clip": [np.array([[1.0], [3.0]]), None]}), "clip")
        >>> flat.round(3).tolist()
        [[2.0, 1.0, 0.693], [nan, nan, nan]]
    """
    modality = samples.modality(name)
    if modality.kind == "vector":
        flat = np.array(modality.values, dtype=np.float64)
    else:
        assert modality.offsets is not None
        flat = _of_sequence(np.asarray(modality.values, dtype=np.float64), modality.offsets, modality.token_present)
    flat[~np.asarray(modality.present)] = np.nan
    return flat


def _of_sequence(values: np.ndarray, offsets: np.ndarray, token_present: np.ndarray | None) -> np.ndarray:
    known = np.isfinite(values)
    if token_present is not None:
        known &= token_present[:, None]
    n = _segment_sums(known.astype(np.float64), offsets)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = _segment_sums(np.where(known, values, 0.0), offsets) / n
        centred = np.where(known, values - np.repeat(mean, np.diff(offsets), axis=0), 0.0)
        std = np.sqrt(_segment_sums(centred**2, offsets) / n)
        length = np.log(_segment_sums(known.any(axis=1, keepdims=True).astype(np.float64), offsets))
    length[~np.isfinite(length)] = np.nan
    return np.hstack([mean, std, length])


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
