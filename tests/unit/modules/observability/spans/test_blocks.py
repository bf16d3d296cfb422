"""Blocks of spans on disk tell what they have, and no more once a span has changed (06 §7.5)."""

from __future__ import annotations

import random
import sqlite3
from typing import Any

import pytest

from iii.modules.observability.spans.archive import blocks, columns, firsts, named, narrowed
from iii.modules.observability.spans.archive import told as told_spans
from iii.modules.observability.spans.archive.known_blocks import KnownBlocks
from iii.modules.observability.spans.archive.tables import Tables
from tests.unit.modules.observability.spans.blocks_on_disk import (
    ANYWHERE,
    COMMON,
    QUESTIONS,
    RARE,
    SPANS,
    entry,
    listed,
    pages,
    seal_all,
    sealed,
)
from tests.unit.modules.observability.spans.engine_with_spans import MS


def told(connection: sqlite3.Connection) -> list[int]:
    times, owners, editions = (
        [id_ for (id_,) in connection.execute(f"SELECT id FROM {each} ORDER BY id")]
        for each in ("times", "named", "editions")
    )
    assert times == owners == editions
    return times


@pytest.mark.parametrize(("few", "most"), [(0, 10_000), (10**6, 0), (10**6, 10_000)])
@pytest.mark.parametrize("small", [2, 256])
def test_06_7_5_lists_are_the_same_before_and_after_spans_are_written_down(
    connection: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch, few: int, most: int, small: int
) -> None:
    before = pages(connection)
    assert [total for (_, total), _ in before[:5]] == [20, 2560, 80, 80, SPANS]
    seal_all(connection)
    assert sealed(connection) == [0, 1, 2, 3]  # spans of the others may still become a parent or a child
    monkeypatch.setattr(narrowed, "_FEW", few)
    monkeypatch.setattr(narrowed, "_FEW_TRACES", few)
    monkeypatch.setattr(narrowed, "_MOST", most)
    monkeypatch.setattr(named, "_FEW", few)
    monkeypatch.setattr(blocks, "SMALL", small)
    monkeypatch.setattr(columns, "SMALL", small)
    assert pages(connection) == before


@pytest.mark.parametrize(("pages_", "spare", "loose"), [(0, 200, 8_000), (12_000, 0, 8_000), (12_000, 200, 100)])
def test_06_7_5_lists_by_duration_are_the_same_if_many_spans_would_be_looked_at(
    connection: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch, pages_: int, spare: int, loose: int
) -> None:
    """Too many on one page, with one duration, or in no block."""
    before = pages(connection)
    seal_all(connection)
    monkeypatch.setattr(told_spans, "PAGES", pages_)
    monkeypatch.setattr(firsts, "_SPARE", spare)
    monkeypatch.setattr(columns, "LOOSE", loose)
    assert pages(connection) == before


def test_06_7_5_the_longest_of_a_million_are_found_without_a_look_at_each(connection: sqlite3.Connection) -> None:
    seal_all(connection)
    steps = list[int]()
    connection.set_progress_handler(lambda: steps.append(1), 1_000)
    for request in ({"sort_by": "duration"}, {"min_duration_ms": 97}):
        steps.clear()
        listed(connection, limit=5, sort_order="desc", **request, **ANYWHERE)
        assert len(steps) < SPANS / 100
    connection.set_progress_handler(None, 0)


def test_06_7_5_blocks_of_the_version_before_are_told_by_and_by(connection: sqlite3.Connection) -> None:
    before = pages(connection)
    for block in blocks.unsealed(connection):
        blocks.seal(connection, block, blocks.spans_of(connection, block))
    assert columns.untold(connection) == [3, 2]
    assert pages(connection) == before
    tables = Tables(10**10)
    assert [tables.seal(connection) for _ in range(5)] == [True, True, True, False, False]
    assert told(connection) == [0, 1, 2, 3]
    assert pages(connection) == before


def test_06_7_5_what_is_known_of_blocks_is_read_again_once_they_are_sealed_again(
    connection: sqlite3.Connection,
) -> None:
    """Also if their spans are others altogether."""
    known, tables = KnownBlocks(), Tables(10**10)
    seal_all(connection)
    for times in range(2):
        for at in range(times, SPANS, 700):
            tables.add(connection, [entry(at)._replace(packed=entry(3).packed, end=entry(at).start + 90 * MS)], 2)
        for _ in range(2):
            for each in QUESTIONS[::3]:
                assert listed(connection, known, limit=5, **each) == listed(connection, limit=5, **each)
            seal_all(connection)
    assert known.bytes > 0
    tables.clear(connection)
    assert listed(connection, known, **COMMON) == ([], 0)
    tables.add(connection, [entry(number)._replace(packed=entry(3).packed) for number in range(SPANS)], 1)
    seal_all(connection)
    assert listed(connection, known, attributes=[["rare", "3"]], **ANYWHERE)[1] == SPANS


@pytest.mark.parametrize("order", ["asc", "desc"])
@pytest.mark.parametrize(
    "request_", [{}, ANYWHERE, {"name": "n1"}, {"sort_by": "duration"}, {"end_time": 2_000}, {"sort_by": "name"}]
)
def test_06_7_5_pages_far_behind_are_those_of_the_whole_list(
    connection: sqlite3.Connection, order: str, request_: dict[str, Any]
) -> None:
    """Many spans began at the same time, and took as long as others: pages end between them."""
    connection.execute("UPDATE spans SET start = start / 700 * 700, end = start + id % 5 * 1000")
    request = {**request_, "sort_order": order}
    whole, total = listed(connection, limit=SPANS, **request)
    assert len(whole) == len(set(whole)) == total
    for offset in (64, 65, 500, 2_000, total - 1, total, total + 70):
        assert listed(connection, offset=offset, limit=3, **request) == (whole[offset : offset + 3], total)


def test_06_7_5_what_changes_or_removes_a_span_unseals_its_block(connection: sqlite3.Connection) -> None:
    tables = Tables(10**10)
    seal_all(connection)
    first, second, third, fourth = sealed(connection)
    changed = first * blocks.SPANS + 100
    tables.add(connection, [entry(changed - 1)._replace(packed=entry(3).packed)], 2)  # ids begin with 1
    assert sealed(connection) == told(connection) == [second, third, fourth]
    assert listed(connection, attributes=[["rare", "3"]], search_all_spans=True)[1] == 84
    (trace,) = connection.execute("SELECT trace FROM spans WHERE id = ?", (fourth * blocks.SPANS + 5,)).fetchone()
    connection.execute("DELETE FROM spans WHERE trace = ?", (trace,))
    assert sealed(connection) == told(connection) == [second, third]
    connection.execute("DELETE FROM spans WHERE id >= ?", ((second + 1) * blocks.SPANS,))
    tables.add(connection, [entry(SPANS)], 2)
    assert sealed(connection) == told(connection) == [second]
    assert (
        listed(connection, **RARE, **ANYWHERE)[1]
        == listed(connection, attributes=[["rare", "8"]], name="n", **ANYWHERE)[1]
    )
    tables.clear(connection)
    assert sealed(connection) == told(connection) == []
    assert connection.execute("SELECT count(*) FROM pairs").fetchone() == (0,)
    assert tables.seal(connection) is False


def test_06_7_5_a_block_of_too_much_does_not_tell_its_pairs(
    connection: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = [listed(connection, **each) for each in QUESTIONS]
    monkeypatch.setattr(blocks, "_MOST_BYTES", 10)
    assert Tables(10**10).seal(connection)
    monkeypatch.undo()
    monkeypatch.setattr(blocks, "_MOST_PAIRS", 10)
    assert Tables(10**10).seal(connection)
    assert connection.execute("SELECT count(*) FROM blocks WHERE paired = -1").fetchone() == (2,)
    assert [listed(connection, **each) for each in QUESTIONS] == before


def test_06_7_5_a_part_that_is_lost_and_a_span_that_cannot_be_read_are_looked_at(
    connection: sqlite3.Connection,
) -> None:
    broken = 2 * blocks.SPANS
    connection.execute("UPDATE spans SET packed = x'c1' WHERE id = ?", (broken,))
    before = [listed(connection, **each) for each in QUESTIONS]
    seal_all(connection)
    assert [listed(connection, **each) for each in QUESTIONS] == before
    connection.execute("DELETE FROM pairs")
    assert [listed(connection, **each) for each in QUESTIONS] == before


def test_06_7_5_a_block_whose_spans_are_gone_is_not_written_down(connection: sqlite3.Connection) -> None:
    """Nothing would remove it again: a store whose oldest trace outlives others would fill with such blocks."""
    seal_all(connection)
    connection.execute("DELETE FROM spans WHERE id BETWEEN ? AND ?", (blocks.SPANS, 3 * blocks.SPANS - 1))
    assert sealed(connection) == [0, 3]
    assert blocks.unsealed(connection) == []
    connection.execute("DELETE FROM spans WHERE id BETWEEN ? AND ?", (3 * blocks.SPANS, 3 * blocks.SPANS + 5))
    assert blocks.unsealed(connection) == [3]
    seal_all(connection)
    assert sealed(connection) == [0, 3]


def test_06_7_5_which_blocks_can_be_sealed_is_known_without_a_look_at_each_span(connection: sqlite3.Connection) -> None:
    """Of a million spans it took a tenth of a second, for each block."""
    steps = list[int]()
    connection.set_progress_handler(lambda: steps.append(1), 1_000)  # each time after so many steps of the database
    assert blocks.unsealed(connection) == [3, 2, 1, 0]
    connection.set_progress_handler(None, 0)
    assert len(steps) <= 1


@pytest.mark.parametrize("sort_by", ["duration", "start_time", "service_name"])
def test_06_7_5_ties_of_traces_in_all_blocks_are_looked_up_together(
    connection: sqlite3.Connection, sort_by: str
) -> None:
    """With a question for each span a page of them took 0.4 s of a million."""
    connection.execute("UPDATE spans SET start = 1000, end = 1005")
    connection.execute("UPDATE traces SET trace_id = 'x' || (id * 7919 % 10007)")
    requests = [
        {"sort_by": sort_by, "sort_order": order, "status": "error", "limit": 500, "offset": offset, **ANYWHERE}
        for order in ("asc", "desc")
        for offset in (0, 400)
    ]
    before = [listed(connection, **request) for request in requests]
    seal_all(connection)
    statements = list[str]()
    connection.set_trace_callback(statements.append)
    assert [listed(connection, **request) for request in requests] == before
    connection.set_trace_callback(None)
    assert len(statements) < 1_000


def test_06_7_5_no_edition_of_a_block_comes_again_if_somebody_seeds_chance(connection: sqlite3.Connection) -> None:
    editions = set[int]()
    for _ in range(3):
        random.seed(7)
        seal_all(connection)
        editions.update(edition for (edition,) in connection.execute("SELECT edition FROM editions"))
        connection.execute("UPDATE spans SET end = end + 1")
        assert sealed(connection) == []
    assert len(editions) == 3 * 4
