"""The one carrier of data: samples with several modalities, checked once, then sliced at will."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from types import EllipsisType
from typing import Any

import numpy as np

from intermodal.data.alongside import split_parts, values_per_sample
from intermodal.data.modality import Modality
from intermodal.data.packing import Nan, pack
from intermodal.errors import DataError, DataWarning, did_you_mean

__all__ = ["Modality", "Samples"]

Rows = int | slice | list[int] | list[bool] | np.ndarray | tuple[Any, EllipsisType]


class Samples:
    """N samples, each with several modalities; each modality one vector or a sequence, or missing.

    Everything is checked when it is made; nothing can be changed after. It can be given as `X` to scikit-learn's
    own tools (`cross_val_score`, `train_test_split`, `GridSearchCV`).

    Args:
        modalities: name -> array `(N, D)` or `(N, T, D)`, or a list of N arrays `(D,)` or `(T_i, D)` with None
            where the modality is missing, or a `Modality`.
        y: what to predict, `(N,)` or `(N, K)`.
        groups: what must stay together when data are split, `(N,)`: a patient, a video.
        split: "train", "valid" or "test" for each sample, `(N,)`.
        ids: what to call each sample, `(N,)`.
        target: the name of y.
        nan: "error" refuses a NaN inside a vector; "impute" keeps it for the model to fill.

    A list of nothing but None is left out with a `DataWarning`.

    Raises:
        DataError: the modalities contradict each other, or hold something other than finite numbers.

    Example:
        >>> import numpy as np
        >>> samples = Samples(
        ...     {"text": np.ones((3, 5)), "audio": [np.ones((7, 2)), None, np.ones((11, 2))]}, y=[0, 1, 0]
        ... )
        >>> samples
        Samples(3 samples, 2 modalities, y: 2 values)
          text   vector of 5
          audio  sequence of 7 to 11 x 2, 1 of 3 missing
        >>> samples[samples.y == 0].modality("audio").lengths.tolist()
        [7, 11]
    """

    def __init__(
        self,
        modalities: Mapping[str, Any],
        *,
        y: Any = None,
        groups: Any = None,
        split: Any = None,
        ids: Any = None,
        target: str | None = None,
        nan: Nan = "error",
    ) -> None:
        _check_names(modalities)
        modalities = _leave_out_empty(modalities)
        packed = {name: pack(name, content, nan=nan) for name, content in modalities.items()}
        n = _one_count(packed)
        self._set(
            packed,
            n,
            values_per_sample("y", y, n),
            values_per_sample("groups", groups, n, axes=(1,)),
            split_parts(split, n),
            values_per_sample("ids", ids, n, axes=(1,)),
            target,
        )

    def _set(
        self,
        modalities: dict[str, Modality],
        n: int,
        y: np.ndarray | None,
        groups: np.ndarray | None,
        split: np.ndarray | None,
        ids: np.ndarray | None,
        target: str | None,
    ) -> Samples:
        self._modalities = modalities
        self._n = n
        self._y, self._groups, self._split, self._ids = y, groups, split, ids
        self._target = target
        return self

    @classmethod
    def of(cls, X: Any, *, nan: Nan = "error") -> Samples:
        """Return `X` as samples, whatever it came as.

        Args:
            X: samples (returned as they are), a mapping, a DataFrame (pandas, polars), an Arrow table, or a plain
                `(N, D)` array, which becomes the one modality "table".
            nan: what to do with a NaN inside a vector, as in `Samples`.

        Example:
            >>> import numpy as np
            >>> Samples.of(np.ones((5, 3))).names
            ('table',)
        """
        if isinstance(X, Samples):
            return X
        if isinstance(X, Mapping):
            return cls(X, nan=nan)
        if (hasattr(X, "columns") and hasattr(X, "to_numpy")) or type(X).__module__.startswith("pyarrow"):
            from intermodal.data.tables import samples_from_table

            from_table: Samples = samples_from_table(X, nan=nan)
            return from_table
        if isinstance(X, str | bytes) or not hasattr(X, "__len__"):
            raise DataError(
                "samples must be a mapping name -> array, a DataFrame, an Arrow table, Samples or a 2-D array, "
                f"however: the type is {type(X).__name__}"
            )
        return cls({"table": X}, nan=nan)

    # What is there

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the modalities, in the user's order."""
        return tuple(self._modalities)

    @property
    def shape(self) -> tuple[int, int]:
        """Samples and modalities, `(N, M)`."""
        return self._n, len(self._modalities)

    @property
    def y(self) -> np.ndarray | None:
        """What to predict, `(N,)` or `(N, K)`, or None."""
        return self._y

    @property
    def groups(self) -> np.ndarray | None:
        """What must stay together when data are split, `(N,)`, or None."""
        return self._groups

    @property
    def split(self) -> np.ndarray | None:
        """The part of each sample, "train", "valid" or "test", `(N,)`, or None."""
        return self._split

    @property
    def ids(self) -> np.ndarray | None:
        """What each sample is called, `(N,)`, or None."""
        return self._ids

    @property
    def target(self) -> str | None:
        """The name of y, where it has one."""
        return self._target

    @property
    def has_nan(self) -> bool:
        """Whether a NaN is left inside some vector, for the model to impute."""
        return any(m.has_nan for m in self._modalities.values())

    def modality(self, name: str) -> Modality:
        """Return one modality by its name.

        Raises:
            DataError: there is none of that name; the nearest is suggested.
        """
        try:
            return self._modalities[name]
        except (KeyError, TypeError):
            raise DataError(
                f"name must be a modality of these samples, however: {name=}{did_you_mean(str(name), self.names)}"
            ) from None

    # Parts of it

    def only(self, *names: str) -> Samples:
        """Return the samples with these modalities alone, in this order."""
        if not names or len(set(names)) != len(names):
            raise DataError(f"only() must be given one or more different names, however: {names=}")
        return self._like({name: self.modality(name) for name in names})

    def without(self, *names: str) -> Samples:
        """Return the samples without these modalities; at least one must remain."""
        dropped = {self.modality(name).name for name in names}
        rest = {name: m for name, m in self._modalities.items() if name not in dropped}
        if not rest:
            raise DataError(f"at least one modality must remain, however: without() was given all, {names=}")
        return self._like(rest)

    def with_y(self, y: Any, *, target: str | None = None) -> Samples:
        """Return the samples with another `y`, `(N,)` or `(N, K)`; None takes it away."""
        checked = values_per_sample("y", y, self._n)
        return self._bare()._set(self._modalities, self._n, checked, self._groups, self._split, self._ids, target)

    def _like(self, modalities: dict[str, Modality]) -> Samples:
        return self._bare()._set(modalities, self._n, self._y, self._groups, self._split, self._ids, self._target)

    def _bare(self) -> Samples:
        return Samples.__new__(Samples)

    def __len__(self) -> int:
        return self._n

    def __getitem__(self, rows: Rows) -> Samples:
        """Return the samples at a position, a slice, an array of positions or an array of bools."""
        key = rows_of(rows, self._n)
        taken = {name: m.take(key) for name, m in self._modalities.items()}
        n = len(next(iter(taken.values())))

        def part(a: np.ndarray | None) -> np.ndarray | None:
            if a is None:
                return None
            cut = a[key]
            cut.flags.writeable = False
            return cut

        return self._bare()._set(
            taken, n, part(self._y), part(self._groups), part(self._split), part(self._ids), self._target
        )

    def __array__(self, *args: Any, **kwargs: Any) -> np.ndarray:
        raise TypeError(
            "samples with several modalities are not one array, so they cannot be made into one; "
            'take one with samples.modality("name").values'
        )

    def __repr__(self) -> str:
        facts = [f"{self._n} samples", f"{len(self._modalities)} modalit{'y' if self.shape[1] == 1 else 'ies'}"]
        if self._y is not None:
            label = "y" if self._target in (None, "y") else f'y "{self._target}"'
            facts.append(f"{label}: {len(np.unique(self._y[~_nan(self._y)]))} values")
        if self._groups is not None:
            facts.append(f"{len(np.unique(self._groups))} groups")
        if self._split is not None:
            facts += [f"{(self._split == p).sum()} {p}" for p in ("train", "valid", "test") if p in self._split]
        pad = max(map(len, self.names))
        lines = [f"  {name:<{pad}}  {m.summary()}" for name, m in self._modalities.items()]
        return "\n".join([f"Samples({', '.join(facts)})", *lines])


def rows_of(rows: Any, n: int) -> slice | np.ndarray:
    """Return a slice, or positions from 0 to n - 1, for any way of naming rows.

    Raises:
        IndexError: a position is out of range.
        DataError: `rows` is none of a position, a slice, an array of positions or of n bools.

    Example:
        >>> rows_of([-1, 0], 5).tolist(), rows_of([True, False, True], 3).tolist()
        ([4, 0], [0, 2])
    """
    if isinstance(rows, tuple) and len(rows) == 2 and rows[1] is Ellipsis:
        rows = rows[0]
    if isinstance(rows, slice):
        return rows
    if isinstance(rows, str):
        raise DataError(f'samples are picked by position, however: {rows!r}; for a modality write .modality("{rows}")')
    array = np.atleast_1d(np.asarray(rows))
    if array.size == 0 and array.dtype != bool:
        return np.zeros(0, dtype=np.int64)
    if array.ndim != 1 or array.dtype.kind not in "biu":
        raise DataError(
            "samples are picked by a position, a slice, or an array of positions or bools, however: "
            f"dtype={array.dtype}, shape={array.shape}"
        )
    if array.dtype == bool:
        if len(array) != n:
            raise DataError(f"an array of bools must have one per sample, however: {len(array)} for {n} samples")
        return np.flatnonzero(array)
    positions = array.astype(np.int64)
    outside = (positions < -n) | (positions >= n)
    if outside.any():
        raise IndexError(f"a position must be below {n}, however: {positions[outside][0]}")
    return np.where(positions < 0, positions + n, positions)


def _check_names(modalities: Any) -> None:
    if not isinstance(modalities, Mapping):
        raise DataError(
            f"modalities must be a mapping name -> array, however: the type is {type(modalities).__name__}; "
            "Samples.of(X) takes DataFrames and plain arrays"
        )
    if not modalities:
        raise DataError("samples must have at least one modality, however: there is none")
    odd = [name for name in modalities if not isinstance(name, str) or not name]
    if odd:
        raise DataError(f"a modality must be named by a text, however: the name is {odd[0]!r}")


def _leave_out_empty(modalities: Mapping[str, Any]) -> Mapping[str, Any]:
    """Leave out a list of nothing but None: its width is unknown, and absent means missing for all anyway."""
    empty = [k for k, v in modalities.items() if isinstance(v, list) and v and all(i is None for i in v)]
    if len(empty) == len(modalities):
        raise DataError("samples must have at least one modality, however: all are None for every sample")
    for name in empty:
        warnings.warn(f'modality "{name}" is None for every sample and is left out', DataWarning, stacklevel=3)
    return {name: content for name, content in modalities.items() if name not in empty}


def _one_count(packed: dict[str, Modality]) -> int:
    """Return N, which all modalities must share."""
    (first, modality), *rest = packed.items()
    n = len(modality)
    for name, other in rest:
        if len(other) != n:
            raise DataError(
                f"all modalities must have the same number of samples, however: "
                f'"{first}" has {n}, "{name}" has {len(other)}'
            )
    if n == 0:
        raise DataError("there must be at least one sample, however: there is none")
    return n


def _nan(y: np.ndarray) -> np.ndarray:
    return np.isnan(y) if y.dtype.kind == "f" else np.zeros(y.shape, dtype=bool)
