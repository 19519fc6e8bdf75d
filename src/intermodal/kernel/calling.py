"""What all compiled parts need: to be loaded, to know whom they may serve, addresses, gradients of gradients.

Shapes: B batch, H heads, T tokens, D width of a head.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable, Sequence
from types import ModuleType

import torch
from torch import Tensor, nn

PLAIN = "INTERMODAL_PLAIN"
"""Set to anything in the environment, this keeps the compiled parts out."""

Gradients = tuple[Tensor | None, ...]
Plain = Callable[..., Tensor]
"""The same by torch's operations, as a function of the tensors alone."""


def compiled(name: str) -> ModuleType | None:
    """Return the compiled module of this name in this folder, or None where it is kept out or was not built."""
    if os.environ.get(PLAIN):
        return None
    try:
        return importlib.import_module(f"intermodal.kernel.{name}")
    except ImportError:  # no compiler was there when the package was installed
        return None


def alike(tensors: Sequence[Tensor], keep: Tensor | None) -> bool:
    """Tell whether the tensors (B, H, T, D) and their mask are such as compiled attention reads.

    Returns:
        True where the tensors are plain ones of one type in this processor's memory, `keep` is the same for all
        queries and heads, and nobody watches or rewrites torch's operations.
    """
    dtype = tensors[0].dtype
    return (
        dtype in (torch.float32, torch.float64)
        and (keep is None or (keep.shape[1] == keep.shape[2] == 1 and type(keep) is Tensor))
        and all(readable(t, dtype) for t in tensors)
        and not watched()
    )


def readable(t: Tensor, dtype: torch.dtype) -> bool:
    """Tell whether a tensor is nothing but numbers of this type in memory, those of its last axis side by side."""
    return (
        type(t) in (Tensor, nn.Parameter)
        and t.dtype == dtype
        and t.is_cpu
        and t.layout == torch.strided
        and t.numel() > 0
        and t.stride(-1) == 1
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


def again(by: Plain, inputs: Sequence[Tensor | None], needed: Sequence[bool], gradient: Tensor) -> Gradients:
    """Return the gradients of some inputs, such that they can be differentiated once more; None for the others."""
    wanted = [t for t, need in zip(inputs, needed, strict=True) if need]
    found = iter(torch.autograd.grad(by(*inputs), wanted, gradient, create_graph=True, allow_unused=True))  # type: ignore[arg-type]
    return tuple(next(found) if need else None for need in needed)


def like(t: Tensor) -> Tensor:
    """Return room for (B, H, T, D) with the heads of a token side by side, as projections leave and take them."""
    b, h, n, d = t.shape
    return t.new_empty(b, n, h, d).transpose(1, 2)


def row(t: Tensor) -> Tensor:
    """Return the tensor, or a copy whose last axis lies together."""
    return t if t.stride(-1) == 1 else t.contiguous()


def at(t: Tensor | None) -> int:
    """Return the address of the first number, 0 where there is no tensor."""
    return 0 if t is None else t.data_ptr()
