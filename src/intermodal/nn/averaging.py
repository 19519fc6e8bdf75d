"""The mean of what the queries receive, without what each receives: the mean commutes with the projections.

Shapes: B batch, Q and K tokens, H heads.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from intermodal.attention import Attended, attend_unchecked
from intermodal.kernel import pooled, rows
from intermodal.kernel.calling import watched
from intermodal.nn.attention import Attention
from intermodal.nn.blank import blank
from intermodal.nn.linear import bare, project


def averaged(
    attention: Attention,
    query: Tensor,
    context: Tensor,
    query_present: Tensor | None = None,
    context_present: Tensor | None = None,
    *,
    n_averaged: Tensor | int | None = None,
    need_weights: bool = False,
) -> Attended | None:
    """Average what the queries of an `Attention` receive, where that can be had more cheaply than by asking it.

    Shape:
        query (B, Q, d_query), context (B, K, d_context) -> output (B, d_out), weights (B, H, Q, K).

    Args:
        attention: who asks.
        query: the tokens that ask; zeros where they are absent.
        context: the tokens asked; zeros where they are absent.
        query_present: bool (B, Q), who counts.
        context_present: bool (B, K), who may be asked.
        n_averaged: how many the sum is divided by, an int or (B, 1); the queries that are there by default.
        need_weights: also return the weights, of absent queries too.

    Returns:
        The mean and the weights or None; or None: then ask `attention` and average. So it is where its parts are
        watched or changed (hooks, another class, dropout), and wherever no faster way serves.
    """
    if watched() or torch.is_autocast_enabled("cpu") or not _bare(attention):
        return None
    pairs = [(p._parameters["weight"], p._parameters["bias"]) for p in _parts(attention)]
    if query.shape[0] != context.shape[0] or query.dtype != pairs[0][0].dtype:  # type: ignore[union-attr]
        return None
    by = pooled.Projections(pairs, attention.n_heads)  # type: ignore[arg-type]
    few_serve = not need_weights and pooled.serves(query, context, by, context_present)
    if not few_serve and not rows.serves(query.unsqueeze(1), context.unsqueeze(1), None):
        return None
    keep = None if context_present is None else context_present.unsqueeze(1)
    attention.check_one_key(keep, context.shape[1])
    if context_present is not None and query is not context:  # who has nobody to ask must not reach the gradients
        query = blank(query, context_present.any(1)[:, None, None])
    share = _share(query, query_present, n_averaged)
    if few_serve:
        plain = _plainly(attention.n_heads, context_present, share)
        return Attended(pooled.pool(query, context, by, context_present, share, plain), None)
    share = share if isinstance(share, Tensor) else query.new_full(query.shape[:2], share)
    mean, weights = _mean_weights(attention, query, context, context_present, share, need_weights)
    return Attended(_projected(attention, mean, context, context_present, share), weights)


def _mean_weights(
    attention: Attention, query: Tensor, context: Tensor, present: Tensor | None, share: Tensor, need_weights: bool
) -> tuple[Tensor, Tensor | None]:
    """The weights of all queries, each by its share, (B, H, K); and the weights themselves, where they are needed."""
    q_proj, k_proj, *_ = _parts(attention)
    q, k = attention.split(project(q_proj, query)), attention.split(project(k_proj, context))
    keep = None if present is None else present[:, None, None]
    scale = attention.d_head**-0.5
    if not need_weights:
        return rows.mean_weights(q, k, keep, share, scale, _weighing(keep, scale)), None
    weights = attend_unchecked(q, k, k[..., :0], keep=keep, scale=scale, need_weights=True).weights
    return _weighed(share, weights), weights  # type: ignore[arg-type]


def _projected(attention: Attention, mean: Tensor, context: Tensor, present: Tensor | None, share: Tensor) -> Tensor:
    """Mix the tokens by the mean weights, and project one row a sample."""
    *_, v_proj, out_proj = _parts(attention)
    cover = share.sum(1, keepdim=True)
    if present is not None:
        cover = cover * present.any(1, keepdim=True)
    mixed = (mean @ context).transpose(0, 1)  # (H, B, Y)
    z = (mixed @ v_proj.weight.view(attention.n_heads, -1, context.shape[2]).mT).transpose(0, 1).flatten(1)
    z = z if v_proj.bias is None else torch.addcmul(z, cover, v_proj.bias)
    out = F.linear(z, out_proj.weight)
    return out if out_proj.bias is None else torch.addcmul(out, cover, out_proj.bias)


def _weighed(share: Tensor, weights: Tensor) -> Tensor:
    """share (B, Q), weights (B, H, Q, K) -> (B, H, K)."""
    return (share[:, None, None] @ weights).squeeze(2)


def _weighing(keep: Tensor | None, scale: float) -> Callable[[Tensor, Tensor, Tensor], Tensor]:
    """Return the mean weights by torch's operations, as a function of queries, keys and shares alone."""

    def plain(q: Tensor, k: Tensor, share: Tensor) -> Tensor:
        weights = attend_unchecked(q, k, k, keep=keep, scale=scale, need_weights=True).weights
        return _weighed(share, weights)  # type: ignore[arg-type]

    return plain


def _share(query: Tensor, present: Tensor | None, n: Tensor | int | None) -> Tensor | float:
    """What each query counts: (B, Q), or one number for all."""
    if present is None and not isinstance(n, Tensor):
        return 1 / (n or query.shape[1])
    present = query.new_ones(query.shape[:2]) if present is None else present
    n = present.sum(1, keepdim=True).clamp(min=1) if n is None else n
    return present.to(query.dtype) / n


def _bare(attention: Attention) -> bool:
    """Whether nothing but the arithmetic of an `Attention` happens when it is asked."""
    if type(attention) is not Attention or (attention.training and attention.dropout > 0):
        return False
    parts = _parts(attention)
    return all(type(part) is nn.Linear for part in parts) and bare(attention, *parts)


def _parts(attention: Attention) -> tuple[nn.Linear, ...]:
    return tuple([attention._modules[name] for name in ("q_proj", "k_proj", "v_proj", "out_proj")])  # type: ignore[misc]


def weights_of(attention: Attention) -> list[Tensor]:
    """Every weight and bias of the projections of an `Attention`."""
    return [t for part in _parts(attention) for t in part._parameters.values() if t is not None]


def _plainly(n_heads: int, keep: Tensor | None, share: Tensor | float) -> Callable[..., Tensor]:
    """The same by torch's operations, as a function of the tensors alone."""

    def plain(query: Tensor, context: Tensor, *by: Tensor | None) -> Tensor:
        wq, bq, wk, bk, wv, bv, wo, bo = by
        pairs = ((query, wq, bq), (context, wk, bk), (context, wv, bv))
        projected = (F.linear(x, w, b) for x, w, b in pairs)  # type: ignore[arg-type]
        q, k, v = (p.reshape(*p.shape[:2], n_heads, -1).transpose(1, 2) for p in projected)
        seen = None if keep is None else keep[:, None, None]
        answers = attend_unchecked(q, k, v, keep=seen).output.transpose(1, 2).flatten(-2)
        out = F.linear(answers, wo, bo)  # type: ignore[arg-type]
        if keep is not None:
            out = out * keep.any(1)[:, None, None]
        return (out * share.unsqueeze(-1)).sum(1) if isinstance(share, Tensor) else out.sum(1) * share

    return plain
