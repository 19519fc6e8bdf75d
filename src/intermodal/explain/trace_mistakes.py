"""Known mistakes in attention arithmetic: what comes out when each is made, to be compared with what is claimed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from intermodal.explain.trace import Trace

_HEADS = (2, 3, 4, 6, 8, 12, 16, 32)
"""Numbers of heads to try where the input has one: the width of the model is then not known."""


@dataclass(frozen=True, eq=False)
class Mistake:
    """A known mistake, and the numbers that it gives in the shape of the right ones.

    Attributes:
        id: D1 to D7, or D20 and D22 for masks.
        text: what was done, and what is right.
        numbers: what comes out.
        guessed: something about it had to be tried out, so that a plain reading goes first.
    """

    id: str
    text: str
    numbers: np.ndarray
    guessed: bool = False


def mistakes(trace: Trace, stage: str) -> Iterator[Mistake]:
    """Yield what each known mistake would give for a stage of a trace, the likeliest first."""
    made = _Made(trace)
    if stage == "weights":
        yield from made.weights()
    elif stage == "output":
        yield from made.outputs()
    elif stage in ("scaled", "scores"):
        yield from made.scaled(stage)


class _Made:
    """The numbers of a trace with all axes, in floating point."""

    def __init__(self, trace: Trace) -> None:
        asked = trace.asked
        self.width = asked.q.shape[-1]
        self.n_heads = asked.q.shape[-3] if len(asked.q.shape) > 2 else 1
        self.is_scaled = trace.scaling.m > 1 or (
            trace.scaling.name == "scaled" and trace.scaling.symbol.startswith("1/√")
        )
        self.factor = float(trace.scaling.factor) * trace.scaling.m**0.5
        shape = (*asked.q.shape[:-1], asked.k.shape[-2])
        self.scores = trace.scores.reshape(shape)
        self.true = trace.weights.reshape(shape)
        self.keep = np.array(asked.keep.flat, dtype=bool).reshape(shape)
        self.v = None if asked.v is None else np.array([float(x) for x in asked.v.flat]).reshape(asked.v.shape)

    def shares(self, factor: float, *, axis: int = -1, keep: np.ndarray | None = None) -> np.ndarray:
        """Normalise the exponentials of scaled scores along an axis; 0 where there is nothing to look at."""
        keep = self.keep if keep is None else keep
        scaled = np.where(keep, self.scores * factor, -np.inf)
        top = scaled.max(axis, keepdims=True)
        powers = np.exp(scaled - np.where(np.isfinite(top), top, 0.0))
        total = powers.sum(axis, keepdims=True)
        return np.divide(powers, total, out=np.zeros_like(powers), where=total > 0)

    def factors(self) -> Iterator[tuple[str, str, float, bool]]:
        """Wrong factors before the softmax: id, words, factor, whether it is guessed."""
        root, d = self.width**0.5, self.width
        if self.is_scaled:
            yield "D4", f"the scores are not scaled: divide them by √{d} first", 1.0, False
            yield "D4", f"the scores are scaled twice: divided by {d} instead of √{d}", 1 / d, False
            yield "D4", f"the scores are multiplied by √{d}: divide instead", root, False
            for heads in (self.n_heads,) if self.n_heads > 1 else _HEADS:
                words = f"the scores are divided by √{heads * d}, the width of the model with {heads} heads"
                words += f": divide by √{d}, the width of one head; this is flatter by √{heads}"
                yield "D5", words, 1 / (d * heads) ** 0.5, self.n_heads == 1
        else:
            yield "D4", f"the scores are divided by √{d}, and this trace does not scale so", 1 / root, False
            yield "D4", f"the scores are divided by {d}, and this trace does not scale so", 1 / d, False
            if self.factor != 1:
                yield "D4", "the scores are not scaled, and this trace does", 1.0, False

    def weights(self) -> Iterator[Mistake]:
        said = "an exponential is never 0, so only a hidden key has the weight 0 (softmax([1, 0]) is [.7311, .2689])"
        kept = np.where(self.keep, self.scores, 0.0)
        if np.isin(kept, (0.0, 1.0)).all():
            yield Mistake("D1", f"the softmax is not the score itself: {said}", kept)
        tops = np.where(self.keep, self.scores, -np.inf)
        first = (np.arange(tops.shape[-1]) == tops.argmax(-1)[..., None]) & self.keep
        yield Mistake("D1", f"the softmax is not the largest score alone: {said}", first.astype(float))
        sums = kept.sum(-1, keepdims=True)
        if (sums != 0).all():
            yield Mistake("D2", "score / sum of scores is not the softmax: take exponentials first", kept / sums)
        for known, words, factor, guessed in self.factors():
            yield Mistake(known, words, self.shares(factor), guessed)
        yield from self._axes()
        if not self.keep.all():
            everywhere = np.ones_like(self.keep)
            yield Mistake("D22", "the hidden keys are not hidden", self.shares(self.factor, keep=everywhere))
            yield Mistake("D20", "keep is read the wrong way round", self.shares(self.factor, keep=~self.keep))

    def _axes(self) -> Iterator[Mistake]:
        for axis, name in ((-2, "queries"), (-3, "heads"), (-4, "samples of the batch")):
            if self.scores.ndim < -axis or (axis < -2 and self.scores.shape[axis] == 1):
                continue
            words = f"the softmax runs over the {name}: run it over the keys, so that each query's weights sum to 1"
            yield Mistake("D6", words, self.shares(self.factor, axis=axis))
            if self.factor != 1:
                yield Mistake("D6", words + " (and scale the scores)", self.shares(1.0, axis=axis))
        words = "every weight is 1, so the softmax ran over an axis of length 1: run it over the keys"
        yield Mistake("D6", words, np.ones_like(self.scores))

    def outputs(self) -> Iterator[Mistake]:
        assert self.v is not None
        if self.true.shape[-1] == self.true.shape[-2]:
            words = "the weights are applied transposed: output_i is the sum over j of w_ij v_j"
            yield Mistake("D7", words, self.true.swapaxes(-1, -2) @ self.v)
        for mistake in self.weights():
            yield Mistake(mistake.id, mistake.text, mistake.numbers @ self.v, mistake.guessed)

    def scaled(self, stage: str) -> Iterator[Mistake]:
        if stage == "scores":
            yield Mistake("D4", "these scores are scaled already", self.scores * self.factor)
            return
        for known, words, factor, guessed in self.factors():
            yield Mistake(known, words, np.where(self.keep, self.scores * factor, -np.inf), guessed)
