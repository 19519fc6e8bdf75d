"""Attention weighted by its gradient: what of it mattered for one output.

Shapes: L layers, S tokens of all modalities, M modalities, H heads, Q and K tokens of an edge, B samples, P passes
(members x B), O outputs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from intermodal.errors import InputError
from intermodal.explain.joint import OverTokens, Places, by_modality, read_layers, rows_of
from intermodal.explain.provenance import Provenance
from intermodal.explain.rolling import provenance_of
from intermodal.explain.running import Run, runs
from intermodal.explain.tallying import Tally
from intermodal.explain.tapping import by_edge
from intermodal.nn.fused import Fused
from intermodal.spec import Edge

Chosen = int | Callable[[Fused], Tensor] | None


@dataclass(frozen=True)
class Relevance(OverTokens):
    """How much every input token mattered to every token at the end, for one output.

    Attributes:
        tokens: modality -> how many tokens it has; rows and columns lie in this order.
        weights: (S, S), never negative; a row is a token at the end, a column one at the start. It starts as the
            identity, and each layer adds to it.
        modality: (M, M), averaged over the tokens of a row, summed over those of a column.
        conservation: the largest distance of a row's sum from 1. Relevance is not conserved: only its proportions
            within a row mean anything.
        provenance: what was read.
    """

    tokens: dict[str, int]
    weights: np.ndarray
    modality: np.ndarray
    conservation: float
    provenance: Provenance


def relevance(layers: Any, gradients: Any, *, tokens: Mapping[str, int] | None = None) -> Relevance:
    """Follow attention times gradient through the layers, where that is positive, averaged over heads.

    An edge that looks at its own modality too adds what it saw, as in a single sequence. An edge to others brings
    what they know of themselves and of third ones: the paper's rules for two modalities, for any number of them. All
    edges of a layer read what was known before it.

    Args:
        layers: the weights, as in `rollout`.
        gradients: of one output by those weights, in the same form.
        tokens: modality -> how many tokens it has, in their order; needed where a side joins modalities.

    Raises:
        InputError: layers or gradients cannot be read, or do not fit each other.

    Source: Chefer, Gur and Wolf 2021, Generic Attention-model Explainability for Interpreting Bi-Modal and
    Encoder-Decoder Transformers, rules 5 to 11. There a first layer between two modalities divides 0 by 0; here what
    nobody knows yet adds nothing.

    Relation: `rollout` needs no gradient, and belongs to no output; `relevance_of` does this for a fitted model.

    Example:
        >>> found = relevance([{"text -> video": [[.2, .8]]}], [{"text -> video": [[1.5, -1.]]}])
        >>> found.weights.round(2).tolist(), round(found.conservation, 2)
        ([[1.0, 0.3, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]], 0.3)
    """
    graph = read_layers(layers, tokens)
    slopes = read_layers(gradients, graph.tokens, weights=False)
    shapes = [[{e: tuple(w.shape) for e, w in layer.items()} for layer in side.layers] for side in (graph, slopes)]
    if shapes[0] != shapes[1]:
        raise InputError(
            "gradients are those of the weights, edge by edge and head by head, however: the weights are "
            f"{shapes[0]}, the gradients {shapes[1]}"
        )
    positive = [
        {e: (w * slope[e]).clamp(min=0).mean(0) for e, w in layer.items()}
        for layer, slope in zip(graph.layers, slopes.layers, strict=True)
    ]
    matrix = _related(positive, graph.places, torch.eye(sum(graph.tokens.values()), dtype=torch.float64))
    distance = float((matrix.sum(-1) - 1).abs().max())
    modality = by_modality(matrix, graph.places).numpy()
    return Relevance(graph.tokens, matrix.numpy(), modality, distance, provenance_of(graph))


def _related(layers: list[dict[Edge, Tensor]], places: Places, known: Tensor) -> Tensor:
    """Let every layer, edge -> (..., Q, K), add to what is known (..., S, S)."""
    for layer in layers:
        added = torch.zeros_like(known)
        for edge, seen in layer.items():
            _add(added, known, edge, seen, places)
        known = known + added
    return known


def _add(added: Tensor, known: Tensor, edge: Edge, seen: Tensor, places: Places) -> None:
    """What one edge adds, for each modality that asks."""
    context = rows_of(edge.context_names, places)
    third = torch.ones(known.shape[-1], dtype=torch.bool)
    third[context] = False
    others = third.nonzero()[:, 0]
    at = 0
    for name, place in places.items():
        if not {name, "*"} & set(edge.query_names):
            continue
        rows = torch.arange(place.start, place.stop)
        looks, at = seen[..., at : at + len(rows), :], at + len(rows)
        if {name, "*"} & set(edge.context_names):
            added[..., rows, :] += looks @ known[..., context, :]
            continue
        own, theirs = (_normalised(known[..., i[:, None], i]) for i in (rows, context))
        added[..., rows[:, None], context] += own.mT @ looks @ theirs
        added[..., rows[:, None], others] += looks @ known[..., context[:, None], others]


def _normalised(block: Tensor) -> Tensor:
    """What tokens know beyond themselves, with rows that sum to 1, beside themselves.

    Where nothing is known yet the row is zero, and stays so:   0 / 0   ->   0
    """
    itself = torch.eye(block.shape[-1], dtype=block.dtype)
    beyond = block - itself
    sums = beyond.sum(-1, keepdim=True)
    return beyond / torch.where(sums > 0, sums, 1.0) + itself


# --- of a model -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class RelevanceMap:
    """How much each modality mattered to each, for one output, over many samples.

    Attributes:
        names: (M,) the modalities.
        mean: (M, M) over samples, NaN in the rows of a modality that no sample has. A row is not conserved: see
            `conservation`.
        std: (M, M) standard deviation over samples.
        count: (M,) samples in which a modality is there.
        share: (N, M) of every sample, how much of what attention brought came from each modality; a row sums to 1,
            and is NaN where attention brought nothing. What a modality keeps of itself, and what the pool takes of it
            past all attention, is not in it.
        conservation: the largest distance of a token's row from summing to 1.
        output: what was explained, in words.
        provenance: what was read.
        samples: (N, M, M) of every sample; None unless asked for.
    """

    names: tuple[str, ...]
    mean: np.ndarray
    std: np.ndarray
    count: np.ndarray
    share: np.ndarray
    conservation: float
    output: str
    provenance: Provenance
    samples: np.ndarray | None = None


def relevance_of(
    model: Any, X: Any, *, output: Chosen = None, batch_size: int = 64, keep_samples: bool = False
) -> RelevanceMap:
    """Follow attention times gradient through a model of this package, modality by modality, over many samples.

    The gradient is that of one output by the weights that were used. Members of an ensemble are followed each by
    itself, for its own output, and averaged after. A network pools its tokens, and has no token that stands for the
    answer: the shares therefore add up what attention brought to all modalities.

    Args:
        model: a fitted estimator, or a module that is or holds a `FusionNetwork`.
        X: samples for an estimator; `x` or `(x, present)` as tensors for a module.
        output: the number of an output: of a class, its logit less the mean logit; the predicted class of each sample
            by default. A module without a head takes a function from its `Fused` to (B,).
        batch_size: samples at a time; only sums and shares are kept.
        keep_samples: also return every sample's own map.

    Returns:
        The mean and standard deviation over samples, and every sample's shares.

    Raises:
        InputError: the model holds no `FusionNetwork`, there is no sample, or no output is chosen among several.

    Source: as `relevance`.

    Relation: a gradient says what a small change would do, and attention what was looked at; what a modality was worth
    says `shapley`.

    Example:
        >>> from intermodal.nn.network import FusionNetwork
        >>> network = FusionNetwork("text <-> video", {"text": 7, "video": 11}, d_model=8).eval()
        >>> x = {"text": torch.randn(2, 3, 7), "video": torch.randn(2, 5, 11)}
        >>> found = relevance_of(network, x, output=lambda fused: fused.pooled[:, 0])
        >>> found.mean.shape, found.share.shape
        ((2, 2), (2, 2))
    """
    tally: Tally | None = None
    shares, distance = [], 0.0
    for run in runs(model, X, batch_size, what="relevance_of", gradients=True):
        tally = Tally(run.names, keep_samples) if tally is None else tally
        with torch.inference_mode(False), torch.enable_grad():
            score, said = _score(model, run, output)
            positive = _positive(run, score)
        brought, far = _brought(run, positive)
        tally.add((brought + torch.diag_embed(run.has.double())).numpy(), run.has.numpy())
        shares.append(brought.sum(1))
        distance, last = float(np.maximum(distance, far)), run  # unlike max, it keeps a NaN
    assert tally is not None
    share = torch.cat(shares)
    total = share.sum(-1, keepdim=True)
    return RelevanceMap(
        names=tally.names,
        mean=tally.mean,
        std=tally.std,
        count=tally.count,
        share=torch.where(total > 0, share / total, torch.nan).numpy(),
        conservation=distance,
        output=said,
        provenance=_with_line(last),
        samples=tally.samples,
    )


def _with_line(run: Run) -> Provenance:
    """Where it comes from, and what of the model it cannot see."""
    line, notes = getattr(run.module, "coef", None), run.provenance.notes
    if line is not None and bool(line.any()):
        notes += ("the straight line beside the network takes part in the output, and no attention in the line",)
    if getattr(run.module, "experts", None) is not None:
        notes += ("the output is that of the network and its line, without the experts beside them",)
    return replace(run.provenance, notes=notes)


def _score(model: Any, run: Run, output: Chosen) -> tuple[Tensor, str]:
    """What is explained, one number a pass, and what it is in words."""
    if callable(output):
        return output(run.fused), "a function of the fused vector"
    if run.outputs is None:
        raise InputError("a network without a head takes output=, a function from Fused to (B,), however: none came")
    n = run.outputs.shape[-1]
    classes = getattr(model, "classes_", None)
    if output is not None and not 0 <= output < n:
        raise InputError(f"output is the number of one of {n} outputs, from 0, however: {output=}")
    if classes is not None:
        chosen = torch.from_numpy(np.asarray(model.to_prediction(run.outputs.detach())).argmax(-1))
        said = "the logit of the predicted class, less the mean logit"
        if output is not None:
            chosen, said = torch.full_like(chosen, output), f"the logit of class {classes[output]}, less the mean logit"
        # Logits are free up to a constant: what moves all of them alike moves no probability.
        centred = run.outputs - run.outputs.mean(-1, keepdim=True)
        at = chosen.to(centred.device)[:, None, None].expand(-1, centred.shape[1], 1)
        return centred.gather(-1, at)[..., 0], said
    if output is None and n > 1:
        raise InputError(f"output= chooses one of several outputs, however: there are {n}, and none is chosen")
    return run.outputs[..., output or 0], f"output {output or 0}"


def _positive(run: Run, score: Tensor) -> list[dict[Edge, Tensor]]:
    """Weights times gradient where positive, heads averaged: for each layer edge -> (P, Q, K)."""
    used = [(depth, i, w) for depth, groups in enumerate(run.used) for i, w in groups.items()]
    products: list[dict[int, Tensor]] = [{} for _ in run.used]
    if used:
        slopes = torch.autograd.grad(score.sum(), [w for *_, w in used], allow_unused=True)
        for (depth, i, w), slope in zip(used, slopes, strict=True):
            product = torch.zeros_like(w) if slope is None else w * slope
            products[depth][i] = product.detach().clamp(min=0).mean(1, keepdim=True).double().cpu()
    layers: list[Any] = list(run.network.layers)
    cut = [by_edge(layer, groups, run.places) for layer, groups in zip(layers, products, strict=True)]
    return [{e: w[:, 0] for e, w in layer.items()} for layer in cut]


def _brought(run: Run, positive: list[dict[Edge, Tensor]]) -> tuple[Tensor, float]:
    """What attention brought beyond what is there, (B, M, M), members averaged; and the largest sum of a row of it."""
    n, s = run.there.shape
    parts, distance = [], 0.0
    itself = torch.eye(s, dtype=torch.float64)
    step = max(1, (1 << 23) // max(1, s * s))  # (samples, S, S) in double precision: 64 MiB at a time
    for i in range(0, n, step):
        there = run.there[i : i + step]
        layers = [{e: w[i : i + step] for e, w in layer.items()} for layer in positive]
        beyond = _related(layers, run.places, itself.expand(len(there), s, s)) - itself
        parts.append(by_modality(beyond, run.places, there))
        distance = float(np.maximum(distance, float(beyond.sum(-1).masked_fill(~there, 0.0).max())))
    return run.over_members(run.in_order(torch.cat(parts))), distance
