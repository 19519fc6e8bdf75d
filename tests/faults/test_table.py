"""Every fault can still be planted: a table that went stale would catch nothing."""

import sys
from importlib import import_module
from pathlib import Path

HERE = Path(__file__).parent
SOURCE = HERE.parents[1] / "src" / "intermodal"
sys.path.insert(0, str(HERE))  # as `python tests/faults/run.py` has it
FAULTS = import_module("every").FAULTS
sys.path.remove(str(HERE))


def test_the_text_of_every_fault_stands_in_its_file_once() -> None:
    stale = [f"{f.file}: {f.name}" for f in FAULTS if (SOURCE / f.file).read_text("utf-8").count(f.old) != 1]
    assert stale == []


def test_every_fault_changes_something_and_leaves_python() -> None:
    for fault in FAULTS:
        text = (SOURCE / fault.file).read_text("utf-8").replace(fault.old, fault.new)
        assert fault.old != fault.new
        if fault.file.endswith(".py"):
            compile(text, fault.file, "exec")


def test_every_fault_has_a_name_and_tests_that_exist() -> None:
    assert len({(f.file, f.name) for f in FAULTS}) == len(FAULTS)
    assert all((HERE.parents[1] / tests).exists() for f in FAULTS for tests in f.tests.split())
