"""Read samples from a file, by its suffix."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from intermodal.data.packing import Nan
from intermodal.data.samples import Samples
from intermodal.errors import DataError, DataWarning, did_you_mean

_KINDS = {
    ".npz": "an npz",
    ".parquet": "a Parquet file",
    ".pq": "a Parquet file",
    ".arrow": "an Arrow file",
    ".feather": "an Arrow file",
    ".ipc": "an Arrow file",
    ".csv": "a CSV file",
}


def read(
    path: str | PathLike[str],
    *,
    target: str | None = None,
    group: str | None = None,
    split: str | None = "split",
    nan: Nan = "error",
    only: Sequence[str] | None = None,
    labelled: bool = True,
) -> Samples:
    """Read samples from `.npz`, `.parquet`, `.arrow`, `.feather`, `.ipc` or `.csv`.

    Nothing is ever unpickled.

    Args:
        path: the file.
        target: the key or column to predict; None takes `y` where there is one.
        group: the key or column that says what must stay together when data are split.
        split: the key or column with "train", "valid", "test", where there is one; None looks for none.
        nan: "error" refuses a NaN inside a vector; "impute" keeps it for the model to fill.
        only: the modalities to keep; None keeps all.
        labelled: leave out samples whose target is missing, with a `DataWarning` that says how many; False keeps every
            sample, and a target that is not there is no error.

    Raises:
        DataError: the file is absent, damaged or empty, or a name is not in it.

    Example:
        >>> import tempfile, numpy as np
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     np.savez(f"{folder}/some.npz", text=np.ones((3, 5)), y=[0, 1, 1])
        ...     read(f"{folder}/some.npz")
        Samples(3 samples, 1 modality, y: 2 values)
          text  vector of 5
    """
    file = existing_file(Path(path))
    if file.suffix.lower() == ".npz":
        from intermodal.data.npz import open_npz, samples_from_arrays

        arrays = open_npz(file)
        target = target if labelled or target in arrays else None
        samples = samples_from_arrays(arrays, target=target, group=group, split=split, nan=nan, only=only)
    else:
        from intermodal.data.tables import samples_from_table

        table = open_table(file)
        target = target if labelled or target in table.column_names else None
        samples = samples_from_table(table, target=target, group=group, split=split, nan=nan)
        samples = samples if only is None else samples.only(*only)
    return _labelled(samples) if labelled else samples


def existing_file(path: Path) -> Path:
    """Return the path of a file that could be read.

    Raises:
        DataError: the suffix is unknown, or there is no such file, or it is empty.
    """
    if path.suffix.lower() not in _KINDS:
        raise DataError(f'the file must end in one of {", ".join(_KINDS)}, however: "{path}"')
    if not path.exists():
        near = [p.name for p in path.parent.iterdir()] if path.parent.is_dir() else []
        raise DataError(f'the file must exist, however: "{path}" does not{did_you_mean(path.name, near[:1000])}')
    if not path.is_file():
        raise DataError(f'the path must be that of a file, however: "{path}" is a folder')
    if path.stat().st_size == 0:
        raise DataError(f'the file must hold data, however: "{path}" is empty')
    return path


def open_table(path: Path) -> Any:
    """Return the Arrow table in a file, proven whole: a damaged offset would be followed out of memory.

    Raises:
        DataError: the file is damaged or something else.
    """
    import pyarrow as pa

    try:
        table = _arrow_table(path)
        table.validate(full=True)
        for name in table.column_names:  # raises where a name is no UTF-8
            assert isinstance(name, str)
        return table
    except (pa.ArrowException, OSError, UnicodeDecodeError):
        raise DataError(
            f"the file must be {_KINDS[path.suffix.lower()]} that can be read, however: "
            f'"{path}" is damaged or something else'
        ) from None


def _arrow_table(path: Path) -> Any:
    if path.suffix.lower() in (".parquet", ".pq"):
        import pyarrow.parquet

        with path.open("rb") as file:
            return pyarrow.parquet.ParquetFile(file).read()
    if path.suffix.lower() == ".csv":
        import pyarrow.csv

        empty_is_null = pyarrow.csv.ConvertOptions(strings_can_be_null=True)
        return pyarrow.csv.read_csv(path, convert_options=empty_is_null)
    import pyarrow.feather

    return pyarrow.feather.read_table(path, memory_map=False)


def _labelled(samples: Samples) -> Samples:
    """Return the samples that have a target."""
    y = samples.y
    if y is None or y.dtype.kind not in "fO":
        return samples
    holes = np.vectorize(lambda v: v is None or v != v)(y) if y.dtype == object else np.isnan(y)
    absent: np.ndarray = holes.reshape(len(y), -1).any(axis=1)
    if not absent.any():
        return samples
    label = samples.target or "y"
    if absent.all():
        raise DataError(f'the target must be there for some samples, however: "{label}" is missing in all')
    warnings.warn(
        f'{int(absent.sum())} of {len(samples)} samples have no target "{label}" and are left out',
        DataWarning,
        stacklevel=3,
    )
    kept = samples[~absent]
    return kept.with_y(kept.y, target=samples.target)
