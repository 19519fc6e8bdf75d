"""The estimators: samples in, predictions out, on scikit-learn's contract.

Shapes: N samples, K classes, O outputs.
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.metrics import accuracy_score, r2_score
from sklearn.utils.class_weight import compute_sample_weight
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, column_or_1d, validate_data

from intermodal.data.samples import Samples
from intermodal.errors import AttentionWarning, DataError, InputError
from intermodal.learn import losses
from intermodal.learn.beginning import Begun, Ready, Shared
from intermodal.learn.budget import Budget
from intermodal.learn.building import build, kinds, strides
from intermodal.learn.feed import Feed, as_tensor, to_device
from intermodal.learn.holding import hold_out
from intermodal.learn.loop import steps_for
from intermodal.learn.model import FusionModel
from intermodal.learn.parameters import refuse, wrong_counts, wrong_shares, wrong_sizes
from intermodal.learn.plan import Plan
from intermodal.learn.predicting import numbers_of, outputs_of, refuse_nan, shares_of
from intermodal.learn.preprocess import Preprocessor
from intermodal.learn.threads import one_thread
from intermodal.nn.network import FusionNetwork
from intermodal.spec import Spec

LOOKED_AT = 256
"""Training rows, at most, on which `fit` looks for what is odd about the attention."""


class _FusionEstimator(BaseEstimator):
    """What the classifier and the regressor share: everything but the target."""

    _numeric_target: bool
    model_: FusionModel

    def __init__(
        self,
        fusion: str | Spec = "self",
        *,
        d_model: int = 64,
        n_heads: int = 4,
        n_layers: int = 1,
        n_tokens: int | Mapping[str, int] | Literal["auto"] = "auto",
        encoder: str | Mapping[str, str] = "auto",
        stride: int | Mapping[str, int] | Literal["auto"] = "auto",
        pool: str = "mean",
        n_members: int = 4,
        missing: Literal["mask", "token"] = "mask",
        dropout: float = 0.1,
        modality_dropout: float = 0.3,
        lr: float = 2e-3,
        weight_decay: float = 0.01,
        average: float = 0.98,
        batch_size: int | Literal["auto"] = "auto",
        max_epochs: int = 200,
        patience: int = 20,
        validation: float = 0.15,
        nan: Literal["error", "impute"] = "error",
        device: str = "auto",
        seed: int = 0,
        callback: Callable[[dict[str, Any]], None] | None = None,
        class_weight: Literal["balanced"] | Mapping[Any, float] | None = None,
        experts: bool = True,
        budget_s: float | None = None,
    ) -> None:
        self.fusion = fusion
        self.d_model = d_model
        self.n_heads = n_heads
        self.n_layers = n_layers
        self.n_tokens = n_tokens
        self.encoder = encoder
        self.stride = stride
        self.pool = pool
        self.n_members = n_members
        self.missing = missing
        self.dropout = dropout
        self.modality_dropout = modality_dropout
        self.lr = lr
        self.weight_decay = weight_decay
        self.average = average
        self.batch_size = batch_size
        self.max_epochs = max_epochs
        self.patience = patience
        self.validation = validation
        self.nan = nan
        self.device = device
        self.seed = seed
        self.callback = callback
        self.class_weight = class_weight
        self.experts = experts
        self.budget_s = budget_s

    # --- fitting

    def _fit(self, X: Any, y: Any, sample_weight: Any, groups: Any) -> None:
        begun = self._begin(X, y, sample_weight, groups)
        ready = begun.ready
        with torch.random.fork_rng(devices=[]), one_thread(ready.target.device):
            begun.run()
            self._settle(begun)
            self.findings_ = self._findings(begun.model, ready.feed, ready.learn, self._sure(begun))
        self.model_ = begun.model

    def _begin(
        self, X: Any, y: Any, sample_weight: Any = None, groups: Any = None, *, shared: Shared | None = None
    ) -> Begun:
        """All that comes before the first step; a fit that is broken off leaves no model, neither an old nor half one.

        What does not depend on the fusion is taken from `shared`, where estimators differ in nothing else.
        """
        self._check_numbers()
        left = Budget(self.budget_s)
        device = to_device(self.device)
        samples, y = self._samples_and_target(X, y, fitting=True)
        weight = _check_sample_weight(
            sample_weight, np.empty((len(samples), 1)), dtype=np.float64, ensure_non_negative=True
        )
        groups = samples.groups if groups is None else np.asarray(groups)
        if groups is not None and len(groups) != len(samples):
            raise DataError(f"groups name one group for each sample, however: {len(groups)=}, {len(samples)=}")
        own = _own_rows(samples)
        samples, y, weight = samples[own], np.asarray(y)[own], weight[own]
        groups = None if groups is None else groups[own]
        target, labels, n_outputs, loss = self._encode_target(y)
        weight = self._balanced(weight, labels)
        learn, held = self._hold_out(samples, labels, groups, weight)
        teaches = weight.copy()
        if samples.split is not None:
            teaches[samples.split == "valid"] = 0.0  # rows that the user keeps for judging teach nobody
        for name in ("model_", "findings_"):
            if hasattr(self, name):
                delattr(self, name)
        self.names_ = samples.names
        self.target_ = samples.target
        self.spec_ = Spec.parse(self.fusion, self.names_)
        rows: dict[str, Any] = {"labels": labels, "groups": groups, "learn": learn, "held": held}
        with torch.random.fork_rng(devices=[]), one_thread(device):
            ready = (shared or Shared()).once(
                lambda: Ready.of(
                    samples,
                    target,
                    weight,
                    **rows,
                    loss=loss,
                    seed=self.seed,
                    device=device,
                    teaches=teaches,
                    experts=self.experts,
                    over=left.half_gone,
                )
            )
            self.preprocessor_ = ready.preprocessor
            self.stride_ = ready.strides if self.stride == "auto" else self.stride
            self.encoder_ = ready.kinds if self.encoder == "auto" else self.encoder
            torch.manual_seed(self.seed)
            model = self._build(n_outputs).to(device)
            model.coef.copy_(as_tensor(ready.line.coef, model.coef))
            model.intercept.copy_(as_tensor(ready.line.intercept, model.intercept))
            plan = replace(self._plan(len(learn)), seconds=left.seconds)
            steps = steps_for(model, ready.feed, ready.target, ready.weight, ready.start, loss, plan)
        return Begun(model, ready, steps, plan, self.callback)

    def _end(self, begun: Begun) -> None:
        """Take over what was trained; nobody looks at its attention."""
        self._settle(begun)
        self._sure(begun)
        self.model_ = begun.model

    def _settle(self, begun: Begun) -> None:
        begun.settle()
        self.history_ = begun.history
        held = begun.ready.held
        self.validation_score_ = None
        if begun.answers is not None:
            self.validation_score_ = self._judged(begun.ready.target[held].cpu().numpy(), begun.answers)

    def _judged(self, target: np.ndarray, said: np.ndarray) -> float | None:
        """The score of logits or numbers, in the units of the loss."""
        raise NotImplementedError

    def _sure(self, begun: Begun) -> list[Any]:
        """What the structure alone makes sure of; all of it is warned of, but one key, of which the network warns."""
        from intermodal.explain.linting import lint_network

        sure = lint_network(begun.model.network, begun.ready.feed.samples)
        for f in sure:
            if f.severity != "note" and f.id != "one-key":
                warnings.warn(f"{f.text}; {f.remedy}", AttentionWarning, stacklevel=4)
        return sure

    def _findings(self, model: FusionModel, feed: Feed, rows: np.ndarray, sure: list[Any]) -> list[dict[str, str]]:
        """What is odd about the fusion and about the attention that was learned, seen on some of the rows."""
        from intermodal.explain.diagnosing import examine, never_better, spread
        from intermodal.explain.findings import worst_first

        some = rows[spread(len(rows), LOOKED_AT)]
        seen = examine(
            model,
            feed,
            some,
            drawn=lambda: self._drawn(model.n_outputs),
            untrained=never_better(self.history_),
            most_weights=2**25,
        )
        return [f.to_dict() for f in worst_first(sure, seen)]

    def _build(self, n_outputs: int) -> FusionModel:
        """Build the model for the modalities that were seen."""
        return build(self, self.preprocessor_.scalings, self.spec_, self.stride_, self.encoder_, n_outputs)

    def _plan(self, n: int) -> Plan:
        size = (
            int(np.clip(2 ** int(np.log2(max(1, n / 12))), 16, 256)) if self.batch_size == "auto" else self.batch_size
        )
        return Plan(
            max_epochs=self.max_epochs,
            patience=self.patience,
            batch_size=size,
            lr=self.lr,
            weight_decay=self.weight_decay,
            average=self.average,
            seed=self.seed,
        )

    def _hold_out(
        self, samples: Samples, labels: np.ndarray | None, groups: np.ndarray | None, weight: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Rows to learn from and to stop by: the data's own `valid` part, or a share of the rows that count."""
        counts = np.flatnonzero(weight > 0)
        if samples.split is not None and (samples.split[counts] == "valid").any():
            valid = samples.split[counts] == "valid"
            return counts[~valid], counts[valid]
        learn, held = hold_out(
            len(counts),
            share=self.validation,
            seed=self.seed,
            labels=None if labels is None else labels[counts],
            groups=None if groups is None else groups[counts],
        )
        return counts[learn], counts[held]

    def _balanced(self, weight: np.ndarray, labels: np.ndarray | None) -> np.ndarray:
        """Weights with those of the classes, about 1 on average, so that the learning rate means the same for all."""
        if self.class_weight is not None:
            assert labels is not None
            weight = weight * compute_sample_weight(self.class_weight, self.classes_[labels])
        return weight / weight[weight > 0].mean() if (weight > 0).any() else weight

    def _encode_target(self, y: np.ndarray) -> tuple[np.ndarray, np.ndarray | None, int, Any]:
        """Target for the loss, class numbers to stratify by, number of outputs, loss."""
        raise NotImplementedError

    def _check_numbers(self) -> None:
        """Collect everything that is wrong with the parameters, then say it at once."""
        wrong = wrong_counts(self, ("d_model", "n_heads", "n_members", "max_epochs", "patience"))
        wrong += wrong_shares(self, ("dropout", "modality_dropout", "validation", "average"))
        if self.class_weight is not None and self._numeric_target:
            wrong.append(f"class_weight is for classes, however: a regressor got {self.class_weight!r}")
        if not isinstance(self.experts, bool):
            wrong.append(f"experts is True or False, however: experts={self.experts!r}")
        wrong += [] if self.budget_s is None else wrong_sizes(self, ["budget_s"])
        if self.nan not in ("error", "impute"):
            wrong.append(f'nan is "error" or "impute", however: nan={self.nan!r}')
        refuse(wrong)

    # --- samples

    def _samples_and_target(self, X: Any, y: Any, *, fitting: bool) -> tuple[Samples, Any]:
        if _is_plain(X):
            checks: dict[str, Any] = {"dtype": [np.float64, np.float32], "reset": fitting}
            checks["ensure_all_finite"] = "allow-nan" if self.nan == "impute" else True
            if fitting:
                X, y = validate_data(self, X, y, multi_output=True, y_numeric=self._numeric_target, **checks)
            else:
                X = validate_data(self, X, **checks)
            return Samples({"table": X}, nan=self.nan), y
        samples = Samples.of(X, nan=self.nan)
        refuse_nan(samples, self.nan)
        y = samples.y if y is None else np.asarray(y)
        if fitting and y is None:
            raise DataError("fit needs a target, however: y is None and the samples carry none")
        if y is not None and len(y) != len(samples):
            raise DataError(f"y holds one target for each sample, however: {len(y)=}, {len(samples)=}")
        return samples, y

    def prepared(self, X: Any) -> tuple[FusionModel, Feed]:
        """Return the model and the scaled samples as it reads them, in float64 on a processor.

        In float64 a prediction does not depend on the batch that it is made in.
        """
        check_is_fitted(self, "model_")
        samples, _ = self._samples_and_target(X, None, fitting=False)
        device = next(self.model_.parameters()).device
        dtype = torch.float64 if device.type == "cpu" else torch.float32
        model = copy.deepcopy(self.model_).to(dtype).eval()
        return model, Feed(self.preprocessor_.apply(samples), dtype=dtype, device=device)

    def untrained(self, X: Any) -> tuple[FusionModel, Samples]:
        """Return the model that `fit` would train on these samples, as it is drawn, and the samples scaled.

        Nothing is learned but the scaling, and nothing of this estimator changes.

        Args:
            X: samples, as in `fit`; no target is needed.

        Raises:
            InputError: samples or parameters cannot be used.
        """
        self._check_numbers()
        twin = copy.copy(self)
        samples = Samples.of(X, nan="impute")
        twin.names_ = samples.names
        twin.preprocessor_ = Preprocessor.fit(samples)
        twin.stride_ = strides(samples) if self.stride == "auto" else self.stride
        twin.encoder_ = kinds(samples) if self.encoder == "auto" else self.encoder
        twin.spec_ = Spec.parse(self.fusion, samples.names)
        return twin._drawn(1), twin.preprocessor_.apply(samples)

    def _drawn(self, n_outputs: int) -> FusionModel:
        """The model before its first step, by the seed."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)
            model = self._build(n_outputs).eval()
        model.network._checked_one_key = True  # who asks for this knows: nothing is to be warned of
        return model

    def drawn(self) -> FusionModel:
        """Return the fitted model as it was before its first step."""
        check_is_fitted(self, "model_")
        return self._drawn(self.model_.n_outputs)

    def _outputs(self, X: Any) -> torch.Tensor:
        """Outputs of every member, (N, n_members, O)."""
        return outputs_of(*self.prepared(X))

    # --- what was fitted

    @property
    def network_(self) -> FusionNetwork:
        """The fitted `FusionNetwork`."""
        check_is_fitted(self, "model_")
        return self.model_.network

    @property
    def n_parameters_(self) -> int:
        """Numbers that were learned."""
        check_is_fitted(self, "model_")
        return sum(p.numel() for p in self.model_.parameters())

    def save(self, folder: str | Path, *, overwrite: bool = False) -> Path:
        """Write the fitted model to a folder: `config.json` and `model.safetensors`, no pickle.

        Args:
            folder: where; made whole beside its place and renamed, so that it is never half written.
            overwrite: replace a model that is there.

        Raises:
            InputError: the folder exists and `overwrite` is False.
        """
        from intermodal.learn.saving import save

        check_is_fitted(self, "model_")
        return save(self, Path(folder), overwrite=overwrite)

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "model_")


class FusionClassifier(ClassifierMixin, _FusionEstimator):
    """Fuse modalities by attention and predict a class.

    Args:
        fusion: who asks whom: `self`, `cross`, `none`, or clauses as `text <-> video, audio -> text`.
        d_model: width of the tokens.
        n_heads: heads of every attention.
        n_layers: layers of attention.
        n_tokens: tokens of a modality that is one vector; `auto` gives several, so that asking it is a choice.
        encoder: of a sequence: `linear`, `conv`, `centred`, `gru`, or `auto`: `centred` from a median length of 8
            tokens on, `conv` for what is shorter.
        stride: neighbouring tokens of a sequence that become one; `auto` leaves about 32 of the median length.
        pool: `mean`, `tokens`, `attention` or `concat`.
        n_members: size of the ensemble that shares its weights; the answer is the mean.
        missing: `mask` (a missing modality is never looked at) or `token` (a learned token stands in).
        dropout: probability of dropping a feature in training.
        modality_dropout: probability of hiding a modality from a sample in training.
        lr: peak learning rate.
        weight_decay: of AdamW.
        average: decay of the running mean of the weights.
        batch_size: samples of a step; `auto` goes by their number.
        max_epochs: most passes over the rows.
        patience: epochs without progress on the held-out rows before training stops.
        validation: share of the training rows held out to stop by; whole groups when there are groups. Rows with
            split "valid" are used instead where the samples have them; rows with split "test" are left alone.
        nan: `error`, or `impute`: a NaN cell becomes the training mean.
        device: `auto`, `cpu`, `cuda` ...
        seed: the same seed gives the same model.
        callback: called after each epoch with a line of the history.
        class_weight: None, `balanced`, or a mapping class -> weight.
        experts: let a line for each modality, a kernel machine and boosted trees stand beside the network; each counts
            by what it said of rows that it had not seen. Without them the answer is the network's alone.
        budget_s: seconds that a fit may take, about: experts that are not fitted by half of it are left away, and no
            epoch begins after it. None for as long as it takes; with it, the same seed may give another model.

    Attributes:
        classes_: (K,) the classes in order.
        spec_: the spec with wildcards expanded.
        names_: the modalities.
        history_: one dict an epoch.
        validation_score_: accuracy (R2 of a regressor) on the rows held out, by what was said of them before anybody
            had learned from them; None where there are none. `score` on these rows would flatter: in the end the
            experts learn from them too, unless the samples' own split says "valid".
        findings_: what is odd about the fusion and its attention, seen on some of the training rows: dicts with `id`,
            `severity`, `text` and `remedy`.
        network_: the fitted `FusionNetwork`.
        n_parameters_: numbers learned.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> X = {"text": rng.normal(size=(40, 5)), "video": rng.normal(size=(40, 7, 3))}
        >>> y = np.where(X["text"][:, 0] > 0, "up", "down")
        >>> model = FusionClassifier("text -> video", max_epochs=30).fit(X, y)
        >>> model.predict_proba(X).shape
        (40, 2)
    """

    _numeric_target = False

    def fit(self, X: Any, y: Any = None, *, sample_weight: Any = None, groups: Any = None) -> FusionClassifier:
        """Fit on samples.

        Args:
            X: whatever `Samples.of` takes: a mapping, a DataFrame, samples, a 2-D array.
            y: (N,) classes; taken from the samples when None.
            sample_weight: (N,) weights, not negative.
            groups: (N,) rows of a group are held out together; taken from the samples when None.

        Returns:
            The estimator.

        Raises:
            InputError: samples, target or parameters cannot be used; the message says why.
        """
        self._fit(X, y, sample_weight, groups)
        return self

    def _encode_target(self, y: Any) -> tuple[np.ndarray, np.ndarray | None, int, Any]:
        y = np.asarray(y)
        y = column_or_1d(y, warn=True) if y.ndim == 2 and y.shape[1] == 1 else y
        if y.ndim != 1:
            raise InputError(f"a class is one label for each sample, however: {y.shape=}")
        check_classification_targets(y)
        self.classes_, labels = np.unique(y, return_inverse=True)
        if len(self.classes_) < 2:
            raise InputError(
                f"a classifier learns from at least two classes, however: every label is {self.classes_[0]!r} "
                "(one class)"
            )
        return labels, labels, len(self.classes_), losses.cross_entropy

    def _judged(self, target: np.ndarray, said: np.ndarray) -> float | None:
        return float(accuracy_score(target, said.argmax(1)))

    def to_prediction(self, outputs: torch.Tensor) -> np.ndarray:
        """Turn outputs (N, n_members, K) into probabilities (N, K)."""
        return shares_of(outputs)

    def predict_proba(self, X: Any) -> np.ndarray:
        """Return the probability of each class, (N, K), the mean over the members."""
        return self.to_prediction(self._outputs(X))

    def predict(self, X: Any) -> np.ndarray:
        """Return the most probable class of each sample, (N,)."""
        return self._classes_of(self.predict_proba(X))

    def _classes_of(self, probabilities: np.ndarray) -> np.ndarray:
        return np.asarray(self.classes_[probabilities.argmax(1)])

    def score(self, X: Any, y: Any = None, sample_weight: Any = None) -> float:
        """Return the accuracy; `y` is taken from the samples when None."""
        return float(accuracy_score(_target_of(X, y), self.predict(X), sample_weight=sample_weight))


class FusionRegressor(RegressorMixin, _FusionEstimator):
    """Fuse modalities by attention and predict numbers.

    Args: as `FusionClassifier`; `class_weight` stays None.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> X = {"text": rng.normal(size=(40, 5)), "video": rng.normal(size=(40, 7, 3))}
        >>> model = FusionRegressor("cross", max_epochs=30).fit(X, X["text"][:, :2])
        >>> model.predict(X).shape
        (40, 2)
    """

    _numeric_target = True

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags

    def fit(self, X: Any, y: Any = None, *, sample_weight: Any = None, groups: Any = None) -> FusionRegressor:
        """Fit on samples; `y` is (N,) or (N, O). Other arguments as `FusionClassifier.fit`."""
        self._fit(X, y, sample_weight, groups)
        return self

    def _encode_target(self, y: Any) -> tuple[np.ndarray, np.ndarray | None, int, Any]:
        try:
            y = np.asarray(y, dtype=np.float64)
        except (TypeError, ValueError):
            raise InputError("a regressor predicts numbers, however: y holds something else") from None
        if y.ndim not in (1, 2) or not np.isfinite(y).all():
            raise InputError(f"y is (N,) or (N, outputs) of finite numbers, however: {y.shape=}, or it holds NaN")
        self._one_output = y.ndim == 1
        y = y.reshape(len(y), -1)
        self.y_mean_, spread = y.mean(0), y.std(0)
        self.y_scale_ = np.where(spread > 0, spread, 1.0)
        return (y - self.y_mean_) / self.y_scale_, None, y.shape[1], losses.squared_error

    def _judged(self, target: np.ndarray, said: np.ndarray) -> float | None:
        return float(r2_score(target, said)) if len(target) > 1 else None

    def to_prediction(self, outputs: torch.Tensor) -> np.ndarray:
        """Turn outputs (N, n_members, O) into predictions, (N,) or (N, O)."""
        return numbers_of(outputs, self.y_mean_, self.y_scale_, one_output=self._one_output)

    def predict(self, X: Any) -> np.ndarray:
        """Return the predicted numbers, (N,) or (N, O) as y came."""
        return self.to_prediction(self._outputs(X))

    def score(self, X: Any, y: Any = None, sample_weight: Any = None) -> float:
        """Return R2; `y` is taken from the samples when None."""
        return float(r2_score(_target_of(X, y), self.predict(X), sample_weight=sample_weight))


def _target_of(X: Any, y: Any) -> np.ndarray:
    y = getattr(X, "y", None) if y is None else y
    if y is None:
        raise DataError("score needs a target, however: y is None and the samples carry none")
    return np.asarray(y)


def _own_rows(samples: Samples) -> np.ndarray:
    """The rows to fit on: those that the samples' own split does not keep for the test; all, where it keeps all."""
    if samples.split is None or (samples.split == "test").all():
        return np.arange(len(samples))
    return np.flatnonzero(samples.split != "test")


def _is_plain(X: Any) -> bool:
    """True for what scikit-learn calls X: one 2-D table of numbers, to be checked by its own rules."""
    if hasattr(X, "tocsr"):  # a sparse matrix may also be a mapping; scikit-learn's own check refuses it
        return True
    if isinstance(X, Samples | Mapping) or type(X).__module__.startswith(("pyarrow", "polars")):
        return False
    if hasattr(X, "dtypes") and hasattr(X, "columns"):
        return all(np.issubdtype(t, np.number) for t in X.dtypes if isinstance(t, np.dtype)) and all(
            isinstance(t, np.dtype) and "." not in str(c) for c, t in zip(X.columns, X.dtypes, strict=True)
        )
    return True
