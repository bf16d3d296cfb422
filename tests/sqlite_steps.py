"""How much SQLite works for a statement: counted in steps of its machine, which no load of the computer changes."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable


def steps(connection: sqlite3.Connection, work: Callable[[], object]) -> int:
    """Steps of the virtual machine that `work` takes on that connection."""
    count = 0

    def step() -> int:
        nonlocal count
        count += 1
        return 0

    connection.set_progress_handler(step, 1)
    try:
        work()
    finally:
        connection.set_progress_handler(None, 1)
    return count


def scans(connection: sqlite3.Connection, statement: str) -> list[str]:
    """The steps of a statement's plan that go through a whole table or sort; parameters are null."""
    plan = connection.execute(f"EXPLAIN QUERY PLAN {statement}", [None] * statement.count("?"))
    ordinary = ("json_each", "(subquery", "CONSTANT ROW", "LIST SUBQUERY", "CO-ROUTINE")
    return [
        detail for *_, detail in plan
        if detail.startswith(("SCAN", "USE TEMP B-TREE")) and not any(each in detail for each in ordinary)
    ]  # fmt: skip
