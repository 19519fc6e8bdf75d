"""One thread against two, turn by turn in one process that may use every processor of the machine.

    python benchmarks/speed_threads.py            as JSON; `speed.py` starts it so, since it may itself be held to one

Forward and step call a module as it is, with torch's own setting of threads. The training is the estimator's, which
chooses threads for the size of the work within what the user has set.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable

if __name__ == "__main__":  # before torch reads it; and whoever imports this file keeps its own processors
    os.environ.pop("OMP_NUM_THREADS", None)
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, range(os.cpu_count() or 1))

import numpy as np
import torch
from speed_shapes import OURS, SHAPES, forwards, steps, ways
from speed_turns import Run, in_turns, quartiles, ratios

from intermodal.learn.estimators import FusionClassifier


def threaded(run: Run, n: int) -> Run:
    def set_and_run() -> None:
        torch.set_num_threads(n)
        run()

    return set_and_run


def fit(n: int, tokens: int, width: int) -> Callable[[], object]:
    """A short training: three modalities of so many tokens."""
    rng = np.random.default_rng(0)
    shape = (n, width) if tokens == 1 else (n, tokens, width)
    X = {name: rng.normal(size=shape).astype(np.float32) for name in "abc"}
    y = (X["a"].reshape(n, -1)[:, 0] > 0).astype(int)
    model = FusionClassifier(d_model=64, max_epochs=2, patience=2, batch_size=64, n_members=1)
    return lambda: model.fit(X, y)


def cases(quick: bool) -> dict[str, Run]:
    found: dict[str, Run] = {}
    for shape in SHAPES[:2] if quick else (SHAPES[0], SHAPES[-1]):
        ours = {OURS: ways(shape)[OURS]}
        x = torch.randn(shape.batch, shape.tokens, shape.width)
        found[f"{shape}: forward"] = forwards(ours, x)[OURS]
        found[f"{shape}: step"] = steps(ours, x)[OURS]
    found["training, 3 vectors"] = fit(200 if quick else 2000, 1, 32)
    found["training, 3 sequences of 64 tokens"] = fit(64 if quick else 192, 64, 32)
    return found


def child(*, quick: bool) -> dict[str, object]:
    torch.manual_seed(0)
    rows = []
    for what, run in cases(quick).items():
        spent = in_turns({"one": threaded(run, 1), "two": threaded(run, 2)}, 0.2 if quick else 3.0, fewest=3)
        rows.append({"what": what, "one": quartiles(spent["one"]), "ratio": ratios(spent, "two", "one")})
    return {"processors": os.cpu_count(), "rows": rows}


def measure(*, quick: bool) -> dict[str, object]:
    command = [sys.executable, __file__, *(["--quick"] if quick else [])]
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)


if __name__ == "__main__":
    print(json.dumps(child(quick="--quick" in sys.argv)))
