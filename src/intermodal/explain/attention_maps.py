"""Who attended to whom: the attention of a model, modality by modality, over samples and in single ones.

No weights are built: every layer says the mass on each modality (`need_weights="mass"`), and samples are added up as
they pass.

Shapes: B batch, N samples, M modalities, L layers, H heads (of all members), Q tokens of an edge, S modalities of its
context.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from intermodal.errors import InputError
from intermodal.explain.opening import Opened, absent, as_in_prediction, opened
from intermodal.explain.tallying import Running, Tally
from intermodal.nn.fused import Fused
from intermodal.spec import Edge


@dataclass(frozen=True)
class AttentionMap:
    """How much of each modality's attention went to each modality, over many samples.

    A row asks, a column is looked at. A row sums to 1; it is NaN where the modality asks nobody. A modality that asks
    through several edges divides its attention evenly among those that had something to look at.

    A NaN that comes in stays: the row of a modality whose attention is not a number in any sample is NaN, `broken`
    counts the samples, and `findings` says so.

    Attributes:
        names: (M,) the modalities.
        mean: (M, M) over samples, layers and heads, NaN in the rows of those who ask nobody; None without any
            attention.
        std: (M, M) standard deviation over samples of the mean over layers and heads.
        count: (M,) samples in which the row's modality asked.
        by_head: (L, H, M, M) mean over samples of each layer and head, NaN where `mean` is; None without any
            attention.
        std_by_head: (L, H, M, M) standard deviation over samples of each layer and head.
        n: samples.
        missing: (M,) samples that lack the modality, whether or not a learned token stands in for it.
        n_members: members of the ensemble; the heads of a layer stand member by member.
        broken: (M,) samples in which the row's attention is not a number.
    """

    names: tuple[str, ...]
    mean: np.ndarray | None
    std: np.ndarray | None
    count: np.ndarray
    by_head: np.ndarray | None
    std_by_head: np.ndarray | None = None
    n: int = 0
    missing: np.ndarray | None = None
    n_members: int = 1
    broken: np.ndarray | None = None

    def findings(self) -> list[dict[str, str]]:
        """Return what must be said beside the map: rows that are not numbers, as dicts `id`, `severity`, `text`,
        `remedy`.
        """
        if self.broken is None or not self.broken.any():
            return []
        who = ", ".join(f'"{name}" in {k}' for name, k in zip(self.names, self.broken, strict=True) if k)
        return [
            {
                "id": "not-a-number",
                "severity": "error",
                "text": f"the attention of {who} of {self.n} samples is not a number, and so are its means",
                "remedy": "look for NaN or infinite values in the samples, and in the weights of the model",
            }
        ]


def attention_map(model: Any, X: Any, *, batch_size: int = 256) -> AttentionMap:
    """Stream samples through a model and add up who looked where.

    The model is read as it predicts: dropout is off. Neither the weights of a batch nor the masses of more than one
    batch are ever held.

    Args:
        model: a fitted estimator, a `FusionNetwork`, or a module that has one as `network` and returns `fused`.
        X: samples as the estimator reads them; for a network name -> tensor, a pair `(x, present)`, or a feed as
            `prepared` of an estimator returns it.
        batch_size: samples at a time.

    Returns:
        The map over all samples.

    Raises:
        InputError: the model or the samples cannot be read so, or there is no sample.

    Source: mean and deviation in one pass: Chan, Golub and LeVeque 1979, Updating Formulae.

    Relation: `attention_of` gives single samples; `timeline` the tokens of one edge. Attention is where a model
    looked, not what it used: for that see `shapley`.

    Example:
        >>> from intermodal.nn import FusionNetwork
        >>> network = FusionNetwork("text -> video", {"text": 3, "video": 2}, d_model=8)
        >>> x = {"text": torch.randn(5, 3), "video": torch.randn(5, 4, 2)}
        >>> found = attention_map(network, (x, {"text": torch.tensor([True, True, False, True, True])}))
        >>> found.mean[0].round(6), found.count, found.missing
        (array([0., 1.]), array([4, 0]), array([1, 0]))
    """
    model = opened(model, X, what="attention_map")
    names = tuple(model.network.names)
    lacking = np.zeros(len(names), dtype=int)
    head_by_head, over_heads = Running(), Tally(names)
    for mass, asked, lacks in masses(model, np.arange(len(model.feed)), batch_size):
        lacking += lacks.sum(0).numpy()
        if mass is not None:
            head_by_head.add(mass.numpy(), asked[:, None, None].numpy())
            over_heads.add(mass.mean((1, 2)).numpy(), asked.numpy())
    members = int(getattr(model.network, "n_members", 1))
    seen: dict[str, Any] = {"n": len(model.feed), "missing": lacking, "n_members": members, "broken": over_heads.broken}
    if not over_heads.started:
        return AttentionMap(names, None, None, over_heads.count, None, **seen)
    mean, std, by_head, std_by_head = over_heads.mean, over_heads.std, head_by_head.mean, head_by_head.std
    return AttentionMap(names, mean, std, over_heads.count, by_head, std_by_head, **seen)


def attention_of(model: Any, X: Any, rows: Sequence[int] | np.ndarray, *, batch_size: int = 256) -> np.ndarray:
    """Return the attention of single samples, layer by layer and head by head.

    Args:
        model: as in `attention_map`.
        X: as in `attention_map`.
        rows: positions of the samples.
        batch_size: samples at a time.

    Returns:
        (len(rows), L, H, M, M), NaN in the rows of modalities that ask nobody; L is 0 without any attention.

    Raises:
        InputError: the model or the samples cannot be read so, or a position is none of theirs.

    Relation: its mean over all samples, NaN left out, is `attention_map(...).by_head`.

    Example:
        >>> from intermodal.nn import FusionNetwork
        >>> network = FusionNetwork("self", {"text": 3, "video": 2}, d_model=8)
        >>> attention_of(network, {"text": torch.randn(5, 3), "video": torch.randn(5, 4, 2)}, [4, 0]).shape
        (2, 1, 4, 2, 2)
    """
    model = opened(model, X, what="attention_of")
    picked = np.asarray(rows, dtype=np.int64).reshape(-1)
    outside = picked[(picked < 0) | (picked >= len(model.feed))]
    if len(outside):
        raise InputError(f"rows are positions of the {len(model.feed)} samples, however: {outside[0]}")
    m = len(model.network.names)
    pieces = [np.zeros((0, 0, 0, m, m))]
    for mass, asked, _ in masses(model, picked, batch_size):
        if mass is None:
            return np.zeros((len(picked), 0, 0, m, m))
        pieces.append(mass.masked_fill(~asked[:, None, None, :, None], torch.nan).numpy())
    return np.concatenate(pieces[1:] or pieces)


def modality_mass(fused: Fused, names: tuple[str, ...]) -> tuple[Tensor | None, Tensor]:
    """Average a batch's masses over the asking tokens of each modality.

    Args:
        fused: with `weights` as asked for by `need_weights="mass"`.
        names: (M,) the modalities, in the order of the network.

    Returns:
        Mass (B, L, H, M, M) in float64, or None without attention; and which modality asked, (B, M).
    """
    assert isinstance(fused.weights, list)
    batch = fused.pooled.shape[0]
    layers = [layer for layer in fused.weights if layer]
    if not layers:
        return None, torch.zeros(batch, len(names), dtype=torch.bool)
    widths = {name: tokens.shape[-2] for name, tokens in fused.tokens.items()}
    at = {name: i for i, name in enumerate(names)}
    heads = next(iter(layers[0].values())).shape[1]
    mass = torch.zeros(batch, len(layers), heads, len(names), len(names), dtype=torch.float64)
    edges = torch.zeros(batch, len(names), dtype=torch.float64)  # edges through which a modality asked
    for depth, layer in enumerate(layers):
        for edge, masses in layer.items():
            here = _edge_mass(edge, masses, widths)
            for (asking, asked), share in here.items():
                mass[:, depth, :, at[asking], at[asked]] += share
            if depth == 0:
                for asking in edge.query_names:
                    if asking in widths:
                        edges[:, at[asking]] += _asks(here, asking)
    mass = mass / edges.clamp(min=1)[:, None, None, :, None]
    return mass.masked_fill(mass.isnan().any(-1, keepdim=True), torch.nan), edges > 0


def masses(model: Opened, rows: np.ndarray, batch_size: int) -> Iterator[tuple[Tensor | None, Tensor, Tensor]]:
    """Yield batch by batch the mass (B, L, H, M, M) or None, who asked (B, M), and who is missing (B, M).

    Args:
        model: opened.
        rows: positions of the samples.
        batch_size: samples at a time.
    """
    names = tuple(model.network.names)
    for picked in model.feed.in_order(rows, batch_size):
        x, present = model.feed.batch(picked)
        with as_in_prediction(model.module):
            answer = model.module(x, present, need_weights="mass")
        fused: Fused = getattr(answer, "fused", answer)
        yield *modality_mass(fused, names), absent(x, present, names)


def _edge_mass(edge: Edge, masses: Tensor, widths: dict[str, int]) -> dict[tuple[str, str], Tensor]:
    """(asking, asked) -> (B, H): the share of one edge, averaged over the asking tokens that are there."""
    rows = [(n, w) for n, w in widths.items() if n in edge.query_names]
    columns = [n for n in widths if n in edge.context_names]
    masses = (masses if masses.device.type == "cuda" else masses.cpu()).double()  # some devices know no float64
    shares: dict[tuple[str, str], Tensor] = {}
    for asking, block in zip([n for n, _ in rows], torch.split(masses, [w for _, w in rows], 2), strict=True):
        # A token that is absent, or has nobody to ask, has zeros and does not count; one that is NaN does.
        tokens = (block.sum(-1) != 0).sum(2).clamp(min=1)
        share = (block.sum(2) / tokens.unsqueeze(-1)).cpu()  # (B, H, S)
        shares |= {(asking, asked): part for asked, part in zip(columns, share.unbind(-1), strict=True)}
    return shares


def _asks(shares: dict[tuple[str, str], Tensor], asking: str) -> Tensor:
    """(B,): 1 where the modality looked at anything through this edge."""
    seen = torch.stack([share for (who, _), share in shares.items() if who == asking]).sum(0)
    return (seen != 0).any(1).double()
