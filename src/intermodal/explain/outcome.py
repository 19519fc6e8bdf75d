"""Which number of a prediction is explained: the prediction itself, a log-odds, a margin or a loss.

Shapes: N samples, B of a batch, C subsets, E members, K classes, O outputs.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from intermodal.data.samples import Samples
from intermodal.errors import DataError, InputError, did_you_mean

OUTCOMES = {
    "prediction": "the prediction: every probability, or every number of a regression",
    "logit": "the log-odds of the class that is predicted from everything",
    "margin": "the log-odds of the class that is predicted from everything against the runner-up",
    "loss": "the loss: negative log-likelihood, or squared error; below zero is better",
}
"""`of` -> what it is, in words."""


class Outcome:
    """Read the number that is explained from a model's outputs.

    The probability p of an ensemble is the mean over its members. `logit` is log p - log(1 - p): logits of a network
    are free up to a constant, log-odds are not. `margin` is log p - log p' with p' the class that comes second when
    everything is there; both classes stay the same for every subset, so that all subsets are asked one question. With
    two classes the two are equal.

    Args:
        model: the estimator: a classifier carries `classes_`.
        of: a key of `OUTCOMES`.
        y: (N,) classes, or (N,) or (N, O) numbers; read by `loss` alone.
        n: N.

    Raises:
        InputError: `of` is unknown, or asks of a regression what only a classification has.
        DataError: `loss` without a target that fits.
    """

    def __init__(self, model: Any, of: str, y: Any, n: int) -> None:
        if of not in OUTCOMES:
            raise InputError(f'of is one of {", ".join(OUTCOMES)}, however: of="{of}"{did_you_mean(str(of), OUTCOMES)}')
        self.model = model
        self.of = of
        self.classes = getattr(model, "classes_", None)
        if of in ("logit", "margin") and self.classes is None:
            raise InputError(
                f'of="{of}" asks for a classifier, however: {type(model).__name__} predicts numbers; '
                'of="prediction" explains them'
            )
        self.target = None
        if of == "loss":
            self.target = _numbers(y, n) if self.classes is None else _places(y, n, self.classes)

    def said(self, outputs: Tensor) -> np.ndarray:
        """What the model says: the prediction, or log-probabilities (B, K), in float64."""
        predicted = np.asarray(self.model.to_prediction(outputs), dtype=np.float64)
        if self.of == "prediction" or self.classes is None:
            return predicted
        if outputs.ndim == 3:  # from the raw outputs, where a probability of 1e-400 still has a logarithm
            exact = (outputs.double().log_softmax(-1).logsumexp(1) - np.log(outputs.shape[1])).cpu().numpy()
            if np.allclose(np.exp(exact), predicted, rtol=1e-4, atol=1e-6):
                return np.asarray(exact)
        return np.asarray(np.log(np.maximum(predicted, np.finfo(np.float64).tiny)))

    def scalar(self, said: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """The number that is explained: said (C, B, ...), with everything as the last subset -> (C, B, ...)."""
        if self.of == "prediction":
            return said
        if self.of == "loss":
            return self._loss(said, rows)
        order = np.argsort(-said[-1], axis=-1, kind="stable")  # (B, K)
        at = np.arange(len(rows))
        of_first = said[:, at, order[:, 0]]
        if self.of == "margin":
            return np.asarray(of_first - said[:, at, order[:, 1]])
        rest = np.take_along_axis(said, order[None, :, 1:], -1)
        return np.asarray(of_first - torch.from_numpy(rest).logsumexp(-1).numpy())

    def score(self, said: np.ndarray) -> float:
        """Accuracy, or R2 averaged over the outputs that vary (NaN where none does): said (N, ...), of `loss`."""
        assert self.target is not None
        if self.classes is not None:
            return float((said.argmax(-1) == self.target).mean())
        target, wrong = self.target.reshape(len(said), -1), (said - self.target).reshape(len(said), -1)
        spread = np.square(target - target.mean(0)).sum(0)
        varies = spread > 0
        return float(np.mean(1 - np.square(wrong).sum(0)[varies] / spread[varies])) if varies.any() else float("nan")

    def _loss(self, said: np.ndarray, rows: np.ndarray) -> np.ndarray:
        assert self.target is not None
        target = self.target[rows]
        if self.classes is not None:
            return np.asarray(-said[:, np.arange(len(rows)), target])
        if target.shape != said.shape[1:]:
            raise DataError(
                f"y has the shape of the predictions, {said.shape[2:]} a sample, however: it has {target.shape[1:]}"
            )
        squares = np.square(said - target)
        return np.asarray(squares.mean(-1) if squares.ndim == 3 else squares)


def target_of(X: Any, y: Any) -> Any:
    """Return y, or the target that the samples carry, or None.

    Example:
        >>> target_of(Samples({"a": [[1.0], [2.0]]}, y=[3, 4]), None).tolist()
        [3, 4]
    """
    return X.y if y is None and isinstance(X, Samples) else y


def needed_target(X: Any, y: Any, n: int | None = None) -> np.ndarray:
    """Return the same as an array, and refuse to go without.

    Args:
        X: the samples.
        y: their target, or None.
        n: how many samples there are, where that is known.

    Raises:
        InputError: there is none, or not one for each of n samples.

    Example:
        >>> needed_target({}, [1, 2], 2)
        array([1, 2])
    """
    y = target_of(X, y)
    if y is None:
        raise InputError("the target is needed here, however: y is None and the samples carry none")
    y = np.asarray(y)
    if n is not None and (y.ndim == 0 or len(y) != n):
        raise InputError(f"y holds one target for each sample, however: {y.shape=}, {n} samples")
    return y


def _places(y: Any, n: int, classes: np.ndarray) -> np.ndarray:
    """(N,) the place of each label among the classes."""
    labels = _one_each(y, n).reshape(n, -1)[:, 0]
    place = {label: i for i, label in enumerate(np.asarray(classes).tolist())}
    unknown = sorted({str(label) for label in labels.tolist() if label not in place})
    if unknown:
        raise DataError(f"y holds classes that the model was fitted on, however: {', '.join(unknown[:5])}")
    return np.array([place[label] for label in labels.tolist()], dtype=np.int64)


def _numbers(y: Any, n: int) -> np.ndarray:
    y = _one_each(y, n)
    try:
        numbers: np.ndarray = y.astype(np.float64)
    except (TypeError, ValueError):
        raise DataError("the loss of a regression needs numbers, however: y holds something else") from None
    if not np.isfinite(numbers).all():
        raise DataError("the loss of a regression needs finite numbers, however: y holds NaN or infinity")
    return numbers


def _one_each(y: Any, n: int) -> np.ndarray:
    if y is None:
        raise DataError('of="loss" needs a target, however: y is None and the samples carry none')
    y = np.asarray(y)
    if y.ndim == 0 or len(y) != n:
        raise DataError(f"y holds one target for each sample, however: {y.shape=}, {n} samples")
    return y
