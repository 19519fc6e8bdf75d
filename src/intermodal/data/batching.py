"""From samples to tensors: one padded batch at a time, without a Python loop over samples.

Shape letters: B samples in the batch, T longest sequence in the batch, D width.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from intermodal.data.modality import Modality
from intermodal.data.samples import Samples, rows_of
from intermodal.errors import DataError


class Batch(NamedTuple):
    """Tensors by modality.

    Shape:
        x: `(B, D)` for a vector, `(B, T, D)` for a sequence, padded on the right; missing places hold 0.
        present: bool, `(B,)` for a vector, `(B, T)` for a sequence.
    """

    x: dict[str, Tensor]
    present: dict[str, Tensor]


def batch(
    samples: Samples,
    index: Any = None,
    *,
    names: Sequence[str] | None = None,
    dtype: torch.dtype = torch.float32,
    device: torch.device | str = "cpu",
) -> Batch:
    """Return the samples at `index` as tensors.

    Args:
        samples: where to take them from.
        index: a position, a slice, an array of positions or bools; None takes all.
        names: which modalities, in which order; None takes all.
        dtype: of `x`.
        device: of all tensors.

    Returns:
        A `Batch`. Its tensors are fresh: writing to them leaves the samples as they are. T is at least 1, so
        that a batch in which all lack the modality is still `(B, 1, D)`, present nowhere.

    Raises:
        DataError: a name is unknown.

    Example:
        >>> samples = Samples({"audio": [[[1, 2], [3, 4]], None, [[5, 6]]]})
        >>> x, present = batch(samples, [2, 1])
        >>> x["audio"].tolist(), present["audio"].tolist()
        ([[[5.0, 6.0]], [[0.0, 0.0]]], [[True], [False]])
    """
    rows = np.arange(len(samples)) if index is None else rows_of(index, len(samples))
    if isinstance(rows, slice):
        rows = np.arange(*rows.indices(len(samples)))
    x: dict[str, Tensor] = {}
    present: dict[str, Tensor] = {}
    for name in samples.names if names is None else names:
        modality = samples.modality(name)
        values, there = (_vectors if modality.offsets is None else _sequences)(modality, rows)
        x[name] = torch.from_numpy(values).to(device=device, dtype=dtype)
        present[name] = torch.from_numpy(there).to(device=device)
    return Batch(x, present)


def _vectors(modality: Modality, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return modality.values[rows], modality.present[rows]


def _sequences(modality: Modality, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    flat, offsets = modality.token_rows(rows)
    lengths = np.diff(offsets)
    longest = max(int(lengths.max(initial=0)), 1)
    inside = np.arange(longest) < lengths[:, None]
    values = np.zeros((len(rows), longest, modality.width), dtype=modality.values.dtype)
    values[inside] = modality.values[flat]
    if modality.token_present is not None:
        inside[inside] = modality.token_present[flat]
    return values, inside


def length_batches(
    samples: Samples,
    batch_size: int,
    generator: np.random.Generator | int,
    *,
    names: Sequence[str] | None = None,
    spread: int = 16,
) -> Iterator[np.ndarray]:
    """Yield the positions of one epoch in batches of samples of similar length, in a random order.

    All samples are shuffled; within each stretch of `spread` batches they are sorted by the number of tokens over
    all sequences, cut into batches, and the batches are shuffled. Without sequences this is a plain shuffle.

    Args:
        samples: what to go through once.
        batch_size: samples per batch; only one batch, the last of a stretch, may be smaller.
        generator: a numpy generator (it moves on, so that the next epoch differs) or a seed.
        names: which modalities count for the length; None takes all.
        spread: how many batches are sorted together; 1 shuffles fully, more pads less.

    Yields:
        Positions `(<= batch_size,)`; together, every sample once.

    Example:
        >>> samples = Samples({"audio": [[[0.0]] * n for n in (1, 9, 2, 8)]})
        >>> sorted(sorted(rows.tolist()) for rows in length_batches(samples, 2, generator=0))
        [[0, 2], [1, 3]]
    """
    if batch_size < 1 or spread < 1:
        raise DataError(f"batch_size and spread must be at least 1, however: {batch_size=}, {spread=}")
    rng = np.random.default_rng(generator)
    order = rng.permutation(len(samples))
    sequences = [m for m in map(samples.modality, names or samples.names) if m.kind == "sequence"]
    batches = []
    for start in range(0, len(order), batch_size * spread):
        stretch = order[start : start + batch_size * spread]
        if sequences:
            lengths = np.sum([m.lengths[stretch] for m in sequences], axis=0)
            stretch = stretch[np.argsort(lengths, kind="stable")]
        batches += [stretch[i : i + batch_size] for i in range(0, len(stretch), batch_size)]
    for i in rng.permutation(len(batches)):
        yield batches[i]
