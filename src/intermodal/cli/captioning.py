"""`intermodal caption`: what clips show, in words, and where the model looked when it said each word."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from intermodal.cli import console, outputs
from intermodal.cli.loading import read_unlabelled
from intermodal.cli.options import Data, Force, Json
from intermodal.errors import InputError

if TYPE_CHECKING:
    from intermodal.data.samples import Samples
    from intermodal.find.captioner import Caption

SHOWN = 10
"""Captions that a terminal gets to see."""
DRAWN = 3
"""Clips whose attention a terminal gets to see."""
SUFFIXES = tuple(dict.fromkeys((*outputs.TABLES, *outputs.REPORTS)))
HOW = "mean over heads and layers"


def caption(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="Folder that `Captioner.save` wrote.")],
    data: Data,
    rows: Annotated[
        str | None, typer.Option("--rows", metavar="ROWS", help='Which clips, from 0: "0,3,5-9"; all by default.')
    ] = None,
    beam: Annotated[int, typer.Option("--beam", min=1, help="Hypotheses to follow; 1 is greedy.")] = 1,
    min_words: Annotated[int, typer.Option("--min-words", min=0, help="Words before which no caption ends.")] = 0,
    max_words: Annotated[
        int | None, typer.Option("--max-words", min=1, help="Words after which it is cut; as in training by default.")
    ] = None,
    length_penalty: Annotated[
        float | None, typer.Option("--length-penalty", min=0, help="Of a beam: 0, the default; 1 for longer captions.")
    ] = None,
    attention: Annotated[bool, typer.Option("--attention", help="Show where each word looked.")] = False,
    fps: Annotated[
        float | None, typer.Option("--fps", min=0.001, help="Frames a second, to say in seconds where words looked.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("-o", "--out", metavar="FILE", help="Table: .csv, .json, .parquet ...; report: .html, .md, .txt."),
    ] = None,
    force: Force = False,
    json: Json = False,
) -> None:
    """Say in words what clips show, and, when asked, which frames each word looked at.

    \b
    $ intermodal caption model/ clips.npz --rows 0 --attention
    clip  caption                         probability a word
    ────  ──────────────────────────────  ──────────────────
       0  a four, then a six, then a two              93.1 %
    ── Where each word looked in video
    caption  looks most at (frame)  weight  × even share  then at
    ───────  ─────────────────────  ──────  ────────────  ───────
    four                         4   0.112           5.4  5; 3
    """
    from intermodal.find.loading import load_finder

    outputs.check_file(out, SUFFIXES, force=force)
    captioner = load_finder(model, "Captioner")
    samples = read_unlabelled(data, captioner)
    picked = _rows(rows, len(samples))
    samples = samples[picked]
    names = [str(row) for row in picked] if samples.ids is None else [str(name) for name in samples.ids]
    options: dict[str, Any] = {"min_words": min_words, "max_words": max_words}
    options |= {} if length_penalty is None else {"length_penalty": length_penalty}
    made = captioner.predict(samples, beam=beam, need_attention=attention, **options)
    told = {"model": str(model), "data": str(data), "n": len(made), "unfinished": sum(not c.finished for c in made)}
    if told["unfinished"]:
        console.note(f"{told['unfinished']} of {len(made)} captions did not end and were cut; more with --max-words")
    subtitle = f"{model}; {len(made)} clips of {data}"
    if out is not None:
        _write(out, samples, picked, names, made, subtitle, fps)
    if json:
        found = {} if out is not None else {"captions": [_told(n, c) for n, c in zip(names, made, strict=True)]}
        console.show_json({**told, "written": None if out is None else str(out), **found})
        return
    blocks = [_table(names[:SHOWN], made[:SHOWN], len(made)), *attention_blocks(names[:DRAWN], made[:DRAWN], fps)]
    if attention and len(made) > DRAWN:
        blocks.append({"kind": "text", "text": f"Where the words of all {len(made)} captions looked: -o captions.html"})
    console.show({"title": "Captions", "subtitle": subtitle, "blocks": blocks})
    if out is not None:
        console.note(f'the captions are in "{out}"')


def attention_blocks(names: list[str], captions: list[Caption], fps: float | None = None) -> list[dict[str, Any]]:
    """Return where each word looked, a block a modality that is a sequence.

    Args:
        names: what the clips are called.
        captions: with their attention; without it there is no block.
        fps: frames a second; None counts frames.
    """
    import numpy as np

    sequences: dict[str, list[dict[str, Any]]] = {}
    shared: dict[str, list[float]] = {}
    for name, caption in zip(names, captions, strict=True):
        for modality, weights in (caption.attention or {}).items():
            if weights.shape[1] > 1 and len(weights):
                spans = [[k / (fps or 1), (k + 1) / (fps or 1)] for k in range(weights.shape[1])]
                item = {"id": f"{name}: {caption.text}", "words": list(caption.words), "times": spans}
                mass = weights.sum(1, keepdims=True)
                shared.setdefault(modality, []).extend(mass[:, 0].tolist())
                within = weights / np.where(mass > 0, mass, 1.0)  # or an even share would not be one over the frames
                sequences.setdefault(modality, []).append({**item, "weights": within.tolist()})
    asks = {"kind": "timeline", "unit": "frame" if fps is None else "s", "query": "caption"}
    return [
        {
            **asks,
            "title": f"Where each word looked in {modality}",
            "how": f"{HOW}; {100 * np.mean(shared[modality]):.0f} % of the look fell on {modality}, shown here as all",
            "context": modality,
            "items": items,
        }
        for modality, items in sequences.items()
    ]


def _write(
    out: Path,
    samples: Samples,
    rows: list[int],
    names: list[str],
    made: list[Caption],
    subtitle: str,
    fps: float | None,
) -> None:
    """A table or a report, by the suffix."""
    if out.suffix.lower() not in outputs.TABLES:
        from intermodal.report.writing import write

        blocks = [_table(names, made, len(made)), *attention_blocks(names, made, fps)]
        write({"title": "Captions", "subtitle": subtitle, "blocks": blocks}, out)
        return
    import numpy as np

    from intermodal.data.writing import write_table

    columns = {"row": np.array(rows)} if samples.ids is None else {"id": samples.ids}
    columns |= {
        "caption": np.array([c.text for c in made]),
        "score": np.array([c.score for c in made]),
        "finished": np.array([c.finished for c in made]),
    }
    write_table(out, columns)


def _rows(text: str | None, n: int) -> list[int]:
    """Read "0,3,5-9": numbers and stretches, both ends included, in the order of writing."""
    if text is None:
        return list(range(n))
    rows: list[int] = []
    for part in text.split(","):
        first, dash, last = (piece.strip() for piece in part.partition("-"))
        if not first.isdecimal() or (dash and not last.isdecimal()):
            raise InputError(f'--rows is numbers and stretches, as "0,3,5-9", however: "{part.strip()}"')
        stretch = range(int(first), int(last or first) + 1)
        if not stretch or stretch[-1] >= n:
            raise InputError(f'--rows are from 0 to {n - 1}, the smaller first, however: "{part.strip()}"')
        rows += stretch
    return rows


def _told(name: str, caption: Caption) -> dict[str, Any]:
    told = {"clip": name, "caption": caption.text, "score": caption.score, "finished": caption.finished}
    if caption.attention is not None:
        told |= {"words": caption.words, "attention": caption.attention}
    return told


def _table(names: list[str], made: list[Caption], n: int) -> dict[str, Any]:
    rows = [
        [name, c.text + ("" if c.finished else " ..."), f"{100 * math.exp(c.score):.1f} %"]
        for name, c in zip(names, made, strict=True)
    ]
    title = f"All {n}" if len(made) == n else f"The first {len(made)} of {n}"
    return {
        "kind": "table",
        "title": title,
        "columns": ["clip", "caption", "probability a word"],
        "rows": rows,
        "align": "rlr",
    }
