"""Zeros where nothing is, whatever stands there."""

from __future__ import annotations

import torch
from torch import Tensor


def blank(x: Tensor, there: Tensor) -> Tensor:
    """Zero what is not there, NaN too.

    Args:
        x: any shape, floating point.
        there: bool, broadcast over x; True stays.

    Example:
        >>> blank(torch.tensor([2.0, float("nan")]), torch.tensor([True, False]))
        tensor([2., 0.])
    """
    # On a processor a product is several times quicker than a fill. But 0 * NaN is NaN: one sum tells whether that
    # happened. A graph cannot ask, and a GPU would wait for the answer.
    if x.device.type == "cpu" and not torch.compiler.is_compiling():
        product = x * there
        if bool(product.detach().sum().isfinite()):
            return product
    return x.masked_fill(~there, 0.0)
