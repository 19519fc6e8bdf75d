"""Honest baselines: what a table of scores must beat before attention has done anything.

Every baseline takes samples, fits its preprocessing on the rows it is given, and makes its inner choices (a penalty,
the best modality) by cross-validation inside those rows.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, clone, is_classifier
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.ensemble import (
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.multioutput import MultiOutputRegressor
from sklearn.svm import SVC, SVR
from sklearn.utils.metaestimators import available_if
from threadpoolctl import threadpool_limits

from intermodal.data.samples import Samples
from intermodal.errors import DataWarning, InputError, did_you_mean
from intermodal.learn.features import Features
from intermodal.learn.splitting import Fold, Task, folds

NAMES = ("majority", "mean", "best single", "concatenation", "late", "svm", "forest", "boosting")
"""The baselines by name; `single:NAME` is one more for each modality."""

_N_INNER = 5
_LOGISTIC_C = (1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0)
_RIDGE_ALPHA = (1e5, 1e4, 1e3, 1e2, 10.0, 1.0, 0.1, 0.01)
_SVM_C = (0.1, 1.0, 10.0, 100.0)
"""What to choose from, the strongest penalty first, so that a tie takes the simpler model."""
_FEW_CELLS = 1_000_000
"""Below this many numbers one thread is faster: small steps on several threads wait for each other."""


def baseline(name: str, task: Task, modalities: Sequence[str], *, seed: int = 0) -> BaseEstimator:
    """Make a baseline by name.

    - `majority` (`mean` in regression): the class frequencies (the mean) of the training rows, whatever the input.
    - `single:NAME`: logistic (ridge) regression on one modality.
    - `best single`: the one of these that scores best inside the training rows.
    - `concatenation`: logistic (ridge) regression on all modalities side by side.
    - `late`: one logistic (ridge) regression per modality; their probabilities (predictions) are averaged.
    - `svm`: support vectors with a Gaussian kernel, `forest`: random forest, `boosting`: gradient boosted trees, each
      on all modalities side by side.

    Args:
        name: one of `NAMES`, or `single:` and a modality.
        task: what is learned.
        modalities: the names that exist.
        seed: where the models and the inner folds start.

    Returns:
        An estimator with `fit(X, y, groups=None)`, `predict` and, where the model has them, `predict_proba` and
        `decision_function`; X are samples.

    Raises:
        InputError: the name is unknown, or the modality is; the message names the nearest one.

    Example:
        >>> X = Samples({"text": np.array([[0.0], [1.0]] * 5), "video": np.zeros((10, 2))})
        >>> model = baseline("best single", "classification", X.names).fit(X, np.array(["no", "yes"] * 5))
        >>> model.chosen_, model.predict(X[:2]).tolist()
        (('text',), ['no', 'yes'])
    """
    modalities = tuple(modalities)
    name = canonical(name, task, modalities)
    if name in ("majority", "mean"):
        return Chosen([()], [DummyClassifier(strategy="prior") if name == "majority" else DummyRegressor()])
    if name.startswith("single:"):
        return Chosen([(name.removeprefix("single:"),)], _linear(task, seed), seed=seed)
    if name == "best single":
        return Chosen([(m,) for m in modalities], _linear(task, seed), seed=seed)
    if name == "late":
        return LateMean({m: Chosen([(m,)], _linear(task, seed), seed=seed) for m in modalities})
    models = {"concatenation": _linear, "svm": _svm, "forest": _forest, "boosting": _boosting}[name]
    return Chosen([modalities], models(task, seed), seed=seed)


def canonical(name: str, task: Task, modalities: Sequence[str]) -> str:
    """Return the name as a table of this task shows it: `majority` in regression is `mean`.

    Raises:
        InputError: the name, or the modality after `single:`, is unknown.

    Example:
        >>> canonical("majority", "regression", ["text"])
        'mean'
    """
    if not isinstance(name, str):
        raise InputError(f"a baseline is a name, however: {type(name).__name__} came")
    if name in ("majority", "mean"):
        return "majority" if task == "classification" else "mean"
    if name.startswith("single:"):
        modality = name.removeprefix("single:")
        if modality not in modalities:
            raise InputError(f'"single:" names a modality, however: "{modality}"' + did_you_mean(modality, modalities))
        return name
    plain = name.replace("_", " ").replace("-", " ")
    if plain not in NAMES:
        raise InputError(
            f'a baseline has a known name, however: "{name}"' + did_you_mean(name, [*NAMES, "single:NAME"])
        )
    return plain


# --- the models, the simplest of a kind first -----------------------------------------------------


def _linear(task: Task, seed: int) -> list[Any]:
    if task == "classification":
        return [LogisticRegression(C=c, max_iter=5000) for c in _LOGISTIC_C]
    return [Ridge(alpha=a) for a in _RIDGE_ALPHA]


def _svm(task: Task, seed: int) -> list[Any]:
    return [(SVC if task == "classification" else SVR)(C=c) for c in _SVM_C]


def _forest(task: Task, seed: int) -> list[Any]:
    forest = RandomForestClassifier if task == "classification" else RandomForestRegressor
    return [forest(n_estimators=300, random_state=seed)]


def _boosting(task: Task, seed: int) -> list[Any]:
    boosting = HistGradientBoostingClassifier if task == "classification" else HistGradientBoostingRegressor
    return [boosting(random_state=seed)]


# --- the estimators -------------------------------------------------------------------------------


def _offers(method: str) -> Callable[[Any], bool]:
    return lambda self: hasattr(self.models[0], method)


class Chosen(BaseEstimator):
    """The best of some models on the best of some sets of modalities, chosen inside the training rows.

    With one set and one model there is nothing to choose and no inner fold is cut. A tie goes to the earlier candidate.

    Args:
        inputs: sets of modality names to choose from; the empty set means that the input is ignored.
        models: unfitted scikit-learn models to choose from.
        seed: where the inner folds start.

    Attributes:
        chosen_: the modalities that were chosen.
        scores_: mean inner score by (modalities, number of the model), when there was a choice.
        n_parameters_: numbers that the chosen model has learned, None where that is not a plain count.

    Example:
        >>> X = Samples({"text": np.array([[0.0], [1.0]] * 5)})
        >>> Chosen([("text",)], [Ridge(0.0)]).fit(X, np.array([2.0, 4.0] * 5)).predict(X[:2]).round(6).tolist()
        [2.0, 4.0]
    """

    def __init__(self, inputs: Sequence[tuple[str, ...]], models: Sequence[Any], *, seed: int = 0) -> None:
        self.inputs = inputs
        self.models = models
        self.seed = seed

    def fit(self, X: Samples, y: Any, groups: Any = None) -> Chosen:
        """Choose among the candidates by inner cross-validation, then fit the chosen one on all rows given."""
        y = _flat(np.asarray(y))
        cells = len(X) * sum(X.modality(name).width for name in self.inputs[0])
        with threadpool_limits(1 if cells < _FEW_CELLS else None):
            return self._fit(X, y, groups)

    def _fit(self, X: Samples, y: np.ndarray, groups: Any) -> Chosen:
        best = (0, 0)
        if len(self.inputs) * len(self.models) > 1:
            self.scores_ = self._inner_scores(X, y, groups)
            middle = (0, len(self.models) // 2)  # where the rows are too few to choose
            best = max(self.scores_, key=lambda candidate: self.scores_[candidate], default=middle)  # first of equals
        self.chosen_ = tuple(self.inputs[best[0]])
        self.features_ = Features(self.chosen_).fit(X)
        self.model_ = _for(y, self.models[best[1]]).fit(self.features_.transform(X), y)
        if is_classifier(self.model_):
            self.classes_ = self.model_.classes_
        self.n_parameters_ = _count(self.model_)
        return self

    def _inner_scores(self, X: Samples, y: np.ndarray, groups: Any) -> dict[tuple[int, int], float]:
        classify = is_classifier(self.models[0])
        scores: dict[tuple[int, int], list[float]] = {}
        for fold in _inner_folds(y, groups, "classification" if classify else "regression", self.seed):
            for i, names in enumerate(self.inputs):
                features = Features(names).fit(X[fold.train])
                train, test = features.transform(X[fold.train]), features.transform(X[fold.test])
                for j, model in enumerate(self.models):
                    predicted = _for(y, model).fit(train, y[fold.train]).predict(test)
                    scores.setdefault((i, j), []).append(_inner_score(y, y[fold.test], predicted, classify))
        return {candidate: float(np.mean(values)) for candidate, values in scores.items()}

    def predict(self, X: Samples) -> np.ndarray:
        """Return labels (N,) or numbers (N,) or (N, outputs)."""
        return self.model_.predict(self.features_.transform(X))

    @available_if(_offers("predict_proba"))
    def predict_proba(self, X: Samples) -> np.ndarray:
        """Return probabilities (N, classes) in the order of `classes_`."""
        return self.model_.predict_proba(self.features_.transform(X))

    @available_if(_offers("decision_function"))
    def decision_function(self, X: Samples) -> np.ndarray:
        """Return the signed distance to the border between the classes."""
        return self.model_.decision_function(self.features_.transform(X))


class LateMean(BaseEstimator):
    """One model per modality; their answers are averaged over the modalities that a sample has.

    A sample without any modality gets the average over all models, each fed its training means.

    Args:
        parts: an unfitted model on samples for each modality.

    Example:
        >>> X = Samples({"a": np.array([[0.0], [1.0]] * 5), "b": np.array([[0.0], [1.0]] * 5)})
        >>> late = LateMean({m: Chosen([(m,)], [Ridge(0.0)]) for m in X.names})
        >>> late.fit(X, np.array([2.0, 4.0] * 5)).predict(X[:2]).round(6).tolist()
        [2.0, 4.0]
    """

    def __init__(self, parts: dict[str, Any]) -> None:
        self.parts = parts

    def fit(self, X: Samples, y: Any, groups: Any = None) -> LateMean:
        """Fit each part on the rows that have its modality (on all rows, when these lack a class)."""
        y = np.asarray(y)
        self.parts_ = {}
        for name, part in self.parts.items():
            rows = np.flatnonzero(X.modality(name).present)
            inner = None if groups is None else np.asarray(groups)[rows]
            if not _enough(y[rows], np.unique(y) if hasattr(part, "predict_proba") else None, inner):
                rows, inner = np.arange(len(X)), groups
            self.parts_[name] = clone(part).fit(X[rows], y[rows], inner)
        first = next(iter(self.parts_.values()))
        if hasattr(first, "classes_"):
            self.classes_ = first.classes_
        counts = [part.n_parameters_ for part in self.parts_.values()]
        self.n_parameters_ = None if None in counts else sum(counts)
        return self

    def predict(self, X: Samples) -> np.ndarray:
        """Return the label of the highest mean probability, or the mean number."""
        if hasattr(self, "classes_"):
            return self.classes_[self.predict_proba(X).argmax(axis=1)]
        return self._mean(X, "predict")

    @available_if(lambda self: hasattr(next(iter(self.parts.values())), "predict_proba"))
    def predict_proba(self, X: Samples) -> np.ndarray:
        """Return the mean probabilities (N, classes)."""
        return self._mean(X, "predict_proba")

    def _mean(self, X: Samples, method: str) -> np.ndarray:
        answers = np.stack([getattr(part, method)(X) for part in self.parts_.values()])
        there = np.stack([_present(X, name) for name in self.parts_]).astype(float)
        there[:, there.sum(axis=0) == 0] = 1.0
        return np.einsum("mn...,mn->n...", answers, there / there.sum(axis=0))


def _inner_folds(y: np.ndarray, groups: Any, task: Task, seed: int) -> list[Fold]:
    """Folds inside the training rows; unstratified and without groups where a class or everything is in one of them."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataWarning)  # fewer inner folds: no news for the caller
        try:
            return folds(y, groups, n_splits=_N_INNER, seed=seed, task=task)
        except InputError:
            cut = folds(y, None, n_splits=_N_INNER, seed=seed, task="regression") if len(y) > 1 else []
            return [f for f in cut if task == "regression" or len(np.unique(y[f.train])) > 1]


def _inner_score(every: np.ndarray, y: np.ndarray, predicted: np.ndarray, classify: bool) -> float:
    """Accuracy, or minus the squared error in units of the target's variance: defined for a single row too."""
    if classify:
        return float(np.mean(predicted == y))
    return -float(np.mean((predicted - y) ** 2 / np.maximum(every.var(axis=0), 1e-300)))


def _present(X: Samples, name: str) -> np.ndarray:
    return np.asarray(X.modality(name).present) if name in X.names else np.zeros(len(X), dtype=bool)


def _enough(y: np.ndarray, classes: np.ndarray | None, groups: np.ndarray | None) -> bool:
    """True when inner folds can be cut: each class (None: everything) is in two rows, in two groups."""
    units = np.arange(len(y)) if groups is None else groups
    parts = [units] if classes is None else [units[y == label] for label in classes]
    return all(len(np.unique(part)) > 1 for part in parts)


def _for(y: np.ndarray, model: Any) -> Any:
    """A fresh copy of the model; one per output where it knows a single output only."""
    many = y.ndim > 1 and isinstance(model, SVR | HistGradientBoostingRegressor)
    return MultiOutputRegressor(clone(model)) if many else clone(model)


def _flat(y: np.ndarray) -> np.ndarray:
    return y[:, 0] if y.ndim == 2 and y.shape[1] == 1 else y


def _count(model: Any) -> int | None:
    for attribute in ("coef_", "class_prior_", "constant_"):
        if hasattr(model, attribute) and not isinstance(model, SVC | SVR):
            return int(np.size(getattr(model, attribute)) + np.size(getattr(model, "intercept_", ())))
    return None
