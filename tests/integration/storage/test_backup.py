"""A backup of a running engine's store, made by SQLite as docs/how-to/operate.md says."""

import asyncio
import logging
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from iii.storage import sqlite_items
from iii.storage.folder import StoreFolder
from iii.storage.salvage import check
from iii.storage.sqlite_items import SqliteItems
from tests.integration.server.waiting import until
from tests.integration.storage.store import Store

A = ("a", "")


def back_up(database: Path, copy: Path) -> None:
    with (
        closing(sqlite3.connect(f"{database.as_uri()}?mode=ro", uri=True)) as source,
        closing(sqlite3.connect(copy)) as target,
    ):
        source.backup(target)


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
        copy.parent.mkdir()
        before.append(written)
        await asyncio.to_thread(back_up, items.path, copy)
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
