"""A store with one damaged page: what can be read runs, whichever page it is (durable S2, P16)."""

from __future__ import annotations

import asyncio
import json
import logging
import shutil
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from iii.engine.engine_functions import EngineFunctions
from iii.modules.queue.config import QueueConfig
from iii.modules.queue.module import Queue
from iii.modules.queue.schema import MIGRATIONS
from iii.net.start_failure import StartFailure
from tests.memory_engine import MemoryEngine

JOBS = 120
PAGE_BYTES = 4096
ROWS_ON_A_PAGE = 40
DEADLINE_S = 20.0


class LoopClock:
    now = staticmethod(time.monotonic)

    def time_ms(self) -> int:
        return time.time_ns() // 1_000_000

    def call_at(self, when: float, callback: Callable[[], None]) -> asyncio.TimerHandle:
        return asyncio.get_running_loop().call_at(when, callback)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with waiting and delayed jobs, some of them due."""
    path = tmp_path_factory.mktemp("whole") / "store.db"
    database = sqlite3.connect(path, isolation_level=None)
    for migration in MIGRATIONS:
        database.executescript(migration)
    database.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")
    database.execute("INSERT INTO queues VALUES (1, 'queue', 'q', '', '', 0, NULL)")
    for number in range(JOBS):
        delayed = number % 4 == 3
        database.execute(
            "INSERT INTO jobs (seq, queue, rank, ready_at, grp, id, function_id, created_at, data) "
            "VALUES (?, 1, 0, ?, ?, ?, 'f', 0, ?)",
            (number + 1, 1000 + number if delayed else None, f'"{number % 9}"', f"{number:036}",
             json.dumps({"number": number, "group": number % 9, "text": "x" * 150}).encode()),
        )  # fmt: skip
    database.close()
    return path


class House:
    def __init__(self, folder: Path, kind: dict[str, Any]) -> None:
        self.engine = MemoryEngine(LoopClock(), modules=[EngineFunctions], spawn=asyncio.ensure_future)  # type: ignore[arg-type]
        adapter = {"name": "builtin", "config": {"store_method": "file_based", "file_path": str(folder)}}
        config = msgspec.convert({"queue_configs": {"q": kind}, "adapter": adapter}, QueueConfig)
        self.queue = Queue(self.engine.core, config)
        self.engine.core.add_module(self.queue)
        self.seen: set[int] = set()
        self.worker = self.engine.connect(name="w")
        self.worker.link.on_send = self._asked

    def _asked(self, frame: bytes) -> None:
        message = json.loads(frame)
        if message["type"] == "invokefunction":
            self.seen.add(message["data"]["number"])
            asyncio.get_running_loop().call_soon(self.worker.answer, message)

    async def until(self, condition: Callable[[], bool]) -> None:
        end = time.monotonic() + DEADLINE_S
        while not condition():
            assert time.monotonic() < end, f"{len(self.seen)} jobs ran"
            await asyncio.sleep(0.005)


def pages() -> list[int]:
    """All of them but the first, which is the file's header."""
    return list(range(1, 24))


@pytest.mark.parametrize("kind", ["standard", "fifo"])
@pytest.mark.parametrize("page", pages())
async def test_durable_s2_one_bad_page_stops_no_queue(
    whole: Path, tmp_path: Path, page: int, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.ERROR)
    (tmp_path / "queue").mkdir()
    damaged = tmp_path / "queue" / "store.db"
    shutil.copy(whole, damaged)
    count = damaged.stat().st_size // PAGE_BYTES
    if page >= count:
        return
    content = bytearray(damaged.read_bytes())
    content[page * PAGE_BYTES : (page + 1) * PAGE_BYTES] = bytes(
        (97 * number + page) % 251 for number in range(PAGE_BYTES)
    )
    damaged.write_bytes(content)
    fifo = {"type": "fifo", "message_group_field": "group", "parallel_groups": True}
    house = House(tmp_path, {"concurrency": 5, **(fifo if kind == "fifo" else {})})
    try:
        await house.queue.start()
    except StartFailure:  # the damage is where everything begins
        return
    try:
        house.worker.register("f")
        await house.until(lambda: len(house.seen) >= JOBS * 3 // 4 - ROWS_ON_A_PAGE)
        answer = house.worker.start_call(
            "f", {"number": JOBS, "group": "new"}, action={"type": "enqueue", "queue": "q"}
        )
        await house.until(lambda: house.worker.answer_to(answer) is not None)
        if "error" not in (house.worker.answer_to(answer) or {}):
            await house.until(lambda: JOBS in house.seen)
    finally:
        await house.queue.quiet()
        await house.queue.stop()
    assert caplog.text.count("retrying in") < 20
