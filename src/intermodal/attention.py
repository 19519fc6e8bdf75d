"""Scaled dot-product attention: the only softmax in the package.

Shapes: B batch, H heads, Q queries, K keys, D width of a head, E width of a value head.

One meaning, two paths: without weights the fused kernel runs and no (Q, K) tensor is built; with weights the
arithmetic is written out. `keep` is True where attention may look.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from intermodal.errors import MaskError, ShapeError

SHORT = 32
"""Keys up to which the explicit path puts them before the queries."""


class Attended(NamedTuple):
    """What attention returns, always: the output, and the weights or None."""

    output: Tensor
    weights: Tensor | None


def attend(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    *,
    keep: Tensor | None = None,
    need_weights: bool = False,
    scale: float | None = None,
    dropout: float = 0.0,
) -> Attended:
    """Let every query look at the keys it may see, and return the weighted values.

    A query that may see no key gets zeros. What stands in a masked place, NaN too, changes nothing; a NaN in a
    kept place stays visible in every query that sees it. Samples and heads never mix.

    Shape:
        q (B, H, Q, D), k (B, H, K, D), v (B, H, K, E). k and v may have fewer heads, a divisor of H: each
        serves a group of query heads.

    Args:
        q: the queries.
        k: the keys.
        v: the values.
        keep: bool, True = may look. (B, K), (Q, K), (B, Q, K) or (B, H, Q, K); an axis of length 1, but for
            the keys, is broadcast. Two axes that could be read both ways (B == Q) are refused.
        need_weights: also return the weights. The output stays the same.
        scale: factor on the scores; 1 / sqrt(D) by default.
        dropout: probability of dropping a weight; the returned weights are those before dropout.

    Returns:
        `output` (B, H, Q, E), and `weights` (B, H, Q, K) in float32 or wider, or None.

    Raises:
        ShapeError: a tensor has the wrong axes.
        MaskError: `keep` is not bool or fits no reading.

    Source: Vaswani et al. 2017, Attention Is All You Need, section 3.2.1.

    Relation: equal to `torch.nn.functional.scaled_dot_product_attention` wherever that is defined;
    `intermodal.nn.Attention` projects and then calls this.

    Example:
        >>> q, k, v = torch.tensor([[[[1., 2.]]]]), torch.tensor([[[[2., 3.], [1., 0.]]]]), torch.eye(2)[None, None]
        >>> attend(q, k, v, need_weights=True).weights
        tensor([[[[0.9930, 0.0070]]]])
    """
    _check(q, k, v)
    if k.shape[1] != q.shape[1]:
        group = q.shape[1] // k.shape[1]
        k, v = k.repeat_interleave(group, dim=1), v.repeat_interleave(group, dim=1)
    poisoned = None
    if keep is not None:
        keep = keep_4d(keep, (*q.shape[:3], k.shape[2]))
        q = q.masked_fill(~keep.any(-1, keepdim=True), 0.0)  # a broken query that asks nobody harms nobody
        k, v, poisoned = _shield(k, v, keep)
    output, weights = attend_unchecked(q, k, v, keep=keep, need_weights=need_weights, scale=scale, dropout=dropout)
    if poisoned is not None:
        output = output.masked_fill(poisoned, math.nan)
        weights = None if weights is None else weights.masked_fill(poisoned, math.nan)
    return Attended(output, weights)


def attend_unchecked(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    *,
    keep: Tensor | None = None,
    need_weights: bool = False,
    scale: float | None = None,
    dropout: float = 0.0,
) -> Attended:
    """Attend without checks, for callers whose masked places already hold finite numbers.

    Shape, Args, Returns: as `attend`, with equal heads and `keep` of four axes.
    """
    scale = 1 / math.sqrt(q.shape[-1]) if scale is None else scale
    # Dropout draws its own numbers in each kernel: one path for both, or weights would change the output. And where
    # the keys are few, the scores are no larger than the queries, and written out they are quicker on a CPU.
    few = k.shape[2] <= q.shape[3] and q.device.type == "cpu"
    if need_weights or dropout > 0 or few or 0 in q.shape:
        return _explicit(q, k, v, keep, scale, dropout, need_weights)
    return Attended(_fused(q, k, v, keep, scale), None)


def _fused(q: Tensor, k: Tensor, v: Tensor, keep: Tensor | None, scale: float) -> Tensor:
    d, e = q.shape[3], v.shape[3]
    if d != e:  # only one width for all keeps the kernel from building (Q, K)
        q, k, v = (F.pad(x, (0, max(d, e) - x.shape[3])) for x in (q, k, v))
        return _fused(q, k, v, keep, scale)[..., :e]
    if keep is None:
        return F.scaled_dot_product_attention(q, k, v, scale=scale)
    # keep   1 1 0      some   1     keep | ~some   1 1 0     a row that sees nothing looks everywhere,
    #        0 0 0             0                    1 1 1     so the softmax stays finite, and is zeroed after
    some = keep.any(-1, keepdim=True)
    output = F.scaled_dot_product_attention(q, k, v, attn_mask=keep | ~some, scale=scale)
    return output * some


def _explicit(
    q: Tensor, k: Tensor, v: Tensor, keep: Tensor | None, scale: float, dropout: float, need_weights: bool
) -> Attended:
    dtype = torch.promote_types(q.dtype, torch.float32)
    with torch.autocast(q.device.type, enabled=False):
        # A softmax along a short last axis is several times slower: few keys stand before the queries, (B, H, K, Q).
        short = k.shape[2] <= SHORT
        q, k = q.to(dtype) * scale, k.to(dtype)
        scores, axis = (k @ q.mT, -2) if short else (q @ k.mT, -1)
        if keep is not None:  # a hidden key scores so low that its weight is exactly 0, unless all are hidden
            kept = keep.mT if short else keep
            scores = scores + torch.zeros_like(kept, dtype=dtype).masked_fill(~kept, torch.finfo(dtype).min / 2)
        weights = scores.softmax(axis)
        if keep is not None:
            weights = weights * keep.any(-1, keepdim=True).transpose(-1, axis)
        weights = weights.mT if short else weights
        used = F.dropout(weights, dropout) if dropout > 0 else weights
        output = (used @ v.to(dtype)).to(v.dtype)
    return Attended(output, weights if need_weights else None)


def _shield(k: Tensor, v: Tensor, keep: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
    """Zero what stands in masked places; return also the queries (B, H, Q, 1) that see a broken key.

    0 * NaN is NaN, so a weight of zero does not hide a broken value: the value must go.
    """
    unseen = ~keep.any(-2).unsqueeze(-1)  # (B|1, H|1, K, 1)
    k, v = k.masked_fill(unseen, 0.0), v.masked_fill(unseen, 0.0)
    if keep.shape[-2] == 1:
        return k, v, None
    broken = ~(k.isfinite().all(-1) & v.isfinite().all(-1))  # (B, H, K): seen by some queries, not by all
    if keep.shape[1] == 1:  # a product instead of (B, H, Q, K):   (B, H, K) @ (B|1, K, Q)
        poisoned = (broken.float() @ keep[:, 0].float().mT > 0).unsqueeze(-1)
    else:
        poisoned = (keep & broken.unsqueeze(-2)).any(-1, keepdim=True)
    broken = broken.unsqueeze(-1)
    return k.masked_fill(broken, 0.0), v.masked_fill(broken, 0.0), poisoned


def keep_4d(keep: Tensor, shape: tuple[int, int, int, int]) -> Tensor:
    """Read a `keep` of two to four axes as (B, H, Q, K), with 1 where it broadcasts.

    Args:
        keep: bool, as in `attend`.
        shape: the sizes (B, H, Q, K).

    Raises:
        MaskError: not bool, no reading fits, or two readings fit.

    Example:
        >>> keep_4d(torch.ones(2, 5, dtype=torch.bool), (2, 3, 7, 5)).shape
        torch.Size([2, 1, 1, 5])
    """
    if keep.dtype != torch.bool:
        raise MaskError(
            "keep is a bool tensor, True where attention may look, however: "
            f"{keep.dtype=}; write keep=(mask > 0) if 1 means keep, keep=(mask == 0) if 0 means keep"
        )
    b, _, q, _ = shape
    readings = {
        2: {"(B, K)": keep[:, None, None] if keep.ndim == 2 else keep, "(Q, K)": keep[None, None]},
        3: {"(B, Q, K)": keep[:, None] if keep.ndim == 3 else keep},
        4: {"(B, H, Q, K)": keep},
    }.get(keep.ndim, {})
    fitting = {name: read for name, read in readings.items() if _broadcasts(read, shape)}
    if len(fitting) == 2 and keep.shape[0] > 1:
        raise MaskError(
            "keep of two axes is (B, K) or (Q, K), however: both fit here, "
            f"{tuple(keep.shape)=}, B={b}, Q={q}; pass keep[:, None] for (B, K) or keep[None] for (Q, K)"
        )
    if not fitting:
        raise MaskError(
            "keep is (B, K), (Q, K), (B, Q, K) or (B, H, Q, K) with "
            f"(B, H, Q, K) = {shape}, however: {tuple(keep.shape)=}"
        )
    return next(iter(fitting.values()))


def causal_keep(n_queries: int, n_keys: int | None = None, *, device: torch.device | str | None = None) -> Tensor:
    """Return the `keep` with which query i sees keys 0..i; the last query sees the last key.

    Args:
        n_queries: Q.
        n_keys: K, at least Q when earlier keys are cached; Q by default.
        device: where the tensor lies.

    Returns:
        Bool (1, Q, K): three axes, so that it is never mistaken for a padding mask.

    Example:
        >>> causal_keep(2, 3)
        tensor([[[ True,  True, False],
                 [ True,  True,  True]]])
    """
    n_keys = n_queries if n_keys is None else n_keys
    if n_keys < n_queries:
        raise ShapeError(f"a causal query sees its own key, so K >= Q, however: {n_keys=}, {n_queries=}")
    ones = torch.ones(n_queries, n_keys, dtype=torch.bool, device=device)
    return ones.tril(n_keys - n_queries).unsqueeze(0)


def _broadcasts(keep: Tensor, shape: tuple[int, int, int, int]) -> bool:
    return keep.shape[-1] == shape[-1] and all(n in (1, full) for n, full in zip(keep.shape, shape, strict=True))


def _check(q: Tensor, k: Tensor, v: Tensor) -> None:
    for name, x in (("q", q), ("k", k), ("v", v)):
        if x.ndim != 4:
            hint = "; for one head write x.unsqueeze(1)" if x.ndim == 3 else ""
            if x.ndim == 2:
                hint = "; two axes could be (B, D), one token a sample, or (T, D), one sample"
            raise ShapeError(f"{name} is (batch, heads, tokens, width), however: {tuple(x.shape)=}{hint}")
    requirement = ""
    if q.shape[0] != k.shape[0] or k.shape[0] != v.shape[0]:
        requirement = "q, k and v have one batch size (axis 0)"
    elif k.shape[1] != v.shape[1] or k.shape[1] == 0 or q.shape[1] % k.shape[1]:
        requirement = "the heads of k and v (axis 1) are equal and divide those of q"
    elif k.shape[2] != v.shape[2]:
        requirement = "k and v have one token count (axis 2)"
    elif q.shape[3] != k.shape[3]:
        requirement = "q and k have one width (axis 3)"
    if requirement:
        raise ShapeError(f"{requirement}, however: {tuple(q.shape)=}, {tuple(k.shape)=}, {tuple(v.shape)=}")
