"""From tables (pandas, polars, Arrow) to samples: a row is a sample.

A column of lists is a vector, a column of lists of lists a sequence, null is missing. Scalar columns
`clinical.age`, `clinical.sex` form the modality `clinical`; scalar columns without a dot form `table`.
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from intermodal.data.modality import Modality
from intermodal.data.packing import Nan, pack, whole_as_float
from intermodal.data.samples import Samples
from intermodal.errors import DataError, DataWarning, did_you_mean

if TYPE_CHECKING:
    import pyarrow as pa

ID_NAMES = ("id", "ids", "sample_id")


def samples_from_table(
    table: Any,
    *,
    target: str | None = None,
    group: str | None = None,
    split: str | None = "split",
    nan: Nan = "error",
) -> Samples:
    """Return the rows of a table as samples.

    Columns that are not features: the target, the group, `split`, `id`, and other targets (`y`, `y_...`).

    Args:
        table: a DataFrame (pandas, polars) or an Arrow table.
        target: the column to predict; None takes `y` where there is one.
        group: the column that says what must stay together.
        split: the column with "train", "valid", "test", where there is one; None looks for none.
        nan: what to do with a null inside a vector, as in `Samples`.

    Returns:
        Samples. Text columns become one column of 0 and 1 per text, `sex=F`; a null text is 0 in all of them.

    Raises:
        DataError: a named column is absent, a column cannot be used, or the rows contradict each other.

    Example:
        >>> import pyarrow as pa
        >>> rows = {"text": [[1.0, 2.0], None], "clinical.age": [71, 53], "clinical.sex": ["F", "M"], "y": [0, 1]}
        >>> samples = samples_from_table(pa.table(rows))
        >>> samples.names, samples.modality("clinical").columns, samples.y.tolist()
        (('text', 'clinical'), ('age', 'sex=F', 'sex=M'), [0, 1])
    """
    columns, ids = _columns(table)
    scalars = [name for name, column in columns.items() if not _is_nested(column)]
    target = _role("target", target, "y", scalars)
    group = _role("group", group, None, scalars)
    split = _role("split", None if split == "split" else split, split, scalars)
    for name in ID_NAMES:
        if name in scalars:
            ids = _plain(name, columns[name])
            break
    aside = {target, group, split, "y", "split", *ID_NAMES}
    features = {
        name: column
        for name, column in columns.items()
        if not (name in scalars and (name in aside or name.startswith("y_")))
    }
    if not features:
        raise DataError(f"a table must have at least one column of features, however: {list(columns)}")
    return Samples(
        _modalities(features, nan),
        y=None if target is None else _plain(target, columns[target]),
        groups=None if group is None else _plain(group, columns[group]),
        split=None if split is None else _plain(split, columns[split]),
        ids=ids,
        target=target,
        nan=nan,
    )


def _role(role: str, asked: str | None, usual: str | None, scalars: list[str]) -> str | None:
    """Return the column that plays a role: the one asked for, or the usual one where it is there."""
    if asked is None:
        return usual if usual in scalars else None
    if asked not in scalars:
        raise DataError(f'{role} must be one of the columns, however: "{asked}" is not{did_you_mean(asked, scalars)}')
    return asked


def _columns(table: Any) -> tuple[dict[str, Any], np.ndarray | None]:
    """Return name -> Arrow column (or a list of arrays, which Arrow cannot hold), and the ids if rows have some."""
    import pyarrow as pa

    names = list(table.schema.names if isinstance(table, pa.Table | pa.RecordBatch) else table.columns)
    _check_column_names(names)
    ids = None
    if isinstance(table, pa.Table | pa.RecordBatch):
        columns = {name: table.column(name) for name in names}
    elif hasattr(table, "to_arrow"):
        arrow = table.to_arrow()
        columns = {name: arrow.column(name) for name in names}
    else:
        columns = {name: _pandas_column(name, table[name]) for name in names}
        if type(table.index).__name__ != "RangeIndex":
            ids = table.index.to_numpy()
            ids = ids if ids.dtype.kind in "iufUM" else ids.astype(str)
    if len(table) == 0:
        raise DataError("a table must have at least one row, however: it has none")
    return columns, ids


def _check_column_names(names: list[Any]) -> None:
    odd = [name for name in names if not isinstance(name, str) or not name]
    if odd:
        raise DataError(
            f"a column must be named by a text, however: the name is {odd[0]!r}; "
            "write table.columns = [str(c) for c in table.columns]"
        )
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise DataError(f'column names must differ, however: "{twice[0]}" is there {names.count(twice[0])} times')


def _pandas_column(name: str, series: Any) -> Any:
    import pyarrow as pa

    if series.dtype == object:
        there = series[series.notna()]
        if len(there) and not isinstance(there.iloc[0], str) and hasattr(there.iloc[0], "__len__"):
            return [item if ok else None for item, ok in zip(series, series.notna(), strict=True)]
    try:
        return pa.chunked_array([pa.array(series, from_pandas=True)])
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError):
        raise DataError(
            f'a column must hold one kind of value, however: "{name}" mixes several (dtype {series.dtype})'
        ) from None


def _modalities(features: dict[str, Any], nan: Nan) -> dict[str, Any]:
    """Return nested columns as they are, and scalar columns gathered by what stands before the dot."""
    found: dict[str, Any] = {}
    scalars: dict[str, dict[str, Any]] = {}
    for name, column in features.items():
        if _is_nested(column):
            if name in scalars:
                raise _clash(name)
            found[name] = column if isinstance(column, list) else _from_lists(name, _one(column))
            continue
        modality, dot, label = name.partition(".")
        modality, label = (modality, label) if dot and modality and label else ("table", name)
        if modality in found and modality not in scalars:
            raise _clash(modality)
        scalars.setdefault(modality, {})[label] = column
        found.setdefault(modality, None)
    for modality, columns in scalars.items():
        packed = _from_scalars(modality, columns, nan)
        if packed is None:
            del found[modality]
        else:
            found[modality] = packed
    return found


def _clash(name: str) -> DataError:
    return DataError(f'modality names must differ, however: "{name}" is both a column of lists and scalar columns')


def _from_scalars(modality: str, columns: dict[str, Any], nan: Nan) -> Modality | None:
    """Return scalar columns as one vector per row; a row with null in all of them is missing."""
    import pyarrow.types as kinds

    blocks: list[np.ndarray] = []
    names: list[str] = []
    absent: list[np.ndarray] = []
    for label, column in columns.items():
        array = _decoded(_one(column))
        if kinds.is_null(array.type):
            warnings.warn(f'column "{label}" is null in every row and is left out', DataWarning, stacklevel=5)
        elif _is_text(array.type):
            labels, block = _one_hot(label, array)
            names += labels
            blocks.append(block)
            absent.append(array.is_null().to_numpy(zero_copy_only=False))
        else:
            names.append(label)
            blocks.append(_numbers(label, array)[:, None])
            absent.append(np.isnan(blocks[-1][:, 0]))
    if not names:
        return None
    values = np.concatenate(blocks, axis=1)
    return pack(modality, values, columns=names, present=~np.logical_and.reduce(absent), nan=nan)


def _one_hot(label: str, array: pa.Array) -> tuple[list[str], np.ndarray]:
    """Return the names `label=text`, sorted, and 0/1 columns; none where the texts are names or free text."""
    encoded = array.dictionary_encode()
    texts = [str(t) for t in encoded.dictionary.to_pylist()]
    if len(texts) > 20 and 2 * len(texts) > len(array):
        warnings.warn(
            f'column "{label}" holds {len(texts)} different texts in {len(array)} rows, '
            "which is a name or free text and no category, and is left out",
            DataWarning,
            stacklevel=6,
        )
        return [], np.zeros((len(array), 0), dtype=np.float32)
    order = np.argsort(texts, kind="stable")
    codes = encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False)
    block = (codes[:, None] == order[None, :]).astype(np.float32)
    return [f"{label}={texts[i]}" for i in order], block


def _from_lists(name: str, array: pa.Array) -> Modality:
    """Return a column of lists (vectors) or of lists of lists (sequences), without a Python loop over rows."""
    import pyarrow.compute as pc

    there = pc.list_value_length(array).fill_null(0).to_numpy(zero_copy_only=False).astype(np.int64)
    inner = pc.list_flatten(array)
    if not _is_list(inner.type):
        present = there > 0
        return _shaped(name, inner, there, present, offsets=None)
    widths = pc.list_value_length(inner).fill_null(0).to_numpy(zero_copy_only=False).astype(np.int64)
    numbers = pc.list_flatten(inner)
    if _is_list(numbers.type):
        raise DataError(f'a column must hold lists of numbers or lists of lists, however: "{name}" nests deeper')
    return _shaped(name, numbers, widths, there > 0, offsets=np.concatenate(([0], np.cumsum(there))))


def _shaped(
    name: str, numbers: pa.Array, widths: np.ndarray, present: np.ndarray, offsets: np.ndarray | None
) -> Modality:
    """Put the numbers of all rows into `(rows, D)`; a row of width 0 is missing."""
    rows = np.flatnonzero(widths)
    sizes = np.unique(widths[rows])
    if len(sizes) == 0:
        raise DataError(f'a column must hold at least one number, however: "{name}" is null or empty in every row')
    if len(sizes) > 1:
        other = rows[np.argmax(widths[rows] != widths[rows[0]])]
        what = "row" if offsets is None else "token"
        raise DataError(
            f'all lists of column "{name}" must have one width, however: '
            f"{what} {rows[0]} has {widths[rows[0]]}, {what} {other} has {widths[other]}"
        )
    flat = _numbers(name, numbers)
    width = int(sizes[0])
    if len(rows) == len(widths):
        values = flat.reshape(-1, width)
    else:
        values = np.zeros((len(widths), width), dtype=flat.dtype)
        values[rows] = flat.reshape(-1, width)
    tokens = None if offsets is None else widths > 0
    return Modality(name, "vector" if offsets is None else "sequence", width, values, offsets, present, tokens)


def _numbers(name: str, array: pa.Array) -> np.ndarray:
    """Return numbers and bools as floats; null becomes NaN."""
    import pyarrow as pa
    import pyarrow.types as kinds

    kind = array.type
    if kinds.is_boolean(kind) or kinds.is_float16(kind):
        array = array.cast(pa.int8()).cast(pa.float32()) if kinds.is_boolean(kind) else array.cast(pa.float32())
    elif kinds.is_decimal(kind):
        array = array.cast(pa.float64())
    elif not (kinds.is_integer(kind) or kinds.is_floating(kind)):
        raise DataError(
            f'a column of features must hold numbers, bools or texts, however: "{name}" holds {kind}; '
            "turn it into a number or leave it out"
        )
    values: np.ndarray = array.to_numpy(zero_copy_only=False)
    if values.dtype.kind == "f":
        return values
    return whole_as_float(values)


def _plain(name: str, column: Any) -> np.ndarray:
    """Return a scalar column as it is; null becomes NaN among numbers and None among texts."""
    array = _decoded(_one(column))
    values: np.ndarray = array.to_numpy(zero_copy_only=False)
    return values


def _one(column: Any) -> pa.Array:
    """Return one Arrow array for a column in chunks, without its extension type."""
    import pyarrow as pa

    if isinstance(column, pa.ChunkedArray):
        column = column.chunk(0) if column.num_chunks == 1 else pa.concat_arrays(column.chunks)
    return column.storage if isinstance(column, pa.ExtensionArray) else column


def _decoded(array: pa.Array) -> pa.Array:
    import pyarrow.types as kinds

    return array.dictionary_decode() if kinds.is_dictionary(array.type) else array


def _is_nested(column: Any) -> bool:
    import pyarrow as pa

    if isinstance(column, list):
        return True
    kind = column.type
    return _is_list(kind.storage_type if isinstance(kind, pa.BaseExtensionType) else kind)


def _is_list(kind: pa.DataType) -> bool:
    import pyarrow.types as kinds

    return bool(kinds.is_list(kind) or kinds.is_large_list(kind) or kinds.is_fixed_size_list(kind))


def _is_text(kind: pa.DataType) -> bool:
    import pyarrow.types as kinds

    view = getattr(kinds, "is_string_view", lambda _: False)
    return bool(kinds.is_string(kind) or kinds.is_large_string(kind) or view(kind))
