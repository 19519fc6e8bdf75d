"""The tutorial's three systems, plain: no residual, no norm, so that they equal what the textbook writes.

Their `need_weights` is yes or no: the mass on each modality, which `FusionNetwork` gives without building weights, is
here the weights themselves (`SelfAttentionFusion`: one token a modality) or 1 (an edge that asks one modality).

Shapes: B batch, n modalities, Q and K tokens, H heads.
"""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor, nn

from intermodal.errors import InputError, MaskError, ShapeError
from intermodal.nn.attention import Attention, check_tokens
from intermodal.nn.averaging import averaged, weights_of
from intermodal.nn.blank import blank
from intermodal.nn.fused import Fused, mean_present, or_all
from intermodal.nn.later import Later
from intermodal.spec import ALL, Edge


class SelfAttentionFusion(nn.Module):
    """Self-attention over modality tokens, pooled by mean: all modalities ask one another.

    Shape:
        x (B, n, d_model), present (B, n) -> pooled (B, d_model), weights[Edge("[*]", "[*]")] (B, H, n, n).

    Args:
        d_model: width of every token.
        n_heads: heads.
        dropout: probability of dropping a weight in training.

    Source: the tutorial form; Vaswani et al. 2017 for the attention.

    Relation: `nn.MultiheadAttention` on the stacked tokens, then the mean over the tokens that are there.
    `FusionNetwork("self", ...)` adds encoders, residuals and norms.

    Example:
        >>> fuse = SelfAttentionFusion(8, n_heads=2)
        >>> fuse(torch.randn(5, 3, 8)).pooled.shape
        torch.Size([5, 8])
    """

    def __init__(self, d_model: int, *, n_heads: int = 1, dropout: float = 0.0) -> None:
        super().__init__()
        self.attention = Attention(d_model, n_heads=n_heads, dropout=dropout)

    @classmethod
    def from_torch(cls, module: nn.MultiheadAttention) -> SelfAttentionFusion:
        """Copy the weights of a `nn.MultiheadAttention`."""
        own = cls(module.embed_dim, n_heads=module.num_heads)
        own.attention = Attention.from_torch(module)
        return own.train(module.training)

    def forward(self, x: Tensor, present: Tensor | None = None, *, need_weights: bool = False) -> Fused:
        """Fuse the modality tokens.

        Args:
            x: (B, n, d_model), one token a modality.
            present: bool (B, n), True where the modality is there.
            need_weights: also return the weights.

        Returns:
            `pooled` (B, d_model): zeros for a sample without any modality.
        """
        check_tokens("x", x, self.attention.q_proj.in_features)
        x, present = _clean(x, present)
        whole = partial(self._whole, x, present)
        mean = averaged(self.attention, x, x, present, present, need_weights=need_weights)
        if mean is None:
            return whole(need_weights)
        pooled, weights = mean
        given = (*weights_of(self.attention), *_there(x, present))
        tokens = Later(("[*]",), pooled, partial(whole, False), given)
        return Fused(pooled, tokens, None if weights is None else {Edge(ALL, ALL): _only(weights, present)})

    def _whole(self, x: Tensor, present: Tensor | None, need_weights: bool) -> Fused:
        output, weights = self.attention(x, keep=_keys(present), need_weights=need_weights)
        output = _only(output, present)
        edge = Edge(ALL, ALL)
        return Fused(
            mean_present(output, present), {"[*]": output}, None if weights is None else {edge: _only(weights, present)}
        )


class CrossAttention(nn.Module):
    """One modality asks another: text asks video, pooled over the text.

    Shape:
        query (B, Q, d_query), context (B, K, d_context) -> pooled (B, d_query),
        weights[Edge("query", "context")] (B, H, Q, K).

    Args:
        d_query: width of the asking tokens, and of the output.
        d_context: width of the asked tokens; `d_query` by default.
        n_heads: heads.
        n_tokens: cut every token of the context into this many learned projections, so that a context of one
            vector becomes a real choice; 1 is the textbook's form.
        residual: add the query to what it received. Without it the query reaches the output only through the
            weights, and not at all where there is one key.
        dropout: probability of dropping a weight in training.

    Relation: with `n_tokens=1, residual=False` equal to `nn.MultiheadAttention(query, context, context)`, then
    the mean over the query tokens that are there.

    Example:
        >>> text, video = torch.randn(2, 3, 8), torch.randn(2, 5, 11)
        >>> ask = CrossAttention(8, 11, n_heads=2)
        >>> ask(text, video, need_weights=True).weights[Edge("query", "context")].shape
        torch.Size([2, 2, 3, 5])
    """

    def __init__(
        self,
        d_query: int,
        d_context: int | None = None,
        *,
        n_heads: int = 1,
        n_tokens: int = 1,
        residual: bool = False,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        if n_tokens < 1:
            raise InputError(f"sizes are positive, however: {n_tokens=}")
        d_context = d_query if d_context is None else d_context
        self.attention = Attention(d_query, d_context, n_heads=n_heads, dropout=dropout)
        self.widen = nn.Linear(d_context, n_tokens * d_context) if n_tokens > 1 else nn.Identity()
        self.n_tokens = n_tokens
        self.residual = residual

    @classmethod
    def from_torch(cls, module: nn.MultiheadAttention) -> CrossAttention:
        """Copy the weights of a `nn.MultiheadAttention`."""
        own = cls(module.embed_dim, module.kdim, n_heads=module.num_heads)
        own.attention = Attention.from_torch(module)
        return own.train(module.training)

    def forward(
        self,
        query: Tensor,
        context: Tensor,
        *,
        query_present: Tensor | None = None,
        context_present: Tensor | None = None,
        need_weights: bool = False,
    ) -> Fused:
        """Let the query ask the context.

        Args:
            query: (B, Q, d_query).
            context: (B, K, d_context).
            query_present: bool (B, Q).
            context_present: bool (B, K).
            need_weights: also return the weights.

        Returns:
            `pooled` (B, d_query), the mean over the query tokens that are there.
        """
        check_tokens("query", query, self.attention.q_proj.in_features)
        check_tokens("context", context, self.attention.k_proj.in_features)
        query, query_present = _clean(query, query_present)
        context, context_present = _clean(context, context_present)
        if self.n_tokens > 1:
            context = self.widen(context).reshape(len(context), self.n_tokens * context.shape[1], context.shape[2])
        if context_present is not None:
            context_present = context_present.repeat_interleave(self.n_tokens, dim=1)
        whole = partial(self._whole, query, context, query_present, context_present)
        mean = averaged(self.attention, query, context, query_present, context_present, need_weights=need_weights)
        if mean is None:
            return whole(need_weights)
        pooled, weights = mean
        if self.residual:
            pooled = pooled + mean_present(query, query_present)
        given = (*weights_of(self.attention), *_there(query, context, query_present, context_present))
        named = None if weights is None else {Edge("query", "context"): _only(weights, query_present)}
        return Fused(pooled, Later(("query",), pooled, partial(whole, False), given), named)

    def _whole(
        self,
        query: Tensor,
        context: Tensor,
        query_present: Tensor | None,
        context_present: Tensor | None,
        need_weights: bool,
    ) -> Fused:
        output, weights = self.attention(query, context, keep=_keys(context_present), need_weights=need_weights)
        output = _only(query + output if self.residual else output, query_present)
        named = None if weights is None else {Edge("query", "context"): _only(weights, query_present)}
        return Fused(mean_present(output, query_present), {"query": output}, named)


class BidirectionalCrossAttention(nn.Module):
    """Two modalities ask each other; both answers are joined and pooled.

    Shape:
        a (B, Ta, d_a), b (B, Tb, d_b) -> pooled (B, d_model), weights[Edge("a", "b")] (B, H, Ta, Tb) and
        weights[Edge("b", "a")] (B, H, Tb, Ta).

    Args:
        d_a: width of the first modality.
        d_b: width of the second; `d_a` by default.
        d_model: width of the output; `d_a` by default.
        n_heads: heads.
        names: what the two are called in the keys of `tokens` and `weights`.
        dropout: probability of dropping a weight in training.

    Relation: two `nn.MultiheadAttention`, one a direction, joined along the tokens, then the mean over the
    tokens that are there. `FusionNetwork("a <-> b", ...)` adds encoders, residuals and norms.

    Example:
        >>> fuse = BidirectionalCrossAttention(8, 6, names=("text", "video"))
        >>> fused = fuse(torch.randn(2, 3, 8), torch.randn(2, 5, 6), need_weights=True)
        >>> fused.pooled.shape, fused.weights[Edge("video", "text")].shape
        (torch.Size([2, 8]), torch.Size([2, 1, 5, 3]))
    """

    def __init__(
        self,
        d_a: int,
        d_b: int | None = None,
        *,
        d_model: int | None = None,
        n_heads: int = 1,
        names: tuple[str, str] = ("a", "b"),
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        d_b = d_a if d_b is None else d_b
        d_model = d_a if d_model is None else d_model
        if n_heads < 1 or d_model % n_heads:
            raise InputError(f"d_model must be divisible by n_heads, however: {d_model=}, {n_heads=}")
        if names[0] == names[1]:
            raise InputError(f"two modalities have two names, however: {names=}")
        d_head = d_model // n_heads
        self.names = names
        self.a_asks_b = Attention(d_a, d_b, d_out=d_model, n_heads=n_heads, d_head=d_head, dropout=dropout)
        self.b_asks_a = Attention(d_b, d_a, d_out=d_model, n_heads=n_heads, d_head=d_head, dropout=dropout)

    def forward(
        self,
        a: Tensor,
        b: Tensor,
        *,
        a_present: Tensor | None = None,
        b_present: Tensor | None = None,
        need_weights: bool = False,
    ) -> Fused:
        """Let both ask.

        Args:
            a: (B, Ta, d_a).
            b: (B, Tb, d_b).
            a_present: bool (B, Ta).
            b_present: bool (B, Tb).
            need_weights: also return the weights.

        Returns:
            `pooled` (B, d_model), the mean over the joined tokens that are there.
        """
        check_tokens("a", a, self.a_asks_b.q_proj.in_features)
        check_tokens("b", b, self.b_asks_a.q_proj.in_features)
        if a.shape[0] != b.shape[0]:
            raise ShapeError(f"a and b have one batch size, however: {tuple(a.shape)=}, {tuple(b.shape)=}")
        a, a_present = _clean(a, a_present)
        b, b_present = _clean(b, b_present)
        whole = partial(self._whole, a, b, a_present, b_present)
        n = _count(a, a_present, b, b_present)
        from_b = averaged(self.a_asks_b, a, b, a_present, b_present, n_averaged=n, need_weights=need_weights)
        if from_b is None:
            return whole(need_weights)
        from_a = averaged(self.b_asks_a, b, a, b_present, a_present, n_averaged=n, need_weights=need_weights)
        if from_a is None:
            return whole(need_weights)
        pooled = from_b.output + from_a.output
        given = (*weights_of(self.a_asks_b), *weights_of(self.b_asks_a), *_there(a, b, a_present, b_present))
        tokens = Later(self.names, pooled, partial(whole, False), given)
        return Fused(pooled, tokens, self._named(from_b.weights, a_present, from_a.weights, b_present))

    def _whole(
        self, a: Tensor, b: Tensor, a_present: Tensor | None, b_present: Tensor | None, need_weights: bool
    ) -> Fused:
        from_b, a_weights = self.a_asks_b(a, b, keep=_keys(b_present), need_weights=need_weights)
        from_a, b_weights = self.b_asks_a(b, a, keep=_keys(a_present), need_weights=need_weights)
        from_b, from_a = _only(from_b, a_present), _only(from_a, b_present)
        present = None
        if a_present is not None or b_present is not None:
            present = torch.cat([or_all(a_present, a), or_all(b_present, b)], 1)
        first, second = self.names
        pooled = mean_present(torch.cat([from_b, from_a], 1), present)
        return Fused(pooled, {first: from_b, second: from_a}, self._named(a_weights, a_present, b_weights, b_present))

    def _named(
        self, a: Tensor | None, a_present: Tensor | None, b: Tensor | None, b_present: Tensor | None
    ) -> dict[Edge, Tensor] | None:
        if a is None or b is None:
            return None
        first, second = self.names
        return {Edge(first, second): _only(a, a_present), Edge(second, first): _only(b, b_present)}


def _count(a: Tensor, a_present: Tensor | None, b: Tensor, b_present: Tensor | None) -> Tensor | int:
    """How many tokens of both are there, at least 1: (B, 1), or one number for all samples."""
    if a_present is None and b_present is None:
        return max(1, a.shape[1] + b.shape[1])
    return (or_all(a_present, a).sum(1, keepdim=True) + or_all(b_present, b).sum(1, keepdim=True)).clamp(min=1)


def _clean(x: Tensor, present: Tensor | None) -> tuple[Tensor, Tensor | None]:
    """Check `present`, and zero what is not there, so that no gradient meets it."""
    if present is None:
        return x, None
    if present.dtype != torch.bool or present.shape != x.shape[:2]:
        raise MaskError(
            f"present is bool (batch, tokens) = {tuple(x.shape[:2])}, however: "
            f"{present.dtype=}, {tuple(present.shape)=}"
        )
    return blank(x, present.unsqueeze(-1)), present


def _there(*tensors: Tensor | None) -> list[Tensor]:
    """Those that were given."""
    return [t for t in tensors if t is not None]


def _keys(present: Tensor | None) -> Tensor | None:
    """Let every query see the tokens that are there: (B, K) -> (B, 1, K)."""
    return None if present is None else present.unsqueeze(1)


def _only(x: Tensor, present: Tensor | None) -> Tensor:
    """Zero the rows (second axis from the end) of tokens that are not there."""
    if present is None:
        return x
    return blank(x, present.reshape(present.shape[0], *(1,) * (x.ndim - 3), -1, 1))
