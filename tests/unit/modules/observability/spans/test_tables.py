"""What the archive keeps within its bounds (06 §7.5)."""

import sqlite3
from collections.abc import Iterator

import pytest

from iii.modules.observability.spans.archive.schema import MIGRATIONS
from iii.modules.observability.spans.archive.tables import ArchivedSpan, Tables
from iii.modules.observability.spans.row import Packer
from tests.unit.modules.observability.spans.engine_with_spans import span

PACKER = Packer()


@pytest.fixture
def connection() -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    connection.executescript(MIGRATIONS[0])
    yield connection
    connection.close()


def test_06_check_68_the_oldest_traces_leave_when_the_share_of_the_disk_is_used(connection: sqlite3.Connection) -> None:
    tables = Tables(2_000_000)
    for number in range(200):
        rows = [
            PACKER.row(span(f"s{each}", trace=f"t{number}", attributes=[("text", "x" * 1000)], start=number))
            for each in range(20)
        ]
        connection.execute("BEGIN")
        tables.add(connection, [ArchivedSpan.of(row) for row in rows], number)
        tables.add(connection, [ArchivedSpan.of(row) for row in rows[:5]], number)  # again
        connection.execute("COMMIT")
        assert tables.size(connection) <= 2_000_000
    kept = [trace for (trace,) in connection.execute("SELECT trace_id FROM traces ORDER BY id")]
    assert kept == [f"t{number}" for number in range(200 - len(kept), 200)]
    assert len(kept) > 40
    counts = connection.execute("SELECT trace, count(*), count(DISTINCT span_id) FROM spans GROUP BY trace").fetchall()
    assert [(rows, ids) for _, rows, ids in counts] == [(20, 20)] * len(kept)  # whole traces, no span twice
    assert connection.execute("SELECT sum(roots + others) FROM facets").fetchone()[0] == 20 * len(kept)


def test_06_7_5_old_traces_are_removed(connection: sqlite3.Connection) -> None:
    tables = Tables(10**9)
    for number in range(300):
        tables.add(connection, [ArchivedSpan.of(PACKER.row(span("s", trace=f"t{number}", name=f"n{number}")))], number)
    assert tables.expire(connection, 250) == 200
    assert tables.expire(connection, 250) == 50
    assert tables.expire(connection, 250) == 0
    assert connection.execute("SELECT trace_id FROM traces ORDER BY id").fetchone() == ("t250",)
    assert connection.execute("SELECT count(*) FROM facets").fetchone()[0] == 50


def test_06_7_5_a_file_that_cannot_shrink_takes_no_more(connection: sqlite3.Connection) -> None:
    tables = Tables(1)  # and the 8 MiB beyond
    rows = [PACKER.row(span(f"s{number}", attributes=[("text", "x" * 1_000_000)])) for number in range(9)]
    connection.execute("BEGIN")
    tables.add(connection, [ArchivedSpan.of(row) for row in rows], 1)
    connection.execute("CREATE TABLE other AS SELECT * FROM spans")
    with pytest.raises(ValueError, match="trace storage limit reached: "):
        tables.add(connection, [ArchivedSpan.of(rows[0])], 2)


def test_06_7_5_times_beyond_64_bits_are_cut(connection: sqlite3.Connection) -> None:
    tables = Tables(10**9)
    tables.add(connection, [ArchivedSpan.of(PACKER.row(span("s", start=2**64)))], 1)
    assert connection.execute("SELECT start FROM spans").fetchone()[0] == 2**63 - 1


def test_06_check_29a_the_root_of_a_circle_stays_one(connection: sqlite3.Connection) -> None:
    tables = Tables(10**9)
    rows = [PACKER.row(span("a", "b")), PACKER.row(span("b", "a", start=5))]
    for _ in range(2):
        tables.add(connection, [ArchivedSpan.of(row) for row in rows], 1)
    assert connection.execute("SELECT span_id FROM spans WHERE root > 0").fetchall() == [("b",)]
    assert connection.execute("SELECT roots, others FROM facets").fetchall() == [(1, 1)]


def test_06_7_5_the_counts_of_a_salvaged_file_are_made_again(connection: sqlite3.Connection) -> None:
    tables = Tables(10**9)
    rows = [PACKER.row(span("a")), PACKER.row(span("b", "a")), PACKER.row(span("c", name="other"))]
    tables.add(connection, [ArchivedSpan.of(row) for row in rows], 1)
    connection.execute("UPDATE facets SET roots = roots * 2")  # copied, and counted while spans were copied
    connection.execute("DELETE FROM marks")
    assert Tables.begin(connection)[0] is False
    assert connection.execute("SELECT roots, others FROM facets ORDER BY id").fetchall() == [(1, 1), (1, 0)]
    Tables.end(connection)
    assert Tables.begin(connection)[0] is True
