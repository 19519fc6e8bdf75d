"""From any modalities to words: a fusion among the modalities, and a decoder that asks what comes out of it.

Shapes: B batch, L words, W hypotheses, T tokens, D width of a modality, d width of the model, V words.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeVar

import torch
from torch import Tensor, nn

from intermodal.errors import SpecError
from intermodal.nn.decoder import CAPTION, CaptionDecoder, Memory, Past, Said
from intermodal.nn.encoders import Encoder
from intermodal.nn.network import FusionNetwork
from intermodal.spec import ALL, EACH, Edge, Side, Spec

Value = TypeVar("Value", int, str)


class CaptionNetwork(nn.Module):
    """Fuse modalities along the clauses of a spec, and caption what comes out along the clauses of "caption".

    Only modalities that a caption can hear of, by itself or through another, have weights.

    Shape:
        x: name -> (B, D) or (B, T, D), words (B, L) -> logits (B, L, V).

    Args:
        spec: who asks whom, as `caption -> video, caption -> audio, video <-> audio`.
        d_in: name -> width D.
        n_words: V.
        d_model: d.
        n_heads: heads of every attention.
        n_layers: layers of the decoder.
        n_encoder_layers: layers of the fusion among the modalities.
        n_tokens: tokens of a modality that is one vector, a number or a mapping; sequences take 1.
        encoder: `linear`, `conv`, `centred` or `gru`: a text for all or a mapping.
        dropout: probability of dropping a feature in training.

    Raises:
        SpecError: no caption asks, somebody asks the caption, or a clause never reaches it.
        InputError: a size or option is wrong.

    Relation: `FusionNetwork` with `CaptionDecoder` on its tokens.

    Example:
        >>> network = CaptionNetwork("caption -> [*]", {"video": 5}, n_words=7, d_model=8)
        >>> words = torch.tensor([[network.decoder.start, 3, 1]]).expand(2, -1)
        >>> network({"video": torch.randn(2, 11, 5)}, words).logits.shape
        torch.Size([2, 3, 7])
    """

    def __init__(
        self,
        spec: Spec | str,
        d_in: Mapping[str, int],
        n_words: int,
        *,
        d_model: int = 64,
        n_heads: int = 4,
        n_layers: int = 2,
        n_encoder_layers: int = 1,
        n_tokens: int | Mapping[str, int] = 1,
        encoder: str | Mapping[str, str] = "linear",
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        asks, fusion = caption_spec(spec, list(d_in))
        names = _heard(asks, fusion, list(d_in))
        self.encoder = FusionNetwork(
            fusion,
            {name: d_in[name] for name in names},
            d_model=d_model,
            n_heads=n_heads,
            n_layers=n_encoder_layers,
            n_tokens=_of(names, n_tokens),
            encoder=_of(names, encoder),
            dropout=dropout,
        )
        contexts = [edge.context_names for edge in asks]
        self.decoder = CaptionDecoder(
            n_words, contexts, d_model=d_model, n_heads=n_heads, n_layers=n_layers, dropout=dropout
        )

    @property
    def names(self) -> tuple[str, ...]:
        """The modalities that a caption can hear of, in order."""
        return self.encoder.names

    def remember(self, x: Mapping[str, Tensor], present: Mapping[str, Tensor] | None = None) -> Memory:
        """Fuse a batch, and project it for the words that will ask.

        Args:
            x: name -> (B, D) or (B, T, D); a modality that is left out is missing for every sample. One that the
                network never hears of is not read.
            present: name -> bool (B,) or (B, T); all there by default.

        Raises:
            InputError, ShapeError: as `FusionNetwork.forward`.
        """
        present = present or {}
        heard = {name: values for name, values in x.items() if name in self.names}
        if x and not heard:  # samples without anything: one place each, in which nothing is
            some, name = next(iter(x.values())), self.names[0]
            first = self.encoder.encoders[0]
            places = () if isinstance(first, Encoder) and first.n_tokens > 1 else (1,)
            heard = {name: some.new_zeros(len(some), *places, self.encoder.d_in[name])}
            present = {name: torch.zeros(heard[name].shape[:-1], dtype=torch.bool, device=some.device)}
        there = {name: given for name, given in present.items() if name in heard}
        tokens = self.encoder(heard, there).tokens
        return self.decoder.remember(tokens, {n: _by_token(there[n], tokens[n]) for n in there})

    def forward(
        self,
        x: Mapping[str, Tensor],
        words: Tensor,
        present: Mapping[str, Tensor] | None = None,
        *,
        need_weights: bool = False,
    ) -> Said:
        """Say what follows every word of whole captions; arguments as in `remember` and `CaptionDecoder.forward`."""
        said: Said = self.decoder(words, self.remember(x, present), need_weights=need_weights)
        return said

    def step(self, words: Tensor, memory: Memory, past: Past | None) -> tuple[Tensor, Past]:
        """Say what follows one more word; as `CaptionDecoder.step`."""
        return self.decoder.step(words, memory, past)


def caption_spec(spec: Spec | str, names: Sequence[str]) -> tuple[tuple[Edge, ...], Spec]:
    """Cut a spec in two: what the caption asks, and who asks whom among the modalities.

    Args:
        spec: with at least one clause of `caption`; `*` and `[*]` mean the modalities alone.
        names: the modalities that exist.

    Returns:
        The caption's edges, two spellings in one order, and the spec of the rest.

    Raises:
        SpecError: it cannot be read, names an unknown modality, no caption asks, or somebody asks the caption.

    Example:
        >>> asks, fusion = caption_spec("caption -> video, caption -> audio, video <-> audio", ["video", "audio"])
        >>> asks, fusion
        ((Edge('caption -> audio'), Edge('caption -> video')), Spec('video <-> audio'))
        >>> caption_spec("caption -> [*]", ["video", "audio"])[0]
        (Edge('caption -> [video audio]'),)
    """
    if CAPTION in names:
        raise SpecError(f'"{CAPTION}" is what a spec calls the words, however: a modality has that name')
    Spec.parse(spec, [*names, CAPTION])
    asks, rest = [], []
    for edge in Spec.parse(spec).edges:
        if CAPTION in edge.context_names:
            raise SpecError(f'nobody asks the caption, whose words are not there yet, however: "{edge}"')
        if CAPTION in edge.query_names and edge.query != CAPTION:
            raise SpecError(f'the caption asks by itself, however: "{edge}"')
        if edge.query == CAPTION:
            asks += [Edge(CAPTION, context) for context in _contexts(edge.context, tuple(names))]
        else:
            rest.append(edge)
    if not asks:
        said = str(spec)
        raise SpecError(f'a spec says what the caption asks, as "caption -> [*]", however: "{said}" does not')
    ordered = sorted(dict.fromkeys(asks), key=lambda edge: sorted(edge.context_names))
    return tuple(ordered), Spec(tuple(rest)).resolve(names)


def _contexts(side: Side, names: tuple[str, ...]) -> Sequence[Side]:
    if side == EACH:
        return names
    return [names if len(names) > 1 else names[0]] if side == ALL else [side]


def _heard(asks: Sequence[Edge], fusion: Spec, names: Sequence[str]) -> list[str]:
    """The modalities that reach the caption, in order."""
    heard = {name for edge in asks for name in edge.context_names}
    waiting = list(fusion.edges)
    while reached := [edge for edge in waiting if heard.intersection(edge.query_names)]:
        heard.update(name for edge in reached for name in (*edge.query_names, *edge.context_names))
        waiting = [edge for edge in waiting if edge not in reached]
    if waiting:
        raise SpecError(f'what is asked reaches the caption, however: "{waiting[0]}" does not')
    return [name for name in names if name in heard]


def _of(names: Sequence[str], given: Value | Mapping[str, Value]) -> Value | dict[str, Value]:
    """An option for the modalities that are heard of."""
    return {n: v for n, v in given.items() if n in names} if isinstance(given, Mapping) else given


def _by_token(there: Tensor, tokens: Tensor) -> Tensor:
    """Which tokens are there (B, T): a vector's tokens are all there or none."""
    return there if there.ndim == 2 else there.unsqueeze(1).expand(-1, tokens.shape[1])
