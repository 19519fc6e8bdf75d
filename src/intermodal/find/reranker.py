"""The reranker: the tokens of a query and of a clip ask each other, and a head says how well they fit.

Shapes: B pairs, Q tokens of a query, T tokens of a clip, d width of the tokens.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor, nn

from intermodal.find.sides import TOKENS
from intermodal.learn.feed import Feed
from intermodal.nn.network import FusionNetwork

QUERY, CLIP = "query", "clip"


class Reranker(nn.Module):
    """Look at a query and a clip together.

    It reads the tokens that the towers made, which stay as they are: trained together, a reranker spoils its towers.

    Shape:
        query tokens (B, Q, d) and present (B, Q), clip tokens (B, T, d) and present (B, T) -> (B,).

    Args:
        d_in: d of the towers.
        d_model: width of its own tokens.
        n_heads: heads of every attention.
        n_layers: layers.
        stride: "query" and "clip" -> neighbouring tokens that become one.
        dropout: probability of dropping a feature in training.

    Source: the cross-encoder of Nogueira and Cho 2019, Passage Re-ranking with BERT, with attention both ways between
    two sequences in the place of one over both.

    Example:
        >>> reads = Reranker(6, d_model=8, n_heads=2)
        >>> there = torch.ones(2, 3, dtype=torch.bool)
        >>> reads(torch.randn(2, 3, 6), there, torch.randn(2, 3, 6), there).shape
        torch.Size([2])
    """

    def __init__(
        self,
        d_in: int,
        *,
        d_model: int = 64,
        n_heads: int = 4,
        n_layers: int = 2,
        dropout: float = 0.0,
        stride: Mapping[str, int] | None = None,
    ) -> None:
        super().__init__()
        self.network = FusionNetwork(
            f"{QUERY} <-> {CLIP}",
            {QUERY: d_in, CLIP: d_in},
            d_model=d_model,
            n_heads=n_heads,
            n_layers=n_layers,
            stride=stride or 1,
            dropout=dropout,
            pool="concat",
            tie=False,
        )
        self.network._checked_one_key = True  # a query of one word is no fault of the spec
        self.head = nn.Sequential(nn.Linear(2 * d_model, d_model), nn.GELU(), nn.Linear(d_model, 1))

    def forward(self, query: Tensor, query_present: Tensor, clip: Tensor, clip_present: Tensor) -> Tensor:
        """Say how well each pair fits."""
        fused = self.network({QUERY: query, CLIP: clip}, {QUERY: query_present, CLIP: clip_present})
        return torch.as_tensor(self.head(fused.pooled).squeeze(-1))

    def candidates(self, queries: Feed, clips: Feed, rows: np.ndarray, others: np.ndarray, side: str) -> Tensor:
        """Say how well candidates fit, (A, K), minus infinity where there is none.

        Args:
            queries: their tokens.
            clips: their tokens.
            rows: (A,) who asks: rows of `queries` where `side` is "clips", else of `clips`.
            others: (A, K) the candidates, rows of the side that is ranked; -1 for none.
            side: which side is ranked.
        """
        at, place = np.nonzero(others >= 0)
        asking, asked = rows[at], others[at, place]
        of_query, of_clip = (asking, asked) if side == "clips" else (asked, asking)
        scores = self.network.norm.weight.new_full(others.shape, -torch.inf)
        if len(at):
            (query,), (query_there,) = (part.values() for part in _whole(queries, of_query))
            (clip,), (clip_there,) = (part.values() for part in _whole(clips, of_clip))
            scores[torch.from_numpy(at), torch.from_numpy(place)] = self(query, query_there, clip, clip_there)
        return scores

    @torch.no_grad()
    def opinions(
        self, queries: Feed, clips: Feed, others: np.ndarray, side: str, *, rows: np.ndarray | None = None
    ) -> np.ndarray:
        """Say how well candidates fit, a piece at a time: (A, K) float32; `others` and the rest as in `candidates`."""
        rows = np.arange(len(others)) if rows is None else rows
        longest = sum(int(feed.samples.modality(feed.samples.names[0]).lengths.max()) for feed in (queries, clips))
        size = max(1, TOKENS // max(1, longest * others.shape[1]))
        parts = [
            self.candidates(queries, clips, rows[i : i + size], others[i : i + size], side).float().cpu().numpy()
            for i in range(0, len(rows), size)
        ]
        return np.concatenate(parts) if parts else np.zeros(others.shape, dtype=np.float32)


def _whole(feed: Feed, rows: np.ndarray) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """A batch whose `present` names its modality, all of it there or not."""
    x, present = feed.batch(rows)
    return x, {name: present.get(name, t.new_ones(t.shape[:2], dtype=torch.bool)) for name, t in x.items()}
