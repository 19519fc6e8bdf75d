"""Plant each fault in a copy of the source, run its tests, and say which the tests do not see.

python tests/faults/run.py              all faults; exit 1 when one is missed
python tests/faults/run.py mask scale   the faults whose name or file holds one of these words
"""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from every import FAULTS
from fault import Fault

ROOT = Path(__file__).resolve().parents[2]


def planted(fault: Fault, folder: Path) -> str:
    """Plant the fault, run its tests, take the fault out again; return what happened."""
    path = folder / "intermodal" / fault.file
    text = path.read_text("utf-8")
    if text.count(fault.old) != 1:
        return f"STALE: the text stands {text.count(fault.old)} times in {fault.file}"
    path.write_text(text.replace(fault.old, fault.new), "utf-8")
    try:
        code = tested(fault.tests, folder)
    finally:
        path.write_text(text, "utf-8")
    # 1: a test failed. Anything else but 0: pytest itself did not get to run them.
    return {0: "MISSED", 1: "caught"}.get(code, f"BROKEN: pytest ended with {code}")


def tested(tests: str, folder: Path) -> int:
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *tests.split()]
    environment = os.environ | {"PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1", "OMP_NUM_THREADS": "1"}
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True).returncode


def main(words: list[str]) -> int:
    chosen = [f for f in FAULTS if not words or any(w in f.name or w in f.file for w in words)]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        shutil.copytree(
            ROOT / "src" / "intermodal", folder / "intermodal", ignore=shutil.ignore_patterns("__pycache__")
        )
        for tests in sorted({f.tests for f in chosen}):
            if tested(tests, folder) != 0:
                print(f"{tests} fails without any fault: mend it first")
                return 1
        results = []
        for fault in chosen:
            results.append(planted(fault, folder))
            print(f"{results[-1]:8} {fault.file}: {fault.name}", flush=True)
    caught = results.count("caught")
    print(f"{caught} of {len(results)} faults caught")
    return int(caught < len(results))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
