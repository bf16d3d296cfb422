"""A store of an older version is brought up in one transaction: whenever the engine is killed, the next start goes on."""

from __future__ import annotations

import logging
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from iii.modules.queue.jobs.schema import MIGRATIONS
from iii.storage.database import Database

JOBS = 20_000  # their index is larger than the cache that is set below, so that it is in the log before the commit

DIES = """
import asyncio, os, signal, sys
from pathlib import Path
from iii.modules.queue.jobs.schema import MIGRATIONS
from iii.storage import connections, database
from iii.storage.folder import StoreFolder

def die():
    os.kill(os.getpid(), signal.SIGKILL)

connected = connections.connected
def dying(files, query_only=False):
    connection = connected(files, query_only)
    connection.execute("PRAGMA cache_size = 10")
    connection.create_function("die", 0, die)
    return connection
connections.connected = dying
drop, create = MIGRATIONS[1].split(";")[:2]
at = sys.argv[2]
if at == "before the checkpoint":
    StoreFolder.forget_mark = lambda self: die()
second = {"at the drop": f"{drop}; SELECT die(); {create};", "at the end": f"{drop}; {create}; SELECT die();"}
store = database.Database(Path(sys.argv[1]), (MIGRATIONS[0], second.get(at, MIGRATIONS[1])))
asyncio.run(store.open())
"""


def of_version_1(folder: Path) -> None:
    folder.mkdir()
    with sqlite3.connect(folder / "store.db") as connection:
        connection.executescript(MIGRATIONS[0])
        connection.execute("PRAGMA user_version = 1")
        connection.execute(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?) "
            "INSERT INTO jobs (queue, rank, id, grp, created_at, data) SELECT 1, 0, 'id' || i, 'g' || i % 9, 0, '{}' FROM n",
            (JOBS,),
        )
    connection.execute("PRAGMA journal_mode = WAL")
    connection.close()


def started(folder: Path, at: str) -> int:
    return subprocess.run([sys.executable, "-c", DIES, str(folder), at], timeout=60, check=False).returncode


@pytest.mark.parametrize("at", ["at the drop", "at the end", "before the checkpoint"])
async def test_a_migration_that_was_killed_is_done_by_the_next_start(
    tmp_path: Path, at: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    folder = tmp_path / "queue"
    of_version_1(folder)
    for _ in range(2):  # the second start is killed too
        assert started(folder, at) == -signal.SIGKILL
    store = Database(folder, MIGRATIONS)
    await store.open()
    assert "is brought to a new version" in caplog.text
    assert ("from_version=1," in caplog.text) == (at != "before the checkpoint"), "that was committed"
    assert store.reader.execute("PRAGMA user_version").fetchone() == (len(MIGRATIONS),)
    (index,) = store.reader.execute("SELECT sql FROM sqlite_master WHERE name = 'waiting'").fetchone()
    assert index in MIGRATIONS[1]
    (count,) = store.reader.execute("SELECT count(*) FROM jobs INDEXED BY waiting WHERE ready_at IS NULL").fetchone()
    assert count == JOBS
    assert store.reader.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    await store.close()
