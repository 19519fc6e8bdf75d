"""Mean attention weights over many tokens on a processor, by the compiled module beside this file.

A mean over queries commutes with the projections after attention: of the weights only their mean is needed, one number
a head and key. The module (`rows.c`) sums scores up in registers, a few rows at a time, and takes exponentials and
means while they are in the cache. Nothing of size (Q, K) is ever there, and no values are mixed. Where it was not
built, or cannot serve, `serves` says no.

Shapes: B batch, H heads, Q queries, K keys, D width of a head.
"""

from __future__ import annotations

import importlib
import math
import os
from collections.abc import Callable
from types import ModuleType
from typing import Any

import torch
from torch import Tensor

from intermodal.kernel import few

WORTH = 2**27
"""Multiply-adds that are worth a thread: a few milliseconds, as long as one waits for its turn on a busy machine."""

Plain = Callable[[Tensor, Tensor, Tensor], Tensor]


def _compiled() -> ModuleType | None:
    if os.environ.get(few.PLAIN):
        return None
    try:
        return importlib.import_module("intermodal.kernel._rows")
    except ImportError:  # no compiler was there when the package was installed
        return None


_rows = _compiled()
WIDTH: int = 0 if _rows is None else _rows.widest()
"""Bytes of a vector of this processor, 64 or 32; 0 where the module has nothing for it."""


def serves(q: Tensor, k: Tensor, keep: Tensor | None) -> bool:
    """Tell whether the compiled module can stand in for torch's operations.

    Args:
        q: (B, H, Q, D).
        k: (B, H, K, D).
        keep: bool of four axes, or None.

    Returns:
        True where it is there, the tensors are plain ones of one type in this processor's memory, `keep` is the same
        for all queries and heads, and nobody watches or rewrites torch's operations.
    """
    return (
        WIDTH > 0
        and q.dtype in (torch.float32, torch.float64)
        and (keep is None or (keep.shape[1] == keep.shape[2] == 1 and type(keep) is Tensor))
        and all(few._plain(t, q.dtype) for t in (q, k))
        and not few.watched()
    )


def mean_weights(q: Tensor, k: Tensor, keep: Tensor | None, share: Tensor, scale: float, plain: Plain) -> Tensor:
    """Sum the weights of all queries, each by its share, where `serves` says so.

    A query that may see no key adds nothing, and so does one whose share is 0: it is not looked at, whatever stands
    there.

    Shape:
        q (B, H, Q, D), k (B, H, K, D), keep (B or 1, 1, 1, K), share (B or 1, Q) -> (B, H, K).

    Args:
        q: the queries.
        k: the keys.
        keep: True = may look.
        share: what each query counts; 1 / Q for the mean.
        scale: factor on the scores.
        plain: the same by torch's operations, from queries, keys and shares, for gradients of gradients.
    """
    if share.dtype != q.dtype or len(share) != len(q):
        share = share.to(q.dtype).expand(len(q), -1)
    return _MeanWeights.apply(q, k, _row(keep), _row(share), scale, plain)  # type: ignore[no-any-return, no-untyped-call]


class _MeanWeights(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, q: Tensor, k: Tensor, keep: Tensor | None, share: Tensor, scale: float, plain: Any) -> Tensor:
        ctx.save_for_backward(q, k, keep, share)
        ctx.scale, ctx.plain = scale, plain
        out = q.new_empty(*q.shape[:2], k.shape[2])
        assert _rows is not None
        _rows.weights(*_sizes(q, k, keep, share, scale), *map(few._at, (q, k, keep, share, out)))
        return out

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> few.Gradients:
        q, k, keep, share = ctx.saved_tensors
        if torch.is_grad_enabled():
            return _again(ctx, (q, k, share), gradient)
        gradient = _row(gradient)
        dq, dk = few._like(q), few._like(k)
        # Shares that want a gradient get one of each head.
        of_heads = q.new_empty(q.shape[:3]) if ctx.needs_input_grad[3] else None
        assert _rows is not None
        to = (q, k, keep, share, gradient, dq, dk, of_heads)
        _rows.weights_back(*_sizes(q, k, keep, share, ctx.scale, gradient), *map(few._at, to))
        return dq, dk, None, None if of_heads is None else of_heads.sum(1), None, None


def _again(ctx: Any, inputs: tuple[Tensor, Tensor, Tensor], gradient: Tensor) -> few.Gradients:
    """Gradients that can be differentiated once more."""
    needs = [ctx.needs_input_grad[i] for i in (0, 1, 3)]
    wanted = [t for t, needed in zip(inputs, needs, strict=True) if needed]
    found = iter(torch.autograd.grad(ctx.plain(*inputs), wanted, gradient, create_graph=True, allow_unused=True))
    dq, dk, dshare = (next(found) if needed else None for needed in needs)
    return dq, dk, None, dshare, None, None


def _row(t: Any) -> Any:
    return t if t is None or t.stride(-1) == 1 else t.contiguous()


def _sizes(
    q: Tensor, k: Tensor, keep: Tensor | None, share: Tensor, scale: float, g: Tensor | None = None
) -> tuple[float | int, ...]:
    """What the module wants to know: type, scale, sizes, steps in memory, width of a vector, threads."""
    sizes = (*q.shape[:3], *k.shape[2:])
    (of_q, q_head, q_token, _), (of_k, k_head, k_token, _) = q.stride(), k.stride()
    of_keep = 0 if keep is None or keep.shape[0] == 1 else keep.stride(0)
    of_gradient = (0, 0) if g is None else g.stride()[:2]
    steps = (of_keep, share.stride(0), of_q, q_token, q_head, of_k, k_token, k_head, *of_gradient)
    threads = min(torch.get_num_threads(), math.prod(sizes) // WORTH)
    return q.dtype == torch.float64, scale, *sizes, *steps, WIDTH, threads
