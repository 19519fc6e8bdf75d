"""`index` writes clips where `search` finds them, changes what is there, and refuses what does not fit."""

import importlib.util
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest

from intermodal.find import journal
from intermodal.find.digit_scenes import digit_clips
from intermodal.find.index import ClipIndex
from intermodal.find.retriever import FusionRetriever

N = 23
MADE = digit_clips(N, frames=12, seed=3)


def columns(rows=range(N), **more):
    values = {
        "id": [f"clip {i}" for i in rows],
        "video": [MADE.samples[[i]].modality("video").values.tolist() for i in rows],
        "caption": [MADE.texts[i] for i in rows],
        "film": [f"f{i // 3}" for i in rows],
        "year": [2000 + i % 5 for i in rows],
        "good": [i % 2 == 0 for i in rows],
    }
    return {**values, **more}


def written(path, rows=range(N), **more):
    pyarrow.parquet.write_table(pa.table(columns(rows, **more)), path)
    return path


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    made = digit_clips(40, frames=12)
    options = {"d_model": 8, "d_embed": 11, "n_heads": 2, "max_epochs": 2, "reranker": True, "top_k": 7}
    return FusionRetriever(**options).fit(made.samples, made.texts).save(tmp_path_factory.mktemp("model") / "retriever")


@pytest.fixture(scope="module")
def other(tmp_path_factory):
    made = digit_clips(20, frames=12, seed=1)
    options = {"d_model": 8, "d_embed": 11, "n_heads": 2, "max_epochs": 1, "reranker": False}
    return FusionRetriever(**options).fit(made.samples, made.texts).save(tmp_path_factory.mktemp("other") / "retriever")


@pytest.fixture(autouse=True)
def unsynced(monkeypatch):
    monkeypatch.setattr(journal, "SYNC", "OFF")


@pytest.fixture
def made(typed, model, tmp_path):
    """An index of the clips, made in the shell."""
    written(tmp_path / "clips.parquet")
    assert typed("index", model, "clips.parquet", "-o", "clips.index", "--meta", "film", "--meta", "year").code == 0
    return tmp_path / "clips.index"


def test_clips_are_indexed_with_their_ids_and_metadata(typed, model, made):
    with ClipIndex.open(made) as index:
        assert len(index) == N
        assert index.get(["clip 7"])[0].metadata == {"film": "f2", "year": 2002}
        assert set(index.kept(["clip 7"])) == {"video"}


def test_a_terminal_is_told_what_was_done_and_what_comes_next(typed, model, tmp_path):
    written(tmp_path / "clips.parquet")
    said = typed("index", model, "clips.parquet", "-o", "clips.index", "--no-keep")
    assert said.err == ""
    assert "Wrote    23 clips; 23 are there" in said.out
    assert "Vector   11 numbers each, in the folder" in said.out
    assert "Kept     the vectors alone: a search cannot rerank" in said.out
    assert f"intermodal search {model} clips.index 'a few words'" in said.out


def test_json_says_the_same(typed, model, tmp_path):
    written(tmp_path / "clips.parquet")
    told = typed("index", model, "clips.parquet", "-o", "clips.index", "--json").json
    assert told.pop("seconds") > 0
    assert told == {
        "index": "clips.index", "model": str(model), "data": "clips.parquet", "change": "create", "wrote": N,
        "holds": "clips", "clips": N, "width": 11, "store": "folder", "kept": True,
    }  # fmt: skip


def test_an_npz_is_indexed_as_a_table_is(typed, model, made, tmp_path):
    frames = MADE.samples.modality("video").values.reshape(N, 12, 64)
    keys = {key: value for key, value in columns().items() if key != "video"}
    np.savez(tmp_path / "clips.npz", video=frames, **{key: np.array(value) for key, value in keys.items()})
    assert typed("index", model, "clips.npz", "-o", "npz.index", "--meta", "film", "--meta", "year").code == 0
    with ClipIndex.open(made) as one, ClipIndex.open(tmp_path / "npz.index") as two:
        for a, b in zip(one.get(one.store.ids()), two.get(one.store.ids()), strict=True):
            np.testing.assert_allclose(a.vector, b.vector, atol=1e-6)
            assert a.metadata == b.metadata


def test_clips_without_ids_are_called_by_their_rows(typed, model, tmp_path):
    table = pa.table(columns()).drop_columns(["id"])
    pyarrow.parquet.write_table(table, tmp_path / "clips.parquet")
    said = typed("index", model, "clips.parquet", "-o", "clips.index")
    assert said.err == "note: the clips have no ids and are called by their rows, from 0; name a column with --id\n"
    with ClipIndex.open("clips.index") as index:
        assert index.store.ids() == [str(i) for i in range(N)]
    assert typed("index", model, "clips.parquet", "-o", "other.index", "--id", "caption").code == 0


def test_clips_are_added_replaced_and_deleted(typed, model, made, tmp_path):
    written(tmp_path / "more.parquet", range(3), id=["new a", "new b", "new c"])
    assert typed("index", model, "more.parquet", "-o", made, "--add").code == 0
    with ClipIndex.open(made) as index:
        assert len(index) == N + 3
    written(tmp_path / "changed.parquet", [5], id=["new b"], year=[1900])
    said = typed("index", model, "changed.parquet", "-o", made, "--update", "--meta", "year")
    assert "Replaced  1 clips; 26 are there" in said.out
    with ClipIndex.open(made) as index:
        (clip,) = index.get(["new b"])
        assert clip.metadata == {"year": 1900}
        np.testing.assert_allclose(clip.vector, index.get(["clip 5"])[0].vector, atol=1e-6)
    told = typed("index", model, "more.parquet", "-o", made, "--delete", "--json").json
    assert (told["change"], told["wrote"], told["clips"]) == ("delete", 3, N)


def test_force_replaces_an_index_and_nothing_else(typed, model, made, tmp_path):
    written(tmp_path / "few.parquet", range(4))
    said = typed("index", model, "few.parquet", "-o", made)
    assert said.code == 2
    assert said.err == (
        f'error: an index is made in a new folder, however: "{made}" exists; change it with --add, --update or '
        "--delete, choose another, or add --force\n"
    )
    assert typed("index", model, "few.parquet", "-o", made, "--force").code == 0
    with ClipIndex.open(made) as index:
        assert len(index) == 4
    (tmp_path / "mine").mkdir()
    said = typed("index", model, "few.parquet", "-o", "mine", "--force")
    assert (said.code, said.err) == (2, 'error: --force overwrites an index only, however: "mine" is none\n')
    assert sorted(path.name for path in tmp_path.iterdir()) == ["clips.index", "clips.parquet", "few.parquet", "mine"]


def test_an_index_that_could_not_be_filled_is_not_left_behind(typed, model, tmp_path):
    written(tmp_path / "twice.parquet", [1, 2, 1])
    said = typed("index", model, "twice.parquet", "-o", "clips.index")
    assert (said.code, said.err) == (2, 'error: an id stands for one clip, however: "clip 1" is given twice\n')
    assert [path.name for path in tmp_path.iterdir()] == ["twice.parquet"]


def test_a_failed_replacement_leaves_the_old_index(typed, model, made, tmp_path):
    written(tmp_path / "twice.parquet", [1, 2, 1])
    assert typed("index", model, "twice.parquet", "-o", made, "--force").code == 2
    with ClipIndex.open(made) as index:
        assert len(index) == N
    assert sorted(path.name for path in tmp_path.iterdir()) == ["clips.index", "clips.parquet", "twice.parquet"]


REFUSED = [
    (["--add"], 'an added id is new, however: the index holds "clip 0", "clip 1", "clip 2", "clip 3", "clip 4" and 18 '
                "more; use update where a clip is to be replaced"),
    (["--add", "--delete"], "one change at a time, however: --add --delete"),
    (["--delete", "--id", "caption"], "delete needs ids that the index holds, however: "),
    (["--add", "--id", "captoin"],
     '--id names a column with one value a clip, however: "captoin"; did you mean "caption"?'),
    (["--add", "--id", "caption", "--meta", "yaer"],
     '--meta names a column with one value a clip, however: "yaer"; did you mean "year"?'),
    (["--add", "--id", "caption", "--text", "caption"],
     "an index holds clips or texts, however: "),
    (["--force", "--store", "cloud"],
     '--store is "folder" or the address of a server, http://127.0.0.1:19530, however: "cloud"'),
    (["--force", "--text", "year"], '"year" holds texts, however: one is 2000'),
]  # fmt: skip


@pytest.mark.parametrize(("words", "sentence"), REFUSED)
def test_bad_input_is_one_sentence_and_changes_nothing(typed, model, made, words, sentence):
    said = typed("index", model, "clips.parquet", "-o", made, *words)
    assert said.code == 2
    assert said.err.startswith(f"error: {sentence}")
    assert said.err.count("\n") == 1
    with ClipIndex.open(made) as index:
        assert len(index) == N


def test_an_index_of_another_model_a_damaged_one_and_other_folders_are_refused(typed, model, other, made, tmp_path):
    said = typed("index", other, "clips.parquet", "-o", made, "--delete")
    assert said.code == 2
    assert "was made with another model" in said.err
    said = typed("index", model, "clips.parquet", "-o", "nowhere", "--add")
    assert (said.code, said.err) == (
        2, 'error: an index is a folder that `intermodal index` wrote, however: "nowhere" is none\n'
    )  # fmt: skip
    said = typed("index", model, "nothing.parquet", "-o", "new.index")
    assert (said.code, "the file must exist" in said.err) == (2, True)
    (made / "clips.db").write_bytes((made / "clips.db").read_bytes()[:9000])
    said = typed("index", model, "clips.parquet", "-o", made, "--add", "--json")
    assert said.code == 2
    assert said.json["error"]["message"].startswith(f'an index is whole, however: "{made}/clips.db" is damaged (')


def test_clips_without_the_models_modality_are_refused(typed, model, tmp_path):
    pyarrow.parquet.write_table(pa.table({"vidoe": [[[1.0]]], "id": ["a"]}), tmp_path / "odd.parquet")
    said = typed("index", model, "odd.parquet", "-o", "clips.index")
    assert said.code == 2
    assert 'the clips have a modality of the model, however: "odd.parquet" has none' in said.err


def test_an_index_that_is_being_written_is_refused_in_a_sentence(typed, model, made):
    with ClipIndex.open(made) as index:
        index.delete(["clip 0"])
        said = typed("index", model, "clips.parquet", "-o", made, "--update", "--id", "id")
        assert said.code == 2
        said = typed("index", model, "clips.parquet", "-o", made, "--add", "--id", "caption")
        one = (
            f'error: an index has one writer at a time, however: another writes to "{made}", in this process or another'
        )
        assert (said.code, said.err) == (2, f"{one}; close it first\n")


def test_a_command_that_is_killed_loses_nothing_it_had_written(model, tmp_path):
    """The process writes in small pieces and is killed in the middle: every piece that it told of is there."""
    written(tmp_path / "clips.parquet")
    code = """
import sys
from intermodal.find import asking
from intermodal.cli import main
asking.PIECE = 2
real = asking.fill
def telling(*given, progress=None, **more):
    def told(done, n, words):
        print(done, flush=True)
    return real(*given, progress=told, **more)
asking.fill = telling
main(["index", sys.argv[1], "clips.parquet", "-o", "clips.index"])
"""
    command = [sys.executable, "-c", code, str(model)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=tmp_path, env=environment) as process:
        assert process.stdout is not None
        done = [int(process.stdout.readline()) for _ in range(3)]
        os.kill(process.pid, signal.SIGKILL)
        done += [int(word) for word in process.stdout.read().split() if word.isdigit()]
    with ClipIndex.open(tmp_path / "clips.index") as index:
        ids = index.store.ids()
    assert ids[: done[-1]] == [f"clip {i}" for i in range(done[-1])]
    assert len(ids) in (done[-1], min(N, done[-1] + 2))


# ---- a server ----


@pytest.mark.skipif(importlib.util.find_spec("milvus_lite") is None, reason="milvus-lite is not installed")
def test_a_server_keeps_the_vectors_and_finds_as_the_folder_does(typed, model, made, tmp_path, monkeypatch):
    from intermodal.find import store_milvus

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [Path(sys.executable).parent / "milvus-lite", "server", "--data-dir", tmp_path / "data"]
    command += ["--host", "127.0.0.1", "--port", str(port)]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    uri = f"http://127.0.0.1:{port}"
    with subprocess.Popen(list(map(str, command)), **quiet) as process:
        try:
            monkeypatch.setattr(store_milvus, "ATTEMPTS", 9)
            meta = ["--meta", "film", "--meta", "year"]
            said = typed("index", model, "clips.parquet", "-o", "far.index", "--store", uri, *meta)
            assert (said.code, said.err) == (0, "")
            assert "on the server" in said.out
            assert json.loads((tmp_path / "far.index" / "server.json").read_text())["uri"] == uri
            asked = [MADE.texts[4], "--where", "year>=2001", "-k", 5, "--no-rerank", "--json"]
            near, far = (typed("search", model, where, *asked).json for where in (made, "far.index"))
            assert [hit["id"] for hit in near["hits"]] == [hit["id"] for hit in far["hits"]]
            assert typed("index", model, "clips.parquet", "-o", "far.index", "--delete").code == 0
        finally:
            process.kill()
    monkeypatch.setattr(store_milvus, "ATTEMPTS", 2)
    monkeypatch.setattr(time, "sleep", lambda _: None)
    said = typed("search", model, "far.index", MADE.texts[4])
    assert said.code == 1
    assert said.err.startswith(f'error: the server of the index answers, however: "{uri}" did not, asked 2 times')
    assert said.err.count("\n") == 1
