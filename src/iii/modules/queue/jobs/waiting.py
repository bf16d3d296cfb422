"""The jobs of one place that wait, as the store has them: read on the loop, in steps whose cost does not grow with the backlog."""

from __future__ import annotations

import json
from collections.abc import Collection
from typing import Any, Final, NamedTuple, TypeAlias

from iii.modules.queue.jobs.job import Job
from iii.storage.damage import is_damage
from iii.storage.transactions import ReadError, Transactions

Key: TypeAlias = tuple[int, int]
"""A job's place in the order of its queue: rank and seq."""

INLINE_BYTES = 16 * 1024  # a job with more is read when it is delivered
COLUMNS = (
    "rank, seq, id, grp, function_id, namespace, attempts, max_attempts, backoff_ms, created_at, traceparent, baggage"
)
JOB = f"{COLUMNS}, metadata, CASE WHEN length(data) <= {INLINE_BYTES} THEN data END"
_SKIPPED_AT_ONCE = 5_000  # 1 ms: only the index is looked at
_LOOKED_AT_ONCE = 10_000  # for the next job without a group, among those that have one

# A row value, `(rank, seq) > (?, ?)`, would begin each page at the start of the queue: `seq` is the table's rowid, and SQLite
# does not look for a rowid within a row value in an index.
_OF_RANK: Final = "FROM jobs WHERE queue = ? AND ready_at IS NULL AND rank = ? AND seq > ? ORDER BY seq LIMIT ?"
_PAGE_OF_RANK: Final = f"SELECT {JOB} {_OF_RANK}"
_PAGE_BEHIND: Final = f"""
    SELECT {JOB} FROM jobs WHERE queue = ? AND ready_at IS NULL AND rank > ? ORDER BY rank, seq LIMIT ?"""
_SKIP_GROUPS: Final = f"""
    SELECT seq FROM (SELECT seq, grp {_OF_RANK})
    WHERE grp IS NULL OR grp NOT IN (SELECT value FROM json_each(?)) OR seq IN (SELECT value FROM json_each(?)) LIMIT 1"""
_SKIP_TARGETS: Final = f"""
    SELECT seq FROM (SELECT seq, namespace, function_id {_OF_RANK})
    WHERE (CASE WHEN namespace IS NULL THEN function_id ELSE namespace || char(31) || function_id END)
        NOT IN (SELECT value FROM json_each(?)) LIMIT 1"""
_LAST_SKIPPED: Final = f"SELECT seq {_OF_RANK} OFFSET ?"
_LAST_OF_RANK: Final = "SELECT max(seq) FROM jobs WHERE queue = ? AND ready_at IS NULL AND rank = ?"
_NEXT_OF_GROUP: Final = f"""
    SELECT {JOB} FROM jobs WHERE queue = ? AND grp = ? AND ready_at IS NULL ORDER BY rank, seq LIMIT 1"""
_NEXT_OF_NO_GROUP: Final = f"""
    SELECT {JOB} FROM jobs WHERE seq = (
        SELECT seq FROM (SELECT seq, grp FROM jobs WHERE queue = ? AND ready_at IS NULL ORDER BY rank, seq LIMIT ?)
        WHERE grp IS NULL LIMIT 1)"""
_RETRYING_GROUPS: Final = "SELECT grp, seq FROM jobs WHERE queue = ? AND ready_at IS NOT NULL LIMIT ?"
_NEXT_DUE: Final = """
    SELECT ready_at, seq FROM jobs WHERE queue = ? AND ready_at IS NOT NULL AND seq NOT IN (SELECT value FROM json_each(?))
    ORDER BY ready_at LIMIT 1"""
_ROW: Final = f"SELECT {JOB}, queue, ready_at FROM jobs WHERE seq >= ? ORDER BY seq LIMIT 1"
_NEXT_ROW: Final = "SELECT seq FROM jobs WHERE seq >= ? ORDER BY seq LIMIT 1"
_LAST_ROW: Final = "SELECT max(seq) FROM jobs"


class Walked(NamedTuple):
    """A stretch of the table.

    Attributes:
        jobs: of the place, those that wait.
        unreadable: numbers (`seq`) at which nothing can be read.
        following: where to walk on; None at the end.
    """

    jobs: list[Job]
    unreadable: list[int]
    following: int | None


class Waiting:
    """All methods raise ReadError."""

    def __init__(self, database: Transactions, place_id: int) -> None:
        self._database = database
        self._place_id = place_id

    def page(self, after: Key, limit: int) -> list[Job]:
        """Jobs behind a key, in order."""
        rank, seq = after
        rows = self._all(_PAGE_OF_RANK, (self._place_id, rank, seq, limit))
        if len(rows) < limit:
            rows += self._all(_PAGE_BEHIND, (self._place_id, rank, limit - len(rows)))
        return [Job(*row) for row in rows]

    def skip_groups(self, after: Key, groups: dict[str, int]) -> tuple[Key, bool]:
        """Pass over jobs of the same priority that belong to certain groups, some thousands at most.

        Args:
            groups: with the one job (`seq`) of each that is not to be passed over.

        Returns:
            Where to read on, and whether it is worth it: False if all that was looked at was passed over, and there is more.
        """
        return self._skip(_SKIP_GROUPS, after, json.dumps(list(groups)), json.dumps(list(groups.values())))

    def skip_targets(self, after: Key, names: list[str]) -> tuple[Key, bool]:
        """As `skip_groups`, for targets as `target_name` names them."""
        return self._skip(_SKIP_TARGETS, after, json.dumps(names))

    def _skip(self, query: str, after: Key, *lists: str) -> tuple[Key, bool]:
        rank, seq = after
        here = (self._place_id, rank, seq)
        found = self._one(query, (*here, _SKIPPED_AT_ONCE, *lists))
        if found is not None:
            return (rank, found[0] - 1), True
        last = self._one(_LAST_SKIPPED, (*here, 1, _SKIPPED_AT_ONCE - 1))
        if last is not None:
            return (rank, last[0]), False
        last = self._one(_LAST_OF_RANK, (self._place_id, rank))
        return (rank, max(seq, last[0] if last is not None and last[0] is not None else 0)), True

    def next_of_group(self, group: str | None) -> tuple[Job | None, bool]:
        """The first of a group, and whether that is certain; None is the group of jobs without one."""
        if group is not None:
            row = self._one(_NEXT_OF_GROUP, (self._place_id, group))
            return None if row is None else Job(*row), True
        row = self._one(_NEXT_OF_NO_GROUP, (self._place_id, _LOOKED_AT_ONCE))
        return (None, False) if row is None else (Job(*row), True)

    def retrying_groups(self, limit: int) -> list[tuple[str | None, int]]:
        """Group and `seq` of jobs that wait for another attempt."""
        return self._all(_RETRYING_GROUPS, (self._place_id, limit))

    def next_due(self, without: Collection[int] = ()) -> tuple[int, int] | None:
        """When the first delayed job is due, Unix milliseconds, and its `seq`; rows that are damaged left out."""
        found = self._one(_NEXT_DUE, (self._place_id, json.dumps(list(without))))
        return None if found is None else (found[0], found[1])

    def walk(self, begin: int, rows: int) -> Walked:
        """Look at the table itself, row by row, where an index or a page is damaged; priorities do not count."""
        jobs: list[Job] = []
        unreadable: list[int] = []
        for _ in range(rows):
            try:
                row = self._one(_ROW, (begin,))
            except ReadError as error:
                if not is_damage(error):
                    raise
                bad = self._next_row(begin)
                if bad is None:
                    return Walked(jobs, unreadable, None)
                unreadable.append(bad)
                begin = bad + 1
                continue
            if row is None:
                return Walked(jobs, unreadable, None)
            *columns, place_id, ready_at = row
            job = Job(*columns)
            if place_id == self._place_id and ready_at is None:
                jobs.append(job)
            begin = job.seq + 1
        return Walked(jobs, unreadable, begin)

    def _next_row(self, begin: int) -> int | None:
        """The first row from there on, or `begin` if not even that can be read; None at the end."""
        try:
            found = self._one(_NEXT_ROW, (begin,))
        except ReadError:
            last = self._one(_LAST_ROW, ())
            return begin if last is not None and begin <= (last[0] or 0) else None
        return None if found is None else found[0]

    def _all(self, query: str, values: tuple[object, ...]) -> list[Any]:
        return self._database.reader.execute(query, values).fetchall()

    def _one(self, query: str, values: tuple[object, ...]) -> tuple[Any, ...] | None:
        found: tuple[Any, ...] | None = self._database.reader.execute(query, values).fetchone()
        return found


def target_name(namespace: str | None, function_id: str) -> str:
    """As `skip` knows it."""
    return function_id if namespace is None else f"{namespace}\x1f{function_id}"
