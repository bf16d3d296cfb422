"""P16, durable S1: a start is refused if what was acknowledged is damaged in the log, and never after an honest crash."""

from __future__ import annotations

import asyncio
import random
import tempfile
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from iii.protocol.start_failure import StartFailure
from iii.storage.database import Database
from iii.storage.wal import Wal

TABLE = ("CREATE TABLE numbers (n INTEGER PRIMARY KEY, text TEXT)",)
COMMITS = 12
HEADER, FRAME = 32, 24 + 4096


class Killed(NamedTuple):
    """What `kill -9` left after each commit; all of them are acknowledged."""

    database: bytes
    log: bytes
    locks: list[bytes]  # the lock file, with its mark, after each commit
    ends: list[int]  # bytes of the log after each commit


@pytest.fixture(scope="module")
def killed() -> Killed:
    async def run(folder: Path) -> Killed:
        store = Database(folder, TABLE)
        await store.open()
        locks, ends = [], []
        for number in range(COMMITS):
            written: asyncio.Future[object] = asyncio.get_running_loop().create_future()
            row = number, "x" * random.Random(number).choice([10, 3000, 9000])
            store.write(
                lambda connection, row=row: connection.execute("INSERT INTO numbers VALUES (?, ?)", row),  # type: ignore[misc]
                lambda result, error, written=written: written.set_result(error),  # type: ignore[misc]
            )
            assert await written is None
            locks.append((folder / "lock").read_bytes())
            ends.append((folder / "store.db-wal").stat().st_size)
        images = (folder / "store.db").read_bytes(), (folder / "store.db-wal").read_bytes()
        await store.close()
        return Killed(*images, locks, ends)

    with tempfile.TemporaryDirectory(prefix="iii-store-") as folder:
        return asyncio.run(run(Path(folder)))


def opened(database: bytes, log: bytes, lock: bytes | None) -> set[int]:
    """The numbers that a start finds. Raises StartFailure; nothing is changed then."""

    async def run(folder: Path) -> set[int]:
        store = Database(folder, TABLE)
        await store.open()
        try:
            return {n for (n,) in store.reader.execute("SELECT n FROM numbers")}
        finally:
            await store.close()

    with tempfile.TemporaryDirectory(prefix="iii-store-") as name:
        folder = Path(name)
        (folder / "store.db").write_bytes(database)
        (folder / "store.db-wal").write_bytes(log)
        if lock is not None:
            (folder / "lock").write_bytes(lock)
        try:
            return asyncio.run(run(folder))
        except StartFailure:
            assert (folder / "store.db").read_bytes() == database
            assert (folder / "store.db-wal").read_bytes() == log
            assert (folder / "store.db-wal.damaged").read_bytes() == log
            raise


@settings(max_examples=60)
@given(st.data())
def test_P16_no_power_cut_and_no_kill_stops_a_start(killed: Killed, data: st.DataObject) -> None:
    """Of the writes since the last fsync any part may be on disk, in any order; the mark may be older than the fsync."""
    synced = data.draw(st.integers(0, COMMITS - 1))
    unsynced = min(synced + 1, COMMITS - 1)  # the next batch, one transaction
    log = bytearray(killed.log[: killed.ends[unsynced]])
    for begin in range(killed.ends[synced], killed.ends[unsynced], 512):  # sectors
        if data.draw(st.booleans()):
            log[begin : begin + 512] = bytes(len(log[begin : begin + 512]))
    if data.draw(st.booleans()):
        del log[data.draw(st.integers(killed.ends[synced], len(log))) :]
    mark = killed.locks[data.draw(st.integers(0, synced))]
    lock = data.draw(st.sampled_from([mark, mark[:32] + bytes(12), mark[:5], None]))  # no mark: older versions had none
    assert opened(killed.database, bytes(log), lock) >= set(range(synced + 1))


@settings(max_examples=60)
@given(st.sampled_from(["bit", "cut", "zeros", "noise"]), st.floats(0, 1, exclude_max=True), st.integers(0, 7))
def test_P16_damage_of_acknowledged_writes_stops_the_start(killed: Killed, kind: str, where: float, bit: int) -> None:
    log = bytearray(killed.log)
    begin = int(where * len(log))
    match kind:
        case "bit":
            log[begin] ^= 1 << bit
        case "cut":
            del log[max(begin, 1) :]
        case "zeros":
            begin = min(max(begin, HEADER), len(log) - FRAME)
            log[begin : begin + FRAME] = bytes(FRAME)
        case "noise":
            log[begin : begin + 512] = random.Random(begin).randbytes(len(log[begin : begin + 512]))
    if log == killed.log:
        return
    try:
        found = opened(killed.database, bytes(log), killed.locks[-1])
    except StartFailure:
        pass
    else:
        assert found == set(range(COMMITS)), "acknowledged writes were dropped"


@pytest.mark.parametrize("commit", range(COMMITS - 3))
def test_P16_without_a_mark_whole_transactions_behind_the_gap_tell(killed: Killed, commit: int) -> None:
    """The stores of older versions have none, and a copy of store.db and its log has none."""
    log = bytearray(killed.log)
    log[(0, *killed.ends)[commit] + HEADER + 500] ^= 1
    with pytest.raises(StartFailure, match="and complete transactions follow it"):
        opened(killed.database, bytes(log), None)


def test_P16_old_frames_behind_the_end_are_no_damage(killed: Killed) -> None:
    """A log that began from its start again overwrites the old one; that has other salts."""
    assert len(set(killed.ends)) == COMMITS
    old = bytearray(killed.log)
    for begin in range(HEADER, len(old), FRAME):
        old[begin + 8 : begin + 16] = bytes(8)
    log = killed.log + bytes(old[HEADER:])
    for lock in (killed.locks[-1], None):
        assert opened(killed.database, log, lock) == set(range(COMMITS))


def test_every_frame_that_SQLite_wrote_agrees(killed: Killed, tmp_path: Path) -> None:
    path = tmp_path / "store.db-wal"
    path.write_bytes(killed.log)
    wal = Wal(path)
    frames = list(wal.frames())
    assert all(wal.agrees(frame.number) for frame in frames)
    assert sum(frame.commits for frame in frames) == COMMITS
    wal.close()
