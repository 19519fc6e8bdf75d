"""Every subset of the textbook's self-attention fusion, with all that the subsets have in common computed once.

The softmax over a subset is the softmax over all keys with the other keys struck out and the rest scaled up again, the
mean over the asking tokens commutes with the values and the output projection, and so a subset is a mixture of vectors
that no longer depend on it, one for each key and head:

    pooled(S) = sum_h sum_k in S  w_hk(S) u_hk        w_hk(S) = (1/|S|) sum_q in S  e_hqk / sum_j in S e_hqj
                                                      e = exp(score),  u_hk = W_o,h v_hk + (bias of the output) / H

The weights of a subset sum to H, so that the bias comes with them, and not at all where nothing is there.

Shapes: B batch, C subsets, H heads, n modalities, d width.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import torch
from torch import Tensor

from intermodal.attention import attend_unchecked
from intermodal.errors import InputError
from intermodal.kernel import mixed
from intermodal.nn.attention import Attention, check_tokens
from intermodal.nn.fused import mean_present
from intermodal.nn.linear import project
from intermodal.nn.textbook import SelfAttentionFusion, _clean

SPREAD = 60.0
"""Scores further apart than this are not shared: e^-60 is still a full float32, and a subset may hold nothing else."""

NUMBERS = 1 << 17
"""Numbers of one pass, about, so that they stay in the cache."""


def attend_subsets(
    fusion: SelfAttentionFusion, x: Tensor, present: Tensor | None = None, *, subsets: Sequence[int] | None = None
) -> Tensor:
    """Fuse a batch once for every subset of its modality tokens.

    Shape:
        x (B, n, d), present (B, n) or None -> (C, B, d).

    Args:
        fusion: in eval mode, or without dropout.
        x: one token a modality.
        present: True where the modality is there.
        subsets: bit i stands for token i; all 2^n in order by default.

    Returns:
        `pooled` of each subset, zeros where nothing is left.

    Raises:
        InputError: the fusion drops weights.

    Relation: equal to `fusion(x, present_in_subset).pooled`, subset by subset, up to rounding.

    Example:
        >>> attend_subsets(SelfAttentionFusion(8, n_heads=2), torch.randn(5, 3, 8)).shape
        torch.Size([8, 5, 8])
    """
    attention = fusion.attention
    if fusion.training and attention.dropout > 0:
        raise InputError("subsets are compared without dropout, however: the fusion is training; call fusion.eval()")
    check_tokens("x", x, attention.q_proj.in_features)
    x, present = _clean(x, present)
    b, n, _ = x.shape
    inside = _inside(n, None if subsets is None else tuple(subsets)).to(x.device)  # (n, C)
    q, k, v = (project(layer, x) for layer in (attention.q_proj, attention.k_proj, attention.v_proj))
    if b == 0 or n == 0:
        return x.new_zeros(inside.shape[1], b, attention.out_proj.out_features)
    gradients = torch.is_grad_enabled() and any(t.requires_grad for t in (x, *fusion.parameters()))
    compiled = mixed.serves(x, 1) and not gradients
    scores, least = mixed.scores(q, k, attention.n_heads) if compiled else _scores(attention, q, k)
    if not least >= -SPREAD:
        kept = inside.expand(b, -1, -1)
        return _apart(fusion, q, k, v, kept if present is None else kept & present.unsqueeze(-1))
    if compiled:
        out = attention.out_proj
        return mixed.blend(scores.exp_(), present, v, out.weight, out.bias, inside).transpose(0, 1)
    mixtures = _mixtures(scores.exp(), _projected(attention, v.to(scores.dtype)), inside, present)
    return mixtures.to(x.dtype).transpose(0, 1)


@lru_cache(maxsize=16)
def _inside(n: int, subsets: tuple[int, ...] | None) -> Tensor:
    """Which tokens each subset holds: bool (n, C)."""
    wanted = torch.arange(1 << n) if subsets is None else torch.tensor(subsets, dtype=torch.int64)
    return (wanted >> torch.arange(n)[:, None] & 1).bool()


def _scores(attention: Attention, q: Tensor, k: Tensor) -> tuple[Tensor, float]:
    """Scores (B, H, n, n) of all pairs, each row less its largest, and the least of them."""
    dtype = torch.promote_types(q.dtype, torch.float32)
    scores = (attention.split(q).to(dtype) * attention.d_head**-0.5) @ attention.split(k).to(dtype).mT
    scores = scores - scores.amax(-1, keepdim=True)
    return scores, float(scores.detach().amin())


def _projected(attention: Attention, v: Tensor) -> Tensor:
    """Values (B, n, d) of every head through its part of the output projection -> u (B, H n, d)."""
    b, h, n, _ = attention.split(v).shape
    out = attention.out_proj
    weight = out.weight.to(v.dtype).reshape(len(out.weight), h, -1).permute(1, 2, 0)  # (H, d / H, d)
    bias = weight.new_zeros(1) if out.bias is None else out.bias.to(v.dtype) / h
    u = torch.baddbmm(bias, attention.split(v).transpose(0, 1).flatten(1, 2), weight)  # (H, B n, d)
    return u.reshape(h, b, n, u.shape[-1]).transpose(0, 1).flatten(1, 2)


def _mixtures(e: Tensor, u: Tensor, inside: Tensor, present: Tensor | None) -> Tensor:
    """Exponentials (B, H, n, n), vectors (B, H n, d), inside (n, C), present (B, n) -> (B, C, d)."""
    b, h, n, _ = e.shape
    kept = inside.to(e.dtype)
    alone = torch.eye(n, dtype=e.dtype, device=e.device).expand(b, h, n, n)
    # Who does not ask, since it is not in the subset or not there, divides by something all the same: by one more.
    terms, into = [e, alone], [kept, 1 - kept]
    share = (kept / kept.sum(0).clamp(min=1)).expand(b, 1, n, -1)
    if present is not None:
        there = present.to(e.dtype)
        e = e * there[:, None, None] * there[:, None, :, None]
        terms = [e, alone, (1 - there)[:, None, :, None].expand(b, h, n, 1)]
        into.append(kept.new_ones(1, kept.shape[1]))
        share = (kept / (there @ kept).clamp(min=1).unsqueeze(1)).unsqueeze(1)  # (B, 1, n, C)
    divisors, summed = torch.cat(terms, -1), torch.cat(into)
    # Written into one tensor, piece by piece, where no gradient wants the pieces: joining them would take as long.
    room = None if e.requires_grad or u.requires_grad else u.new_empty(b, kept.shape[1], u.shape[-1])
    size, pieces = max(1, NUMBERS // (kept.shape[1] * u.shape[-1])), []
    for i in range(0, b, size):
        rows = slice(i, i + size)
        weights = (e[rows].mT @ (kept / (divisors[rows] @ summed))).mul_(share[rows])  # (B, H, n, C)
        pieces.append(torch.bmm(weights.flatten(1, 2).mT, u[rows], out=None if room is None else room[rows]))
    return torch.cat(pieces) if room is None else room


def _apart(fusion: SelfAttentionFusion, q: Tensor, k: Tensor, v: Tensor, inside: Tensor) -> Tensor:
    """A softmax for each subset: q, k and v (B, n, d), inside (B, n, C) -> (C, B, d)."""
    attention = fusion.attention
    q, k, v = (attention.split(t) for t in (q, k, v))
    pieces = []
    for there in inside.unbind(-1):  # (B, n)
        heads, _ = attend_unchecked(q, k, v, keep=there[:, None, None])
        pooled = mean_present(attention.merge(heads), there)
        pieces.append(attention.out_proj(pooled) * there.any(1, keepdim=True))
    return torch.stack(pieces)
