"""Plant each fault in a copy of the source, run its tests, and say which the tests do not see.

python tests/faults/run.py              all faults; exit 1 when one is missed
python tests/faults/run.py mask scale   the faults whose name or file holds one of these words
"""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

from every import FAULTS
from fault import Fault

ROOT = Path(__file__).resolve().parents[2]
TO_BUILD = ("setup.py", "pyproject.toml", "README.md", "LICENSE", "NOTICE")


def planted(fault: Fault, folder: Path) -> str:
    """Plant the fault, run its tests, take the fault out again; return what happened."""
    path = folder / "src" / "intermodal" / fault.file
    text = path.read_text("utf-8")
    if text.count(fault.old) != 1:
        return f"STALE: the text stands {text.count(fault.old)} times in {fault.file}"
    compiled = {p: p.read_bytes() for p in folder.glob("src/intermodal/kernel/*.so")} if path.suffix != ".py" else {}
    path.write_text(text.replace(fault.old, fault.new), "utf-8")
    try:
        if compiled and not built(folder, compiled):
            return "BROKEN: it does not compile"
        code = tested(fault.tests, folder)
    finally:
        path.write_text(text, "utf-8")
        for library, content in compiled.items():
            library.write_bytes(content)
    # 1: a test failed. Anything else but 0: pytest itself did not get to run them.
    return {0: "MISSED", 1: "caught"}.get(code, f"BROKEN: pytest ended with {code}")


def built(folder: Path, libraries: Iterable[Path]) -> bool:
    """Build the compiled parts again, those whose source changed; tell whether all are there."""
    for library in libraries:
        library.unlink()
    command = [sys.executable, "setup.py", "-q", "build_ext", "--inplace"]
    subprocess.run(command, cwd=folder, capture_output=True)
    return all(library.exists() for library in libraries)


def tested(tests: str, folder: Path) -> int:
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *tests.split()]
    environment = os.environ | {
        "PYTHONPATH": str(folder / "src"),
        "PYTHONDONTWRITEBYTECODE": "1",
        "OMP_NUM_THREADS": "1",
    }
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True).returncode


def main(words: list[str]) -> int:
    chosen = [f for f in FAULTS if not words or any(w in f.name or w in f.file for w in words)]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        shutil.copytree(
            ROOT / "src" / "intermodal", folder / "src" / "intermodal", ignore=shutil.ignore_patterns("__pycache__")
        )
        for needed in TO_BUILD:
            shutil.copy(ROOT / needed, folder)
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
