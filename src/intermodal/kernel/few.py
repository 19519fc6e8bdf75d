"""Attention over few tokens on a processor, by the compiled module beside this file.

torch's kernels are made for long sequences: with four tokens they spend ten times as long as the projections around
them. The module (`few.c`) puts samples side by side in the lanes of a vector. Where it was not built, or cannot serve,
`serves` says no, and `intermodal.attention` computes the same by torch's own operations.

Shapes: B batch, H heads, Q queries, K keys, D width of a head.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from intermodal.kernel.calling import Gradients, Plain, again, alike, at, compiled, like, row

MOST = 48
"""Keys, and queries, up to which this is quicker than torch's own kernels."""

_few = compiled("_few")
ROOM: int = 0 if _few is None else _few.room()
"""How much the registers of this processor hold: 2 is 2 KiB, 1 is half of that, 0 is less."""


def serves(q: Tensor, k: Tensor, v: Tensor, keep: Tensor | None) -> bool:
    """Tell whether the compiled module can stand in for torch's operations.

    Args:
        q: (B, H, Q, D).
        k: (B, H, K, D).
        v: (B, H, K, D).
        keep: bool of four axes, or None.

    Returns:
        True where it is there, the tensors are plain ones of one type in this processor's memory, `keep` is the same
        for all queries and heads, the tokens are few, and nobody watches or rewrites torch's operations.
    """
    return _few is not None and q.shape[2] <= MOST and k.shape[2] <= MOST and alike((q, k, v), keep)


def attend(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    keep: Tensor | None,
    scale: float,
    plain: Plain,
) -> Tensor:
    """Attend where `serves` says so.

    Shape:
        q (B, H, Q, D), k and v (B, H, K, D), keep (B or 1, 1, 1, K) -> (B, H, Q, D), with the heads side by side in
        memory.

    Args:
        q: the queries.
        k: the keys.
        v: the values.
        keep: True = may look.
        scale: factor on the scores.
        plain: the same by torch's operations, for gradients of gradients.
    """
    keep = None if keep is None else keep.contiguous()
    return _Attend.apply(q, k, v, keep, scale, plain)  # type: ignore[no-any-return, no-untyped-call]


class _Attend(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, q: Tensor, k: Tensor, v: Tensor, keep: Tensor | None, scale: float, plain: Any) -> Tensor:
        ctx.save_for_backward(q, k, v, keep)
        ctx.scale, ctx.plain = scale, plain
        out = like(q)
        assert _few is not None
        addresses = tuple(map(at, (q, k, v, keep, out)))
        _few.attend(q.dtype == torch.float64, (scale,), _sizes(q, k, v, keep), addresses)
        return out

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Gradients:
        q, k, v, keep = ctx.saved_tensors
        if torch.is_grad_enabled():
            return *again(ctx.plain, (q, k, v), ctx.needs_input_grad[:3], gradient), None, None, None
        g = row(gradient)
        dq, dk, dv = like(q), like(k), like(v)
        assert _few is not None
        addresses = tuple(map(at, (q, k, v, keep, g, dq, dk, dv)))
        _few.attend_back(q.dtype == torch.float64, (ctx.scale,), _sizes(q, k, v, keep, g), addresses)
        return dq, dk, dv, None, None, None


def _sizes(q: Tensor, k: Tensor, v: Tensor, keep: Tensor | None, g: Tensor | None = None) -> tuple[int, ...]:
    """What the module wants to know: sizes, and the steps from sample to sample, token, head."""
    b, h, n, d = q.shape
    steps = 0 if keep is None or keep.shape[0] == 1 else keep.stride(0)
    strides = [(0, 0, 0) if t is None else (t.stride(0), t.stride(2), t.stride(1)) for t in (q, k, v, g)]
    return b, h, n, k.shape[2], d, steps, *sum(strides, ()), ROOM == 2
