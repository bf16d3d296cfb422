"""The embedded store: what is told is on disk, and what goes wrong is said (issue 5; 05 §7.1)."""

from __future__ import annotations

import asyncio
import logging
import os
import resource
import sqlite3
import sys
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from iii.protocol.start_failure import StartFailure
from iii.storage import database, kernel_sync
from iii.storage.items import Changed, Entry, StoreError
from iii.storage.limits import StoreLimits
from iii.storage.sqlite_items import SqliteItems
from tests.integration.server.waiting import until
from tests.integration.storage.store import Store

A = ("a", "")


@pytest_asyncio.fixture
async def items(tmp_path: Path) -> AsyncIterator[SqliteItems]:
    items = SqliteItems(tmp_path)
    await items.open()
    yield items
    await items.close()


async def test_everything_is_there_after_a_restart_in_its_order(tmp_path: Path) -> None:
    for start in range(3):
        items = SqliteItems(tmp_path)
        await items.open()
        store = Store(items)
        assert [entry.key for entry in await store.entries(A)] == [str(number) for number in range(start)]
        await store.set(A, str(start), b"1")
        await items.close()
        await items.close()  # again does nothing


async def test_closing_completes_what_was_asked_for(tmp_path: Path) -> None:
    items = SqliteItems(tmp_path)
    await items.open()
    told: list[Changed | None] = []
    for number in range(5000):
        items.change(A, str(number), lambda old: b"1", lambda changed, error: told.append(changed))
    await items.close()
    assert told == [Changed(None, b"1")] * 5000
    store = Store(items)
    for asked in (store.set(A, "late", b"1"), store.entries(A), store.groups(), store.get(A, "unread")):
        with pytest.raises(StoreError, match="the store is closed"):
            await asked
    assert sqlite3.connect(items.path).execute("SELECT count(*) FROM items").fetchone() == (5000,)


async def test_one_bad_write_does_not_spoil_the_others_of_its_batch(items: SqliteItems) -> None:
    def bad(old: bytes | None) -> bytes:
        raise ValueError("bad")

    store = Store(items)
    answers = await asyncio.gather(
        *(store.change((f"g{number}", ""), "k", bad if number == 50 else lambda old: b"1") for number in range(100)),
        return_exceptions=True,
    )
    assert [number for number, answer in enumerate(answers) if isinstance(answer, StoreError)] == [50]
    assert len(await store.groups()) == 99


async def test_what_a_rolled_back_batch_had_made_is_not_relied_on(items: SqliteItems) -> None:
    """A group's row that was undone must not be written to."""

    def bad(old: bytes | None) -> bytes:
        raise ValueError("bad")

    store = Store(items)
    first = asyncio.gather(store.set(A, "k", b"1"), store.change(A, "x", bad), return_exceptions=True)
    await first
    await store.set(A, "l", b"2")
    assert await store.entries(A) == [Entry("k", b"1"), Entry("l", b"2")]


async def test_a_second_engine_on_the_same_store_is_refused(items: SqliteItems, tmp_path: Path) -> None:
    with pytest.raises(StartFailure, match=r"in use by another process \(pid \d+\)"):
        await SqliteItems(tmp_path).open()
    await Store(items).set(A, "k", b"1")  # the first one is not disturbed


async def test_a_store_of_a_newer_version_is_refused_and_left_alone(tmp_path: Path) -> None:
    items = SqliteItems(tmp_path)
    await items.open()
    await items.close()
    with sqlite3.connect(items.path) as connection:
        connection.execute("PRAGMA user_version = 7")
    connection.close()
    with pytest.raises(StartFailure, match="written by a newer iii: its version is 7"):
        await SqliteItems(tmp_path).open()


async def test_a_store_of_an_older_version_is_brought_up(tmp_path: Path) -> None:
    first = database.Database(tmp_path, ("CREATE TABLE a (x)",))
    await first.open()
    await first.close()
    second = database.Database(tmp_path, ("CREATE TABLE a (x)", "CREATE TABLE b (y)"))
    await second.open()
    assert second.reader.execute("SELECT count(*) FROM b").fetchone() == (0,)
    await second.close()


@pytest.mark.parametrize(
    "damage",
    [lambda data: b"no database at all" * 100, lambda data: data[: len(data) // 2], lambda data: data[:50]],
    ids=["nonsense", "half", "stump"],
)
async def test_a_damaged_file_is_said_and_kept(tmp_path: Path, damage: object) -> None:
    items = SqliteItems(tmp_path)
    await items.open()
    store = Store(items)
    await asyncio.gather(*(store.set(A, str(number), b"x" * 100) for number in range(1000)))
    await items.close()
    damaged = damage(items.path.read_bytes())  # type: ignore[operator]
    items.path.write_bytes(damaged)
    for _ in range(2):  # nor is it gone the second time
        with pytest.raises(StartFailure, match=r"store\.db is damaged") as refused:
            await SqliteItems(tmp_path).open()
        assert "Restore a backup, or move the store away" in str(refused.value)
        assert items.path.read_bytes() == damaged


async def test_what_a_killed_engine_left_in_the_log_counts(tmp_path: Path) -> None:
    """The file itself may have few of its pages then."""
    first = SqliteItems(tmp_path / "state")
    await first.open()
    store = Store(first)
    await asyncio.gather(*(store.set(A, str(number), b"x" * 1000) for number in range(200)), store.set(A, "k", b"1"))
    killed = tmp_path / "killed"
    killed.mkdir()
    for suffix in ("", "-wal"):  # as they are at this moment
        (killed / f"store.db{suffix}").write_bytes((tmp_path / "state" / f"store.db{suffix}").read_bytes())
    await first.close()
    again = SqliteItems(killed)
    await again.open()
    assert await Store(again).get(A, "k") == b"1"
    await again.close()


async def test_damage_inside_is_reported_soon_after_the_start(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    items = SqliteItems(tmp_path)
    await items.open()
    store = Store(items)
    await asyncio.gather(*(store.set(A, str(number), b"x" * 100) for number in range(2000)))
    await items.close()
    data = bytearray(items.path.read_bytes())
    data[8192:16384] = bytes(8192)
    items.path.write_bytes(data)
    again = SqliteItems(tmp_path)
    with caplog.at_level(logging.ERROR):
        await again.open()
        await until(lambda: "is damaged" in caplog.text)
    await again.close()


async def test_nobody_else_may_read_the_store(tmp_path: Path) -> None:
    items = SqliteItems(tmp_path / "data" / "state")
    await items.open()
    assert items.path.parent.stat().st_mode & 0o777 == 0o700
    await items.close()


async def test_a_folder_that_cannot_be_made_is_said() -> None:
    with pytest.raises(StartFailure, match="cannot use /proc/iii/state as a store"):
        await SqliteItems(Path("/proc/iii/state")).open()


@pytest.mark.parametrize("below", ["", "state"])
async def test_a_file_in_the_place_of_a_folder_is_said(tmp_path: Path, below: str) -> None:
    (tmp_path / "data").touch()
    with pytest.raises(StartFailure, match=f"cannot use .*: {tmp_path / 'data'} is a file, not a folder"):
        await SqliteItems(tmp_path / "data" / below).open()


async def test_a_full_disk_fails_the_write_and_nothing_else(items: SqliteItems) -> None:
    store = Store(items)
    await store.set(A, "before", b'"x"')
    old = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, old[1]))
    try:
        failed = 0
        for number in range(20):
            try:
                await store.set(A, f"k{number}", b'"%s"' % (b"x" * 50_000))
            except StoreError:
                failed += 1
        assert failed
        assert await store.get(A, "before") == b'"x"'
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, old)
    await store.set(A, "after", b"1")
    kept = await store.entries(A)
    assert len(kept) == 2 + 20 - failed
    assert items.database.reader.execute("PRAGMA integrity_check").fetchone() == ("ok",)


async def test_more_than_so_much_waiting_is_refused(tmp_path: Path) -> None:
    items = SqliteItems(tmp_path, limits=StoreLimits(waiting_bytes=10_000))
    await items.open()
    store = Store(items)
    answers = await asyncio.gather(*(store.set(A, str(number), b"1") for number in range(100)), return_exceptions=True)
    refused = [answer for answer in answers if isinstance(answer, StoreError)]
    assert 0 < len(refused) < 100
    assert "wait for the disk" in str(refused[0])
    assert await store.set(A, "later", b"1") == Changed(None, b"1")
    await items.close()


async def test_nobody_is_told_before_the_kernel_has_synced(items: SqliteItems, monkeypatch: pytest.MonkeyPatch) -> None:
    """Issue 5, 04 §7.2: the order of things, not only their outcome."""
    begun: asyncio.Queue[kernel_sync.Synced] = asyncio.Queue()
    await Store(items).set(A, "before", b"1")  # the first one is the thread's
    monkeypatch.setattr(kernel_sync.KernelSync, "start", lambda self, synced: begun.put_nowait(synced))
    change = asyncio.ensure_future(Store(items).set(A, "k", b"1"))
    async with asyncio.timeout(60):
        synced = await begun.get()
    for _ in range(100):
        await asyncio.sleep(0)
    assert not change.done()
    synced(None)
    assert await change == Changed(None, b"1")
    change = asyncio.ensure_future(Store(items).set(A, "l", b"1"))
    async with asyncio.timeout(60):
        (await begun.get())(OSError(5, "Input/output error"))
    with pytest.raises(StoreError, match=r"write not acknowledged: fsync failed: .*Input/output error"):
        await change
    with pytest.raises(StoreError, match=r"write refused by store .*: fsync failed: .*; restart the engine"):
        await Store(items).set(A, "m", b"1")


@pytest.mark.skipif(sys.platform != "linux", reason="Linux AIO")
async def test_the_kernel_syncs_and_says_what_it_cannot(items: SqliteItems, tmp_path: Path) -> None:
    store = Store(items)
    for _ in range(2):
        await asyncio.gather(*(store.set(A, str(number), b"1") for number in range(300)))
    assert items.database.disk.kernel_sync is not None
    file, pipe = tmp_path / "some file", tmp_path / "some pipe"
    file.touch()
    told: asyncio.Queue[OSError | kernel_sync.NoKernelSync | None] = asyncio.Queue()
    sync = kernel_sync.KernelSync(file)
    sync.start(told.put_nowait)
    async with asyncio.timeout(60):
        assert await told.get() is None
    sync.close()
    os.mkfifo(pipe)
    writes = os.open(pipe, os.O_RDWR)
    sync = kernel_sync.KernelSync(pipe)
    with pytest.raises(kernel_sync.NoKernelSync):
        sync.start(told.put_nowait)
    sync.close()
    os.close(writes)


@pytest_asyncio.fixture
async def items_of_a_thread(monkeypatch: pytest.MonkeyPatch, items: SqliteItems) -> SqliteItems:
    """On a system without the kernel's own way."""

    def missing(self: object, path: Path) -> None:
        raise kernel_sync.NoKernelSync

    monkeypatch.setattr(kernel_sync.KernelSync, "__init__", missing)
    return items


async def test_nobody_is_told_before_the_disk_has_it(
    items_of_a_thread: SqliteItems, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same where a thread syncs."""
    items = items_of_a_thread
    written, synced = threading.Event(), threading.Event()
    sync = os.fdatasync

    def late(descriptor: int) -> None:
        written.set()
        synced.wait(60)
        sync(descriptor)

    monkeypatch.setattr(os, "fdatasync", late)
    change = asyncio.ensure_future(Store(items).set(A, "k", b"1"))
    await asyncio.to_thread(written.wait, 10)
    for _ in range(100):
        await asyncio.sleep(0)
    assert not change.done()
    synced.set()
    assert await change == Changed(None, b"1")


async def test_disk_that_fails_to_keep_something_is_not_believed_again(
    items_of_a_thread: SqliteItems, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A second fsync succeeds though what the first one lost is gone: everything is refused from then on."""

    def fails(descriptor: int) -> None:
        raise OSError(5, "Input/output error")

    store = Store(items_of_a_thread)
    await store.set(A, "before", b"1")
    with monkeypatch.context() as patched:
        patched.setattr(os, "fdatasync", fails)
        with pytest.raises(StoreError, match=r"write not acknowledged: fsync failed: .*Input/output error"):
            await store.set(A, "k", b"1")
    with pytest.raises(StoreError, match=r"write refused by store .*: fsync failed: .*; restart the engine"):
        await store.set(A, "l", b"1")
    assert await store.get(A, "before") == b"1"
    assert "writes are refused until the engine is restarted" in caplog.text


async def test_large_and_slow_writes_do_not_hold_the_loop(tmp_path: Path) -> None:
    """They are written by the thread of the disk, in their turn among the others."""
    store = database.Database(tmp_path, ("CREATE TABLE a (x)",))
    await store.open()
    where: list[tuple[str, bool]] = []
    told = asyncio.Event()

    def write(what: str, **more: Any) -> None:
        def work(connection: sqlite3.Connection) -> None:
            where.append((what, threading.current_thread() is threading.main_thread()))

        store.write(work, lambda result, error: told.set(), **more)

    wanted: list[tuple[str, dict[str, Any]]] = [
        ("short", {}),
        ("slow", {"slow": True}),
        ("large", {"size": 2_000_000}),
        ("last", {}),
    ]
    for what, more in wanted:
        told.clear()
        write(what, **more)
        async with asyncio.timeout(60):
            await told.wait()
    assert where == [("short", True), ("slow", False), ("large", False), ("last", True)]
    await store.close()


async def test_what_was_written_moves_to_the_file_and_its_log_stays_small(items: SqliteItems) -> None:
    store = Store(items)
    for turn in range(40):
        await asyncio.gather(*(store.set(A, str(number), b"%d" % turn * 1000) for number in range(1000)))
    assert items.path.with_name("store.db-wal").stat().st_size < 12_000_000  # of 40 MB
    assert items.path.stat().st_size > 1_000_000


async def test_relaxed_writes_reach_the_disk_in_time_and_are_there_after_a_restart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop, synced = asyncio.get_running_loop(), asyncio.Event()
    sync = os.fsync

    def watched(descriptor: int) -> None:
        sync(descriptor)
        loop.call_soon_threadsafe(synced.set)

    items = SqliteItems(tmp_path, "relaxed", sync_s=0.01)
    await items.open()
    store = Store(items)
    monkeypatch.setattr(os, "fsync", watched)
    await store.set(A, "k", b"1")
    async with asyncio.timeout(60):
        await synced.wait()
    await items.close()
    again = SqliteItems(tmp_path)
    await again.open()
    assert await Store(again).get(A, "k") == b"1"
    await again.close()


async def test_the_cache_has_a_bound_and_never_an_old_value(tmp_path: Path) -> None:
    items = SqliteItems(tmp_path, limits=StoreLimits(cache_bytes=5000))
    await items.open()
    store = Store(items)
    for number in range(200):
        await store.set(A, str(number % 50), b"%d" % number)
        assert await store.get(A, str(number % 50)) == b"%d" % number
        assert items.cached_bytes <= 5000
    for number in range(150, 200):
        assert await store.get(A, str(number % 50)) == b"%d" % number
    await store.delete(A, "0")
    assert await store.get(A, "0") is None
    await items.close()
