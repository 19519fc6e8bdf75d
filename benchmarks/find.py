"""Moments, retrieval, recommendation, captions and the index: every number of the finding part, one table a part.

    python benchmarks/find.py                        all parts, about an hour of one core
    python benchmarks/find.py --quick                small runs that show the tables, minutes
    python benchmarks/find.py --only moments scale   some of them
    python benchmarks/find.py --write                keep them in results/find and write docs/finding_measured.md

Each part is a script of its own, `benchmarks/find_PART.py`, with more options.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
RESULTS = HERE / "results" / "find"
PAGE = HERE.parent / "docs" / "finding_measured.md"
PARTS = {
    "moments": "When does it happen: videos of handwritten digits",
    "charades": "When does it happen: Charades-STA",
    "retrieval": "Which clip fits: digits and Wikipedia",
    "recommendation": "What to watch next: reviews and histories",
    "captions": "Say it in words: captions of digits",
    "scale": "The index at 100,000 clips",
}


def run(part: str, options: list[str]) -> tuple[str, float]:
    """Run one part; its table as text, and the seconds it took."""
    started = time.perf_counter()
    command = [sys.executable, str(HERE / f"find_{part}.py"), *options]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True)
    if done.returncode:
        raise SystemExit(f"find_{part}.py ended with {done.returncode}")
    return done.stdout.strip(), time.perf_counter() - started


def keep(part: str, table: str) -> None:
    """Keep a table with the commit it was measured at, so that parts may be run at different times."""
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, cwd=HERE).stdout
    RESULTS.mkdir(parents=True, exist_ok=True)
    (RESULTS / f"{part}.txt").write_text(f"at commit {commit.strip()}\n\n{table}\n", encoding="utf-8")


def page() -> str:
    """All tables that are kept, as a page."""
    lines = ["# Finding, measured", "", "Written by `python benchmarks/find.py --write`."]
    lines += ["What is counted how: [finding.md](finding.md).", ""]
    for part, title in PARTS.items():
        kept = RESULTS / f"{part}.txt"
        if kept.is_file():
            commit, _, table = kept.read_text(encoding="utf-8").partition("\n\n")
            lines += [f"## {title}", "", f"`python benchmarks/find_{part}.py`, {commit}.", ""]
            lines += ["```text", table.rstrip(), "```", ""]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    passed = ["--quick"] * options.quick + ["--write"] * options.write
    for part in options.only:
        print(f"\n{PARTS[part]}\n{'=' * len(PARTS[part])}", flush=True)
        table, seconds = run(part, passed)
        print(f"{table}\n({seconds:.0f} s)", flush=True)
        if options.write and not options.quick:
            keep(part, table)
            PAGE.write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
