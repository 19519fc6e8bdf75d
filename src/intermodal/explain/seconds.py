"""When the tokens of a sequence are: what each covers after its encoder joined some, in seconds, and in bins of time.

Shapes: T tokens as they came, K tokens of the network.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from torch import Tensor

from intermodal.errors import InputError
from intermodal.nn.encoders import Encoder
from intermodal.nn.network import FusionNetwork


class Columns(NamedTuple):
    """What the tokens of one modality in one sample cover.

    Shape:
        covers (K, 2) int: first token as it came, and the one after the last; there (K,) bool; n_tokens: T.
    """

    covers: np.ndarray
    there: np.ndarray
    n_tokens: int
    is_sequence: bool


def columns_of(network: FusionNetwork, name: str, x: Tensor, present: Tensor | None) -> Columns:
    """Return what each token of a modality covers in a batch of one sample.

    Args:
        network: the network, whose encoder may join neighbours or cut a vector into several tokens.
        name: the modality.
        x: (1, D) or (1, T, D).
        present: bool (1,) or (1, T); None for all.

    Example:
        >>> import torch
        >>> network = FusionNetwork("self", {"video": 2}, d_model=8, stride=3)
        >>> present = torch.tensor([[False, True, True, True, False, False, False, True]])
        >>> covers, there, *_ = columns_of(network, "video", torch.zeros(1, 8, 2), present)
        >>> covers.tolist(), there.tolist()
        ([[1, 4], [4, 7], [7, 8]], [True, False, True])
    """
    encoder = network.encoders[network.names.index(name)]
    assert isinstance(encoder, Encoder)
    if x.ndim == 2:
        n = encoder.n_tokens
        return Columns(np.arange(n)[:, None] + [0, 1], np.ones(n, dtype=bool), n, False)
    t, stride = x.shape[1], encoder.stride
    known = np.ones(t, dtype=bool) if present is None else present[0].cpu().numpy()
    # The encoder counts runs from the first token that is there; without runs a token stays in its place.
    first = int(known.argmax()) if stride > 1 else 0
    starts = np.arange(first, t, stride)
    covers = np.stack([starts, np.minimum(starts + stride, t)], 1)
    there = np.add.reduceat(known, starts) > 0
    return Columns(covers, there, t, True)


def spans_of(columns: Columns, seconds: float | Sequence[Any] | np.ndarray | None, name: str) -> np.ndarray:
    """Return start and end of every column, (K, 2).

    Args:
        columns: what each covers.
        seconds: seconds per token, (T,) starts, (T, 2) starts and ends, or None: numbers of tokens. The last token of
            starts alone is as long as the one before.
        name: how errors call the modality.

    Raises:
        InputError: `seconds` is not one number or one a token, is not finite, or goes back in time.

    Example:
        >>> columns = Columns(np.array([[0, 2], [2, 3]]), np.array([True, True]), 3, True)
        >>> spans_of(columns, [0.0, 1.0, 4.0], "video").tolist()
        [[0.0, 4.0], [4.0, 7.0]]
    """
    t = columns.n_tokens
    if seconds is None:
        spans = np.arange(t)[:, None] + np.array([0.0, 1.0])
    elif not columns.is_sequence:
        raise InputError(f'seconds are of a sequence, however: "{name}" is one vector; leave seconds out')
    else:
        try:
            read = np.asarray(seconds, dtype=np.float64)
        except (TypeError, ValueError):
            raise InputError(f"seconds are numbers, however: {seconds!r}") from None
        spans = _spans(read, t, name)
    first = columns.covers[:, 0]
    return np.stack([spans[first, 0], np.maximum.reduceat(spans[:, 1], first)], 1)


def _spans(seconds: np.ndarray, t: int, name: str) -> np.ndarray:
    """Start and end of every token as it came, (T, 2)."""
    if seconds.ndim == 0:
        if not (np.isfinite(seconds) and seconds > 0):
            raise InputError(f"seconds per token are a number above 0, however: seconds={float(seconds)}")
        return (np.arange(t)[:, None] + np.array([0.0, 1.0])) * seconds
    if seconds.shape not in ((t,), (t, 2)):
        raise InputError(
            f'seconds are one number, ({t},) starts or ({t}, 2) starts and ends of the tokens of "{name}", however: '
            f"{seconds.shape=}"
        )
    if not np.isfinite(seconds).all():
        raise InputError(f"seconds are finite, however: seconds={seconds[~np.isfinite(seconds)][0]}")
    starts = seconds if seconds.ndim == 1 else seconds[:, 0]
    back = np.flatnonzero(np.diff(starts) < 0)
    if len(back):
        at = int(back[0])
        raise InputError(
            f"seconds go forward, however: token {at} starts at {starts[at]}, the next at {starts[at + 1]}"
        )
    if seconds.ndim == 1:
        last = starts[-1] - starts[-2] if t > 1 else 0.0
        return np.stack([starts, np.append(starts[1:], starts[-1] + last)], 1)
    wrong = np.flatnonzero(seconds[:, 1] < seconds[:, 0])
    if len(wrong):
        start, end = seconds[wrong[0]]
        raise InputError(f"a token ends after it starts, however: token {wrong[0]} is from {start} to {end}")
    return seconds


def bins_of(times: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the bin of every column (K,), and start and end of n bins of equal time; n or fewer columns stay.

    Example:
        >>> which, bins = bins_of(np.array([[0.0, 1.0], [1.0, 2.0], [9.0, 10.0]]), 2)
        >>> which.tolist(), bins.tolist()
        ([0, 0, 1], [[0.0, 5.0], [5.0, 10.0]])
    """
    if n < 1:
        raise InputError(f"there is at least one bin, however: bins={n}")
    low, high = times[0, 0], times[:, 1].max()
    if len(times) <= n or high <= low:
        return np.arange(len(times)), times
    edges = np.linspace(low, high, n + 1)
    which = np.searchsorted(edges, times.mean(1), side="right") - 1
    return which.clip(0, n - 1), np.stack([edges[:-1], edges[1:]], 1)
