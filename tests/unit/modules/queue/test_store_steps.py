"""No statement of the queue's store costs more because more jobs wait (durable C2)."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest

from iii.modules.queue.jobs import letters as letters_module
from iii.modules.queue.jobs import lookup as lookup_module
from iii.modules.queue.jobs import results as results_module
from iii.modules.queue.jobs import store as store_module
from iii.modules.queue.jobs import waiting as waiting_module
from iii.modules.queue.jobs.job import Failure, Job, NewJob, numbered_ids
from iii.modules.queue.jobs.letters import Letters, Page
from iii.modules.queue.jobs.lookup import Lookup
from iii.modules.queue.jobs.places import Place
from iii.modules.queue.jobs.schema import MIGRATIONS
from iii.modules.queue.jobs.steady import SteadyTime
from iii.modules.queue.jobs.store import JobStore
from iii.modules.queue.jobs.waiting import Waiting
from iii.modules.queue.options import QueueOptions
from iii.storage.memory_database import MemoryDatabase
from iii.storage.transactions import Transactions
from iii.testing import FakeClock
from tests.sqlite_steps import scans, steps

ROWS = """
    WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < {count})
    INSERT INTO {table} SELECT {columns} FROM numbers"""
OTHERS, MINE = 1, 2
COUNTS = ("SELECT count(*) FROM jobs", "SELECT count(*) FROM dead")  # for people, on the thread that reads


class Backlog:
    """A store with so many jobs of every kind, in two queues."""

    def __init__(self, count: int) -> None:
        self.store = JobStore(lambda rolled_back: MemoryDatabase(MIGRATIONS), SteadyTime(FakeClock()))
        self.count = count

    @staticmethod
    def _again(database: Transactions) -> JobStore:
        """As an engine does it that starts with what is there."""
        database.open = _already_open  # type: ignore[method-assign]
        return JobStore(lambda rolled_back: database, SteadyTime(FakeClock()))

    def start(self) -> None:
        _run_with(lambda b: self._again(self.store.database).open(), self)

    async def open(self) -> Backlog:
        await self.store.open()
        database = self.store.database.reader
        for queue, kind in ((OTHERS, "others"), (MINE, "mine")):
            database.execute("INSERT INTO queues VALUES (?, 'queue', ?, '', '', 0, NULL)", (queue, kind))
        job = "n % 2 + 1, {rank}, {ready_at}, '\"' || (n % 7) || '\"', 'id' || n, 'f' || (n % 5), NULL, 0, 3, 0, 0, NULL, NULL, NULL, NULL, 'x', 1"
        for offset, rank, ready_at in ((0, "0", "NULL"), (1, "-3", "NULL"), (2, "0", "9e12 + n")):
            columns = f"n + {offset * self.count}, {job.format(rank=rank, ready_at=ready_at)}"
            database.execute(ROWS.format(count=self.count, table="jobs", columns=columns))
        letter = "n, n % 2 + 1, 0, NULL, 'id' || n, 'f', NULL, 3, 3, 0, 0, NULL, NULL, NULL, NULL, 'x', 'e', NULL, 0"
        database.execute(ROWS.format(count=self.count, table="dead", columns=letter))
        database.execute(
            ROWS.format(count=self.count, table="deduplication", columns="n % 2 + 1, 'd' || n, 'r', 9e15 + n")
        )
        result = "n, n % 2 + 1, n, 'r' || n, 'done', 'f', NULL, 1, 3, 0, 0, 9e15 + n, 1, '1'"
        database.execute(ROWS.format(count=self.count, table="results", columns=result))
        self.store = self._again(self.store.database)
        await self.store.open()
        self.letters = Letters(self.store)
        self.lookup = Lookup(self.store)
        self.place = self.store.places.of("queue", "mine")
        self.waiting = Waiting(self.store.database, MINE)
        return self

    def job(self, seq: int) -> Job:
        return Job(0, seq, f"id{seq}", None, "f", None, 0, 3, 0, 0, None, None, None, None)


async def _already_open() -> None:
    """The rows are there."""


errors: list[Any] = []  # of the store; `small` asserts that there are none


def ignore(result: Any, error: Any) -> None:
    if error is not None:
        errors.append(error)


NEW = NewJob(id="new", data=b"1", created_at=0, function_id="f", deduplication_id="new", deduplication_ms=1000)
FAILURE = Failure("boom", "no")
KEEPS = QueueOptions(keep_results_ms=1000, keep_results_max=10**9)
WORK: dict[str, Callable[[Backlog], object]] = {
    "first page": lambda b: b.waiting.page((-(2**31), 0), 50),
    "page in the middle": lambda b: b.waiting.page((0, b.count // 2), 50),
    "page at the end": lambda b: b.waiting.page((0, b.count - 10), 50),
    "page at the end of a priority": lambda b: b.waiting.page((-3, 2 * b.count - 10), 50),
    "skip groups": lambda b: b.waiting.skip_groups((0, 0), {f'"{n}"': 0 for n in range(7)}),
    "skip targets": lambda b: b.waiting.skip_targets((0, b.count // 2), [f"f{n}" for n in range(5)]),
    "skip to the end": lambda b: b.waiting.skip_targets((0, b.count - 10), [f"f{n}" for n in range(5)]),
    "next of a group": lambda b: b.waiting.next_of_group('"3"'),
    "next of no group": lambda b: b.waiting.next_of_group(None),
    "next due": lambda b: b.waiting.next_due({1, 2}),
    "retrying groups": lambda b: b.waiting.retrying_groups(50),
    "walk": lambda b: b.waiting.walk(b.count // 2, 50),
    "insert": lambda b: b.store.insert(b.place, NEW, ignore),
    "remove": lambda b: b.store.remove(b.job(b.count // 2), ignore),
    "postpone": lambda b: b.store.postpone(b.job(b.count // 2 + 2), FAILURE, 0, 9, ignore),
    "bury": lambda b: b.store.bury(b.job(b.count // 2 + 4), FAILURE, 0, 3, ignore),
    "promote": lambda b: b.store.promote(b.place, 50, [], ignore),
    "hold": lambda b: b.store.hold(b.place, NEW, 100, ignore),
    "look up by number": lambda b: b.lookup.find(f"{numbered_ids()}{b.count // 2:012x}"),
    "look up by name": lambda b: b.lookup.find("id701"),
    "look up a dead one": lambda b: b.lookup.find(f"id{b.count - 1}"),
    "look up a result": lambda b: b.lookup.find("r701"),
    "keep a result": lambda b: b.store.results.end(b.place, b.count // 2 + 8, "done", b"1", KEEPS, ignore),
    "expire results": lambda b: b.store.results.expire(b.place, ignore),
    "next result to expire": lambda b: b.store.results.next_end(b.place),
    "look up an unknown one": lambda b: b.lookup.find("no such"),
    "data": lambda b: b.store.data_of(b.job(b.count // 2 + 6), ignore),
}
ASYNC_WORK: dict[str, Callable[[Backlog], Any]] = {
    "dead letters": lambda b: b.letters.browse([b.place], 10, 50, Page(10**6)),
    "redrive one": lambda b: b.letters.redrive_one(b.place, "id501", lambda key: None),
    "discard": lambda b: b.letters.discard(b.place, "id503"),
    "expire": lambda b: b.store.expire(b.place, -1),
    "define": lambda b: b.store.define("q", b"{}"),
}


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(waiting_module, "_SKIPPED_AT_ONCE", 100)
    monkeypatch.setattr(waiting_module, "_LOOKED_AT_ONCE", 100)
    monkeypatch.setattr(store_module, "_DROPPED_AT_ONCE", 100)
    errors.clear()
    yield
    assert errors == []


def _run_with(work: Callable[[Backlog], Any], backlog: Backlog) -> None:
    try:
        work(backlog).send(None)
    except StopIteration:
        return
    raise AssertionError("it waits")


async def test_durable_c2_a_backlog_of_a_million_costs_no_more_steps() -> None:
    """A million jobs beside 340,000 dead letters and deduplication ids."""
    few, many = await Backlog(2_000).open(), await Backlog(340_000).open()
    too_much = {}
    every = WORK | {name: partial(_run_with, work) for name, work in ASYNC_WORK.items()}
    for name, work in every.items():
        small_, large = (steps(backlog.store.database.reader, partial(work, backlog)) for backlog in (few, many))
        if large > 1.3 * small_ + 100:
            too_much[name] = (small_, large)
    assert not too_much


def statements() -> dict[str, str]:
    found = {}
    for module in (store_module, letters_module, waiting_module, lookup_module, results_module):
        for name, value in vars(module).items():
            for number, text in enumerate(value if isinstance(value, tuple) else [value]):
                if isinstance(text, str) and text.strip().startswith(("SELECT", "UPDATE", "DELETE")):
                    found[f"{name}-{number}"] = text
    return {name: text for name, text in found.items() if not text.startswith(COUNTS)}


@pytest.mark.parametrize("name", statements())
async def test_durable_c2_every_statement_finds_its_rows_by_an_index(name: str) -> None:
    database = sqlite3.connect(":memory:")
    for migration in MIGRATIONS:
        database.executescript(migration)
    assert scans(database, statements()[name]) == []


def test_durable_c2_the_statements_are_found() -> None:
    assert len(statements()) > 15


async def test_durable_c2_taking_messages_that_were_kept_touches_only_them() -> None:
    """`UPDATE jobs SET queue` looked at every row of every queue."""
    few, many = await Backlog(2_000).open(), await Backlog(20_000).open()
    costs = []
    for backlog in (few, many):
        kept = Place(7, "topic", "t", saved=True)
        backlog.store.database.reader.execute("UPDATE jobs SET queue = 7 WHERE seq BETWEEN 100 AND 150")
        move = partial(backlog.store.save_place, backlog.place, kept, ignore)
        costs.append(steps(backlog.store.database.reader, move))
    assert costs[1] < 1.3 * costs[0]


async def test_durable_c2_nothing_that_is_asked_goes_through_a_table() -> None:
    """Statements within functions too, and those of a start; counts for people are meant to go through what they count."""
    backlog = await Backlog(100).open()
    asked: set[str] = set()
    database = backlog.store.database.reader
    database.set_trace_callback(asked.add)
    every = WORK | {name: partial(_run_with, work) for name, work in ASYNC_WORK.items()}
    for work in (*every.values(), Backlog.start):
        work(backlog)
    _everything_else(backlog)
    database.set_trace_callback(None)
    asked = {
        each for each in asked if each.lstrip().startswith(("SELECT", "INSERT", "UPDATE", "DELETE", "REPLACE", "WITH"))
    }
    assert len(asked) > 40
    found = {statement: scans(database, statement) for statement in asked}
    assert {statement: plan for statement, plan in found.items() if plan and not _is_meant(statement)} == {}


def _everything_else(backlog: Backlog) -> None:
    store, place = backlog.store, backlog.place
    store.save_place(place, Place(OTHERS, "queue", "others", saved=True), ignore)
    store.insert_each([(place, NEW)], ignore)
    backlog.letters.overview(ignore)
    _run_with(lambda b: b.letters.counts([place]), backlog)
    _run_with(lambda b: b.letters.redrive(place, lambda key: None), backlog)
    _run_with(lambda b: b.store.define("q", None), backlog)


def _is_meant(statement: str) -> bool:
    """Tables with a row for each queue, read once at a start."""
    return any(f"FROM {table}" in statement for table in ("queues", "definitions", "paused"))
