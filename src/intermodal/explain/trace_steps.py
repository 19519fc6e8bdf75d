"""The steps of a trace as plain dicts, for machines: decimals whose every digit is right, and the nearest floats."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from intermodal.explain.trace_numbers import Number, nearest_float, root_of, written
from intermodal.explain.trace_row import Row, Scaling

if TYPE_CHECKING:
    from intermodal.explain.trace import Place, Trace

FORMULAS = {
    "score": "score_j = sum_d q_d * k_jd",
    "scale": "scaled_j = score_j * factor",
    "mask": "scaled_j = -inf where keep_j is False",
    "subtract": "shifted_j = scaled_j - max_j scaled_j",
    "exp": "e_j = exp(shifted_j)",
    "sum": "sum = sum_j e_j",
    "weight": "weight_j = e_j / sum",
    "product": "product_je = weight_j * v_je",
    "output": "output_e = sum_j product_je",
}
_SCALED = ("scale", "mask", "subtract", "exp", "sum", "weight", "product", "output")


def steps_of(trace: Trace) -> list[dict[str, Any]]:
    """Return every step of every query."""
    return [step for place in trace.rows for step in _steps(trace, place)]


def label(place: Place) -> dict[str, int | None]:
    """Say which batch, head and query a row belongs to; a lone axis before the queries is the heads.

    Example:
        >>> label((2, 0))
        {'batch': None, 'head': 2, 'query': 0}
    """
    return {
        "batch": place[0] if len(place) == 3 else None,
        "head": place[-2] if len(place) > 1 else None,
        "query": place[-1],
    }


def terms(trace: Trace, place: Place) -> list[list[Fraction]]:
    """Return the products that a score is the sum of, for each key."""
    query = trace.asked.q.row(*place)
    keys = range(trace.asked.k.shape[-2])
    return [[a * b for a, b in zip(query, trace.asked.k.row(*place[:-1], j), strict=True)] for j in keys]


def values_of(row: Row, scaling: Scaling) -> dict[str, Any]:
    """Return the numbers of each step of a row: of each key, one for the sum, and one list per key for the products."""
    values: dict[str, Any] = {
        "score": row.scores,
        "scale": tuple(scaling.of(score) for score in row.scores),
        "mask": row.scaled,
        "subtract": row.shifted,
        "exp": row.exps,
        "sum": (row.total,),
        "weight": row.weights,
    }
    if row.output is not None:
        values |= {"product": row.products, "output": row.output}
    return values


def _steps(trace: Trace, place: Place) -> list[dict[str, Any]]:
    row = trace.rows[place]
    chosen = values_of(row, trace.scaling)
    other = values_of(trace.other_rows[place], trace.other)
    inputs = _inputs(trace, place)
    steps = []
    for name, numbers in chosen.items():
        step = {"name": name, "formula": FORMULAS[name], **label(place), "inputs": inputs[name]}
        step |= _both(numbers, trace.digits)
        if name in _SCALED:
            step["other"] = {"scaling": trace.other.name, **_both(other[name], trace.digits)}
        steps.append(step)
    return steps


def _inputs(trace: Trace, place: Place) -> dict[str, dict[str, Any]]:
    digits, row, asked = trace.digits, trace.rows[place], trace.asked
    factor = root_of(trace.scaling.factor, trace.scaling.m)
    keys = range(asked.k.shape[-2])
    inputs: dict[str, dict[str, Any]] = {name: {} for name in FORMULAS}
    inputs["score"] = {
        "q": _texts(asked.q.row(*place), digits),
        "k": [_texts(asked.k.row(*place[:-1], j), digits) for j in keys],
        "terms": [_texts(one, digits) for one in terms(trace, place)],
    }
    inputs["scale"] = {"factor": trace.scaling.symbol, "value": written(factor, digits)}
    inputs["mask"] = {"keep": list(row.keep)}
    inputs["subtract"] = {"largest": None if row.largest is None else written(row.largest, digits)}
    inputs["weight"] = {"sum": written(row.total, digits)}
    if asked.v is not None:
        inputs["product"] = {"v": [_texts(asked.v.row(*place[:-1], j), digits) for j in keys]}
    return inputs


def _both(numbers: Sequence[Any], digits: int) -> dict[str, Any]:
    return {"values": _texts(numbers, digits), "floats": _each(numbers, nearest_float, float("-inf"))}


def _texts(numbers: Sequence[Any], digits: int) -> list[Any]:
    return _each(numbers, lambda number: written(number, digits), "-inf")


def _each(numbers: Sequence[Any], made: Callable[[Number], Any], masked: Any) -> list[Any]:
    found = []
    for number in numbers:
        if isinstance(number, tuple):
            found.append(_each(number, made, masked))
        else:
            found.append(masked if number is None else made(number))
    return found
