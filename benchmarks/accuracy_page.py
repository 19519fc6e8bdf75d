"""The page of the benchmark of accuracy, from stored results: the summary, then a section a data set."""

from __future__ import annotations

import inspect
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import datasets
import numpy as np
from accuracy_kept import RESULTS, Kept, stored
from accuracy_line import ELSEWHERE, best_plain, elsewhere, line_of
from accuracy_summary import summary

from intermodal.learn.paired import difference_interval, score_interval
from intermodal.learn.scoring import Score, find

_HEAD = """# Accuracy on real data

Every number here is printed by `python benchmarks/accuracy.py --table` from the stored result of every split
(`benchmarks/results/accuracy`; retrieval and moments from `benchmarks/results/find`). Ours is one default on every
set, as a user types it: `FusionClassifier()` or `FusionRegressor()`, with `nan="impute"` where cells are missing. What
it chooses for itself it chooses by training rows; nothing was chosen by test rows.

The best plain model is the best one *on the test rows* among the best single modality, logistic or ridge regression
on the concatenation, late fusion, support vectors, random forest and boosting, each with inner selection of its main
knob: that favours it. They read a sequence by its summary (mean, spread, quarters, mean step, length), as a person
would by hand; ours reads it by random waves too, so that on utd_mhad part of what it gains is the reading and not the
fusion. Brackets hold the 95 % interval: over splits the corrected resampled t interval (Nadeau & Bengio 2003), for a
single given split the bootstrap over test rows (over whole groups where there are groups). A published figure is the
greatest one that we know of on the same data; its protocol may differ. SE is the standard error of the paired
difference. Seconds are those of one fit, and include every inner choice. A calibration error on few test rows is
mostly chance, also of a model without fault. A dash means: not measured, or not defined.

A set is a file of data. Where a file has several rows (two targets of cll, mosi with and without the dialogue), the set
counts as won only when each of its rows is. mosi has a published figure with the dialogue only. What wikipedia
(retrieval) and charades_sta (moments) are measured with is told in [finding_measured.md](finding_measured.md);
wikipedia has no paired interval, since its single queries are not stored.
"""


def page(names: Sequence[str], folder: Path = RESULTS) -> str:
    """Write the stored results of the data sets as Markdown."""
    default, lines, sections = default_fusion(), [], []
    for name in names:
        if name in ELSEWHERE:
            lines.append(elsewhere(name))
            continue
        data = datasets.load(name)
        results = stored(data, folder)
        lines.append(line_of(data, results, default))
        if results:
            sections.append(_section(data, results, default))
    return "\n".join([_HEAD, summary(lines), *sections])


def default_fusion() -> str:
    """The fusion of an estimator that is told nothing."""
    from intermodal.learn.estimators import FusionClassifier

    return str(inspect.signature(FusionClassifier).parameters["fusion"].default)


def _section(data: datasets.DataSet, results: Mapping[str, Kept], default: str) -> str:
    score = find(None, data.task)
    extra = _extra(data)
    best = best_plain(results, score)
    published = datasets.PUBLISHED.get(data.name)
    said = [f"{len(data.samples)} samples, {', '.join(data.samples.names)}; {data.protocol}."]
    said += [data.note] * bool(data.note)
    said += [f"Published (the protocol may differ): {published.words}."] if published else []
    said += [_measured(results)]
    columns = ["model", score.name, "95 % interval", *extra, "seconds", "against the best plain model"]
    lines = [f"## {data.name}", "", " ".join(said), "", f"| {' | '.join(columns)} |"]
    lines.append("|---|" + "---:|" * (len(extra) + 3) + "---|")
    for model, kept in results.items():
        interval = score_interval(kept.trials, data.folds, score, data.groups)
        against = "best plain model" if kept is best else ""
        if best is not None and kept.ours:
            against = _against(kept, best, data, score)
        shown = [score.show(interval.mean), _range(interval, score)] if interval else ["failed", ""]
        others = [find(name, data.task).show(kept.mean(name)) for name in extra]
        name = f"{model} (the default)" if model == default else model
        lines.append(f"| {' | '.join([name, *shown, *others, f'{kept.seconds:.1f}', against])} |")
    return "\n".join(lines) + "\n"


def _extra(data: datasets.DataSet) -> list[str]:
    """The scores that stand beside the main one."""
    if data.task == "regression":
        return []
    two = ["macro F1", "AUC"] if len(np.unique(data.y)) == 2 else []
    return [*two, "log loss", "calibration error"]


def _measured(results: Mapping[str, Kept]) -> str:
    """Say at which commit each model was measured, where that is known."""
    at: dict[str, list[str]] = {}
    for kept in results.values():
        at.setdefault(kept.commit, []).append(kept.model)
    if set(at) == {"-"}:
        return "The commit was not kept."
    if len(at) == 1:
        return f"Measured at commit {next(iter(at))}."
    words = [f"{commit if commit != '-' else 'a commit not kept'} ({', '.join(own)})" for commit, own in at.items()]
    return f"Measured at {'; '.join(words)}."


def _range(interval: Any, score: Score) -> str:
    return f"{score.show(interval.low)} to {score.show(interval.high)}"


def _against(ours: Kept, plain: Kept, data: datasets.DataSet, score: Score) -> str:
    difference = difference_interval(ours.trials, plain.trials, data.folds, score, data.groups)
    if difference is None or math.isnan(difference.mean):
        return "failed"
    low, high = score.gap(difference.low, unit=False), score.gap(difference.high, unit=False)
    verdict = "no difference shown"
    if difference.excludes_zero:
        verdict = "better" if difference.mean > 0 else "worse"
    return f"{score.gap(difference.mean)} [{low}, {high}]: {verdict}"
