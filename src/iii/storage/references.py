"""Which rows of a store belong to which: no row may come to belong to another one's name (P16)."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from typing import NamedTuple


class Reference(NamedTuple):
    """A column with ids of another table.

    Attributes:
        parent: the other table, whose row id that is.
        adopt: SQL that makes a row of `parent` with `:id` and `:name`, for rows whose own is lost.
        unknown: values of columns of `parent` that its index does not have.
    """

    table: str
    column: str
    parent: str
    adopt: str
    unknown: dict[str, object]


class Orphans(NamedTuple):
    """Rows whose parent is not there.

    Attributes:
        parent: the table where it is not.
        id: by which they name it.
        counts: of rows, by table.
    """

    parent: str
    id: int
    counts: dict[str, int]


def orphans(connection: sqlite3.Connection, references: Sequence[Reference]) -> Iterator[Orphans]:
    """All of a store, in the order of their ids. References of other kinds of stores are passed over. Raises sqlite3.Error."""
    tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    present = [each for each in references if {each.table, each.parent} <= tables]
    for parent in dict.fromkeys(each.parent for each in present):
        found: dict[int, dict[str, int]] = {}
        for each in present:
            if each.parent == parent:
                query = (
                    f'SELECT "{each.column}", count(*) FROM "{each.table}" WHERE "{each.column}" NOT IN '
                    f'(SELECT rowid FROM "{parent}") GROUP BY 1'
                )
                for number, count in connection.execute(query):
                    found.setdefault(number, {})[each.table] = count
        yield from (Orphans(parent, number, counts) for number, counts in sorted(found.items()))
