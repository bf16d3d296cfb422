"""What is saved of a damaged store never comes under another one's name (P16; newcomer a: a lost scope's items in a new one)."""

from __future__ import annotations

import asyncio
import json
import random
import shutil
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from iii.cli import main
from iii.modules.queue.jobs import schema
from iii.modules.queue.jobs.job import NewJob
from iii.modules.queue.jobs.steady import SteadyTime
from iii.modules.queue.jobs.store import JobStore
from iii.server.clock import LoopClock
from iii.storage import salvage as module
from iii.storage import sqlite_items
from iii.storage.database import Database
from iii.storage.folder import StoreFolder
from iii.storage.references import Reference
from iii.storage.salvage import NotSalvageable, Salvaged, check, salvage
from iii.storage.sqlite_items import SqliteItems
from tests.integration.storage.store import Store

PAGE = 4096
PROBES = 300  # 100,000 would take a second for each damaged page
PAIRS = 16  # of damaged pages
SCOPES = 60
QUEUES = 40


def written(folder: Path, migrations: Sequence[str], rows: dict[str, list[tuple[Any, ...]]]) -> Path:
    """A store as an engine leaves it that has ended."""
    folder.mkdir()
    with sqlite3.connect(folder / "store.db", isolation_level=None) as connection:
        connection.executescript("; ".join(migrations) + f"; PRAGMA user_version = {len(migrations)}")
        connection.execute("BEGIN")
        for table, values in rows.items():
            connection.executemany(f"INSERT INTO {table} VALUES ({', '.join('?' * len(values[0]))})", values)
        connection.execute("COMMIT")
        connection.execute("PRAGMA journal_mode = WAL")
    connection.close()
    return folder


@pytest.fixture(autouse=True)
def few_probes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_PROBES", PROBES)


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    names = [f"scope-{number}-" + "n" * 200 for number in range(1, SCOPES + 1)]
    items = [
        (None, 1 + n % SCOPES, f"key{n}", json.dumps(names[n % SCOPES]).encode() + b" " * 100)
        for n in range(4 * SCOPES)
    ]
    groups = [(number, name, "") for number, name in enumerate(names, 1)]
    return written(
        tmp_path_factory.mktemp("live") / "state", sqlite_items.MIGRATIONS, {"groups": groups, "items": items}
    )


@pytest.fixture(scope="module")
def jobs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    names = [f"queue-{number}-" + "n" * 200 for number in range(1, QUEUES + 1)]
    queues = [(n, "queue" if n % 2 else "topic", name, "", "", 0, None) for n, name in enumerate(names, 1)]
    rows: list[tuple[Any, ...]] = []
    for number in range(4 * QUEUES):
        queue = 1 + number % QUEUES
        function = "f" if queue % 2 else None
        rows.append(
            (queue, 0, f"id{number}", function, 0, 3, 1000, 5, json.dumps(names[queue - 1]).encode())
        )  # fmt: skip
    columns = "jobs (queue, rank, id, function_id, attempts, max_attempts, backoff_ms, created_at, data)"
    return written(tmp_path_factory.mktemp("live") / "queue", schema.MIGRATIONS, {"queues": queues, columns: rows})


def damages(data: bytes) -> list[tuple[str, bytes]]:
    """The file with each page but the first zeroed, overwritten, or replaced by another one; and with two pages damaged."""
    found = []
    chance = random.Random(1)
    pages = len(data) // PAGE
    for page in range(1, pages):
        for how, harm in (
            ("zeros", bytes(PAGE)),
            ("noise", chance.randbytes(PAGE)),
            ("another", data[PAGE * (1 + page % (pages - 1)) :][:PAGE]),
        ):
            found.append((f"page {page + 1}: {how}", replaced(data, {page: harm})))
    leaves = [page for page in range(1, pages) if data[page * PAGE] == 13]  # of tables
    for number in range(PAIRS):
        one, two = chance.sample(leaves if number % 2 else range(1, pages), 2)
        contents = {page: data[page * PAGE :][:PAGE] for page in (one, two)}
        harms = (
            {one: contents[two], two: contents[one]} if number % 2 else {one: bytes(PAGE), two: chance.randbytes(PAGE)}
        )
        found.append((f"pages {one + 1} and {two + 1}: {'swapped' if number % 2 else 'lost'}", replaced(data, harms)))
    return found


def replaced(data: bytes, pages: dict[int, bytes]) -> bytes:
    whole = bytearray(data)
    for page, content in pages.items():
        whole[page * PAGE : (page + 1) * PAGE] = content
    return bytes(whole)


def saved(whole: Path, data: bytes, into: Path, references: Sequence[Reference]) -> Salvaged | None:
    """What became of a damaged copy; None: nothing could be read."""
    shutil.rmtree(into, ignore_errors=True)
    damaged = into / "damaged"
    damaged.mkdir(parents=True)
    (damaged / "store.db").write_bytes(data)
    try:
        done = salvage(StoreFolder(damaged), into / whole.name, references)
    except NotSalvageable:
        return None
    assert check(StoreFolder(into / whole.name), references) == []
    return done


@pytest.mark.parametrize("store", ["state", "jobs"])
def test_P16_the_whole_schema_is_on_the_first_page(store: str, request: pytest.FixtureRequest) -> None:
    """One page more whose loss would be the loss of everything."""
    data = (request.getfixturevalue(store) / "store.db").read_bytes()
    assert data[100] == 13  # a leaf


async def test_P16_no_item_comes_under_another_scope(state: Path, tmp_path: Path) -> None:
    for case, data in damages((state / "store.db").read_bytes()):
        done = saved(state, data, tmp_path / "saved", sqlite_items.REFERENCES)
        assert done is not None, case
        items = SqliteItems(tmp_path / "saved" / "state")
        await items.open()
        store = Store(items)
        seen = 0
        for scope, second in await store.groups():
            assert second == ""
            for _, value in await store.entries((scope, "")):
                seen += 1
                assert scope.startswith("salvaged-") or json.loads(value) == scope, case
        await store.set(("fresh", ""), "k", b"1")
        assert await store.entries(("fresh", "")) == [("k", b"1")], case
        await items.close()
        (rows,) = (table.rows for table in done.tables if table.name == "items")
        assert seen == rows, case
        assert not done.whole or (rows == 4 * SCOPES and not done.adopted), case


async def test_P16_no_job_comes_under_another_queue(jobs: Path, tmp_path: Path) -> None:
    for case, data in damages((jobs / "store.db").read_bytes()):
        done = saved(jobs, data, tmp_path / "saved", schema.REFERENCES)
        assert done is not None, case
        folder = tmp_path / "saved" / "queue"
        with sqlite3.connect(folder / "store.db") as connection:
            rows = connection.execute(
                "SELECT kind, name, jobs.function_id, data FROM jobs JOIN queues ON queues.id = jobs.queue"
            )
            found = rows.fetchall()
        connection.close()
        for kind, name, function_id, job in found:
            assert name.startswith("salvaged-") or json.loads(job) == name, case
            assert kind == ("topic" if function_id is None else "queue"), case
        assert len(found) == next(table.rows for table in done.tables if table.name == "jobs"), case


async def test_P16_pages_as_they_were_before_show_no_removed_scope_in_a_new_one(tmp_path: Path) -> None:
    """An id that was given twice did: what is lost of the log may leave any page as it was at any time."""
    items = SqliteItems(tmp_path / "live" / "state")
    await items.open()
    store = Store(items)
    for number in range(24):
        name = f"scope-{number}-" + "n" * 100
        for key in range(9):
            await store.set((name, ""), f"key{key}", json.dumps(name).encode() + b" " * 200)
        for key in range(9) if number % 3 else ():
            await store.delete((name, ""), f"key{key}")
    folder = tmp_path / "state"
    folder.mkdir()
    for name in ("store.db", "store.db-wal", "lock"):
        shutil.copyfile(items.path.with_name(name), folder / name)
    await items.close()
    log = (folder / "store.db-wal").read_bytes()
    frame_bytes = PAGE + 24
    pages = [int.from_bytes(log[at : at + 4], "big") for at in range(32, len(log) - PAGE, frame_bytes)]
    read = 0
    for page in sorted(set(pages) - {1}):
        for newest in range(0, len(pages), len(pages) // 5):
            harmed = bytearray(log)
            for frame in range(newest, len(pages)):
                if pages[frame] == page:
                    at = 32 + frame * frame_bytes + 24
                    harmed[at : at + PAGE] = bytes(PAGE)
            (folder / "store.db-wal").write_bytes(harmed)
            files = StoreFolder(folder)
            files.take(to_look=True)
            try:
                salvage(files, tmp_path / "new", sqlite_items.REFERENCES)
            except NotSalvageable:
                continue
            finally:
                files.release()
            with sqlite3.connect(tmp_path / "new" / "store.db") as connection:
                rows = connection.execute(
                    "SELECT first, value FROM items JOIN groups ON groups.id = group_id"
                ).fetchall()
            connection.close()
            shutil.rmtree(tmp_path / "new")
            read += len(rows)
            for scope, value in rows:
                assert scope.startswith("salvaged-") or json.loads(value) == scope, (page, newest)
    assert read > 300


def orphaned(folder: Path, table: str) -> Path:
    """The same with all names lost without a trace: as an older `salvage` left it."""
    with sqlite3.connect(folder / "store.db") as connection:
        connection.execute(f"DELETE FROM {table}")
    connection.close()
    return folder


async def test_a_new_scope_never_gets_the_id_of_a_lost_one(state: Path, tmp_path: Path) -> None:
    folder = orphaned(shutil.copytree(state, tmp_path / "state"), "groups")
    items = SqliteItems(folder)
    await items.open()
    store = Store(items)
    for number in range(3):
        await store.set((f"fresh{number}", ""), "k", b"1")
        assert await store.entries((f"fresh{number}", "")) == [("k", b"1")]
    await items.close()


async def test_a_new_queue_never_gets_the_id_of_a_lost_one(jobs: Path, tmp_path: Path) -> None:
    folder = orphaned(shutil.copytree(jobs, tmp_path / "queue"), "queues")
    loop = asyncio.get_running_loop()
    store = JobStore(
        lambda rolled_back: Database(folder, schema.MIGRATIONS, rolled_back=rolled_back), SteadyTime(LoopClock(loop))
    )
    await store.open()
    told: asyncio.Future[object] = loop.create_future()
    place = store.places.of("queue", "fresh")
    job = NewJob(id="new", data=b"1", created_at=1, function_id="f", max_attempts=3, backoff_ms=1000)
    store.insert(place, job, lambda result, error: told.set_result(error))
    assert await told is None
    await store.close()
    assert place.id > QUEUES


def test_the_command_finds_and_names_what_has_lost_its_name(
    state: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = orphaned(shutil.copytree(state, tmp_path / "state"), "groups WHERE id = 7")
    assert main(["store", "check", str(folder)]) == 1
    assert "4 rows of items refer to row 7 of groups, which is missing" in capsys.readouterr().out
    assert main(["store", "salvage", str(folder), str(tmp_path / "new")]) == 1
    out = capsys.readouterr().out
    assert "4 rows of items: the name of their scope or group is lost; they are copied to salvaged-7." in out
    assert main(["store", "check", str(tmp_path / "new")]) == 0
