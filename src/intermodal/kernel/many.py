"""Attention over many tokens on a processor, by the compiled module of `intermodal.kernel.rows`.

Each query gets the values, each by its weight; scores of a few rows at a time are in the cache, and nothing of size
(Q, K) is ever there, neither forward nor backward. Keys and values may differ in width. Where queries and keys are
few, `intermodal.kernel.few` is quicker.

Shapes: B batch, H heads, Q queries, K keys, D width of a head, E width of a value head.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from intermodal.kernel import rows
from intermodal.kernel.calling import Gradients, Plain, again, like, readable, row

FEWEST = 12
"""Queries from which on this pays: for fewer, turning the keys costs more than asking them."""


def serves(q: Tensor, k: Tensor, v: Tensor, keep: Tensor | None) -> bool:
    """Tell whether the compiled module can stand in for torch's operations.

    Args:
        q: (B, H, Q, D).
        k: (B, H, K, D).
        v: (B, H, K, E).
        keep: bool of four axes, or None.

    Returns:
        True where it is there, the tensors are plain ones of one type in this processor's memory, `keep` is the same
        for all queries and heads, the queries are not few, and nobody watches or rewrites torch's operations.
    """
    return q.shape[2] >= FEWEST and v.shape[:3] == k.shape[:3] and readable(v, q.dtype) and rows.serves(q, k, keep)


def attend(q: Tensor, k: Tensor, v: Tensor, keep: Tensor | None, scale: float, plain: Plain) -> Tensor:
    """Attend where `serves` says so. A query that may see no key gets zeros.

    Shape:
        q (B, H, Q, D), k (B, H, K, D), v (B, H, K, E), keep (B or 1, 1, 1, K) -> (B, H, Q, E), with the heads side by
        side in memory.

    Args:
        q: the queries.
        k: the keys.
        v: the values.
        keep: True = may look.
        scale: factor on the scores.
        plain: the same by torch's operations, from queries, keys and values, for gradients of gradients.
    """
    return _Attend.apply(q, k, v, None if keep is None else row(keep), scale, plain)  # type: ignore[no-any-return, no-untyped-call]


class _Attend(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, q: Tensor, k: Tensor, v: Tensor, keep: Tensor | None, scale: float, plain: Any) -> Tensor:
        ctx.save_for_backward(q, k, v, keep)
        ctx.scale, ctx.plain = scale, plain
        out = like(v[:, :, :1].expand(-1, -1, q.shape[2], -1))
        rows.run("attend", scale, q, k, v, keep=keep, out=out)
        return out

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Gradients:
        q, k, v, keep = ctx.saved_tensors
        if torch.is_grad_enabled():
            return *again(ctx.plain, (q, k, v), ctx.needs_input_grad[:3], gradient), None, None, None
        dq, dk, dv = like(q), like(k), like(v)
        rows.run("attend_back", ctx.scale, q, k, v, keep=keep, g=row(gradient), dq=dq, dk=dk, dv=dv)
        return dq, dk, dv, None, None, None
