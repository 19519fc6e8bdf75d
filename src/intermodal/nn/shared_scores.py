"""Every subset of the textbook's self-attention fusion, with the exponentials computed once.

The softmax over a subset is the softmax over all keys with the other keys struck out and the rest scaled up again, and
the mean over the asking tokens commutes with the values and the output projection:

    pooled(S) = W_o sum_k in S  v_k  (1/|S|) sum_q in S  e_qk / sum_j in S e_qj        e = exp(score), shared by all S

Shapes: B batch, C subsets, H heads, n modalities, d width.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from intermodal.attention import attend_unchecked
from intermodal.errors import InputError
from intermodal.nn.attention import check_tokens
from intermodal.nn.fused import mean_present
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
    n = x.shape[1]
    wanted = torch.as_tensor(range(1 << n) if subsets is None else list(subsets), device=x.device)
    inside = (wanted >> torch.arange(n, device=x.device)[:, None] & 1).bool().unsqueeze(0)  # (1, n, C)
    if present is not None:
        inside = inside & present.unsqueeze(-1)  # (B, n, C)
    dtype = torch.promote_types(x.dtype, torch.float32)
    q, k, v = (attention.split(project(x)) for project in (attention.q_proj, attention.k_proj, attention.v_proj))
    scores = (q.to(dtype) * attention.d_head**-0.5) @ k.to(dtype).mT
    if scores.numel() and bool((scores.detach().amax(-1) - scores.detach().amin(-1)).max() > SPREAD):
        return _apart(fusion, q, k, v, inside.expand(len(x), -1, -1))
    e = (scores - scores.amax(-1, keepdim=True)).exp() if n else scores
    step = max(1, NUMBERS // max(1, len(wanted) * x.shape[-1]))
    kept = inside.expand(len(x), -1, -1)
    pieces = [_pooled(fusion, *(t[i : i + step] for t in (e, v, kept))) for i in range(0, max(1, len(x)), step)]
    return torch.cat(pieces).transpose(0, 1)


def _pooled(fusion: SelfAttentionFusion, e: Tensor, v: Tensor, inside: Tensor) -> Tensor:
    """Some samples: e (B, H, n, n), v (B, H, n, d / H), inside (B, n, C) -> (B, C, d)."""
    kept = inside.to(e.dtype).unsqueeze(1)  # (B, 1, n, C)
    total = (e @ kept).masked_fill(~inside.unsqueeze(1), 1.0)  # (B, H, n, C), what each asking token divides by
    count = inside.sum(1)  # (B, C)
    share = kept / total / count.clamp(min=1)[:, None, None]
    weights = (e.mT @ share) * kept  # (B, H, n, C), the mean weight of each key
    heads = weights.mT @ v.to(e.dtype)
    pooled = fusion.attention.out_proj(fusion.attention.merge(heads).to(v.dtype))
    return torch.as_tensor(pooled * (count > 0).unsqueeze(-1))


def _apart(fusion: SelfAttentionFusion, q: Tensor, k: Tensor, v: Tensor, inside: Tensor) -> Tensor:
    """A softmax for each subset: inside (B, n, C) -> (C, B, d)."""
    pieces = []
    for there in inside.unbind(-1):  # (B, n)
        heads, _ = attend_unchecked(q, k, v, keep=there[:, None, None])
        pooled = mean_present(fusion.attention.merge(heads), there)
        pieces.append(fusion.attention.out_proj(pooled) * there.any(1, keepdim=True))
    return torch.stack(pieces)
