"""A tower: one side of a search, whatever modalities it has, as one vector of unit length.

Shapes: B batch, T tokens of a modality, S tokens of all, d width of the tokens, E width of the vector.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from intermodal.attention import attend_unchecked
from intermodal.find.words import UNKNOWN
from intermodal.nn.network import FusionNetwork
from intermodal.spec import Spec

N_VIEWS = 4
"""Learned queries of the pooling: an order, a beginning and an end are more than one mean can hold."""


class Seen(NamedTuple):
    """A batch of a side.

    Shape:
        vector (B, E) of unit length, tokens (B, S, d), present (B, S) bool.
    """

    vector: Tensor
    tokens: Tensor
    present: Tensor


class Tower(nn.Module):
    """Read a side: words are looked up, every modality asks along the spec, a few learned queries pool the tokens.

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
        encoder: name -> `linear`, `conv` or `gru`.
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
        self.views = nn.Parameter(torch.randn(N_VIEWS, d_model) / d_model**0.5)
        self.key = nn.Linear(d_model, d_model, bias=False)  # a bias would cancel in the softmax
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(N_VIEWS * d_model, d_embed)

    def forward(self, x: Mapping[str, Tensor], present: Mapping[str, Tensor]) -> Seen:
        """Read a batch; `present` as in `FusionNetwork`."""
        x = dict(x)
        for name, embed in zip(self.texts, self.embeds, strict=True):
            if name in x:
                x[name] = embed(self._hidden(x[name]))
        tokens = torch.cat(list(self.network(x, present).tokens.values()), 1)
        keep = tokens.detach().ne(0).any(-1)  # the network leaves zeros, and only zeros, where nothing is
        asks = self.views[None, None].expand(len(tokens), 1, -1, -1)
        looked = attend_unchecked(asks, self.key(tokens).unsqueeze(1), tokens.unsqueeze(1), keep=keep[:, None, None])
        vector = self.head(self.dropout(looked.output[:, 0].flatten(1)))
        return Seen(F.normalize(vector, dim=-1), tokens, keep)

    def _hidden(self, words: Tensor) -> Tensor:
        """The words, some of them hidden in training, so that an unknown one means something."""
        if not self.training or self.word_dropout == 0:
            return words
        return words.masked_fill(torch.rand(words.shape, device=words.device) < self.word_dropout, UNKNOWN)
