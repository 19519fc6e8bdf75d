"""How fast: ours against the other ways to write it and against the floor, as ratios within one run.

    python benchmarks/speed.py                           measure all parts and print the page, about ten minutes
    python benchmarks/speed.py --only forward memory     some of them
    python benchmarks/speed.py --quick                   a smoke run of small sizes, under a minute
    python benchmarks/speed.py --write                   also keep results/speed.json, docs/speed.md and its picture
    python benchmarks/speed.py --page                    write the page and the picture from what is kept

One thread, but for the part about threads. With --write, parts that were not run keep what they had. Without
x-transformers its column says that it is absent: `pip install x-transformers`.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))

import speed_growth
import speed_memory
import speed_pairs
import speed_threads
import torch
from speed_page import page
from speed_picture import picture
from speed_shapes import FLOOR, OURS, SHAPES, check, forwards, steps, ways
from speed_turns import compared, in_turns

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results" / "speed.json"
PAGE = ROOT / "docs" / "speed.md"
PICTURE = ROOT / "docs" / "pictures" / "speed.svg"
BUSY = 0.3
"""Load before the run, by processor, above which the page warns."""


def shapes(kind: str, *, quick: bool, compiled: bool) -> list[dict[str, Any]]:
    """Forward or step of every way on every shape: times, ratios and the peak of memory."""
    found = []
    for shape in (SHAPES[0], SHAPES[5]) if quick else SHAPES:
        torch.manual_seed(0)
        everybody = ways(shape, compiled=compiled)
        x = torch.randn(shape.batch, shape.tokens, shape.width)
        check(everybody, x)
        runs = (forwards if kind == "forward" else steps)(everybody, x)
        seconds = 0.3 if quick else {"forward": 6.0, "step": 10.0}[kind]
        spent = in_turns(runs, seconds, fewest=3 if quick else 7)
        row = {"shape": list(shape), "turns": len(spent[OURS]), "ways": compared(spent, OURS, FLOOR)}
        found.append(row | {"bytes": speed_memory.peaks(runs)})
        print(f"  {shape}: ours over the floor {row['ways'][OURS][FLOOR][1]:.2f}", file=sys.stderr)
    return found


def compare(*, quick: bool) -> dict[str, str]:
    """What many.py prints about `compare` against its own fold-by-fold loop, where it is there."""
    script = ROOT / "benchmarks" / "many.py"
    if not script.exists():
        return {"text": ""}
    command = [sys.executable, str(script), *(["--quick"] if quick else [])]
    return {"text": subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.strip()}


PARTS: dict[str, Callable[..., Any]] = {
    "forward": shapes,
    "step": shapes,
    "memory": speed_memory.measure,
    "growth": speed_growth.measure,
    "cross": speed_pairs.cross,
    "training": speed_pairs.training,
    "compare": compare,
    "shapley": speed_pairs.shapley,
    "start": speed_pairs.start,
    "threads": speed_threads.measure,
}


def measured(part: str, *, quick: bool, compiled: bool) -> dict[str, Any]:
    """One part, with what it was measured on."""
    print(part, file=sys.stderr)
    torch.manual_seed(0)
    torch.set_num_threads(1)
    begun = time.perf_counter()
    options = {"quick": quick} | ({"compiled": compiled} if PARTS[part] is shapes else {})
    found = PARTS[part](part, **options) if PARTS[part] is shapes else PARTS[part](**options)
    return {"commit": commit(), "torch": torch.__version__, "seconds": time.perf_counter() - begun, "found": found}


def commit() -> str:
    """The commit that is checked out, with a + where the package differs from it."""

    def git(*words: str) -> str:
        done = subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True)
        return done.stdout.strip() if done.returncode == 0 else ""

    return git("rev-parse", "--short", "HEAD") + ("+" if git("status", "--porcelain", "--", "src") else "")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS), metavar="PART", help=", ".join(PARTS))
    parser.add_argument("--quick", action="store_true", help="small sizes and few turns: shows the tables, no number")
    parser.add_argument("--compile", action="store_true", help="also torch.compile of the form by hand")
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--page", action="store_true")
    arguments = parser.parse_args()
    if arguments.quick and arguments.write:
        parser.error("a quick run shows no numbers worth keeping: leave out --quick or --write")
    kept = json.loads(RESULTS.read_text("utf-8")) if RESULTS.exists() else {}
    if not arguments.page:
        load = os.getloadavg()[0] / (os.cpu_count() or 1) if hasattr(os, "getloadavg") else 0.0
        found = {
            part: measured(part, quick=arguments.quick, compiled=arguments.compile) | {"busy": load > BUSY}
            for part in arguments.only
        }
        kept = {part: (kept | found)[part] for part in PARTS if part in kept | found} if arguments.write else found
        print(page(kept))
    if arguments.write:
        RESULTS.write_text(lines(kept), encoding="utf-8")
    if arguments.write or arguments.page:
        PAGE.write_text(page(kept) + "\n", encoding="utf-8")
        if {"forward", "step"} <= kept.keys():
            PICTURE.write_text(picture(kept), encoding="utf-8")


def lines(kept: dict[str, Any]) -> str:
    """JSON with a line for each part, so that a difference shows which was measured anew."""
    parts = [f"{json.dumps(part)}: {json.dumps(rounded(found))}" for part, found in kept.items()]
    return "{\n" + ",\n".join(parts) + "\n}\n"


def rounded(found: Any) -> Any:
    """Five significant digits are more than a time holds."""
    if isinstance(found, dict):
        return {key: rounded(value) for key, value in found.items()}
    if isinstance(found, list):
        return [rounded(value) for value in found]
    return float(f"{found:.5g}") if isinstance(found, float) else found


if __name__ == "__main__":
    main()
