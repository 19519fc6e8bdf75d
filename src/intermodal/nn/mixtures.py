"""What every token of a first layer gets of every piece of the sequence, so that subsets need only add and divide.

A softmax over the pieces of a subset is a sum of numerators over a sum of divisors:

    attention of q over S = sum_p in S  N_qp / sum_p in S  D_qp    N_qp = sum_k in p  e_qk v_k,  D_qp = sum_k in p  e_qk

A piece is a modality's tokens, or the learned token that stands in for them. Where every context is one modality, a
subset takes the mean over whole answers N / D, and these go through the output projection once for all subsets.

Shapes: B batch, S tokens, P pieces, H heads, d width, C subsets, T tokens of a subset, G contexts that are asked.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from intermodal.kernel import mixed
from intermodal.nn.attention import Attention
from intermodal.nn.layer import FusionLayer
from intermodal.nn.linear import project
from intermodal.nn.shared_scores import SPREAD

SCORES = 1 << 18
"""Scores of one sample up to which they are written out: of more tokens, each subset asks for itself."""

NUMBERS = 1 << 18
"""Scores of one pass, about."""


@dataclass(frozen=True)
class Pieces:
    """How a sequence falls into pieces, and who asks which.

    Attributes:
        slices: P, where each piece lies.
        names: the modality of each.
        edges: by group: the names that ask, once an edge, and the names that are asked.
    """

    slices: Sequence[slice]
    names: Sequence[str]
    edges: Sequence[tuple[Sequence[str], frozenset[str]]]

    def times(self) -> Tensor:
        """How often each token asks each group, (S, G)."""
        times = torch.zeros(max(p.stop for p in self.slices), len(self.edges), dtype=torch.int32)
        for place, name in zip(self.slices, self.names, strict=True):
            times[place] = torch.tensor([query.count(name) for query, _ in self.edges], dtype=torch.int32)
        return times

    def masks(self, held: Sequence[int]) -> Tensor:
        """Which pieces each group has in each subset, as bits: held (C,), bits of all pieces there -> (C, G)."""
        asked = [sum(1 << p for p, name in enumerate(self.names) if name in context) for _, context in self.edges]
        return torch.tensor([[bits & group for group in asked] for bits in held], dtype=torch.int32)


class Mixtures:
    """A first layer's attention over every subset of the pieces.

    Args:
        layer: with one set of projections.
        tokens: (B, S, d), what goes into the layer.
        pieces: of the sequence.
        numerators: (B, S, P, d).
        divisors: (B, S, P, H), zero where nobody of a piece is there.
    """

    def __init__(
        self, layer: FusionLayer, tokens: Tensor, pieces: Pieces, numerators: Tensor, divisors: Tensor
    ) -> None:
        self.tokens = tokens
        self.pieces = pieces
        self.times = pieces.times()
        self.attention: Attention = layer._attention(0)
        self.whole = all(len(context) == 1 for _, context in pieces.edges)
        self.numerators, self.divisors = numerators, divisors
        if self.whole:
            some = divisors != 0
            heads = numerators.reshape(*divisors.shape, self.attention.d_head) / (divisors + ~some).unsqueeze(-1)
            self.divisors = some[..., :1].to(tokens.dtype)
            self.numerators = project(self.attention.out_proj, heads.flatten(-2))

    def received(self, chosen: Tensor, held: Sequence[int]) -> Tensor:
        """What the tokens of some subsets get when they ask: chosen (C, T) -> (B * C, T, d)."""
        found, answered = mixed.mix(self.numerators, self.divisors, chosen, self.pieces.masks(held), self.times)
        if self.whole:  # the shares of the answers sum to 1, so that each of them brings the bias
            return found
        found = project(self.attention.out_proj, found)
        return found if bool(answered.all()) else found * answered


def mixtures(
    layer: FusionLayer, tokens: Tensor, projected: tuple[Tensor, Tensor, Tensor], there: Tensor | None, pieces: Pieces
) -> Mixtures | None:
    """Return what a first layer's subsets mix, or None where each subset has to ask for itself.

    Shape:
        tokens (B, S, d), projected: queries, keys and values (B, S, d), there (B, S) bool or None.
    """
    attention = layer._attention(0)
    b, s, _ = tokens.shape
    if not mixed.serves(tokens, len(pieces.slices)) or not 0 < s * s * attention.n_heads <= SCORES:
        return None
    q, k = attention.split(projected[0]), attention.split(projected[1])
    ends = torch.tensor([(place.start, place.stop) for place in pieces.slices], dtype=torch.int32)
    found = []
    size = max(1, NUMBERS // (s * s * attention.n_heads))
    for rows in (slice(i, i + size) for i in range(0, b, size)):
        scores = (q[rows] * attention.d_head**-0.5) @ k[rows].mT
        scores -= scores.amax(-1, keepdim=True)
        if not bool(scores.amin() >= -SPREAD):  # too far apart to share, or not a number, which stays in its subsets
            return None
        e = scores.exp_()
        if there is not None:
            e *= there[rows, None, None]
        found.append(mixed.gather(e, projected[2][rows], *ends.mT))
    numerators, divisors = (torch.cat(each) for each in zip(*found, strict=True))
    return Mixtures(layer, tokens, pieces, numerators, divisors)
