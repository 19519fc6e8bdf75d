"""`intermodal trace`: the arithmetic of attention, step by step, right to the last printed digit."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from intermodal.cli import console
from intermodal.cli.options import Json


def trace(
    q: Annotated[str, typer.Option("--q", metavar="NUMBERS", help='Queries: "1 2", rows between semicolons.')],
    k: Annotated[str, typer.Option("--k", metavar="NUMBERS", help='Keys: "2 3; 1 0".')],
    v: Annotated[
        str | None, typer.Option("--v", metavar="NUMBERS", help="Values, one per key; none: only weights.")
    ] = None,
    unscaled: Annotated[bool, typer.Option("--unscaled", help="Do not divide by the root of the width.")] = False,
    keep: Annotated[
        str | None, typer.Option("--keep", metavar="BITS", help='Which keys may be looked at: "1 0".')
    ] = None,
    digits: Annotated[int, typer.Option("--digits", min=1, max=30, help="Decimals of a rounded number.")] = 10,
    claim: Annotated[
        str | None, typer.Option("--claim", metavar="NUMBERS", help="Weights, scores or output to check.")
    ] = None,
    dtype: Annotated[
        str | None, typer.Option("--dtype", metavar="DTYPE", help="Replay in bfloat16, float16, float32 or float64.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("-o", "--out", metavar="FILE", help="Report: .html, .md, .json or .txt.")
    ] = None,
    json: Json = False,
) -> None:
    """Work out attention on a few numbers, step by step.

    \b
    $ intermodal trace --q "1 2" --k "2 3; 1 0" --claim "0.9991 0.0009"
    7. Weight: exponential / sum
                    scaled    (unscaled)
       key 1  0.9929646489  0.9990889488
       key 2  0.0070353511  0.0009110512
    ── The claim
    Wrong: weights at key 1: claimed 0.9991, true 0.9930 ...
    """
    from intermodal.cli.outputs import REPORTS, check_file
    from intermodal.explain.trace import trace as work_out

    check_file(out, REPORTS, force=True)
    worked = work_out(q, k, v, scale=not unscaled, keep=keep, digits=digits)
    verdict = None if claim is None else worked.check(claim)
    replay = None if dtype is None else worked.replay(dtype)
    if out is not None:
        worked.report(out)
    if json:
        found: dict[str, Any] = {
            "scores": worked.scores,
            "weights": worked.weights,
            "output": worked.output,
            "steps": worked.steps,
        }
        found |= {} if verdict is None else {"check": verdict.to_dict()}
        if replay is not None:
            found["replay"] = {"dtype": dtype, "weights": replay.weights, "output": replay.output}
        console.show_json(found)
        return
    print(worked.text(), end="")
    told = {} if verdict is None else {"The claim": verdict.text()}
    told |= {} if replay is None else {"Replayed": replay.text}
    for title, words in told.items():
        from intermodal.report.cells import wrap

        print(f"\n── {title}", *wrap(words, 80)[0], sep="\n")
    if out is not None:
        console.note(f'the report is in "{out}"')
