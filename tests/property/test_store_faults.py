"""durable C1, M1: whatever fails between a write and its acknowledgement, and how, the store answers."""

from __future__ import annotations

import asyncio
import errno
import itertools
import os
import shutil
import sqlite3
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import caio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from iii.storage.database import Database
from iii.storage.items import StoreError
from iii.storage.limits import StoreLimits

TABLE = ("CREATE TABLE numbers (n INTEGER PRIMARY KEY)",)
DEADLINE_S = 60.0
ERRORS = st.one_of(
    st.sampled_from(sorted(errno.errorcode)).map(lambda number: OSError(number, os.strerror(number))),
    st.sampled_from(
        [
            AttributeError,
            OverflowError,
            SystemError,
            MemoryError,
            ValueError,
            RuntimeError,
            ImportError,
            BlockingIOError,
        ]
    ).map(lambda kind: kind("injected")),
)
SILENCE = "silence"  # the kernel never answers
IN_KERNEL = ["Context", "fdsync", "set_callback", "submit", "poll", "process_events"]
IN_SYSTEM = ["fdatasync", "fsync", "pread", "pwrite"]


class Faults:
    """What fails at which of its calls, and whether something that was to reach the disk did."""

    def __init__(self, planned: dict[tuple[str, int], Any]) -> None:
        self.planned = planned
        self.calls: dict[str, int] = {}
        self.silent = False
        self.sync_failed = False

    def happen(self, name: str) -> None:
        self.calls[name] = self.calls.get(name, 0) + 1
        fault = self.planned.get((name, self.calls[name]))
        if fault == SILENCE:
            self.silent = True
        elif fault is not None:
            self.sync_failed |= name in ("fdatasync", "fsync")
            raise fault

    @contextmanager
    def injected(self) -> Iterator[None]:
        faults, real = self, {name: getattr(os, name) for name in IN_SYSTEM}

        class Operation:
            def __init__(self, real: Any) -> None:
                self.real = real

            def set_callback(self, callback: Any) -> None:
                faults.happen("set_callback")
                self.real.set_callback(lambda result: None if faults.silent else callback(result))

            @classmethod
            def fdsync(cls, descriptor: int) -> Operation:
                faults.happen("fdsync")
                return cls(linux_aio.Operation.fdsync(descriptor))

        class Context:
            def __init__(self, max_requests: int) -> None:
                faults.happen("Context")
                self.real = linux_aio.Context(max_requests=max_requests)
                self.fileno = self.real.fileno

            def submit(self, operation: Operation) -> None:
                faults.happen("submit")
                self.real.submit(operation.real)

            def poll(self) -> None:
                faults.happen("poll")
                self.real.poll()

            def process_events(self) -> int:
                faults.happen("process_events")
                return int(self.real.process_events())

        def failing(name: str) -> Any:
            def call(*arguments: Any) -> Any:
                faults.happen(name)
                return real[name](*arguments)

            return call

        linux_aio: Any = caio.linux_aio
        with pytest.MonkeyPatch.context() as patched:
            kernel = type("kernel", (), {"Operation": Operation, "Context": Context})
            patched.setattr(caio, "linux_aio", None if ("caio", 1) in self.planned else kernel)
            for name in IN_SYSTEM:
                patched.setattr(os, name, failing(name))
            yield


async def numbers_after_faults(folder: Path, faults: Faults, durability: Any, slow: set[int], rounds: int) -> None:
    store = Database(folder, TABLE, durability, sync_s=0.005, limits=StoreLimits(overdue_s=0.05))
    await store.open()
    acknowledged: list[int] = []
    with faults.injected():
        for begin in range(0, rounds * 3, 3):
            refused_before = faults.sync_failed and store.disk.lost is not None
            answers = await asyncio.gather(*(written(store, n, n in slow) for n in range(begin, begin + 3)))
            acknowledged += [n for n in answers if n is not None]
            assert not (refused_before and any(n is not None for n in answers)), "accepted after a failed fsync"
            if durability == "relaxed":
                await asyncio.sleep(0.006)
    assert not faults.sync_failed or store.disk.lost is not None
    killed = folder / "killed"
    killed.mkdir()
    for name in ("store.db", "store.db-wal", "lock"):  # as kill -9 would leave them
        shutil.copyfile(folder / name, killed / name)
    async with asyncio.timeout(DEADLINE_S):
        await store.close()
    again = Database(killed, TABLE)
    await again.open()
    kept = {n for (n,) in again.reader.execute("SELECT n FROM numbers")}
    await again.close()
    assert kept.issuperset(acknowledged)
    assert answered_twice == []
    with sqlite3.connect(folder / "store.db") as closed:
        assert {n for (n,) in closed.execute("SELECT n FROM numbers")}.issuperset(acknowledged)
    closed.close()


answered_twice: list[int] = []


async def written(store: Database, number: int, slow: bool) -> int | None:
    answer: asyncio.Future[int | None] = asyncio.get_running_loop().create_future()

    def done(result: Any, error: StoreError | None) -> None:
        if answer.done():
            answered_twice.append(number)
        else:
            answer.set_result(number if error is None else None)

    store.write(lambda connection: connection.execute("INSERT INTO numbers VALUES (?)", (number,)), done, slow=slow)
    async with asyncio.timeout(DEADLINE_S):
        return await answer


PLANS = st.dictionaries(
    st.tuples(st.sampled_from([*IN_KERNEL, *IN_SYSTEM]), st.integers(1, 8)), ERRORS | st.just(SILENCE), max_size=4
)


@settings(max_examples=40)
@given(PLANS, st.sampled_from(["full", "relaxed"]), st.sets(st.integers(0, 23), max_size=4))
def test_durable_C1_durable_M1_whatever_fails_every_write_is_answered_and_none_that_was_acknowledged_is_missing(
    planned: dict[tuple[str, int], Any], durability: str, slow: set[int]
) -> None:
    with tempfile.TemporaryDirectory(prefix="iii-store-") as folder:
        asyncio.run(numbers_after_faults(Path(folder), Faults(planned), durability, slow, 8))


@pytest.mark.parametrize("name", ["caio", *IN_KERNEL])
def test_durable_C1_a_kernel_that_does_not_sync_is_replaced_by_the_thread(name: str, tmp_path: Path) -> None:
    """Every write is acknowledged: nothing was wrong with the disk."""
    faults = Faults({(name, 1): OverflowError("Insufficient resources") if name != "poll" else SILENCE})

    async def run() -> None:
        store = Database(tmp_path, TABLE)
        await store.open()
        with faults.injected():
            assert [await written(store, number, False) for number in range(5)] == list(range(5))
        assert not store.disk.kernel_syncs
        await store.close()

    asyncio.run(run())


def test_durable_M1_relaxed_a_failed_fsync_is_noticed_and_nothing_more_is_accepted(tmp_path: Path) -> None:
    async def run() -> None:
        store = Database(tmp_path, TABLE, "relaxed", sync_s=0.001)
        await store.open()
        faults = Faults({("fsync", 2): OSError(errno.EIO, "Input/output error")})
        with faults.injected():
            numbers = itertools.count()
            async with asyncio.timeout(DEADLINE_S):
                while await written(store, next(numbers), False) is not None:
                    pass
            assert faults.sync_failed
            assert await written(store, next(numbers), False) is None
        await store.close()

    asyncio.run(run())


def test_durable_C1_a_disk_thread_that_died_is_noticed(tmp_path: Path) -> None:
    async def run() -> None:
        store = Database(tmp_path, TABLE, limits=StoreLimits(overdue_s=0.01))
        await store.open()
        store.disk.end_thread()
        while not store.disk.join():
            pass
        assert await written(store, 0, True) is None
        await store.close()

    asyncio.run(run())


def test_durable_C1_an_fsync_that_does_not_return_loses_the_store_and_does_not_hold_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def run() -> None:
        store = Database(tmp_path, TABLE, limits=StoreLimits(overdue_s=0.01))
        await store.open()
        monkeypatch.setattr(os, "fdatasync", lambda descriptor: returns.wait(DEADLINE_S))
        assert await written(store, 0, True) is None
        assert await written(store, 1, False) is None
        async with asyncio.timeout(DEADLINE_S):
            await store.close()
        assert "Store not closed: fsync does not return" in caplog.text
        monkeypatch.undo()
        returns.set()
        while not store.disk.join():
            pass
        await asyncio.to_thread(store.release)

    returns = threading.Event()
    asyncio.run(run())


def test_a_log_that_cannot_be_checkpointed_is_bounded_and_said_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    class Failing:
        def __init__(self, connection: sqlite3.Connection) -> None:
            self._connection = connection

        def execute(self, query: str, *values: Any) -> Any:
            if "wal_checkpoint" in query:
                raise sqlite3.OperationalError("disk I/O error")
            return self._connection.execute(query, *values)

        def __getattr__(self, name: str) -> Any:
            return getattr(self._connection, name)

    async def run() -> None:
        store = Database(tmp_path, TABLE, limits=StoreLimits(checkpoint_pages=3, log_pages=20))
        await store.open()
        store.writer.connection = Failing(store.writer.connection)  # type: ignore[assignment]
        accepted = [number for number in range(40) if await written(store, number, False) is not None]
        assert 10 < len(accepted) < 25
        await store.close()
        assert caplog.text.count('reason="disk I/O error"') == 1
        assert caplog.text.count("Checkpoint of a store failed; retrying with each batch (store=") == 1
        assert caplog.text.count("is lost") == 1

    asyncio.run(run())
