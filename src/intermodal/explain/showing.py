"""The samples that a report shows one by one: which and why, their attention, their timelines, one query worked out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor

from intermodal.errors import InputError, did_you_mean
from intermodal.explain.attention_maps import AttentionMap, attention_of
from intermodal.explain.by_hand import Worked, worked
from intermodal.explain.choosing import RANDOM, Chosen, chosen_samples
from intermodal.explain.shapley_values import Shapley
from intermodal.explain.timing import Timeline, timeline
from intermodal.nn.network import FusionNetwork
from intermodal.spec import Edge

MOST_TIMELINES = 3
"""Samples whose timelines are shown, for each pair of modalities."""
MOST_PAIRS = 4
"""Pairs of modalities that are shown along time."""
MOST_WORDS, MOST_COLUMNS = 24, 512
"""Rows and columns of a timeline; more rows are left out and said, more columns become bins."""
MOST_KEYS = 16
"""Keys up to which a query of the model is worked out by hand: more are no longer read."""


@dataclass(frozen=True)
class Shown:
    """Some samples, and what can be seen in each.

    Attributes:
        rows: positions of the samples.
        ids: what they are called.
        why: the reason that each was chosen.
        left_out: how many of how many are shown; None where all are.
        mass: (len(rows), L, H, M, M) attention of each, layer by layer and head by head.
        timelines: (query, context) -> the timelines of a few of them.
        worked: one query of one of them, worked out by hand; None where nobody chooses or there is too much to read.
        worked_id: what that sample is called.
        classes: what the outputs of the model are called, where they are classes.
    """

    rows: tuple[int, ...]
    ids: tuple[str, ...]
    why: tuple[str, ...]
    left_out: str | None
    mass: np.ndarray
    timelines: dict[tuple[str, str], list[Any]]
    worked: Worked | None
    worked_id: str
    classes: tuple[str, ...]


@dataclass(frozen=True)
class Line:
    """A timeline, cut down to what a page can show."""

    id: str
    labels: tuple[str, ...]
    times: np.ndarray
    weights: np.ndarray
    unit: str
    how: str


def show(
    model: Any,
    module: Any,
    feed: Any,
    attended: AttentionMap,
    worth: Shapley,
    y: np.ndarray | None,
    *,
    seconds: Mapping[str, Any] | None,
    n: int,
    seed: int,
) -> Shown:
    """Choose samples and look into each.

    Args:
        model: the fitted estimator.
        module: its network with the last step, as `prepared` returns it.
        feed: the samples as it reads them.
        attended: their attention.
        worth: of the same samples; its `full` is what the model says of each.
        y: the target, where it is known.
        seconds: name -> when the tokens of this sequence are.
        n: samples to show.
        seed: of those chosen at random.

    Raises:
        InputError: `seconds` names no sequence of the samples, or n is below 1.
    """
    _check(feed, seconds, n)
    losses = losses_of(worth, y, getattr(model, "classes_", None))
    half = n - n // 2  # half by chance, the rest for a reason
    asked_for = {
        "n_random": half,
        "n_loss": (n - half + 1) // 2 if losses is not None else 0,
        "n_unlike": (n - half) // 2,
    }
    chosen = chosen_samples(module, feed, attended, losses=losses, seed=seed, **asked_for)
    rows = [one.row for one in chosen]
    given = getattr(feed.samples, "ids", None)
    ids = tuple(str(row) if given is None else str(given[row]) for row in rows)
    network = module.network
    known = isinstance(network, FusionNetwork) and attended.mean is not None
    by_hand = _worked(network, feed, rows) if known else None
    return Shown(
        tuple(rows),
        ids,
        tuple(one.why for one in chosen),
        _left_out(chosen, len(feed), seed),
        attention_of(module, feed, rows),
        _timelines(module, feed, rows, ids, seconds or {}) if known else {},
        None if by_hand is None else by_hand[1],
        "" if by_hand is None else ids[rows.index(by_hand[0])],
        tuple(str(c) for c in getattr(model, "classes_", ())) if worth.of == "prediction" else (),
    )


def losses_of(worth: Shapley, y: np.ndarray | None, classes: np.ndarray | None) -> np.ndarray | None:
    """How wrong the model is about each sample, (N,); None where the target is not known.

    Negative log-likelihood of a class, squared error of a number.

    Example:
        >>> full = np.array([[0.9, 0.1], [0.5, 0.5]])
        >>> said = Shapley(("a",), full[:, None], full, 0 * full, np.zeros((2, 1, 1, 2)), 2)
        >>> losses_of(said, np.array(["no", "yes"]), np.array(["no", "yes"])).round(3)
        array([0.105, 0.693])
    """
    if worth.of == "loss":
        return worth.full.reshape(len(worth.full), -1).sum(1)
    if worth.of != "prediction" or y is None or len(y) != len(worth.full):
        return None
    if classes is None:
        difference = np.asarray(y, dtype=np.float64).reshape(len(y), -1) - worth.full.reshape(len(y), -1)
        return np.asarray((difference**2).sum(1))
    place = {label: i for i, label in enumerate(classes.tolist())}
    if not all(label in place for label in y.tolist()):
        return None
    said = worth.full[np.arange(len(y)), [place[label] for label in y.tolist()]]
    return np.asarray(-np.log(np.maximum(said, np.finfo(np.float64).tiny)))


def _left_out(chosen: tuple[Chosen, ...], n: int, seed: int) -> str | None:
    """Say how many of how many are shown, and by which reasons."""
    if len(chosen) == n:
        return None
    counts: dict[str, int] = {}
    for one in chosen:
        for reason in one.reasons:
            counts[reason] = counts.get(reason, 0) + 1
    told = ", ".join(f"{k} {why}" + (f" (seed {seed})" if why == RANDOM else "") for why, k in counts.items())
    several = "; some for several reasons" if sum(counts.values()) > len(chosen) else ""
    return f"Showing {len(chosen)} of {n:,} samples: {told}{several}."


def _check(feed: Any, seconds: Mapping[str, Any] | None, n: int) -> None:
    if n < 1:
        raise InputError(f"n_shown is a number of samples, 1 or more, however: n_shown={n}")
    sequences = getattr(feed, "sequences", [])
    for name in seconds or {}:
        if name not in sequences:
            problem = f'seconds are given for a sequence of the samples, however: "{name}"'
            raise InputError(problem + did_you_mean(name, sequences))


def _timelines(
    module: Any, feed: Any, rows: list[int], ids: tuple[str, ...], seconds: Mapping[str, Any]
) -> dict[tuple[str, str], list[Any]]:
    """The first samples that have both sides, for the pairs whose context is a sequence."""
    network: FusionNetwork = module.network
    pairs = [
        (query, context)
        for edge in network.spec.edges
        for query in edge.query_names
        for context in edge.context_names
        if context in feed.sequences and query != context and network.layers
    ]
    pairs = sorted(dict.fromkeys(pairs), key=lambda pair: pair[1] not in seconds)[:MOST_PAIRS]
    found: dict[tuple[str, str], list[Any]] = {}
    for query, context in pairs:
        lines: list[Any] = []
        for row, called in zip(rows, ids, strict=True):
            if all(_has(feed.samples, name, row) for name in (query, context)):
                line = timeline(
                    module,
                    feed,
                    query=query,
                    context=context,
                    sample=int(row),
                    seconds=seconds.get(context),
                    bins=MOST_COLUMNS,
                )
                if len(line.times) > 1:  # one place in time is no choice
                    lines.append(_cut(line, called))
            if len(lines) == MOST_TIMELINES:
                break
        if lines:
            found[query, context] = lines
    return found


def _has(samples: Any, name: str, row: int) -> bool:
    return name in samples.names and bool(samples.modality(name).present[row])


def _cut(line: Timeline, called: str) -> Line:
    words = [i for i in range(len(line.weights)) if line.weights[i].any()]
    how = line.how
    if len(words) > MOST_WORDS:
        how += f"; the first {MOST_WORDS} of {len(words)} {line.query} tokens"
        words = words[:MOST_WORDS]
    labels = tuple(line.labels[i] for i in words)
    weights, share = line.weights[words], line.share[words]
    if (share < 1 - 1e-6).any():  # others are asked too; beside an even share of this context, only its own part reads
        how += f", as shares of what went to {line.context}"
        weights = weights / share[:, None]
    return Line(called, labels, line.times, weights, line.unit, how)


def _worked(network: FusionNetwork, feed: Any, rows: list[int]) -> tuple[int, Worked] | None:
    """The sample and the query that are quickest to read: the fewest keys of which one could be chosen."""
    if next(network.parameters()).device.type != "cpu":
        return None
    shortest: tuple[int, int, Edge] | None = None
    for row in rows:
        x, present = feed.batch(np.array([row]))
        with torch.no_grad():
            seen = cast(list[dict[Edge, Tensor]], network(x, present, need_weights="layers").weights)
        for edge, weights in (seen[-1] if seen else {}).items():
            keys = weights.shape[-1]
            chooses = bool((weights > 0).sum(-1).amax() > 1)
            if chooses and keys <= MOST_KEYS and (shortest is None or keys < shortest[0]):
                shortest = keys, row, edge
    if shortest is None:
        return None
    x, present = feed.batch(np.array([shortest[1]]))
    return shortest[1], worked(network, x, present, edge=shortest[2])
