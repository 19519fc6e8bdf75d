"""Multi-head attention with real projections, any widths, and one answer for every mask.

Shapes: B batch, Q queries, K keys, H heads.
"""

from __future__ import annotations

import warnings

import torch
from torch import Tensor, nn

from intermodal.attention import Attended, attend, attend_unchecked, keep_4d
from intermodal.errors import InputError, OneKeyWarning, ShapeError
from intermodal.nn.blank import blank
from intermodal.nn.linear import project

ONE_KEY = (
    "{who}: every query sees at most one key, so the softmax is constantly 1 and the query is ignored; keep the "
    "tokens of a sequence instead of pooling them, give a vector several tokens (n_tokens), or ask the modalities "
    "as one sequence (fusion 'self')"
)


class Attention(nn.Module):
    """Project queries, keys and values, attend in several heads, project back.

    Shape:
        query (B, Q, d_query), context (B, K, d_context), value (B, K, d_value) -> output (B, Q, d_out),
        weights (B, H, Q, K).

    Args:
        d_query: width of the query tokens.
        d_context: width of the context tokens; `d_query` by default.
        d_value: width of the value tokens, where they are not the context; `d_context` by default.
        d_out: width of the output; `d_query` by default.
        n_heads: heads.
        d_head: width of a head; `d_query / n_heads` by default.
        bias: give the projections a bias.
        dropout: probability of dropping a weight in training.

    Raises:
        InputError: a size is not positive, or `n_heads` does not divide `d_query` and no `d_head` is given.

    Source: Vaswani et al. 2017, section 3.2.2.

    Relation: equal to `nn.MultiheadAttention(batch_first=True)` where that is right (`from_torch` copies its
    weights). A query with nothing to attend to gets zeros, without the bias of the output.

    Example:
        >>> text, video = torch.randn(2, 3, 7), torch.randn(2, 5, 11)
        >>> asks = Attention(7, 11)
        >>> asks(text, video, need_weights=True).weights.shape
        torch.Size([2, 1, 3, 5])
    """

    def __init__(
        self,
        d_query: int,
        d_context: int | None = None,
        *,
        d_value: int | None = None,
        d_out: int | None = None,
        n_heads: int = 1,
        d_head: int | None = None,
        bias: bool = True,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        d_context = d_query if d_context is None else d_context
        d_value = d_context if d_value is None else d_value
        d_out = d_query if d_out is None else d_out
        sizes = {"d_query": d_query, "d_context": d_context, "d_value": d_value, "d_out": d_out, "n_heads": n_heads}
        sizes |= {} if d_head is None else {"d_head": d_head}
        wrong = ", ".join(f"{name}={size}" for name, size in sizes.items() if size < 1)
        if wrong:
            raise InputError(f"sizes are positive, however: {wrong}")
        if d_head is None:
            if d_query % n_heads:
                problem = f"d_query must be divisible by n_heads, however: {d_query=}, {n_heads=}"
                raise InputError(problem + "; or give d_head")
            d_head = d_query // n_heads
        if not 0 <= dropout < 1:
            raise InputError(f"dropout is a probability below 1, however: {dropout=}")
        self.n_heads = n_heads
        self.dropout = dropout
        self.q_proj = nn.Linear(d_query, n_heads * d_head, bias=bias)
        self.k_proj = nn.Linear(d_context, n_heads * d_head, bias=bias)
        self.v_proj = nn.Linear(d_value, n_heads * d_head, bias=bias)
        self.out_proj = nn.Linear(n_heads * d_head, d_out, bias=bias)
        self._checked_one_key = False
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the weights anew (Xavier, each projection by itself), with biases of zero."""
        for proj in (self.q_proj, self.k_proj, self.v_proj, self.out_proj):
            nn.init.xavier_uniform_(proj.weight)
            if proj.bias is not None:
                nn.init.zeros_(proj.bias)

    @classmethod
    def from_torch(cls, module: nn.MultiheadAttention) -> Attention:
        """Copy the weights of a `nn.MultiheadAttention`; call the result with batch-first tensors.

        Args:
            module: the source; its `batch_first` does not matter, since the weights are the same.

        Returns:
            An `Attention` in the same training mode, dtype and device.

        Raises:
            InputError: the source uses `add_bias_kv` or `add_zero_attn`, which have no equal here.

        Example:
            >>> ours = Attention.from_torch(nn.MultiheadAttention(6, 2, batch_first=True))
            >>> ours(torch.randn(2, 3, 6)).output.shape
            torch.Size([2, 3, 6])
        """
        if module.bias_k is not None or module.add_zero_attn:
            raise InputError(
                "from_torch takes attention over the keys that are there, however: "
                f"add_bias_kv={module.bias_k is not None}, add_zero_attn={module.add_zero_attn}"
            )
        own = cls(
            module.embed_dim,
            module.kdim,
            d_value=module.vdim,
            n_heads=module.num_heads,
            bias=module.in_proj_bias is not None,
            dropout=module.dropout,
        )
        if module.in_proj_weight is not None:
            weights = module.in_proj_weight.chunk(3)
        else:
            weights = (module.q_proj_weight, module.k_proj_weight, module.v_proj_weight)
        biases = (None,) * 3 if module.in_proj_bias is None else module.in_proj_bias.chunk(3)
        out = module.out_proj
        own.to(out.weight.device, out.weight.dtype).train(module.training)
        projections = (own.q_proj, own.k_proj, own.v_proj, own.out_proj)
        with torch.no_grad():
            for proj, weight, b in zip(projections, (*weights, out.weight), (*biases, out.bias), strict=True):
                proj.weight.copy_(weight)
                if b is not None:
                    proj.bias.copy_(b)
        return own

    @property
    def d_head(self) -> int:
        """Width of one head, read from the weights."""
        return self.q_proj.out_features // self.n_heads

    def forward(
        self,
        query: Tensor,
        context: Tensor | None = None,
        value: Tensor | None = None,
        *,
        keep: Tensor | None = None,
        need_weights: bool = False,
    ) -> Attended:
        """Let the query tokens ask the context tokens.

        Args:
            query: (B, Q, d_query).
            context: (B, K, d_context); the query itself by default.
            value: (B, K, d_value); the context by default.
            keep: bool, True = may look; shapes as in `intermodal.attend`.
            need_weights: also return the weights, per head and before dropout.

        Returns:
            `output` (B, Q, d_out) and `weights` (B, H, Q, K) or None.

        Raises:
            ShapeError: a tensor is not (batch, tokens, width) with the width of its projection.
            MaskError: `keep` is not bool or fits no reading.
        """
        context = query if context is None else context
        value = context if value is None else value
        check_tokens("query", query, self.q_proj.in_features)
        check_tokens("context", context, self.k_proj.in_features)
        check_tokens("value", value, self.v_proj.in_features)
        if query.shape[0] != context.shape[0] or context.shape[:2] != value.shape[:2]:
            raise ShapeError(
                "query, context and value have one batch size, context and value one token count, however: "
                f"{tuple(query.shape)=}, {tuple(context.shape)=}, {tuple(value.shape)=}"
            )
        if keep is not None:
            keep = keep_4d(keep, (query.shape[0], self.n_heads, query.shape[1], context.shape[1]))
            # What nobody sees, and who sees nothing, must not reach the weights' gradients either: 0 * NaN is NaN.
            unseen = ~keep.any(-2).any(1).unsqueeze(-1)  # (B|1, K, 1)
            blind = ~keep.any(-1).any(1).unsqueeze(-1)  # (B|1, Q|1, 1)
            same = value is context
            if query is context and keep.shape[-2] == 1:  # padding: it asks too, and what is broken asks as zeros
                blind = blind | (unseen & ~query.isfinite().all(-1, keepdim=True))
            query = blank(query, ~blind)
            context = blank(context, ~unseen)
            value = context if same else blank(value, ~unseen)
        self.check_one_key(keep, context.shape[1])
        projections = ((self.q_proj, query), (self.k_proj, context), (self.v_proj, value))
        q, k, v = (self.split(project(by, x)) for by, x in projections)
        # Where all queries and heads see the same keys, what they do not see is zero by now: nothing is left to shield.
        ask = attend_unchecked if keep is None or keep.shape[1] == keep.shape[2] == 1 else attend
        dropout = self.dropout if self.training else 0.0
        heads, weights = ask(q, k, v, keep=keep, need_weights=need_weights, dropout=dropout)
        output = project(self.out_proj, self.merge(heads))
        if context.shape[1] == 0:
            output = output * 0.0
        elif keep is not None:
            output = output * keep.any(-1).any(1).unsqueeze(-1)
        return Attended(output, weights)

    def split(self, x: Tensor) -> Tensor:
        """Cut (B, T, H * D) into heads (B, H, T, D)."""
        return x.reshape(*x.shape[:-1], self.n_heads, self.d_head).transpose(1, 2)

    def merge(self, heads: Tensor) -> Tensor:
        """Join heads (B, H, T, D) into (B, T, H * D)."""
        return heads.transpose(1, 2).flatten(-2)

    def extra_repr(self) -> str:
        """Show what the projections do not."""
        return f"n_heads={self.n_heads}, d_head={self.d_head}, dropout={self.dropout}"

    def check_one_key(self, keep: Tensor | None, n_keys: int) -> None:
        """Look once, at the first forward, and warn: a softmax over one key is constant."""
        if self._checked_one_key or torch.compiler.is_compiling():
            return
        self._checked_one_key = True
        if sees_one_key(keep, n_keys):
            warnings.warn(ONE_KEY.format(who="attention"), OneKeyWarning, stacklevel=5)


def sees_one_key(keep: Tensor | None, n_keys: int) -> bool:
    """Tell whether no query sees more than one key."""
    if n_keys <= 1:
        return n_keys == 1
    return keep is not None and keep.numel() > 0 and int(keep.sum(-1).max()) == 1


def check_tokens(name: str, x: Tensor, width: int) -> None:
    """Refuse anything but (batch, tokens, width), and say how it could be read."""
    if x.ndim == 2:
        n, d = x.shape
        raise ShapeError(
            f"{name} is (batch, tokens, width), however: {tuple(x.shape)=}; as {n} samples of one token write "
            f"{name}[:, None] (B={n}, T=1, d={d}), as one sample of {n} tokens write {name}[None] (B=1, T={n}, d={d})"
        )
    if x.ndim != 3:
        raise ShapeError(f"{name} is (batch, tokens, width), however: {tuple(x.shape)=}")
    if x.shape[-1] != width:
        hint = "; are the last two axes swapped?" if x.shape[1] == width else ""
        raise ShapeError(f"{name} has width {width} on its last axis, however: {tuple(x.shape)=}{hint}")
