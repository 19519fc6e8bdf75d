"""Is there a place for the result? Asked before any work is done."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from intermodal.errors import InputError

REPORTS = (".html", ".md", ".json", ".txt")
TABLES = (".parquet", ".csv", ".json", ".arrow", ".feather")


def check_file(path: Path | None, suffixes: Sequence[str], *, force: bool) -> None:
    """Raise where a file could not be written.

    Args:
        path: where to; None is nowhere, and fine.
        suffixes: what its name may end in.
        force: a file that is there may be replaced.

    Raises:
        InputError: the suffix is unknown, the folder is absent, or something is there already.

    Example:
        >>> check_file(Path("out.doc"), REPORTS, force=False)
        Traceback (most recent call last):
        ...
        intermodal.errors.InputError: the output must end in one of .html, .md, .json, .txt, however: "out.doc"
    """
    if path is None:
        return
    if path.suffix.lower() not in suffixes:
        raise InputError(f'the output must end in one of {", ".join(suffixes)}, however: "{path}"')
    if not path.parent.is_dir():
        raise InputError(f'the folder of the output must exist, however: "{path.parent}" does not')
    if path.is_dir():
        raise InputError(f'the output is a file, however: "{path}" is a folder')
    if path.exists() and not force:
        raise InputError(f'the output is a new file, however: "{path}" exists; choose another or add --force')


def check_model_folder(path: Path, *, force: bool) -> None:
    """Raise where a model could not be saved.

    Raises:
        InputError: the folder exists and may not, or must not, be overwritten.
    """
    if path.exists() and not force:
        raise InputError(f'a model is saved to a new folder, however: "{path}" exists; choose another or add --force')
    if path.exists() and not (path / "config.json").is_file():
        raise InputError(f'--force overwrites a model only, however: "{path}" holds no config.json')
