"""One model, fitted on the training rows of one fold and scored on its test rows."""

from __future__ import annotations

import inspect
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from intermodal.data.samples import Samples
from intermodal.errors import InputError
from intermodal.learn.scoring import Predictions, scores
from intermodal.learn.splitting import Task


@dataclass(frozen=True)
class Trial:
    """What came of one model on one fold.

    Args:
        predictions: what it said about the test rows; None when it failed.
        scores: every score of the task by name; NaN where it is not defined.
        seconds: wall-clock time to fit.
        n_parameters: numbers that the model learned, where it tells.
        failure: type and message of the error, None when all went well.
        warnings: what was warned of, each sentence once.
    """

    predictions: Predictions | None
    scores: dict[str, float] = field(default_factory=dict)
    seconds: float = 0.0
    n_parameters: int | None = None
    failure: str | None = None
    warnings: tuple[str, ...] = ()


def run_trial(
    make: Callable[[], Any],
    samples: Samples,
    y: np.ndarray,
    train: np.ndarray,
    test: np.ndarray,
    *,
    task: Task,
    groups: np.ndarray | None = None,
) -> Trial:
    """Fit a fresh model on the training rows alone, then score it on the test rows.

    The model sees the training rows' samples, targets and groups and nothing else; the test rows reach it without
    targets.

    Args:
        make: returns an unfitted model with `fit(X, y)` and `predict(X)`; `groups` is passed on where `fit` takes it.
        samples: all samples.
        y: their target.
        train: row numbers to fit on.
        test: row numbers to score on.
        task: which scores are taken.
        groups: one label per row, or None.

    Returns:
        The trial. An error of the model is recorded there; warnings too.

    Raises:
        InputError: the user's input is at fault; no other fold would go better.

    Example:
        >>> from intermodal.learn.baselines import baseline
        >>> X, y, rows = Samples({"a": np.arange(10.0)[:, None]}), np.arange(10.0), np.arange(10)
        >>> make = lambda: baseline("single:a", "regression", ["a"])
        >>> run_trial(make, X, y, rows[::2], rows[1::2], task="regression").scores["R2"] > 0.9
        True
    """
    start = time.perf_counter()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            model = make()
            takes_groups = groups is not None and "groups" in inspect.signature(model.fit).parameters
            extra = {"groups": groups[train]} if groups is not None and takes_groups else {}
            model.fit(samples[train], y[train], **extra)
            seconds = time.perf_counter() - start
            predictions = _predict(model, samples[test], y[test])
        except InputError:
            raise
        except Exception as error:
            failure = f"{type(error).__name__}: {error}"
            return Trial(None, seconds=time.perf_counter() - start, failure=failure, warnings=_said(caught))
        taken = {name: score(predictions) for name, score in scores(task).items()}
    size = getattr(model, "n_parameters_", None)
    return Trial(predictions, taken, seconds, None if size is None else int(size), None, _said(caught))


def _predict(model: Any, X: Samples, y: np.ndarray) -> Predictions:
    predicted = np.asarray(model.predict(X)).reshape(y.shape)
    if predicted.dtype.kind == "f" and not np.isfinite(predicted).all():
        raise ArithmeticError("predictions are not finite")
    probabilities = np.asarray(model.predict_proba(X)) if hasattr(model, "predict_proba") else None
    decision = None
    if probabilities is None and hasattr(model, "decision_function"):
        decision = np.asarray(model.decision_function(X))
        decision = decision if decision.ndim == 1 else None
    return Predictions(y, predicted, probabilities, decision, getattr(model, "classes_", None))


def _said(caught: list[warnings.WarningMessage]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(f"{w.category.__name__}: {w.message}" for w in caught))
