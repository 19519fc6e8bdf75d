"""Attention pooled by a mean, from the tokens themselves, where they are few: one call of the compiled module.

A mean over queries commutes with all that follows the weights. So the weights are averaged, the tokens mixed by them,
and values and output projected from one row a sample instead of from all tokens. And since samples stand side by side
in the lanes of a vector, the projections are as dense as products of large matrices, and never leave the nearest cache.

Shapes: B batch, Q queries, K keys, X and Y widths of their tokens, H heads, D width of a head, O width of the output.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from intermodal.kernel import few
from intermodal.kernel.calling import Plain, again, at, readable

MOST = 64
"""Queries, and keys, up to which a block of samples is worked on at once."""

HELD = 12288
"""Numbers of a sample's tokens up to which a block of samples stays in a cache of a megabyte."""

Linear = tuple[Tensor, Tensor | None]


class Projections(NamedTuple):
    """Weight (out, in) and bias of queries, keys, values and output, and the heads of the first three."""

    of: Sequence[Linear]
    n_heads: int


Tensors = Any
"""The query, the context, and weight and bias of each projection."""


def serves(query: Tensor, context: Tensor, by: Projections, keep: Tensor | None) -> bool:
    """Tell whether the compiled module can answer, and is worth it; whoever asks has asked before that nobody watches.

    Args:
        query: (B, Q, X).
        context: (B, K, Y).
        by: the projections.
        keep: bool (B, K), or None.
    """
    b, n, x = query.shape
    k, y = context.shape[1:]
    dtype = query.dtype
    return (
        few._few is not None
        and few.ROOM > 0
        and 0 < n <= MOST
        and 0 < k <= MOST
        and n * x + k * y <= HELD
        and (dtype is torch.float32 or dtype is torch.float64)
        and readable(query, dtype)
        and (context is query or readable(context, dtype))
        and _fit(by, x, y, dtype)
        and _worth(b, n * x + k * y, by.of[0][0].shape[0])
    )


def _fit(by: Projections, x: int, y: int, dtype: torch.dtype) -> bool:
    """Whether weights and biases are of one type and of the sizes that the module reads."""
    width = by.of[0][0].shape[0]
    return width % by.n_heads == 0 and all(
        readable(w, dtype)
        and w.is_contiguous()
        and w.shape[1] == n
        and (w is by.of[3][0] or w.shape[0] == width)
        and (b is None or (readable(b, dtype) and b.is_contiguous() and b.shape[0] == w.shape[0]))
        for (w, b), n in zip(by.of, (x, y, y, width), strict=True)
    )


def _worth(batch: int, numbers: int, width: int) -> bool:
    """Whether the lanes that no sample fills cost little: they are few, or all the work is."""
    lanes = -batch % 16
    return lanes <= batch or lanes * numbers * width < 1 << 20


def pool(
    query: Tensor,
    context: Tensor,
    by: Projections,
    keep: Tensor | None,
    share: Tensor | float,
    plain: Plain,
) -> Tensor:
    """Attend and add up the answers of the queries, each as often as its share, where `serves` says so.

    Shape:
        query (B, Q, X), context (B, K, Y), keep (B, K) bool, share (B, Q) -> (B, O).

    Args:
        query: the tokens that ask.
        context: the tokens asked; where they are the same object, they are read once.
        by: the projections.
        keep: True = may look. What stands in other places must be finite.
        share: what each query counts, or one number for all.
        plain: the same from (query, context, q.weight, q.bias, ..., out.bias), by torch's operations, for gradients of
            gradients.
    """
    tensors = (query, context, *(t for p in by.of for t in p))
    call = _Call(tensors, by.n_heads, None if keep is None else keep.contiguous(), share)
    if torch.is_grad_enabled() and any(t is not None and t.requires_grad for t in tensors):
        return _Pool.apply(*tensors, call, plain)  # type: ignore[no-any-return, no-untyped-call]
    return call.pool(tensors, None)


class _Pool(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, *given: Any) -> Any:
        *tensors, call, plain = given
        saved = call.room(tensors[0])
        ctx.save_for_backward(*tensors, saved)
        ctx.call, ctx.plain = call, plain
        return call.pool(tensors, saved)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        *tensors, saved = ctx.saved_tensors
        needs, same = ctx.needs_input_grad[:10], ctx.call.same
        if torch.is_grad_enabled():
            if same:  # a context that asks itself gets all of its gradient as a query
                tensors[1], needs = tensors[0], (needs[0], False, *needs[2:])
            return *again(ctx.plain, tensors, needs, gradient), None, None
        to_query = tensors[0].new_empty(tensors[0].shape) if needs[0] and not same else None
        to_context = tensors[1].new_empty(tensors[1].shape) if needs[1] else None
        to = [None if t is None else t.new_zeros(t.shape) for t in tensors[2:]]
        ctx.call.pool_back(tensors, gradient.contiguous(), saved, to_query, to_context, *to)
        return to_query, to_context, *to, None, None


class _Call:
    """What the module wants to know of a call besides addresses, and its two functions."""

    def __init__(self, tensors: Tensors, n_heads: int, keep: Tensor | None, share: Tensor | float) -> None:
        query, context, wq, *_, wo, _ = tensors
        (b, n, x), (k, y) = query.shape, context.shape[1:]
        d = wq.shape[0] // n_heads
        self.same, self.keep = query is context, keep
        self.share = share if isinstance(share, Tensor) else None
        each = 0.0 if isinstance(share, Tensor) else share
        self.out, self.lanes = (b, wo.shape[0]), 64 // query.element_size()
        self.kept = -(-b // self.lanes) * n_heads * (n + k) * d * self.lanes
        self.numbers = (
            query.dtype is torch.float64,
            (d**-0.5, each),
            (
                *(b, n_heads, n, k, d, x, y, wo.shape[0], self.same, few.ROOM == 2),
                *(query.stride(0), query.stride(1), context.stride(0), context.stride(1)),
                0 if keep is None or len(keep) == 1 else keep.stride(0),
            ),
        )

    def room(self, like: Tensor) -> Tensor:
        """Room for the queries and keys of all heads, in lanes: what the backward pass reads again."""
        return like.new_empty(self.kept)

    def pool(self, tensors: Tensors, saved: Tensor | None) -> Tensor:
        """Answer."""
        out: Tensor = tensors[0].new_empty(self.out)
        assert few._few is not None
        few._few.pool(*self.numbers, tuple(map(at, (*tensors, self.share, self.keep, out, saved))))
        return out

    def pool_back(self, tensors: Tensors, *more: Tensor | None) -> None:
        """Fill the gradients."""
        assert few._few is not None
        few._few.pool_back(*self.numbers, tuple(map(at, (*tensors, self.share, self.keep, *more))))
