"""What the benchmark of accuracy keeps: one file per data set and model, with every split's scores and predictions."""

from __future__ import annotations

import json
import math
import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import datasets
import numpy as np

from intermodal.learn.scoring import Predictions, Score
from intermodal.learn.trials import Trial

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results" / "accuracy"
PLAIN = ("best single", "concatenation", "late", "svm", "forest", "boosting")
BASELINES = ("majority", *PLAIN)
FUSIONS = ("none", "self", "cross")


@dataclass(frozen=True)
class Kept:
    """What is stored of one model on one data set: a trial a split, and the commit it was measured at."""

    model: str
    trials: list[Trial]
    commit: str = "-"

    @property
    def plain(self) -> bool:
        """True for the models that attention has to beat; a constant is none of them."""
        return self.model in PLAIN

    @property
    def ours(self) -> bool:
        return self.model not in (*BASELINES, "mean")

    @property
    def seconds(self) -> float:
        """Mean seconds to fit once."""
        return float(np.mean([t.seconds for t in self.trials]))

    def mean(self, score: Score | str) -> float:
        """The mean score over all splits; NaN where a split lacks it."""
        name = score if isinstance(score, str) else score.name
        return float(np.mean([t.scores.get(name, math.nan) for t in self.trials]))


def provenance() -> dict[str, Any]:
    """Say what is measured and where: the commit (`dirty` where the package is changed since), versions, cores."""
    return {
        "commit": commit(),
        "versions": {package: version(package) for package in ("intermodal", "torch", "scikit-learn", "numpy")},
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
    }


def commit() -> str:
    """Return the short name of the commit, and `dirty` where a file under src/ is changed or new."""
    try:
        name = _git("rev-parse", "--short", "HEAD")
        return f"{name} dirty" if _git("status", "--porcelain", "--", "src") else name
    except (OSError, subprocess.CalledProcessError):
        return "-"


def _git(*words: str) -> str:
    return subprocess.run(["git", *words], capture_output=True, text=True, cwd=ROOT, check=True).stdout.strip()


def path_of(folder: Path, name: str, model: str) -> Path:
    plain = "".join(c if c.isalnum() else "-" for c in model)
    return folder / f"{name}--{plain}.json"


def keep(path: Path, record: Mapping[str, Any]) -> None:
    """Write the record; a reader sees all of it or nothing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_suffix(".part")
    beside.write_text(json.dumps(record, separators=(",", ":")), encoding="utf-8")
    beside.rename(path)


def write_trial(trial: Trial) -> dict[str, Any]:
    predicted = None if trial.predictions is None else trial.predictions.predicted
    if predicted is not None and predicted.dtype.kind == "f":
        predicted = predicted.round(6)
    return {
        "scores": {k: None if math.isnan(v) else round(v, 6) for k, v in trial.scores.items()},
        "seconds": round(trial.seconds, 3),
        "n_parameters": trial.n_parameters,
        "failure": trial.failure,
        "warnings": list(trial.warnings),
        "predicted": None if predicted is None else predicted.tolist(),
    }


def read_trial(kept: Mapping[str, Any], y: np.ndarray) -> Trial:
    predictions = None if kept["predicted"] is None else Predictions(y, np.array(kept["predicted"]))
    scores = {k: math.nan if v is None else v for k, v in kept["scores"].items()}
    return Trial(predictions, scores, kept["seconds"], kept["n_parameters"], kept["failure"], tuple(kept["warnings"]))


def stored(data: datasets.DataSet, folder: Path = RESULTS) -> dict[str, Kept]:
    """Return every model that was measured on the data set, baselines first."""
    found = {}
    for path in folder.glob(f"{data.name}--*.json"):
        record = json.loads(path.read_text(encoding="utf-8"))
        cuts = zip(record["trials"], data.folds, strict=True)
        trials = [read_trial(kept, data.y[fold.test]) for kept, fold in cuts]
        found[record["model"]] = Kept(record["model"], trials, record.get("commit", "-"))
    return {name: found[name] for name in sorted(found, key=_rank)}


def _rank(model: str) -> tuple[int, str]:
    order: Sequence[str] = ("mean", *BASELINES, *FUSIONS)
    return (order.index(model) if model in order else len(order), model)
