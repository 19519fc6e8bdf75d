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
from intermodal.learn.building import kinds, strides
from intermodal.learn.compiled import CompiledSteps
from intermodal.learn.consulting import Consulted, consult
from intermodal.learn.feed import Feed, as_tensor
from intermodal.learn.loop import Steps, run
from intermodal.learn.losses import mean_of_members, probabilities
from intermodal.learn.model import FusionModel
from intermodal.learn.plan import Loss, Plan
from intermodal.learn.preprocess import Preprocessor
from intermodal.learn.stacking import weigh
from intermodal.learn.straight import Straight, fit_straight

HESITATION = 10.0
"""How many held-out rows the wish is worth to hear the experts alone: a network must earn its share."""
ROWS = 256


@dataclass(frozen=True)
class Ready:
    """Samples scaled, and the straight line through them: what every fusion of one fold starts from.

    Attributes:
        preprocessor: fitted on the rows to learn from.
        strides: name -> neighbouring tokens that `stride="auto"` joins.
        kinds: name -> what reads a sequence under `encoder="auto"`.
        feed: all samples, scaled.
        target: (N,) classes or (N, O) numbers, as a tensor.
        weight: (N,) of each sample.
        start: (N, O) what the line says of each sample that it has not seen.
        line: the straight line.
        learn: rows to learn from.
        held: rows to stop by.
        loss: per sample and member.
        labels: (N,) class numbers, or None.
        consulted: the experts that stand beside the network, or None.
    """

    preprocessor: Preprocessor
    strides: Mapping[str, int]
    kinds: Mapping[str, str]
    feed: Feed
    target: Tensor
    weight: Tensor
    start: Tensor
    line: Straight
    learn: np.ndarray
    held: np.ndarray
    loss: Loss
    labels: np.ndarray | None = None
    consulted: Consulted | None = None

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
        teaches: np.ndarray | None = None,
        experts: bool = True,
        over: Callable[[], bool] = lambda: False,
    ) -> Ready:
        """Scale the samples, fit the line and the experts; nothing is drawn but by the seed.

        The line and the experts learn from rows by `teaches`, and by `weight` where that is None. Without `experts`
        nobody stands beside the network; once time is `over`, no further one is fitted.
        """
        preprocessor = Preprocessor.fit(samples[learn], weight[learn])
        scaled = preprocessor.apply(samples)
        teaches = weight if teaches is None else teaches
        line = fit_straight(scaled, target, teaches, labels=labels, groups=groups, seed=seed)
        numbers = torch.empty(0, device=device)
        kind = torch.int64 if target.dtype.kind in "iu" else torch.float32
        feed = Feed(scaled, device=device)
        known: dict[str, Any] = {"labels": labels, "groups": groups, "seed": seed}
        consulted = consult(feed, target, teaches, **known, over=over) if experts and not over() else None
        return cls(
            preprocessor,
            strides(samples),
            kinds(samples),
            feed,
            as_tensor(target, torch.empty(0, dtype=kind, device=device)),
            as_tensor(weight, numbers),
            as_tensor(line.unseen, numbers),
            line,
            learn,
            held,
            loss,
            labels,
            consulted,
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
        answers: (held rows, O) what the whole model said of the rows held out before it had seen them, once it is
            settled; None where there are none.
    """

    model: FusionModel
    ready: Ready
    steps: Steps
    plan: Plan
    callback: Callable[[dict[str, Any]], None] | None = None
    history: list[dict[str, Any]] = field(default_factory=list)
    answers: np.ndarray | None = None

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

    def settle(self) -> None:
        """Give the network and the experts their shares, by what both said of the rows held out."""
        ready, consulted, rows = self.ready, self.ready.consulted, self.ready.held
        own = self._said(rows) if len(rows) else None
        self.answers = own
        if consulted is None:
            return
        shares = np.array([0.5, 0.5])  # nothing tells who is better
        if own is not None:
            labels = None if ready.labels is None else ready.labels[rows]
            wanted = np.empty(0) if labels is not None else ready.target[rows].double().cpu().numpy()
            weight = ready.weight[rows].double().cpu().numpy()
            others = consulted.unseen[rows]
            shares = weigh([own, others], labels, wanted, weight, first=(0.0, 1.0), held=HESITATION)
            self.answers = shares[0] * own + shares[1] * others
        self.model.experts = consulted.experts
        self.model.shares.copy_(as_tensor(shares, self.model.shares))

    def _said(self, rows: np.ndarray) -> np.ndarray:
        """What the network said of rows that neither it nor its line has seen, (N, O)."""
        ready, said = self.ready, []
        with torch.no_grad():
            for some in ready.feed.in_order(rows, ROWS):
                added = self.model(*ready.feed.batch(some), straight=False).outputs
                outputs = (added + ready.start[torch.from_numpy(some).to(added.device)].unsqueeze(1)).double().cpu()
                said.append(mean_of_members(outputs) if ready.labels is None else probabilities(outputs).log())
        return torch.cat(said).numpy()
