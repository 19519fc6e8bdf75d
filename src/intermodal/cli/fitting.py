"""`intermodal fit`: train one fusion on the training rows and save it."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from intermodal.cli import console, outputs
from intermodal.cli.describing import announce, in_words
from intermodal.cli.learning import Rows, learning_rows
from intermodal.cli.loading import read_labelled
from intermodal.cli.options import (
    Budget,
    Data,
    Device,
    Epochs,
    Experts,
    Force,
    GroupName,
    Json,
    Members,
    Nan,
    NanChoice,
    Seed,
    TargetName,
    TaskChoice,
)

if TYPE_CHECKING:
    from intermodal.data.samples import Samples


def fit(
    data: Data,
    out: Annotated[Path, typer.Option("-o", "--out", metavar="FOLDER", help="New folder for the model.")],
    target: TargetName = None,
    fusion: Annotated[str, typer.Option("--fusion", metavar="SPEC", help="Who asks whom.")] = "self",
    group: GroupName = None,
    task: TaskChoice = None,
    epochs: Epochs = None,
    members: Members = None,
    experts: Experts = True,
    budget: Budget = None,
    validation: Annotated[
        float, typer.Option("--validation", min=0, max=0.9, help="Share held out to stop by, where the split has none.")
    ] = 0.15,
    seed: Seed = 0,
    device: Device = "auto",
    nan: NanChoice = Nan.ERROR,
    force: Force = False,
    json: Json = False,
) -> None:
    """Train one fusion and save it; rows whose split says "test" are left alone.

    \b
    $ intermodal fit some.parquet --fusion "pix -> fou" --epochs 3 -o model/
    note: pix -> fou: pix asks fou
    ── Fitted
    Model         model
    Fusion        pix -> fou (pix asks fou)
    Task          classification of "y"
    Learned from  1360 rows; 240 told when to stop; 400 test rows were left alone
    Epochs        3 in 0.9 s; the best was 3
    Parameters    128,740
    Accuracy      97.9 % on the rows to stop by
    """
    outputs.check_model_folder(out, force=force)
    samples = read_labelled(data, target, group, nan.value)
    kind = task_of(samples, None if task is None else task.value)
    announce([fusion], samples.names)
    rows = learning_rows(samples, kind, share=validation, seed=seed)
    options = {"max_epochs": epochs, "n_members": members, "experts": experts, "budget_s": budget}
    model = fit_model(
        rows,
        kind,
        fusion,
        validation=validation,
        seed=seed,
        device=device,
        nan=nan.value,
        **{name: value for name, value in options.items() if value is not None},
    )
    model.save(out, overwrite=force)
    result = summary(model, rows, kind)
    if json:
        console.show_json({"model": str(out), "data": str(data), **result})
        return
    facts = {"kind": "facts", "title": "Fitted", "items": [["Model", str(out)], *facts_of(result)]}
    named = [] if target is None else ["--target", target]
    named += [] if group is None else ["--group", group]
    lines = [
        shlex.join(["intermodal", "evaluate", str(out), str(data), *named]),
        shlex.join(["intermodal", "predict", str(out), str(data), "-o", "predictions.parquet"]),
    ]
    nexts = {"kind": "commands", "title": "Next", "lines": lines}
    odd = {"kind": "findings", "title": "What to know of its attention", "items": result["findings"]}
    blocks = [facts, *([odd] if result["findings"] else []), nexts]
    console.show({"title": "A fitted fusion", "subtitle": str(data), "blocks": blocks})


def task_of(samples: Samples, named: str | None) -> str:
    """Classification or regression: as named, else guessed as a comparison guesses it."""
    from intermodal.learn.compare import guess_task

    assert samples.y is not None
    return guess_task(samples.y, named)  # type: ignore[arg-type]


def fit_model(rows: Rows, task: str, fusion: str, **options: Any) -> Any:
    """Fit the estimator of the task, with a bar over the epochs."""
    from intermodal.learn.estimators import FusionClassifier, FusionRegressor

    kind: Any = FusionClassifier if task == "classification" else FusionRegressor
    model = kind(fusion, **options)
    with console.progress("fitting") as advance:

        def after_epoch(line: dict[str, Any]) -> None:
            loss = line["valid_loss"]
            advance(line["epoch"], model.max_epochs, "" if loss is None else f"validation loss {loss:.4f}")

        model.set_params(callback=after_epoch).fit(rows.samples)
    return model.set_params(callback=None)


def summary(model: Any, rows: Rows, task: str) -> dict[str, Any]:
    """What fitting did, ready for JSON."""
    best = [line["epoch"] for line in model.history_ if line["best"]]
    return {
        "task": task,
        "target": rows.samples.target,
        "fusion": str(model.fusion),
        "words": in_words(str(model.fusion), model.names_),
        "modalities": list(model.names_),
        "rows": {"learned": rows.n_learn, "stopped_by": rows.n_stop, "left_alone": rows.n_test},
        "epochs": len(model.history_),
        "best_epoch": best[-1] if best else None,
        "seconds": model.history_[-1]["seconds"],
        "n_parameters": model.n_parameters_,
        "findings": model.findings_,
        "validation": None
        if model.validation_score_ is None
        else {"score": "accuracy" if task == "classification" else "R2", "value": model.validation_score_},
    }


def facts_of(result: dict[str, Any]) -> list[list[Any]]:
    """The summary as labels and values for people."""
    rows, score = result["rows"], result["validation"]
    learned = f"{rows['learned']} rows"
    learned += f"; {rows['stopped_by']} told when to stop" if rows["stopped_by"] else "; none was held out"
    learned += f"; {rows['left_alone']} test rows were left alone" if rows["left_alone"] else ""
    epochs = f"{result['epochs']} in {result['seconds']:.1f} s"
    epochs += "" if result["best_epoch"] is None else f"; the best was {result['best_epoch']}"
    items = [
        ["Fusion", f"{result['fusion']} ({result['words']})"],
        ["Task", f'{result["task"]} of "{result["target"] or "y"}"'],
        ["Learned from", learned],
        ["Epochs", epochs],
        ["Parameters", f"{result['n_parameters']:,}"],
    ]
    if score is not None:
        value = f"{100 * score['value']:.1f} %" if score["score"] == "accuracy" else f"{score['value']:.3f}"
        items.append([f"{score['score'][0].upper()}{score['score'][1:]}", f"{value} on the rows to stop by"])
    return items
