"""One line a data set: ours beside the best of the plain models, the best single modality and what is published."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import datasets
import numpy as np
from accuracy_kept import ROOT, Kept

from intermodal.learn.paired import difference_error, difference_interval
from intermodal.learn.scoring import Score, find
from intermodal.learn.splitting import Fold
from intermodal.learn.stats import Interval
from intermodal.learn.trials import Trial

FOUND = ROOT / "benchmarks" / "results" / "find"
ELSEWHERE = ("wikipedia", "charades_sta")
"""Sets of retrieval and of moments: `find_retrieval.py` and `find_charades.py` measure them."""
ONE_ERROR = 0.6827
"""The level of an interval of one standard error to each side."""
_NONE = math.nan
TIE = 1e-9
"""Below this a difference is rounding."""


@dataclass(frozen=True)
class Line:
    """What the summary says of one data set; NaN (an empty word, None) where nothing is known.

    Args:
        name, file: the data set, and the file it is read from.
        n: samples.
        score: what is scored.
        ours, plain, single, published: that score of ours, of the best plain model, of the best single modality, and
            as published.
        plain_name: which plain model was best on the test rows.
        difference: ours less the plain model, the sign turned where less is better.
        errors: how many standard errors ours is above the best single modality.
        log_loss, calibration: of ours and of the plain model.
        seconds: of ours and of boosting.
        commit: where ours was measured.
    """

    name: str
    file: str
    n: int
    score: Score
    ours: float = _NONE
    plain: float = _NONE
    plain_name: str = ""
    single: float = _NONE
    published: float = _NONE
    difference: Interval | None = None
    errors: float = _NONE
    log_loss: tuple[float, float] = (_NONE, _NONE)
    calibration: tuple[float, float] = (_NONE, _NONE)
    seconds: tuple[float, float] = (_NONE, _NONE)
    commit: str = "-"

    @property
    def beats_plain(self) -> bool | None:
        """True where ours is above every plain model; None where one of them is not measured."""
        return None if self.difference is None else self.difference.mean > TIE

    @property
    def beats_published(self) -> bool | None:
        """True where ours is above the published figure; None where there is none, or no ours."""
        gap = self.score.sign * (self.ours - self.published)
        return None if math.isnan(gap) else gap > TIE


# --- from stored results --------------------------------------------------------------------------


def line_of(data: datasets.DataSet, results: Mapping[str, Kept], default: str) -> Line:
    """Sum up one data set."""
    score = find(None, data.task)
    published = _published(data.name)
    start = Line(data.name, datasets.file_of(data.name), len(data.samples), score, published=published)
    best, ours = best_plain(results, score), results.get(default)
    if ours is not None and math.isnan(ours.mean(score)):
        ours = None  # it failed on a split, and the others cannot stand for all
    known: dict[str, Any] = {}
    if best is not None:
        known |= {"plain": best.mean(score), "plain_name": best.model}
    if "best single" in results:
        known["single"] = results["best single"].mean(score)
    if ours is not None:
        known |= {"ours": ours.mean(score), "commit": ours.commit}
        if "best single" in results:
            known["errors"] = in_errors(ours.trials, results["best single"].trials, data, score)
        if "boosting" in results:
            known["seconds"] = (ours.seconds, results["boosting"].seconds)
    if ours is not None and best is not None:
        known["difference"] = difference_interval(ours.trials, best.trials, data.folds, score, data.groups)
        if data.task == "classification":
            known["log_loss"] = (ours.mean("log loss"), best.mean("log loss"))
            known["calibration"] = (ours.mean("calibration error"), best.mean("calibration error"))
    return replace(start, **known)


def best_plain(results: Mapping[str, Kept], score: Score) -> Kept | None:
    """Return the plain model that is best on the test rows, the first of equals; None where none is complete."""
    done = [kept for kept in results.values() if kept.plain and not math.isnan(kept.mean(score))]
    return max(done, key=lambda kept: score.sign * kept.mean(score), default=None)


def in_errors(a: Sequence[Trial], b: Sequence[Trial], data: datasets.DataSet, score: Score) -> float:
    """How far `a` is above `b`, in standard errors of the paired difference; 0 where they are equal."""
    gap = difference_interval(a, b, data.folds, score, data.groups)
    if gap is None:
        return math.nan
    error = standard_error(a, b, data.folds, score, data.groups)
    return 0.0 if abs(gap.mean) <= TIE else gap.mean / error if error > 0 else math.copysign(math.inf, gap.mean)


def standard_error(
    a: Sequence[Trial], b: Sequence[Trial], folds: Sequence[Fold], score: Score, groups: np.ndarray | None
) -> float:
    """The standard error of a paired difference: over folds corrected for shared rows, on one split by drawing rows."""
    over_folds = difference_error(a, b, folds, score)
    if over_folds > 0:
        return over_folds
    drawn = difference_interval(a, b, folds, score, groups, level=ONE_ERROR)
    return math.nan if drawn is None else (drawn.high - drawn.low) / 2


def _published(name: str) -> float:
    known = datasets.PUBLISHED.get(name)
    return math.nan if known is None or known.value is None else known.value


def elsewhere(name: str, folder: Path = FOUND) -> Line:
    """Sum up a set that the benchmarks of finding have measured, from what they have stored."""
    return {"wikipedia": _wikipedia, "charades_sta": _charades}[name](name, folder)


def _wikipedia(name: str, folder: Path) -> Line:
    """The mean average precision of both ways; no single queries are stored, so that there is no paired interval."""
    score = _score("mAP, both ways", percent=False)
    start = Line(name, name, 2866, score, published=_published(name), commit=_commit(folder / "retrieval.txt"))
    found = _read(folder / "retrieval.json").get("wikipedia", {}).get("rows", {})
    plain = {known: found[known]["mean"] for known in ("CCA of 9", "semantic matching") if known in found}
    if "ours" not in found or not plain:
        return start
    best, ours = max(plain, key=lambda known: plain[known]), found["ours"]["mean"]
    gap = Interval(ours - plain[best], math.nan, math.nan)
    return replace(start, ours=ours, plain=plain[best], plain_name=best, difference=gap)


def _charades(name: str, folder: Path) -> Line:
    """The share of sentences whose first answer overlaps the moment by half or more; intervals by whole videos."""
    score, figure = _score("R@1, IoU .5", percent=True), "R1@0.5"
    start = Line(name, name, 3720, score, published=_published(name), commit=_commit(folder / "charades.txt"))
    found = _read(folder / "charades.json")
    plain = {known: found[known][figure][0] for known in ("best fixed window", "tf-idf ridge") if known in found}
    if "ours" not in found or not plain:
        return start
    best = max(plain, key=lambda known: plain[known])
    gap = Interval(*found["differences"][best][figure]) if best in found.get("differences", {}) else None
    return replace(start, ours=found["ours"][figure][0], plain=plain[best], plain_name=best, difference=gap)


def _score(name: str, *, percent: bool) -> Score:
    """A score that is stored and only shown here."""
    return Score(name, "regression", lambda _: math.nan, percent=percent)


def _read(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}


def _commit(path: Path) -> str:
    """The commit in the first line of a table that `find.py` has kept."""
    first = path.read_text(encoding="utf-8").partition("\n")[0] if path.is_file() else ""
    return first.removeprefix("at commit ") if first.startswith("at commit ") else "-"
