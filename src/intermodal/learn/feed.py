"""Scaled samples as tensors, batch by batch; vectors are converted once, sequences are padded per batch."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from intermodal.data.batching import Batch, batch, length_batches
from intermodal.data.samples import Samples


class Feed:
    """Samples ready for a network.

    Args:
        samples: scaled.
        dtype: of the tensors.
        device: where they lie.

    Example:
        >>> feed = Feed(Samples({"a": [[1.0], [3.0]]}))
        >>> feed.batch(np.array([1])).x["a"]
        tensor([[3.]])
    """

    def __init__(
        self, samples: Samples, *, dtype: torch.dtype = torch.float32, device: torch.device | str = "cpu"
    ) -> None:
        self.samples = samples
        self.dtype = dtype
        self.device = device
        vectors = [n for n in samples.names if samples.modality(n).kind == "vector"]
        self.sequences = [n for n in samples.names if n not in vectors]
        self.vectors = batch(samples, names=vectors, dtype=dtype, device=device)

    def __len__(self) -> int:
        return len(self.samples)

    def batch(self, rows: np.ndarray) -> Batch:
        """Return the samples at `rows`; `present` names only the modalities in which something is missing."""
        at = torch.from_numpy(rows).to(self.device)
        x = {name: values[at] for name, values in self.vectors.x.items()}
        present = {name: there[at] for name, there in self.vectors.present.items()}
        if self.sequences:
            padded = batch(self.samples, rows, names=self.sequences, dtype=self.dtype, device=self.device)
            x |= padded.x
            present |= padded.present
        return Batch(x, {name: there for name, there in present.items() if not bool(there.all())})

    def epoch(self, rows: np.ndarray, batch_size: int, rng: np.random.Generator) -> Iterator[np.ndarray]:
        """Yield `rows` once in random order, sequences of similar length together."""
        if not self.sequences:
            order = rng.permutation(rows)
            yield from (order[i : i + batch_size] for i in range(0, len(order), batch_size))
            return
        for picked in length_batches(self.samples[rows], batch_size, rng, names=self.sequences):
            yield rows[picked]

    def in_order(self, rows: np.ndarray, batch_size: int) -> Iterator[np.ndarray]:
        """Yield `rows` in their order, in pieces."""
        yield from (rows[i : i + batch_size] for i in range(0, len(rows), batch_size))


def to_device(name: str) -> torch.device:
    """Return the device of this name; `auto` takes a GPU where there is one.

    Raises:
        InputError: torch knows no such device, or it is not there.

    Example:
        >>> to_device("cpu")
        device(type='cpu')
    """
    from intermodal.errors import InputError

    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError, NotImplementedError):
        raise InputError(f'device is "auto", "cpu" or one that torch can use here, however: device="{name}"') from None
    return device


def as_tensor(values: np.ndarray, like: Tensor) -> Tensor:
    """Return `values` with the dtype and device of a tensor."""
    return torch.from_numpy(np.ascontiguousarray(values)).to(like.device, like.dtype)
