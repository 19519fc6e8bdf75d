"""What was acknowledged is there after a crash at any point; what is damaged is said to be, never answers wrongly."""

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from intermodal.errors import InputError, IntermodalError
from intermodal.find import journal
from intermodal.find.store_folder import FolderStore

D, N = 3, 7


def vectors(n=N, seed=0):
    drawn = np.random.default_rng(seed).normal(size=(n, D)).astype(np.float32)
    return drawn / np.linalg.norm(drawn, axis=1, keepdims=True)


IDS = [f"c{i}" for i in range(N)]
SAID = [{"year": 2000 + i} for i in range(N)]


@pytest.fixture
def small(tmp_path, monkeypatch):
    """A small index in small pages, closed."""
    monkeypatch.setattr(journal, "PAGE", 512)
    monkeypatch.setattr(journal, "SYNC", "OFF")
    folder = tmp_path / "small"
    folder.mkdir()
    store = FolderStore.create(folder, {"width": D, "fingerprint": "m", "exact_below": 1000})
    store.add(IDS, vectors(), SAID, kept=[b"kept %d" % i for i in range(N)])
    store.close()
    return folder


def content(folder):
    """All that an index answers, or the sentence with which it refuses to."""
    try:
        store = FolderStore(folder)
    except InputError as problem:
        return str(problem)
    try:
        ids = store.ids()
        found = store.search(vectors(2, seed=1), N + 3, {"year": {"min": 2002}})
        clips = [(c.id, c.vector.tobytes(), c.metadata) for c in store.get(ids)]
        return clips, found.ids, [s.tobytes() for s in found.scores], store.kept(ids), store.about
    except InputError as problem:
        return str(problem)
    finally:
        store.close()


def copied(folder, to):
    shutil.rmtree(to, ignore_errors=True)
    return Path(shutil.copytree(folder, to))


def live_copy(folder, to):
    """The files of an index that is open elsewhere, as a crash would leave them: a copy made by another process."""
    shutil.rmtree(to, ignore_errors=True)
    subprocess.run(["cp", "-r", str(folder), str(to)], check=True)
    return Path(to)


def test_a_write_that_is_cut_anywhere_has_happened_wholly_or_not_at_all(small, tmp_path):
    before = content(small)
    store = FolderStore(small)
    note = (small / journal.NOTE).read_bytes()
    store.update(["c1", "c5"], vectors(2, seed=2), [{"year": 1990}, {}])
    crashed = live_copy(small, tmp_path / "crashed")
    store.close()
    after = content(small)
    (crashed / journal.NOTE).write_bytes(note)  # the crash came before the acknowledgement
    wal = (crashed / "clips.db-wal").read_bytes()
    assert len(wal) > 1000
    seen = set()
    at = live_copy(crashed, tmp_path / "cut")
    frame = 32 + 512 + 24  # every byte of the first frame and of the last, every fifth between
    cuts = {*range(frame), *range(frame, len(wal), 5), *range(len(wal) - frame, len(wal) + 1)}
    for cut in sorted(cuts):
        (at / "clips.db-wal").write_bytes(wal[:cut])
        shutil.copy(crashed / "clips.db", at / "clips.db")
        (at / "clips.db-shm").unlink(missing_ok=True)
        got = content(at)
        assert got in (before, after), cut
        seen.add(got == after)
    assert seen == {True, False}


def test_a_write_that_was_acknowledged_and_then_lost_is_said(small, tmp_path):
    store = FolderStore(small)
    store.delete(["c3"])
    crashed = live_copy(small, tmp_path / "crashed")
    store.close()
    assert content(live_copy(crashed, tmp_path / "whole")) == content(small)
    wal = (crashed / "clips.db-wal").read_bytes()
    for cut in [*range(0, len(wal), 97), len(wal) - 1]:
        at = live_copy(crashed, tmp_path / "cut")
        (at / "clips.db-wal").write_bytes(wal[:cut])
        (at / "clips.db-shm").unlink(missing_ok=True)
        said = f'an index holds every write that was acknowledged, however: "{at}/clips.db" or its -wal is damaged'
        assert content(at) == said + ", 1 of 2 writes are missing", cut


@pytest.mark.parametrize("file", ["clips.db", "acknowledged", "clips.db-wal"])
@pytest.mark.parametrize("start", range(3))
def test_a_byte_that_changed_gives_the_right_answer_or_a_sentence_that_names_the_file(small, tmp_path, file, start):
    right = content(small)
    if file.endswith("wal"):
        store = FolderStore(small)
        store.set(ef=201)
        small = live_copy(small, tmp_path / "open")
        store.close()
        right = content(live_copy(small, tmp_path / "right"))
    whole = (small / file).read_bytes()
    at = live_copy(small, tmp_path / "flipped")
    refused = 0
    step = 3 if file == "acknowledged" else 15
    for place in range(start, len(whole), step):
        for name in os.listdir(at):
            if name not in (journal.LOCK, file):
                (at / name).unlink()
        for name in os.listdir(small):
            if name not in (journal.LOCK, file, "clips.db-shm"):
                shutil.copy(small / name, at / name)
        flipped = bytearray(whole)
        flipped[place] ^= 0x41
        (at / file).write_bytes(flipped)
        got = content(at)
        if got != right:
            assert isinstance(got, str), (place, got)
            assert str(at) in got, (place, got)
            refused += 1
    assert refused >= (4 if file == "acknowledged" else 20)


def test_a_file_that_is_cut_short_is_said(small, tmp_path):
    right = content(small)
    whole = (small / "clips.db").read_bytes()
    for cut in [*range(0, len(whole), 61), len(whole) - 1]:
        at = copied(small, tmp_path / "cut")
        (at / "clips.db").write_bytes(whole[:cut])
        got = content(at)
        assert got == right or (isinstance(got, str) and str(at / "clips.db") in got), cut
        assert got != right or cut > len(whole) - 512, cut


def test_two_records_that_changed_places_are_seen(small):
    file = sqlite3.connect(small / "clips.db")
    file.execute("UPDATE clips SET slot = -slot")
    file.execute("UPDATE clips SET slot = CASE -slot WHEN 1 THEN 2 WHEN 2 THEN 1 ELSE -slot END")
    file.commit()
    file.close()
    assert content(small) == f'an index is whole, however: "{small}/clips.db" is damaged (the record of "c1")'


@pytest.mark.parametrize("spoil", ["DELETE FROM clips WHERE slot = 3", "DELETE FROM head", "DROP TABLE clips"])
def test_a_record_that_is_missing_is_seen(small, spoil):
    file = sqlite3.connect(small / "clips.db")
    file.execute(spoil)
    file.commit()
    file.close()
    got = content(small)
    assert isinstance(got, str)
    assert got.startswith(f'an index is whole, however: "{small}/clips.db" is damaged (')


def test_a_kept_sample_that_changed_is_seen(small):
    file = sqlite3.connect(small / "clips.db")
    file.execute("UPDATE kept SET sample = ? WHERE slot = 2", (b"other",))
    file.commit()
    file.close()
    store = FolderStore(small)
    assert store.kept(["c0", "c2"]) == [b"kept 0", b"kept 2"]
    with pytest.raises(InputError, match=r"clips.db\" is damaged \(what was kept of the clip in slot 2\)"):
        store.kept(["c1"])
    store.close()


STREAM = """
import sys
import numpy as np
from intermodal.find.store_folder import FolderStore
store = FolderStore(sys.argv[1])
rng = np.random.default_rng(0)
for i in range(100_000):
    doing = "delete" if i % 5 == 4 else "update" if i % 5 == 3 else "add"
    if doing == "add":
        store.add([f"n{i}"], rng.normal(size=(1, 3)), [{"year": i}])
    elif doing == "update":
        store.update([f"n{i - 1}"], rng.normal(size=(1, 3)), [{"year": i}])
    else:
        store.delete([f"n{i - 3}"])
    print(i, flush=True)
"""


@pytest.mark.parametrize("patience", [1, 40, 90])
def test_a_process_that_is_killed_loses_nothing_it_acknowledged(small, patience):
    command = [sys.executable, "-c", STREAM, str(small)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout is not None
        for _ in range(patience):
            process.stdout.readline()
        os.kill(process.pid, signal.SIGKILL)
        rest = process.stdout.read()
    said = rest.split()
    last = int(said[-1]) if said else patience - 1

    def expected(writes):
        years = {f"c{i}": 2000 + i for i in range(N)}
        for i in range(writes):
            if i % 5 == 4:
                del years[f"n{i - 3}"]
            else:
                years[f"n{i - 1 if i % 5 == 3 else i}"] = i
        return years

    store = FolderStore(small)
    got = {clip.id: clip.metadata["year"] for clip in store.get(store.ids())}
    assert got in (expected(last + 1), expected(last + 2))  # the last may have been written and not yet said
    store.add(["after"], vectors(1))  # the dead process holds no lock
    store.close()


def test_a_second_writer_is_refused_and_a_reader_is_not(small):
    first, second = FolderStore(small), FolderStore(small)
    first.add(["new"], vectors(1))
    assert second.count() == N
    with pytest.raises(InputError) as problem:
        second.add(["other"], vectors(1))
    one = f'an index has one writer at a time, however: another writes to "{small}", in this process or another'
    assert str(problem.value) == f"{one}; close it first"
    with pytest.raises(InputError, match="one writer at a time"):
        second.delete(["c1"])
    second.refresh()
    assert second.known(["new"]) == ["new"]
    first.close()
    second.add(["other"], vectors(1))
    assert second.count() == N + 2
    second.close()


def test_a_writer_in_another_process_is_refused_too(small):
    first = FolderStore(small)
    first.add(["new"], vectors(1))
    code = f"""
from intermodal.find.store_folder import FolderStore
FolderStore({str(small)!r}).delete(["c1"])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "InputError: an index has one writer at a time" in done.stderr
    first.close()


def test_the_next_writer_sees_what_the_one_before_wrote(small):
    first, second = FolderStore(small), FolderStore(small)
    first.update(["c2"], vectors(1, seed=5), [{"year": 1}])
    first.close()
    with pytest.raises(InputError, match="an added id is new"):
        second.add(["c2"], vectors(1))
    second.add(["c9"], vectors(1))
    assert second.get(["c2"])[0].metadata == {"year": 1}
    assert second.search(vectors(1), 1, {"year": 1}).ids == [["c2"]]
    second.close()


def test_a_write_that_fails_halfway_leaves_memory_and_file_as_they_were(small, monkeypatch):
    before = content(small)
    store = FolderStore(small)
    real = journal._write_head

    def full(*_):
        raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr(journal, "_write_head", full)
    with pytest.raises(IntermodalError) as problem:
        store.update(["c1", "c2"], vectors(2, seed=9))
    assert str(problem.value) == f'an index can be read and written, however: "{small}": database or disk is full'
    assert not isinstance(problem.value, InputError)
    np.testing.assert_array_equal(store.get(["c1"])[0].vector, vectors()[1])
    monkeypatch.setattr(journal, "_write_head", real)
    assert content(small) == before
    store.close()
    assert content(small) == before


def test_compacting_gives_room_back_and_keeps_the_answers(tmp_path):
    store = FolderStore.create(tmp_path, {"width": D})
    store.add([f"c{i}" for i in range(3000)], vectors(3000), [{"year": i} for i in range(3000)])
    store.delete([f"c{i}" for i in range(20, 3000)])
    store.compact()
    found = store.search(vectors(2, seed=1), 20).ids
    store.close()
    assert (tmp_path / "clips.db").stat().st_size < 150_000
    again = FolderStore(tmp_path)
    assert again.search(vectors(2, seed=1), 20).ids == found
    assert again.count() == 20
    again.close()


def test_a_folder_that_may_not_be_written_to_is_read(small):
    right = content(small)
    if os.geteuid() == 0:
        with pytest.MonkeyPatch.context() as patch:  # for root all folders are writable: say that this one is not
            patch.setattr(journal.os, "access", lambda *_: False)
            assert content(small) == right
            store = FolderStore(small)
            with pytest.raises(IntermodalError, match="readonly"):
                store.delete(["c1"])
            store.close()
        return
    small.chmod(0o500)
    try:
        assert content(small) == right
    finally:
        small.chmod(0o700)


def test_a_write_is_synced_before_it_counts(tmp_path):
    store = FolderStore.create(tmp_path, {"width": D})
    asked = [
        store._journal._database.execute(f"PRAGMA {name}").fetchone()[0] for name in ("synchronous", "journal_mode")
    ]
    assert asked == [2, "wal"]  # 2 is FULL: the log is synced at every commit
    store.close()


def test_what_is_no_index_is_said(tmp_path):
    (tmp_path / "clips.db").write_bytes(b"")
    assert content(tmp_path) == f'an index is whole, however: "{tmp_path}/acknowledged" is damaged (it cannot be read)'
    with pytest.raises(InputError, match="an index is a folder with clips"):
        FolderStore(tmp_path / "nowhere")
