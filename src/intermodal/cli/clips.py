"""Reading clips for a retriever: the modalities it knows, and beside them ids, texts and what is said of each clip."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from intermodal.cli import console
from intermodal.errors import DataError, InputError, did_you_mean

if TYPE_CHECKING:
    import numpy as np

    from intermodal.data.samples import Samples


class Clips:
    """A file of clips.

    Args:
        path: .npz, .parquet, .arrow, .feather or .csv.

    Raises:
        DataError: the file is absent, damaged or something else.
    """

    def __init__(self, path: Path) -> None:
        from intermodal.data.npz import open_npz
        from intermodal.data.reading import existing_file, open_table

        self.path = path
        is_npz = existing_file(path).suffix.lower() == ".npz"
        self._arrays: dict[str, np.ndarray] | None = open_npz(path) if is_npz else None
        self._table: Any = None if is_npz else open_table(path)

    def items(self, retriever: Any) -> Any:
        """Return the clips as the retriever takes them: samples, or a mapping where texts are among the modalities."""
        side = retriever.sides_["clips"]
        texts = {name: self.texts(name) for name in side.words if name in self.columns()}
        samples = self._samples(list(side.scalings))
        if not texts:
            if samples is None:
                known = did_you_mean(side.names[0], self.columns())
                raise DataError(f'the clips have a modality of the model, however: "{self.path}" has none{known}')
            return samples
        return texts if samples is None else {**{n: samples.modality(n) for n in samples.names}, **texts}

    def _samples(self, names: Sequence[str]) -> Samples | None:
        """The modalities of numbers among these names; other columns, a caption of each row say, are left alone."""
        from intermodal.data.npz import samples_from_arrays
        from intermodal.data.tables import samples_from_table

        there = [name for name in names if self._holds(name)]
        for name in names:
            if name not in there:
                console.note(f'"{name}" is not in the data and counts as missing for every clip')
        if not there:
            return None
        if self._arrays is not None:
            beside = [f"{n}{end}" for n in there for end in ("_len", "_names")] + [f"present_{n}" for n in there]
            some = {key: self._arrays[key] for key in (*there, *beside) if key in self._arrays}
            return samples_from_arrays(some, only=there)
        kept = [c for c in self._table.column_names if c in there or c.partition(".")[0] in there]
        kept += [c for c in self._scalars() if "table" in there and "." not in c and c not in kept]
        return samples_from_table(self._table.select(kept))

    def _holds(self, name: str) -> bool:
        if self._arrays is not None:
            return name in self._arrays
        columns = self._table.column_names
        return name in columns or any(c.startswith(f"{name}.") for c in columns) or name == "table"

    def _scalars(self) -> list[str]:
        import pyarrow.types

        nested = (pyarrow.types.is_list, pyarrow.types.is_large_list, pyarrow.types.is_fixed_size_list)
        return [f.name for f in self._table.schema if not any(is_it(f.type) for is_it in nested)]

    def columns(self) -> list[str]:
        """The names of the columns that hold one value a clip."""
        if self._arrays is not None:
            return [key for key, array in self._arrays.items() if array.ndim == 1]
        return self._scalars()

    def column(self, name: str, option: str) -> list[Any]:
        """Return one value a clip.

        Raises:
            InputError: there is no such column; the option that named it is named.
        """
        if name not in self.columns():
            hint = did_you_mean(name, self.columns())
            raise InputError(f'{option} names a column with one value a clip, however: "{name}"{hint}')
        values = self._arrays[name].tolist() if self._arrays is not None else self._table.column(name).to_pylist()
        # a NaN stands for what is not there
        return [None if isinstance(v, float) and v != v else v for v in values]

    def texts(self, name: str, option: str = "--text") -> list[str | None]:
        """Return one text a clip, None where there is none."""
        values = self.column(name, option)
        odd = next((v for v in values if v is not None and not isinstance(v, str)), None)
        if odd is not None:
            raise InputError(f'"{name}" holds texts, however: one is {odd!r}')
        return values

    @property
    def has_ids(self) -> bool:
        """Whether there is a column that is called as ids are."""
        return self._usual_ids() is not None

    def _usual_ids(self) -> str | None:
        from intermodal.data.tables import ID_NAMES

        return next((key for key in ID_NAMES if key in self.columns()), None)

    def ids(self, name: str | None) -> list[str]:
        """Return what each clip is called: a column, `id` where there is one, else its row from 0."""
        usual = self._usual_ids()
        if name is None and usual is None:
            console.note("the clips have no ids and are called by their rows, from 0; name a column with --id")
            return [str(row) for row in range(self.count())]
        values = self.column(name or str(usual), "--id")
        absent = next((row for row, value in enumerate(values) if value is None), None)
        if absent is not None:
            raise InputError(f'every clip has an id, however: that of row {absent} is missing in "{name or usual}"')
        return [str(value) for value in values]

    def metadata(self, names: Sequence[str]) -> list[dict[str, Any]]:
        """Return what is said of each clip: some columns by their names."""
        columns = {name: self.column(name, "--meta") for name in names}
        return [{name: _scalar(of[row]) for name, of in columns.items()} for row in range(self.count())]

    def count(self) -> int:
        """How many clips there are."""
        if self._arrays is None:
            return int(self._table.num_rows)
        return len(next(array for array in self._arrays.values() if array.ndim > 0))


def _scalar(value: Any) -> Any:
    """Dates and the like as texts, which sort as they do."""
    return value if value is None or isinstance(value, str | int | float) else str(value)
