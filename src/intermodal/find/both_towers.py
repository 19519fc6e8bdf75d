"""The two towers of a search, and what they make of a whole side.

Shapes: N samples of a side, E width of an embedding, d width of the tokens.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from intermodal.data.samples import Samples
from intermodal.errors import InputError, did_you_mean
from intermodal.find.sides import Read, Side
from intermodal.find.tower import Seen, Tower
from intermodal.learn.building import n_tokens_of
from intermodal.learn.feed import Feed

SIDES = ("clips", "queries")
"""What may be ranked: clips for a query, or queries for a clip."""
TOKENS = "tokens"
SHARPEST = 100.0
"""The largest factor on a similarity, as in CLIP."""


class BothTowers(nn.Module):
    """A tower for queries, one for clips, and how sharply their product tells right from wrong.

    Args:
        queries: the tower of the queries.
        clips: the tower of the clips.

    Example:
        >>> sizes = {"d_model": 8, "d_embed": 5, "n_heads": 2}
        >>> towers = BothTowers(Tower("self", {"q": 7}, {}, **sizes), Tower("self", {}, {"v": 3}, **sizes))
        >>> round(towers.scale.item(), 3)
        10.0
    """

    def __init__(self, queries: Tower, clips: Tower) -> None:
        super().__init__()
        self.queries, self.clips = queries, clips
        self.log_scale = nn.Parameter(torch.tensor(math.log(10.0)))

    @property
    def scale(self) -> Tensor:
        """The factor on a similarity: one over the temperature."""
        return self.log_scale.exp().clamp(max=SHARPEST)

    def of(self, side: str) -> Tower:
        """The tower of "queries" or "clips"."""
        return self.queries if side == "queries" else self.clips

    def forward(self, queries: tuple[Any, Any], clips: tuple[Any, Any]) -> Tensor:
        """Return the similarity of every query of a batch to every clip, times `scale`."""
        return self.scale * self.queries(*queries).vector @ self.clips(*clips).vector.mT


def build_towers(settings: Any, sides: Mapping[str, Side], stride: Mapping[str, Mapping[str, int]]) -> BothTowers:
    """Build both towers, as they are drawn, from the parameters of a retriever."""
    fusion = settings.fusion
    if not isinstance(fusion, Mapping):
        fusion = dict.fromkeys(sides, fusion)
    for name in fusion:
        if name not in sides:
            raise InputError(f'fusion names sides, however: "{name}"' + did_you_mean(name, sides))
    towers = {}
    for name in ("queries", "clips"):
        side = sides[name]
        scalings = side.scalings
        sequences = [n for n in side.names if n in side.words or scalings[n].kind == "sequence"]
        towers[name] = Tower(
            fusion.get(name, "self"),
            {n: len(words) for n, words in side.words.items()},
            {n: scaling.width for n, scaling in scalings.items()},
            d_model=settings.d_model,
            d_embed=settings.d_embed,
            n_heads=settings.n_heads,
            n_layers=settings.n_layers,
            n_tokens=n_tokens_of(side.names, sequences),
            encoder={n: settings.encoder if n in sequences else "linear" for n in side.names},
            stride=stride[name],
            dropout=settings.dropout,
            word_dropout=settings.word_dropout,
            modality_dropout=settings.modality_dropout if len(side.names) > 1 else 0.0,
        )
    return BothTowers(towers["queries"], towers["clips"])


@torch.no_grad()
def embed(tower: Tower, read: Read, rows: np.ndarray | None = None) -> np.ndarray:
    """Return the vectors (N, E) of a side, or of some of its rows, in float32."""
    rows = np.arange(len(read)) if rows is None else rows
    vectors = np.empty((len(rows), tower.head.out_features), dtype=np.float32)
    for piece in read.pieces(rows):
        vectors[piece] = tower(*read.batch(rows[piece])).vector.float().cpu().numpy()
    return vectors


@torch.no_grad()
def tokens_of(tower: Tower, read: Read, rows: np.ndarray | None = None) -> Feed:
    """Return the tokens of a side, or of some of its rows, as sequences; who has none gets one of zeros."""
    rows = np.arange(len(read)) if rows is None else rows
    found: list[np.ndarray] = [np.zeros((1, tower.head.in_features), dtype=np.float32)] * len(rows)
    for piece in read.pieces(rows):
        seen: Seen = tower(*read.batch(rows[piece]))
        for at, tokens, there in zip(piece, seen.tokens.cpu().numpy(), seen.present.cpu().numpy(), strict=True):
            found[at] = tokens[there] if there.any() else np.zeros_like(tokens[:1])
    return Feed(Samples({TOKENS: found}), device=read.device)
