"""`intermodal compare`: does attention help on these data?"""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from intermodal.cli import console, outputs
from intermodal.cli.describing import announce
from intermodal.cli.loading import read_labelled
from intermodal.cli.options import (
    Budget,
    Data,
    Device,
    Epochs,
    Experts,
    GroupName,
    Json,
    Members,
    Nan,
    NanChoice,
    Seed,
    TargetName,
    TaskChoice,
)


class Protocol(StrEnum):
    """Which rows are scored."""

    AUTO = "auto"
    SPLIT = "split"
    CV = "cv"


def compare(
    data: Data,
    target: TargetName = None,
    fusion: Annotated[
        list[str] | None,
        typer.Option("--fusion", metavar="SPEC", help="Once for each fusion; none, self and cross unless named."),
    ] = None,
    baseline: Annotated[
        list[str] | None,
        typer.Option(
            "--baseline",
            metavar="NAME",
            help='Once for each: concatenation, late, svm, forest, boosting, "single:NAME". '
            "Majority (mean) and best single are always there.",
        ),
    ] = None,
    group: GroupName = None,
    task: TaskChoice = None,
    folds: Annotated[int, typer.Option("--folds", min=2, help="Folds of the cross-validation.")] = 5,
    repeats: Annotated[int, typer.Option("--repeats", min=1, help="Repetitions of the cross-validation.")] = 1,
    protocol: Annotated[
        Protocol, typer.Option("--protocol", help="Score the given test rows, or cross-validate over all rows.")
    ] = Protocol.AUTO,
    scoring: Annotated[
        str | None, typer.Option("--scoring", metavar="NAME", help="Accuracy (R2 in regression) unless named.")
    ] = None,
    epochs: Epochs = None,
    members: Members = None,
    experts: Experts = True,
    budget: Budget = None,
    seed: Seed = 0,
    device: Device = "auto",
    nan: NanChoice = Nan.ERROR,
    out: Annotated[
        Path | None, typer.Option("-o", "--out", metavar="FILE", help="Report: .html, .md, .json or .txt.")
    ] = None,
    json: Json = False,
) -> None:
    """Compare fusions with and without attention, beside honest baselines, on the same folds.

    \b
    $ intermodal compare some.parquet --fusion none --fusion self -o report.html
    ── Verdict
    Attention is not shown to help here: "self" is +0.2 points against "none"
    (95 % interval -1.2 to +1.6, which includes 0) and +0.0 points against
    "concatenation" (95 % interval -8.2 to +8.2, which includes 0). Take ...
    ── Scores
      model          kind      accuracy      95 % interval
      ─────────────  ────────  ────────  ─────────────────
      majority       baseline    11.8 %   10.6 % to 13.0 %
    ▸ best single    baseline    95.2 %  88.9 % to 100.0 %
      concatenation  baseline    97.4 %  93.8 % to 100.0 %
      none           fusion      97.2 %  90.0 % to 100.0 %
      self           fusion      97.4 %  91.5 % to 100.0 %
    """
    from intermodal.learn.compare import compare as run
    from intermodal.learn.feed import to_device

    outputs.check_file(out, outputs.REPORTS, force=True)
    samples = read_labelled(data, target, group, nan.value)
    to_device(device)
    fusions = tuple(fusion or ("none", "self", "cross"))
    announce(fusions, samples.names)
    options = {"max_epochs": epochs, "n_members": members, "experts": experts, "budget_s": budget}
    with console.progress("comparing") as advance:
        result = run(
            samples,
            fusions=fusions,
            baselines=tuple(baseline or ("majority", "best single", "concatenation")),
            task=None if task is None else task.value,
            n_splits=folds,
            n_repeats=repeats,
            protocol=protocol.value,
            scoring=scoring,
            seed=seed,
            progress=advance,
            device=device,
            nan=nan.value,
            **{name: value for name, value in options.items() if value is not None},
        )
    if out is not None:
        result.report(out)
    if json:
        console.show_json({"data": str(data), **result.to_dict(), "report": None if out is None else str(out)})
        return
    console.show(result.to_report())
    if out is not None:
        console.note(f"the report is in {out}")
