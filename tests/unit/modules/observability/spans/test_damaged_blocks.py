"""What a disk has changed of blocks, and the database does not see, changes no list (06 §7.5)."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import Any

import msgspec
import pytest

from iii.modules.observability.spans.archive import named
from iii.modules.observability.spans.archive.columns import sealed as editions
from iii.modules.observability.spans.archive.known_blocks import KnownBlocks
from iii.modules.observability.spans.archive.questions import Questions
from iii.modules.observability.spans.archive.tables import Tables
from iii.modules.observability.spans.requests import TracesListInput
from iii.modules.observability.spans.selection import Selection
from tests.unit.modules.observability.spans.blocks_on_disk import (
    ANYWHERE,
    COMMON,
    NOW,
    QUESTIONS,
    RARE,
    listed,
    read_ahead,
    seal_all,
    sealed,
)

DAMAGED = 2  # block
ROWS = {"blocks": 1, "times": 1, "named": 1, "sums": 1, "orders": 4, "pairs": 16}
ASKED = [*QUESTIONS, {"sort_by": "name"}, {"sort_by": "start_time", "end_time": 7_000, **ANYWHERE}]


def columns_of(connection: sqlite3.Connection, table: str) -> list[str]:
    return [row[1] for row in connection.execute(f"PRAGMA table_info({table})") if row[1] != "id"]


def flip(connection: sqlite3.Connection, table: str, column: str, at: int) -> None:
    """A bit of each row of the block."""
    query = f"SELECT id, {column} FROM {table} WHERE id / {ROWS[table]} = {DAMAGED}"
    for id_, value in connection.execute(query).fetchall():
        if isinstance(value, int):
            connection.execute(f"UPDATE {table} SET {column} = ? WHERE id = ?", (value ^ 1, id_))
            continue
        changed = bytearray(value.encode() if isinstance(value, str) else value)
        if changed:
            changed[at % len(changed)] ^= 0x80
        changed_type = "TEXT" if isinstance(value, str) else "BLOB"
        connection.execute(f"UPDATE {table} SET {column} = CAST(? AS {changed_type}) WHERE id = ?", (changed, id_))


@pytest.fixture(autouse=True)
def named_by_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if spans were many."""
    monkeypatch.setattr(named, "_FEW", 0)


@pytest.mark.parametrize("table", ROWS)
@pytest.mark.parametrize("at", [0, 1_001, 4_094])
def test_06_7_5_no_bit_of_a_block_that_is_another_changes_a_list(
    connection: sqlite3.Connection, table: str, at: int
) -> None:
    expected = [listed(connection, limit=50, **each) for each in ASKED]
    seal_all(connection)
    whole = connection.serialize()
    for first, column in enumerate(columns_of(connection, table), at):
        with closing(sqlite3.connect(":memory:", isolation_level=None)) as own:
            own.deserialize(whole)
            flip(own, table, column, at)
            known = KnownBlocks()
            if at:
                read_ahead(own, known)
            for number in range(first % 4, len(ASKED), 4):
                assert listed(own, known, limit=50, **ASKED[number]) == expected[number], (column, ASKED[number])


def test_06_7_5_blocks_that_are_damaged_are_told_once_and_sealed_again(connection: sqlite3.Connection) -> None:
    def asked(**request: Any) -> tuple[int, list[int]]:
        questions = Questions(connection, [], known)
        page = questions.listed(Selection(msgspec.convert(request, TracesListInput), NOW))
        found.extend(questions.damaged_blocks)
        return page.total, [block.id for block in questions.damaged_blocks]

    known, tables, found = KnownBlocks(), Tables(10**10), list[Any]()
    seal_all(connection)
    whole = list(connection.execute("SELECT packed FROM sums ORDER BY id"))
    for table, column in (("pairs", "packed"), ("blocks", "owners")):
        flip(connection, table, column, 40)
    flip(connection, "orders", "ranks", 7)
    connection.execute("DELETE FROM times WHERE id = 3")
    assert asked(**RARE, **ANYWHERE) == (80, [3, DAMAGED])
    assert asked(**COMMON) == (2560, [])
    tables.unseal(connection, found)
    assert sealed(connection) == [0, 1]
    seal_all(connection)
    assert sealed(connection) == [0, 1, 2, 3]
    assert list(connection.execute("SELECT packed FROM sums ORDER BY id")) == whole
    tables.unseal(connection, found)  # told late: these are new
    assert sealed(connection) == [0, 1, 2, 3]
    assert known.trusted(editions(connection)) == editions(connection)
    assert asked(**RARE, **ANYWHERE) == (80, [])


def test_06_7_5_a_block_of_which_a_row_is_left_is_sealed_again(connection: sqlite3.Connection) -> None:
    seal_all(connection)
    connection.execute("DELETE FROM blocks WHERE id = 1")
    assert Tables(10**10).seal(connection) is False
    assert sealed(connection) == [0, 1, 2, 3]
    assert listed(connection, **RARE, **ANYWHERE)[1] == 80
