"""`intermodal evaluate`: how good is a fitted model on rows that it has not seen?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from intermodal.cli import console
from intermodal.cli.loading import fitting_to, read_labelled
from intermodal.cli.options import Data, GroupName, Json, Model, Part, TargetName
from intermodal.errors import InputError

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
    $ intermodal evaluate model/ films.npz --target rating
    score     model   95 % interval     majority
    ────────  ──────  ────────────────  ────────
    accuracy  75.2 %  71.0 % to 79.5 %    33.3 %
    log loss   0.594  0.515 to 0.680       1.099
    Accuracy is +41.9 points against the majority (95 % interval +37.7 to +46.1).
    """
    from intermodal.cli import scoring
    from intermodal.learn.saving import load

    fitted = load(model)
    samples = fitting_to(fitted, read_labelled(data, target or fitted.target_, group, fitted.nan))
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
    has_test = samples.split is not None and bool((samples.split == "test").any())
    part = split.value if split is not None else "test" if has_test else "all"
    if part == "all":
        return samples, part, None
    if samples.split is None:
        raise InputError(f'--split {part} needs a column "split", however: the data have none')
    if not (samples.split == part).any():
        raise InputError(f'--split {part} needs such rows, however: no row of the split says "{part}"')
    training = samples.split == "train"
    assert samples.y is not None
    reference = samples.y[training] if training.any() else None
    return samples[samples.split == part], part, reference
