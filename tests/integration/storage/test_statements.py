"""durable C2: what one item costs does not depend on how many there are, counted in SQLite's own steps."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path

from iii.storage.limits import StoreLimits
from iii.storage.sqlite_items import MIGRATIONS, SqliteItems
from tests.integration.storage.store import Store
from tests.sqlite_steps import scans

ITEMS = 1_000_000  # of one group
FEW = 10
A, B = ("a", ""), ("b", "")
# Of all groups when all are asked for; of one's items where all of them are the answer, in their order
MEANT = {"SCAN groups", "SCAN groups USING COVERING INDEX sqlite_autoindex_groups_1", "USE TEMP B-TREE FOR ORDER BY"}


def filled(folder: Path, items: int) -> None:
    folder.mkdir()
    with sqlite3.connect(folder / "store.db") as connection:
        connection.executescript("PRAGMA synchronous = OFF; PRAGMA journal_mode = OFF;" + MIGRATIONS[0])
        connection.execute("INSERT INTO groups VALUES (1, 'a', ''), (2, 'b', '')")
        numbers = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?)"
        connection.execute(f"{numbers} INSERT INTO items SELECT i, 1, printf('%07d', i), '1' FROM n", (items,))
        connection.execute("INSERT INTO items (group_id, key, value) VALUES (2, 'k', '1')")
        connection.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")
    connection.close()


async def steps_and_statements(folder: Path) -> tuple[int, set[str]]:
    """Of everything that is asked of single items, and of a small group."""
    items = SqliteItems(folder, limits=StoreLimits(cache_bytes=0))
    await items.open()
    steps = 0
    statements: set[str] = set()

    def step() -> int:
        nonlocal steps
        steps += 1
        return 0

    database = items.database
    for connection in (database.connections.writer, database.reader, database.connections.slow_reader):
        connection.set_progress_handler(step, 1)
        connection.set_trace_callback(statements.add)
    store = Store(items)
    await store.get(A, "0000009")
    await store.get(A, "missing")
    await store.set(A, "0000009", b"2")
    await asyncio.gather(*(store.set(A, f"{number:07d}", b"3") for number in range(1, 40)))  # at once, some new
    await store.set(A, "new", b"2")
    await store.delete(A, "new")
    await store.set(("new", ""), "k", b"1")
    await store.delete(("new", ""), "k")
    await store.entries(B)
    await store.groups()
    await store.groups("a")
    for connection in (database.connections.writer, database.reader, database.connections.slow_reader):
        connection.set_progress_handler(None, 1)
        connection.set_trace_callback(None)
    await items.close()
    return steps, statements


async def test_durable_C2_a_million_items_cost_as_much_as_a_few(tmp_path: Path) -> None:
    filled(tmp_path / "few", FEW)
    filled(tmp_path / "many", ITEMS)
    few, _ = await steps_and_statements(tmp_path / "few")
    many, _ = await steps_and_statements(tmp_path / "many")
    assert many <= few + 50


async def test_durable_C2_no_statement_goes_through_a_table(tmp_path: Path) -> None:
    filled(tmp_path / "few", FEW)
    _, statements = await steps_and_statements(tmp_path / "few")
    asked = [each for each in statements if each.startswith(("SELECT", "INSERT", "UPDATE", "DELETE"))]
    assert len(asked) >= 8
    with sqlite3.connect(tmp_path / "few" / "store.db") as connection:
        found = {statement: scans(connection, statement) for statement in asked}
    connection.close()
    assert {plan for plans in found.values() for plan in plans} <= MEANT
