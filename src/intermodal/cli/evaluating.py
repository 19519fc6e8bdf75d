"""`intermodal evaluate`: how good is a fitted model on rows that it has not seen?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from intermodal.cli import console
from intermodal.cli.loading import fitting_to, read_labelled, rows_of_part
from intermodal.cli.options import Data, GroupName, Json, Model, Part, TargetName

if TYPE_CHECKING:
    import numpy as np

    from intermodal.data.samples import Samples


def evaluate(
    model: Model,
    data: Data,
    target: TargetName = None,
    split: Annotated[
        Part | None, typer.Option("--split", help="Which rows; test where the data have a split, else all.")
    ] = None,
    group: GroupName = None,
    json: Json = False,
) -> None:
    """Score a fitted model, each score with an interval, beside the constant predictor.

    \b
    $ intermodal evaluate intermodal-demo/model intermodal-demo/digits6.parquet
    ── Scores
    score               model     95 % interval  majority
    ─────────────────  ──────  ────────────────  ────────
    accuracy           98.8 %  97.5 % to 99.8 %    10.0 %
    balanced accuracy  98.8 %  97.6 % to 99.8 %    10.0 %
    macro F1            0.987    0.976 to 0.997     0.018
    log loss            0.067    0.014 to 0.140     2.303
    calibration error   0.007    0.003 to 0.018     0.000
    Accuracy is +88.8 points against the majority (95 % interval +85.5 to +91.8).
    """
    from intermodal.cli import scoring
    from intermodal.learn.saving import load

    fitted = load(model)
    samples = fitting_to(fitted, read_labelled(data, target or getattr(fitted, "target_", None), group, fitted.nan))
    rows, part, reference = _chosen(samples, split)
    found = {"part": part, **scoring.score_model(fitted, rows, reference)}
    if part == "all":
        console.note("the scores are too good if the model was fitted on these rows")
    if json:
        console.show_json({"model": str(model), "data": str(data), "fusion": str(fitted.fusion), **found})
        return
    subtitle = f"{model}, {fitted.fusion}; {found['n']} {part} rows of {data}"
    subtitle = subtitle.replace(" all rows", " rows")
    console.show({"title": "How good is the model?", "subtitle": subtitle, "blocks": scoring.blocks(found)})


def _chosen(samples: Samples, split: Part | None) -> tuple[Samples, str, np.ndarray | None]:
    """The rows to score, what they are called, and the target of the training rows when these are others."""
    rows, part = rows_of_part(samples, split)
    if part == "all":
        return samples, part, None
    assert samples.split is not None and samples.y is not None
    training = samples.split == "train"
    return samples[rows], part, samples.y[training] if training.any() else None
