"""A decoder of words: every word asks the words before it, then what is seen and heard, then thinks for itself.

What is seen and heard is projected once (`remember`), and so is every word (`Past`): a step costs one word.

Shapes: B batch, L words, W hypotheses of a sample, V words that can be said, T tokens of a modality, K tokens of a
context, d width, H heads, D width of a head.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from intermodal.attention import attend_unchecked, causal_keep
from intermodal.errors import InputError, OneKeyWarning, ShapeError
from intermodal.nn.attention import ONE_KEY, Attention, sees_one_key
from intermodal.nn.blank import blank
from intermodal.nn.encoders import positions
from intermodal.nn.fused import Weights, or_all
from intermodal.spec import Edge

CAPTION = "caption"
"""What a spec calls the words."""
END = 0
"""The number that ends a caption; it is the first of the V that can be said."""

Past = list[tuple[Tensor, Tensor]]
"""Keys and values (B * W, H, words so far, D) of every layer."""


class Remembered(NamedTuple):
    """One context, projected for one layer.

    Shape:
        k and v (B, H, K, D), keep (B, 1, 1, K) bool, some (B, 1, 1): 1 where there is anything to look at, else 0.
    """

    k: Tensor
    v: Tensor
    keep: Tensor
    some: Tensor


Memory = list[list[Remembered]]
"""For every layer, its contexts."""


class Said(NamedTuple):
    """What is said after every word.

    Shape:
        logits (B, L, V); weights: one mapping a layer, edge -> (B, H, L, K), or None. A row of a sample that has
        nothing of the context is zeros, any other sums to 1.
    """

    logits: Tensor
    weights: list[Weights] | None


class CaptionLayer(nn.Module):
    """Words ask the words before them, then each context, then a feed-forward step; a norm before, a residual around.

    A word that asks several contexts takes the mean over those that were there, as in `FusionLayer`.

    Shape:
        x (B, L, d) -> (B, L, d), keys and values of the words, weights (B, H, L, K) a context.

    Args:
        n_contexts: contexts to ask.
        d_model: d.
        n_heads: H.
        d_hidden: width inside the feed-forward step.
        dropout: probability of dropping a feature after each step, in training.

    Source: the decoder of Vaswani et al. 2017, section 3.1, with the norms of Xiong et al. 2020.

    Relation: `nn.TransformerDecoderLayer(norm_first=True)` with one context.

    Example:
        >>> layer = CaptionLayer(1, 8, n_heads=2, d_hidden=16)
        >>> memory = layer.remember([(torch.randn(2, 5, 8), torch.ones(2, 5, dtype=torch.bool))])
        >>> x, _, weights = layer(torch.randn(2, 3, 8), memory, need_weights=True)
        >>> x.shape, weights[0].shape
        (torch.Size([2, 3, 8]), torch.Size([2, 2, 3, 5]))
    """

    def __init__(self, n_contexts: int, d_model: int, *, n_heads: int, d_hidden: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.norm_own = nn.LayerNorm(d_model)
        self.own = Attention(d_model, n_heads=n_heads)
        self.norm_ask = nn.LayerNorm(d_model)
        self.ask = nn.ModuleList(Attention(d_model, n_heads=n_heads) for _ in range(n_contexts))
        self.norm_feed = nn.LayerNorm(d_model)
        self.feed = nn.Sequential(
            nn.Linear(d_model, d_hidden), nn.GELU(), nn.Dropout(dropout), nn.Linear(d_hidden, d_model)
        )
        self.dropout = nn.Dropout(dropout)

    def remember(self, contexts: Sequence[tuple[Tensor, Tensor]]) -> list[Remembered]:
        """Project the contexts: tokens (B, K, d), zero where nothing is there, and which are there (B, K)."""
        made = []
        for attention, (tokens, there) in zip(self._asking(), contexts, strict=True):
            k, v = attention.split(attention.k_proj(tokens)), attention.split(attention.v_proj(tokens))
            some = there.any(1)[:, None, None].to(tokens.dtype)
            made.append(Remembered(k, v, there[:, None, None], some))
        return made

    def forward(
        self,
        x: Tensor,
        memory: Sequence[Remembered],
        past: tuple[Tensor, Tensor] | None = None,
        *,
        need_weights: bool = False,
    ) -> tuple[Tensor, tuple[Tensor, Tensor], list[Tensor]]:
        """Read whole captions; or, with a past, one new word (B, W, d) of each hypothesis."""
        own, words = self._own(self.norm_own(x), past)
        x = x + self.dropout(own)
        answer, weights = self._others(self.norm_ask(x), memory, need_weights)
        x = x + self.dropout(answer)
        return x + self.dropout(self.feed(self.norm_feed(x))), words, weights

    def _own(self, x: Tensor, past: tuple[Tensor, Tensor] | None) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        own = self.own
        q, k, v = own.split(own.q_proj(x)), own.split(own.k_proj(x)), own.split(own.v_proj(x))
        if past is None:
            keep = causal_keep(x.shape[1], device=x.device).unsqueeze(1)
            return own.out_proj(own.merge(attend_unchecked(q, k, v, keep=keep).output)), (k, v)
        # One word each of W hypotheses, (B, H, W, D): every hypothesis has a past of its own, (B * W, H, 1, D).
        q, k, v = (t.transpose(1, 2).flatten(0, 1).unsqueeze(2) for t in (q, k, v))
        k, v = torch.cat([past[0], k], 2), torch.cat([past[1], v], 2)
        heads = attend_unchecked(q, k, v).output
        return own.out_proj(own.merge(heads).reshape(*x.shape[:2], -1)), (k, v)

    def _others(self, x: Tensor, memory: Sequence[Remembered], need_weights: bool) -> tuple[Tensor, list[Tensor]]:
        """The mean answer (B, L, d) of the contexts that are there, and the weights of each."""
        answers, weights = [], []
        for attention, context in zip(self._asking(), memory, strict=True):
            q = attention.split(attention.q_proj(x))
            heads, w = attend_unchecked(q, context.k, context.v, keep=context.keep, need_weights=need_weights)
            answers.append(attention.out_proj(attention.merge(heads)) * context.some)
            weights += [] if w is None else [w]
        count = torch.stack([context.some for context in memory]).sum(0)
        return torch.stack(answers).sum(0) / count.clamp(min=1), weights

    def _asking(self) -> list[Attention]:
        return [attention for attention in self.ask if isinstance(attention, Attention)]


class CaptionDecoder(nn.Module):
    """Say in words what tokens of any modalities show.

    Words are numbers: 0 ends a caption, 1 to V - 1 are words, and two that are read but never said: `start` (V) and
    `unknown` (V + 1). Captions stand on the left; what stands on the right of one changes nothing in it.

    Shape:
        words (B, L), tokens: name -> (B, T, d) -> logits (B, L, V) of the word that follows each.

    Args:
        n_words: V.
        contexts: what a word asks: each a modality, or several asked as one sequence.
        d_model: d.
        n_heads: H.
        n_layers: layers.
        d_hidden: width of the feed-forward step; 2 d by default.
        dropout: probability of dropping a feature in training.

    Raises:
        InputError: a size is not positive, or no context is named.

    Source: Vaswani et al. 2017, section 3.1; one matrix reads and says words, Press and Wolf 2017.

    Example:
        >>> decoder = CaptionDecoder(7, [("video",)], d_model=8)
        >>> tokens = {"video": torch.randn(2, 5, 8)}
        >>> words = torch.tensor([[decoder.start, 3, 1], [decoder.start, 2, 0]])
        >>> said = decoder(words, decoder.remember(tokens))
        >>> said.logits.shape
        torch.Size([2, 3, 7])
        >>> memory, past = decoder.remember(tokens), None
        >>> for i in range(3):
        ...     logits, past = decoder.step(words[:, i : i + 1], memory, past)
        >>> torch.allclose(logits, said.logits[:, 2:], atol=1e-6)
        True
    """

    def __init__(
        self,
        n_words: int,
        contexts: Sequence[Sequence[str]],
        *,
        d_model: int = 64,
        n_heads: int = 4,
        n_layers: int = 2,
        d_hidden: int | None = None,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        if min(n_words, n_layers) < 1:
            raise InputError(f"sizes are positive, however: {n_words=}, {n_layers=}")
        if not contexts or not all(contexts):
            raise InputError(f"a caption asks at least one modality, however: {contexts=}")
        self.edges = tuple(Edge(CAPTION, tuple(context)) for context in contexts)
        self.n_words = n_words
        self.embed = nn.Embedding(n_words + 2, d_model)
        nn.init.normal_(self.embed.weight, std=d_model**-0.5)
        self.dropout = nn.Dropout(dropout)
        d_hidden = 2 * d_model if d_hidden is None else d_hidden
        self.layers = nn.ModuleList(
            CaptionLayer(len(self.edges), d_model, n_heads=n_heads, d_hidden=d_hidden, dropout=dropout)
            for _ in range(n_layers)
        )
        self.norm = nn.LayerNorm(d_model)
        self.bias = nn.Parameter(torch.zeros(n_words))
        self._checked_one_key = False

    @property
    def start(self) -> int:
        """The number that stands before the first word."""
        return self.n_words

    @property
    def unknown(self) -> int:
        """The number of a word that cannot be said."""
        return self.n_words + 1

    @property
    def d_model(self) -> int:
        """Width of a word, read from the weights."""
        return self.embed.embedding_dim

    def remember(self, tokens: Mapping[str, Tensor], present: Mapping[str, Tensor] | None = None) -> Memory:
        """Project what the words will ask, once.

        Args:
            tokens: name -> (B, T, d); a modality that is left out is missing for every sample.
            present: name -> bool (B, T); all there by default.

        Returns:
            For every layer, keys and values of each context.

        Raises:
            InputError: there is no modality at all to tell the batch by.
            ShapeError: tokens are not (batch, tokens, width).
        """
        present = present or {}
        for name, t in tokens.items():
            if t.ndim != 3 or t.shape[2] != self.d_model:
                width = self.d_model
                raise ShapeError(f'tokens of "{name}" are (batch, tokens, {width}), however: {tuple(t.shape)=}')
        contexts = [self._context(edge, tokens, present) for edge in self.edges]
        if not self._checked_one_key and not torch.compiler.is_compiling():
            self._checked_one_key = True
            alone = [str(e) for e, (t, there) in zip(self.edges, contexts, strict=True) if _is_alone(t, there)]
            if alone:
                warnings.warn(ONE_KEY.format(who=", ".join(alone)), OneKeyWarning, stacklevel=3)
        return [layer.remember(contexts) for layer in self._layers()]

    def forward(self, words: Tensor, memory: Memory, *, need_weights: bool = False) -> Said:
        """Say what follows every word of whole captions.

        Args:
            words: (B, L) int, `start` first.
            memory: what `remember` returned.
            need_weights: also return who looked where, one mapping a layer.

        Raises:
            ShapeError: words are not (batch, words).
        """
        if words.ndim != 2:
            raise ShapeError(f"words are (batch, words), however: {tuple(words.shape)=}")
        x = self._read(words)
        weights: list[Weights] = []
        for layer, contexts in zip(self._layers(), memory, strict=True):
            x, _, seen = layer(x, contexts, need_weights=need_weights)
            weights.append(dict(zip(self.edges, seen, strict=True)) if need_weights else {})
        return Said(self._say(x), weights if need_weights else None)

    def step(self, words: Tensor, memory: Memory, past: Past | None) -> tuple[Tensor, Past]:
        """Say what follows one more word of each hypothesis.

        Args:
            words: (B, W) int: the newest word of each of W hypotheses of a sample.
            memory: what `remember` returned, of the B samples: hypotheses share it.
            past: what the last step returned, its rows picked anew where hypotheses were (B * W rows); None at first.

        Returns:
            Logits (B, W, V), and the past with these words in it.
        """
        if past is None:
            a = self._layers()[0].own
            nothing = self.embed.weight.new_zeros(words.numel(), a.n_heads, 0, a.d_head)
            past = [(nothing, nothing)] * len(self.layers)
        x = self._read(words, past[0][0].shape[2])
        longer: Past = []
        for layer, contexts, before in zip(self._layers(), memory, past, strict=True):
            x, now, _ = layer(x, contexts, before)
            longer.append(now)
        return self._say(x), longer

    def _context(
        self, edge: Edge, tokens: Mapping[str, Tensor], present: Mapping[str, Tensor]
    ) -> tuple[Tensor, Tensor]:
        """The tokens of an edge's context (B, K, d) in the order of `tokens`, and which are there (B, K)."""
        if not tokens:
            raise InputError("there is a modality to caption, however: tokens are empty")
        some = next(iter(tokens.values()))
        names = [name for name in tokens if name in edge.context_names]
        there = [or_all(present.get(name), tokens[name]) for name in names]
        joined = torch.cat([some[:, :0], *(tokens[name] for name in names)], 1)
        kept = torch.cat([some.new_zeros(len(some), 0, dtype=torch.bool), *there], 1)
        return blank(joined, kept.unsqueeze(-1)), kept

    def _read(self, words: Tensor, at: int | None = None) -> Tensor:
        """Words as vectors of about unit size with their places: one after the other, or all at one."""
        read = self.embed(words) * self.d_model**0.5
        places = positions(read) if at is None else positions(read[:, :1], start=at)
        return torch.as_tensor(self.dropout(read + places))

    def _say(self, x: Tensor) -> Tensor:
        return torch.as_tensor(self.norm(x) @ self.embed.weight[: self.n_words].T + self.bias)

    def _layers(self) -> list[CaptionLayer]:
        return [layer for layer in self.layers if isinstance(layer, CaptionLayer)]


def _is_alone(tokens: Tensor, there: Tensor) -> bool:
    return len(tokens) > 0 and sees_one_key(there[:, None], tokens.shape[1])
