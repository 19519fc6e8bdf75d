"""Attention along time in which some heads look only back and the others only ahead.

Shapes: B batch, H heads, T tokens in their order, D width of a head, d width of the model.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from intermodal.attention import attend_unchecked
from intermodal.errors import InputError, MaskError
from intermodal.nn.attention import Attention, check_tokens

MOST = 2**23
"""Scores that are held at once; beyond it the queries come in pieces, so that memory does not grow with T squared."""


class DirectedAttention(nn.Module):
    """Let every token ask those before it with one half of the heads, and those after it with the other half.

    What comes before and what after is known without positions, so that a sequence far longer than any of training
    means the same. Two more things keep it so. Scores grow with the logarithm of how many tokens a query sees, or
    the weight of the one that matters would thin out among ever more others. And every head has a nobody to look at,
    a learned key with a value of zero, so that "none of them" is an answer.

    Shape:
        x (B, T, d), present (B, T) or None -> (B, T, d), zero where nothing is there.

    Args:
        d_model: d.
        n_heads: H, even; d is divisible by it.
        dropout: probability of dropping a weight, in training.

    Raises:
        InputError: an odd number of heads, or sizes that do not divide.

    Source: the growing scores are Nakanishi 2025, Scalable-Softmax Is Superior for Attention; masked directions as
    in Shen et al. 2018, DiSAN.

    Relation: `Attention` over one sequence with a `keep` that is triangular, another one for each half of the heads.

    Example:
        >>> asks = DirectedAttention(8, n_heads=2)
        >>> asks(torch.randn(2, 5, 8)).shape
        torch.Size([2, 5, 8])
    """

    def __init__(self, d_model: int, *, n_heads: int = 4, dropout: float = 0.0) -> None:
        super().__init__()
        if n_heads % 2:
            raise InputError(f"half of the heads look back and half ahead, so n_heads is even, however: {n_heads=}")
        self.attention = Attention(d_model, n_heads=n_heads, dropout=dropout)
        self.nobody = nn.Parameter(torch.zeros(n_heads, self.attention.d_head))
        self.growth = nn.Parameter(torch.full((n_heads,), 0.3))
        nn.init.normal_(self.nobody, std=0.02)

    def forward(self, x: Tensor, present: Tensor | None = None) -> Tensor:
        """Ask.

        Args:
            x: (B, T, d), finite where something is there.
            present: bool (B, T); everything is there by default. Padding on either side changes nothing.

        Raises:
            ShapeError: x is not (batch, tokens, width).
            MaskError: `present` is not bool or of another shape.
        """
        own = self.attention
        check_tokens("x", x, own.q_proj.in_features)
        if present is None:
            present = torch.ones(x.shape[:2], dtype=torch.bool, device=x.device)
        if present.dtype != torch.bool or present.shape != x.shape[:2]:
            raise MaskError(f"present is bool {tuple(x.shape[:2])}, however: {present.dtype=}, {tuple(present.shape)=}")
        x = x.masked_fill(~present.unsqueeze(-1), 0.0)
        q, k, v = own.split(own.q_proj(x)), own.split(own.k_proj(x)), own.split(own.v_proj(x))
        half = own.n_heads // 2
        back = self._look(q[:, :half], k[:, :half], v[:, :half], present, slice(None, half))
        q, k, v = (t[:, half:].flip(2) for t in (q, k, v))  # ahead is back, read from the end
        ahead = self._look(q, k, v, present.flip(1), slice(half, None)).flip(2)
        answer: Tensor = own.out_proj(own.merge(torch.cat([back, ahead], 1)))
        return answer * present.unsqueeze(-1)

    def _look(self, q: Tensor, k: Tensor, v: Tensor, present: Tensor, heads: slice) -> Tensor:
        """Every query looks at itself, at what is before it, and at nobody: (B, H / 2, T, D)."""
        b, h, n, _ = q.shape
        seen = present.cumsum(1).clamp(min=1).to(q.dtype)  # (B, T)
        q = q * (self.growth[heads, None] * (1 + seen)[:, None].log()).unsqueeze(-1)
        nobody = self.nobody[heads, None].expand(b, -1, 1, -1)
        k, v = torch.cat([nobody.to(k.dtype), k], 2), torch.cat([torch.zeros_like(v[:, :, :1]), v], 2)
        there = torch.cat([present.new_ones(b, 1), present], 1)
        size = max(1, MOST // max(1, b * h * (n + 1)))
        if size >= n:
            return self._piece(q, k, v, there, 0)
        # A piece keeps no scores for the way back: they are worked out again there, a piece at a time.
        return torch.cat(
            [
                checkpoint(self._piece, q[:, :, i : i + size], k, v, there, i, use_reentrant=False)
                for i in range(0, n, size)
            ],
            2,
        )

    def _piece(self, q: Tensor, k: Tensor, v: Tensor, there: Tensor, first: int) -> Tensor:
        last = first + q.shape[2]
        places = torch.arange(last + 1, device=q.device)  # nobody stands at place 0
        before = places <= torch.arange(first + 1, last + 1, device=q.device).unsqueeze(1)
        keep = before[None, None] & there[:, None, None, : last + 1]
        dropout = self.attention.dropout if self.training else 0.0
        return attend_unchecked(q, k[:, :, : last + 1], v[:, :, : last + 1], keep=keep, dropout=dropout).output
