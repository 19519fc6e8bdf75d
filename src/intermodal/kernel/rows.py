"""Mean attention weights over many tokens on a processor, by the compiled module beside this file.

A mean over queries commutes with the projections after attention: of the weights only their mean is needed, one number
a head and key. The module (`rows.c`) sums scores up in registers, a few rows at a time, and takes exponentials and
means while they are in the cache. Nothing of size (Q, K) is ever there, and no values are mixed. Where it was not
built, or cannot serve, `serves` says no. Attention itself by the same module: `intermodal.kernel.many`.

Shapes: B batch, H heads, Q queries, K keys, D width of a head, E width of a value head.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from intermodal.kernel.calling import Gradients, Plain, again, alike, at, compiled, like, row

WORTH = 2**27
"""Multiply-adds that are worth a thread: a few milliseconds, as long as one waits for its turn on a busy machine."""

_rows = compiled("_rows")
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
    return WIDTH > 0 and q.shape[:2] == k.shape[:2] and alike((q, k), keep)


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
    return _MeanWeights.apply(q, k, None if keep is None else row(keep), row(share), scale, plain)  # type: ignore[no-any-return, no-untyped-call]


class _MeanWeights(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, q: Tensor, k: Tensor, keep: Tensor | None, share: Tensor, scale: float, plain: Any) -> Tensor:
        ctx.save_for_backward(q, k, keep, share)
        ctx.scale, ctx.plain = scale, plain
        out = q.new_empty(*q.shape[:2], k.shape[2])
        run("weights", scale, q, k, keep=keep, share=share, weights=out)
        return out

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Gradients:
        q, k, keep, share = ctx.saved_tensors
        if torch.is_grad_enabled():
            needed = [ctx.needs_input_grad[i] for i in (0, 1, 3)]
            dq, dk, dshare = again(ctx.plain, (q, k, share), needed, gradient)
            return dq, dk, None, dshare, None, None
        g = row(gradient).unsqueeze(2)
        dq, dk = like(q), like(k)
        # Shares that want a gradient get one of each head.
        of_heads = q.new_empty(q.shape[:3]) if ctx.needs_input_grad[3] else None
        run("weights_back", ctx.scale, q, k, keep=keep, share=share, g=g, dq=dq, dk=dk, dshare=of_heads)
        return dq, dk, None, None if of_heads is None else of_heads.sum(1), None, None


def run(
    work: str,
    scale: float,
    q: Tensor,
    k: Tensor,
    v: Tensor | None = None,
    *,
    keep: Tensor | None = None,
    share: Tensor | None = None,
    g: Tensor | None = None,
    out: Tensor | None = None,
    weights: Tensor | None = None,
    dq: Tensor | None = None,
    dk: Tensor | None = None,
    dv: Tensor | None = None,
    dshare: Tensor | None = None,
) -> None:
    """Let the module do some work: of tensors as it wants them, the last four axes (B, H, T, width) in any order."""
    sizes = (*q.shape[:3], *k.shape[2:], 0 if v is None else v.shape[3])
    threads = min(torch.get_num_threads(), math.prod(sizes[:5]) // WORTH)
    of_keep = 0 if keep is None or keep.shape[0] == 1 else keep.stride(0)
    steps = (of_keep, 0 if share is None else share.stride(0), *_steps(q), *_steps(k), *_steps(v), *_steps(g))
    addresses = map(at, (q, k, v, keep, share, g, out, weights, dq, dk, dv, dshare))
    assert _rows is not None
    getattr(_rows, work)(q.dtype == torch.float64, scale, *sizes, *steps, WIDTH, threads, *addresses)


def _steps(t: Tensor | None) -> tuple[int, int, int]:
    """From one sample to the next, from token to token, from head to head."""
    if t is None:
        return 0, 0, 0
    sample, head, token, _ = t.stride()
    return sample, token, head
