"""The weights of every attention inside a module, overheard while it answers one batch.

Shapes: B batch, H heads, Q queries, K keys.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from intermodal.nn.attention import Attention


@dataclass(frozen=True)
class Heard:
    """One call of one attention: who, its weights (B, H, Q, K), and its projections of queries and keys."""

    name: str
    weights: Tensor
    asking: tuple[Tensor, ...]
    in_training: bool


def overheard(model: nn.Module, call: Callable[[], Any]) -> list[Heard]:
    """Run `call`, and return the weights of every `nn.MultiheadAttention` and `Attention` that it used.

    The module answers as it always does; each attention is asked once more for its weights, with the same input.

    Args:
        model: the module that holds them.
        call: runs the module, in eval mode.

    Example:
        >>> attention = nn.MultiheadAttention(8, 2, batch_first=True)
        >>> x = torch.randn(3, 5, 8)
        >>> [(h.name, tuple(h.weights.shape)) for h in overheard(attention, lambda: attention(x, x, x))]
        [('the attention', (3, 2, 5, 5))]
    """
    before = {name: m.training for name, m in model.named_modules()}
    calls: list[tuple[str, nn.Module, tuple[Any, ...], dict[str, Any]]] = []
    hooks = []
    for name, m in model.named_modules():
        if isinstance(m, nn.MultiheadAttention | Attention):

            def listen(module: nn.Module, args: Any, kwargs: Any, name: str = name) -> None:
                calls.append((name, module, args, dict(kwargs)))

            hooks.append(m.register_forward_pre_hook(listen, with_kwargs=True))
    try:
        call()
    finally:
        for hook in hooks:
            hook.remove()
    return [
        Heard(name or "the attention", _weights(m, args, kwargs), _asking(m), before[name] and _returns_dropped(m))
        for name, m, args, kwargs in calls
    ]


def _returns_dropped(m: nn.Module) -> bool:
    """Whether the weights that it returns in training are those after dropout."""
    return isinstance(m, nn.MultiheadAttention) and m.dropout > 0


def _weights(m: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Tensor:
    training = m.training
    m.training = False
    try:
        with torch.no_grad():
            if isinstance(m, Attention):
                weights = m.forward(*args, **(kwargs | {"need_weights": True})).weights
                assert weights is not None
                return weights
            named = dict(zip(("query", "key", "value", "key_padding_mask"), args, strict=False)) | kwargs
            named |= {"need_weights": True, "average_attn_weights": False}
            weights = nn.MultiheadAttention.forward(m, **named)[1]  # type: ignore[arg-type]
            assert weights is not None
            return weights.unsqueeze(0) if weights.ndim == 3 else weights
    finally:
        m.training = training


def _asking(m: nn.Module) -> tuple[Tensor, ...]:
    if isinstance(m, Attention):
        return m.q_proj.weight, m.k_proj.weight
    assert isinstance(m, nn.MultiheadAttention)
    return (m.in_proj_weight,) if m.in_proj_weight is not None else (m.q_proj_weight, m.k_proj_weight)
