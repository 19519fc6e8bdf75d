"""From a query to tokens of the model's width: words are looked up, vectors are projected.

Shapes: B batch, T tokens, D width of a vector, d width of the model.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from intermodal.find.words import UNKNOWN
from intermodal.nn.encoders import Encoder


class QueryEncoder(nn.Module):
    """Read queries: an embedding of words, or their vectors as they come, then an encoder over the tokens.

    Shape:
        tokens (B, T) int or (B, T, D), present (B, T) -> (B, T, d), zero where nothing is there.

    Args:
        d_model: d.
        n_words: size of the vocabulary, the unknown word included; None where queries are vectors.
        d_in: D, where queries are vectors.
        kind: `linear`, `conv`, `centred` or `gru`, as in `Encoder`.
        word_dropout: probability that training hides a word, so that an unknown one means something.
        dropout: probability of dropping a feature of a token in training.

    Example:
        >>> reads = QueryEncoder(8, n_words=5)
        >>> reads(torch.tensor([[1, 4, 0]]), torch.ones(1, 3, dtype=torch.bool)).shape
        torch.Size([1, 3, 8])
    """

    def __init__(
        self,
        d_model: int,
        *,
        n_words: int | None = None,
        d_in: int | None = None,
        kind: str = "gru",
        word_dropout: float = 0.1,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        assert (n_words is None) != (d_in is None)
        self.embed = None if n_words is None else nn.Embedding(n_words, d_model)
        self.word_dropout = word_dropout
        self.dropout = nn.Dropout(dropout)
        self.encode = Encoder(d_model if d_in is None else d_in, d_model, kind=kind)

    def forward(self, tokens: Tensor, present: Tensor) -> Tensor:
        """Read a batch of queries."""
        if self.embed is not None:
            tokens = self.embed(hide_words(tokens, self.word_dropout) if self.training else tokens)
        read, _ = self.encode(self.dropout(tokens), present, name="query")
        return torch.as_tensor(read)


def hide_words(words: Tensor, share: float) -> Tensor:
    """Return word numbers of which a share, drawn by chance, stand for unknown words: so that one means something.

    Example:
        >>> hide_words(torch.tensor([[3, 1]]), 0.0), hide_words(torch.tensor([[3, 1]]), 1.0)
        (tensor([[3, 1]]), tensor([[0, 0]]))
    """
    if share == 0:
        return words
    return words.masked_fill(torch.rand(words.shape, device=words.device) < share, UNKNOWN)
