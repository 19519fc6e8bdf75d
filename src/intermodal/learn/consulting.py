"""Fit the experts that stand beside the network, and find what each counts, on training rows alone.

Every expert answers each training row by folds that did not contain it; by these answers its settings and its weight
are chosen.

Shapes: N samples, P columns of all modalities, O outputs.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import scipy.linalg
import torch
from torch import Tensor

from intermodal.learn.columns import Columns, made
from intermodal.learn.experts import Bells, Experts
from intermodal.learn.feed import Feed
from intermodal.learn.kernels import Judge, Machine, Parts, Search, fit_by_marks, fit_exactly
from intermodal.learn.shapes import SHORTEST, Shapes
from intermodal.learn.stacking import loss_of, sharpen, weigh
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
"""Kernel machines, whose answers are averaged: a search is led by chance, three are led apart."""
CUTS = 3
"""Ways to cut the rows into folds, on which a kernel is searched for."""
STRENGTHS = (0.1, 1.0, 10.0, 100.0, 1000.0)
"""Inverse penalties of the logistic lines, the strongest penalty first."""
BRANCHING = 100
"""Columns, at most, that trees are grown on: those that alone say most."""
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
    columns, values = _columns(feed, weight, seed)
    rows = _Rows(values[counts], wanted[counts], None if labels is None else labels[counts], weight[counts], parts)
    machines = _machines(rows, columns, lambda some, seed: cut(counts[some], seed), seed, over)
    sharp = [1.0 if rows.labels is None else sharpen(m.unseen, rows.labels, rows.weight)[0] for m in machines]
    heard = np.array(sharp) / len(machines)
    said = {"kernel": np.tensordot(heard, np.stack([m.unseen for m in machines]), 1)}
    lines: dict[str, _Line] = {}
    for name, at in columns.places().items():
        if rows.labels is not None and not over():
            lines[name] = _line(rows, at)
            said[f"line:{name}"] = lines[name].unseen
    trees = None
    if not over():
        trees, answers = _trees(rows, said, seed, over)
        if trees is not None:
            said["trees"] = answers
    even = [1 / len(said)] * len(said)
    found = weigh(list(said.values()), rows.labels, rows.wanted, rows.weight, first=even)
    shares = dict(zip(said, found.tolist(), strict=True))
    experts = _joined(columns, machines, shares["kernel"] * heard, lines, trees, shares)
    unseen = np.zeros((len(weight), wanted.shape[1]))
    unseen[counts] = np.tensordot(found, np.stack(list(said.values())), 1)
    others = np.flatnonzero(weight <= 0)
    if len(others):
        with torch.no_grad():
            unseen[others] = experts(*feed.batch(others)).double().cpu().numpy()
    return Consulted(experts.to(feed.device), unseen, shares)


@dataclass(frozen=True)
class _Rows:
    """The rows that count: columns and target, and how they are cut."""

    columns: np.ndarray
    wanted: np.ndarray
    labels: np.ndarray | None
    weight: np.ndarray
    parts: Parts

    def rest(self, i: int) -> np.ndarray:
        """All rows but those of a fold."""
        return np.concatenate([rows for j, rows in enumerate(self.parts) if j != i])

    def judge(self, rows: np.ndarray | slice = slice(None)) -> Judge:
        """The loss of answers to these rows, as sure as serves them best."""
        labels, wanted, weight = self.labels, self.wanted[rows], self.weight[rows]
        if labels is None:
            return lambda said: loss_of(said, None, wanted, weight)
        own = labels[rows]
        return lambda said: sharpen(said, own, weight)[1]


def _columns(feed: Feed, weight: np.ndarray, seed: int) -> tuple[Columns, np.ndarray]:
    """The columns fitted on the rows that count, and all rows by them, (N, P) in float64."""
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


def _machines(
    rows: _Rows, columns: Columns, cut: Callable[[np.ndarray, int], Parts], seed: int, over: Callable[[], bool]
) -> list[Machine]:
    """Kernel machines that differ in the rows or folds on which their kernels were searched for, one at least."""
    n, split, machines = len(rows.wanted), columns.places(), []
    every = {block: rows.columns[:, at] for block, at in split.items()}
    marks = np.random.default_rng(seed).permutation(n)
    hurry = False
    for number in range(MACHINES):
        if number and over():
            break
        some, cuts = _searched(rows, cut, seed + number)
        few = {block: rows.columns[some, at] for block, at in split.items()}
        search = Search(few, rows.wanted[some], rows.weight[some], cuts, rows.judge(some), over)
        given = (every, rows.wanted, rows.weight, rows.parts, search.best(), search.measure, rows.judge())
        factors = (1.0,) if n == len(some) else (1.0, 10**-0.5)
        hurry = hurry or over()
        if n <= EXACT and not hurry:
            machines.append(fit_exactly(*given, factors))
        elif hurry and number:  # the others compare with more rows
            break
        else:
            machines.append(fit_by_marks(*given, factors, np.sort(marks[: HURRIED if hurry else MARKS])))
    return machines


def _searched(rows: _Rows, cut: Callable[[np.ndarray, int], Parts], seed: int) -> tuple[np.ndarray, list[Parts]]:
    """Rows to search a kernel on, and ways to cut them into folds.

    These are not the folds by which the machine is weighed later: it was chosen for being right on them.
    """
    n = len(rows.wanted)
    some = np.arange(n) if n <= SEARCHED else np.sort(np.random.default_rng(seed).permutation(n)[:SEARCHED])
    cuts = [parts for parts in (cut(some, CUTS * seed + 1 + i) for i in range(CUTS)) if parts]
    return (some, cuts) if cuts else (np.arange(n), [rows.parts])  # too few of a class among these rows


@dataclass(frozen=True)
class _Line:
    """Logits that are straight lines in the columns of one modality."""

    coef: np.ndarray
    intercept: np.ndarray
    unseen: np.ndarray


def _line(rows: _Rows, at: slice) -> _Line:
    """Logistic regression on one modality: with the others' it makes a late fusion whose weights are learned."""
    say, back = (at.stop - at.start) ** -0.5, None
    scaled = rows.columns[:, at] * say
    if scaled.shape[1] > len(scaled):  # as many directions as rows say the same
        left, size, back = scipy.linalg.svd(scaled, full_matrices=False, check_finite=False)
        scaled = left * size
    tried: list[tuple[float, float, np.ndarray]] = []
    for strength in STRENGTHS:
        said = np.zeros_like(rows.wanted)
        for i, own in enumerate(rows.parts):
            rest = rows.rest(i)
            coef, intercept = _logistic(scaled[rest], rows, rest, strength)
            said[own] = scaled[own] @ coef + intercept
        tried.append((rows.judge()(said), strength, said))
        if len(tried) > 1 and tried[-1][0] > tried[-2][0]:
            break
    _, strength, said = min(tried, key=lambda one: one[0])
    coef, intercept = _logistic(scaled, rows, np.arange(len(scaled)), strength)
    coef = coef if back is None else back.T @ coef
    return _Line(coef * say, intercept, said)


def _logistic(scaled: np.ndarray, rows: _Rows, at: np.ndarray, strength: float) -> tuple[np.ndarray, np.ndarray]:
    """Coefficients (columns, O) and intercepts (O,); a class that none of these rows has is as rare as can be."""
    from sklearn.linear_model import LogisticRegression

    assert rows.labels is not None
    n_classes = rows.wanted.shape[1]
    coef, intercept = np.zeros((scaled.shape[1], n_classes)), np.full(n_classes, np.log(0.1 / len(at)))
    known = np.unique(rows.labels[at])
    if len(known) < 2:
        intercept[known] = 0.0
        return coef, intercept
    model = LogisticRegression(C=strength, max_iter=300, tol=1e-3)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a fit that stops early is judged like any other
        model.fit(scaled, rows.labels[at], sample_weight=rows.weight[at])
    if len(known) == 2:  # one line between two classes
        model.coef_ = np.vstack([-model.coef_, model.coef_]) / 2
        model.intercept_ = np.concatenate([-model.intercept_, model.intercept_]) / 2
    coef[:, known], intercept[known] = model.coef_.T, model.intercept_
    return coef, intercept


def _trees(
    rows: _Rows, said: Mapping[str, np.ndarray], seed: int, over: Callable[[], bool]
) -> tuple[Trees | None, np.ndarray]:
    """Boosted trees, and what they said of each row unseen; None where they add nothing on the first fold.

    They cost the most by far, so they go on only where the first fold is promising.
    """
    n_classes = None if rows.labels is None else rows.wanted.shape[1]
    known = rows.wanted if rows.labels is None else rows.labels

    def grown(at: np.ndarray) -> Trees:
        picked = _telling(rows.columns[at], rows.wanted[at])
        trees = Trees.fit(rows.columns[at][:, picked], known[at], rows.weight[at], n_classes=n_classes, seed=seed)
        return trees.among(picked)

    def asked(trees: Trees, at: np.ndarray) -> np.ndarray:
        with torch.no_grad():
            return trees(torch.from_numpy(rows.columns[at]).float()).double().numpy()

    answers = np.zeros_like(rows.wanted)
    for i, own in enumerate(rows.parts):
        if i and over():
            return None, answers
        answers[own] = asked(grown(rows.rest(i)), own)
        if i == 0 and not _adds(rows, said, answers, own):
            return None, answers
    return grown(np.arange(len(known))), answers


def _adds(rows: _Rows, said: Mapping[str, np.ndarray], answers: np.ndarray, own: np.ndarray) -> bool:
    """True where the answers to a fold lower the loss of the others' by more than a hundredth."""
    labels = None if rows.labels is None else rows.labels[own]
    given = (labels, rows.wanted[own], rows.weight[own])
    others = [s[own] for s in said.values()]
    first = [1 / len(others)] * len(others)
    without = weigh(others, *given, first=first)
    beside = weigh([*others, answers[own]], *given, first=[*without, 0.0], held=10.0)
    before = loss_of(np.tensordot(without, np.stack(others), 1), *given)
    after = loss_of(np.tensordot(beside, np.stack([*others, answers[own]]), 1), *given)
    return after < 0.99 * before


def _telling(columns: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """The columns that alone say most of the target (the greatest R2 over outputs), in their order."""
    if columns.shape[1] <= BRANCHING:
        return np.arange(columns.shape[1])
    x, y = columns - columns.mean(0), wanted - wanted.mean(0)
    size = np.outer(np.sqrt((x**2).sum(0)), np.sqrt((y**2).sum(0)))
    told = ((x.T @ y / np.maximum(size, 1e-12)) ** 2).sum(1)
    return np.sort(np.argsort(-told, kind="stable")[:BRANCHING])


def _joined(
    columns: Columns,
    machines: Sequence[Machine],
    heard: np.ndarray,
    lines: Mapping[str, _Line],
    trees: Trees | None,
    shares: Mapping[str, float],
) -> Experts:
    """All experts as one module, each times what it counts."""
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
