"""Checking and saving damaged stores (P16): what is readable comes along, what is lost is reported, nothing is changed."""

from __future__ import annotations

import asyncio
import os
import random
import re
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from iii.cli import main
from iii.storage import salvage as module
from iii.storage.folder import StoreFolder
from iii.storage.items import StoreError
from iii.storage.salvage import NotSalvageable, Salvaged, check, salvage
from iii.storage.sqlite_items import REFERENCES, SqliteItems
from tests.integration.storage.store import Store

A = ("a", "")
KEYS = 400
PAGE = 4096


@pytest.fixture(params=["closed", "killed"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A store of 400 items: at rest, or as `kill -9` leaves it, with most of it in the log."""
    items = SqliteItems(tmp_path / "live" / "state")
    await items.open()
    writing = Store(items)
    for begin in range(0, KEYS, 20):
        await asyncio.gather(*(writing.set(A, str(key), b"1%d" % key * 100) for key in range(begin, begin + 20)))
    folder = tmp_path / "state"
    if request.param == "killed":
        folder.mkdir()
        for name in ("store.db", "store.db-wal", "lock"):
            shutil.copyfile(items.path.with_name(name), folder / name)
    await items.close()
    if request.param == "closed":
        items.path.parent.rename(folder)
    return folder


def saved(folder: Path) -> tuple[Salvaged, dict[str, bytes]]:
    new = folder.with_name("new")
    files = StoreFolder(folder)
    files.take(to_look=True)
    before = contents(folder)
    try:
        done = salvage(files, new, REFERENCES)
    finally:
        files.release()
    assert contents(folder) == before
    assert sorted(path.name for path in new.iterdir()) == ["store.db"]
    with sqlite3.connect(new / "store.db") as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        rows = dict(connection.execute("SELECT key, value FROM items"))
    connection.close()
    return done, rows


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.suffix != ".db-shm"}


def found(folder: Path) -> list[str]:
    files = StoreFolder(folder)
    files.take(to_look=True)
    before = contents(folder)
    try:
        return check(files, REFERENCES)
    finally:
        files.release()
        assert contents(folder) == before


async def test_a_store_without_damage_is_copied_whole_and_opens(store: Path) -> None:
    assert found(store) == []
    done, rows = saved(store)
    assert done.whole
    assert rows == {str(key): b"1%d" % key * 100 for key in range(KEYS)}
    again = SqliteItems(store.with_name("new"))
    await again.open()
    reading = Store(again)
    assert await reading.get(A, "7") == b"17" * 100
    await reading.set(A, "more", b"1")
    await again.close()


@pytest.mark.parametrize("seed", range(8))
def test_any_damaged_page_costs_its_rows_and_no_others(store: Path, seed: int) -> None:
    chance = random.Random(seed)
    path = max((store / name for name in ("store.db", "store.db-wal") if (store / name).exists()), key=size)
    stride, head = (PAGE, PAGE) if path.name == "store.db" else (PAGE + 24, 32)
    number = chance.randrange((size(path) - head) // stride)
    inner = path.name == "store.db" and path.read_bytes()[head + number * stride] in (2, 5)  # it leads to many others
    harm(path, head + number * stride, chance.randbytes(stride))
    damaged = found(store)
    done, rows = saved(store)
    assert damaged, "not found"
    assert all(rows[key] == b"1%d" % int(key) * 100 for key in rows)
    assert len(rows) > KEYS * 2 // 3 or inner
    if len(rows) < KEYS:
        assert not done.whole


@pytest.mark.parametrize(
    "damage",
    [lambda data: data[: len(data) // 2], lambda data: b"\xff" * 32 + data[32:]],
    ids=["cut in half", "header"],
)
def test_a_damaged_log_gives_what_is_left_of_it(store: Path, damage: Callable[[bytes], bytes]) -> None:
    path = store / "store.db-wal"
    if not path.exists():
        return
    path.write_bytes(damage(path.read_bytes()))
    assert found(store)
    _, rows = saved(store)
    assert len(rows) >= KEYS // 3


def test_a_file_cut_in_half_gives_the_rows_of_the_first_half(store: Path) -> None:
    path = store / "store.db"
    if (store / "store.db-wal").exists():
        return
    path.write_bytes(path.read_bytes()[: size(path) // 2])
    done, rows = saved(store)
    assert not done.whole
    assert len(rows) > KEYS // 4


def test_an_emptied_file_beside_its_log(store: Path) -> None:
    path = store / "store.db"
    path.write_bytes(b"")
    if (store / "store.db-wal").exists():
        assert found(store) == ["store.db is empty, but its write-ahead log is not"]
        _, rows = saved(store)
        assert len(rows) > KEYS // 2
    else:
        assert found(store) == []
        with pytest.raises(NotSalvageable):
            salvage(StoreFolder(store), store.with_name("new"), REFERENCES)
        assert not any(store.with_name("new").iterdir())


def test_what_cannot_be_read_is_tried_a_bounded_number_of_times(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_PROBES", 50)
    if (store / "store.db-wal").exists():
        return
    harm_root_of_items(store / "store.db")
    done, rows = saved(store)
    assert rows == {}
    assert not done.whole


def test_the_command(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    new = store.with_name("new")
    assert main(["store", "check", str(store / "store.db")]) == 0
    assert "no damage found" in capsys.readouterr().out
    path = store / ("store.db-wal" if (store / "store.db-wal").exists() else "store.db")
    harm(path, size(path) // 2, b"\xff" * PAGE)
    before = contents(store)
    assert main(["store", "check", str(store.parent)]) == 1
    assert "damaged: " in capsys.readouterr().out
    main(["store", "salvage", str(store), str(new)])
    assert "items" in capsys.readouterr().out
    assert contents(store) == before
    assert main(["store", "salvage", str(store), str(new)]) == 1
    assert "is not an empty folder" in capsys.readouterr().err
    assert main(["store", "check", str(store / "nowhere")]) == 1
    assert "no store in" in capsys.readouterr().err


async def test_the_command_refuses_while_an_engine_has_the_store(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    items = SqliteItems(tmp_path / "state")
    await items.open()
    assert main(["store", "check", str(tmp_path)]) == 1
    assert main(["store", "salvage", str(tmp_path / "state"), str(tmp_path / "new")]) == 1
    assert capsys.readouterr().err.count("is in use by another process") == 2
    assert not (tmp_path / "new").exists()
    await items.close()


async def test_a_store_without_indexes_of_its_own_is_not_said_to_have_new_ones(
    store: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Unlike a queue's (P16): the index of its keys is part of their table."""
    if (store / "store.db-wal").exists():
        return
    harm_root_of_items(store / "store.db")
    items = SqliteItems(store)
    await items.open()
    for _ in range(2):
        with pytest.raises(StoreError, match="malformed"):
            await Store(items).set(A, "7", b"1")
    with pytest.raises(StoreError, match="malformed"):
        await Store(items).entries(A)
    await items.close()
    assert "rebuilt" not in caplog.text
    assert len(re.findall(r"failed in SQLite \(store=\S+, reason=\"database disk image is malformed", caplog.text)) == 1


def size(path: Path) -> int:
    return path.stat().st_size


def harm_root_of_items(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        (root,) = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = 'items'").fetchone()
    connection.close()
    harm(path, (root - 1) * PAGE, b"\xff" * PAGE)


def harm(path: Path, at: int, data: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(at)
        file.write(data[: size(path) - at])


async def test_a_value_that_is_no_json_any_more_is_found_left_out_and_spoils_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Changed bytes that SQLite cannot notice: no message may carry them (P16, attack b 2 and 3)."""
    items = SqliteItems(tmp_path / "state")
    await items.open()
    store = Store(items)
    for key in "abc":
        await store.set(A, key, b'"value-%b"' % key.encode())
    await items.close()
    path = tmp_path / "state" / "store.db"
    path.write_bytes(path.read_bytes().replace(b'"value-b"', b'"val\xffe-b"'))
    assert found(tmp_path / "state") == ["1 rows of items have values that are not JSON"]
    done, rows = saved(tmp_path / "state")
    assert sorted(rows) == ["a", "c"]
    assert not done.whole
    items = SqliteItems(tmp_path / "state")
    await items.open()
    store = Store(items)
    with pytest.raises(StoreError, match="the value of 'b' is damaged"):
        await store.get(A, "b")
    assert [key for key, _ in await store.entries(A)] == ["a", "c"]
    changed = await store.set(A, "b", b'"new"')
    assert changed.old is None
    assert await store.get(A, "b") == b'"new"'
    await items.close()
    assert "Damaged value in the store counts as missing (store=" in caplog.text
    assert "Damaged values in the store left out of a list (values=1, first_key=b)" in caplog.text


async def test_a_log_that_somebody_cuts_under_the_engine_ends_acknowledgements(tmp_path: Path) -> None:
    """SQLite would write on by its index, which is in memory (P16, attack b 1)."""
    items = SqliteItems(tmp_path / "state")
    await items.open()
    store = Store(items)
    for number in range(5):
        await store.set(A, str(number), b"1")
    os.truncate(tmp_path / "state" / "store.db-wal", 0)
    answer = None
    async with asyncio.timeout(60):
        while answer is None:
            try:
                await store.set(A, "after", b"1")
            except StoreError as error:
                answer = str(error)
    assert "its write-ahead log was truncated" in answer
    await items.close()
