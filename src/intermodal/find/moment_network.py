"""The network that finds a moment: clips ask the words, and then each other.

Shapes: B queries, T clips, W words, C tokens that are asked (words, and vectors of the video), d width, H heads.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from intermodal.find.moment_stretch import Stretch, marginals, stretch
from intermodal.find.reading import QueryEncoder
from intermodal.nn.attention import Attention
from intermodal.nn.blank import blank
from intermodal.nn.directed import DirectedAttention

NEAR = 3.0
"""Clips within which an end of the video is near."""


class Seen(NamedTuple):
    """What the network says of a batch.

    Shape:
        scored: the stretches, over (B, T). inside (B, T): logit that a clip belongs to an answer. happens (B,): logit
        that there is an answer. asked (B, H, T, C): the weights with which clips ask words in the first layer, the
        last C being nobody; or None.
    """

    scored: Stretch
    inside: Tensor
    happens: Tensor
    asked: Tensor | None


class Local(nn.Module):
    """A residual convolution over neighbouring clips, blind to what is not there."""

    def __init__(self, d_model: int, kernel: int, dilation: int = 1, dropout: float = 0.0) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(d_model)
        self.conv = nn.Conv1d(d_model, d_model, kernel, padding=dilation * (kernel // 2), dilation=dilation)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, within: Tensor) -> Tensor:
        """Add to every clip (B, T, d) what its neighbours tell."""
        near = self.conv(blank(self.norm(x), within.unsqueeze(-1)).mT).mT
        return x + self.dropout(F.gelu(near))


class Layer(nn.Module):
    """Ask the words, look around, ask the other clips, think."""

    def __init__(self, d_model: int, n_heads: int, kernel: int, dropout: float) -> None:
        super().__init__()
        self.norm_words, self.norm_clips, self.norm_feed = (nn.LayerNorm(d_model) for _ in range(3))
        self.words = Attention(d_model, n_heads=n_heads)
        self.words._checked_one_key = True  # one word and nobody are two
        self.local = Local(d_model, kernel, dropout=dropout)
        self.clips = DirectedAttention(d_model, n_heads=n_heads)
        self.feed = nn.Sequential(nn.Linear(d_model, 2 * d_model), nn.GELU(), nn.Linear(2 * d_model, d_model))
        self.dropout = nn.Dropout(dropout)

    def forward(
        self, x: Tensor, within: Tensor, asked: Tensor, keep: Tensor, need_weights: bool
    ) -> tuple[Tensor, Tensor | None]:
        """Return the clips (B, T, d), and the weights (B, H, T, C) of what they asked, or None."""
        answer, weights = self.words(self.norm_words(x), asked, keep=keep, need_weights=need_weights)
        x = self.local(x + self.dropout(answer), within)
        x = x + self.dropout(self.clips(self.norm_clips(x), within))
        return x + self.dropout(self.feed(self.norm_feed(x))), weights


class MomentNetwork(nn.Module):
    """Tell of every clip how well it begins, continues and ends what the query asks for.

    Streams are added up clip by clip, so a missing one is as if it had never been there. Convolutions see what is
    near, for edges are local. Then, layer by layer, every clip asks the words, its neighbours, all clips before it
    and all clips after it. Nothing is numbered: a video longer than any of training means the same.

    Shape:
        x by name (B, T, D) of a stream and (B, D) of a vector, present by name (B, T) and (B,), within (B, T),
        near by name (B, T, 3), query (B, W) or (B, W, E), said (B, W) -> `Seen`.

    Args:
        streams: width D of each stream.
        vectors: width D of each vector of the video; each is one more token to ask.
        lines: streams of which it is known beforehand how near each clip comes to the text.
        n_words: size of the vocabulary, None where queries are vectors.
        d_query: E, where queries are vectors.
        d_model: d.
        n_heads: H, even.
        n_layers: times that clips ask.
        n_local: convolutions before.
        kernel: clips that a convolution sees, odd.
        dropout: probability of dropping a feature, in training.
        word_dropout: probability of hiding a word, in training.

    Relation: `FusionNetwork` fuses any modalities into one vector; this keeps every clip.

    Example:
        >>> finds, there = MomentNetwork({"video": 5}, {}, n_words=7, d_model=8, n_heads=2), torch.ones(1, 9).bool()
        >>> said = torch.tensor([[1, 2]])
        >>> finds({"video": torch.randn(1, 9, 5)}, {"video": there}, there, {}, said, said > 0).inside.shape
        torch.Size([1, 9])
    """

    def __init__(
        self,
        streams: Mapping[str, int],
        vectors: Mapping[str, int],
        *,
        lines: Collection[str] = (),
        n_words: int | None = None,
        d_query: int | None = None,
        d_model: int = 64,
        n_heads: int = 4,
        n_layers: int = 2,
        n_local: int = 2,
        kernel: int = 5,
        dropout: float = 0.1,
        word_dropout: float = 0.1,
    ) -> None:
        super().__init__()
        self.streams, self.vectors, self.lines = tuple(streams), tuple(vectors), tuple(lines)
        self.project = nn.ModuleList(nn.Linear(width, d_model) for width in streams.values())
        self.project_vector = nn.ModuleList(nn.Linear(width, d_model) for width in vectors.values())
        self.read = QueryEncoder(d_model, n_words=n_words, d_in=d_query, word_dropout=word_dropout)
        self.nobody = nn.Parameter(0.02 * torch.randn(d_model))
        self.place = nn.Linear(4, d_model)
        self.near = nn.ModuleList(nn.Linear(3, d_model, bias=False) for _ in self.lines)
        self.drop = nn.Dropout(dropout)
        self.stem = nn.ModuleList(Local(d_model, kernel, dropout=dropout) for _ in range(n_local))
        self.layers = nn.ModuleList(Layer(d_model, n_heads, kernel, dropout) for _ in range(n_layers))
        self.norm = nn.LayerNorm(d_model)
        self.head = nn.Linear(d_model, 3)
        self.happens = nn.Linear(d_model, 1)

    def forward(
        self,
        x: Mapping[str, Tensor],
        present: Mapping[str, Tensor],
        within: Tensor,
        near: Mapping[str, Tensor],
        query: Tensor,
        said: Tensor,
        *,
        need_weights: bool = False,
    ) -> Seen:
        """Look at a batch of videos, each with one query; see the class for shapes.

        Args:
            x: what is seen, by name; what stands where nothing is present is not read.
            present: bool, where something is.
            within: bool, which clips belong to the video; the others are padding.
            near: how near each clip comes to the text, from `likeness`.
            query: word numbers or vectors.
            said: bool, which of them are there.
            need_weights: also return whom the clips asked.
        """
        there = within.unsqueeze(-1)
        seen = [
            blank(project(blank(x[name], present[name].unsqueeze(-1))), present[name].unsqueeze(-1))
            for name, project in zip(self.streams, self.project, strict=True)
            if name in x
        ]
        clips = self.drop(torch.stack(seen).sum(0) + self.place(places(within, seen[0].dtype)))
        for name, project in zip(self.lines, self.near, strict=True):
            if name in near:
                clips = clips + project(near[name])
        clips = clips * there
        for local in self.stem:
            clips = local(clips, within)
        asked, keep = self._asked(x, present, query, said)
        weights = None
        for i, layer in enumerate(self.layers):
            clips, looked = layer(clips, within, asked, keep, need_weights and i == 0)
            weights = looked if i == 0 else weights
        clips = self.norm(clips)
        start, end, inside = self.head(clips).unbind(-1)
        scored = stretch(start, end, inside, within)
        return Seen(scored, inside, self._happens(clips, scored, within), weights)

    def _asked(
        self, x: Mapping[str, Tensor], present: Mapping[str, Tensor], query: Tensor, said: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Words, then vectors of the video, then nobody: (B, C, d), and which are there."""
        parts, there = [self.read(query, said)], [said]
        for name, project in zip(self.vectors, self.project_vector, strict=True):
            if name in x:
                parts.append(project(blank(x[name], present[name].unsqueeze(-1))).unsqueeze(1))
                there.append(present[name].unsqueeze(1))
        parts.append(self.nobody.expand(len(query), 1, -1))
        there.append(said.new_ones(len(query), 1))
        return torch.cat(parts, 1), torch.cat(there, 1)[:, None]

    def _happens(self, clips: Tensor, scored: Stretch, within: Tensor) -> Tensor:
        """How much likelier some stretch is than chance, mended by what stands in it."""
        starts, ends = marginals(scored)
        share = (starts.cumsum(1) - ends.cumsum(1) + ends) * within  # probability that a clip is inside
        share = (share / share.sum(1, keepdim=True).clamp(min=1e-9)).to(clips.dtype)
        there = (share.unsqueeze(-1) * clips).sum(1)
        n = within.sum(1).double()
        against_chance = (scored.total - (n * (n + 1) / 2).log()).to(clips.dtype)
        return against_chance + self.happens(there).squeeze(-1)


def places(within: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
    """Where a clip stands in its video: its share of the way from either end, and how near that end is, (B, T, 4).

    No clip is numbered, so a video longer than any of training means the same.

    Example:
        >>> places(torch.ones(1, 2, dtype=torch.bool)).mul(100).round()
        tensor([[[ 25.,  75., 100.,  72.],
                 [ 75.,  25.,  72., 100.]]])
    """
    before = within.to(dtype).cumsum(1) - 1
    n = within.to(dtype).sum(1, keepdim=True).clamp(min=1)
    after = n - 1 - before
    share = (before + 0.5) / n
    near = [(-side.clamp(min=0) / NEAR).exp() for side in (before, after)]
    return torch.stack([share, 1 - share, *near], -1)
