"""A logistic line through one modality, and what it said of rows that it had not seen.

Shapes: N samples, F columns of the modality, O classes.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
import scipy.linalg

from intermodal.learn.rows import Rows

STRENGTHS = (0.1, 1.0, 10.0, 100.0, 1000.0)
"""Inverse penalties, the strongest penalty first."""


@dataclass(frozen=True)
class Line:
    """Logits that are straight lines in the columns of one modality.

    Attributes:
        coef: (F, O).
        intercept: (O,).
        unseen: (N, O), answers to each row by folds that did not contain it.
    """

    coef: np.ndarray
    intercept: np.ndarray
    unseen: np.ndarray


def fit_line(rows: Rows, at: slice) -> Line:
    """Fit logistic regression on one modality: with the others' it makes a late fusion whose weights are learned.

    Args:
        rows: of a classification.
        at: the columns of the modality.

    Example:
        >>> columns = np.repeat([[-1.0], [1.0]], 5, axis=0)
        >>> labels, parts = np.arange(10) // 5, [np.arange(10)[i::2] for i in (0, 1)]
        >>> rows = Rows(columns, np.eye(2)[labels], labels, np.ones(10), parts)
        >>> fit_line(rows, slice(0, 1)).unseen.argmax(1)
        array([0, 0, 0, 0, 0, 1, 1, 1, 1, 1])
    """
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
    return Line(coef * say, intercept, said)


def _logistic(scaled: np.ndarray, rows: Rows, at: np.ndarray, strength: float) -> tuple[np.ndarray, np.ndarray]:
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
