"""Fit the experts that stand beside the network, and find what each counts, on training rows alone.

Every expert answers each training row by folds that did not contain it; by these answers its settings and its weight
are chosen.

Shapes: N samples, P columns of all modalities, O outputs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from intermodal.learn.columns import Columns, made
from intermodal.learn.experts import Bells, Experts
from intermodal.learn.feed import Feed
from intermodal.learn.kernels import Machine, Parts, Search, fit_by_marks, fit_exactly
from intermodal.learn.lines import Line, fit_line
from intermodal.learn.racing import race_trees
from intermodal.learn.rows import Rows
from intermodal.learn.shapes import SHORTEST, Shapes
from intermodal.learn.stacking import sharpen, weigh
from intermodal.learn.straight import inner_folds
from intermodal.learn.trees import Trees

SEARCHED = 800
"""Rows on which the kernel is searched for."""
EXACT = 4096
"""Rows up to which the kernel machine compares with all of them; with more, with some."""
MARKS = 1024
HURRIED = 128
"""Rows that it compares with: usually, and once time is out."""
MACHINES = 3
"""Kernel machines, whose answers are averaged: a search is led by chance, three are led apart. With landmarks, one."""
CUTS = 3
"""Ways to cut the rows into folds, on which a kernel is searched for."""
ROWS = 256


@dataclass(frozen=True)
class Consulted:
    """The experts, and what they said about each training row before they had seen it.

    Attributes:
        experts: weighted and summed.
        unseen: (N, O) logits, or numbers in the units of the target.
        shares: what each counts, by name.
    """

    experts: Experts
    unseen: np.ndarray
    shares: Mapping[str, float]


def consult(
    feed: Feed,
    target: np.ndarray,
    weight: np.ndarray,
    *,
    labels: np.ndarray | None,
    groups: np.ndarray | None,
    seed: int,
    over: Callable[[], bool] = lambda: False,
) -> Consulted | None:
    """Fit the experts.

    Args:
        feed: all samples, scaled.
        target: (N, O) numbers of a regression; not read for a classification.
        weight: (N,); rows of weight 0 are answered, and nothing is learned of them.
        labels: (N,) class numbers, or None.
        groups: (N,) what stays in one fold, or None.
        seed: of folds and of whatever is drawn.
        over: True once time is out: what is not done by then is left away.

    Returns:
        The experts; None where the rows are too few for folds.
    """
    counts = np.flatnonzero(weight > 0)
    wanted = target if labels is None else np.eye(int(labels.max()) + 1)[labels]
    known = wanted if labels is None else labels
    task = "regression" if labels is None else "classification"

    def cut(rows: np.ndarray, seed: int) -> Parts:
        folds = inner_folds(known[rows], None if groups is None else groups[rows], seed, task)  # type: ignore[arg-type]
        return [own for _, own in folds]

    parts = cut(counts, seed)
    if not parts:
        return None
    columns, values = make_columns(feed, weight, seed)
    rows = Rows(values[counts], wanted[counts], None if labels is None else labels[counts], weight[counts], parts)
    machines = fit_machines(rows, columns, lambda some, seed: cut(counts[some], seed), seed, over)
    sharp = [1.0 if rows.labels is None else sharpen(m.unseen, rows.labels, rows.weight)[0] for m in machines]
    heard = np.array(sharp) / len(machines)
    said = {"kernel": np.tensordot(heard, np.stack([m.unseen for m in machines]), 1)}
    lines: dict[str, Line] = {}
    for name, at in columns.places().items():
        if rows.labels is not None and not over():
            lines[name] = fit_line(rows, at)
            said[f"line:{name}"] = lines[name].unseen
    trees = None
    if not over():
        trees, answers = race_trees(rows, said, seed, over)
        if trees is not None:
            said["trees"] = answers
    even = [1 / len(said)] * len(said)
    found = weigh(list(said.values()), rows.labels, rows.wanted, rows.weight, first=even)
    shares = dict(zip(said, found.tolist(), strict=True))
    experts = joined(columns, machines, shares["kernel"] * heard, lines, trees, shares)
    unseen = np.zeros((len(weight), wanted.shape[1]))
    unseen[counts] = np.tensordot(found, np.stack(list(said.values())), 1)
    others = np.flatnonzero(weight <= 0)
    if len(others):
        with torch.no_grad():
            unseen[others] = experts(*feed.batch(others)).double().cpu().numpy()
    return Consulted(experts.to(feed.device), unseen, shares)


def make_columns(feed: Feed, weight: np.ndarray, seed: int) -> tuple[Columns, np.ndarray]:
    """Fit the columns on the rows that count; return them, and all rows by them, (N, P) in float64."""
    names = feed.samples.names
    shapes = {name: _shapes(feed, name, weight, seed + i) for i, name in enumerate(names)}
    pieces: list[list[list[Tensor]]] = [[] for _ in names]
    with torch.no_grad():
        for some in feed.in_order(np.arange(len(feed)), ROWS):
            x, present = feed.batch(some)
            for piece, name in zip(pieces, names, strict=True):
                piece.append(made(x[name], present.get(name), shapes[name]))
        there = {name: torch.from_numpy(np.array(feed.samples.modality(name).present)) for name in names}
        blocks = {n: [torch.cat(b).cpu() for b in zip(*p, strict=True)] for n, p in zip(names, pieces, strict=True)}
        kept = {str(i): s.cpu() for i, s in enumerate(shapes.values()) if s is not None}
        columns = Columns.fit(blocks, there, torch.from_numpy(weight), kept)
        values = columns.scaled(blocks, there)
    return columns, values.double().numpy()


def _shapes(feed: Feed, name: str, weight: np.ndarray, seed: int) -> Shapes | None:
    """The shapes of a modality, fitted on some of the rows that count; None for vectors, and for short sequences."""
    modality = feed.samples.modality(name)
    rows = np.flatnonzero((weight > 0) & np.asarray(modality.present))
    if modality.kind == "vector" or not len(rows) or np.median(modality.lengths[rows]) < SHORTEST:
        return None
    some = np.sort(np.random.default_rng(seed).permutation(rows)[:ROWS])
    x, present = feed.batch(some)
    return Shapes.fit(x[name], present.get(name), seed)


def fit_machines(
    rows: Rows, columns: Columns, cut: Callable[[np.ndarray, int], Parts], seed: int, over: Callable[[], bool]
) -> list[Machine]:
    """Fit kernel machines that differ in the rows or folds on which their kernels were searched for, one at least."""
    n, split, machines = len(rows.wanted), columns.places(), []
    every = {block: rows.columns[:, at] for block, at in split.items()}
    marks = np.random.default_rng(seed).permutation(n)
    for number in range(MACHINES if n <= EXACT else 1):
        if number and over():
            break
        some, cuts = _searched(rows, cut, seed + number)
        few = {block: rows.columns[some, at] for block, at in split.items()}
        search = Search(few, rows.wanted[some], rows.weight[some], cuts, rows.judge(some), over)
        given = (every, rows.wanted, rows.weight, rows.parts, search.best(), search.measure, rows.judge())
        factors = (1.0,) if n == len(some) else (1.0, 10**-0.5)
        hurry = over()
        if n <= EXACT and not hurry:
            machines.append(fit_exactly(*given, factors))
        elif number:  # the others compare with more rows
            break
        else:
            machines.append(fit_by_marks(*given, factors, np.sort(marks[: HURRIED if hurry else MARKS])))
    return machines


def _searched(rows: Rows, cut: Callable[[np.ndarray, int], Parts], seed: int) -> tuple[np.ndarray, list[Parts]]:
    """Rows to search a kernel on, and ways to cut them into folds.

    These are not the folds by which the machine is weighed later: it was chosen for being right on them.
    """
    n = len(rows.wanted)
    some = np.arange(n) if n <= SEARCHED else np.sort(np.random.default_rng(seed).permutation(n)[:SEARCHED])
    cuts = [parts for parts in (cut(some, CUTS * seed + 1 + i) for i in range(CUTS)) if parts]
    return (some, cuts) if cuts else (np.arange(n), [rows.parts])  # too few of a class among these rows


def joined(
    columns: Columns,
    machines: Sequence[Machine],
    heard: np.ndarray,
    lines: Mapping[str, Line],
    trees: Trees | None,
    shares: Mapping[str, float],
) -> Experts:
    """Put all experts together as one module, each times what it counts."""
    places = columns.places()
    coef = sum(h * np.vstack([m.coef[block] for block in places]) for h, m in zip(heard, machines, strict=True))
    intercept = sum(h * m.constant for h, m in zip(heard, machines, strict=True))
    for name, line in lines.items():
        coef[places[name]] += shares[f"line:{name}"] * line.coef
        intercept = intercept + shares[f"line:{name}"] * line.intercept
    bells = Bells.of(machines, places, heard.tolist()) if heard.any() else None
    share = torch.tensor(shares.get("trees", 0.0))
    linear = torch.from_numpy(coef).float(), torch.from_numpy(intercept).float()
    return Experts(columns, linear[0], linear[1], bells, trees if float(share) > 0 else None, share)
