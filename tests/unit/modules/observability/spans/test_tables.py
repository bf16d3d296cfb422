"""What the archive keeps within its bounds (06 §7.5)."""

import json
import sqlite3
from collections.abc import Iterator

import pytest

from iii.modules.observability.spans.archive.questions import Questions
from iii.modules.observability.spans.archive.schema import MIGRATIONS
from iii.modules.observability.spans.archive.tables import ArchivedSpan, Tables
from iii.modules.observability.spans.requests import TracesListInput
from iii.modules.observability.spans.row import Packer
from iii.modules.observability.spans.selection import Selection
from tests.unit.modules.observability.spans.engine_with_spans import span

PACKER = Packer()


@pytest.fixture
def connection() -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    connection.executescript(";".join(MIGRATIONS))
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


def test_06_7_4_nothing_on_disk_takes_less_than_no_time(connection: sqlite3.Connection) -> None:
    """By a clock that was set back a span ends before it begins."""
    Tables(10**9).add(connection, [ArchivedSpan.of(PACKER.row(span("s", start=5, end=1)))], 1)
    for longest, total in ((-1, 0), (0, 1)):
        asked = Selection(TracesListInput(max_duration_ms=longest), 10**12)
        assert Questions(connection, []).listed(asked).total == total


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


@pytest.mark.parametrize("sort_by", ["start_time", "duration", "name", "service_name"])
@pytest.mark.parametrize("order", ["asc", "desc"])
def test_06_check_25_far_pages_on_disk_are_as_if_all_had_been_sorted(
    connection: sqlite3.Connection, sort_by: str, order: str
) -> None:
    spans = [
        span(
            f"{number:03}", trace=f"t{number % 90}", name=f"n{number % 3}", start=number * 7 % 50, end=60 + number % 11
        )
        for number in range(400)
    ]
    rows = [PACKER.row(each) for each in spans]
    Tables(10**9).add(connection, [ArchivedSpan.of(row) for row in rows], 1)
    selection = Selection(TracesListInput(search_all_spans=True, sort_by=sort_by, sort_order=order), 10**18)
    ordered = sorted(rows, key=selection.key, reverse=order == "desc")
    selection.limit = 20
    for traces in (frozenset[str](), {"t3", "t77"}):
        for selection.offset in (0, 5, 150, 390, 500):
            memory = [row.apart() for row in rows if row.trace_id in traces]
            page = Questions(connection, memory).listed(selection)
            assert page.total == 400
            found = [json.loads(each)["span_id"] for each in page.spans]
            assert found == [row.span_id for row in ordered[selection.offset :][:20]]
