"""What a fit needs before its first step: all that does not depend on the fusion, and a training that is ready to run.

Shapes: N samples, O outputs.
"""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from intermodal.data.samples import Samples
from intermodal.learn.building import strides
from intermodal.learn.compiled import CompiledSteps
from intermodal.learn.feed import Feed, as_tensor
from intermodal.learn.loop import Steps, run
from intermodal.learn.model import FusionModel
from intermodal.learn.plan import Loss, Plan
from intermodal.learn.preprocess import Preprocessor
from intermodal.learn.straight import Straight, fit_straight


@dataclass(frozen=True)
class Ready:
    """Samples scaled, and the straight line through them: what every fusion of one fold starts from.

    Attributes:
        preprocessor: fitted on the rows to learn from.
        strides: name -> neighbouring tokens that `stride="auto"` joins.
        feed: all samples, scaled.
        target: (N,) classes or (N, O) numbers, as a tensor.
        weight: (N,) of each sample.
        start: (N, O) what the line says of each sample that it has not seen.
        line: the straight line.
        learn: rows to learn from.
        held: rows to stop by.
        loss: per sample and member.
    """

    preprocessor: Preprocessor
    strides: Mapping[str, int]
    feed: Feed
    target: Tensor
    weight: Tensor
    start: Tensor
    line: Straight
    learn: np.ndarray
    held: np.ndarray
    loss: Loss

    @classmethod
    def of(
        cls,
        samples: Samples,
        target: np.ndarray,
        weight: np.ndarray,
        *,
        labels: np.ndarray | None,
        groups: np.ndarray | None,
        learn: np.ndarray,
        held: np.ndarray,
        loss: Loss,
        seed: int,
        device: torch.device,
    ) -> Ready:
        """Scale the samples and fit the line; nothing is drawn but the folds of the line, by the seed."""
        preprocessor = Preprocessor.fit(samples[learn], weight[learn])
        scaled = preprocessor.apply(samples)
        line = fit_straight(scaled, target, weight, labels=labels, groups=groups, seed=seed)
        numbers = torch.empty(0, device=device)
        kind = torch.int64 if target.dtype.kind in "iu" else torch.float32
        return cls(
            preprocessor,
            strides(samples),
            Feed(scaled, device=device),
            as_tensor(target, torch.empty(0, dtype=kind, device=device)),
            as_tensor(weight, numbers),
            as_tensor(line.unseen, numbers),
            line,
            learn,
            held,
            loss,
        )


class Shared:
    """Whatever fusions of one fold have in common, made by the first that asks; its warnings are heard by all.

    Example:
        >>> shared = Shared()
        >>> shared.once(lambda: 3), shared.once(lambda: 4)
        (3, 3)
    """

    def __init__(self) -> None:
        self._made: Any = None
        self._said: list[warnings.WarningMessage] = []

    def once(self, make: Callable[[], Any]) -> Any:
        """Make it, or return what was made before."""
        if self._made is None:
            with warnings.catch_warnings(record=True) as self._said:
                warnings.simplefilter("always")
                self._made = make()
        for said in self._said:
            warnings.warn(said.message, said.category, stacklevel=3)
        return self._made


@dataclass
class Begun:
    """A training that can run: it draws from generators of its own, and touches nothing but its model.

    Attributes:
        model: what is trained.
        history: one dict an epoch, once it has run.
    """

    model: FusionModel
    ready: Ready
    steps: Steps
    plan: Plan
    callback: Callable[[dict[str, Any]], None] | None = None
    history: list[dict[str, Any]] = field(default_factory=list)

    @property
    def aside(self) -> bool:
        """True where it may run in a thread of its own: it holds no lock for long, warns of nothing, calls nobody."""
        return isinstance(self.steps, CompiledSteps) and self.callback is None

    def run(self, stop: threading.Event | None = None) -> None:
        """Train; a training that is told to stop ends after its epoch."""
        callback = self.callback

        def told(line: dict[str, Any]) -> None:
            if callback is not None:
                callback(line)
            if stop is not None and stop.is_set():
                raise InterruptedError("training was told to stop")

        ready = self.ready
        self.history = run(self.steps, ready.feed, ready.weight, ready.learn, ready.held, self.plan, told)
