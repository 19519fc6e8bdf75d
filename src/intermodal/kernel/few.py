"""Attention over few tokens on a processor, by the compiled module beside this file.

torch's kernels are made for long sequences: with four tokens they spend ten times as long as the projections around
them. The module (`few.c`) puts samples side by side in the lanes of a vector. Where it was not built, or cannot serve,
`serves` says no, and `intermodal.attention` computes the same by torch's own operations.

Shapes: B batch, H heads, Q queries, K keys, D width of a head.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn

PLAIN = "INTERMODAL_PLAIN"
"""Set to anything in the environment, this keeps the compiled module out."""

MOST = 48
"""Keys, and queries, up to which this is quicker than torch's own kernels."""

Gradients = tuple[Tensor | None, ...]
Plain = Callable[[Tensor, Tensor, Tensor], Tensor]


def _compiled() -> ModuleType | None:
    if os.environ.get(PLAIN):
        return None
    try:
        return importlib.import_module("intermodal.kernel._few")
    except ImportError:  # no compiler was there when the package was installed
        return None


_few = _compiled()
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
    return (
        _few is not None
        and q.shape[2] <= MOST
        and k.shape[2] <= MOST
        and q.dtype in (torch.float32, torch.float64)
        and (keep is None or (keep.shape[1] == keep.shape[2] == 1 and type(keep) is Tensor))
        and all(_plain(t, q.dtype) for t in (q, k, v))
        and not watched()
    )


def watched() -> bool:
    """Tell whether somebody records, rewrites or differentiates forward what torch does: then it must do it itself."""
    return bool(
        torch.compiler.is_compiling()
        or torch.jit.is_tracing()  # type: ignore[attr-defined, no-untyped-call]
        or torch._C._len_torch_dispatch_stack()
        or torch._C._len_torch_function_stack()
        or torch._C._functorch.peek_interpreter_stack() is not None
        or torch.autograd.forward_ad._current_level >= 0
    )


def _plain(t: Tensor, dtype: torch.dtype) -> bool:
    return (
        type(t) in (Tensor, nn.Parameter)
        and t.dtype == dtype
        and t.is_cpu
        and t.layout == torch.strided
        and t.numel() > 0
        and t.stride(-1) == 1
    )


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
        out = _like(q)
        assert _few is not None
        at = tuple(map(_at, (q, k, v, keep, out)))
        _few.attend(q.dtype == torch.float64, (scale,), _sizes(q, k, v, keep), at)
        return out

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Gradients:
        q, k, v, keep = ctx.saved_tensors
        if torch.is_grad_enabled():
            return *_again(ctx, (q, k, v), gradient), None, None, None
        g = gradient if gradient.stride(-1) == 1 else gradient.contiguous()
        dq, dk, dv = _like(q), _like(k), _like(v)
        assert _few is not None
        at = tuple(map(_at, (q, k, v, keep, g, dq, dk, dv)))
        _few.attend_back(q.dtype == torch.float64, (ctx.scale,), _sizes(q, k, v, keep, g), at)
        return dq, dk, dv, None, None, None


def _again(ctx: Any, inputs: tuple[Tensor, Tensor, Tensor], gradient: Tensor) -> Gradients:
    """Gradients that can be differentiated once more."""
    wanted = [t for t, needed in zip(inputs, ctx.needs_input_grad, strict=False) if needed]
    found = iter(torch.autograd.grad(ctx.plain(*inputs), wanted, gradient, create_graph=True, allow_unused=True))
    return tuple(next(found) if needed else None for needed in ctx.needs_input_grad[:3])


def _like(t: Tensor) -> Tensor:
    """Room for (B, H, T, D) with the heads of a token side by side, as projections leave and take them."""
    b, h, n, d = t.shape
    return t.new_empty(b, n, h, d).transpose(1, 2)


def _at(t: Tensor | None) -> int:
    return 0 if t is None else t.data_ptr()


def _sizes(q: Tensor, k: Tensor, v: Tensor, keep: Tensor | None, g: Tensor | None = None) -> tuple[int, ...]:
    """What the module wants to know: sizes, and the steps from sample to sample, token, head."""
    b, h, n, d = q.shape
    steps = 0 if keep is None or keep.shape[0] == 1 else keep.stride(0)
    strides = [(0, 0, 0) if t is None else (t.stride(0), t.stride(2), t.stride(1)) for t in (q, k, v, g)]
    return b, h, n, k.shape[2], d, steps, *sum(strides, ()), ROOM == 2
