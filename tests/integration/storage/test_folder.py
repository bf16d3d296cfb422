"""The folder of a store under a running engine, and what a start makes of damaged files (durable S1, S3, M3; P16)."""

from __future__ import annotations

import fcntl
import logging
import os
import shutil
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from iii.protocol.start_failure import StartFailure
from iii.storage import database, disk, folder
from iii.storage.items import StoreError
from iii.storage.limits import STORE_LIMITS, StoreLimits
from iii.storage.sqlite_items import SqliteItems
from iii.storage.sync import sync_path
from tests.integration.storage.store import Store

A = ("a", "")


def removed(path: Path) -> None:
    shutil.rmtree(path)


def renamed(path: Path) -> None:
    path.rename(path.with_name("other"))


def restored_from_a_backup(path: Path) -> None:
    backup = path.with_name("backup")
    shutil.copytree(path, backup)
    shutil.rmtree(path)
    backup.rename(path)


def one_replaced(name: str) -> Callable[[Path], None]:
    def replaced(path: Path) -> None:
        (path / "new").write_bytes((path / name).read_bytes())
        (path / "new").rename(path / name)

    return replaced


@pytest.mark.parametrize(
    "harm",
    [removed, renamed, restored_from_a_backup, *map(one_replaced, ("store.db", "store.db-wal", "lock"))],
    ids=["removed", "renamed", "restored", "store.db", "store.db-wal", "lock"],
)
@pytest.mark.parametrize("durability", ["full", "relaxed"])
async def test_durable_S3_files_that_are_not_those_that_were_opened_lose_the_store(
    harm: Callable[[Path], None],
    durability: disk.Durability,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    items = SqliteItems(tmp_path / "state", durability, limits=StoreLimits(look_s=0.0))
    await items.open()
    store = Store(items)
    await store.set(A, "before", b"1")
    harm(tmp_path / "state")
    for _ in range(2):
        with pytest.raises(StoreError, match=r"(store\.db|store\.db-wal|lock)( was replaced|: No such file)"):
            await store.set(A, "after", b"1")
    await items.close()
    assert caplog.text.count("is lost") == 1


async def test_durable_S3_files_are_looked_at_again_at_least_each_second() -> None:
    assert STORE_LIMITS.look_s <= 1


async def test_names_of_new_folders_are_on_disk_up_to_the_first_that_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[Path] = []

    def watched(path: Path) -> None:
        synced.append(path)
        sync_path(path)

    for module in (folder, database):
        monkeypatch.setattr(module, "sync_path", watched)
    items = SqliteItems(tmp_path / "data" / "deep" / "state")
    await items.open()
    await items.close()
    assert {path.relative_to(tmp_path).as_posix() for path in synced} == {".", "data", "data/deep", "data/deep/state"}


@pytest.mark.parametrize("name", ["fsync", "fdatasync", "pread", "pwrite", "open", "stat", "flock", "connect", "start"])
async def test_durable_M3_a_start_that_fails_anywhere_lets_go_of_everything(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each call of each kind in turn; afterwards the same process can open the store, and no descriptor is left."""
    place: object = {"flock": fcntl, "connect": sqlite3, "start": threading.Thread}.get(name, os)
    real = getattr(place, name)
    calls = fail_at = 0

    def failing(*arguments: object, **more: object) -> object:
        nonlocal calls
        if name == "start" and "iii store" not in arguments[0].name:  # type: ignore[attr-defined]
            return real(*arguments, **more)
        calls += 1
        if calls == fail_at:
            raise {
                "connect": sqlite3.OperationalError("unable to open"),
                "start": RuntimeError("no thread"),
            }.get(name, OSError(5, "Input/output error"))
        return real(*arguments, **more)

    killed = await killed_store(tmp_path)  # reading looks at what is there
    descriptors = len(os.listdir("/proc/self/fd"))
    refused = 0
    while True:
        calls, fail_at = 0, fail_at + 1
        items = SqliteItems(tmp_path / str(fail_at) / "state")
        if name in ("pread", "stat"):
            shutil.copytree(killed, items.path.parent)
        with monkeypatch.context() as patched:
            patched.setattr(place, name, failing)
            try:
                await items.open()
            except StartFailure:
                refused += 1
        if not items.database.closed:
            await items.close()
        assert len(os.listdir("/proc/self/fd")) <= descriptors  # others may have closed theirs
        if calls < fail_at:
            break
    assert refused or name in ("fdatasync", "pwrite")


async def test_durable_S1_an_empty_file_beside_its_log_stops_the_start_and_nothing_is_changed(tmp_path: Path) -> None:
    killed = await killed_store(tmp_path)
    for missing in (False, True):
        (killed / "store.db").unlink() if missing else (killed / "store.db").write_bytes(b"")
        before = contents(killed)
        with pytest.raises(
            StartFailure, match=f"store.db is {'missing' if missing else 'empty'}, but its write-ahead log is not"
        ):
            await SqliteItems(killed).open()
        assert contents(killed) == before
        assert (killed / "store.db-wal.damaged").read_bytes() == before["store.db-wal"]


async def test_durable_S1_an_empty_file_without_a_log_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "store.db").touch()
    items = SqliteItems(tmp_path)
    await items.open()
    await items.close()
    assert "is empty (0 bytes)" in caplog.text


async def test_durable_S1_a_log_that_is_gone_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    killed = await killed_store(tmp_path)
    (killed / "store.db-wal").unlink()
    with caplog.at_level(logging.ERROR):
        items = SqliteItems(killed)
        await items.open()
        await items.close()
    assert "Log of a store is missing" in caplog.text
    caplog.clear()
    await items.open()  # a proper end leaves no log either
    await items.close()
    assert not caplog.records


async def killed_store(path: Path) -> Path:
    """A copy of what is on disk while the engine runs."""
    items = SqliteItems(path / "state")
    await items.open()
    store = Store(items)
    for number in range(20):
        await store.set(A, str(number), b"x" * 2000)
    killed = path / "killed"
    killed.mkdir()
    for name in ("store.db", "store.db-wal", "lock"):
        shutil.copyfile(items.path.with_name(name), killed / name)
    await items.close()
    return killed


def contents(path: Path) -> dict[str, bytes]:
    return {
        each.name: each.read_bytes()
        for each in path.iterdir()
        if each.name.startswith("store.db") and each.suffix != ".damaged"
    }
