"""Products with a weight on a processor, by the quicker of the two libraries that torch brings.

torch multiplies float32 by MKL, which does not use the 512 bits of a vector where the processor is not Intel's. oneDNN
does, and takes half as long once a product is large enough to pay for its start. Whatever it may not serve, and every
other processor, goes to torch's own `linear`.

Shapes: R rows, all axes of the input but the last; I and O widths.
"""

from __future__ import annotations

import os
import platform
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from intermodal.kernel.calling import PLAIN, watched

LEAST = 3 << 19
"""Multiply-adds from which oneDNN is quicker in spite of its start."""

LEAST_BACK = 64 * 64
"""Numbers of a weight from which its gradient is too."""

PIECE = 4096
"""Rows that the gradient of a weight takes at a time: with more, turning them over costs what the product wins."""


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Return `F.linear`, up to rounding.

    Shape:
        x (..., I), weight (O, I), bias (O,) -> (..., O).

    Args:
        x: the input.
        weight: of a linear layer.
        bias: of a linear layer.
    """
    if not serves(x, weight, bias):
        return F.linear(x, weight, bias)
    if torch.is_grad_enabled() and (
        x.requires_grad or weight.requires_grad or (bias is not None and bias.requires_grad)
    ):
        return _Linear.apply(x, weight, bias)  # type: ignore[no-any-return, no-untyped-call]
    return _product(x, weight, bias)


def serves(x: Tensor, weight: Tensor, bias: Tensor | None) -> bool:
    """Tell whether oneDNN is to compute this product.

    Returns:
        True where it is the quicker library on this processor, the product is large, the tensors are plain float32 in
        this processor's memory, and nobody watches, rewrites or lowers what torch does.
    """
    return (
        x.numel() * weight.shape[0] >= LEAST
        and _quicker()
        and _plain(x)
        and _plain(weight)
        and (bias is None or (_plain(bias) and bias.is_contiguous()))  # it reads on from the first number
        and x.shape[-1] == weight.shape[1]
        and not torch.is_autocast_enabled("cpu")
        and not watched()
    )


def _plain(t: Tensor) -> bool:
    return (
        type(t) in (Tensor, nn.Parameter)
        and t.dtype == torch.float32
        and t.device.type == "cpu"
        and t.layout == torch.strided
    )


@lru_cache(maxsize=1)
def _quicker() -> bool:
    """Whether this processor has vectors that MKL leaves unused, and oneDNN answers here as torch does."""
    if os.environ.get(PLAIN) or torch.backends.cpu.get_cpu_capability() != "AVX512" or _vendor() != "AuthenticAMD":
        return False
    try:
        x, weight, bias = torch.arange(6.0).reshape(2, 3), torch.arange(12.0).reshape(4, 3), torch.arange(4.0)
        return _product(x, weight, bias).equal(F.linear(x, weight, bias))
    except (AttributeError, RuntimeError):  # torch was built without it, or calls it by another name
        return False


def _vendor() -> str:
    """Who made the processor."""
    facts = Path("/proc/cpuinfo")
    text = facts.read_text() if facts.exists() else platform.processor()
    return next((name for name in ("AuthenticAMD", "GenuineIntel") if name in text), "")


def _product(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    return torch.ops.mkldnn._linear_pointwise.default(x, weight, bias, "none", [], "")  # type: ignore[no-any-return]


class _Linear(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(x, weight)
        return _product(x, weight, bias)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        x, weight = ctx.saved_tensors
        for_x, for_weight, for_bias = ctx.needs_input_grad
        # `linear` and not `_product`: gradients can be differentiated once more, and the rows may be few here.
        return (
            linear(gradient, weight.mT) if for_x else None,
            _for_weight(gradient.flatten(0, -2), x.flatten(0, -2)) if for_weight else None,
            gradient.flatten(0, -2).sum(0) if for_bias else None,
        )


def _for_weight(gradient: Tensor, x: Tensor) -> Tensor:
    """gradient (R, O), x (R, I) -> (O, I)."""
    if gradient.shape[1] * x.shape[1] < LEAST_BACK:
        return gradient.mT @ x
    pieces = zip(gradient.split(PIECE), x.split(PIECE), strict=True)
    return (
        torch.stack([linear(g.mT, some.mT) for g, some in pieces]).sum(0)
        if len(x) > PIECE
        else linear(gradient.mT, x.mT)
    )
