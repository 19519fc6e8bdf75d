"""How accurate is attention between modalities on real data, beside honest baselines?

    python benchmarks/accuracy.py --models baselines          measure what is not yet stored (slow; progress on stderr)
    python benchmarks/accuracy.py --sets cub rosmap --models self cross none
    python benchmarks/accuracy.py --table                     print the table from stored results
    python benchmarks/accuracy.py --write                     write docs/accuracy.md from stored results

One file per data set and model is kept in `benchmarks/results/accuracy`: scores, predictions and seconds of every
split. A model that has its file is not run again; delete the file, or say --again. Our own models run with one default
configuration.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent))

import datasets

from intermodal.learn.baselines import baseline, canonical
from intermodal.learn.paired import difference_interval, score_interval
from intermodal.learn.scoring import Predictions, Score, find
from intermodal.learn.splitting import Fold
from intermodal.learn.trials import Trial, run_trial

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results" / "accuracy"
BASELINES = ("majority", "best single", "concatenation", "late", "svm", "forest", "boosting")
FUSIONS = ("none", "self", "cross")


def main() -> int:
    args = _arguments()
    chosen = _models(args.models)
    if args.table or args.write:
        text = table(args.sets)
        if args.write:
            (ROOT / "docs" / "accuracy.md").write_text(text, encoding="utf-8")
        else:
            print(text)
        return 0
    if datasets.folder() is None:
        print("the data sets are not here: set INTERMODAL_DATA to their folder", file=sys.stderr)
        return 1
    for name in args.sets:
        data = datasets.load(name)
        for model in chosen:
            if args.again or not _path(name, model).exists():
                measure(data, model)
    return 0


def measure(data: datasets.DataSet, model: str) -> None:
    """Run one model on all splits of one data set and keep what came of it."""
    make, kept = _make(data, model), []
    for i, fold in enumerate(data.folds):
        trial = run_trial(make, data.samples, data.y, fold.train, fold.test, task=data.task, groups=data.groups)
        kept.append(_write_trial(trial))
        shown = trial.failure or ", ".join(f"{k} {v:.4f}" for k, v in trial.scores.items())
        for said in trial.warnings:
            print(f"  {said}", file=sys.stderr)
        print(
            f"{data.name} {model} {i + 1}/{len(data.folds)}: {shown} ({trial.seconds:.1f} s)",
            file=sys.stderr,
            flush=True,
        )
    record = {
        "set": data.name,
        "model": canonical(model, data.task, data.samples.names) if model in BASELINES else model,
        "protocol": data.protocol,
        "task": data.task,
        "versions": {package: version(package) for package in ("intermodal", "torch", "scikit-learn", "numpy")},
        "trials": kept,
    }
    path = _path(data.name, model)
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_suffix(".part")
    beside.write_text(json.dumps(record, separators=(",", ":")), encoding="utf-8")
    beside.rename(path)


def _make(data: datasets.DataSet, model: str) -> Callable[[], Any]:
    if model in BASELINES:
        return lambda: baseline(model, data.task, data.samples.names)
    from intermodal.learn.estimators import FusionClassifier, FusionRegressor

    kind = FusionClassifier if data.task == "classification" else FusionRegressor
    nan = "impute" if data.samples.has_nan else "error"
    return lambda: kind(fusion=model, nan=nan, seed=0)


# --- what is kept ---------------------------------------------------------------------------------


def _path(name: str, model: str) -> Path:
    plain = "".join(c if c.isalnum() else "-" for c in model)
    return RESULTS / f"{name}--{plain}.json"


def _write_trial(trial: Trial) -> dict[str, Any]:
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


def _read_trial(kept: dict[str, Any], y: np.ndarray) -> Trial:
    predictions = None if kept["predicted"] is None else Predictions(y, np.array(kept["predicted"]))
    scores = {k: math.nan if v is None else v for k, v in kept["scores"].items()}
    return Trial(predictions, scores, kept["seconds"], kept["n_parameters"], kept["failure"])


def stored(data: datasets.DataSet) -> dict[str, list[Trial]]:
    """Return the trials of every model that was measured on the data set, baselines first."""
    found = {}
    for path in RESULTS.glob(f"{data.name}--*.json"):
        record = json.loads(path.read_text(encoding="utf-8"))
        cuts = zip(record["trials"], data.folds, strict=True)
        found[record["model"]] = [_read_trial(kept, data.y[fold.test]) for kept, fold in cuts]
    order = ["mean", *BASELINES, *FUSIONS]
    return dict(sorted(found.items(), key=lambda item: (order.index(item[0]) if item[0] in order else 99, item[0])))


# --- the table ------------------------------------------------------------------------------------

_HEAD = """# Accuracy on real data

Every number here is printed by `python benchmarks/accuracy.py --table` from the stored result of every split
(`benchmarks/results/accuracy`). Our models run with one default configuration on every set; nothing was chosen by test
rows. Brackets hold the 95 % interval: over splits the corrected resampled t interval (Nadeau & Bengio 2003), for a
single given split the bootstrap over test rows (over whole groups where there are groups). The baseline that each
fusion is compared with is the best one *on the test rows*, which favours the baseline. A difference counts only when
its interval excludes 0.
"""


def table(names: list[str]) -> str:
    """Write the stored results of the data sets as Markdown."""
    parts = [_HEAD]
    for name in names:
        data = datasets.load(name)
        results = stored(data)
        if results:
            parts.append(_section(data, results))
    return "\n".join(parts)


def _section(data: datasets.DataSet, results: dict[str, list[Trial]]) -> str:
    score = find(None, data.task)
    extra = ["macro F1", "AUC"] if data.task == "classification" and len(np.unique(data.y)) == 2 else []
    means = {m: score_interval(trials, data.folds, score, data.groups) for m, trials in results.items()}
    known = {m: interval.mean for m, interval in means.items() if interval is not None and m not in FUSIONS}
    best = max(known, key=lambda m: known[m]) if known else None
    lines = [
        f"## {data.name}",
        "",
        f"{len(data.samples)} samples, {', '.join(data.samples.names)}; {data.protocol}."
        + (f" Published (the protocol may differ): {shown}." if (shown := datasets.PUBLISHED.get(data.name)) else ""),
        "",
        "| "
        + " | ".join(["model", score.name, "95 % interval", *extra, "seconds", "against the best baseline"])
        + " |",
        "|---|" + "---:|" * (len(extra) + 3) + "---|",
    ]
    for model, trials in results.items():
        interval = means[model]
        seconds = f"{np.mean([t.seconds for t in trials]):.1f}"
        against = "best baseline" if model == best else ""
        if best is not None and model not in known:
            against = _against(trials, results[best], data.folds, score, data.groups)
        shown = [score.show(interval.mean), _range(interval, score)] if interval else ["failed", ""]
        others = [find(e, data.task).show(float(np.mean([t.scores.get(e, math.nan) for t in trials]))) for e in extra]
        lines.append("| " + " | ".join([model, *shown, *others, seconds, against]) + " |")
    return "\n".join(lines) + "\n"


def _range(interval: Any, score: Score) -> str:
    return f"{score.show(interval.low)} to {score.show(interval.high)}"


def _against(a: list[Trial], b: list[Trial], folds: list[Fold], score: Score, groups: np.ndarray | None) -> str:
    difference = difference_interval(a, b, folds, score, groups)
    if difference is None:
        return "failed"
    low, high = score.gap(difference.low, unit=False), score.gap(difference.high, unit=False)
    verdict = "no difference shown"
    if difference.excludes_zero:
        verdict = "better" if difference.mean > 0 else "worse"
    return f"{score.gap(difference.mean)} [{low}, {high}]: {verdict}"


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sets", nargs="+", default=datasets.names(), choices=datasets.names())
    parser.add_argument(
        "--models", nargs="+", default=["baselines", "fusions"], help="names, 'baselines', 'fusions', or specs"
    )
    parser.add_argument("--again", action="store_true", help="measure anew what is already stored")
    parser.add_argument("--table", action="store_true", help="print the table from stored results")
    parser.add_argument("--write", action="store_true", help="write docs/accuracy.md from stored results")
    return parser.parse_args()


def _models(names: list[str]) -> list[str]:
    known = {"baselines": BASELINES, "fusions": FUSIONS}
    return [model for name in names for model in known.get(name, (name,))]


if __name__ == "__main__":
    raise SystemExit(main())
