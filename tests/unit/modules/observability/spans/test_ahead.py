"""What lists read of sealed blocks is read before they ask (06 §7.5)."""

from __future__ import annotations

import sqlite3
from collections import deque
from itertools import cycle
from typing import Any

import pytest

from iii.modules.observability.spans.archive import ahead, named
from iii.modules.observability.spans.archive.ahead import BlocksAhead
from iii.modules.observability.spans.archive.known_blocks import KnownBlocks
from iii.modules.observability.spans.archive.tables import Tables
from iii.storage.items import StoreError
from iii.storage.transactions import Done, Work
from iii.testing.clock import FakeClock
from tests.unit.modules.observability.spans.blocks_on_disk import (
    COMMON,
    QUESTIONS,
    entry,
    listed,
    seal_all,
)
from tests.unit.modules.observability.spans.engine_with_spans import MS

ORDERS: list[dict[str, Any]] = [
    {},
    {"sort_order": "desc"},
    {"sort_by": "duration"},
    {"sort_by": "name", "sort_order": "desc"},
]
COLUMNS = 8 + 16  # of each block
OF_BLOCKS = {"blocks", "times", "orders", "named", "pairs"}


@pytest.fixture(autouse=True)
def named_by_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if spans were many."""
    monkeypatch.setattr(named, "_FEW", 0)


class Ahead:
    """Reads when it is told to.

    Attributes:
        waiting: what is to be done on the thread that reads.
        damaged: blocks.
    """

    def __init__(self, connection: sqlite3.Connection, most_bytes: int = 10**9) -> None:
        self.known = KnownBlocks(most_bytes)
        self.clock = FakeClock()
        self.waiting = deque[tuple[Work, Done]]()
        self.damaged = list[int]()
        self.ahead = BlocksAhead(
            self.clock,
            lambda work, done: self.waiting.append((work, done)),
            self.known,
            lambda blocks: self.damaged.extend(block.id for block in blocks),
        )
        self._connection = connection

    def step(self) -> bool:
        """One; whether there was any."""
        self.clock.advance(1)
        if not self.waiting:
            return False
        work, done = self.waiting.popleft()
        assert not self.waiting  # a list that is asked now comes next
        done(work(self._connection), None)
        assert not self._connection.in_transaction
        return True

    def all(self) -> int:
        """How many steps it took."""
        self.ahead.begin()
        steps = 0
        while self.step():
            steps += 1
        assert not self.clock.timers
        return steps


def reads_of_blocks(connection: sqlite3.Connection, known: KnownBlocks) -> set[str]:
    """The tables that lists look at for rows of blocks."""
    statements = list[str]()
    connection.set_trace_callback(statements.append)
    for each in QUESTIONS:
        listed(connection, known, **each)
    connection.set_trace_callback(None)
    return {table for table in OF_BLOCKS for each in statements if f"{table}.id = j.value" in each}


def test_06_7_5_what_was_read_ahead_is_not_read_by_a_list(connection: sqlite3.Connection) -> None:
    seal_all(connection)
    own = Ahead(connection)
    assert reads_of_blocks(connection, KnownBlocks()) == OF_BLOCKS
    own.all()
    assert reads_of_blocks(connection, own.known) == set()


def test_06_7_5_a_block_that_is_sealed_is_read_in_one_step(connection: sqlite3.Connection) -> None:
    own, tables = Ahead(connection), Tables(10**10)
    assert own.all() == 1  # there is nothing
    for _ in range(3):
        tables.seal(connection)
        assert own.all() <= 2
    tables.seal(connection)
    own.all()
    assert reads_of_blocks(connection, own.known) == set()


def test_06_7_5_a_step_of_reading_ahead_is_small(
    connection: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    seal_all(connection)
    monkeypatch.setattr(ahead, "_AT_ONCE", 3)
    own = Ahead(connection)
    known, lists = own.known, 4 * COLUMNS
    own.ahead.begin()
    for _ in range(lists // 3):
        before = known.bytes
        assert own.step()
        assert 0 < known.bytes - before < 3 * 50_000
    own.step()
    assert own.step() is False


@pytest.mark.parametrize("most_bytes", [0, 100_000, 10**9])
def test_06_7_5_lists_are_the_same_while_blocks_are_read_ahead(
    connection: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch, most_bytes: int
) -> None:
    """Whatever is changed, removed and sealed meanwhile, and if there is not room for all."""
    monkeypatch.setattr(ahead, "_AT_ONCE", 3)
    seal_all(connection)
    own, tables = Ahead(connection, most_bytes), Tables(10**10)
    requests = cycle([{**question, **order} for order in ORDERS for question in QUESTIONS])
    for times in range(6):
        own.ahead.begin()
        for number in range(24):
            own.step()
            request = next(requests)
            assert listed(connection, own.known, limit=5, **request) == listed(connection, limit=5, **request)
            assert own.known.bytes <= most_bytes
            if number == 12:
                changed = [
                    entry(at)._replace(packed=entry(3).packed, end=entry(at).start + 90 * MS)
                    for at in (times * 1_000, 5_000)
                ]
                tables.add(connection, changed, 2)
                connection.execute("DELETE FROM spans WHERE id % 2047 = ?", (times,))
        seal_all(connection)
    tables.clear(connection)
    own.all()
    assert own.known.bytes == 0
    assert listed(connection, own.known, **COMMON) == ([], 0)


def test_06_7_5_what_is_read_ahead_takes_no_room_from_what_lists_asked_for(connection: sqlite3.Connection) -> None:
    seal_all(connection)
    asked = KnownBlocks()
    listed(connection, asked, **QUESTIONS[2])
    own = Ahead(connection, asked.bytes + 10_000)
    listed(connection, own.known, **QUESTIONS[2])
    assert own.all() <= 2
    statements = list[str]()
    connection.set_trace_callback(statements.append)
    listed(connection, own.known, **QUESTIONS[2])
    assert not [each for each in statements if "CROSS JOIN times" in each or "LEFT JOIN pairs" in each]


@pytest.mark.parametrize(
    ("damage", "blocks"),
    [
        ("DELETE FROM orders WHERE id BETWEEN 8 AND 11", [2]),
        ("UPDATE orders SET known = x'01', places = x'01'", [0, 1, 2, 3]),
        ("UPDATE named SET ends = x'010203' WHERE id <> 2", [0, 1, 3]),
        ("DELETE FROM times WHERE id = 1", [1]),
    ],
)
@pytest.mark.parametrize("has_sums", [True, False])
def test_06_7_5_damaged_blocks_are_told_and_lists_do_without_them(
    connection: sqlite3.Connection, damage: str, blocks: list[int], has_sums: bool
) -> None:
    expected = [listed(connection, limit=5, **each) for each in QUESTIONS]
    seal_all(connection)
    connection.execute(damage)
    if not has_sums:
        connection.execute("DELETE FROM sums")  # an older engine has sealed them
    own = Ahead(connection)
    own.all()
    assert sorted(own.damaged) == blocks
    assert [listed(connection, own.known, limit=5, **each) for each in QUESTIONS] == expected


def test_06_7_5_what_cannot_be_read_is_left_to_the_list_that_asks_for_it(
    connection: sqlite3.Connection, caplog: pytest.LogCaptureFixture
) -> None:
    seal_all(connection)
    connection.execute("DROP TABLE named")
    own = Ahead(connection)
    own.all()
    assert not caplog.records
    assert not own.damaged
    assert listed(connection, own.known, attributes=[["rare", "8"]])[1] == 20


def test_06_7_5_a_store_that_is_closed_is_not_read_ahead(connection: sqlite3.Connection) -> None:
    seal_all(connection)
    own = Ahead(connection)
    own.ahead.begin()
    own.clock.advance(1)
    own.ahead.end()
    assert len(own.waiting) == 1  # it was begun
    assert own.step()
    own.ahead.begin()
    assert not own.clock.timers


@pytest.mark.parametrize("is_again", [False, True])
def test_06_7_5_reading_ahead_that_failed_is_begun_again_by_the_next_block(
    connection: sqlite3.Connection, is_again: bool
) -> None:
    seal_all(connection)
    own = Ahead(connection)
    own.ahead.begin()
    own.clock.advance(1)
    own.waiting.popleft()[1](None, StoreError("closed"))
    assert not own.clock.timers
    if is_again:
        own.all()
        assert reads_of_blocks(connection, own.known) == set()


def test_06_7_5_the_engine_starts_before_blocks_are_read(connection: sqlite3.Connection) -> None:
    """Also if one is sealed meanwhile."""
    seal_all(connection)
    own = Ahead(connection)
    own.ahead.begin(ahead.FIRST_S)
    own.clock.advance(ahead.FIRST_S / 2)
    own.ahead.begin()
    own.clock.advance(ahead.FIRST_S / 4)
    assert not own.waiting
    own.clock.advance(ahead.FIRST_S / 4)
    assert len(own.waiting) == 1
