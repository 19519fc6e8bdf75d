"""A tower: one side of a search, whatever modalities it has, as one vector of unit length.

Shapes: B batch, T tokens of a modality, S tokens of all, d width of the tokens, E width of the vector.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from intermodal.attention import attend_unchecked
from intermodal.find.reading import hide_words
from intermodal.nn.network import FusionNetwork
from intermodal.spec import Spec

N_VIEWS = 8
"""Learned queries of the pooling."""


class Seen(NamedTuple):
    """A batch of a side.

    Shape:
        vector (B, E) of unit length, tokens (B, S, d), present (B, S) bool.
    """

    vector: Tensor
    tokens: Tensor
    present: Tensor


class Views(nn.Module):
    """Pool tokens by learned queries, of which each begins with a part of the sequence: the first its beginning.

    One mean holds no order, and queries that all begin alike take long to find one. Each learns what it asks for, which
    part it looks at, and how closely.

    Shape:
        tokens (B, S, d), keep (B, S) bool, place (B, S) from 0 to 1 -> (B, views, d).

    Args:
        d_model: d.

    Source: Ilse, Tomczak and Welling 2018 (pooling by attention), with a Gaussian over time beside each query.

    Example:
        >>> views, keep = Views(4), torch.ones(1, 16, dtype=torch.bool)
        >>> tokens = torch.arange(16.0)[None, :, None].expand(1, 16, 4)
        >>> views(tokens, keep, places(keep))[0, :, 0].diff().gt(0).all().item()
        True
    """

    def __init__(self, d_model: int) -> None:
        super().__init__()
        self.asks = nn.Parameter(0.1 * torch.randn(N_VIEWS, d_model) / d_model**0.5)
        self.key = nn.Linear(d_model, d_model, bias=False)  # a bias would cancel in the softmax
        self.centre = nn.Parameter((torch.arange(N_VIEWS) + 0.5) / N_VIEWS)
        self.log_sharpness = nn.Parameter(torch.full((N_VIEWS,), 2 * math.log(N_VIEWS)))

    def forward(self, tokens: Tensor, keep: Tensor, place: Tensor) -> Tensor:
        """Pool."""
        # -s (r - c)^2 = 2 s c r - s r^2, and a part that all keys share: two more columns of queries and keys.
        sharp = self.log_sharpness.exp()
        over_time = torch.stack([2 * sharp * self.centre, -sharp], 1)
        queries = torch.cat([self.asks, over_time], 1)[None, None].expand(len(tokens), 1, -1, -1)
        keys = torch.cat([self.key(tokens), torch.stack([place, place**2], -1).to(tokens.dtype)], -1)
        looked = attend_unchecked(queries, keys.unsqueeze(1), tokens.unsqueeze(1), keep=keep[:, None, None], scale=1.0)
        return looked.output[:, 0]


def places(there: Tensor) -> Tensor:
    """Return where each token of a sequence lies between its beginning, 0, and its end, 1; absent ones do not count.

    Shape:
        there (B, T) bool -> (B, T).

    Example:
        >>> places(torch.tensor([[False, True, True, False]]))[0, 1:3].tolist()
        [0.25, 0.75]
    """
    return (there.cumsum(1) - 0.5) / there.sum(1, keepdim=True).clamp(min=1)


class Tower(nn.Module):
    """Read a side: words are looked up, every modality asks along the spec, a few views pool the tokens.

    Shape:
        x: name -> (B, T) int for words, (B, D) or (B, T, D) for numbers -> `Seen`.

    Args:
        spec: who asks whom among the modalities.
        n_words: name -> size of the vocabulary, for modalities of texts.
        d_in: name -> D, for modalities of numbers.
        d_model: d.
        d_embed: E.
        n_heads: heads of every attention.
        n_layers: layers.
        n_tokens: name -> tokens of a modality that is one vector.
        encoder: name -> `linear`, `conv`, `centred` or `gru`.
        stride: name -> neighbouring tokens of a sequence that become one.
        dropout: probability of dropping a feature in training.
        word_dropout: probability that training hides a word.
        modality_dropout: probability that training hides a modality.

    Example:
        >>> tower = Tower("self", {"query": 7}, {}, d_model=8, d_embed=5, n_heads=2)
        >>> tower({"query": torch.tensor([[1, 4, 0]])}, {}).vector.shape
        torch.Size([1, 5])
    """

    def __init__(
        self,
        spec: str | Spec,
        n_words: Mapping[str, int],
        d_in: Mapping[str, int],
        *,
        d_model: int,
        d_embed: int,
        n_heads: int,
        n_layers: int = 1,
        n_tokens: Mapping[str, int] | None = None,
        encoder: Mapping[str, str] | None = None,
        stride: Mapping[str, int] | None = None,
        dropout: float = 0.0,
        word_dropout: float = 0.0,
        modality_dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.texts = tuple(n_words)
        self.embeds = nn.ModuleList(nn.Embedding(n, d_model) for n in n_words.values())
        self.word_dropout = word_dropout
        self.network = FusionNetwork(
            spec,
            dict.fromkeys(n_words, d_model) | dict(d_in),
            d_model=d_model,
            n_heads=n_heads,
            n_layers=n_layers,
            n_tokens=n_tokens or 1,
            encoder=encoder or "linear",
            stride=stride or 1,
            dropout=dropout,
            modality_dropout=modality_dropout,
        )
        self.network._checked_one_key = True  # a text of one word is no fault of the spec
        self.views = Views(d_model)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(N_VIEWS * d_model, d_embed)

    def forward(self, x: Mapping[str, Tensor], present: Mapping[str, Tensor]) -> Seen:
        """Read a batch; `present` as in `FusionNetwork`."""
        x = dict(x)
        for name, embed in zip(self.texts, self.embeds, strict=True):
            if name in x:
                x[name] = embed(self._hidden(x[name]))
        tokens_of = list(self.network(x, present).tokens.values())
        # The network leaves zeros, and only zeros, where nothing is.
        there = [tokens.detach().ne(0).any(-1) for tokens in tokens_of]
        tokens, keep = torch.cat(tokens_of, 1), torch.cat(there, 1)
        looked = self.views(tokens, keep, torch.cat([places(of) for of in there], 1))
        vector = self.head(self.dropout(looked.flatten(1)))
        return Seen(F.normalize(vector, dim=-1), tokens, keep)

    def _hidden(self, words: Tensor) -> Tensor:
        return hide_words(words, self.word_dropout) if self.training else words
