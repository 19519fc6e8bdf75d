"""`intermodal explain`: who asked whom in a fitted model, what was it worth, and what to beware of."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from intermodal.cli import console, outputs
from intermodal.cli.loading import read_unlabelled, rows_of_part
from intermodal.cli.options import Data, Force, Json, Model, Part, Seed
from intermodal.errors import InputError, did_you_mean

if TYPE_CHECKING:
    from intermodal.data.samples import Samples

RANDOM, MANY = 3, 6
"""Random models to compare with; above so many modalities none unless asked for: each subset doubles the time."""
SAMPLES = 200
"""Rows that are explained unless more are asked for."""


def explain(
    model: Model,
    data: Data,
    out: Annotated[
        Path | None, typer.Option("-o", "--out", metavar="FILE", help="Report: .html, .md, .json or .txt.")
    ] = None,
    split: Annotated[
        Part | None, typer.Option("--split", help="Which rows; test where the data have a split, else all.")
    ] = None,
    samples: Annotated[
        int, typer.Option("--samples", min=1, help="Most rows to explain, drawn by the seed.")
    ] = SAMPLES,
    removal: Annotated[
        str | None, typer.Option("--removal", metavar="RULE", help="mask, learned_missing, mean or permute.")
    ] = None,
    of: Annotated[str, typer.Option("--of", metavar="WHAT", help="prediction, logit, margin or loss.")] = "prediction",
    seconds: Annotated[
        list[str] | None,
        typer.Option("--seconds", metavar="NAME=NUMBER", help="Seconds a token of a sequence lasts: video=0.04."),
    ] = None,
    randomise: Annotated[
        int | None,
        typer.Option(
            "--randomise",
            metavar="MODELS",
            min=0,
            help="Random models to compare with (default: 3; 0 above 6 modalities).",
        ),
    ] = None,
    max_mb: Annotated[float, typer.Option("--max-mb", min=0.01, help="Most megabytes of the report.")] = 25,
    seed: Seed = 0,
    force: Force = False,
    json: Json = False,
) -> None:
    """Show who attended to whom, what each modality was worth, and whether the two agree.

    \b
    $ intermodal explain intermodal-demo/model intermodal-demo/digits6.parquet
    ── What each modality was worth
    name  value    low   high  0.00                                0.36
    ────  ─────  ─────  ─────  ────────────────────────────────────────
    fou   0.207  0.191  0.224  │▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒├─█┤
    """
    from intermodal.explain.explaining import explain as work_out
    from intermodal.learn.saving import load
    from intermodal.learn.threads import one_thread

    outputs.check_file(out, outputs.REPORTS, force=force)
    fitted = load(model)
    rows, part = _chosen(_with_target(read_unlabelled(data, fitted), of), split, samples, seed)
    if part == "all":
        console.note("scores are too good, and worth too great, if the model was fitted on these rows")
    lasting = _seconds(seconds or [], fitted.names_)
    with console.progress("explaining") as advance, one_thread():
        options: dict[str, Any] = {"removal": removal, "of": of, "seed": seed}
        options["randomise"] = RANDOM * (len(fitted.names_) <= MANY) if randomise is None else randomise
        explanation = work_out(fitted, rows, seconds=lasting, progress=advance, **options)
    if out is not None:
        explanation.report(out, max_mb=max_mb)
    if json:
        console.show_json({"model": str(model), "data": str(data), "part": part, **explanation.to_dict()})
        return
    report = explanation.to_report(brief=True)
    named = f"all {len(rows)} rows" if part == "all" else f"{len(rows)} {part} rows"
    console.show({**report, "subtitle": f"{model}; {named} of {data}; {report['subtitle']}"})
    if out is not None:
        console.note(f'the report is in "{out}"')


def _chosen(samples: Samples, split: Part | None, most: int, seed: int) -> tuple[Samples, str]:
    """The rows to explain, and what they are called."""
    import numpy as np

    rows, part = rows_of_part(samples, split)
    if len(rows) > most:
        console.note(f"{most} of {len(rows)} rows are explained, drawn by the seed; more with --samples")
        rows = np.sort(np.random.default_rng(seed).permutation(rows)[:most])
    return samples[rows], part


def _with_target(samples: Samples, of: str) -> Samples:
    """Leave out rows without a target where the loss is explained."""
    from intermodal.data.alongside import unknown_targets

    if of != "loss" or samples.y is None:
        return samples
    known = ~unknown_targets(samples.y)
    if not known.all():
        console.note(f"{int((~known).sum())} rows have no target, and so no loss; they are left out")
    return samples[known]


def _seconds(given: list[str], names: tuple[str, ...]) -> dict[str, float]:
    """Read NAME=NUMBER pairs."""
    lasting: dict[str, Any] = {}
    for pair in given:
        name, sign, number = pair.rpartition("=")
        if sign and name not in names:
            raise InputError(
                f'--seconds names a modality, however: "{name or pair}"' + did_you_mean(name or pair, names)
            )
        try:
            lasting[name] = float(number)
        except ValueError:
            lasting[name] = 0.0
        if not sign or not 0 < lasting[name] < float("inf"):
            raise InputError(f'--seconds is a number above zero for each name, video=0.04, however: "{pair}"')
    return lasting
