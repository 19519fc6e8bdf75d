"""The commands, in the order of their use."""

from __future__ import annotations

from typing import Annotated

import typer

from intermodal.cli.captioning import caption
from intermodal.cli.comparing import compare
from intermodal.cli.demo import demo
from intermodal.cli.evaluating import evaluate
from intermodal.cli.explaining import explain
from intermodal.cli.fitting import fit
from intermodal.cli.indexing import index
from intermodal.cli.inspecting import inspect
from intermodal.cli.localizing import localize
from intermodal.cli.predicting import predict
from intermodal.cli.searching import search
from intermodal.cli.tracing import trace

# Plain help: the same in a pipe as in a terminal, brackets of a spec stay brackets, and rich need not load for it.
app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, pretty_exceptions_enable=False)
app.command(short_help="The whole tour in a minute, on real data.")(demo)
app.command(short_help="What is in the data, what is missing, what is odd.")(inspect)
app.command(short_help="Does attention help on these data?")(compare)
app.command(short_help="Train one fusion and save it.")(fit)
app.command(short_help="How good is a fitted model?")(evaluate)
app.command(short_help="What does a fitted model say?")(predict)
app.command(short_help="Who asked whom, and what was it worth?")(explain)
app.command(short_help="When does it happen in a video?")(localize)
app.command(short_help="Put clips where search finds them.")(index)
app.command(short_help="Which clip fits, and which text?")(search)
app.command(short_help="What do clips show, in words?")(caption)
app.command(short_help="The arithmetic of attention, step by step.")(trace)


def _version(wanted: bool) -> None:
    if wanted:
        from intermodal import __version__

        print(f"intermodal {__version__}")
        raise typer.Exit


@app.callback(epilog="Exit codes: 0 fine, 1 failed, 2 your input, 130 Ctrl-C. Every command takes --json.")
def intermodal(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Attention between modalities: who asks whom, does it help, and why.

    A fusion is a sentence: "text -> video" reads "text asks video", "<->" is both ways; "self", "cross" and "none"
    are ready made. Start with: intermodal demo
    """
