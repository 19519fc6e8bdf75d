"""The file of an index: what was acknowledged is there after any crash, and what is damaged is said to be.

SQLite keeps the records (write-ahead log, synced before a write is acknowledged), since its crash safety is tested as
ours never could be: a half-written tail fails its checksum there and is dropped. It does not notice a byte that a disk
changed later. So every record carries a checksum of its own, the head one over all records, and a note beside, written
after each write, the number of writes that were acknowledged: whatever is missing or changed is an error, never a
silent wrong answer.
"""

from __future__ import annotations

import json
import os
import sqlite3
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from hashlib import blake2b
from pathlib import Path
from typing import Any, NamedTuple

from intermodal.errors import InputError, IntermodalError

FILE, NOTE, LOCK = "clips.db", "acknowledged", "writer.lock"
PAGE = 16384
"""Bytes of a page of the file: a dozen vectors of 256."""
SYNC = "FULL"
"""Every write is synced to disk before it counts; anything else is for tests that crash a thousand times."""
_SCHEMA = """
CREATE TABLE head (one INTEGER PRIMARY KEY, about TEXT, writes INTEGER, next_slot INTEGER, n INTEGER, total INTEGER,
    digest INTEGER);
CREATE TABLE clips (slot INTEGER PRIMARY KEY, id TEXT, metadata TEXT, vector BLOB, kept INTEGER, digest INTEGER);
CREATE TABLE kept (slot INTEGER PRIMARY KEY, sample BLOB);
CREATE TABLE dead (slot INTEGER PRIMARY KEY, vector BLOB);
"""
_READ = 8192
_MACHINE = ("full", "readonly", "locked", "busy", "unable to open")
"""What SQLite says where the trouble is not in the file."""


class Record(NamedTuple):
    """One clip as it is written: `kept` is the checksum of what is kept for a reranker, or None."""

    slot: int
    id: str
    metadata: str
    vector: bytes
    kept: int | None = None


class Head(NamedTuple):
    """What the file says of itself."""

    about: dict[str, Any]
    writes: int
    next_slot: int
    n: int
    total: int


class Journal:
    """Records of clips in a file, written by one process at a time.

    Args:
        folder: where the file lies.

    Raises:
        InputError: there is none, or it is damaged.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._lock: sqlite3.Connection | None = None
        self._note: Any = None
        if not (folder / FILE).is_file():
            raise InputError(f'an index is a folder with {FILE} in it, however: "{folder}" has none')
        with self._whole():
            self._database = _connected(folder)

    @classmethod
    def create(cls, folder: Path, about: dict[str, Any]) -> None:
        """Write an empty file into a folder that is there."""
        database = sqlite3.connect(folder / FILE, isolation_level=None)
        database.execute(f"PRAGMA page_size = {int(PAGE)}")
        database.execute("PRAGMA journal_mode = WAL")
        database.executescript(_SCHEMA)
        _write_head(database, Head(about, 0, 1, 0, 0))
        database.close()
        with (folder / NOTE).open("wb") as note:
            note.write(_noted(0))
            note.flush()
            os.fsync(note.fileno())
        (folder / LOCK).touch()

    @contextmanager
    def reading(self) -> Iterator[Head]:
        """One moment of the file, with its head: what others write meanwhile is not seen."""
        acknowledged = self._acknowledged()
        with self._whole():
            self._database.execute("BEGIN")
            try:
                head = _head(self._database)
                if head.writes < acknowledged:
                    raise InputError(
                        f'an index holds every write that was acknowledged, however: "{self.folder / FILE}" or its '
                        f"-wal is damaged, {acknowledged - head.writes} of {acknowledged} writes are missing"
                    )
                yield head
            finally:
                self._database.execute("ROLLBACK")

    def head(self) -> Head:
        """What the file says now."""
        with self.reading() as head:
            return head

    def records(self, head: Head) -> Iterator[list[Record]]:
        """All clips, in pieces, by their slots, each one proven; to be called while `reading`.

        Raises:
            InputError: a record is damaged or missing.
        """
        n, total = 0, 0
        rows = self._database.execute("SELECT slot, id, metadata, vector, kept, digest FROM clips ORDER BY slot")
        while piece := rows.fetchmany(_READ):
            records = [Record(*row[:-1]) for row in piece]
            for record, row in zip(records, piece, strict=True):
                if _digest_of(record) != row[-1]:
                    raise self._damaged(f'the record of "{record.id}"')
            n, total = n + len(piece), _sum(total, (row[-1] for row in piece))
            yield records
        if (n, total) != (head.n, head.total):
            raise self._damaged(f"it holds {n} of {head.n} clips, or others")

    def dead(self) -> list[tuple[int, bytes]]:
        """Slots and vectors that a graph still leads through, though they were deleted."""
        return list(self._database.execute("SELECT slot, vector FROM dead ORDER BY slot"))

    def kept(self, slots: Sequence[int]) -> list[bytes]:
        """What was kept of clips for a reranker, in the order of their slots.

        Raises:
            InputError: nothing was kept of one, or it is damaged.
        """
        found = []
        with self._whole():
            for slot in slots:
                row = self._database.execute(
                    "SELECT kept.sample, clips.kept FROM clips LEFT JOIN kept USING (slot) WHERE slot = ?", (slot,)
                ).fetchone()
                if row is None:
                    raise InputError("the clips of an index stay while it is read, however: one was deleted; refresh()")
                if row[1] is not None and (row[0] is None or digest(row[0]) != row[1]):
                    raise self._damaged(f"what was kept of the clip in slot {slot}")
                found.append(b"" if row[1] is None else row[0])
        return found

    def lock(self) -> None:
        """Become the one writer, until `close` or the end of the process."""
        if self._lock is not None:
            return
        # A database that nothing is ever written to: SQLite's lock is let go by the system when a process dies.
        lock = sqlite3.connect(self.folder / LOCK, isolation_level=None, timeout=0, check_same_thread=False)
        try:
            lock.execute("BEGIN EXCLUSIVE")
        except sqlite3.OperationalError as problem:
            lock.close()
            if "locked" in str(problem):
                raise InputError(
                    f'an index has one writer at a time, however: another writes to "{self.folder}", in this process '
                    "or another; close it first"
                ) from None
            raise IntermodalError(f'an index is written in its folder, however: "{self.folder}" {problem}') from None
        self._lock = lock

    def write(
        self,
        head: Head,
        added: Sequence[Record],
        removed: Sequence[int],
        *,
        samples: Sequence[bytes] | None = None,
        bury: Iterable[int] = (),
    ) -> Head:
        """Add and remove records in one step that happens wholly or not at all, and is synced before this returns.

        Args:
            head: what the file says, with what it should say about itself from now on.
            added: new records, from slot `head.next_slot` on.
            removed: slots of records to delete.
            samples: what to keep of each new record.
            bury: of the removed, those whose vectors a graph still needs.

        Returns:
            What the file says now.
        """
        self.lock()
        digests, buried = [_digest_of(record) for record in added], set(bury)
        with self._whole(), self._transaction():
            gone = [self._remove(slot, slot in buried) for slot in removed]
            self._database.executemany(
                "INSERT INTO clips VALUES (?, ?, ?, ?, ?, ?)",
                [(*record, check) for record, check in zip(added, digests, strict=True)],
            )
            if samples is not None:
                self._database.executemany(
                    "INSERT INTO kept VALUES (?, ?)",
                    [(record.slot, sample) for record, sample in zip(added, samples, strict=True)],
                )
            head = Head(
                head.about,
                head.writes + 1,
                head.next_slot + len(added),
                head.n + len(added) - len(removed),
                _sum(head.total, [*digests, *(-g for g in gone)]),
            )
            _write_head(self._database, head)
        self._acknowledge(head.writes)
        return head

    def _remove(self, slot: int, bury: bool) -> int:
        (check,) = self._database.execute("SELECT digest FROM clips WHERE slot = ?", (slot,)).fetchone()
        if bury:
            self._database.execute("INSERT INTO dead SELECT slot, vector FROM clips WHERE slot = ?", (slot,))
        self._database.execute("DELETE FROM clips WHERE slot = ?", (slot,))
        self._database.execute("DELETE FROM kept WHERE slot = ?", (slot,))
        return int(check)

    def compact(self) -> None:
        """Forget the dead, and give back the room of what was deleted."""
        self.lock()
        with self._whole():
            self._database.execute("DELETE FROM dead")
            self._database.execute("VACUUM")
            self._database.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    def close(self) -> None:
        """Let go of the file and of the lock."""
        self._database.close()
        for held in (self._note, self._lock):
            if held is not None:
                held.close()
        self._note = self._lock = None

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._database.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._database.execute("COMMIT")
        except BaseException:
            if self._database.in_transaction:
                self._database.execute("ROLLBACK")
            raise

    def _acknowledged(self) -> int:
        try:
            said = (self.folder / NOTE).read_bytes()
        except OSError:
            said = b""
        if len(said) != 12 or said != _noted(int.from_bytes(said[:8], "little")):
            raise self._damaged("it cannot be read", NOTE)
        return int.from_bytes(said[:8], "little")

    def _acknowledge(self, writes: int) -> None:
        if self._note is None:
            self._note = (self.folder / NOTE).open("r+b", buffering=0)
        self._note.seek(0)
        self._note.write(_noted(writes))

    def _damaged(self, what: str, file: str = FILE) -> InputError:
        return InputError(f'an index is whole, however: "{self.folder / file}" is damaged ({what})')

    @contextmanager
    def _whole(self) -> Iterator[None]:
        """Turn what SQLite says of a damaged file into one sentence, and other trouble of the machine into another."""
        try:
            yield
        except (InputError, IntermodalError):
            raise
        except sqlite3.ProgrammingError as problem:
            if "closed" not in str(problem):
                raise self._damaged(str(problem)) from None
            said = f'an index is open, however: "{self.folder}" was closed; ClipIndex.open opens it again'
            raise InputError(said) from None
        except sqlite3.OperationalError as problem:
            if any(word in str(problem) for word in _MACHINE):
                said = f'an index can be read and written, however: "{self.folder}": {problem}'
                raise IntermodalError(said) from None
            raise self._damaged(str(problem)) from None
        except (sqlite3.Error, ValueError, TypeError, KeyError, AttributeError, OverflowError) as problem:
            raise self._damaged(str(problem)) from problem


def digest(content: bytes) -> int:
    """Return a checksum of 64 bits, as SQLite keeps numbers.

    Example:
        >>> digest(b"clip") == digest(b"clip"), digest(b"clip") == digest(b"clap")
        (True, False)
    """
    return int.from_bytes(blake2b(content, digest_size=8).digest(), "little", signed=True)


def _digest_of(record: Record) -> int:
    kept = -1 if record.kept is None else record.kept
    head = f"{record.slot} {len(record.id)} {record.id} {len(record.metadata)} {record.metadata} {kept} "
    return digest(head.encode() + record.vector)


def _sum(total: int, digests: Iterable[int]) -> int:
    """Add checksums up: the order of the records is no part of it, so that each write touches the head alone."""
    return (total + sum(digests) + 2**63) % 2**64 - 2**63


def _connected(folder: Path) -> sqlite3.Connection:
    if os.access(folder, os.W_OK):
        address = f"{(folder / FILE).resolve().as_uri()}?mode=rw"
    else:  # a folder that nobody may write to is read as it is; without a log beside it, that is all there is
        address = f"{(folder / FILE).resolve().as_uri()}?mode=ro&immutable=1"
    database = sqlite3.connect(address, uri=True, isolation_level=None, check_same_thread=False, timeout=10)
    database.execute(f"PRAGMA synchronous = {SYNC}")
    database.execute("PRAGMA fullfsync = ON")
    database.execute("PRAGMA cell_size_check = ON")
    return database


def _head(database: sqlite3.Connection) -> Head:
    about, *numbers, check = database.execute(
        "SELECT about, writes, next_slot, n, total, digest FROM head WHERE one = 1"
    ).fetchone()
    if digest(f"{about} {numbers}".encode()) != check:
        raise ValueError("the head")
    return Head(json.loads(about), *numbers)


def _write_head(database: sqlite3.Connection, head: Head) -> None:
    about, numbers = json.dumps(head.about), list(head[1:])
    check = digest(f"{about} {numbers}".encode())
    database.execute("INSERT OR REPLACE INTO head VALUES (1, ?, ?, ?, ?, ?, ?)", (about, *numbers, check))


def _noted(writes: int) -> bytes:
    number = writes.to_bytes(8, "little")
    return number + zlib.crc32(number).to_bytes(4, "little")
