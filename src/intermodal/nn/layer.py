"""One layer of a fusion: every edge asks at once, then every token thinks for itself.

Shapes: B batch, S tokens of all modalities in one sequence, d width, H heads, Q and K tokens of the two sides.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from intermodal.attention import attend_unchecked
from intermodal.nn.attention import Attention
from intermodal.nn.fused import Weights
from intermodal.spec import Edge

Places = Mapping[str, slice]
"""Where each modality's tokens lie in the sequence; a modality that is absent for everybody has no place."""


class FusionLayer(nn.Module):
    """Attention along the edges, then a feed-forward step, each with a norm before and a residual around.

    A token that several edges serve takes the mean over the contexts that were there to ask.

    Shape:
        x (B, S, d), present (B, S) or None -> x (B, S, d), weights edge -> (B, H, Q, K).

    Args:
        edges: who asks whom, wildcards expanded.
        d_model: d.
        n_heads: H.
        d_hidden: width inside the feed-forward step.
        dropout: probability of dropping a feature after each step, in training.
        tie: one set of projections for all edges; otherwise each edge has its own, as in the textbook.

    Source: pre-norm Transformer layer, Xiong et al. 2020; edges between modalities as in Tsai et al. 2019.

    Example:
        >>> layer = FusionLayer((Edge("a", "b"),), 8, n_heads=2, d_hidden=16)
        >>> places = {"a": slice(0, 3), "b": slice(3, 5)}
        >>> x, weights = layer(torch.randn(2, 5, 8), None, places, need_weights=True)
        >>> weights[Edge("a", "b")].shape
        torch.Size([2, 2, 3, 2])
    """

    def __init__(
        self,
        edges: Sequence[Edge],
        d_model: int,
        *,
        n_heads: int,
        d_hidden: int,
        dropout: float = 0.0,
        tie: bool = True,
    ) -> None:
        super().__init__()
        self.edges = tuple(edges)
        self.tie = tie
        n_attentions = min(1, len(self.edges)) if tie else len(self.edges)
        self.attention = nn.ModuleList(Attention(d_model, n_heads=n_heads) for _ in range(n_attentions))
        self.norm_ask = nn.LayerNorm(d_model) if self.edges else nn.Identity()
        self.norm_feed = nn.LayerNorm(d_model)
        self.feed = nn.Sequential(
            nn.Linear(d_model, d_hidden), nn.GELU(), nn.Dropout(dropout), nn.Linear(d_hidden, d_model)
        )
        self.dropout = nn.Dropout(dropout)

    def forward(
        self, x: Tensor, present: Tensor | None, places: Places, *, need_weights: bool = False
    ) -> tuple[Tensor, Weights]:
        """Ask, then feed forward. Tokens that are absent hold zeros and are never looked at."""
        weights: Weights = {}
        sides = {e: (_side(e.query_names, places), _side(e.context_names, places)) for e in self.edges}
        sides = {e: (q, c) for e, (q, c) in sides.items() if q and c}
        if sides:
            asked = self._ask_tied if self.tie else self._ask_untied
            received, weights = asked(self.norm_ask(x), present, sides, need_weights)
            x = x + self.dropout(received)
        x = x + self.dropout(self.feed(self.norm_feed(x)))
        return x, {e: weights[e] for e in self.edges if e in weights}

    def _ask_tied(
        self, x: Tensor, present: Tensor | None, sides: Mapping[Edge, _Sides], need_weights: bool
    ) -> tuple[Tensor, Weights]:
        """Project every token once; edges of one size go through the kernel together."""
        attention = self.attention[0]
        assert isinstance(attention, Attention)
        q, k, v = (attention.split(p(x)) for p in (attention.q_proj, attention.k_proj, attention.v_proj))
        total, answers = torch.zeros_like(q), x.new_zeros(1, x.shape[1], 1)
        weights: Weights = {}
        for group in _by_size(sides).values():
            edges = list(group)
            asking = torch.tensor([group[e][0] for e in edges], device=x.device)  # (E, Q)
            asked = torch.tensor([group[e][1] for e in edges], device=x.device)  # (E, K)
            there = None if present is None else present[:, asked]  # (B, E, K)
            heads, seen = _attend_edges(q, k, v, asking, asked, there, need_weights)
            total = total.index_add(2, asking.flatten(), heads.flatten(2, 3))
            some = (
                x.new_ones(1, *asking.shape) if there is None else there.any(-1, keepdim=True).expand(-1, *asking.shape)
            )
            answers = answers + x.new_zeros(len(some), x.shape[1]).index_add(
                1, asking.flatten(), some.flatten(1).to(x.dtype)
            ).unsqueeze(-1)
            if seen is not None:
                weights |= {e: seen[:, :, i] for i, e in enumerate(edges)}
        received = attention.out_proj(attention.merge(total) / answers.clamp(min=1))
        return received.masked_fill(answers == 0, 0.0), _asking_only(weights, present, sides)

    def _ask_untied(
        self, x: Tensor, present: Tensor | None, sides: Mapping[Edge, _Sides], need_weights: bool
    ) -> tuple[Tensor, Weights]:
        """Each edge projects with its own weights."""
        total, answers = torch.zeros_like(x), x.new_zeros(1, x.shape[1], 1)
        weights: Weights = {}
        for attention, edge in zip(self.attention, self.edges, strict=True):
            if edge not in sides:
                continue
            assert isinstance(attention, Attention)
            asking, asked = (torch.tensor(side, device=x.device) for side in sides[edge])
            q, k, v = (
                attention.split(p(x[:, side]))
                for p, side in ((attention.q_proj, asking), (attention.k_proj, asked), (attention.v_proj, asked))
            )
            there = None if present is None else present[:, asked]
            keep = None if there is None else there[:, None, None]
            heads, seen = attend_unchecked(q, k, v, keep=keep, need_weights=need_weights)
            received = attention.out_proj(attention.merge(heads))
            some = x.new_ones(1, 1, 1) if there is None else there.any(1).to(x.dtype)[:, None, None]
            total = total.index_add(1, asking, received * some)
            answers = answers + x.new_zeros(len(some), x.shape[1], 1).index_add(
                1, asking, some.expand(-1, len(asking), 1)
            )
            if seen is not None:
                weights[edge] = seen
        return total / answers.clamp(min=1), _asking_only(weights, present, sides)


_Sides = tuple[list[int], list[int]]


def _side(names: Sequence[str], places: Places) -> list[int]:
    """The places of a side's tokens, in the order of the sequence, whatever the order of the names."""
    return [i for name, place in places.items() if name in names for i in range(place.start, place.stop)]


def _by_size(sides: Mapping[Edge, _Sides]) -> dict[tuple[int, int], dict[Edge, _Sides]]:
    groups: dict[tuple[int, int], dict[Edge, _Sides]] = {}
    for edge, (query, context) in sides.items():
        groups.setdefault((len(query), len(context)), {})[edge] = (query, context)
    return groups


def _attend_edges(
    q: Tensor, k: Tensor, v: Tensor, asking: Tensor, asked: Tensor, there: Tensor | None, need_weights: bool
) -> tuple[Tensor, Tensor | None]:
    """Attend along E edges of one size: heads (B, H, E, Q, D) and weights (B, H, E, Q, K)."""
    b, h = q.shape[:2]
    if len(asking) == 1 and asking.shape[1] == asked.shape[1] == q.shape[2]:  # all ask all: nothing to gather
        picked = [t.unsqueeze(2) for t in (q, k, v)]
    else:
        picked = [t[:, :, places] for t, places in ((q, asking), (k, asked), (v, asked))]
    keep = None
    if there is not None:  # (B, E, K) -> (B * H, E, 1, K): the edges stand where the kernel expects the heads
        keep = there[:, None, :, None].expand(-1, h, -1, -1, -1).flatten(0, 1)
    heads, weights = attend_unchecked(*(t.flatten(0, 1) for t in picked), keep=keep, need_weights=need_weights)
    weights = None if weights is None else weights.reshape(b, h, *weights.shape[1:])
    return heads.reshape(b, h, *heads.shape[1:]), weights


def _asking_only(weights: Weights, present: Tensor | None, sides: Mapping[Edge, _Sides]) -> Weights:
    """Zero the rows of tokens that are absent: who is not there asks nobody."""
    if present is None:
        return weights
    return {e: w.masked_fill(~present[:, None, sides[e][0], None], 0.0) for e, w in weights.items()}
