"""`intermodal index`: put clips where `intermodal search` finds them."""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from intermodal.cli import console
from intermodal.cli.clips import Clips
from intermodal.cli.options import Force, Json
from intermodal.errors import InputError

if TYPE_CHECKING:
    from intermodal.find.index import ClipIndex


def index(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="Folder that `FusionRetriever.save` wrote.")],
    data: Annotated[Path, typer.Argument(metavar="DATA", help="Clips: .npz, .parquet, .arrow, .feather or .csv.")],
    out: Annotated[Path, typer.Option("-o", "--out", metavar="FOLDER", help="The index: new, unless clips change.")],
    id_key: Annotated[
        str | None, typer.Option("--id", metavar="KEY", help='Column with the ids (default: "id", else row numbers).')
    ] = None,
    meta: Annotated[
        list[str] | None, typer.Option("--meta", metavar="KEY", help="Column to filter, group and show by; repeatable.")
    ] = None,
    text: Annotated[
        str | None, typer.Option("--text", metavar="KEY", help="Index these texts, for clips to find, not the clips.")
    ] = None,
    store: Annotated[
        str, typer.Option("--store", metavar="WHERE", help='"folder", or a Milvus server: http://127.0.0.1:19530.')
    ] = "folder",
    collection: Annotated[
        str | None, typer.Option("--collection", metavar="NAME", help="What the server calls a new index.")
    ] = None,
    add: Annotated[bool, typer.Option("--add", help="Add the clips to an index that is there.")] = False,
    update: Annotated[bool, typer.Option("--update", help="Replace the clips of these ids.")] = False,
    delete: Annotated[bool, typer.Option("--delete", help="Delete the clips of these ids.")] = False,
    keep: Annotated[
        bool, typer.Option("--keep/--no-keep", help="Keep the clips too, so that a search can rerank them.")
    ] = True,
    force: Force = False,
    json: Json = False,
) -> None:
    """Embed clips with a fitted retriever and write them into an index, or change what is there.

    What was written is on disk when the command says so, and stays there whatever happens after. The token of a
    server, where it asks for one, is read from INTERMODAL_MILVUS_TOKEN.

    \b
    $ intermodal index model/ clips.parquet -o clips.index --meta video
    ── Indexed
    Index    clips.index
    Wrote    500 clips; 500 are there
    Vector   64 numbers each, in the folder
    Kept     beside the vectors, so that a search can rerank them
    Seconds  2.1
    """
    from intermodal.find.loading import load_finder

    changes = [name for name, wanted in (("add", add), ("update", update), ("delete", delete)) if wanted]
    if len(changes) > 1:
        raise InputError(f"one change at a time, however: --{' --'.join(changes)}")
    change = changes[0] if changes else None
    _check_place(out, change, force)
    retriever = load_finder(model, "FusionRetriever")
    clips, started = Clips(data), time.perf_counter()
    place = out if change is not None or not out.exists() else out.with_name(f".{out.name}.new")
    opened = _opened(place, change, retriever, store, collection, "clips" if text is None else "queries")
    try:
        with opened:
            n = _change(opened, retriever, clips, change, id_key, meta or [], text, keep)
            told: dict[str, Any] = {"index": str(out), "model": str(model), "data": str(data)}
            told["change"] = change or "create"
            told |= {"wrote": n, "holds": opened.holds, "clips": len(opened), "width": opened.width}
            told |= {"store": "folder" if opened.keeps else "server", "kept": keep and opened.keeps and not delete}
    except BaseException:
        if change is None and (place != out or not _n_written(place)):
            with contextlib.suppress(Exception):  # what went wrong first is what counts
                _remove(place)
        raise
    if place != out:
        _remove(out)
        os.replace(place, out)
    told["seconds"] = time.perf_counter() - started
    if json:
        console.show_json(told)
        return
    asked = ["--like", "CLIPS", "--row", "0"] if opened.holds == "queries" else ["a few words"]
    nexts = {"kind": "commands", "title": "Next", "lines": [_line("search", model, out, *asked)]}
    facts = {"kind": "facts", "title": "Indexed", "items": _facts(told)}
    console.show({"title": "An index", "subtitle": str(data), "blocks": [facts, nexts]})


def _check_place(out: Path, change: str | None, force: bool) -> None:
    """Raise before anything is loaded where the index could not be written."""
    if change is not None or not out.exists():
        return
    if not force:
        raise InputError(
            f'an index is made in a new folder, however: "{out}" exists; change it with --add, --update or --delete, '
            "choose another, or add --force"
        )
    if not _is_index(out):
        raise InputError(f'--force overwrites an index only, however: "{out}" is none')


def _is_index(folder: Path) -> bool:
    from intermodal.find.index import SERVER
    from intermodal.find.journal import FILE

    return (folder / FILE).is_file() or (folder / SERVER).is_file()


def _opened(
    place: Path, change: str | None, retriever: Any, store: str, collection: str | None, holds: str
) -> ClipIndex:
    from intermodal.find.index import ClipIndex

    token = os.environ.get("INTERMODAL_MILVUS_TOKEN", "")
    if change is not None:
        found = ClipIndex.open(place, token=token)
        if change != "delete" and found.holds != holds:
            found.close()
            held, given = _words(found.holds), _words(holds)
            raise InputError(f'an index holds clips or texts, however: "{place}" holds {held}, these are {given}')
        return found
    if store != "folder" and "://" not in store:
        raise InputError(f'--store is "folder" or the address of a server, http://127.0.0.1:19530, however: "{store}"')
    _remove(place)
    server = None if store == "folder" else store
    more: dict[str, Any] = {"server": server, "collection": collection, "token": token, "holds": holds}
    return ClipIndex.create(place, fingerprint=retriever.fingerprint, width=retriever.width, **more)


def _change(
    index: ClipIndex,
    retriever: Any,
    clips: Clips,
    change: str | None,
    id_key: str | None,
    meta: list[str],
    text: str | None,
    keep: bool,
) -> int:
    """Do what was asked; return how many clips it touched."""
    from intermodal.find.asking import fill

    ids = clips.ids(id_key)
    if change == "delete":
        index.check(retriever.fingerprint, retriever.width)
        index.delete(ids)
        return len(ids)
    items = clips.items(retriever) if text is None else _every(clips.texts(text), text)
    said = clips.metadata(meta if text is None else [text, *meta])
    with console.progress("indexing") as advance:
        fill(index, retriever, items, ids, said, update=change == "update", keep=keep, progress=advance)
    return len(ids)


def _every(texts: list[str | None], name: str) -> list[str]:
    absent = next((row for row, text in enumerate(texts) if text is None), None)
    if absent is not None:
        raise InputError(f'every text is there, however: that of row {absent} is missing in "{name}"')
    return [str(text) for text in texts]


def _n_written(folder: Path) -> int:
    """How many clips an index holds; none where it cannot be read."""
    from intermodal.find.index import ClipIndex

    try:
        with ClipIndex.open(folder) as index:
            return len(index)
    except Exception:
        return 0


def _remove(folder: Path) -> None:
    """Delete an index, and what it has on a server."""
    if (folder / "server.json").is_file():
        from intermodal.find.index import ClipIndex
        from intermodal.find.store_milvus import MilvusStore

        with ClipIndex.open(folder, token=os.environ.get("INTERMODAL_MILVUS_TOKEN", "")) as index:
            if isinstance(index.store, MilvusStore):
                index.store.drop()
    if _is_index(folder):
        shutil.rmtree(folder)


def _facts(told: dict[str, Any]) -> list[list[Any]]:
    what = _words(told["holds"])
    done = {"create": "Wrote", "add": "Added", "update": "Replaced", "delete": "Deleted"}[told["change"]]
    where = "in the folder" if told["store"] == "folder" else "on the server"
    items = [
        ["Index", told["index"]],
        [done, f"{told['wrote']} {what}; {told['clips']} are there"],
        ["Vector", f"{told['width']} numbers each, {where}"],
    ]
    if told["change"] != "delete":
        kept = "beside the vectors, so that a search can rerank them"
        items.append(["Kept", kept if told["kept"] else "the vectors alone: a search cannot rerank"])
    return [*items, ["Seconds", f"{told['seconds']:.1f}"]]


def _words(holds: str) -> str:
    return "clips" if holds == "clips" else "texts"


def _line(*words: Any) -> str:
    return shlex.join(["intermodal", *map(str, words)])
