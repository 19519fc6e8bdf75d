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
from scipy.special import logsumexp

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
    cut = _folds(
        (wanted if labels is None else labels)[counts],
        None if groups is None else groups[counts],
        seed,
        "regression" if labels is None else "classification",
    )
    if not cut:
        return Straight(
            np.zeros((columns.shape[1], n_outputs)), np.zeros(n_outputs), np.zeros((len(columns), n_outputs))
        )
    coefs, intercepts = _ridges(columns[counts], wanted[counts], weight[counts])
    unseen = columns @ coefs + intercepts
    for train, test in ((counts[a], counts[b]) for a, b in cut):
        fold_coefs, fold_intercepts = _ridges(columns[train], wanted[train], weight[train])
        unseen[:, test] = columns[test] @ fold_coefs + fold_intercepts
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


def _ridges(columns: np.ndarray, wanted: np.ndarray, weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Weighted ridge regression for every penalty from one decomposition: coefs (A, P, O), intercepts (A, 1, O)."""
    share = weight / weight.sum()
    x_mean, y_mean = share @ columns, share @ wanted
    root = np.sqrt(weight)[:, None]
    x, y = (columns - x_mean) * root, (wanted - y_mean) * root
    wide = x.shape[1] > x.shape[0]
    values, vectors = scipy.linalg.eigh(x @ x.T if wide else x.T @ x)
    turned = vectors.T @ (y if wide else x.T @ y)
    solved = np.stack([vectors @ (turned / (values[:, None] + penalty)) for penalty in PENALTIES])
    coefs = x.T @ solved if wide else solved
    return coefs, (y_mean - x_mean @ coefs)[:, None]


def _folds(target: np.ndarray, groups: np.ndarray | None, seed: int, task: Task) -> list[tuple[np.ndarray, np.ndarray]]:
    """Five folds, fewer where classes or groups are few, none where there can be none."""
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
    rows = np.arange(len(labels))
    losses = [weight @ (logsumexp(s * scores, axis=1) - s * scores[rows, labels]) for s in SHARPNESS]
    return float(SHARPNESS[int(np.argmin(losses))])
