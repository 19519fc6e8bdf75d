"""What is wrong with a module that holds attention from torch, read from its options and the shapes of its input."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from torch import nn

from intermodal.errors import InputError
from intermodal.explain.counting import shapes_of
from intermodal.explain.findings import Finding, finding


def lint_torch(model: nn.Module, X: Any = None) -> Iterator[Finding]:
    """Read every `nn.MultiheadAttention` in a module; X, what one is called with, is read where it is one itself.

    Args:
        model: any module.
        X: a tensor or shape, or a tuple of them: query, key and value.

    Raises:
        InputError: X does not fit.

    Example:
        >>> [f.id for f in lint_torch(nn.MultiheadAttention(8, 2))]
        ['sequence-first']
    """
    attentions = {
        name or "the attention": m for name, m in model.named_modules() if isinstance(m, nn.MultiheadAttention)
    }
    late = [name for name, m in attentions.items() if not m.batch_first]
    if late and len(late) < len(attentions):
        yield finding(
            "sequence-first",
            f"{_some(late)}: the first axis is the sequence, while for other attentions in this module it is the batch",
            severity="warning",
            modules=len(late),
        )
    elif late:
        yield finding(
            "sequence-first",
            f"{_some(late)}: the first axis is the sequence, not the batch; with (batch, tokens, width) samples attend "
            "to each other",
            modules=len(late),
        )
    extra = [name for name, m in attentions.items() if m.add_zero_attn or m.bias_k is not None]
    if extra:
        yield finding(
            "extra-key",
            f"{_some(extra)}: a key is added that stands for no token (add_zero_attn or add_bias_kv), and it takes a "
            "share of the attention",
            modules=len(extra),
        )
    dropping = [name for name, m in attentions.items() if m.training and m.dropout > 0]
    if dropping:
        yield finding(
            "dropout-in-weights",
            f"{_some(dropping)}: in training mode the returned weights are those after dropout, and do not sum to 1",
            severity="note",
            modules=len(dropping),
        )
    if X is not None and isinstance(model, nn.MultiheadAttention):
        yield from _called_with(model, X)


def _called_with(model: nn.MultiheadAttention, X: Any) -> Iterator[Finding]:
    shapes = shapes_of(X)
    if not 1 <= len(shapes) <= 3 or len({len(s) for s in shapes}) > 1 or len(shapes[0]) not in (2, 3):
        raise InputError(f"attention is called with query, key and value of two or three axes, however: {shapes}")
    query, key = shapes[0], shapes[min(1, len(shapes) - 1)]
    if len(query) == 2:
        yield finding(
            "read-as-one-sequence",
            f"{query} is read as one sequence of {query[0]} tokens: if these are {query[0]} samples, they attend to "
            "each other",
            tokens=query[0],
        )
    elif key[1 if model.batch_first else 0] == 1:
        yield finding(
            "one-key",
            "the attention: every query sees one key, so each weight is exactly 1 and the query is ignored",
            keys=1,
        )


def _some(names: list[str]) -> str:
    shown = ", ".join(names[:3])
    return shown + (f" and {len(names) - 3} more" if len(names) > 3 else "")
