"""Planting faults takes minutes: `python tests/faults/run.py` does it. The table alone is checked with the tests."""

collect_ignore_glob = ["run.py", "every.py", "fault*.py"]
