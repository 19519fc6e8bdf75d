"""`intermodal predict`: what a fitted model says about samples."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from intermodal.cli import console, outputs
from intermodal.cli.loading import read_unlabelled
from intermodal.cli.options import Data, Force, Json, Model

if TYPE_CHECKING:
    import numpy as np

SHOWN = 10
"""Rows that a terminal gets to see."""
_MOST_CLASSES = 5


def predict(
    model: Model,
    data: Data,
    out: Annotated[
        Path | None, typer.Option("-o", "--out", metavar="FILE", help="New file: .parquet, .csv or .json.")
    ] = None,
    force: Force = False,
    json: Json = False,
) -> None:
    """Predict every row of the data; with classes, their probabilities stand beside.

    \b
    $ intermodal predict model/ films.npz
    row  prediction  probability_bad  probability_good
    ───  ──────────  ───────────────  ────────────────
      0  good                  0.032             0.968
      1  bad                   0.881             0.119
    """
    from intermodal.learn.predicting import load_predictor

    outputs.check_file(out, outputs.TABLES, force=force)
    fitted = load_predictor(model)
    columns = predictions(fitted, read_unlabelled(data, fitted))
    n = len(next(iter(columns.values())))
    if out is not None:
        from intermodal.data.writing import write_table

        write_table(out, columns)
    if json:
        rows = None if out is not None else _rows(columns)
        told = {"model": str(model), "data": str(data), "n": n, "written": None if out is None else str(out)}
        console.show_json(told if rows is None else {**told, "predictions": rows})
    elif out is not None:
        items = [["File", str(out)], ["Rows", n], ["Columns", ", ".join(columns)]]
        console.show({"title": "Predictions", "subtitle": str(data), "blocks": [{"kind": "facts", "items": items}]})
    else:
        console.show({"title": "Predictions", "subtitle": str(data), "blocks": _table(columns, n)})


def predictions(model: Any, samples: Any) -> dict[str, np.ndarray]:
    """Return columns: `id` (or `row`, from 0), `prediction`, and one probability a class.

    A prediction of several numbers is a column each: `prediction_0`, `prediction_1`.
    """
    import numpy as np

    columns = {"row": np.arange(len(samples))} if samples.ids is None else {"id": samples.ids}
    if hasattr(model, "predict_proba"):
        shares = model.predict_proba(samples)
        columns["prediction"] = model.classes_[shares.argmax(1)]
        return columns | {f"probability_{c}": shares[:, k] for k, c in enumerate(model.classes_.tolist())}
    predicted = model.predict(samples)
    if predicted.ndim == 1:
        return columns | {"prediction": predicted}
    return columns | {f"prediction_{k}": predicted[:, k] for k in range(predicted.shape[1])}


def _rows(columns: dict[str, np.ndarray]) -> list[dict[str, Any]]:
    names = list(columns)
    return [dict(zip(names, row, strict=True)) for row in zip(*(c.tolist() for c in columns.values()), strict=True)]


def _table(columns: dict[str, np.ndarray], n: int) -> list[dict[str, Any]]:
    shares = [name for name in columns if name.startswith("probability_")]
    shown = {name: column[:SHOWN] for name, column in columns.items()}
    if len(shares) > _MOST_CLASSES:  # of many classes, the one that was chosen
        import numpy as np

        best = np.max([columns[name][:SHOWN] for name in shares], axis=0)
        shown = {name: column for name, column in shown.items() if name not in shares} | {"probability": best}
    rows = [[_cell(value) for value in row] for row in zip(*(c.tolist() for c in shown.values()), strict=True)]
    align = "".join("l" if column.dtype.kind in "OU" else "r" for column in shown.values())
    title = f"The first {len(rows)} of {n}"
    table = {"kind": "table", "title": title, "columns": list(shown), "rows": rows, "align": align}
    if n <= SHOWN:
        return [table | {"title": f"All {n}"}]
    return [
        table,
        {"kind": "text", "text": "All of them: -o predictions.parquet, or --json."},
    ]


def _cell(value: Any) -> Any:
    if isinstance(value, float):
        return f"{value:.3f}" if abs(value) < 1000 else f"{value:.4g}"
    return value if isinstance(value, str | int) and not isinstance(value, bool) else str(value)
