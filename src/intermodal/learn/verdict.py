"""Which row to take, and what may be said about attention: the rules, written down before the numbers.

1. Models are compared on the same folds, with an interval around each difference (`intermodal.learn.paired`).
2. A difference counts only when its interval excludes 0. A gain that is not shown is never called a gain.
3. The verdict speaks of one fusion with attention: the one with the best score on the choosing folds. It is set against
   fusion without attention (`none`) and against the baseline with the best score there.
4. With m fusions that attend the level is `max(0.95, 1 - 0.1 / m)`: the chance that any of them is called better than
   one reference while it is not stays at 5 % (Bonferroni, one side).
5. The row to take is the simplest one within one (corrected, paired) standard error of the best mean score on the
   choosing folds. Simple means, in order: constant, one modality, linear on all, other baselines, no attention, fewer
   edges.
6. Where the data carry a split, choosing folds lie inside its training part and the test rows are scored once. In a
   cross-validation the choosing folds are the reported ones: the score of the row taken is then slightly too good.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from intermodal.learn.paired import difference_error, difference_interval
from intermodal.learn.scoring import Score
from intermodal.learn.splitting import Fold
from intermodal.learn.stats import Interval
from intermodal.learn.trials import Trial


@dataclass(frozen=True)
class Row:
    """One model of a comparison.

    Args:
        name: as the table shows it.
        kind: a baseline or a fusion.
        trials: one per reported fold.
        choosing: one per choosing fold; the same as `trials` in a cross-validation.
        attends: True for a fusion whose spec has an edge.
        simplicity: rows with lower numbers are simpler.
        words: the fusion in words.
    """

    name: str
    kind: Literal["baseline", "fusion"]
    trials: Sequence[Trial]
    choosing: Sequence[Trial]
    attends: bool = False
    simplicity: int = 0
    words: str = ""

    @property
    def failures(self) -> list[str]:
        """The errors of the folds that failed."""
        return [t.failure for t in self.trials if t.failure is not None]

    def mean(self, score: Score) -> float:
        """The mean score on the choosing folds, turned so that more is better; -inf when a fold failed."""
        values = [t.scores.get(score.name, math.nan) for t in self.choosing]
        mean = score.sign * float(np.mean(values)) if values else math.nan
        return mean if math.isfinite(mean) else -math.inf


@dataclass(frozen=True)
class Difference:
    """How much better a fusion is than a reference, on the same folds; above 0 the fusion is better."""

    fusion: str
    against: str
    interval: Interval
    n_folds: int

    @property
    def counts(self) -> bool:
        """True when the interval excludes 0."""
        return self.interval.excludes_zero


@dataclass(frozen=True)
class Setting:
    """What all rows of a comparison share."""

    score: Score
    folds: Sequence[Fold]
    choosing: Sequence[Fold]
    groups: np.ndarray | None = field(default=None, repr=False)


def level(rows: Sequence[Row]) -> float:
    """Return the level of the intervals around differences (rule 4).

    Example:
        >>> level([])
        0.95
    """
    return max(0.95, 1 - 0.1 / max(1, sum(row.attends for row in rows)))


def top(rows: Sequence[Row], score: Score) -> Row | None:
    """Return the row with the best mean score, the simpler of equals; None when none went through all folds."""
    done = [row for row in rows if row.mean(score) > -math.inf]
    return max(done, key=lambda row: (row.mean(score), -row.simplicity), default=None)


def take(rows: Sequence[Row], setting: Setting) -> Row | None:
    """Return the row to take (rule 5)."""
    best = top(rows, setting.score)
    if best is None:
        return None
    tied = []
    for row in rows:
        if row.mean(setting.score) > -math.inf:
            error = difference_error(best.choosing, row.choosing, setting.choosing, setting.score)
            if best.mean(setting.score) - row.mean(setting.score) <= error:
                tied.append(row)
    return min(tied, key=lambda row: (row.simplicity, -row.mean(setting.score)))


def compare_fusions(rows: Sequence[Row], setting: Setting) -> list[Difference]:
    """Return the differences of every fusion to the best baseline, and to `none` where it is there."""
    found = []
    best = top([row for row in rows if row.kind == "baseline"], setting.score)
    none = next((row for row in rows if row.kind == "fusion" and not row.attends), None)
    for row in rows:
        if row.kind == "fusion":
            for reference in (none, best):
                if reference is not None and reference is not row:
                    interval = difference_interval(
                        row.trials, reference.trials, setting.folds, setting.score, setting.groups, level=level(rows)
                    )
                    if interval is not None:
                        ran = sum(
                            not (a.failure or b.failure) for a, b in zip(row.trials, reference.trials, strict=True)
                        )
                        found.append(Difference(row.name, reference.name, interval, ran))
    return found


def say(rows: Sequence[Row], setting: Setting, differences: Sequence[Difference]) -> str:
    """Say in one to three plain sentences whether attention helps (rules 1 to 4) and which row to take."""
    attending = [row for row in rows if row.attends]
    asked = top(attending, setting.score)
    if asked is None:
        reason = "failed in at least one fold" if attending else "was not among the rows"
        first = f"Nothing can be said about attention: fusion with attention {reason}."
    else:
        none = next((row.name for row in rows if row.kind == "fusion" and not row.attends), None)
        own = {d.against: d for d in differences if d.fusion == asked.name}
        to_none = own.pop(none, None) if none is not None else None
        to_base = next(iter(own.values()), None)
        first = _first(asked.name, to_none, to_base, setting.score)
    taken = take(rows, setting)
    sentences = [first, _floor(rows, setting), f'Take "{taken.name}".' if taken else "No row went through all folds."]
    return " ".join(s for s in sentences if s)


def _first(name: str, to_none: Difference | None, to_base: Difference | None, score: Score) -> str:
    none, base = _side(to_none), _side(to_base)
    if none == "better" and base in ("better", None):
        claim = "Attention helps here"
    elif none == "better":
        claim = "Attention helps the network, but it is not shown to beat the best baseline"
    elif none == "worse":
        claim = "Attention does not help here"
    elif base == "better" and none is None:
        claim = "Fusion with attention beats the baselines here"
    elif base == "better":
        claim = "Fusion beats the baselines here, but attention is not shown to be the reason"
    elif base == "worse":
        claim = "Attention does not help here"
    else:
        claim = "Attention is not shown to help here"
    pieces = [_piece(d, score) for d in (to_none, to_base) if d is not None]
    if not pieces:
        return f'{claim}: "{name}" could be compared with nothing.'
    return f'{claim}: "{name}" is {" and ".join(pieces)}.'


def _side(difference: Difference | None) -> str | None:
    if difference is None:
        return None
    if not difference.counts:
        return "open"
    return "better" if difference.interval.mean > 0 else "worse"


def _piece(d: Difference, score: Score) -> str:
    i = d.interval
    amount = f'{score.gap(i.mean)} against "{d.against}" ({100 * i.level:.3g} % interval {score.gap(i.low, unit=False)}'
    return f"{amount} to {score.gap(i.high, unit=False)}{'' if d.counts else ', which includes 0'})"


def _floor(rows: Sequence[Row], setting: Setting) -> str:
    """Say so when no row is shown to be better than the constant."""
    floor = next((row for row in rows if row.name in ("majority", "mean") and row.kind == "baseline"), None)
    if floor is None:
        return ""
    for row in rows:
        if row is not floor:
            shown = difference_interval(row.trials, floor.trials, setting.folds, setting.score, setting.groups)
            if shown is not None and shown.low > 0:
                return ""
    return f'No row is shown to be better than "{floor.name}", which ignores its input.'
