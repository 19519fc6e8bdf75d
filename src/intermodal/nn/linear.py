"""The product of a `nn.Linear`, by the quicker of torch's libraries."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn.modules import module as everywhere

from intermodal.kernel import product
from intermodal.kernel.calling import watched


def project(layer: nn.Linear, x: Tensor) -> Tensor:
    """Return `layer(x)`, up to rounding; large products run twice as fast on some processors.

    Shape:
        (..., in_features) -> (..., out_features).

    Args:
        layer: a `nn.Linear`, or whatever took its place. Where it has hooks or is of another class, it is called.
        x: the input.

    Example:
        >>> import torch
        >>> project(nn.Linear(3, 2), torch.randn(5, 3)).shape
        torch.Size([5, 2])
    """
    if type(layer) is not nn.Linear or watched() or not bare(layer):
        return layer(x)  # type: ignore[no-any-return]
    return product.linear(x, layer.weight, layer.bias)


def run(steps: nn.Sequential, x: Tensor) -> Tensor:
    """Return `steps(x)`, the products in it as `project` does them.

    Example:
        >>> import torch
        >>> run(nn.Sequential(nn.Linear(3, 2), nn.GELU()), torch.randn(5, 3)).shape
        torch.Size([5, 2])
    """
    if not bare(steps):
        return steps(x)  # type: ignore[no-any-return]
    for step in steps:
        x = project(step, x) if isinstance(step, nn.Linear) else step(x)
    return x


def bare(*modules: nn.Module) -> bool:
    """Tell whether calling these does nothing beside their arithmetic: no hooks, and no `forward` of another."""
    return not (
        everywhere._global_forward_hooks
        or everywhere._global_forward_pre_hooks
        or everywhere._global_backward_hooks
        or everywhere._global_backward_pre_hooks
        or any(
            m._forward_hooks
            or m._forward_pre_hooks
            or m._backward_hooks
            or m._backward_pre_hooks
            or "forward" in m.__dict__
            for m in modules
        )
    )
