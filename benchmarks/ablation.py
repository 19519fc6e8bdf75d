"""What each part of the default is worth: take it away, weigh the rest anew, and look at rows that nobody saw.

    python benchmarks/ablation.py                      measure what is not yet stored (slow; progress on stderr)
    python benchmarks/ablation.py --sets cub rosmap
    python benchmarks/ablation.py --table              print the table from stored results

No test row takes part: the training rows of each set's first split are cut anew, three times, three quarters to fit and
a quarter to look at. One file per set is kept in `benchmarks/results/ablation`.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parent))

import datasets

from intermodal.learn import consulting
from intermodal.learn.beginning import HESITATION, Begun
from intermodal.learn.estimators import FusionClassifier, FusionRegressor
from intermodal.learn.feed import Feed
from intermodal.learn.lines import fit_line
from intermodal.learn.losses import mean_of_members, probabilities
from intermodal.learn.racing import race_trees
from intermodal.learn.rows import Rows
from intermodal.learn.splitting import holdouts
from intermodal.learn.stacking import weigh

RESULTS = Path(__file__).resolve().parent / "results" / "ablation"
SETS = [n for n in datasets.names() if n not in ("wikipedia", "charades_sta")]
VARIANTS = (
    "all parts",
    "without the kernel machines",
    "one kernel machine, not three",
    "without shapes",
    "without the lines",
    "without the trees",
    "without the network",
    "the network alone",
    "trees always, not where the first fold wants them",
    "experts that count alike",
    "network and experts that count alike",
    "without hesitation about the network",
)
SHAPES = "(shapes)"
Said = dict[str, np.ndarray]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sets", nargs="+", default=SETS, choices=SETS)
    parser.add_argument("--again", action="store_true", help="measure anew what is already stored")
    parser.add_argument("--table", action="store_true", help="print the table from stored results")
    args = parser.parse_args()
    if args.table:
        print(table(args.sets))
        return 0
    if datasets.folder() is None:
        print("the data sets are not here: set INTERMODAL_DATA to their folder", file=sys.stderr)
        return 1
    RESULTS.mkdir(parents=True, exist_ok=True)
    for name in args.sets:
        path = RESULTS / f"{name}.json"
        if args.again or not path.exists():
            kept = measure(name)
            beside = path.with_suffix(".part")
            beside.write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")
            beside.rename(path)
    return 0


def measure(name: str) -> dict[str, Any]:
    """Score every variant on rows cut from the training rows."""
    data = datasets.load(name)
    own = data.folds[0].train
    samples, y = data.samples[own], data.y[own]
    groups = None if data.groups is None else data.groups[own]
    kept: dict[str, list[dict[str, float]]] = {}
    for i, fold in enumerate(holdouts(y, groups, n_splits=3, test_size=0.25, task=data.task)):
        inner = None if groups is None else groups[fold.train]
        for variant, scores in _one(
            samples[fold.train], y[fold.train], inner, samples[fold.test], y[fold.test]
        ).items():
            kept.setdefault(variant, []).append(scores)
        print(f"{name} {i + 1}/3: {kept['all parts'][-1]}", file=sys.stderr, flush=True)
    return kept


def _one(samples: Any, y: np.ndarray, groups: Any, new: Any, y_new: np.ndarray) -> dict[str, dict[str, float]]:
    """Fit all parts once; every variant is another way to weigh what they said."""
    numbers = y.dtype.kind == "f"
    kind: Any = FusionRegressor if numbers else FusionClassifier
    model = kind(nan="impute" if samples.has_nan else "error", experts=False)
    begun = model._begin(samples, y, groups=groups)
    begun.run()
    model._end(begun)
    feed, ready = Feed(model.preprocessor_.apply(new)), begun.ready
    if numbers:
        wanted = ready.target.double().numpy()
        labels, truth = None, ((y_new - model.y_mean_) / model.y_scale_)[:, None]
    else:
        labels = ready.labels
        wanted, truth = np.eye(len(model.classes_))[labels], np.searchsorted(model.classes_, y_new)
    given = ready.feed, feed, wanted, labels, groups, model.seed
    unseen, answers, trees_pay = _experts(*given)
    held = ready.held
    network = begun._said(held), _network(begun, feed)

    def scored(said: np.ndarray) -> dict[str, float]:
        if labels is None:
            return {
                "score": 1 - float(((said - truth) ** 2).mean() / truth.var()),
                "loss": float(((said - truth) ** 2).mean()),
            }
        total = np.log(np.exp(said - said.max(1, keepdims=True)).sum(1)) + said.max(1)
        loss = total - said[np.arange(len(truth)), truth]
        return {"score": float((said.argmax(1) == truth).mean()), "loss": float(loss.mean())}

    def together(
        names: list[str],
        *,
        alike: bool = False,
        hesitation: float = HESITATION,
        half: bool = False,
        unseen: Said = unseen,
        answers: Said = answers,
    ) -> np.ndarray:
        even = np.full(len(names), 1 / len(names))
        rows = np.ones(len(wanted))
        shares = even if alike else weigh([unseen[n] for n in names], labels, wanted, rows, first=even)
        before = np.tensordot(shares, np.stack([unseen[n] for n in names]), 1)
        after = np.tensordot(shares, np.stack([answers[n] for n in names]), 1)
        if hesitation < 0:
            return after
        given = (None if labels is None else labels[held], wanted[held], np.ones(len(held)))
        both = [network[0], before[held]]
        parts = np.array([0.5, 0.5]) if half else weigh(both, *given, first=(0.0, 1.0), held=hesitation)
        return np.asarray(parts[0] * network[1] + parts[1] * after)

    lines = [n for n in unseen if n.startswith("line:")]
    trees = ["trees"] if trees_pay else []
    every = ["kernel", *lines, *trees]
    plain, plain_answers = unseen, answers
    if any(n.endswith(SHAPES) for n in lines):
        shortest, consulting.SHORTEST = consulting.SHORTEST, sys.maxsize
        try:
            plain, plain_answers, _ = _experts(*given)
        finally:
            consulting.SHORTEST = shortest
    ways = {
        "all parts": together(every),
        "without the kernel machines": together([n for n in every if n != "kernel"] or ["trees"]),
        "one kernel machine, not three": together(["one kernel", *every[1:]]),
        "without shapes": together([n for n in every if n in plain], unseen=plain, answers=plain_answers),
        "without the lines": together([n for n in every if n not in lines]),
        "without the trees": together([n for n in every if n != "trees"]),
        "without the network": together(every, hesitation=-1.0),
        "the network alone": network[1],
        "trees always, not where the first fold wants them": together([*lines, "kernel", "trees"]),
        "experts that count alike": together(every, alike=True),
        "network and experts that count alike": together(every, half=True),
        "without hesitation about the network": together(every, hesitation=0.0),
    }
    return {variant: scored(said) for variant, said in ways.items()}


def _experts(
    feed: Feed, new: Feed, wanted: np.ndarray, labels: np.ndarray | None, groups: Any, seed: int
) -> tuple[Said, Said, bool]:
    """What each expert says of the rows unseen and of new rows, and whether the default would take the trees."""
    c, weight = consulting, np.ones(len(wanted))

    def cut(rows: np.ndarray, seed: int) -> list[np.ndarray]:
        task: Any = "regression" if labels is None else "classification"
        known = (wanted if labels is None else labels)[rows]
        return [own for _, own in c.inner_folds(known, None if groups is None else groups[rows], seed, task)]

    columns, values = c.make_columns(feed, weight, seed)
    with torch.no_grad():
        later = torch.cat([columns(*new.batch(rows)) for rows in new.in_order(np.arange(len(new)), 256)])
    rows = Rows(values, wanted, labels, weight, cut(np.arange(len(wanted)), seed))
    machines = c.fit_machines(rows, columns, cut, seed, lambda: False)
    sharp = [1.0 if labels is None else c.sharpen(m.unseen, labels, weight)[0] for m in machines]
    unseen, answers = {}, {}
    for name, some in (("kernel", machines), ("one kernel", machines[:1])):
        heard = np.array(sharp[: len(some)]) / len(some)
        alone = c.joined(columns, some, heard, {}, None, {})
        unseen[name] = np.tensordot(heard, np.stack([m.unseen for m in some]), 1)
        with torch.no_grad():
            said = later @ alone.coef + alone.intercept
            answers[name] = (said if alone.bells is None else said + alone.bells(later)).double().numpy()
    if labels is not None:
        for name, at in columns.places().items():
            line = fit_line(rows, at)
            unseen[f"line:{name}"] = line.unseen
            answers[f"line:{name}"] = later.double().numpy()[:, at] @ line.coef + line.intercept
    heard_before = {n: said for n, said in unseen.items() if n != "one kernel"}
    pays = race_trees(rows, heard_before, seed, lambda: False)[0] is not None
    trees, of_trees = race_trees(rows, heard_before, seed, lambda: False, always=True)
    assert trees is not None
    unseen["trees"], answers["trees"] = of_trees, trees(later).double().numpy()
    return unseen, answers, pays


def _network(begun: Begun, feed: Feed) -> np.ndarray:
    """What the network with its line says of new rows, as logits or numbers."""
    said = []
    with torch.no_grad():
        for rows in feed.in_order(np.arange(len(feed)), 256):
            outputs = begun.model(*feed.batch(rows)).outputs.double()
            said.append(mean_of_members(outputs) if begun.ready.labels is None else probabilities(outputs).log())
    return torch.cat(said).numpy()


def table(names: list[str]) -> str:
    """Write the stored results as Markdown: the score, and the loss as a multiple of that of all parts."""
    found = {n: json.loads((RESULTS / f"{n}.json").read_text()) for n in names if (RESULTS / f"{n}.json").exists()}
    lines = [
        "| | " + " | ".join(found) + " | geometric mean | better / worse by 1 % |",
        "|---|" + "---:|" * (len(found) + 2),
    ]

    def mean(name: str, variant: str, what: str) -> float:
        return float(np.mean([s[what] for s in found[name][variant]]))

    for variant in VARIANTS:
        ratios = [mean(n, variant, "loss") / mean(n, "all parts", "loss") for n in found]
        shown = [f"{mean(n, variant, 'score'):.3f} ({r:.2f})" for n, r in zip(found, ratios, strict=True)]
        better, worse = sum(r < 0.99 for r in ratios), sum(r > 1.01 for r in ratios)
        lines.append(
            f"| {variant} | " + " | ".join(shown) + f" | {np.exp(np.mean(np.log(ratios))):.3f} | {better} / {worse} |"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    raise SystemExit(main())
