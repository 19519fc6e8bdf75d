"""What a trace says beside its numbers: the introduction, what is special about a row, and why exp overflows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from intermodal.explain.trace_numbers import nearest_float, root_of, written
from intermodal.explain.trace_row import Row

if TYPE_CHECKING:
    from intermodal.explain.trace import Trace

LIMITS = {"float16": 11.09, "float32": 88.72, "float64": 709.78}
"""The largest x, cut to two decimals, for which e^x is a number of the format and not infinity."""


def introduction(trace: Trace, *, beside: str = "In brackets stands the other variant") -> str:
    """Say what is computed, and how the numbers are to be read; `beside` says where the other scaling is shown."""
    asked = trace.asked
    queries, keys, width = asked.q.shape[-2], asked.k.shape[-2], asked.q.shape[-1]
    said = f"{_count(queries, 'query', 'queries')} of width {width}, {_count(keys, 'key', 'keys')}"
    said += "." if asked.v is None else f", values of width {asked.v.shape[-1]}."
    for axis, name in zip(asked.q.shape[-3::-1], ("head", "batch"), strict=False):
        plural = "heads" if name == "head" else "samples"
        said += f" {_count(axis, plural[:-1], plural)}, each on its own."
    factor = {"1": "q·k"}.get(trace.scaling.symbol, f"{trace.scaling.symbol} · q·k")
    said += f"\nweight = softmax({factor})"
    said += "" if asked.v is None else ", output = sum of weight × value"
    said += f"\nEvery digit is right: a number is exact, or rounded to {_count(trace.digits, 'decimal', 'decimals')}."
    if is_double(trace):
        said += f" {beside}: {trace.other.name}."
    return said


def remark(row: Row) -> str:
    """Say what is special about a row, or nothing.

    Example:
        >>> from fractions import Fraction
        >>> from intermodal.explain.trace_row import UNSCALED, attended
        >>> remark(attended([Fraction(3)], [True], None, UNSCALED))
        'One key only: its weight is 1 whatever the query is.'
    """
    seen = [score for score, kept in zip(row.scores, row.keep, strict=True) if kept]
    if not seen:
        return "Every key is hidden: there is nobody to look at, so all weights are 0 and the output is 0."
    if len(seen) == 1:
        left = "One key only" if len(row.scores) == 1 else "One key is left"
        return f"{left}: its weight is 1 whatever the query is."
    if len(set(seen)) == 1:
        return f"All scores are equal: each of the {len(seen)} keys gets the weight 1/{len(seen)}."
    return ""


def overflow_lines(trace: Trace, wanted: bool | None) -> list[str]:
    """Say which formats cannot hold the exponential of the largest score; nothing where that is not wanted."""
    tops = [row.largest for row in trace.rows.values() if row.largest is not None]
    largest = max(map(nearest_float, tops), default=0.0)
    if wanted is False or not tops or (wanted is None and largest <= LIMITS["float16"]):
        return []
    top = next(x for x in tops if nearest_float(x) == largest)
    said = written(top, min(trace.digits, 4))
    lines = [f"Without step 4 the first exponential to compute is e^{said}."]
    for name, limit in LIMITS.items():
        verdict = "fine" if largest <= limit else "infinity, and infinity / infinity is NaN"
        lines.append(f"{name} holds e^x up to x = {limit}: {verdict}.")
    return [*lines, "With step 4 the largest exponential is e^0 = 1, and the weights are the same."]


def is_double(trace: Trace) -> bool:
    """Whether the two scalings differ: with one dimension they do not."""
    return root_of(trace.scaling.factor, trace.scaling.m) != root_of(trace.other.factor, trace.other.m)


def _count(number: int, one: str, many: str) -> str:
    return f"{number} {one if number == 1 else many}"
