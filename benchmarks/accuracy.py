"""How accurate is attention between modalities on real data, beside honest baselines?

    python benchmarks/accuracy.py                             measure what is not yet stored (slow; progress on stderr)
    python benchmarks/accuracy.py --sets cub rosmap --models default baselines
    python benchmarks/accuracy.py --table                     print the tables from stored results
    python benchmarks/accuracy.py --write                     write docs/accuracy.md from stored results
    python benchmarks/accuracy.py --results /tmp/try ...      keep and read results elsewhere, for a try

One file per data set and model is kept in `benchmarks/results/accuracy`: scores, predictions, seconds, parameters and
warnings of every split, with the commit and the versions. A model that has its file is not run again; delete the file,
or say --again. `default` is `FusionClassifier()` or `FusionRegressor()` as a user types it, stored under the name of
its fusion; other fusions differ from it by that name alone.

wikipedia and charades_sta are in the summary from what `find.py` has stored; they are not measured here.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))

import datasets
from accuracy_kept import BASELINES, FUSIONS, RESULTS, ROOT, keep, path_of, provenance, write_trial
from accuracy_line import ELSEWHERE
from accuracy_page import default_fusion, page

from intermodal.learn.baselines import baseline, canonical
from intermodal.learn.trials import run_trial


def main() -> int:
    args = _arguments()
    if args.table or args.write:
        text = page(args.sets, args.results)
        if args.write:
            (ROOT / "docs" / "accuracy.md").write_text(text, encoding="utf-8")
        else:
            print(text)
        return 0
    if datasets.folder() is None:
        print("the data sets are not here: set INTERMODAL_DATA to their folder", file=sys.stderr)
        return 1
    about = provenance()
    for name in (name for name in args.sets if name not in ELSEWHERE):
        data = datasets.load(name)
        for model in _models(args.models):
            path = path_of(args.results, name, model)
            if args.again or not path.exists():
                measure(data, model, path, about)
    return 0


def measure(data: datasets.DataSet, model: str, path: Path, about: dict[str, Any]) -> None:
    """Run one model on all splits of one data set and keep what came of it."""
    make, kept = _make(data, model), []
    for i, fold in enumerate(data.folds):
        trial = run_trial(make, data.samples, data.y, fold.train, fold.test, task=data.task, groups=data.groups)
        kept.append(write_trial(trial))
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
        **about,
        "trials": kept,
    }
    keep(path, record)


def _make(data: datasets.DataSet, model: str) -> Callable[[], Any]:
    """Return what makes an unfitted model: ours as a user types it, with what the data ask for and nothing else."""
    if model in BASELINES:
        return lambda: baseline(model, data.task, data.samples.names)
    from intermodal.learn.estimators import FusionClassifier, FusionRegressor

    kind = FusionClassifier if data.task == "classification" else FusionRegressor
    needed: dict[str, Any] = {"nan": "impute"} if data.samples.has_nan else {}
    named: dict[str, Any] = {} if model == default_fusion() else {"fusion": model}
    return lambda: kind(**needed, **named)


def _models(names: list[str]) -> list[str]:
    """The models by name, each once; `default` goes by the name of its fusion."""
    known = {"baselines": BASELINES, "fusions": FUSIONS, "default": (default_fusion(),)}
    return list(dict.fromkeys(model for name in names for model in known.get(name, (name,))))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    names = [*datasets.names(), *ELSEWHERE]
    parser.add_argument("--sets", nargs="+", default=names, choices=names)
    parser.add_argument(
        "--models",
        nargs="+",
        default=["default", "baselines", "fusions"],
        help="'default', 'baselines', 'fusions', a baseline by name, or a fusion as it is spelled",
    )
    parser.add_argument("--again", action="store_true", help="measure anew what is already stored")
    parser.add_argument("--table", action="store_true", help="print the tables from stored results")
    parser.add_argument("--write", action="store_true", help="write docs/accuracy.md from stored results")
    parser.add_argument("--results", type=Path, default=RESULTS, help="the folder of the stored results")
    return parser.parse_args()


if __name__ == "__main__":
    raise SystemExit(main())
