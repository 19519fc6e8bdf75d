"""The metadata of an index by key, so that a filter is a comparison of arrays and no text of a user ever becomes code.

Shapes: N clips.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np

from intermodal.find.filters import Condition


class Columns:
    """Metadata of N clips; a key becomes an array when a filter first asks for it.

    Args:
        metadata: N texts of JSON.

    Example:
        >>> columns = Columns(['{"tag":"a"}', '{}', '{"tag":"b"}'])
        >>> columns.where((Condition("tag", "text", ("a", "c")),)).tolist()
        [True, False, False]
    """

    def __init__(self, metadata: Sequence[str]) -> None:
        self._entries = [json.loads(text) for text in metadata]
        self._columns: dict[str, tuple[list[Any], np.ndarray]] = {}

    def where(self, asked: Sequence[Condition]) -> np.ndarray:
        """Return which clips meet all conditions, (N,) bool."""
        fitting = np.ones(len(self._entries), dtype=bool)
        for condition in asked:
            values, codes = self._column(condition.key)
            meeting = np.array([condition.meets({condition.key: value}) for value in values] + [False])
            fitting &= meeting[codes]
        return fitting

    def _column(self, key: str) -> tuple[list[Any], np.ndarray]:
        """The different values of a key, and for each clip which of them it has: the place after the last for none."""
        if key not in self._columns:
            number: dict[Any, int] = {}  # a key is of one kind in an index: there is no True beside a 1
            held = [entry.get(key) for entry in self._entries]
            codes = [-1 if v is None else number.setdefault(v, len(number)) for v in held]
            self._columns[key] = list(number), np.array(codes, dtype=np.int64)
        return self._columns[key]
