"""One modality of many samples, packed: a table of vectors, or all sequences in one flat table with offsets.

Shape letters: N samples, T_i tokens of sample i, R = sum of T_i, D width.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

Kind = Literal["vector", "sequence"]


def frozen(array: np.ndarray) -> np.ndarray:
    """Return a view of `array` that cannot be written to."""
    view = array.view()
    view.flags.writeable = False
    return view


@dataclass(frozen=True, eq=False)
class Modality:
    """One modality of N samples: what is there, and what is missing.

    Missing places hold 0 in `values` and False in `present`, so that `values` can be batched without a look at
    the mask. A NaN remains in `values` only where the user chose `nan="impute"`, and only in present places.

    Shape:
        values: `(N, D)` for a vector, `(R, D)` for sequences, one after the other.
        offsets: `(N + 1,)`, sample i owns `values[offsets[i]:offsets[i + 1]]`; None for a vector.
        present: `(N,)`. token_present: `(R,)`, or None where all tokens are there.

    Attributes:
        name: what the user calls it.
        kind: "vector" (one per sample) or "sequence" (as many as the sample has tokens).
        width: D.
        columns: the names of the D columns where they are known.

    Example:
        >>> from intermodal.data.packing import pack
        >>> audio = pack("audio", [[[1.0, 2.0], [3.0, 4.0]], None, [[5.0, 6.0]]])
        >>> audio
        Modality("audio": sequence of 1 to 2 x 2, 1 of 3 missing)
        >>> audio.lengths.tolist(), audio.present.tolist()
        ([2, 0, 1], [True, False, True])
    """

    name: str
    kind: Kind
    width: int
    values: np.ndarray
    offsets: np.ndarray | None
    present: np.ndarray
    token_present: np.ndarray | None = None
    columns: tuple[str, ...] | None = None

    def __len__(self) -> int:
        return len(self.present)

    @property
    def lengths(self) -> np.ndarray:
        """Tokens per sample, `(N,)`: 0 where missing; a present vector counts as 1."""
        if self.offsets is None:
            return self.present.astype(np.int64)
        return np.diff(self.offsets)

    @property
    def has_nan(self) -> bool:
        """Whether a NaN is left in a present place, for the model to impute."""
        return bool(np.isnan(self.values).any())

    @property
    def n_missing(self) -> int:
        """How many samples lack this modality."""
        return len(self) - int(np.count_nonzero(self.present))

    def take(self, rows: slice | np.ndarray) -> Modality:
        """Return the samples at `rows`: a slice, or an array of non-negative positions `(M,)`.

        A slice with step 1 copies nothing.
        """
        present = self.present[rows]
        if self.offsets is None:
            return self._with(self.values[rows], None, present, None)
        if isinstance(rows, slice):
            start, stop, step = rows.indices(len(self))
            if step == 1:
                return self._stretch(start, max(stop, start), present)
            rows = np.arange(start, stop, step)
        flat, offsets = self.token_rows(rows)
        tokens = None if self.token_present is None else self.token_present[flat]
        return self._with(self.values[flat], offsets, present, tokens)

    def token_rows(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return where the tokens of the samples at `rows` stand in `values`, and their new offsets.

        Returns:
            Positions `(sum of T_i over rows,)` in the order of `rows`, and offsets `(len(rows) + 1,)`.
        """
        assert self.offsets is not None
        starts = self.offsets[rows]
        lengths = self.offsets[rows + 1] - starts
        offsets = np.zeros(len(rows) + 1, dtype=np.int64)
        np.cumsum(lengths, out=offsets[1:])
        flat = np.arange(offsets[-1]) + np.repeat(starts - offsets[:-1], lengths)
        return flat, offsets

    def _stretch(self, start: int, stop: int, present: np.ndarray) -> Modality:
        assert self.offsets is not None
        first, last = self.offsets[start], self.offsets[stop]
        tokens = None if self.token_present is None else self.token_present[first:last]
        return self._with(self.values[first:last], self.offsets[start : stop + 1] - first, present, tokens)

    def _with(
        self,
        values: np.ndarray,
        offsets: np.ndarray | None,
        present: np.ndarray,
        token_present: np.ndarray | None,
    ) -> Modality:
        return Modality(
            self.name,
            self.kind,
            self.width,
            frozen(values),
            None if offsets is None else frozen(offsets),
            frozen(present),
            None if token_present is None else frozen(token_present),
            self.columns,
        )

    def __repr__(self) -> str:
        return f'Modality("{self.name}": {self.summary()})'

    def summary(self) -> str:
        """Say kind, lengths, width and what is missing, in a few words."""
        size = f"vector of {self.width}"
        if self.kind == "sequence":
            there = self.lengths[self.present]
            low, high = (int(there.min()), int(there.max())) if len(there) else (0, 0)
            size = f"sequence of {low if low == high else f'{low} to {high}'} x {self.width}"
        return size if self.n_missing == 0 else f"{size}, {self.n_missing} of {len(self)} missing"
