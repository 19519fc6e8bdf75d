"""Planting faults takes minutes: `python tests/faults/run.py` does it. The table alone is checked with the tests."""

collect_ignore = ["run.py", "faults.py"]
