"""One layer of a fusion: every edge asks at once, then every token thinks for itself.

Shapes: B batch, S tokens of all modalities in one sequence, d width, H heads, Q and K tokens of the two sides.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from intermodal.attention import attend_unchecked, mass_unchecked
from intermodal.errors import InputError
from intermodal.nn.attention import Attention
from intermodal.nn.dropping import Dropout
from intermodal.nn.fused import Weights
from intermodal.nn.linear import project, run
from intermodal.spec import Edge

Places = Mapping[str, slice]
"""Where each modality's tokens lie in the sequence; a modality that is absent for everybody has no place."""


class FusionLayer(nn.Module):
    """Attention along the edges, then a feed-forward step, each with a norm before and a residual around.

    A token that several edges serve takes the mean over the contexts that were there to ask.

    Shape:
        x (B, S, d), present (B, S) or None -> x (B, S, d), weights edge -> (B, H, Q, K), or with
        `need_weights="mass"` the mass on each modality of the context, (B, H, Q, modalities).

    Args:
        edges: who asks whom, wildcards expanded.
        d_model: d.
        n_heads: H.
        d_hidden: width inside the feed-forward step.
        dropout: probability of dropping a feature after each step, in training.
        tie: one set of projections for all edges; otherwise each edge has its own, as in the textbook.

    Source: pre-norm Transformer layer, Xiong et al. 2020; edges between modalities as in Tsai et al. 2019.

    Example:
        >>> layer = FusionLayer((Edge("a", "b"),), 8, n_heads=2, d_hidden=16)
        >>> places = {"a": slice(0, 3), "b": slice(3, 5)}
        >>> x, weights = layer(torch.randn(2, 5, 8), None, places, need_weights=True)
        >>> weights[Edge("a", "b")].shape
        torch.Size([2, 2, 3, 2])
    """

    def __init__(
        self,
        edges: Sequence[Edge],
        d_model: int,
        *,
        n_heads: int,
        d_hidden: int,
        dropout: float = 0.0,
        tie: bool = True,
    ) -> None:
        super().__init__()
        if d_hidden < 1:
            raise InputError(f"sizes are positive, however: {d_hidden=}")
        self.edges = tuple(edges)
        self.tie = tie
        self.groups = _by_context(self.edges) if tie else [[edge] for edge in self.edges]
        n_attentions = min(1, len(self.edges)) if tie else len(self.edges)
        self.attention = nn.ModuleList(Attention(d_model, n_heads=n_heads) for _ in range(n_attentions))
        self.norm_ask = nn.LayerNorm(d_model) if self.edges else nn.Identity()
        self.norm_feed = nn.LayerNorm(d_model)
        self.feed = nn.Sequential(
            nn.Linear(d_model, d_hidden), nn.GELU(), Dropout(dropout), nn.Linear(d_hidden, d_model)
        )
        self.dropout = Dropout(dropout)

    def forward(
        self, x: Tensor, present: Tensor | None, places: Places, *, need_weights: bool | Literal["mass"] = False
    ) -> tuple[Tensor, Weights]:
        """Ask, then feed forward. Tokens that are absent hold zeros and are never looked at."""
        weights: Weights = {}
        if self.edges:
            received, weights = self._ask(self._project(self.norm_ask(x)), present, places, need_weights)
            x = x + self.dropout(received)
        x = x + self.dropout(run(self.feed, self.norm_feed(x)))
        return x, {e: weights[e] for e in self.edges if e in weights}

    def asking(self, x: Tensor, places: Places, edge: Edge) -> tuple[Tensor, Tensor, Tensor]:
        """Return what an edge asks with and is answered by, before any softmax.

        Shape:
            x (B, S, d), as `forward` takes it -> q (B, H, Q, D), k and v (B, H, K, D); tokens in the order of the
            sequence.
        """
        asking, asked = _in_order(edge.query_names, places), _in_order(edge.context_names, places)
        sides = _sides(self._project(self.norm_ask(x)), asking, asked, places)
        return self._heads(self.edges.index(edge), *sides)

    def _project(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, keys and values (B, S, d) of all tokens; without `tie` each edge projects for itself."""
        if not self.tie:
            return x, x, x
        shared = self._attention(0)
        return project(shared.q_proj, x), project(shared.k_proj, x), project(shared.v_proj, x)

    def _ask(
        self,
        projected: tuple[Tensor, Tensor, Tensor],
        present: Tensor | None,
        places: Places,
        need_weights: bool | Literal["mass"],
    ) -> tuple[Tensor, Weights]:
        """What every token receives (B, S, d): the mean over the contexts that were there to ask."""
        weights: Weights = {}
        answers: dict[str, list[tuple[Tensor, Tensor]]] = {name: [] for name in places}
        for i, group in enumerate(self.groups):
            # Who asks the same context asks in one call: a softmax runs over the keys of one query alone.
            edges = {e: _in_order(e.query_names, places) for e in group}
            asking = [name for names in edges.values() for name in names]
            asked = _in_order(group[0].context_names, places)
            if not asking or not asked:
                continue
            q, k, v = _sides(projected, asking, asked, places)
            there = None if present is None else _take(present, asked, places)
            widths = [_size(places[name]) for name in asked]
            answer, some, seen = self._answer(i, q, k, v, there, widths, need_weights)
            for name, piece in zip(asking, torch.split(answer, [_size(places[n]) for n in asking], 1), strict=True):
                answers[name].append((piece, some))
            if seen is not None:
                sizes = [sum(_size(places[n]) for n in names) for names in edges.values()]
                for (edge, names), w in zip(edges.items(), torch.split(seen, sizes, 2), strict=True):
                    if names:
                        weights[edge] = w if present is None else _asking_only(w, _take(present, names, places))
        received, count = _mean(answers, places, projected[0])
        if self.tie:  # the mean commutes with the projection: it runs once a token, not once an answer
            received = project(self._attention(0).out_proj, received) * (count > 0)
        return received, weights

    def _answer(
        self,
        i: int,
        q: Tensor,
        k: Tensor,
        v: Tensor,
        there: Tensor | None,
        widths: Sequence[int],
        need_weights: bool | Literal["mass"],
    ) -> tuple[Tensor, Tensor, Tensor | None]:
        """One context answers: (B, Q, d), which samples got an answer (B, 1, 1), and the weights or the mass."""
        attention = self._attention(i)
        q, k, v = self._heads(i, q, k, v)
        keep = None if there is None else there[:, None, None]
        heads, seen = attend_unchecked(q, k, v, keep=keep, need_weights=need_weights is True)
        if need_weights == "mass":  # asked apart: the answer itself comes out as if nobody had wanted to know
            seen = mass_unchecked(q, k, _segments(widths, k), len(widths), keep=keep)
        some = q.new_ones(len(q), 1, 1) if there is None else there.any(1)[:, None, None].to(q.dtype)
        answer = attention.merge(heads)
        return answer if self.tie else project(attention.out_proj, answer) * some, some, seen

    def _heads(self, i: int, q: Tensor, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, keys and values of every head, (B, H, T, D); without `tie` they are projected here."""
        attention = self._attention(i)
        if not self.tie:  # a linear layer on a slice that is not contiguous falls back to many small products
            q, k, v = (t.contiguous() for t in (q, k, v))
            q, k, v = project(attention.q_proj, q), project(attention.k_proj, k), project(attention.v_proj, v)
        return attention.split(q), attention.split(k), attention.split(v)

    def _attention(self, i: int) -> Attention:
        attention = self.attention[0 if self.tie else i]
        assert isinstance(attention, Attention)
        return attention


def _by_context(edges: Sequence[Edge]) -> list[list[Edge]]:
    groups: dict[frozenset[str], list[Edge]] = {}
    for edge in edges:
        groups.setdefault(frozenset(edge.context_names), []).append(edge)
    return list(groups.values())


def _in_order(names: Sequence[str], places: Places) -> list[str]:
    """The names that have a place, in the order of the sequence, whatever the order of writing."""
    return [name for name in places if name in names]


def _sides(
    projected: tuple[Tensor, Tensor, Tensor], asking: Sequence[str], asked: Sequence[str], places: Places
) -> tuple[Tensor, Tensor, Tensor]:
    """The queries of those who ask, the keys and values of those who are asked."""
    q, k, v = (_take(t, names, places) for t, names in zip(projected, (asking, asked, asked), strict=True))
    return q, k, v


def _size(place: slice) -> int:
    return int(place.stop - place.start)


def _segments(widths: Sequence[int], keys: Tensor) -> Tensor:
    """Which modality of the context each key belongs to, (1, K)."""
    return torch.cat([torch.full((width,), i, device=keys.device) for i, width in enumerate(widths)]).unsqueeze(0)


def _take(x: Tensor, names: Sequence[str], places: Places) -> Tensor:
    """The tokens of these modalities (B, T, ...); neighbours in the sequence are cut out in one piece."""
    runs: list[slice] = []
    for place in (places[name] for name in names):
        if runs and runs[-1].stop == place.start:
            place = slice(runs.pop().start, place.stop)
        runs.append(place)
    return x[:, runs[0]] if len(runs) == 1 else torch.cat([x[:, :0], *(x[:, run] for run in runs)], 1)


def _mean(answers: Mapping[str, list[tuple[Tensor, Tensor]]], places: Places, x: Tensor) -> tuple[Tensor, Tensor]:
    """The mean answer to every token (B, S, d), and how many answers it got (B, S, 1)."""
    means, counts = [], []
    for name, place in places.items():
        total, count = x.new_zeros(len(x), _size(place), x.shape[2]), x.new_zeros(len(x), 1, 1)
        if answers[name]:
            total = torch.stack([answer for answer, _ in answers[name]]).sum(0)
            count = torch.stack([some for _, some in answers[name]]).sum(0)
        means.append(total / count.clamp(min=1))
        counts.append(count.expand(-1, _size(place), -1))
    return torch.cat(means, 1), torch.cat(counts, 1)


def _asking_only(weights: Tensor, present: Tensor) -> Tensor:
    """Zero the rows of tokens that are absent: who is not there asks nobody."""
    return weights.masked_fill(~present[:, None, :, None], 0.0)
