"""A network for any spec: encoders, layers of attention along the edges, one fused vector.

Shapes: B batch, T tokens, D width of a modality, d width of the model.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Literal, TypeVar

import torch
from torch import Tensor, nn

from intermodal.errors import InputError, OneKeyWarning, ShapeError, did_you_mean
from intermodal.nn.attention import ONE_KEY
from intermodal.nn.blank import blank
from intermodal.nn.dropping import Drops
from intermodal.nn.encoders import Encoder
from intermodal.nn.fused import Asking, Fused, Weights, or_all
from intermodal.nn.layer import FusionLayer, Places
from intermodal.nn.pooling import POOLS, make_pool
from intermodal.spec import Edge, Spec

Value = TypeVar("Value")
MANY = ("layers", "mass")
"""What `need_weights` may ask for of every layer."""


class FusionNetwork(Drops, nn.Module):
    """Fuse any modalities along any spec.

    A missing modality is never looked at, and the others are as if it had never been there; with
    `missing="token"` a learned token stands in for it, the same in training and prediction. A sample without
    any modality gets a finite vector: zeros under mean pooling.

    Shape:
        x: name -> (B, D) or (B, T, D) -> pooled (B, d_pooled), tokens: name -> (B, T, d), weights: edge ->
        (B, H, Q, K). With members, pooled is (B, n_members, d_pooled) and the heads of all members are stacked.
        `need_weights="mass"` gives (B, H, Q, S) instead: the attention on each modality of the edge's context.

    Args:
        spec: who asks whom, text or `Spec`.
        d_in: name -> width D; the order of the modalities is the order of this mapping.
        d_model: d, width of the tokens.
        n_heads: heads of every attention.
        n_layers: layers.
        n_tokens: tokens of a modality that is one vector: a number for all or a mapping; sequences take 1.
        encoder: `linear`, `conv`, `centred` or `gru`: a text for all or a mapping.
        stride: neighbouring tokens of a sequence that become one: a number for all or a mapping; vectors ignore it.
        pool: `mean` (over the tokens of a modality, then over the modalities that are there), `tokens` (over all
            tokens), `attention` (learned) or `concat` (one place a modality).
        missing: `mask` or `token`.
        modality_dropout: probability that a modality is hidden from a sample in training; one always stays.
        dropout: probability of dropping a feature in training.
        d_hidden: width of the feed-forward step; 2 d by default.
        tie: one set of projections a layer for all edges; otherwise each edge has its own.
        n_members: size of an ensemble that shares every weight but a scale on the tokens.

    Raises:
        SpecError: the spec names a modality that is not in `d_in`.
        InputError: a size or option is wrong.

    Source: ensemble: Gorishniy et al. 2024, TabM (arXiv 2410.24210), the form with one adapter.

    Relation: the textbook's plain forms are `SelfAttentionFusion`, `CrossAttention` and
    `BidirectionalCrossAttention`.

    Example:
        >>> network = FusionNetwork("text <-> video", {"text": 7, "video": 11}, d_model=8)
        >>> fused = network({"text": torch.randn(2, 3, 7), "video": torch.randn(2, 5, 11)}, need_weights=True)
        >>> fused.pooled.shape, fused.weights[Edge("text", "video")].shape
        (torch.Size([2, 8]), torch.Size([2, 4, 3, 5]))
    """

    def __init__(
        self,
        spec: Spec | str,
        d_in: Mapping[str, int],
        *,
        d_model: int = 64,
        n_heads: int = 4,
        n_layers: int = 1,
        n_tokens: int | Mapping[str, int] = 1,
        encoder: str | Mapping[str, str] = "linear",
        stride: int | Mapping[str, int] = 1,
        pool: str = "mean",
        missing: Literal["mask", "token"] = "mask",
        modality_dropout: float = 0.0,
        dropout: float = 0.0,
        d_hidden: int | None = None,
        tie: bool = True,
        n_members: int = 1,
    ) -> None:
        super().__init__()
        _check_sizes(d_in, d_model=d_model, n_heads=n_heads, n_members=n_members)
        self.names = tuple(d_in)
        self.spec = Spec.parse(spec, self.names)
        if n_layers < 0:
            raise InputError(f"n_layers is 0 or more, however: {n_layers=}")
        if missing not in ("mask", "token"):
            raise InputError(f'missing is "mask" or "token", however: {missing=}')
        if not 0 <= modality_dropout < 1 or not 0 <= dropout < 1:
            raise InputError(f"dropout is a probability below 1, however: {dropout=}, {modality_dropout=}")
        if pool not in POOLS:
            raise InputError(f"pool is one of {', '.join(POOLS)}, however: {pool=}" + did_you_mean(pool, POOLS))
        self.n_members = n_members
        self.modality_dropout = modality_dropout
        counts, kinds = _for_each(n_tokens, 1, self.names), _for_each(encoder, "linear", self.names)
        strides = _for_each(stride, 1, self.names)
        # A module's name may hold no dot, a modality's may: the encoders stand in order instead.
        self.encoders = nn.ModuleList(
            Encoder(d_in[n], d_model, n_tokens=counts[n], kind=kinds[n], stride=strides[n]) for n in self.names
        )
        self.absent: nn.ParameterList | None = None
        if missing == "token":
            self.absent = nn.ParameterList(torch.randn(d_model) / d_model**0.5 for _ in self.names)
        if n_members > 1:
            self.member_scale = nn.Parameter(torch.randint(0, 2, (n_members, d_model)) * 2.0 - 1.0)
        edges = sorted(self.spec.edges, key=_spelling)  # two spellings of a spec draw the same weights
        d_hidden = 2 * d_model if d_hidden is None else d_hidden
        self.layers = nn.ModuleList(
            FusionLayer(edges, d_model, n_heads=n_heads, d_hidden=d_hidden, dropout=dropout, tie=tie)
            for _ in range(n_layers)
        )
        self.norm = nn.LayerNorm(d_model)
        self.pool = make_pool(pool, d_model, self.names)
        self._checked_one_key = False

    @property
    def d_in(self) -> dict[str, int]:
        """Name -> width, read from the weights."""
        return {n: e.d_in for n, e in zip(self.names, self.encoders, strict=True)}  # type: ignore[misc]

    @property
    def d_pooled(self) -> int:
        """Width of the fused vector."""
        d_model = self.norm.normalized_shape[0]
        return d_model * len(self.names) if self.pool.per_modality else d_model

    def forward(
        self,
        x: Mapping[str, Tensor],
        present: Mapping[str, Tensor] | None = None,
        *,
        need_weights: bool | Literal["layers", "mass"] = False,
    ) -> Fused:
        """Fuse a batch.

        Args:
            x: name -> (B, D) or (B, T, D). A modality that is left out is missing for every sample.
            present: name -> bool (B,) for a vector, (B, T) for a sequence; all there by default.
            need_weights: True for the weights of the last layer, `"layers"` for those of every layer, `"mass"` for
                what those of every layer sum to over each modality, without building them: (B, H, Q, S) instead of
                (B, H, Q, K), with the S modalities of the edge's context in the order of the network. The answer
                is the same in all cases.

        Returns:
            `pooled`, `tokens`, and `weights` keyed by the spec's edges. An edge with a modality that was left
            out has no weights, or, if its context has others, none for that modality.

        Raises:
            InputError: no modality, one that the network does not know, or another `need_weights`.
            ShapeError: a tensor has the wrong axes.
        """
        if need_weights not in (True, False, *MANY):
            problem = f'need_weights is True, False, "layers" or "mass", however: {need_weights=}'
            raise InputError(problem + did_you_mean(str(need_weights), MANY))
        tokens, there, places = self._encode(x, present or {})
        if not self._checked_one_key and not torch.compiler.is_compiling():
            self._check_one_key(there, places)
        batch = tokens.shape[0]
        tokens, there = self._members(tokens, there)
        layers: list[Weights] = []
        for i, layer in enumerate(self.layers, 1):
            everyone = need_weights in MANY or i == len(self.layers)
            wanted = "mass" if need_weights == "mass" else bool(need_weights) and everyone
            tokens, weights = layer(tokens, there, places, need_weights=wanted)
            layers.append({e: self._by_head(weights[e], batch) for e in self.spec.edges if e in weights})
        tokens = self.norm(tokens)
        if there is not None:
            tokens = blank(tokens, there.unsqueeze(-1))
        pooled = self.pool(tokens, there, places)
        if self.n_members > 1:
            pooled = pooled.reshape(self.n_members, batch, self.d_pooled).transpose(0, 1)
        named = {name: tokens[:, place] for name, place in places.items()}
        if need_weights in MANY:
            return Fused(pooled, named, layers)
        return Fused(pooled, named, (layers[-1] if layers else {}) if need_weights else None)

    def asking(
        self,
        x: Mapping[str, Tensor],
        present: Mapping[str, Tensor] | None = None,
        *,
        edge: Edge,
        layer: int = -1,
    ) -> Asking:
        """Return what one edge asks with in one layer, to look at a part of its attention.

        Args:
            x: as in `forward`.
            present: as in `forward`.
            edge: one of `spec.edges`.
            layer: which layer, counted from 0; -1 is the last.

        Returns:
            Queries, keys and values of every head, and where each modality lies among them. A modality of the edge that
            was left out has no place.

        Raises:
            InputError: there is no such edge or layer.

        Relation: `attend(q, k, k, keep=keep, need_weights=True).weights` of the result are the `weights` of
        `forward`, but for the rows of tokens that are absent. `mass` sums them over any segments of the keys.

        Example:
            >>> network = FusionNetwork("text -> video", {"text": 7, "video": 11}, d_model=8)
            >>> asking = network.asking(
            ...     {"text": torch.randn(2, 3, 7), "video": torch.randn(2, 5, 11)}, edge=Edge("text", "video"))
            >>> asking.q.shape, asking.k.shape, asking.context
            (torch.Size([2, 4, 3, 2]), torch.Size([2, 4, 5, 2]), {'video': slice(0, 5, None)})
        """
        if edge not in self.spec.edges:
            edges = [str(e) for e in self.spec.edges]
            raise InputError(f'edge is one of the spec, however: "{edge}"' + did_you_mean(str(edge), edges))
        n = len(self.layers)
        if not -n <= layer < n:
            raise InputError(f"layer is one of the network's {n}, counted from 0 or back from -1, however: {layer=}")
        tokens, there, places = self._encode(x, present or {})
        batch = len(tokens)
        keys = None if there is None else _only(there, edge.context_names, places)
        tokens, there = self._members(tokens, there)
        *before, last = self.layers[: layer % n + 1]
        for module in before:
            tokens, _ = module(tokens, there, places)
        assert isinstance(last, FusionLayer)
        q, k, v = (self._by_head(t, batch) for t in last.asking(tokens, places, edge))
        return Asking(
            q,
            k,
            v,
            None if keys is None else keys[:, None, None],
            _within(edge.query_names, places),
            _within(edge.context_names, places),
        )

    def _members(self, tokens: Tensor, there: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """Give each member of an ensemble its own scale of the tokens, along the batch."""
        if self.n_members == 1:
            return tokens, there
        tokens = (self.member_scale[:, None, None] * tokens).flatten(0, 1)
        return tokens, None if there is None else there.repeat(self.n_members, 1)

    def _by_head(self, weights: Tensor, batch: int) -> Tensor:
        """(members * B, H, Q, K) -> (B, members * H, Q, K)."""
        members = weights.reshape(self.n_members, batch, *weights.shape[1:])
        return members.transpose(0, 1).flatten(1, 2)

    def _encode(self, x: Mapping[str, Tensor], present: Mapping[str, Tensor]) -> tuple[Tensor, Tensor | None, Places]:
        """All tokens in one sequence (B, S, d), which are there (B, S) or None for all, and where each lies."""
        _check_names(x, present, self.names)
        batch, device = _one_batch(x), next(iter(x.values())).device
        tokens: dict[str, Tensor] = {}
        there: dict[str, Tensor | None] = {}
        for name, encoder in zip(self.names, self.encoders, strict=True):
            if name in x:
                tokens[name], there[name] = encoder(x[name], present.get(name), name=name)
                if tokens[name].shape[1] == 0:  # a sequence without a token is missing, whoever says so
                    there[name] = torch.zeros(batch, 0, dtype=torch.bool, device=device)
            elif self.absent is not None:
                tokens[name] = self.absent[0].new_zeros(batch, 1, len(self.absent[0]))
                there[name] = torch.zeros(batch, 1, dtype=torch.bool, device=device)
        if self.training and self.modality_dropout > 0:
            there = self._hide(tokens, there)
        if self.absent is not None:
            self._stand_in(tokens, there)
        places, at = {}, 0
        for name, t in tokens.items():
            places[name] = slice(at, at + t.shape[1])
            at += t.shape[1]
        if all(p is None for p in there.values()):
            return torch.cat(list(tokens.values()), 1), None, places
        joined = torch.cat([or_all(there[n], t) for n, t in tokens.items()], 1)
        return blank(torch.cat(list(tokens.values()), 1), joined.unsqueeze(-1)), joined, places

    def _hide(self, tokens: Mapping[str, Tensor], there: Mapping[str, Tensor | None]) -> dict[str, Tensor | None]:
        """Hide each modality from each sample by chance, but never all that a sample has."""
        known = {n: or_all(there[n], t) for n, t in tokens.items()}
        has = torch.stack([p.any(1) for p in known.values()], 1)  # (B, M)
        source = self.source
        chance, luck = (
            torch.rand(has.shape, device=has.device) if source is None else source.chances(*has.shape) for _ in "ab"
        )
        hidden, luck = chance < self.modality_dropout, luck.masked_fill(~has, -1.0)
        stays = luck == luck.amax(1, keepdim=True)  # the one that stays when all are hidden
        hidden &= ~(stays & (hidden | ~has).all(1, keepdim=True))
        return {n: p & ~hidden[:, i : i + 1] for i, (n, p) in enumerate(known.items())}

    def _stand_in(self, tokens: dict[str, Tensor], there: dict[str, Tensor | None]) -> None:
        """Put the learned token of a missing modality in its first place."""
        assert self.absent is not None
        for i, name in enumerate(self.names):
            present = there[name]
            if present is None:
                continue
            if present.shape[1] == 0:
                tokens[name] = tokens[name].new_zeros(len(present), 1, tokens[name].shape[2])
                present = present.new_zeros(len(present), 1)
            gone = ~present.any(1, keepdim=True) & (torch.arange(present.shape[1], device=present.device) == 0)
            tokens[name] = torch.where(gone.unsqueeze(-1), self.absent[i].to(tokens[name].dtype), tokens[name])
            there[name] = present | gone

    def _check_one_key(self, there: Tensor | None, places: Places) -> None:
        """Look once, at the first forward, at the most keys that any sample has along an edge."""
        self._checked_one_key = True
        alone = [e for e in self.spec.edges if _most_keys(e, there, places) == 1]
        if alone:
            who = ", ".join(str(e) for e in alone)
            warnings.warn(ONE_KEY.format(who=who), OneKeyWarning, stacklevel=5)


def _spelling(edge: Edge) -> tuple[tuple[str, ...], tuple[str, ...]]:
    return tuple(sorted(edge.query_names)), tuple(sorted(edge.context_names))


def _only(there: Tensor, names: tuple[str, ...], places: Places) -> Tensor:
    """Which tokens of these modalities are there, in the order of the sequence."""
    return torch.cat([there[:, :0], *(there[:, place] for name, place in places.items() if name in names)], 1)


def _within(names: tuple[str, ...], places: Places) -> dict[str, slice]:
    """Where each of these modalities lies when they alone stand in a row, in the order of the sequence."""
    within, at = {}, 0
    for name, place in places.items():
        if name in names:
            within[name] = slice(at, at + place.stop - place.start)
            at = within[name].stop
    return within


def _most_keys(edge: Edge, there: Tensor | None, places: Places) -> int:
    asked = [places[name] for name in edge.context_names if name in places]
    if there is None:
        return sum(place.stop - place.start for place in asked)
    counts = [there[:, place].sum(1) for place in asked]
    return int(torch.stack(counts).sum(0).max()) if counts and len(there) else 0


def _for_each(value: Value | Mapping[str, Value], default: Value, names: tuple[str, ...]) -> dict[str, Value]:
    if not isinstance(value, Mapping):
        return dict.fromkeys(names, value)
    for name in value:
        if name not in names:
            raise InputError(f'options name modalities that exist, however: "{name}"' + did_you_mean(name, names))
    return {name: value.get(name, default) for name in names}


def _one_batch(x: Mapping[str, Tensor]) -> int:
    sizes = {name: t.shape[0] for name, t in x.items()}
    if len(set(sizes.values())) > 1:
        raise ShapeError(f"all modalities have one batch size, however: {sizes}")
    return next(iter(sizes.values()))


def _check_names(x: Mapping[str, Tensor], present: Mapping[str, Tensor], names: tuple[str, ...]) -> None:
    for name in (*x, *present):
        if name not in names:
            problem = f'x and present hold modalities of the network, however: "{name}"'
            raise InputError(problem + did_you_mean(name, names))
    if not x:
        raise InputError(f"x holds at least one of the modalities {', '.join(names)}, however: it is empty")


def _check_sizes(d_in: Mapping[str, int], **sizes: int) -> None:
    if not d_in:
        raise InputError("d_in names at least one modality, however: it is empty")
    widths = {f"d_in[{name!r}]": width for name, width in d_in.items()}
    wrong = ", ".join(f"{name}={size}" for name, size in (widths | sizes).items() if size < 1)
    if wrong:
        raise InputError(f"sizes are positive, however: {wrong}")
    if sizes["d_model"] % sizes["n_heads"]:
        problem = f"d_model={sizes['d_model']}, n_heads={sizes['n_heads']}"
        raise InputError(f"d_model must be divisible by n_heads, however: {problem}")
