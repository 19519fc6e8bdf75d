"""A worked trace of attention: every step with its formula and its numbers, right to the last printed digit."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from math import isfinite
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np

from intermodal.errors import InputError
from intermodal.explain.trace_check import Check, checked
from intermodal.explain.trace_numbers import Number, nearest_float
from intermodal.explain.trace_reading import Asked, read
from intermodal.explain.trace_report import report_of
from intermodal.explain.trace_row import UNSCALED, Row, Scaling, attended, scaling_of
from intermodal.explain.trace_steps import steps_of
from intermodal.explain.trace_text import text_of

Place = tuple[int, ...]
"""Batch and head, as far as the input has them, and the query: what one row of weights belongs to."""

if TYPE_CHECKING:
    from intermodal.explain.trace_replay import Replay


@dataclass(frozen=True, eq=False, repr=False)
class Trace:
    """Attention on a small input, worked out exactly.

    Attributes:
        asked: the input, as fractions.
        scaling: the factor on the scores; `other` is the one shown beside it.
        digits: decimals of a number that is not an exact decimal.
        query_names, key_names: what the rows and columns are called.
        rows: what each query sees, under `scaling`; `other_rows` under the other.
    """

    asked: Asked
    scaling: Scaling
    other: Scaling
    digits: int
    query_names: tuple[str, ...]
    key_names: tuple[str, ...]
    rows: Mapping[Place, Row]
    other_rows: Mapping[Place, Row]

    @cached_property
    def steps(self) -> list[dict[str, Any]]:
        """Every step of every query, machine readable.

        Each is a dict: `name`, `formula`, `inputs`, `values` (decimals, every digit right), `floats` (the nearest
        float64), `other` (the same under the other scaling, where it matters), and where it belongs: `batch`, `head`
        (None where the input has none) and `query`, counted from 0.
        """
        return steps_of(self)

    @cached_property
    def scores(self) -> np.ndarray:
        """Query times key before any scaling, (..., Q, K), or (K,) for one query."""
        return self._array(row.scores for row in self.rows.values())

    @cached_property
    def weights(self) -> np.ndarray:
        """What the softmax gives, (..., Q, K), or (K,) for one query."""
        return self._array(row.weights for row in self.rows.values())

    @cached_property
    def output(self) -> np.ndarray | None:
        """The sums of weight times value, (..., Q, E), or (E,) for one query; None without values."""
        return None if self.asked.v is None else self._array(row.output or () for row in self.rows.values())

    def __repr__(self) -> str:
        queries, keys = len(self.rows), len(self.key_names)
        return f"Trace(queries: {queries}, keys: {keys}, {self.scaling.name}; .text() shows every step)"

    def _array(self, rows: Iterable[Sequence[Number]]) -> np.ndarray:
        shape = self.asked.q.shape[: -2 if self.asked.is_one_query else -1]
        return np.array([[nearest_float(number) for number in row] for row in rows]).reshape(*shape, -1)

    def text(self, *, overflow: bool | None = None) -> str:
        """Return the trace as text of 80 columns.

        Args:
            overflow: add the box that shows why the largest score is subtracted; None adds it where a score is so
                large that its exponential overflows in float16.
        """
        return text_of(self, _report_room(), overflow)

    def markdown(self) -> str:
        """Return the trace as Markdown."""
        return str(_report_room().to_markdown(self.to_report()))

    def html(self) -> str:
        """Return the trace as one HTML page that needs nothing else."""
        return str(_report_room().to_html(self.to_report()))

    def to_report(self) -> dict[str, Any]:
        """Return the trace as a report: a dict of blocks."""
        return report_of(self)

    def replay(self, dtype: str = "bfloat16") -> Replay:
        """Return the same steps as a machine stores them: each rounded to `dtype` before the next.

        Example:
            >>> print(trace("1 2", "2 3; 1 0", scale=False).replay("bfloat16").text)
            In bfloat16 the weights are 1 0.0009117126465; the largest differs by 9.1e-04 from the exact one. They sum
            to 1 to within 9.1e-04.
        """
        from intermodal.explain.trace_replay import replayed

        return replayed(self, dtype)

    def _repr_html_(self) -> str:
        """Show the page in a notebook, inside a frame of its own."""
        return str(_report_room().notebook_html(self.to_report()))

    def _repr_markdown_(self) -> str:
        return self.markdown()

    def report(self, path: str | Path) -> Path:
        """Write the trace to a file: .html, .md, .json or .txt by its suffix."""
        return Path(_report_room().write(self.to_report(), path))

    def check(self, claimed: Any, what: str | None = None, digits: int | None = None) -> Check:
        """Compare what someone claims with this trace, and name the mistake behind it where it is known.

        A number counts as right when it is the true one rounded to the decimals it is given with. A number without
        decimals claims to be exact, to four decimals.

        Args:
            claimed: weights, scores or an output, in the shape that the trace has; text such as "0.9991 0.0009" or
                numbers; or a mapping of several, such as {"scores": ..., "weights": ...}.
            what: "scores", "scaled", "exp", "weights" or "output"; None finds out.
            digits: compare to this many decimals, whatever is written.

        Returns:
            The verdict: true where all is right; `.text()` says it in words, `.mistake` is D1 to D7 or None.

        Raises:
            InputError: what is claimed has another shape, or is not there.

        Example:
            >>> verdict = trace("1 2", "2 3; 1 0").check("0.9991 0.0009")
            >>> bool(verdict), verdict.mistake
            (False, 'D4')
        """
        return checked(self, claimed, what, digits)


def trace(
    q: Any,
    k: Any,
    v: Any = None,
    *,
    scale: bool | float = True,
    keep: Any = None,
    digits: int = 10,
    names: Sequence[str] | Mapping[str, Sequence[str]] | None = None,
) -> Trace:
    """Work out attention on a small input, step by step, right to the last printed digit.

    Shape:
        q (D,) or (Q, D), k (K, D), v (K, E); with heads (H, ., .), with a batch (B, H, ., .).

    Args:
        q: queries: lists, an array, a tensor, or text: "1 2", rows between semicolons. A float counts for the
            binary number that it is; text, decimals and fractions are exact.
        k: keys.
        v: values; None stops at the weights.
        scale: True divides the scores by the square root of D, False does not, a number multiplies them.
        keep: bool, True = may look: (K,), (Q, K) or all axes; in text 1 and 0. With a batch also (B, K), (B, Q, K).
        digits: decimals of a number that is not an exact decimal, 1 to 30.
        names: what the keys are called, or a mapping with `queries`, `keys` or both.

    Returns:
        The trace: `.text()`, `.markdown()`, `.html()`, `.steps`, `.weights`, `.output`, `.check(claimed)`.

    Raises:
        InputError: the input does not fit together, is not finite or not small.
        MaskError: `keep` is not bool or fits no reading.

    Source: Vaswani et al. 2017, Attention Is All You Need, section 3.2.1.

    Relation: what `attend` computes in floating point, on inputs small enough to read.

    Example:
        >>> t = trace([1, 2], [[2, 3], [1, 0]], [[10, 0], [0, 10]])
        >>> [number for step in t.steps if step["name"] == "output" for number in step["values"]]
        ['9.9296464891', '0.0703535109']
    """
    if not isinstance(digits, int) or isinstance(digits, bool) or not 1 <= digits <= 30:
        raise InputError(f"digits must be a whole number from 1 to 30, however: {digits=}")
    asked = read(q, k, v, keep)
    width = asked.q.shape[-1]
    scaling = scaling_of(width, _scale(scale))
    other = scaling_of(width, True) if scaling is UNSCALED else UNSCALED
    query_names, key_names = _names(names, asked)
    rows, other_rows = ({place: _row(asked, place, one) for place in _places(asked)} for one in (scaling, other))
    return Trace(asked, scaling, other, digits, query_names, key_names, rows, other_rows)


def _places(asked: Asked) -> list[Place]:
    return [(*place, query) for place in asked.places() for query in range(asked.q.shape[-2])]


def _row(asked: Asked, place: Place, scaling: Scaling) -> Row:
    query, keys = asked.q.row(*place), range(asked.k.shape[-2])
    scores = [sum((a * b for a, b in zip(query, asked.k.row(*place[:-1], j), strict=True)), Fraction(0)) for j in keys]
    values = None if asked.v is None else [asked.v.row(*place[:-1], j) for j in keys]
    return attended(scores, asked.keep.row(*place), values, scaling)


def _scale(scale: Any) -> bool | Fraction:
    if isinstance(scale, bool | np.bool_):
        return bool(scale)
    fits = hasattr(scale, "as_integer_ratio") and isfinite(scale) and 1e-15 <= scale <= 1e15
    if not fits:
        raise InputError(f"scale must be True, False or a number above zero, however: {scale=}")
    return Fraction(*scale.as_integer_ratio())


def _names(names: Any, asked: Asked) -> tuple[tuple[str, ...], tuple[str, ...]]:
    named = names if isinstance(names, Mapping) else {} if names is None else {"keys": names}
    unknown = set(named) - {"queries", "keys"}
    if unknown:
        raise InputError(f'names are those of "queries" and "keys", however: {sorted(map(str, unknown))}')
    both = []
    for kind, one, grid in (("queries", "query", asked.q), ("keys", "key", asked.k)):
        count = grid.shape[-2]
        given = named.get(kind, [f"{one} {i + 1}" for i in range(count)])
        if isinstance(given, str) or len(given) != count:
            raise InputError(f"names must be one text for each of the {count} {kind}, however: {given!r}")
        both.append(tuple(map(str, given)))
    return both[0], both[1]


def _report_room() -> ModuleType:
    """Load the writer of reports when one is asked for."""
    from intermodal import report

    return report
