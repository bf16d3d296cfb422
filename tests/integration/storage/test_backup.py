"""Backups of a running engine's store, and their way back (`iii store backup`, `restore`)."""

import asyncio
import logging
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from iii.protocol.start_failure import StartFailure
from iii.storage import sqlite_items
from iii.storage.backup import NoBackup, back_up, restore
from iii.storage.folder import StoreFolder
from iii.storage.salvage import check
from iii.storage.sqlite_items import SqliteItems
from tests.integration.server.waiting import until
from tests.integration.storage.store import Store

A = ("a", "")


async def keys_of(folder: Path) -> list[str]:
    items = SqliteItems(folder)
    await items.open()
    try:
        return [entry.key for entry in await Store(items).entries(A)]
    finally:
        await items.close()


async def test_a_backup_under_load_has_what_was_acknowledged_before_it(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    items = SqliteItems(tmp_path / "state")
    await items.open()
    store, written, stopping = Store(items), 0, asyncio.Event()

    async def write_on() -> None:
        nonlocal written
        while not stopping.is_set():
            await store.set(A, str(written), b"1" * 1000)
            written += 1

    writing = asyncio.create_task(write_on())
    await until(lambda: written >= 300)
    copies = [tmp_path / str(number) / "store.db" for number in range(5)]
    before = []
    for copy in copies:
        before.append(written)
        assert await asyncio.to_thread(back_up, StoreFolder(items.path.parent), copy.parent) == copy.stat().st_size
    stopping.set()
    await writing
    await items.close()

    for copy, acknowledged in zip(copies, before, strict=True):
        assert check(StoreFolder(copy.parent), sqlite_items.REFERENCES) == []
        kept = await keys_of(copy.parent)
        assert kept == [str(number) for number in range(len(kept))]
        assert len(kept) >= acknowledged
    assert len(await keys_of(tmp_path / "state")) >= written
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


async def filled(folder: Path, *keys: str) -> None:
    items = SqliteItems(folder)
    await items.open()
    for key in keys:
        await Store(items).set(A, key, b"1" * 5000)
    await items.close()


async def test_a_restored_store_has_the_age_of_its_backup_and_the_other_is_kept(tmp_path: Path) -> None:
    await filled(tmp_path / "data" / "state", "a")
    back_up(StoreFolder(tmp_path / "data" / "state"), tmp_path / "backup" / "state")
    await filled(tmp_path / "data" / "state", "b")
    moved = restore(StoreFolder(tmp_path / "backup" / "state"), tmp_path / "data" / "state")
    assert moved is not None
    assert await keys_of(tmp_path / "data" / "state") == ["a"]
    assert await keys_of(moved) == ["a", "b"]
    assert restore(StoreFolder(tmp_path / "backup" / "state"), tmp_path / "new" / "state") is None
    assert await keys_of(tmp_path / "new" / "state") == ["a"]
    assert (tmp_path / "new" / "state" / "store.db").stat().st_mode & 0o777 == 0o600


async def test_a_store_in_use_and_a_damaged_backup_are_refused(tmp_path: Path) -> None:
    await filled(tmp_path / "state", "a")
    back_up(StoreFolder(tmp_path / "state"), tmp_path / "backup")
    items = SqliteItems(tmp_path / "state")
    await items.open()
    with pytest.raises(StartFailure, match=f"in use by another process .pid {os.getpid()}"):
        restore(StoreFolder(tmp_path / "backup"), tmp_path / "state")
    await items.close()
    copy = tmp_path / "backup" / "store.db"
    copy.write_bytes(copy.read_bytes()[:5000] + b"\xff" * 9000)
    with pytest.raises(NoBackup):
        restore(StoreFolder(tmp_path / "backup"), tmp_path / "state")
    assert await keys_of(tmp_path / "state") == ["a"]


_COPIES = """\
import sys
import time
from pathlib import Path
from iii.storage.backup import back_up
from iii.storage.folder import StoreFolder
print("x", flush=True)
back_up(StoreFolder(Path(sys.argv[1])), Path(sys.argv[2]))
"""


def killed_copy(store: Path, new: Path, after_s: float) -> None:
    process = subprocess.Popen([sys.executable, "-c", _COPIES, store, new], stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    time.sleep(after_s)
    process.kill()
    process.communicate()


async def test_a_backup_that_is_killed_leaves_nothing_that_looks_like_one(tmp_path: Path) -> None:
    """Issue 16: old or new, never half."""
    await filled(tmp_path / "state", *map(str, range(200)))
    for number in range(10):  # somewhere in the midst of it, or after it
        new = tmp_path / f"backup{number}"
        await asyncio.to_thread(killed_copy, tmp_path / "state", new, number * 0.002)
        if (new / "store.db").exists():
            assert len(await keys_of(new)) == 200
