"""A trace as a report: a table of the steps for each query, and the weights as a map."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from intermodal.explain.trace_numbers import nearest_float, written
from intermodal.explain.trace_steps import FORMULAS, label, terms
from intermodal.explain.trace_words import introduction, is_double, overflow_lines, remark

if TYPE_CHECKING:
    from intermodal.explain.trace import Place, Trace


def report_of(trace: Trace) -> dict[str, Any]:
    """Return the whole trace as a dict of blocks."""
    blocks: list[dict[str, Any]] = [{"kind": "text", "text": introduction(trace).replace("\n", "\n\n")}]
    for place in trace.rows:
        blocks += _query(trace, place)
    blocks += [_map(trace, place) for place in trace.asked.places()]
    box = overflow_lines(trace, None)
    if box:
        blocks.append({"kind": "text", "title": "Why the largest score is subtracted", "text": "\n\n".join(box)})
    formulas = [[name, formula] for name, formula in FORMULAS.items() if _has(trace, name)]
    blocks.append({"kind": "facts", "title": "Formulas", "items": formulas})
    return {"title": "Attention, worked out", "blocks": blocks}


def _has(trace: Trace, step: str) -> bool:
    return trace.asked.v is not None or step not in ("product", "output")


def _query(trace: Trace, place: Place) -> list[dict[str, Any]]:
    where = [f"{name} {index + 1}" for name, index in label(place).items() if index is not None and name != "query"]
    title = ", ".join([*where, trace.query_names[place[-1]]])
    title = title[:1].upper() + title[1:]
    row, digits = trace.rows[place], trace.digits

    def shown(number: Any) -> str:
        return "-inf" if number is None else written(number, digits)

    rows: list[list[Any]] = []
    products = terms(trace, place)
    for j, name in enumerate(trace.key_names):
        score = f"{' + '.join(map(shown, products[j]))} = {shown(row.scores[j])}"
        cells = [name, score, *map(shown, (row.scaled[j], row.shifted[j], row.exps[j], row.weights[j]))]
        if is_double(trace):
            cells.append(shown(trace.other_rows[place].weights[j]))
        if row.products is not None:
            cells.append(", ".join(map(shown, row.products[j])))
        rows.append(cells)
    columns = ["key", "score", "scaled", "minus the largest", "e^x", "weight"]
    columns += [f"weight, {trace.other.name}"] * is_double(trace) + ["weight × value"] * (row.products is not None)
    caption = [remark(row)] if remark(row) else []
    caption.append(f"The exponentials sum to {shown(row.total)}.")
    blocks = [{"kind": "table", "title": title, "caption": " ".join(caption), "columns": columns, "rows": rows}]
    blocks[0]["align"] = "l" + "r" * (len(columns) - 1)
    if row.output is not None:
        items = [["output", ", ".join(map(shown, row.output))]]
        if is_double(trace):
            other = trace.other_rows[place].output or ()
            items.append([f"output, {trace.other.name}", ", ".join(map(shown, other))])
        blocks.append({"kind": "facts", "items": items})
    return blocks


def _map(trace: Trace, place: tuple[int, ...]) -> dict[str, Any]:
    where = [f"{name} {index + 1}" for name, index in label((*place, 0)).items() if index is not None][:-1]
    values = [[nearest_float(x) for x in row.weights] for at, row in trace.rows.items() if at[:-1] == place]
    return {
        "kind": "matrix",
        "title": ", ".join(["Weights", *where]),
        "caption": "A row asks, a column is looked at; a row sums to 1, or to 0 where every key is hidden.",
        "rows": list(trace.query_names),
        "columns": list(trace.key_names),
        "values": values,
        "digits": 4,
    }
