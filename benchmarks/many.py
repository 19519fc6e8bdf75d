"""What `compare` saves over fitting fold by fold: 5 folds, 3 seeds and 4 specs.

    python benchmarks/many.py                  all sizes, some ten minutes
    python benchmarks/many.py --only small     one of them
    python benchmarks/many.py --quick          a smoke run, under a minute

Three ways to the same table, turn by turn: `compare`; a loop that fits and scores one model after the other, fold by
fold; and that loop with the steps that torch takes, as every training went before steps were compiled. The answers of
`compare` and of the loop are compared bit for bit before any time is taken. The loop by torch runs one of the three
seeds and counts threefold. A ratio is the median over the turns, with its quartiles. With one thread `compare` trains
one model at a time; with two, two models side by side.
"""

from __future__ import annotations

import argparse
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parent))
from speed_turns import in_order, quartiles, ratios

from intermodal.data.digits import load_digits6
from intermodal.data.samples import Samples
from intermodal.learn import loop
from intermodal.learn.baselines import baseline
from intermodal.learn.compare import compare
from intermodal.learn.estimators import FusionClassifier
from intermodal.learn.splitting import folds
from intermodal.learn.trials import Trial, run_trial

SPECS = ("none", "self", "cross", "[*] -> *")
BASELINES = ("majority", "best single", "concatenation")
SEEDS = 3
Data = tuple[Samples, np.ndarray]


def product(n: int, width: int, modalities: int) -> Data:
    """Vectors of which the first two say something together, and the last something alone."""
    rng = np.random.default_rng(0)
    X = {f"m{i}": rng.normal(size=(n, width)).astype(np.float32) for i in range(modalities)}
    score = X["m0"][:, 0] * X["m1"][:, 0] + X[f"m{modalities - 1}"][:, 1] + 0.3 * rng.normal(size=n)
    return Samples(X), (score > 0).astype(int)


def digits(n: int) -> Data:
    """Handwritten digits in six views."""
    samples = load_digits6()
    some = np.random.default_rng(0).permutation(len(samples))[:n]
    names = list(samples.names)
    return Samples({name: samples.modality(name) for name in names})[some], samples.y[some]


SIZES: dict[str, tuple[str, Callable[[], Data]]] = {
    "small": ("400 samples of 3 vectors of 32", lambda: product(400, 32, 3)),
    "digits": ("600 digits in 6 views", lambda: digits(600)),
    "large": ("2,000 samples of 4 vectors of 64", lambda: product(2000, 64, 4)),
}


@contextmanager
def by_torch() -> Iterator[None]:
    """Every step as torch takes it."""
    serves, loop.serves = loop.serves, lambda *_: False
    try:
        yield
    finally:
        loop.serves = serves


def one_by_one(samples: Samples, y: np.ndarray, repeats: int, options: dict[str, int]) -> dict[str, list[Trial]]:
    """Fold by fold: the trials of every row of the table, by its name."""
    cuts = folds(y, n_splits=5, n_repeats=repeats, seed=0, task="classification")
    makers: dict[str, Callable[[], object]] = {
        name: lambda name=name: baseline(name, "classification", samples.names, seed=0) for name in BASELINES
    }
    makers |= {spec: lambda spec=spec: FusionClassifier(spec, seed=0, **options) for spec in SPECS}
    return {
        name: [run_trial(make, samples, y, fold.train, fold.test, task="classification") for fold in cuts]
        for name, make in makers.items()
    }


def check(samples: Samples, y: np.ndarray, options: dict[str, int]) -> None:
    """`compare` and the loop say the same of every sample, to the last bit."""
    result = compare(samples, y, fusions=SPECS, baselines=BASELINES, **options)
    trials = one_by_one(samples, y, 1, options)
    for row in result.rows:
        for ours, alone in zip(row.trials, trials[row.name], strict=True):
            np.testing.assert_array_equal(ours.predictions.probabilities, alone.predictions.probabilities)


def measure(data: Data, turns: int, options: dict[str, int]) -> dict[str, list[float]]:
    """Seconds of each way, turn by turn."""
    samples, y = data

    def plainly() -> None:
        with by_torch():
            one_by_one(samples, y, 1, options)

    runs: dict[str, tuple[Callable[[], object], int]] = {
        "compare": (lambda: compare(samples, y, fusions=SPECS, baselines=BASELINES, n_repeats=SEEDS, **options), 1),
        "loop": (lambda: one_by_one(samples, y, SEEDS, options), 1),
        "torch": (plainly, SEEDS),
    }
    spent: dict[str, list[float]] = {name: [] for name in runs}
    for turn in range(turns):
        for name in in_order(list(runs), turn):
            run, times = runs[name]
            start = time.perf_counter()
            run()
            spent[name].append((time.perf_counter() - start) * times)
    return spent


def shown(values: list[float], digits: int) -> str:
    low, middle, high = values
    return f"{middle:.{digits}f} [{low:.{digits}f}, {high:.{digits}f}]"


def line(name: str, data: Data, threads: int, turns: int, options: dict[str, int]) -> str:
    torch.set_num_threads(threads)
    spent = measure(data, turns, options)
    cells = [shown(quartiles(spent["compare"]), 1)]
    cells += [shown(ratios(spent, way, "compare"), 2) for way in ("loop", "torch")]
    return f"| {name} | {threads} | {' | '.join(cells)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=SIZES, default=list(SIZES))
    parser.add_argument("--threads", nargs="+", type=int, default=[1, 2])
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--quick", action="store_true")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    options = {"max_epochs": 2} if arguments.quick else {}
    turns = 1 if arguments.quick else arguments.turns
    print("| data | threads | `compare`, s | loop / `compare` | loop by torch / `compare` |")
    print("| --- | ---: | ---: | ---: | ---: |")
    for size in ["small"] if arguments.quick else arguments.only:
        name, make = SIZES[size]
        data = make()
        check(*data, {**options, "max_epochs": 2})
        for threads in arguments.threads:
            print(line(name, data, threads, turns, options), flush=True)


if __name__ == "__main__":
    main()
