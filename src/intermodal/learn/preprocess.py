"""Scaling fitted on training rows: each column to mean 0 and standard deviation 1, missing cells to the mean.

Shapes: N samples, R tokens of all samples, D width.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from intermodal.data.samples import Modality, Samples
from intermodal.errors import DataError, did_you_mean

LIMIT = 8.0
"""Standard deviations after which a value is cut: one wild cell must not steer a whole model."""


@dataclass(frozen=True)
class Scaling:
    """What one modality's columns are scaled by, and what the modality must look like."""

    kind: str
    mean: np.ndarray  # (D,)
    scale: np.ndarray  # (D,), infinite where a column is constant: nothing is learned of it, so it becomes 0
    columns: tuple[str, ...] | None = None

    @property
    def width(self) -> int:
        """D."""
        return len(self.mean)


def fit_scaling(modality: Modality, weight: np.ndarray | None = None) -> Scaling:
    """Measure mean and standard deviation over the vectors or tokens that are there.

    Args:
        modality: N samples; cells may be NaN and are left out.
        weight: (N,) sample weights, all equal by default.

    Example:
        >>> samples = Samples({"a": [[1.0], [3.0], None]})
        >>> scaling = fit_scaling(samples.modality("a"))
        >>> scaling.mean, scaling.scale
        (array([2.]), array([1.]))
    """
    values, there = _rows(modality)
    share = np.ones(len(modality)) if weight is None else np.asarray(weight, dtype=np.float64)
    if modality.offsets is not None:
        share = np.repeat(share, np.diff(modality.offsets))
    share, values = share[there], values[there].astype(np.float64)
    known = np.isfinite(values)
    cells = share[:, None] * known
    total = cells.sum(0)
    safe = np.where(total > 0, total, 1.0)
    mean = (cells * np.where(known, values, 0.0)).sum(0) / safe
    spread = (cells * np.where(known, values - mean, 0.0) ** 2).sum(0) / safe
    scale = np.sqrt(spread)
    # A column whose spread is rounding noise of its own mean is constant.
    constant = scale <= 1e-7 * np.maximum(1e-30, np.abs(mean))
    return Scaling(modality.kind, mean, np.where(constant, np.inf, scale), modality.columns)


def apply_scaling(modality: Modality, scaling: Scaling) -> Modality:
    """Scale a modality as the training rows were scaled; a NaN cell becomes the training mean.

    Raises:
        DataError: the modality is of another kind or width than in training.
    """
    modality = _align(modality, scaling)
    values, there = _rows(modality)
    scaled = (values - scaling.mean) / scaling.scale
    scaled = np.clip(np.where(np.isfinite(scaled), scaled, 0.0), -LIMIT, LIMIT)
    scaled[~there] = 0.0
    return replace(modality, values=scaled.astype(np.float32))


class Preprocessor:
    """The scaling of every modality, fitted together and applied together.

    Example:
        >>> samples = Samples({"a": [[1.0], [3.0]]})
        >>> Preprocessor.fit(samples).apply(samples).modality("a").values.tolist()
        [[-1.0], [1.0]]
    """

    def __init__(self, scalings: dict[str, Scaling]) -> None:
        self.scalings = scalings

    @classmethod
    def fit(cls, samples: Samples, weight: np.ndarray | None = None) -> Preprocessor:
        """Fit on the training rows alone."""
        return cls({name: fit_scaling(samples.modality(name), weight) for name in samples.names})

    def apply(self, samples: Samples) -> Samples:
        """Scale the modalities that the model knows; the others are an error, absent ones stay absent.

        Raises:
            DataError: a modality the model never saw, none that it knows, or another kind or width.
        """
        for name in samples.names:
            if name not in self.scalings:
                raise DataError(
                    f'the samples hold modalities that the model was fitted on, however: "{name}"'
                    + did_you_mean(name, self.scalings)
                )
        return Samples(
            {n: apply_scaling(samples.modality(n), self.scalings[n]) for n in self.scalings if n in samples.names},
            y=samples.y,
            groups=samples.groups,
            split=samples.split,
            ids=samples.ids,
            target=samples.target,
        )

    def described(self) -> list[dict[str, Any]]:
        """What each modality looks like, ready for JSON; its numbers are in `tensors`."""
        return [
            {"name": name, "kind": s.kind, "columns": None if s.columns is None else list(s.columns)}
            for name, s in self.scalings.items()
        ]

    def tensors(self) -> dict[str, torch.Tensor]:
        """Mean and scale of each modality, in the order of `described`."""
        numbers = [{"mean": s.mean, "scale": s.scale} for s in self.scalings.values()]
        return {
            f"scaling.{i}.{part}": torch.from_numpy(np.ascontiguousarray(values, dtype=np.float64))
            for i, parts in enumerate(numbers)
            for part, values in parts.items()
        }

    @classmethod
    def restored(cls, described: Sequence[Mapping[str, Any]], tensors: Mapping[str, torch.Tensor]) -> Preprocessor:
        """Put together what `described` and `tensors` took apart.

        Example:
            >>> fitted = Preprocessor.fit(Samples({"a": [[1.0], [3.0]]}))
            >>> Preprocessor.restored(fitted.described(), fitted.tensors()).scalings["a"].mean
            array([2.])
        """
        scalings = {}
        for i, modality in enumerate(described):
            columns = modality["columns"]
            mean, scale = (tensors[f"scaling.{i}.{part}"].numpy() for part in ("mean", "scale"))
            columns = None if columns is None else tuple(columns)
            scalings[modality["name"]] = Scaling(modality["kind"], mean, scale, columns)
        return cls(scalings)


def _rows(modality: Modality) -> tuple[np.ndarray, np.ndarray]:
    """The vectors or tokens (N or R, D), and which of them are there."""
    if modality.offsets is None:
        return modality.values, modality.present
    there = modality.token_present
    return modality.values, np.ones(len(modality.values), dtype=bool) if there is None else there


def _align(modality: Modality, scaling: Scaling) -> Modality:
    if modality.kind != scaling.kind:
        raise DataError(f'"{modality.name}" is a {scaling.kind} as in training, however: it came as a {modality.kind}')
    if scaling.columns is not None and modality.columns is not None and modality.columns != scaling.columns:
        return _by_column(modality, scaling.columns)
    if modality.width != scaling.width:
        raise DataError(
            f'"{modality.name}" has {scaling.width} columns as in training, however: it has {modality.width}'
        )
    return modality


def _by_column(modality: Modality, wanted: tuple[str, ...]) -> Modality:
    """Put the columns in the order of training; a category that is not there is 0, an unknown one is dropped."""
    assert modality.columns is not None
    at = {column: i for i, column in enumerate(modality.columns)}
    values = np.zeros((len(modality.values), len(wanted)), dtype=modality.values.dtype)
    for j, column in enumerate(wanted):
        if column in at:
            values[:, j] = modality.values[:, at[column]]
        elif "=" not in column:
            raise DataError(
                f'"{modality.name}" has the columns of training, however: "{column}" is missing'
                + did_you_mean(column, modality.columns)
            )
    return replace(modality, values=values, width=len(wanted), columns=wanted)
