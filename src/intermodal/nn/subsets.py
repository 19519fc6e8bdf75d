"""What a network makes of every subset of its modalities, with what the subsets share computed once.

Encoders and the first layer's projections read one token at a time: they run once on the batch, and so do the sums
that the first attention of all subsets is made of (`mixtures.py`). What comes after runs once a subset, on the tokens
of that subset alone. Subsets of one shape run as one batch, without a mask:

    a, b, c  of two tokens each    {a} {b} {c}  three rows of 2    {a b} {a c} {b c}  three rows of 4    ...

Shapes: B batch, C subsets, E members, S tokens of all modalities, T tokens of a subset, d width, M modalities.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple

import torch
from torch import Tensor

from intermodal.errors import InputError
from intermodal.kernel import mixed
from intermodal.nn.blank import blank
from intermodal.nn.layer import FusionLayer, Places
from intermodal.nn.linear import bare, run
from intermodal.nn.mixtures import Mixtures, Pieces, mixtures
from intermodal.nn.network import FusionNetwork

TOKENS = 2048
"""Tokens of one pass, about: more would not stay in the cache, fewer would be all overhead."""

Asking = tuple[tuple[tuple[str, ...], tuple[str, ...]], ...]
"""Who asks and who is asked, for each context of a layer."""


class Shape(NamedTuple):
    """Subsets that one batch can hold: as many tokens, in as many pieces, and as many who ask each other."""

    subsets: list[int]
    places: Places
    tokens: list[list[range]]

    @property
    def size(self) -> int:
        """T."""
        return sum(map(len, self.tokens[0]))


def fuse_subsets(
    network: FusionNetwork,
    x: Mapping[str, Tensor],
    present: Mapping[str, Tensor] | None = None,
    *,
    subsets: Sequence[int] | None = None,
) -> Tensor:
    """Fuse a batch once for every subset of its modalities.

    Shape:
        x: name -> (B, D) or (B, T, D) -> (C, B, d_pooled), with members (C, B, E, d_pooled).

    Args:
        network: in eval mode, so that all subsets are seen alike.
        x: as in `FusionNetwork.forward`.
        present: as in `FusionNetwork.forward`.
        subsets: bit i stands for modality i of `network.names`; all 2^M in order by default.

    Returns:
        `pooled` of each subset.

    Raises:
        InputError: the network is training, or what `FusionNetwork.forward` raises.

    Relation: equal to `network(x, present)` with the other modalities marked absent, subset by subset, up to
    rounding. The feed-forward steps run for every subset, since each token holds something else in each.

    Example:
        >>> network = FusionNetwork("self", {"a": 3, "b": 2}, d_model=8).eval()
        >>> fuse_subsets(network, {"a": torch.randn(5, 3), "b": torch.randn(5, 2)}).shape
        torch.Size([4, 5, 8])
    """
    if network.training:
        raise InputError("subsets are compared in eval mode, however: network.training=True; call network.eval()")
    wanted = range(1 << len(network.names)) if subsets is None else subsets
    tokens, there, places = network._encode(x, present or {})
    batch, stands_in = len(tokens), network.absent is not None
    if there is not None and bool(there.all()) and all(place.stop > place.start for place in places.values()):
        there = None
    if stands_in:
        tokens, there = _with_stand_ins(network, tokens, there, places)
    if network.n_members > 1:
        tokens = (network.member_scale[:, None, None] * tokens).flatten(0, 1)
        there = None if there is None else there.repeat(network.n_members, 1)
    names = tuple(places)
    bits = [1 << network.names.index(name) for name in names]
    known = sum(bits)
    each = sorted({s & known for s in wanted})
    widths = tuple(place.stop - place.start for place in places.values())
    shapes = _shapes(names, tuple(bits), widths, tuple(each), stands_in, _asking(network))
    pooled = tokens.new_zeros(len(each), len(tokens), network.d_pooled)
    at = {s: i for i, s in enumerate(each)}
    gradients = torch.is_grad_enabled() and any(t.requires_grad for t in (tokens, *network.parameters()))
    pieces = None if gradients else _pieces(network, names, widths, stands_in)
    run = _Run(network, tokens, there, pieces)
    most = TOKENS if tokens.device.type == "cpu" else 64 * TOKENS  # a GPU waits for each launch
    for shape in shapes:
        n = max(1, most // max(1, len(tokens) * shape.size))
        for i in range(0, len(shape.subsets), n):
            some = shape.subsets[i : i + n]
            held = [_held(s, bits, stands_in) for s in some]
            pooled[[at[s] for s in some]] = run.pooled(shape.tokens[i : i + n], held, shape.places)
    if network.n_members > 1:
        pooled = pooled.reshape(len(each), network.n_members, batch, -1).transpose(1, 2)
    return pooled if list(wanted) == each else pooled[[at[s & known] for s in wanted]]


class _Run:
    """One batch through a network: what is shared, and one pass for each shape."""

    def __init__(self, network: FusionNetwork, tokens: Tensor, there: Tensor | None, pieces: Pieces | None) -> None:
        self.network = network
        self.there = there
        self.layers: list[FusionLayer] = list(network.layers)  # type: ignore[arg-type]
        self.alone = not network.spec.edges  # nobody asks anybody: a token is the same in every subset
        if self.alone:
            for layer in self.layers:
                tokens, _ = layer(tokens, there, {})
            tokens = network.norm(tokens)
        self.tokens = tokens
        self.projected: tuple[Tensor, Tensor, Tensor] | None = None
        self.mixtures: Mixtures | None = None
        if self.layers and not self.alone:
            self.projected = self.layers[0]._project(self.layers[0].norm_ask(tokens))
            if pieces is not None:
                self.mixtures = mixtures(self.layers[0], tokens, self.projected, there, pieces)

    def pooled(self, chosen: list[list[range]], held: list[int], places: Places) -> Tensor:
        """Fuse some subsets of one shape: which tokens, and which pieces, each holds -> (C, B, d_pooled)."""
        size = sum(map(len, chosen[0]))
        index = torch.tensor([i for runs in chosen for run in runs for i in run], device=self.tokens.device)

        def take(t: Tensor) -> Tensor:
            return t.index_select(1, index).reshape(-1, size, *t.shape[2:])

        there = None if self.there is None else take(self.there)
        if self.mixtures is not None:
            pooled = self._mixed(index.view(-1, size).int(), held, there, places)
        elif self.alone or self.projected is None:
            pooled = self._end(take(self.tokens), there, places)
        else:
            first, (q, k, v) = self.layers[0], map(take, self.projected)
            tokens = take(self.tokens) + first._ask((q, k, v), there, places, False)[0]
            pooled = self._end(tokens + run(first.feed, first.norm_feed(tokens)), there, places)
        return pooled.reshape(-1, len(chosen), pooled.shape[-1]).transpose(0, 1)

    def _mixed(self, chosen: Tensor, held: list[int], there: Tensor | None, places: Places) -> Tensor:
        """The same, the first attention known: chosen (C, T) -> (B * C, d_pooled)."""
        assert self.mixtures is not None
        first, norm = self.layers[0], self.network.norm
        received = self.mixtures.received(chosen, held)
        tokens, normed = mixed.join(received, self.tokens, chosen, first.norm_feed)
        fed = run(first.feed, normed if bare(first.norm_feed) else first.norm_feed(tokens))
        how, widths = getattr(self.network.pool, "how", ""), {place.stop - place.start for place in places.values()}
        even = how == "tokens" or (how == "mean" and len(widths) == 1)  # the mean over all tokens is the mean
        if even and there is None and len(self.layers) == 1 and bare(norm, self.network.pool):
            return mixed.settle(tokens, fed, norm)
        return self._end(tokens + fed, there, places)

    def _end(self, tokens: Tensor, there: Tensor | None, places: Places) -> Tensor:
        """What follows the first layer: tokens (B * C, T, d) -> (B * C, d_pooled)."""
        if not self.alone:
            for layer in self.layers[1:]:
                tokens, _ = layer(tokens, there, places)
            tokens = self.network.norm(tokens)
        if there is not None:
            tokens = blank(tokens, there.unsqueeze(-1))
        return torch.as_tensor(self.network.pool(tokens, there, places))


def _with_stand_ins(
    network: FusionNetwork, tokens: Tensor, there: Tensor | None, places: Places
) -> tuple[Tensor, Tensor | None]:
    """Put behind each modality's tokens the learned one that stands there when it is hidden."""
    assert network.absent is not None
    pieces, shown = [], []
    for learned, place in zip(network.absent, places.values(), strict=True):
        pieces += [tokens[:, place], learned.to(tokens.dtype).expand(len(tokens), 1, -1)]
        if there is not None:
            shown += [there[:, place], there.new_ones(len(tokens), 1)]
    return torch.cat(pieces, 1), torch.cat(shown, 1) if shown else None


def _asking(network: FusionNetwork) -> Asking | None:
    """Who asks each context; None where a subset is like no other, because somebody has weights of their own."""
    layers: list[FusionLayer] = list(network.layers)  # type: ignore[arg-type]
    if network.pool.per_modality or not all(layer.tie for layer in layers):
        return None
    groups = layers[0].groups if layers else []
    return tuple(
        (tuple(name for edge in group for name in edge.query_names), tuple(group[0].context_names)) for group in groups
    )


def _pieces(network: FusionNetwork, names: Sequence[str], widths: Sequence[int], stands_in: bool) -> Pieces | None:
    """The tokens of each modality, then what stands in for each; None where edges have weights of their own."""
    layers: list[FusionLayer] = list(network.layers)  # type: ignore[arg-type]
    if not layers or not layers[0].tie:
        return None
    step = 1 if stands_in else 0
    starts = [sum(widths[:i]) + i * step for i in range(len(names))]
    slices = [slice(start, start + width) for start, width in zip(starts, widths, strict=True)]
    if stands_in:
        slices += [slice(place.stop, place.stop + 1) for place in slices]
    edges = [
        ([name for edge in group for name in edge.query_names], frozenset(group[0].context_names))
        for group in layers[0].groups
    ]
    return Pieces(slices, [*names, *names] if stands_in else names, edges)


def _held(subset: int, bits: Sequence[int], stands_in: bool) -> int:
    """The pieces of a subset as bits."""
    shown = sum(1 << i for i, bit in enumerate(bits) if subset & bit)
    hidden = (1 << len(bits)) - 1 - shown
    return shown | hidden << len(bits) if stands_in else shown


@lru_cache(maxsize=64)
def _shapes(
    names: tuple[str, ...],
    bits: tuple[int, ...],
    widths: tuple[int, ...],
    subsets: tuple[int, ...],
    stands_in: bool,
    asking: Asking | None,
) -> list[Shape]:
    """Sort subsets by their shape; those without a token are left out."""
    step = 1 if stands_in else 0
    starts = [sum(widths[:i]) + i * step for i in range(len(names))]
    shapes: dict[object, Shape] = {}
    for s in subsets:
        places: dict[str, slice] = {}
        tokens: list[range] = []
        size = 0
        for name, bit, start, width in zip(names, bits, starts, widths, strict=True):
            shown = range(start, start + width) if s & bit else range(start + width, start + width + step)
            if s & bit or stands_in:
                places[name] = slice(size, size + len(shown))
                tokens.append(shown)
                size += len(shown)
        if size == 0:
            continue
        key: object = s if asking is None else (tuple((p.start, p.stop) for p in places.values()), _who(asking, places))
        shapes.setdefault(key, Shape([], places, [])).subsets.append(s)
        shapes[key].tokens.append(tokens)
    return list(shapes.values())


def _who(asking: Asking, places: Places) -> tuple[object, ...]:
    """Who asks whom in a subset, by their place in it: two subsets with the same answer run as one."""
    at = {name: i for i, name in enumerate(places)}
    found = []
    for query, context in asking:
        who = sorted(at[name] for name in query if name in at)
        whom = sorted(at[name] for name in context if name in at)
        if who and whom:
            found.append((tuple(who), tuple(whom)))
    return tuple(sorted(found))
