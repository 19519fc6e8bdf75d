"""Is the verdict of `intermodal.compare` right in hindsight?

    python benchmarks/hindsight.py --sets rosmap cub          measure what is not yet stored; progress on stderr
    python benchmarks/hindsight.py --splits 3                 on the first three splits of each set, where it has them
    python benchmarks/hindsight.py --table                    print the table from stored results
    python benchmarks/hindsight.py --results /tmp/try ...     keep and read results elsewhere, for a try

`compare` sees a split: it chooses by cross-validation inside the training rows, then fits every row on all of them and
scores it once on the test rows. Three questions are asked of the test rows, which nothing was chosen by:

1. Is the row that it says to take the best there? If not: how far below, and is that within one standard error?
2. What it says about attention from the training rows alone (helps, does not help, not shown): do the test rows agree?
   "Helps" and "does not help" agree where the differences behind them have the same sign; "not shown" where the test
   rows show none either, that is where the interval of every difference that was open holds 0.
3. Is the row to take below the best single modality?

Beside that it is counted what the row with the best score inside the training rows would have given: `compare` takes
the simplest within one standard error of it.

One file a data set is kept in `benchmarks/results/hindsight`.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))

import datasets
import numpy as np
from accuracy_kept import ROOT, keep, provenance
from accuracy_line import TIE, standard_error

from intermodal import compare
from intermodal.learn.comparison import Comparison
from intermodal.learn.paired import difference_interval
from intermodal.learn.scoring import Score, find
from intermodal.learn.splitting import Fold
from intermodal.learn.verdict import Row, Setting, level, top

RESULTS = ROOT / "benchmarks" / "results" / "hindsight"
HELPS, NOT, OPEN = "helps", "does not help", "not shown"


def main() -> int:
    args = _arguments()
    if args.table:
        print(page(args.sets, args.results))
        return 0
    if datasets.folder() is None:
        print("the data sets are not here: set INTERMODAL_DATA to their folder", file=sys.stderr)
        return 1
    about = provenance()
    for name in args.sets:
        path = args.results / f"{name}.json"
        if args.again or not path.exists():
            keep(path, measure(datasets.load(name), args.splits, args.baselines, about))
    return 0


def measure(
    data: datasets.DataSet, n_splits: int, baselines: Sequence[str], about: Mapping[str, Any]
) -> dict[str, Any]:
    """Compare on the first splits of one data set, and look at the test rows."""
    found = []
    for i, fold in enumerate(data.folds[:n_splits], 1):
        start = time.perf_counter()
        result = compare_on(data, fold, baselines)
        seen = look_back(result) | {"seconds": round(time.perf_counter() - start, 1)}
        found.append(seen)
        print(f"{data.name} {i}: {seen['taken']}, best {seen['best']} ({seen['seconds']} s)", file=sys.stderr)
    return {"set": data.name, "protocol": data.protocol, "score": find(None, data.task).name, **about, "splits": found}


def compare_on(data: datasets.DataSet, fold: Fold, baselines: Sequence[str]) -> Comparison:
    """`compare` on one split, as a user types it."""
    words = np.full(len(data.samples), "train", dtype="<U5")
    words[fold.test] = "test"
    needed: dict[str, Any] = {"nan": "impute"} if data.samples.has_nan else {}
    chosen: dict[str, Any] = {"baselines": tuple(baselines)} if baselines else {}

    def progress(done: int, total: int, what: str) -> None:
        print(f"  {data.name} {done}/{total} {what}", file=sys.stderr, flush=True)

    return compare(
        data.samples, data.y, data.groups, split=words, task=data.task, progress=progress, **chosen, **needed
    )


# --- hindsight ------------------------------------------------------------------------------------


def look_back(result: Comparison) -> dict[str, Any]:
    """Set what a comparison said by its training rows against its test rows."""
    score = result.setting.score
    on_test = [replace(row, choosing=row.trials) for row in result.rows]
    best, taken = top(on_test, score), next((row for row in result.rows if row.name == result.best), None)
    single = next(row for row in result.rows if row.name == "best single")
    by_train = inside(result)
    seen: dict[str, Any] = {
        "taken": result.best,
        "best": None if best is None else best.name,
        "verdict": by_train.verdict,
        "verdict_with_test_rows": result.verdict,
        "attention": _attention(by_train, result),
        "rows": [_row(row, score) for row in result.rows],
        "notes": list(result.notes),
    }
    if best is not None and taken is not None:
        seen["below_best"] = _apart(best, taken, result.setting)
        if seen["below_best"]["gap"] <= TIE:
            seen["best"] = taken.name  # of equals the one that was taken
        seen["above_single"] = _apart(taken, single, result.setting)
    return seen


def inside(result: Comparison) -> Comparison:
    """What `compare` says of the training rows alone: the folds that it chose by are the ones it reports."""
    setting = result.setting
    rows = tuple(replace(row, trials=row.choosing) for row in result.rows)
    return Comparison(rows, Setting(setting.score, setting.choosing, setting.choosing, setting.groups), result.facts)


def claim_of(verdict: str) -> str:
    """What a verdict says of attention, in two words."""
    if verdict.startswith("Attention helps"):
        return HELPS
    return NOT if verdict.startswith("Attention does not help") else OPEN


def agrees(claim: str, claimed: Mapping[str, Sequence[float]], seen: Mapping[str, Sequence[float]]) -> bool | None:
    """Say whether test rows agree with a claim about attention.

    Args:
        claim: `helps`, `does not help` or `not shown`.
        claimed: by reference, (mean, low, high) of the difference to it by which the claim was made.
        seen: the same of the test rows.

    Returns:
        None where there is nothing to look at.
    """
    sign = {HELPS: 1, NOT: -1}.get(claim)
    if sign is None:
        still = [seen[name] for name, (_, low, high) in claimed.items() if name in seen and low <= 0 <= high]
        return None if not still else all(low <= 0 <= high for _, low, high in still)
    asked = [name for name, (_, low, high) in claimed.items() if name in seen and (low > 0 if sign > 0 else high < 0)]
    return None if not asked else all(sign * seen[name][0] > TIE for name in asked)


def _attention(by_train: Comparison, result: Comparison) -> dict[str, Any]:
    """The claim about attention and the differences behind it, by training rows and by test rows."""
    claim = claim_of(by_train.verdict)
    asked = top([row for row in by_train.rows if row.attends], by_train.setting.score)
    found: dict[str, Any] = {"claim": claim, "fusion": None, "train": {}, "test": {}, "agrees": None}
    if asked is None:
        return found
    claimed = {d["against"]: _three(d) for d in by_train.differences if d["fusion"] == asked.name}
    rows, setting = {row.name: row for row in result.rows}, result.setting
    seen = {}
    for name in claimed:
        apart = difference_interval(
            rows[asked.name].trials,
            rows[name].trials,
            setting.folds,
            setting.score,
            setting.groups,
            level=level(result.rows),
        )
        if apart is not None:
            seen[name] = _rounded(apart.mean, apart.low, apart.high)
    return found | {"fusion": asked.name, "train": claimed, "test": seen, "agrees": agrees(claim, claimed, seen)}


def _three(difference: Mapping[str, Any]) -> list[float]:
    return _rounded(difference["mean"], difference["low"], difference["high"])


def _rounded(*values: float) -> list[float]:
    return [round(float(value), 6) for value in values]


def _apart(a: Row, b: Row, setting: Setting) -> dict[str, float]:
    """How far one row is above another on the test rows, and the standard error of that."""
    gap = _mean_on_test(a, setting.score) - _mean_on_test(b, setting.score)
    error = 0.0 if a is b else standard_error(a.trials, b.trials, setting.folds, setting.score, setting.groups)
    return {"gap": round(gap, 6), "error": round(error, 6)}


def _mean_on_test(row: Row, score: Score) -> float:
    """The mean score on the test rows, turned so that more is better."""
    return replace(row, choosing=row.trials).mean(score)


def _row(row: Row, score: Score) -> dict[str, Any]:
    by_train, by_test = score.sign * row.mean(score), score.sign * _mean_on_test(row, score)
    return {
        "name": row.name,
        "train": round(by_train, 6) if math.isfinite(by_train) else None,
        "test": round(by_test, 6) if math.isfinite(by_test) else None,
        "seconds": round(float(np.mean([t.seconds for t in row.trials])), 3),
    }


# --- the table ------------------------------------------------------------------------------------

_HEAD = """| data set | split | to take | on the test rows | best there | below it (SE) | against the best single (SE) \
| of attention, by training rows | on the test rows, against each | agrees |
|---|---:|---|---:|---|---:|---:|---|---|---|"""


def page(names: Sequence[str], folder: Path = RESULTS) -> str:
    """Write the stored results as Markdown."""
    paths = [path for name in names if (path := folder / f"{name}.json").is_file()]
    records = [json.loads(path.read_text(encoding="utf-8")) for path in paths]
    lines = [_HEAD]
    for record in records:
        score = _score(record["score"])
        lines += [_line(record["set"], i, seen, score) for i, seen in enumerate(record["splits"], 1)]
    commits = ", ".join(dict.fromkeys(record.get("commit", "-") for record in records))
    said = counts([seen for record in records for seen in record["splits"]])
    return "\n".join([*lines, "", *[f"- {s}" for s in said], f"- Measured at commit {commits or '-'}."]) + "\n"


def _score(name: str) -> Score:
    return find(name, "regression" if name == "R2" else "classification")


def _line(name: str, i: int, seen: Mapping[str, Any], score: Score) -> str:
    attention, test = seen["attention"], {row["name"]: row["test"] for row in seen["rows"]}
    claim = attention["claim"] if attention["fusion"] is None else f"{attention['fusion']}: {attention['claim']}"
    apart = [
        f"{score.gap(mean, unit=False)} [{score.gap(low, unit=False)}, {score.gap(high, unit=False)}] ({against})"
        for against, (mean, low, high) in attention["test"].items()
    ]
    cells = [
        name,
        str(i),
        str(seen["taken"]),
        score.show(test.get(seen["taken"])),
        f"{seen['best']} {score.show(test.get(seen['best']))}" if seen["best"] != seen["taken"] else "the same",
        _below(seen, score),
        _with_error(seen.get("above_single"), score),
        claim,
        "; ".join(apart) or "-",
        {True: "yes", False: "no", None: "-"}[attention["agrees"]],
    ]
    return f"| {' | '.join(cells)} |"


def _below(seen: Mapping[str, Any], score: Score) -> str:
    return _with_error(seen.get("below_best"), score).replace("+", "-", 1) if seen["best"] != seen["taken"] else "0"


def _with_error(apart: Mapping[str, float] | None, score: Score) -> str:
    if apart is None:
        return "-"
    error = score.gap(apart["error"], unit=False).lstrip("+")
    return f"{score.gap(apart['gap'], unit=False)} ({error})"


def counts(seen: Sequence[Mapping[str, Any]]) -> list[str]:
    """Say how often the verdict was right."""
    known = [s["below_best"] for s in seen if "below_best" in s]
    best = sum(k["gap"] <= TIE for k in known)
    near = sum(k["gap"] <= max(k["error"], TIE) for k in known)
    single = [s["above_single"] for s in seen if "above_single" in s]
    worse = sum(k["gap"] < -max(k["error"], TIE) for k in single)
    said = [
        f"The row to take is the best on the test rows, or equal to it, on {best} of {len(known)} splits, and within "
        f"one standard error of the best on {near}.",
        f"It is more than one standard error below the best single modality on {worse} of {len(single)}.",
    ]
    for claim in (HELPS, NOT, OPEN):
        own = [s["attention"]["agrees"] for s in seen if s["attention"]["claim"] == claim]
        asked = [agreed for agreed in own if agreed is not None]
        if asked:
            said.append(f'Of attention it says "{claim}" on {len(own)}; the test rows agree on {sum(asked)}.')
    if known:
        taken, led = float(np.mean([k["gap"] for k in known])), float(np.mean([_leader_below(s["rows"]) for s in seen]))
        said.append(
            f"On average the row to take is {100 * taken:.1f} points (of accuracy, or of R2 times 100) below the best; "
            f"the row with the best score inside the training rows would be {100 * led:.1f} below."
        )
    return said


def _leader_below(rows: Sequence[Mapping[str, Any]]) -> float:
    """How far the row that leads inside the training rows is below the best on the test rows (more is better)."""
    done = [row for row in rows if row["train"] is not None and row["test"] is not None]
    leader = max(done, key=lambda row: row["train"])  # the first, hence the simplest, of equals
    return max(row["test"] for row in done) - leader["test"]


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sets", nargs="+", default=datasets.names(), choices=datasets.names())
    parser.add_argument("--splits", type=int, default=1, help="how many splits of each set, from the first")
    parser.add_argument("--baselines", nargs="+", default=[], help="other than the three that compare has by itself")
    parser.add_argument("--again", action="store_true", help="measure anew what is already stored")
    parser.add_argument("--table", action="store_true", help="print the table from stored results")
    parser.add_argument("--results", type=Path, default=RESULTS, help="the folder of the stored results")
    return parser.parse_args()


if __name__ == "__main__":
    raise SystemExit(main())
