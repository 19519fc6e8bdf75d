"""A trace as a report: a table of the steps for each query, and the weights as a map."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from intermodal.explain.trace_numbers import nearest_float, written
from intermodal.explain.trace_row import UNSCALED, scaling_of
from intermodal.explain.trace_steps import FORMULAS, label, terms
from intermodal.explain.trace_words import introduction, is_double, overflow_lines, remark

if TYPE_CHECKING:
    from intermodal.explain.trace import Place, Trace


def report_of(trace: Trace) -> dict[str, Any]:
    """Return the whole trace as a dict of blocks."""
    blocks: list[dict[str, Any]] = [{"kind": "text", "text": _introduction(trace)}]
    for place in trace.rows:
        blocks += _query(trace, place)
    blocks += [_map(trace, place) for place in trace.asked.places()]
    box = overflow_lines(trace, None)
    if box:
        blocks.append({"kind": "text", "title": "Why the largest score is subtracted", "text": "\n\n".join(box)})
    formulas = [[name, formula] for name, formula in FORMULAS.items() if _has(trace, name)]
    blocks.append({"kind": "facts", "title": "Formulas", "items": formulas})
    return {"title": "Attention, worked out", "blocks": blocks}


def _introduction(trace: Trace) -> str:
    said = introduction(trace, beside="A column of its own shows the weights of the other variant")
    return said.replace("\n", "\n\n")


def _has(trace: Trace, step: str) -> bool:
    return trace.asked.v is not None or step not in ("product", "output")


def view_of(trace: Trace, place: Place) -> dict[str, Any]:
    """Return the steps of one query as a block that a page can work through again with other numbers."""
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
    block: dict[str, Any] = {"kind": "trace", "title": _title(trace, place), "caption": " ".join(caption)}
    block |= {"scaled": trace.scaling != UNSCALED, "keep": list(row.keep), "names": list(trace.key_names)}
    block |= _given(trace, place) | {"steps": {"columns": columns, "rows": rows}}
    if row.output is not None:
        block["facts"] = [["output", ", ".join(map(shown, row.output))]]
        if is_double(trace):
            other = trace.other_rows[place].output or ()
            block["facts"].append([f"output, {trace.other.name}", ", ".join(map(shown, other))])
    return block


def _given(trace: Trace, place: Place) -> dict[str, Any]:
    """The query, the keys and the values, each number the nearest float."""
    asked, keys = trace.asked, range(len(trace.key_names))
    q = [nearest_float(x) for x in asked.q.row(*place)]
    k, v = (
        None if side is None else [[nearest_float(x) for x in side.row(*place[:-1], j)] for j in keys]
        for side in (asked.k, asked.v)
    )
    return {"q": q, "keys": k, "values": v}


def _query(trace: Trace, place: Place) -> list[dict[str, Any]]:
    """The steps of one query; where a factor of one's own takes the place of the root, as plain tables."""
    block = view_of(trace, place)
    if trace.scaling in (UNSCALED, scaling_of(len(block["q"]), True)):
        return [block]
    table = {"kind": "table", "title": block["title"], "caption": block["caption"], **block["steps"]}
    table["align"] = "l" + "r" * (len(table["columns"]) - 1)
    return [table] + ([{"kind": "facts", "items": block["facts"]}] if "facts" in block else [])


def _title(trace: Trace, place: Place) -> str:
    where = [f"{name} {index + 1}" for name, index in label(place).items() if index is not None and name != "query"]
    title = ", ".join([*where, trace.query_names[place[-1]]])
    return title[:1].upper() + title[1:]


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
