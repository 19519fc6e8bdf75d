"""A trace replayed in a machine's precision: what is left of the exact numbers when every step is stored in 16 bits.

Shapes: Q queries, K keys, D width of a query, E width of a value; heads and batch in front where the input has them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from intermodal.errors import InputError, did_you_mean
from intermodal.explain.trace_numbers import nearest_float, root_of

if TYPE_CHECKING:
    from intermodal.explain.trace import Trace

DTYPES = ("bfloat16", "float16", "float32", "float64")


@dataclass(frozen=True)
class Replay:
    """The steps of a trace, each rounded to one precision before the next.

    Attributes:
        dtype: the precision.
        scores: query times key before any scaling, as `Trace.scores`.
        weights: as `Trace.weights`.
        output: as `Trace.output`; None without values.
        error: the largest difference of a weight from the exact one.
        total: (..., Q) what the weights sum to.
    """

    dtype: str
    scores: np.ndarray
    weights: np.ndarray
    output: np.ndarray | None
    error: float
    total: np.ndarray

    @property
    def text(self) -> str:
        """What the precision did, in words."""
        shown = " ".join(f"{weight:.10g}" for weight in self.weights.reshape(-1)[:8].tolist())
        more = " ..." if self.weights.size > 8 else ""
        told = f"In {self.dtype} the weights are {shown}{more}; "
        told += f"the largest differs by {self.error:.1e} from the exact one."
        off = float(np.abs(np.where(self.total > 0, self.total, 1.0) - 1).max(initial=0.0))
        return told + (f" They sum to 1 to within {off:.1e}." if off else "")


def replayed(trace: Trace, dtype: str) -> Replay:
    """Replay a trace in one precision.

    Args:
        trace: worked out exactly.
        dtype: `bfloat16`, `float16`, `float32` or `float64`.

    Raises:
        InputError: another precision, or an input that it cannot hold.

    Example:
        >>> from intermodal.explain.trace import trace
        >>> replayed(trace("1 2", "2 3; 1 0", scale=False), "bfloat16").weights.tolist()
        [1.0, 0.000911712646484375]
    """
    if dtype not in DTYPES:
        raise InputError(f'dtype is one of {", ".join(DTYPES)}, however: "{dtype}"{did_you_mean(str(dtype), DTYPES)}')
    kind, asked = getattr(torch, dtype), trace.asked
    q, k = _tensor(asked.q, kind), _tensor(asked.k, kind)
    scores = (q.double() @ k.double().mT).to(kind)  # products are summed in wider numbers, as machines do
    factor = nearest_float(root_of(trace.scaling.factor, trace.scaling.m))
    keep = torch.tensor(asked.keep.flat).reshape(scores.shape)
    scaled = (scores * factor).masked_fill(~keep, -torch.inf)
    largest = scaled.amax(-1, keepdim=True).masked_fill(~keep.any(-1, keepdim=True), 0.0)
    powers = (scaled - largest).exp()
    weights = powers / powers.sum(-1, keepdim=True).masked_fill(~keep.any(-1, keepdim=True), 1.0)
    output = None if asked.v is None else (weights.double() @ _tensor(asked.v, kind).double()).to(kind)
    if not bool(scores.isfinite().all()):
        raise InputError(f"{dtype} holds numbers up to {torch.finfo(kind).max:.3g}, however: a score is larger")
    found = _array(weights, trace.weights)
    error = float(np.abs(found - trace.weights).max(initial=0.0))
    out = None if output is None or trace.output is None else _array(output, trace.output)
    return Replay(dtype, _array(scores, trace.scores), found, out, error, found.sum(-1))


def _tensor(grid: Any, kind: torch.dtype) -> Tensor:
    return torch.tensor([nearest_float(x) for x in grid.flat], dtype=torch.float64).reshape(grid.shape).to(kind)


def _array(numbers: Tensor, like: np.ndarray) -> np.ndarray:
    return np.asarray(numbers.double().numpy().reshape(like.shape))
