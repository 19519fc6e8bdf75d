"""`intermodal localize`: when does it happen? A fitted localizer asked about videos."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from intermodal.cli import console, outputs
from intermodal.cli.options import Force, Json
from intermodal.cli.picking import row_of

if TYPE_CHECKING:
    from intermodal.data.samples import Samples

LIKELY = 0.5
"""The probability below which the answer is that it does not happen."""
WORTH_DRAWING = 0.01
"""The score from which an answer after the first is drawn."""
SHOWN = 5
"""Videos that are listed where several were asked."""


def localize(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="Folder that `MomentLocalizer.save` wrote.")],
    data: Annotated[Path, typer.Argument(metavar="VIDEO", help="Frames as vectors, of one video or several: .npz ...")],
    query: Annotated[str, typer.Argument(metavar="QUERY", help='What to look for: "when does the dog appear?"')],
    row: Annotated[
        int | None, typer.Option("--row", min=0, help="Which video, from 0; all of them by default.")
    ] = None,
    name: Annotated[str | None, typer.Option("--id", metavar="ID", help="Which video, by its id.")] = None,
    top: Annotated[int, typer.Option("--top", min=1, help="Most answers a video.")] = 3,
    fps: Annotated[
        float | None, typer.Option("--fps", min=0.001, help="Frames a second; as in training by default.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("-o", "--out", metavar="FILE", help="Report: .html, .md, .json or .txt.")
    ] = None,
    force: Force = False,
    json: Json = False,
) -> None:
    """Say when something happens in a video, how sure that is, and draw it; or say that it does not happen.

    Asked about several videos, it lists them by how likely it happens there and draws the first.

    \b
    $ intermodal localize moments/ video.npz "When does a seven appear?"
    ── Answer
    Seconds  4.50 to 10.50
    Happens  99 %
    ── When it fits
    name               start (s)  end (s)  0.00                      16.00
    ─────────────────  ─────────  ───────  ───────────────────────────────
    relevance: highest      6.00     6.50           ▃▆███████▅▁
    answer 1, 93 %          4.50    10.50           ├─────────┤
    """
    from intermodal.find.loading import load_finder
    from intermodal.learn.threads import one_thread

    outputs.check_file(out, outputs.REPORTS, force=force)
    localizer = load_finder(model, "MomentLocalizer")
    videos = _videos(data, localizer)
    rows = _rows(videos, row, name)
    for stream in localizer.preprocessor_.scalings:
        if stream not in videos.names:
            console.note(f'"{stream}" is not in the data and counts as missing: the answer may be another without it')
    with one_thread():
        found = localizer.predict(videos, [query] * len(rows), videos=rows, fps=fps, top=top)
    order = sorted(range(len(rows)), key=lambda i: (-_sure(found[i]), rows[i]))
    names = [str(rows[i]) if videos.ids is None else str(videos.ids[rows[i]]) for i in order]
    found = [found[i] for i in order]
    if json:
        answers = [{"video": video, **moments.to_dict()} for video, moments in zip(names, found, strict=True)]
        console.show_json({"model": str(model), "data": str(data), "query": query, "answers": answers})
    blocks = answer_blocks(found[0], names[0] if len(names) > 1 else None)
    if len(names) > 1:
        blocks.append(_table(names, found))
    report = {"title": query, "subtitle": str(data), "blocks": blocks}
    if out is not None:
        from intermodal.report.writing import write

        write({**report, "blocks": [*blocks, *attention_blocks(found[0])]}, out)
    if not json:
        console.show(report)
        if out is not None:
            console.note(f'which word is looked at when is in "{out}"')


def answer_blocks(moments: Any, video: str | None = None, truth: Any = ()) -> list[dict[str, Any]]:
    """Return the answer as a report shows it: the seconds, how sure, and the picture.

    Args:
        moments: what the localizer found in one video.
        video: what to call it, where there are several.
        truth: spans in seconds that are known to be right, where they are.
    """
    likely = (moments.happens is None or moments.happens >= LIKELY) and len(moments.spans) > 0
    items: list[list[Any]] = [] if video is None else [["Video", video]]
    items.append(["Seconds", _when(moments.spans[0])] if likely else ["Answer", "it does not happen"])
    if moments.happens is not None:
        items.append(["Happens", f"{100 * moments.happens:.0f} %"])
    spans = [
        {"label": f"{'answer' if likely else 'at best'} {i}, {100 * score:.0f} %", "start": start, "end": end}
        for i, ((start, end), score) in enumerate(zip(_floats(moments.spans), moments.scores, strict=True), 1)
        if i == 1 or score >= WORTH_DRAWING
    ]
    spans += [{"label": "truth", "start": start, "end": end} for start, end in _floats(truth)]
    timeline = moments.timeline
    return [
        {"kind": "facts", "title": "Answer", "items": items},
        {
            "kind": "track",
            "title": "When it fits",
            "caption": "The percentage of a span is how likely it meets the moment, by half or more, if there is one.",
            "name": "relevance",
            "unit": "s",
            "times": _floats(timeline.times),
            "values": [float(value) for value in timeline.relevance],
            "spans": spans,
        },
    ]


def attention_blocks(moments: Any) -> list[dict[str, Any]]:
    """Return who was looked at when: for each word of the query, how much of every frame's look fell on it."""
    timeline = moments.timeline
    words = (
        "Each frame shares its look among the words of the query (first layer, mean over heads); what is left "
        "falls on nobody. It is where the model looked, which need not be what it used."
    )
    best = [{"label": "answer", "start": start, "end": end} for start, end in _floats(moments.spans[:1])]
    tracks = [
        {
            "kind": "track",
            "title": f"{i}. {word}",
            "name": f"frames look at “{word}”",
            "unit": "s",
            "times": _floats(timeline.times),
            "values": [min(1.0, float(weight)) for weight in weights],
            "spans": best,
        }
        for i, (word, weights) in enumerate(zip(timeline.words, timeline.attention, strict=True), 1)
    ]
    return [{"kind": "text", "title": "Which word is looked at when", "text": words}, *tracks]


def _videos(path: Path, localizer: Any) -> Samples:
    """Read videos; a file that holds the frames of a single one, (T, D), is that one."""
    from intermodal.data.npz import open_npz, samples_from_arrays
    from intermodal.data.reading import existing_file, read

    if existing_file(path).suffix.lower() != ".npz":
        return read(path, labelled=False)
    arrays = open_npz(path)
    streams = [
        m["name"] for m in localizer.preprocessor_.described() if m["kind"] == "sequence" and m["name"] in arrays
    ]
    if streams and all(arrays[stream].ndim == 2 for stream in streams):
        return samples_from_arrays({stream: arrays[stream][None] for stream in streams})
    return samples_from_arrays(arrays)


def _rows(videos: Samples, row: int | None, name: str | None) -> list[int]:
    if row is None and name is None:
        return list(range(len(videos)))
    ids = None if videos.ids is None else [str(i) for i in videos.ids]
    return [row_of(ids, len(videos), row, name, "video")]


def _sure(moments: Any) -> float:
    """How sure it is that a video holds it: that it happens, or where that was never learned, the best span."""
    if moments.happens is not None:
        return float(moments.happens)
    return float(moments.scores[0]) if len(moments.scores) else 0.0


def _table(names: list[str], found: list[Any]) -> dict[str, Any]:
    rows = [
        [name, f"{100 * _sure(moments):.0f} %", _when(moments.spans[0]) if len(moments.spans) else "–"]
        for name, moments in list(zip(names, found, strict=True))[:SHOWN]
    ]
    sure = "best score" if found[0].happens is None else "happens"
    title = f"The likeliest {SHOWN} of {len(names)} videos" if len(names) > SHOWN else "All videos, the likeliest first"
    return {"kind": "table", "title": title, "columns": ["video", sure, "when (s)"], "rows": rows, "align": "lrr"}


def _when(span: Any) -> str:
    """Seconds, and beyond a minute what a clock would show.

    Example:
        >>> _when((4.5, 10.5)), _when((59.0, 3723.25))
        ('4.50 to 10.50', '59.00 to 3723.25 (0:59 to 1:02:03)')
    """
    start, end = (float(x) for x in span)
    seconds = f"{start:.2f} to {end:.2f}"
    return seconds if end < 60 else f"{seconds} ({_clock(start)} to {_clock(end)})"


def _clock(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def _floats(array: Any) -> list[Any]:
    return [[float(x) for x in row] for row in array]
