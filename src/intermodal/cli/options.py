"""Options that several commands share, so that they read and mean the same everywhere."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class Nan(StrEnum):
    """What to do with a NaN inside a vector."""

    ERROR = "error"
    IMPUTE = "impute"


class Task(StrEnum):
    """What is learned."""

    CLASSIFICATION = "classification"
    REGRESSION = "regression"


class Part(StrEnum):
    """Which rows of the data."""

    TEST = "test"
    TRAIN = "train"
    VALID = "valid"
    ALL = "all"


Data = Annotated[Path, typer.Argument(metavar="DATA", help="Samples: .npz, .parquet, .arrow, .feather or .csv.")]
Model = Annotated[Path, typer.Argument(metavar="MODEL", help="Folder that `intermodal fit` wrote.")]
TargetName = Annotated[
    str | None, typer.Option("--target", metavar="NAME", help="Column or key to predict; y where there is one.")
]
GroupName = Annotated[
    str | None, typer.Option("--group", metavar="NAME", help="Column or key of what must stay together: a patient.")
]
NanChoice = Annotated[Nan, typer.Option("--nan", help="A NaN inside a vector: refuse it, or fill it with the mean.")]
TaskChoice = Annotated[Task | None, typer.Option("--task", help="Guessed from the target unless named.")]
Epochs = Annotated[
    int | None, typer.Option("--epochs", min=1, help="Most passes over the training rows (default: 200).")
]
Members = Annotated[int | None, typer.Option("--members", min=1, help="Networks in the ensemble (default: 4).")]
Experts = Annotated[
    bool,
    typer.Option("--experts/--no-experts", help="Let a line, a kernel machine and trees stand beside the network."),
]
Budget = Annotated[
    float | None, typer.Option("--budget", metavar="SECONDS", help="About how long one fit may take (default: no end).")
]
Seed = Annotated[int, typer.Option("--seed", min=0, help="The same seed gives the same result.")]
Device = Annotated[str, typer.Option("--device", metavar="DEVICE", help='"auto", "cpu", "cuda" ...')]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")]
Force = Annotated[bool, typer.Option("--force", help="Overwrite what is there.")]
