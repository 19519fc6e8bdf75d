"""What a fusion returns: one type for every network, so that nothing is found by a hook."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from torch import Tensor

from intermodal.nn.blank import blank
from intermodal.spec import Edge

Weights = dict[Edge, Tensor]


class Fused(NamedTuple):
    """The fused vector, the tokens behind it, and who looked where.

    Shape:
        pooled (B, d); tokens: name -> (B, T, d); weights: edge -> (B, H, Q, K) of the last layer, a list of such
        mappings (one a layer) when asked for `"layers"`, or None. When asked for `"mass"`, a list too, of edge ->
        (B, H, Q, S): what the weights sum to over each of the S modalities of the edge's context that were given, in
        the order of the network. An ensemble has pooled (B, n_members, d), and stacks its members, member by member,
        along the heads of the weights and along the batch of the tokens. The textbook's systems compute `tokens` when
    they are first read.

    A row of a token that is absent, or that had nobody to ask, is zeros; any other row sums to 1.
    """

    pooled: Tensor
    tokens: Mapping[str, Tensor]
    weights: Weights | list[Weights] | None


class Asking(NamedTuple):
    """What one edge asks with in one layer, before any softmax: `attend` or `mass` turns it into who looked where.

    Shape:
        q (B, H, Q, D), k and v (B, H, K, D), keep (B, 1, 1, K) bool or None for all; the heads of all members are
        stacked, member by member. query and context: name -> its place among the Q queries and the K keys.
    """

    q: Tensor
    k: Tensor
    v: Tensor
    keep: Tensor | None
    query: dict[str, slice]
    context: dict[str, slice]


def mean_present(tokens: Tensor, present: Tensor | None) -> Tensor:
    """Average the tokens that are there; a sample without any gets zeros.

    Shape:
        tokens (B, T, d), present (B, T) bool or None -> (B, d).

    Example:
        >>> import torch
        >>> mean_present(torch.tensor([[[1.], [3.], [9.]]]), torch.tensor([[True, True, False]]))
        tensor([[2.]])
    """
    if present is None:
        return tokens.mean(1) if tokens.shape[1] else tokens.sum(1)
    share = present.to(tokens.dtype) / present.sum(1, keepdim=True).clamp(min=1)
    return (share.unsqueeze(1) @ blank(tokens, present.unsqueeze(-1))).squeeze(1)


def or_all(present: Tensor | None, tokens: Tensor) -> Tensor:
    """Return which tokens are there, (B, T) bool; None means all of them.

    Example:
        >>> import torch
        >>> or_all(None, torch.zeros(1, 2, 3))
        tensor([[True, True]])
    """
    return tokens.new_ones(tokens.shape[:2]).bool() if present is None else present
