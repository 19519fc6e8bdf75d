"""One planted fault, and how a table of them is written."""

from typing import NamedTuple


class Fault(NamedTuple):
    """One planted slip."""

    name: str
    file: str
    old: str
    new: str
    tests: str


def group(file: str, tests: str, *rows: tuple[str, str, str]) -> list[Fault]:
    return [Fault(name, file, old, new, tests) for name, old, new in rows]
