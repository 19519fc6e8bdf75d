"""A kernel machine that weighs modalities: ridge regression in closed form, its kernel chosen on the training rows.

Source: Saunders et al. 1998 (kernel ridge regression); answers to left-out rows by the inverse of a block, as in An et
al. 2007 (fast cross-validation); Williams & Seeger 2001 (landmarks).

Shapes: N rows, F columns of a modality, A rows to compare with, O outputs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np
import scipy.linalg

CONSTANT = 10.0
"""Weight of the constant part of every kernel: the intercept, hardly penalised."""
PENALTIES = (10**-2.5, 10**-1.5, 10**-0.5, 10**0.5)
ROUNDS = 3
FACTORS = (4.0, 0.25, 0.0)
"""What a weight may be multiplied with."""
NEAR = 400
"""Rows that a typical distance is measured on."""

Parts = Sequence[np.ndarray]
"""Rows of each fold."""
Judge = Callable[[np.ndarray], float]
"""The loss of answers (N, O) to all rows."""


@dataclass(frozen=True)
class Kernel:
    """How alike two rows are: a sum of what modalities say one by one and together.

    `sum linear[m] <a_m, b_m> / size[m] + sum bell[m] exp(-width d_m) + joint exp(-width sum part[m] d_m)`, with d_m the
    squared distance of modality m, a typical one being 1. A modality that does not help weighs nothing.

    Attributes:
        linear, bell, part: name -> weight.
        joint: weight of the bell over all modalities together.
        width: how quickly likeness falls with distance.
        penalty: of the ridge.
    """

    linear: Mapping[str, float]
    bell: Mapping[str, float]
    part: Mapping[str, float]
    joint: float = 0.0
    width: float = 1.0
    penalty: float = 1.0

    @property
    def near(self) -> tuple[str, ...]:
        """The modalities whose distances are asked for."""
        return tuple(m for m in self.bell if self.bell[m] > 0 or (self.joint > 0 and self.part[m] > 0))

    def mix(self, dots: Mapping[str, np.ndarray], distances: Mapping[str, np.ndarray]) -> np.ndarray:
        """The kernel (N, A) from products and squared distances of each modality, without its constant."""
        whole = np.zeros(next(iter(dots.values())).shape)
        apart: np.ndarray | None = None
        for m, dot in dots.items():
            if self.linear[m] > 0:
                whole += self.linear[m] * dot
            if self.bell[m] > 0:
                whole += self.bell[m] * np.exp(-self.width * distances[m])
            if self.joint > 0 and self.part[m] > 0:
                own = self.part[m] * distances[m]
                apart = own if apart is None else apart + own
        if apart is not None:
            whole += self.joint * np.exp(-self.width * apart)
        return whole


@dataclass(frozen=True)
class Measure:
    """What makes modalities comparable: the mean squared length of a row, and a typical squared distance of two.

    Example:
        >>> measure = Measure.of({"a": np.array([[1.0], [-1.0]])})
        >>> measure.size, measure.apart
        ({'a': 1.0}, {'a': 4.0})
    """

    size: Mapping[str, float]
    apart: Mapping[str, float]

    @classmethod
    def of(cls, columns: Mapping[str, np.ndarray]) -> Measure:
        """Measure name -> (N, F)."""
        size, apart = {}, {}
        for name, rows in columns.items():
            size[name] = float((rows**2).sum(1).mean()) or 1.0
            some = squared_distances(rows[:NEAR], rows[:NEAR])
            far = some[some > 1e-9]
            apart[name] = float(np.median(far)) if far.size else 1.0
        return cls(size, apart)

    def between(
        self, rows: Mapping[str, np.ndarray], others: Mapping[str, np.ndarray]
    ) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
        """Products and squared distances of each modality, (N, A)."""
        dots = {m: rows[m] @ others[m].T / self.size[m] for m in rows}
        distances = {m: squared_distances(rows[m], others[m]) / self.apart[m] for m in rows}
        return dots, distances


def squared_distances(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Between all rows, (N, A).

    Example:
        >>> squared_distances(np.array([[1.0, 2.0]]), np.array([[1.0, 2.0], [4.0, 6.0]])).tolist()
        [[0.0, 25.0]]
    """
    return np.maximum((a**2).sum(1)[:, None] + (b**2).sum(1) - 2 * a @ b.T, 0.0)


def unseen_answers(
    kernel: np.ndarray, penalty: float, wanted: np.ndarray, weight: np.ndarray, cuts: Sequence[Parts]
) -> tuple[list[np.ndarray], np.ndarray]:
    """Answers of a kernel ridge regression to each fold by the other folds, all from one inverse.

    Args:
        kernel: (N, N), with its constant.
        penalty: of the ridge.
        wanted: (N, O).
        weight: (N,), above zero.
        cuts: several ways to cut the rows into folds.

    Returns:
        For each cut (N, O); and the dual coefficients (N, O) of all rows.

    Example:
        >>> (said,), _ = unseen_answers(np.ones((2, 2)), 1.0, np.array([[2.0], [4.0]]), np.ones(2), [[[0], [1]]])
        >>> said.round(6).tolist()
        [[2.0], [1.0]]
    """
    factor = scipy.linalg.cholesky(kernel + np.diag(penalty / weight), lower=True, overwrite_a=True, check_finite=False)
    inverse, _ = scipy.linalg.lapack.dpotri(factor, lower=1, overwrite_c=1)
    inverse = inverse + inverse.T  # only one triangle was filled
    inverse[np.diag_indices_from(inverse)] /= 2
    dual = inverse @ wanted
    answers = []
    for parts in cuts:
        said = np.empty_like(wanted)
        for rows in parts:
            own = inverse[np.ix_(rows, rows)]
            said[rows] = wanted[rows] - scipy.linalg.solve(own, dual[rows], assume_a="pos", check_finite=False)
        answers.append(said)
    return answers, dual


@dataclass
class Search:
    """The kernel that answers best to rows left out, found one weight after the other.

    A weight moves by a factor of four or to zero, and only where that gains more than chance would: the gain that is
    asked for falls with the number of rows.

    Args:
        columns: name -> (N, F).
        wanted: (N, O).
        weight: (N,), above zero.
        cuts: ways to cut the rows into folds; their losses are averaged.
        judge: the loss of answers to all rows.
        over: called between steps; True ends the search with what was found.
    """

    columns: Mapping[str, np.ndarray]
    wanted: np.ndarray
    weight: np.ndarray
    cuts: Sequence[Parts]
    judge: Judge
    over: Callable[[], bool] = lambda: False
    _known: dict[tuple[float, ...], float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.measure = Measure.of(self.columns)
        self._between = self.measure.between(self.columns, self.columns)
        self._gain = 0.002 + 1.5 / len(self.wanted)

    def best(self) -> Kernel:
        """Search, and return the kernel with its penalty."""
        found, loss = None, np.inf
        for start in self._starts():
            if found is None or not self.over():
                value = self._loss(start)
                if value < loss:
                    found, loss = start, value
        assert found is not None
        for _ in range(ROUNDS):
            before = found
            for change in self._moves():
                moved = change(found)
                if moved is None or self.over():
                    continue
                value = self._loss(moved)
                if value < loss * (1 - self._gain):
                    found, loss = moved, value
            if found is before:
                break
        return found

    def _starts(self) -> list[Kernel]:
        names, share = tuple(self.columns), 1 / len(self.columns)

        def all_are(value: float) -> dict[str, float]:
            return dict.fromkeys(names, value)

        kinds = [(share, 0.0, 0.0), (0.0, share, 0.0), (0.0, 0.0, 1.0), (share / 2, 0.0, 0.5)]
        return [
            Kernel(all_are(linear), all_are(bell), all_are(share), joint, 1.0, penalty)
            for linear, bell, joint in kinds
            for penalty in PENALTIES
        ]

    def _moves(self) -> list[Callable[[Kernel], Kernel | None]]:
        """What may be tried, in order: from a kernel to another, or to None where nothing would change."""
        share = 1 / len(self.columns)
        moves: list[Callable[[Kernel], Kernel | None]] = [
            *(partial(_scaled, what="penalty", factor=f) for f in (10**-0.5, 10**0.5)),
            *(partial(_scaled, what="width", factor=f) for f in (0.5, 2.0)),
        ]
        for kind in ("linear", "bell", "part"):
            for name in self.columns:
                moves += [partial(_changed, kind=kind, name=name, factor=f, first=share) for f in FACTORS]
        return moves + [partial(_changed, kind="joint", name=None, factor=f, first=1.0) for f in FACTORS]

    def _loss(self, kernel: Kernel) -> float:
        key = (*kernel.linear.values(), *kernel.bell.values(), *kernel.part.values())
        key = (*key, kernel.joint, kernel.width, kernel.penalty)
        if key not in self._known:
            whole = kernel.mix(*self._between) + CONSTANT
            said, _ = unseen_answers(whole, kernel.penalty, self.wanted, self.weight, self.cuts)
            self._known[key] = float(np.mean([self.judge(s) for s in said]))
        return self._known[key]


def _scaled(kernel: Kernel, what: str, factor: float) -> Kernel | None:
    if what == "width":
        return replace(kernel, width=kernel.width * factor) if kernel.near else None
    return replace(kernel, penalty=kernel.penalty * factor)


def _changed(kernel: Kernel, kind: str, name: str | None, factor: float, first: float) -> Kernel | None:
    """One weight times a factor; one that was zero comes back as the first."""
    weights: Any = getattr(kernel, kind)
    now: float = weights if name is None else weights[name]
    if (now == 0 and factor != FACTORS[0]) or (kind == "part" and kernel.joint == 0):
        return None
    new = now * factor if now else first
    changed: Any = new if name is None else {**weights, name: new}
    moved = replace(kernel, **{kind: changed})
    return moved if _speaks(moved) else None


def _speaks(kernel: Kernel) -> bool:
    return any(v > 0 for v in (*kernel.linear.values(), *kernel.bell.values())) or (
        kernel.joint > 0 and any(v > 0 for v in kernel.part.values())
    )


@dataclass(frozen=True)
class Machine:
    """A kernel ridge regression, fitted.

    Attributes:
        kernel: what was found.
        measure: of its modalities.
        coef: name -> (F, O): the linear part, written out.
        constant: (O,).
        marks: name -> (A, F): the rows that others are compared with, of the modalities whose distances are asked for.
        dual: (A, O), what each of them says.
        unseen: (N, O), answers to the rows by folds that did not contain them.
    """

    kernel: Kernel
    measure: Measure
    coef: Mapping[str, np.ndarray]
    constant: np.ndarray
    marks: Mapping[str, np.ndarray]
    dual: np.ndarray
    unseen: np.ndarray


def fit_exactly(
    columns: Mapping[str, np.ndarray],
    wanted: np.ndarray,
    weight: np.ndarray,
    parts: Parts,
    found: Kernel,
    measure: Measure,
    judge: Judge,
    penalties: Sequence[float],
) -> Machine:
    """Fit with a kernel that was found, on all rows; time grows with their cube.

    Args:
        columns: name -> (N, F).
        wanted: (N, O).
        weight: (N,), above zero.
        parts: rows of each fold.
        found: by `Search`.
        measure: by `Search`.
        judge: the loss of answers to all rows.
        penalties: factors on the penalty that was found; the best is taken.
    """
    dots, distances = measure.between(columns, columns)
    whole = found.mix(dots, distances) + CONSTANT
    tried = []
    for factor in penalties:
        (said,), dual = unseen_answers(whole, found.penalty * factor, wanted, weight, [parts])
        tried.append((judge(said), factor, said, dual))
    _, factor, said, dual = min(tried, key=lambda one: one[0])
    coef = {m: found.linear[m] / measure.size[m] * rows.T @ dual for m, rows in columns.items()}
    marks = {m: columns[m] for m in found.near}
    kernel = replace(found, penalty=found.penalty * factor)
    return Machine(kernel, measure, coef, CONSTANT * dual.sum(0), marks, dual, said)


def fit_by_marks(
    columns: Mapping[str, np.ndarray],
    wanted: np.ndarray,
    weight: np.ndarray,
    parts: Parts,
    found: Kernel,
    measure: Measure,
    judge: Judge,
    penalties: Sequence[float],
    at: np.ndarray,
) -> Machine:
    """The same with some rows as landmarks: time grows with the rows, once.

    Args: as `fit_exactly`, and

        at: (A,) which rows are the landmarks.
    """
    n, bare = len(wanted), replace(found, linear=dict.fromkeys(found.linear, 0.0))
    used = [m for m in columns if found.linear[m] > 0]
    marks = {m: rows[at] for m, rows in columns.items()}
    turned: np.ndarray | None = None
    if found.near:
        dots, distances = measure.between(marks, marks)
        values, vectors = np.linalg.eigh(bare.mix(dots, distances))
        keep = values > 1e-8 * values[-1]
        turned = vectors[:, keep] / np.sqrt(values[keep])  # likeness to landmarks, times this: a feature map
    pieces = [np.full((n, 1), np.sqrt(CONSTANT))]
    pieces += [columns[m] * np.sqrt(found.linear[m] / measure.size[m]) for m in used]
    if turned is not None:
        bells = np.empty((n, turned.shape[1]))
        for begin in range(0, n, 4096):
            some = slice(begin, begin + 4096)
            bells[some] = bare.mix(*measure.between({m: c[some] for m, c in columns.items()}, marks)) @ turned
        pieces.append(bells)
    features = np.hstack(pieces)
    sums = []
    for rows in parts:
        heavy = features[rows] * weight[rows, None]
        sums.append((heavy.T @ features[rows], heavy.T @ wanted[rows]))

    def solved(without: int | None, penalty: float) -> np.ndarray:
        left = [s for i, s in enumerate(sums) if i != without]
        squares = np.sum([s[0] for s in left], axis=0) + penalty * np.eye(features.shape[1])
        right = np.sum([s[1] for s in left], axis=0)
        return np.asarray(scipy.linalg.solve(squares, right, assume_a="pos", check_finite=False))

    tried = []
    for factor in penalties:
        said = np.empty_like(wanted)
        for i, rows in enumerate(parts):
            said[rows] = features[rows] @ solved(i, found.penalty * factor)
        tried.append((judge(said), factor, said))
    _, factor, said = min(tried, key=lambda one: one[0])
    answer = solved(None, found.penalty * factor)
    coef = {m: np.zeros((columns[m].shape[1], wanted.shape[1])) for m in columns}
    place = 1
    for m in used:
        width = columns[m].shape[1]
        coef[m] = np.sqrt(found.linear[m] / measure.size[m]) * answer[place : place + width]
        place += width
    dual = np.zeros((len(at), wanted.shape[1])) if turned is None else turned @ answer[place:]
    near = {m: marks[m] for m in found.near}
    kernel = replace(found, penalty=found.penalty * factor)
    return Machine(kernel, measure, coef, np.sqrt(CONSTANT) * answer[0], near, dual, said)
