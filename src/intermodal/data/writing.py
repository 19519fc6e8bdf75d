"""Write a table of results, by its suffix: whole or not at all."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from intermodal.errors import DataError


def write_table(path: str | PathLike[str], columns: Mapping[str, Any]) -> Path:
    """Write columns of equal length to `.parquet`, `.arrow`, `.feather`, `.csv` or `.json`.

    The file is written beside its place and then renamed, so that a broken run leaves the old file or none.

    Args:
        path: where to.
        columns: name -> `(N,)`, or `(N, K)` which becomes a column of lists (not in CSV). In JSON a row is an
            object, and NaN is null.

    Returns:
        The path.

    Raises:
        DataError: the suffix is unknown, the folder is absent, or the columns differ in length.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     write_table(f"{folder}/out.json", {"id": ["a", "b"], "p": [0.25, 0.75]}).read_text()
        '[{"id": "a", "p": 0.25},\\n {"id": "b", "p": 0.75}]\\n'
    """
    path = Path(path)
    writer = _WRITERS.get(path.suffix.lower())
    if writer is None:
        raise DataError(f'the file must end in one of {", ".join(_WRITERS)}, however: "{path}"')
    if not path.parent.is_dir():
        raise DataError(f'the folder must exist, however: "{path.parent}" does not')
    if path.is_dir():
        raise DataError(f'the path must be that of a file, however: "{path}" is a folder')
    arrays = {name: np.asarray(values) for name, values in columns.items()}
    _check(arrays)
    beside = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        writer(beside, arrays)
        os.replace(beside, path)
    finally:
        beside.unlink(missing_ok=True)
    return path


def _check(arrays: dict[str, np.ndarray]) -> None:
    if not arrays:
        raise DataError("a table must have at least one column, however: there is none")
    for name, array in arrays.items():
        if array.ndim not in (1, 2):
            raise DataError(f'a column must be (N,) or (N, K), however: "{name}" has the shape {array.shape}')
    (first, model), *rest = arrays.items()
    for name, array in rest:
        if len(array) != len(model):
            raise DataError(
                f'all columns must have the same length, however: "{first}" has {len(model)}, "{name}" has {len(array)}'
            )


def _arrow(arrays: dict[str, np.ndarray]) -> Any:
    import pyarrow as pa

    return pa.table({n: pa.array(a if a.ndim == 1 else a.tolist()) for n, a in arrays.items()})


def _write_parquet(path: Path, arrays: dict[str, np.ndarray]) -> None:
    import pyarrow.parquet

    pyarrow.parquet.write_table(_arrow(arrays), path)


def _write_feather(path: Path, arrays: dict[str, np.ndarray]) -> None:
    import pyarrow.feather

    pyarrow.feather.write_feather(_arrow(arrays), str(path))


def _write_csv(path: Path, arrays: dict[str, np.ndarray]) -> None:
    import pyarrow.csv

    wide = [name for name, array in arrays.items() if array.ndim == 2]
    if wide:
        raise DataError(f'a column of a CSV file must be (N,), however: "{wide[0]}" is (N, K); write .parquet')
    pyarrow.csv.write_csv(_arrow(arrays), path)


def _write_json(path: Path, arrays: dict[str, np.ndarray]) -> None:
    columns = [_without_nan(array.tolist()) for array in arrays.values()]
    rows = [
        json.dumps(dict(zip(arrays, row, strict=True)), ensure_ascii=False, allow_nan=False)
        for row in zip(*columns, strict=True)
    ]
    path.write_text("[" + ",\n ".join(rows) + "]\n", encoding="utf-8")


def _without_nan(value: Any) -> Any:
    if isinstance(value, list):
        return [_without_nan(v) for v in value]
    return None if isinstance(value, float) and not np.isfinite(value) else value


_WRITERS: dict[str, Callable[[Path, dict[str, np.ndarray]], None]] = {
    ".parquet": _write_parquet,
    ".arrow": _write_feather,
    ".feather": _write_feather,
    ".csv": _write_csv,
    ".json": _write_json,
}
