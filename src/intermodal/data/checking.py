"""Every number is looked at once: what is missing, what is odd, and where exactly.

Shape letters: R rows (samples of a vector, or tokens of all sequences), N samples, D width.
"""

from __future__ import annotations

import numpy as np

from intermodal.errors import DataError


def check_rows(
    name: str,
    values: np.ndarray,
    offsets: np.ndarray | None,
    keep: np.ndarray,
    columns: tuple[str, ...] | None,
    nan: str,
) -> np.ndarray:
    """Return which rows are there: those of `keep` that are not wholly NaN.

    Shape:
        values `(R, D)`; offsets `(N + 1,)` for sequences; keep `(R,)`; the result `(R,)`.

    Raises:
        DataError: an infinite value in a kept row, or (unless `nan` is "impute") a NaN beside numbers.

    Example:
        >>> import numpy as np
        >>> rows = np.array([[1.0, 2.0], [np.nan, np.nan]])
        >>> check_rows("text", rows, None, np.ones(2, dtype=bool), None, "error").tolist()
        [True, False]
    """
    finite = np.isfinite(values)
    if finite.all():
        return keep
    odd = np.flatnonzero(keep & ~finite.all(axis=1))
    holes = np.isnan(values[odd])
    endless = np.argwhere(np.isinf(values[odd]))
    if len(endless):
        row, column = odd[endless[0][0]], endless[0][1]
        raise DataError(
            f"values must be finite, however: {_place(name, row, offsets)} holds {values[row, column]} "
            f"in {_column(column, columns)}"
        )
    whole = holes.all(axis=1)
    partial = np.flatnonzero(~whole)
    if len(partial) and nan == "error":
        row, column = odd[partial[0]], int(np.argmax(holes[partial[0]]))
        raise DataError(
            f"a vector must be wholly NaN (missing) or free of NaN, however: {_place(name, row, offsets)} "
            f'holds NaN in {_column(column, columns)}; choose nan="impute" to have such places filled'
        )
    kept = keep.copy()
    kept[odd[whole]] = False
    return kept


def _place(name: str, row: int, offsets: np.ndarray | None) -> str:
    if offsets is None:
        return f'sample {row} of modality "{name}"'
    sample = int(np.searchsorted(offsets, row, side="right")) - 1
    return f'token {row - offsets[sample]} of sample {sample} of modality "{name}"'


def _column(column: int, columns: tuple[str, ...] | None) -> str:
    return f"column {column}" if columns is None else f'column "{columns[column]}"'
