"""Scaled dot-product attention: the only softmax in the package.

Shapes: B batch, H heads, Q queries, K keys, D width of a head, E width of a value head.

One meaning, several paths: without weights a fused kernel runs and no (Q, K) tensor is built, the package's own where
it serves, for few tokens and for many, and torch's elsewhere; with weights the arithmetic is written out. Between them
stands the mass: what the weights sum to over parts of the keys, from the fused kernels too. `keep` is True where
attention may look.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from intermodal.errors import InputError, MaskError, ShapeError
from intermodal.kernel import few, many

SHORT = 32
"""Keys up to which the explicit path puts them before the queries."""
FEWEST = 16
"""Keys below which torch's kernel for a processor takes a row of NaN scores for one that sees nobody: zeros."""


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
    q, k, v, keep, poisoned = _ready(q, k, v, keep)
    output, weights = attend_unchecked(q, k, v, keep=keep, need_weights=need_weights, scale=scale, dropout=dropout)
    if poisoned is not None:
        output = output.masked_fill(poisoned, math.nan)
        weights = None if weights is None else weights.masked_fill(poisoned, math.nan)
    return Attended(output, weights)


def mass(
    q: Tensor,
    k: Tensor,
    segments: Tensor,
    n_segments: int,
    *,
    keep: Tensor | None = None,
    scale: float | None = None,
) -> Tensor:
    """Sum every query's weights over segments of the keys, without building the weights.

    The weighted sum of values that say "this key belongs to segment s" is the weight that segment s gets. So the
    fused kernel that never holds (Q, K) answers how much of the attention went to each modality, or to each minute.
    Masks mean what they mean in `attend`: a query that may see no key gets zeros, and what stands in a masked place
    changes nothing. A key in a kept place that is not finite stays visible in every query that sees it.

    Shape:
        q (B, H, Q, D), k (B, H, K, D), segments (K,) or (B, K) -> (B, H, Q, S). k may have fewer heads, a divisor
        of H: each serves a group of query heads, and the mass is that of every query head.

    Args:
        q: the queries.
        k: the keys.
        segments: int, the segment of each key, 0 to S - 1; -1 for a key that belongs to none.
        n_segments: S.
        keep: bool, True = may look; shapes as in `attend`.
        scale: factor on the scores; 1 / sqrt(D) by default.

    Returns:
        The mass in float32 or wider. It sums to 1 over the segments where every key that is seen belongs to one.

    Raises:
        ShapeError: a tensor has the wrong axes.
        MaskError: `keep` is not bool or fits no reading.
        InputError: `segments` is not int, or names a segment that is not there.

    Source: the kernels of Dao et al. 2022, FlashAttention, and Rabe and Staats 2021, Self-attention Does Not Need
    O(n^2) Memory.

    Relation: equal to summing the `weights` of `attend` over the keys of each segment, which cost B * H * Q * K
    numbers. Where single keys matter, ask `attend` for the weights.

    Example:
        >>> q, k = torch.tensor([[[[1., 2.]]]]), torch.tensor([[[[2., 3.], [1., 0.], [1., 0.]]]])
        >>> mass(q, k, torch.tensor([0, 1, 1]), 2)
        tensor([[[[0.9860, 0.0140]]]])
    """
    _check(q, k)
    segments = _segments(segments, n_segments, k)
    q, k, _, keep, poisoned = _ready(q, k, k[..., :0], keep)
    masses = mass_unchecked(q, k, segments, n_segments, keep=keep, scale=scale)
    return masses if poisoned is None else masses.masked_fill(poisoned, math.nan)


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
    if not need_weights and dropout == 0:
        if many.serves(q, k, v, keep):
            return Attended(many.attend(q, k, v, keep, scale, _plainly(keep, scale)), None)
        if v.shape[-1] == q.shape[-1] and few.serves(q, k, v, keep):
            return Attended(few.attend(q, k, v, keep, scale, _plainly(keep, scale)), None)
    # Dropout draws its own numbers in each kernel: one path for both, or weights would change the output. And where
    # the keys are few, the scores are no larger than the queries, and written out they are quicker on a CPU.
    short = k.shape[2] <= max(q.shape[3], FEWEST) and q.device.type == "cpu"
    if need_weights or dropout > 0 or short or 0 in q.shape:
        return _explicit(q, k, v, keep, scale, dropout, need_weights)
    return Attended(_fused(q, k, v, keep, scale), None)


def mass_unchecked(
    q: Tensor,
    k: Tensor,
    segments: Tensor,
    n_segments: int,
    *,
    keep: Tensor | None = None,
    scale: float | None = None,
) -> Tensor:
    """Sum the weights over segments without checks, for callers whose masked places already hold finite numbers.

    Shape, Args, Returns: as `mass`, with equal heads, `keep` of four axes and `segments` of two, (1 or B, K).
    """
    wide = torch.promote_types(torch.float32, q.dtype)
    q, k = q.to(wide), k.to(wide)
    masses = []
    with _in_full(q):
        # torch's kernel wants values of the width of a head: D segments at a time, or the queries would grow with them.
        at_a_time = n_segments if many.serves(q, k, k, keep) else q.shape[3]
        for some in torch.split(torch.arange(n_segments, device=k.device), at_a_time):
            member = (segments.unsqueeze(-1) == some).to(wide)  # (1|B, K, <=D)
            member = member.unsqueeze(1).expand(*k.shape[:3], len(some))
            masses.append(attend_unchecked(q, k, member, keep=keep, scale=scale).output)
    return torch.cat(masses, -1)


def _ready(
    q: Tensor, k: Tensor, v: Tensor, keep: Tensor | None
) -> tuple[Tensor, Tensor, Tensor, Tensor | None, Tensor | None]:
    """Equal heads, `keep` of four axes, nothing broken in masked places; and the queries that see a broken key."""
    if k.shape[1] != q.shape[1]:
        group = q.shape[1] // k.shape[1]
        k, v = k.repeat_interleave(group, dim=1), v.repeat_interleave(group, dim=1)
    if keep is None:
        return q, k, v, None, None
    keep = keep_4d(keep, (*q.shape[:3], k.shape[2]))
    q = q.masked_fill(~keep.any(-1, keepdim=True), 0.0)  # a broken query that asks nobody harms nobody
    k, v, poisoned = _shield(k, v, keep)
    return q, k, v, keep, poisoned


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
    with _in_full(q):
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


def _plainly(keep: Tensor | None, scale: float) -> Callable[[Tensor, Tensor, Tensor], Tensor]:
    """The explicit path as a function of queries, keys and values alone."""
    return lambda q, k, v: _explicit(q, k, v, keep, scale, 0.0, False).output


def _in_full(x: Tensor) -> torch.autocast:
    """The precision of the tensors themselves, whatever a caller lowered it to."""
    return torch.autocast(x.device.type, enabled=False)


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


def _segments(segments: Tensor, n_segments: int, k: Tensor) -> Tensor:
    """Check the segments of the keys, and return them as (1 or B, K)."""
    if segments.is_floating_point() or segments.is_complex() or segments.dtype == torch.bool:
        raise InputError(f"segments is an int tensor, the segment of each key, however: {segments.dtype=}")
    b, n_keys = k.shape[0], k.shape[2]
    if tuple(segments.shape) not in ((n_keys,), (1, n_keys), (b, n_keys)):
        raise ShapeError(f"segments is (K,) or (B, K) with B={b}, K={n_keys}, however: {tuple(segments.shape)=}")
    if n_segments < 1:
        raise InputError(f"there is at least one segment, however: {n_segments=}")
    if segments.numel() and not torch.compiler.is_compiling():
        low, high = (int(end) for end in segments.aminmax())
        if low < -1 or high >= n_segments:
            wrong = high if high >= n_segments else low
            raise InputError(f"segments are 0 to {n_segments - 1}, or -1 for none, however: segment {wrong}")
    return segments.reshape(-1, n_keys) if n_keys else segments.new_zeros(1, 0)


def _check(q: Tensor, k: Tensor, v: Tensor | None = None) -> None:
    tensors = {"q": q, "k": k} if v is None else {"q": q, "k": k, "v": v}
    for name, x in tensors.items():
        if x.ndim != 4:
            hint = "; for one head write x.unsqueeze(1)" if x.ndim == 3 else ""
            if x.ndim == 2:
                hint = "; two axes could be (B, D), one token a sample, or (T, D), one sample"
            raise ShapeError(f"{name} is (batch, heads, tokens, width), however: {tuple(x.shape)=}{hint}")
    every, asked = ("q and k", "k") if v is None else ("q, k and v", "k and v")
    v = k if v is None else v
    requirement = ""
    if q.shape[0] != k.shape[0] or k.shape[0] != v.shape[0]:
        requirement = f"{every} have one batch size (axis 0)"
    elif k.shape[1] != v.shape[1] or k.shape[1] == 0 or q.shape[1] % k.shape[1]:
        alike = "are equal and divide" if len(tensors) == 3 else "divide"
        requirement = f"the heads of {asked} (axis 1) {alike} those of q"
    elif k.shape[2] != v.shape[2]:
        requirement = "k and v have one token count (axis 2)"
    elif q.shape[3] != k.shape[3]:
        requirement = "q and k have one width (axis 3)"
    if requirement:
        shapes = ", ".join(f"tuple({name}.shape)={tuple(x.shape)}" for name, x in tensors.items())
        raise ShapeError(f"{requirement}, however: {shapes}")
