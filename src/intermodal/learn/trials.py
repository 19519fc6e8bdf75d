"""One model, fitted on the training rows of one fold and scored on its test rows."""

from __future__ import annotations

import inspect
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from intermodal.data.samples import Samples
from intermodal.errors import InputError
from intermodal.learn.scoring import Predictions, scores
from intermodal.learn.splitting import Task
from intermodal.learn.threads import one_thread

if TYPE_CHECKING:
    from intermodal.learn.beginning import Begun, Shared


@dataclass(frozen=True)
class Trial:
    """What came of one model on one fold.

    Args:
        predictions: what it said about the test rows; None when it failed.
        scores: every score of the task by name; NaN where it is not defined.
        seconds: wall-clock time to fit, beside other fits where several run at a time.
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
    opened = Opened(make, samples, y, train, test, task=task, groups=groups)
    return opened.close()


class Opened:
    """A trial whose model stands before its first step: `run` trains it, in any thread, and `close` scores it.

    Args: as `run_trial`, and

        shared: what fusions of this fold have in common, for an estimator of this package that nobody has changed: its
            fit begins here. Other models are fitted in `close`, whole.
    """

    def __init__(
        self,
        make: Callable[[], Any],
        samples: Samples,
        y: np.ndarray,
        train: np.ndarray,
        test: np.ndarray,
        *,
        task: Task,
        groups: np.ndarray | None = None,
        shared: Shared | None = None,
    ) -> None:
        self._make, self._task, self._test = make, task, (samples, y, test)
        self._train = (samples, y, train, groups)
        self._seconds = 0.0
        self._said: list[warnings.WarningMessage] = []
        self._failure: str | None = None
        self._broken: Exception | None = None
        self._model: Any = None
        self.begun: Begun | None = None
        if shared is not None:
            with self._watched():
                self._model = make()
                X, target = samples[train], y[train]
                self.begun = self._model._begin(
                    X, target, None, None if groups is None else groups[train], shared=shared
                )

    @property
    def aside(self) -> bool:
        """True where `run` may be called in another thread."""
        return self.begun is not None and self.begun.aside

    def run(self, stop: threading.Event | None = None) -> None:
        """Train what has begun; whatever goes wrong is said by `close`."""
        start = time.perf_counter()
        try:
            if self.begun is not None:
                self.begun.run(stop)
        except Exception as error:
            self._broken = error
        self._seconds += time.perf_counter() - start

    def close(self) -> Trial:
        """Fit what has not begun, and score."""
        predictions = None
        if self._failure is None:
            with self._watched():
                if self._broken is not None:
                    raise self._broken
                if self.begun is None:
                    self._fit()
                else:
                    with one_thread(self.begun.ready.target.device):
                        self._model._end(self.begun)
        seconds = self._seconds
        if self._failure is None:
            with self._watched():
                samples, y, test = self._test
                predictions = _predict(self._model, samples[test], y[test], whole=self.begun is not None)
        said = tuple(dict.fromkeys(f"{w.category.__name__}: {w.message}" for w in self._said))
        if predictions is None:
            return Trial(None, seconds=self._seconds, failure=self._failure, warnings=said)
        taken = {name: score(predictions) for name, score in scores(self._task).items()}
        size = getattr(self._model, "n_parameters_", None)
        return Trial(predictions, taken, seconds, None if size is None else int(size), None, said)

    def _fit(self) -> None:
        samples, y, train, groups = self._train
        self._model = self._make()
        takes_groups = groups is not None and "groups" in inspect.signature(self._model.fit).parameters
        extra = {"groups": groups[train]} if groups is not None and takes_groups else {}
        self._model.fit(samples[train], y[train], **extra)

    @contextmanager
    def _watched(self) -> Iterator[None]:
        """Hear what is warned of, and note an error that is the model's own."""
        start = time.perf_counter()
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            try:
                yield
            except InputError:
                raise
            except Exception as error:
                self._failure = f"{type(error).__name__}: {error}"
        self._said += caught
        self._seconds += time.perf_counter() - start


def _predict(model: Any, X: Samples, y: np.ndarray, *, whole: bool) -> Predictions:
    probabilities = np.asarray(model.predict_proba(X)) if hasattr(model, "predict_proba") else None
    predicted = model._classes_of(probabilities) if whole and probabilities is not None else model.predict(X)
    predicted = np.asarray(predicted).reshape(y.shape)
    if predicted.dtype.kind == "f" and not np.isfinite(predicted).all():
        raise ArithmeticError("predictions are not finite")
    decision = None
    if probabilities is None and hasattr(model, "decision_function"):
        decision = np.asarray(model.decision_function(X))
        decision = decision if decision.ndim == 1 else None
    return Predictions(y, predicted, probabilities, decision, getattr(model, "classes_", None))
