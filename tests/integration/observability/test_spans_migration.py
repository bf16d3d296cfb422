"""A store of spans that is brought up to a newer version: killed meanwhile, or on a disk without room (06 §7.5)."""

from __future__ import annotations

import asyncio
import signal
import sqlite3
import sys
from pathlib import Path

import pytest

from iii.modules.observability.config import TraceStorageConfig
from iii.modules.observability.spans.archive.archive import SpanArchive
from iii.modules.observability.spans.archive.schema import MIGRATIONS
from iii.modules.observability.spans.archive.tables import ArchivedSpan, Tables
from iii.modules.observability.spans.row import Packer
from iii.modules.observability.spans.store import SpanStore
from iii.server.clock import LoopClock
from tests.integration.observability.test_spans_on_disk import span, traced

SPANS = [f"s{number}" for number in range(20)]

# Opens a store as the engine does. The database calls it after so many of its steps within the transaction of the schema.
OPENING = """
import asyncio, os, signal, sqlite3, sys
from pathlib import Path
from iii.modules.observability.spans.archive.schema import MIGRATIONS
from iii.storage.database import Database

connect, steps = sqlite3.connect, [0]

def connected(*args, **kwargs):
    connection = connect(*args, **kwargs)
    def step():
        steps[0] += connection.in_transaction
        if steps[0] >= int(sys.argv[2]):
            os.kill(os.getpid(), signal.SIGKILL)
    connection.set_progress_handler(step, 1)
    return connection

sqlite3.connect = connected
asyncio.run(Database(Path(sys.argv[1]), MIGRATIONS, name="traces.sqlite3").open())
"""


def store_of_version_2(folder: Path) -> Path:
    file = folder / "traces.sqlite3"
    store = sqlite3.connect(file, isolation_level=None)
    store.executescript(f"{';'.join(MIGRATIONS[:2])}; PRAGMA user_version = 2; PRAGMA journal_mode = WAL; BEGIN")
    packer = Packer()
    Tables(10**10).add(store, [ArchivedSpan.of(packer.row(span("t", each))) for each in SPANS], 1)
    store.execute("COMMIT")
    store.close()
    return file


@pytest.mark.parametrize("steps", [1, 150, 400])
async def test_06_7_5_a_store_whose_engine_is_killed_while_its_tables_change_is_opened_again(
    tmp_path: Path, steps: int
) -> None:
    file = store_of_version_2(tmp_path)
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", OPENING, str(tmp_path), str(steps))
    try:
        assert await asyncio.wait_for(process.wait(), 60) == -signal.SIGKILL
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    looking = sqlite3.connect(file)
    assert looking.execute("PRAGMA user_version").fetchone() == (2,)
    looking.close()
    async with traced(tmp_path) as own:
        assert sorted(await own.listed(search_all_spans=True)) == sorted(SPANS)
        assert await own.found("PRAGMA user_version") == len(MIGRATIONS)


async def test_06_7_5_a_store_without_room_for_its_new_tables_is_left_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The engine starts, says why, and the next one that has room opens it."""
    store_of_version_2(tmp_path)
    connect = sqlite3.connect

    def full(*args: object, **more: object) -> sqlite3.Connection:
        connection: sqlite3.Connection = connect(*args, **more)  # type: ignore[call-overload]
        pages = connection.execute("PRAGMA page_count").fetchone()[0]
        connection.execute(f"PRAGMA max_page_count = {pages}")
        return connection

    with monkeypatch.context() as patch:
        patch.setattr(sqlite3, "connect", full)
        archive = SpanArchive(
            SpanStore(10, 10**9), LoopClock(asyncio.get_running_loop()), TraceStorageConfig(directory=str(tmp_path))
        )
        await archive.open()
        storage = archive.storage()
        await archive.close()
    assert (storage.archive, storage.completeness) == ("degraded", "unknown")
    assert "full" in (storage.last_error or "")
    async with traced(tmp_path) as own:
        assert sorted(await own.listed(search_all_spans=True)) == sorted(SPANS)
