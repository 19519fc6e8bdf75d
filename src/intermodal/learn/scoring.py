"""Named scores: how well predictions fit, in the words people use for them."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn import metrics

from intermodal.errors import InputError, did_you_mean
from intermodal.learn.splitting import Task

_N_BINS = 15
"""Bins of the calibration error, as in Guo et al. 2017."""


@dataclass(frozen=True)
class Predictions:
    """What a model says about test rows.

    Args:
        y: the true target (N,) or (N, outputs).
        predicted: of the same shape.
        probabilities: (N, classes) or None where the model gives none.
        decision: (N,) or None; for two classes, any number that grows with the second.
        classes: (classes,) in the order of `probabilities`.
    """

    y: np.ndarray
    predicted: np.ndarray
    probabilities: np.ndarray | None = None
    decision: np.ndarray | None = None
    classes: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.y)

    def __getitem__(self, index: np.ndarray) -> Predictions:
        p, d = self.probabilities, self.decision
        return Predictions(
            self.y[index],
            self.predicted[index],
            None if p is None else p[index],
            None if d is None else d[index],
            self.classes,
        )


@dataclass(frozen=True)
class Score:
    """A named score.

    Args:
        name: as people write it.
        task: what it scores.
        measure: from predictions to a number; NaN where it is not defined for them.
        rising: True when more is better.
        percent: True when people read it in percent.
        bounds: the least and the greatest value it can take.
    """

    name: str
    task: Task
    measure: Callable[[Predictions], float]
    rising: bool = True
    percent: bool = False
    bounds: tuple[float, float] = (0.0, 1.0)

    def __call__(self, predictions: Predictions) -> float:
        """Score the predictions."""
        return self.measure(predictions)

    @property
    def sign(self) -> int:
        """1 when more is better, -1 when less is."""
        return 1 if self.rising else -1

    def show(self, value: float | None) -> str:
        """Write a value as people read this score.

        Example:
            >>> find("accuracy", "classification").show(0.8125)
            '81.2 %'
        """
        if value is None or not math.isfinite(value):
            return "-"
        return f"{100 * value:.1f} %" if self.percent else f"{value:.3f}"

    def gap(self, value: float | None, *, unit: bool = True) -> str:
        """Write a difference of two values, with its sign.

        Example:
            >>> find("accuracy", "classification").gap(0.021), find("R2", "regression").gap(-0.021)
            ('+2.1 points', '-0.021')
        """
        if value is None or math.isnan(value):
            return "-"
        if math.isinf(value):
            return "anything"
        if not self.percent:
            return f"{value:+.3f}"
        return f"{100 * value:+.1f}{' points' if unit else ''}"


def find(name: str | None, task: Task) -> Score:
    """Return the score of that name; None means accuracy, or R2 for regression.

    Spelling is read kindly: `log_loss`, `Log loss` and `logloss` are one; so are scikit-learn's `f1_macro`, `roc_auc`.

    Args:
        name: the score's name.
        task: what is scored.

    Returns:
        The score.

    Raises:
        InputError: no score of the task has that name.

    Example:
        >>> find("f1_macro", "classification").name
        'macro F1'
    """
    if name is None:
        name = "accuracy" if task == "classification" else "R2"
    known = scores(task)
    if not isinstance(name, str):
        raise InputError(f"scoring is a name, however: {type(name).__name__} came" + did_you_mean("", list(known)))
    plain = _plain(name)
    for score in known.values():
        if plain in (_plain(score.name), *_ALIASES.get(score.name, ())):
            return score
    raise InputError(f'{task} is scored by a known name, however: "{name}"' + did_you_mean(name, list(known)))


def scores(task: Task) -> dict[str, Score]:
    """Return all scores of a task, by name.

    Example:
        >>> list(scores("regression"))
        ['R2', 'RMSE', 'MAE']
        >>> list(scores("classification"))
        ['accuracy', 'balanced accuracy', 'macro F1', 'AUC', 'log loss', 'calibration error']
    """
    return {s.name: s for s in _SCORES if s.task == task}


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def _accuracy(p: Predictions) -> float:
    return float(np.mean(p.y == p.predicted))


def _balanced(p: Predictions) -> float:
    return float(np.mean([np.mean(p.predicted[p.y == c] == c) for c in np.unique(p.y)]))


def _macro_f1(p: Predictions) -> float:
    # By counting: a bootstrap asks for this thousands of times, and the library's checks take most of a call.
    classes, code = np.unique(np.concatenate([p.y, p.predicted]), return_inverse=True)
    true, said = np.split(code, 2)
    hits = np.bincount(true[true == said], minlength=len(classes))
    return float(np.mean(2 * hits / np.bincount(code)))  # 2 tp / (2 tp + fp + fn); every class occurs


def _log_loss(p: Predictions) -> float:
    if p.probabilities is None or p.classes is None:
        return math.nan
    column = {c: i for i, c in enumerate(p.classes.tolist())}
    chosen = [row[column[c]] if c in column else 0.0 for row, c in zip(p.probabilities, p.y.tolist(), strict=True)]
    return float(-np.mean(np.log(np.clip(chosen, np.finfo(np.float32).eps, 1.0))))


def _calibration(p: Predictions) -> float:
    """Mean distance between how sure the top class is and how often it is true, over bins of equal width (ECE).

    Source: Guo et al., "On Calibration of Modern Neural Networks", ICML 2017, equation 3.
    """
    if p.probabilities is None or p.classes is None:
        return math.nan
    sure = p.probabilities.max(axis=1).astype(np.float64)
    right = np.asarray(p.classes)[p.probabilities.argmax(axis=1)] == p.y
    where = np.digitize(sure, np.linspace(0.0, 1.0, _N_BINS + 1)[1:-1], right=True)  # a bin holds its upper edge
    return float(np.abs(np.bincount(where, sure - right)).sum() / len(sure))


def _auc(p: Predictions) -> float:
    if p.classes is None or len(p.classes) != 2 or len(np.unique(p.y)) != 2:
        return math.nan
    ranked = p.decision if p.probabilities is None else p.probabilities[:, 1]
    return math.nan if ranked is None else float(metrics.roc_auc_score(p.y == p.classes[1], ranked))


def _r2(p: Predictions) -> float:
    """R2, the mean over outputs; NaN where the truth does not vary (drawn rows may all be equal)."""
    y, predicted = _columns(p.y), _columns(p.predicted)
    spread = ((y - y.mean(axis=0)) ** 2).sum(axis=0)
    if len(y) < 2 or not (spread > 0).all():
        return math.nan
    return float(np.mean(1 - ((y - predicted) ** 2).sum(axis=0) / spread))


def _rmse(p: Predictions) -> float:
    return float(np.sqrt(np.mean((_columns(p.y) - _columns(p.predicted)) ** 2)))


def _mae(p: Predictions) -> float:
    return float(np.mean(np.abs(_columns(p.y) - _columns(p.predicted))))


def _columns(a: Any) -> np.ndarray:
    a = np.asarray(a, dtype=float)
    return a.reshape(len(a), -1)


_SCORES = (
    Score("accuracy", "classification", _accuracy, percent=True),
    Score("balanced accuracy", "classification", _balanced, percent=True),
    Score("macro F1", "classification", _macro_f1),
    Score("AUC", "classification", _auc),
    Score("log loss", "classification", _log_loss, rising=False, bounds=(0.0, math.inf)),
    Score("calibration error", "classification", _calibration, rising=False),
    Score("R2", "regression", _r2, bounds=(-math.inf, 1.0)),
    Score("RMSE", "regression", _rmse, rising=False, bounds=(0.0, math.inf)),
    Score("MAE", "regression", _mae, rising=False, bounds=(0.0, math.inf)),
)
_ALIASES = {
    "accuracy": ("acc",),
    "macro F1": ("f1macro", "f1"),
    "AUC": ("rocauc",),
    "log loss": ("neglogloss", "crossentropy"),
    "calibration error": ("ece", "expectedcalibrationerror"),
    "RMSE": ("negrootmeansquarederror", "rootmeansquarederror"),
    "MAE": ("negmeanabsoluteerror", "meanabsoluteerror"),
}
