"""`intermodal inspect`: what is there, what is missing, what is odd."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from intermodal.cli import console
from intermodal.cli.describing import in_words
from intermodal.cli.options import Data, GroupName, Json, Nan, NanChoice, TargetName

if TYPE_CHECKING:
    from intermodal.data.samples import Samples
    from intermodal.explain.findings import Finding

_WHERE_ANY = ("tokens", "constant", "repeated", "NaN")
"""Columns that are shown only where some modality has something to say in them."""


def inspect(
    data: Data,
    target: TargetName = None,
    group: GroupName = None,
    nan: NanChoice = Nan.IMPUTE,
    lint: Annotated[
        bool, typer.Option("--lint", help="Also say what cannot work in a fusion of these data, without training it.")
    ] = False,
    fusion: Annotated[
        str | None,
        typer.Option("--fusion", metavar="SPEC", help='The fusion to lint: who asks whom (default: "self").'),
    ] = None,
    json: Json = False,
) -> None:
    """Look at samples before anything is trained, and with --lint at a fusion of them.

    \b
    $ intermodal inspect intermodal-demo/digits6.parquet
    ── Samples
    Samples  2000
    Target   "y", 10 classes of 200 samples
    Split    1600 train, 400 test
    ── Modalities
    modality  kind    width  missing  repeated      least       most
    ────────  ──────  ─────  ───────  ────────  ─────────  ─────────
    fou       vector     76        0         6  0.0001763     0.7965
    mor       vector      6        0       112          0  1.757e+04
    ── What is odd
    WARNING  train-in-test
      1 of 400 test samples equal a training sample in every modality.
      What to do: Remove the copies, or make copies one group and split by it.

    \b
    $ intermodal inspect digits6.parquet --lint --fusion "pix -> mor"
    ── What is odd about the fusion "pix -> mor"
    NOTE  outside-attention
      "fou", "fac", "kar", "zer" take no part in the attention: nobody asks
      there and nobody is asked
    """
    from intermodal.data.inspecting import inspect as look
    from intermodal.data.reading import read

    samples = read(data, target=target, group=group, nan=nan.value)
    asked = fusion or "self"
    linted = _lint(samples, asked) if lint or fusion is not None else None
    found = look(samples)
    if json:
        more = {} if linted is None else {"lint": _as_json(asked, samples.names, linted)}
        console.show_json({"data": str(data), **found, **more})
        return
    shown = blocks(found)
    if linted is not None:
        shown.append(_linted(f'What is odd about the fusion "{asked}"', linted))
    console.show({"title": "What is in the data", "subtitle": str(data), "blocks": shown})


def _lint(samples: Samples, fusion: str) -> list[Finding]:
    """What cannot work in the network that `fit` would train; its target does not matter."""
    from intermodal.explain.linting import lint
    from intermodal.learn.estimators import FusionRegressor

    return lint(FusionRegressor(fusion, nan="impute"), samples)


def _as_json(fusion: str, names: tuple[str, ...], found: list[Finding]) -> dict[str, Any]:
    """The findings with their numbers, for machines."""
    findings = [{**f.to_dict(), "code": f.code, "evidence": dict(f.evidence)} for f in found]
    return {"fusion": fusion, "words": in_words(fusion, names), "findings": findings}


def _linted(title: str, found: list[Finding]) -> dict[str, Any]:
    if not found:
        return {"kind": "text", "title": title, "text": "Nothing."}
    return {"kind": "findings", "title": title, "items": [f.to_dict() for f in found]}


def blocks(found: dict[str, Any]) -> list[dict[str, Any]]:
    """Turn what `data.inspecting.inspect` returned into blocks of a report."""
    items = [["Samples", found["n"]], ["Target", _target(found["target"])]]
    if found["groups"]:
        groups = found["groups"]
        items.append(["Groups", f"{groups['count']}, of {_span(groups['smallest'], groups['largest'])} samples"])
    if found["split"]:
        items.append(["Split", ", ".join(f"{count} {part}" for part, count in found["split"].items())])
    oddities = {"kind": "findings", "title": "What is odd", "items": found["oddities"]}
    nothing = {"kind": "text", "title": "What is odd", "text": "Nothing."}
    return [
        {"kind": "facts", "title": "Samples", "items": items},
        _modalities(found["modalities"]),
        oddities if found["oddities"] else nothing,
    ]


def _modalities(modalities: list[dict[str, Any]]) -> dict[str, Any]:
    columns = ["modality", "kind", "width", "tokens", "missing", "constant", "repeated", "NaN", "least", "most"]
    rows = [
        [
            m["name"],
            m["kind"],
            m["width"],
            _lengths(m["lengths"]),
            _count(m["missing"]),
            m["constant_columns"]["count"],
            m["duplicated_rows"],
            m["nan"],
            _number(m["scale"]["min"]),
            _number(m["scale"]["max"]),
        ]
        for m in modalities
    ]
    kept = [i for i, name in enumerate(columns) if name not in _WHERE_ANY or _says(rows, i)]
    return {
        "kind": "table",
        "title": "Modalities",
        "columns": [columns[i] for i in kept],
        "rows": [[row[i] for i in kept] for row in rows],
        "align": "".join("ll"[i] if i < 2 else "r" for i in kept),
    }


def _says(rows: list[list[Any]], column: int) -> bool:
    """Whether a column holds more than nothing."""
    return any(row[column] not in (0, "-") for row in rows)


def _target(target: dict[str, Any] | None) -> str:
    if target is None:
        return "none; name one with --target"
    words = f'"{target["name"]}", '
    if target["kind"] == "several":
        words += f"{target['width']} numbers a sample"
    elif target["kind"] == "number":
        words += f"{_number(target['min'])} to {_number(target['max'])}, median {_number(target['median'])}"
    else:
        counts = [c["count"] for c in target["classes"]]
        words += f"{len(counts)} classes of {_span(min(counts), max(counts))} samples"
        if len(counts) <= 6:
            words += ": " + ", ".join(f"{c['label']} {c['count']}" for c in target["classes"])
    return words + (f"; missing in {target['missing']}" if target["missing"] else "")


def _span(low: int, high: int) -> str:
    return str(low) if low == high else f"{low} to {high}"


def _lengths(lengths: dict[str, float] | None) -> str:
    if lengths is None:
        return "-"
    low, high = int(lengths["min"]), int(lengths["max"])
    return str(low) if low == high else f"{low} to {high} ({lengths['median']:g})"


def _count(missing: dict[str, float]) -> str:
    return f"{missing['count']} ({100 * missing['share']:.0f} %)" if missing["count"] else "0"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4g}"
