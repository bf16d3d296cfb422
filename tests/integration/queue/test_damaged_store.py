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
from iii.modules.queue.jobs.schema import MIGRATIONS
from iii.modules.queue.module import Queue
from iii.protocol.start_failure import StartFailure
from iii.server.clock import LoopClock
from iii.testing import MemoryEngine

JOBS = 120
MANY = 600
PAGE_BYTES = 4096
ROWS_ON_A_PAGE = 40
DEADLINE_S = 60.0


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with waiting and delayed jobs, some of them due."""
    return written(tmp_path_factory.mktemp("whole") / "store.db", JOBS)


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same, with indexes of several pages."""
    return written(tmp_path_factory.mktemp("large") / "store.db", MANY)


def written(path: Path, jobs: int) -> Path:
    database = sqlite3.connect(path, isolation_level=None)
    for migration in MIGRATIONS:
        database.executescript(migration)
    database.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")
    database.execute("INSERT INTO queues VALUES (1, 'queue', 'q', '', '', 0, NULL)")
    for number in range(jobs):
        delayed = number % 4 == 3
        database.execute(
            "INSERT INTO jobs (seq, queue, rank, ready_at, grp, id, function_id, created_at, data) "
            "VALUES (?, 1, 0, ?, ?, ?, 'f', 0, ?)",
            (number + 1, 1000 + number if delayed else None, f'"{number % 9}"', f"{number:036}",
             json.dumps({"number": number, "group": number % 9, "text": "x" * 150}).encode()),
        )  # fmt: skip
    database.close()
    return path


class _Clock(LoopClock):
    def advance(self, seconds: float) -> None:
        """Time passes by itself. A connection whose worker took long to connect is paused for a turn, which comes."""


class House:
    def __init__(self, folder: Path, kind: dict[str, Any]) -> None:
        clock: Any = _Clock(asyncio.get_running_loop())
        self.engine = MemoryEngine(clock, modules=[EngineFunctions], spawn=asyncio.ensure_future)
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


def index_pages(path: Path, index: str) -> list[int]:
    """All pages of one b-tree (sqlite.org/fileformat.html), the root first, counted from 0."""
    with sqlite3.connect(path) as database:
        (root,) = database.execute("SELECT rootpage FROM sqlite_master WHERE name = ?", (index,)).fetchone()
    database.close()
    content = path.read_bytes()
    found = [root - 1]
    for page in found:
        begin = page * PAGE_BYTES
        if content[begin] == 2:  # an inner one
            cells = int.from_bytes(content[begin + 3 : begin + 5], "big")
            for cell in range(cells):
                at = begin + int.from_bytes(content[begin + 12 + 2 * cell :][:2], "big")
                found.append(int.from_bytes(content[at : at + 4], "big") - 1)
            found.append(int.from_bytes(content[begin + 8 : begin + 12], "big") - 1)
    return found


def harm(path: Path, page: int) -> None:
    with path.open("r+b") as file:
        file.seek(page * PAGE_BYTES)
        file.write(bytes((97 * number + page) % 251 for number in range(PAGE_BYTES)))


@pytest.mark.parametrize("kind", ["standard", "fifo"])
@pytest.mark.parametrize("index", ["delayed", "waiting", "grouped"])
async def test_P16_a_bad_page_of_an_index_costs_no_job(
    large: Path, tmp_path: Path, index: str, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Delayed jobs of a queue did not run any more, with one line in the log (durable S2)."""
    caplog.set_level(logging.WARNING)
    for page in index_pages(large, index):
        caplog.clear()
        folder = tmp_path / f"page-{page}"
        (folder / "queue").mkdir(parents=True)
        shutil.copy(large, folder / "queue" / "store.db")
        harm(folder / "queue" / "store.db", page)
        await _run_all(House(folder, {"concurrency": 20, **(FIFO if kind == "fifo" else {})}))
        assert caplog.text.count("were rebuilt") == 1, page
        assert "passed over" not in caplog.text, page
        assert len(caplog.records) <= 3, [record.getMessage() for record in caplog.records]


async def _run_all(house: House) -> None:
    """All jobs of the store, and one more."""
    await house.queue.start()
    try:
        house.worker.register("f")
        await house.until(lambda: len(house.seen) == MANY)
        answer = house.worker.start_call("f", {"number": MANY, "group": 1}, action={"type": "enqueue", "queue": "q"})
        await house.until(lambda: MANY in house.seen)
        assert "error" not in (house.worker.answer_to(answer) or {})
    finally:
        await house.queue.quiet()
        await house.queue.stop()


async def test_P16_a_bad_page_of_their_index_hides_no_dead_letters(large: Path, tmp_path: Path) -> None:
    (tmp_path / "queue").mkdir()
    damaged = tmp_path / "queue" / "store.db"
    shutil.copy(large, damaged)
    with sqlite3.connect(damaged) as database:
        database.execute(
            "INSERT INTO dead (queue, rank, id, function_id, attempts, created_at, data, error, failed_at) "
            "SELECT queue, rank, id, function_id, 3, 0, data, 'e', 0 FROM jobs"
        )
        database.execute("DELETE FROM jobs")
    database.close()
    harm(damaged, index_pages(damaged, "dead_of")[-1])
    house = House(tmp_path, {})
    await house.queue.start()
    try:
        answer = house.worker.start_call("engine::queue::dlq_messages", {"topic": "q", "limit": 500})
        await house.until(lambda: house.worker.answer_to(answer) is not None)
        letters = (house.worker.answer_to(answer) or {})["result"]
        assert len({letter["id"] for letter in letters}) == len(letters) == 500
        answer = house.worker.start_call("iii::queue::redrive", {"queue": "q"})
        await house.until(lambda: house.worker.answer_to(answer) is not None)
        assert (house.worker.answer_to(answer) or {})["result"]["redriven"] == MANY
    finally:
        await house.queue.quiet()
        await house.queue.stop()


FIFO = {"type": "fifo", "message_group_field": "group", "parallel_groups": True}


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
    harm(damaged, page)
    house = House(tmp_path, {"concurrency": 5, **(FIFO if kind == "fifo" else {})})
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
    assert caplog.text.count("retry_in_s") < 20
