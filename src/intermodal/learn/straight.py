"""The straight line that a fusion starts from: ridge regression on all modalities, solved in closed form.

The network learns what this line leaves over. So that it sees honest leftovers, the line's answers to the training
rows come from folds that did not contain them.

Shapes: N samples, P columns of all modalities, O outputs.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
import scipy.linalg

from intermodal.data.samples import Modality, Samples
from intermodal.errors import DataWarning, InputError
from intermodal.learn.splitting import Task, folds

PENALTIES = (1.0, 10.0, 100.0, 1000.0, 10000.0)
SHARPNESS = np.geomspace(0.1, 300.0, 60)
"""Factors tried to turn the scores of a least-squares classifier into logits."""


@dataclass(frozen=True)
class Straight:
    """A linear model, and what it said about each training row before it had seen it.

    Attributes:
        coef: (P, O).
        intercept: (O,).
        unseen: (N, O) answers to the training rows, each from a fit without its fold.
    """

    coef: np.ndarray
    intercept: np.ndarray
    unseen: np.ndarray


def fit_straight(
    samples: Samples,
    target: np.ndarray,
    weight: np.ndarray,
    *,
    labels: np.ndarray | None,
    groups: np.ndarray | None,
    seed: int,
) -> Straight:
    """Fit the line; penalty and sharpness are chosen on the folds.

    Args:
        samples: scaled.
        target: (N, O) numbers of a regression; not read for a classification.
        weight: (N,); a row of weight 0 is as if it were not there, but for its own answer.
        labels: (N,) class numbers of a classification, or None.
        groups: (N,) what stays in one fold, or None.
        seed: of the folds.

    Returns:
        The line; all zeros where the rows are too few for folds.

    Example:
        >>> a = np.arange(-12.0, 12.0)[:, None] / 7
        >>> line = fit_straight(Samples({"a": a}), 3 * a, np.ones(24), labels=None, groups=None, seed=0)
        >>> line.coef.round(1)
        array([[2.9]])
    """
    columns = flat(samples)
    wanted = target if labels is None else np.eye(int(labels.max()) + 1)[labels]
    n_outputs = wanted.shape[1]
    counts = np.flatnonzero(weight > 0)
    cut = inner_folds(
        (wanted if labels is None else labels)[counts],
        None if groups is None else groups[counts],
        seed,
        "regression" if labels is None else "classification",
    )
    if not cut:
        return Straight(
            np.zeros((columns.shape[1], n_outputs)), np.zeros(n_outputs), np.zeros((len(columns), n_outputs))
        )
    place = np.empty(len(columns), dtype=np.int64)
    place[counts] = np.arange(len(counts))
    parts = [place[counts[test]] for _, test in cut]
    ridge = (_Wide if columns.shape[1] > len(counts) else _Tall)(columns[counts], wanted[counts], weight[counts], parts)
    coefs, intercepts = ridge.without(None)
    unseen = columns @ coefs + intercepts
    for i, part in enumerate(parts):
        fold_coefs, fold_intercepts = ridge.without(i)
        unseen[:, counts[part]] = columns[counts[part]] @ fold_coefs + fold_intercepts
    errors = [float((weight @ (wanted - said) ** 2).sum()) for said in unseen]
    chosen = int(np.argmin(errors))
    sharp = 1.0 if labels is None else _sharpness(unseen[chosen], labels, weight)
    return Straight(sharp * coefs[chosen], sharp * intercepts[chosen, 0], sharp * unseen[chosen])


def flat(samples: Samples) -> np.ndarray:
    """All modalities side by side (N, P), a sequence as the mean of its tokens; zeros where something is missing.

    Example:
        >>> flat(Samples({"a": [[1.0], None], "b": [[[2.0], [4.0]], [[5.0]]]}))
        array([[1., 3.],
               [0., 5.]])
    """
    return np.hstack([_means(samples.modality(name)) for name in samples.names])


def _means(modality: Modality) -> np.ndarray:
    values = np.asarray(modality.values, dtype=np.float64)
    if modality.offsets is None:
        return values
    there = np.ones(len(values)) if modality.token_present is None else modality.token_present.astype(np.float64)
    owner = np.repeat(np.arange(len(modality)), np.diff(modality.offsets))
    total = np.zeros((len(modality), modality.width))
    np.add.at(total, owner, values * there[:, None])
    return total / np.maximum(1.0, np.bincount(owner, there, minlength=len(modality)))[:, None]


Lines = tuple[np.ndarray, np.ndarray]
"""Coefficients (A, P, O) and intercepts (A, 1, O), for every penalty."""


class _Tall:
    """Weighted ridge regression without one part of the rows, from sums that each part adds once."""

    def __init__(self, columns: np.ndarray, wanted: np.ndarray, weight: np.ndarray, parts: list[np.ndarray]) -> None:
        self.sums = []
        for rows in parts:
            root = np.sqrt(weight[rows])[:, None]
            x, y = columns[rows] * root, wanted[rows] * root
            means = weight[rows] @ columns[rows], weight[rows] @ wanted[rows]
            self.sums.append((x.T @ x, x.T @ y, *means, weight[rows].sum()))

    def without(self, part: int | None) -> Lines:
        # What a part adds is left out, not taken away again: its own rows must not show in the last digit either.
        left = [sums for i, sums in enumerate(self.sums) if i != part]
        xx, xy, x_sum, y_sum, total = (sum(kind[1:], kind[0]) for kind in zip(*left, strict=True))
        x_mean, y_mean = x_sum / total, y_sum / total
        xx = xx - np.outer(x_sum, x_mean)
        xy = xy - np.outer(x_sum, y_mean)
        coefs = np.stack([_solved(xx, penalty, xy) for penalty in PENALTIES])
        return _through(x_mean, y_mean, coefs)


class _Wide:
    """The same where columns outnumber rows, from the products of rows with rows."""

    def __init__(self, columns: np.ndarray, wanted: np.ndarray, weight: np.ndarray, parts: list[np.ndarray]) -> None:
        self.columns, self.wanted, self.weight, self.parts = columns, wanted, weight, parts
        self.products = columns @ columns.T

    def without(self, part: int | None) -> Lines:
        rows = np.concatenate([rows for i, rows in enumerate(self.parts) if i != part])
        share = self.weight[rows] / self.weight[rows].sum()
        root = np.sqrt(self.weight[rows])[:, None]
        inner = self.products[np.ix_(rows, rows)]
        to_mean = inner @ share
        inner = (inner - to_mean[:, None] - to_mean + share @ to_mean) * (root * root.T)
        x_mean, y_mean = share @ self.columns[rows], share @ self.wanted[rows]
        x, y = (self.columns[rows] - x_mean) * root, (self.wanted[rows] - y_mean) * root
        coefs = x.T @ np.stack([_solved(inner, penalty, y) for penalty in PENALTIES])
        return _through(x_mean, y_mean, coefs)


def _through(x_mean: np.ndarray, y_mean: np.ndarray, coefs: np.ndarray) -> Lines:
    """The lines of these slopes that go through the mean."""
    return coefs, (y_mean - x_mean @ coefs)[:, None]


def _solved(matrix: np.ndarray, penalty: float, right: np.ndarray) -> np.ndarray:
    """Solve (matrix + penalty) z = right for a symmetric matrix without negative eigenvalues."""
    whole = matrix + penalty * np.eye(len(matrix))
    factor = scipy.linalg.cho_factor(whole, lower=True, overwrite_a=True, check_finite=False)
    return np.asarray(scipy.linalg.cho_solve(factor, right, check_finite=False))


def inner_folds(
    target: np.ndarray, groups: np.ndarray | None, seed: int, task: Task
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Cut training rows into five folds, fewer where classes or groups are few, none where there can be none.

    Returns:
        For each fold the rows of all others, and its own.

    Example:
        >>> len(inner_folds(np.arange(12) % 2, None, 0, "classification"))
        5
    """
    if len(target) < 10:
        return []
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DataWarning)
            return [(f.train, f.test) for f in folds(target, groups, n_splits=5, seed=seed, task=task)]
    except InputError:
        return []


def _sharpness(scores: np.ndarray, labels: np.ndarray, weight: np.ndarray) -> float:
    """The factor under which the scores, as logits, lose least."""
    below = scores - scores.max(1, keepdims=True)
    own = below[np.arange(len(labels)), labels]
    losses = [weight @ (np.log(np.exp(s * below).sum(1)) - s * own) for s in SHARPNESS]
    return float(SHARPNESS[int(np.argmin(losses))])
