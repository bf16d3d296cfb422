"""Columns of bytes tell which rows may be wanted: none that is wanted is missed (06 §7.4)."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iii.modules.observability.spans import sieves
from iii.modules.observability.spans.block import pace_of
from iii.modules.observability.spans.filters import having_all, lacking
from iii.modules.observability.spans.listed import select
from iii.modules.observability.spans.ordered import Ordered
from iii.modules.observability.spans.requests import TracesListInput
from iii.modules.observability.spans.row import Packer, Row
from iii.modules.observability.spans.selection import Selection
from iii.modules.observability.spans.sieves import Timed, window
from iii.modules.observability.spans.store import SpanStore
from iii.modules.observability.spans.wanted import HavingPair, WantedRows
from tests.property.span_model import made
from tests.unit.modules.observability.spans.engine_with_spans import MS, span

NOW = 5_000 * MS
DURATIONS = st.integers(0, 40).flatmap(lambda bits: st.integers(0, 1 << bits))
KEYS = st.sampled_from(["k", "key", "\u14a4abcd", "abcd", "\U00020012", "咤"]) | st.text(max_size=3)
VALUES = st.sampled_from(["", "1", "v", "\u04121", "x" * 40]) | st.text(max_size=3)
PAIRS = st.tuples(KEYS, VALUES)


def rows_that_took(durations: Sequence[int], pending: Sequence[int] = ()) -> list[Row]:
    packer = Packer()
    taken = [
        span(f"{at:05d}", start=at, end=at + took / MS, pending=at in pending) for at, took in enumerate(durations)
    ]
    for each, took in zip(taken, durations, strict=True):
        each.end_time_unix_nano = each.start_time_unix_nano + took
    return [packer.row(each) for each in taken]


def ordered(rows: Sequence[Row]) -> Ordered:
    found = Ordered()
    for row in rows:
        found.add(row)
    return found


@given(
    st.lists(DURATIONS, min_size=1, max_size=40),
    DURATIONS,
    st.none() | DURATIONS,
    st.sets(st.integers(0, 39), max_size=2),
)
def test_06_7_4_durations_are_told_exactly(
    durations: list[int], shortest: int, longest: int | None, pending: set[int]
) -> None:
    rows = rows_that_took(durations, tuple(pending))
    most = inf if longest is None else longest + 0.5
    sieve = Timed(shortest - 0.5, most, NOW)
    wanted = [row for row in rows if shortest - 0.5 <= row.duration(NOW) <= most]
    assert [row for some in WantedRows([sieve]).of(ordered(rows)) for row in some.found()] == wanted
    for scarce in (1, 1_000):  # as if few, or many, stood at the edge of what bytes tell
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(sieves, "_SCARCE", scarce)
            assert [row for some in WantedRows([sieve]).of(ordered(rows)) for row in some.found()] == wanted
    roughly = Timed(shortest - 0.5, most, NOW, roughly=True)
    assert {*wanted} <= {row for some in WantedRows([roughly]).of(ordered(rows)) for row in some.found()}


@pytest.mark.parametrize("bound", [2**63 - 1, 2**63, 2**80])
def test_06_7_4_durations_that_no_column_holds_are_told(bound: int) -> None:
    rows = rows_that_took([5, 0, 70_000], pending=(1,))
    for source in (ordered(rows), ordered(rows[:1])):
        kept = [row for chunk in source.chunks() for row in chunk]
        assert [row for some in WantedRows([Timed(0, bound, NOW)]).of(source) for row in some.found()] == kept
        assert [row for some in WantedRows([Timed(bound, inf, NOW)]).of(source) for row in some.found()] == []


@given(DURATIONS, DURATIONS)
def test_06_7_4_the_pace_of_a_longer_duration_is_not_less(one: int, other: int) -> None:
    assert (pace_of(one) <= pace_of(other)) if one <= other else (pace_of(one) >= pace_of(other))


def test_06_7_4_the_longest_is_known_when_others_leave() -> None:
    rows = rows_that_took([5, 70_000, 300, 70_000], pending=(2,))
    kept = ordered(rows)
    assert list(kept.longest()) == [70_000]
    kept.remove(rows[2])
    assert list(kept.longest()) == [70_000]
    kept.remove(rows[1])
    kept.remove(rows[3])
    assert list(kept.longest()) == [5]


@given(st.lists(st.lists(PAIRS, max_size=4), max_size=12), st.lists(PAIRS, min_size=1, max_size=2))
def test_06_7_4_pairs_are_told_exactly_whatever_texts_stand_beside_them(
    attributes: list[list[tuple[str, str]]], pairs: list[tuple[str, str]]
) -> None:
    packer = Packer()
    rows = [packer.row(span(f"{at}", start=at, attributes=each)) for at, each in enumerate(attributes)]
    wanted = [row for row, each in zip(rows, attributes, strict=True) if all(pair in each for pair in pairs)]
    kept = ordered(rows)
    only = having_all(pairs)
    having = [HavingPair(pair, packer.common_pairs) for pair in pairs]
    assert [row for some in WantedRows(pairs=having).of(kept) for row in some.found()] == wanted
    assert only(rows) == wanted  # again, with what it has learned
    without = lacking(pairs[0])
    assert without(rows) == [row for row, each in zip(rows, attributes, strict=True) if pairs[0] not in each]


@pytest.mark.parametrize(
    "members",
    [
        {"attributes": [("\u14a4abcd", "v")]},  # its second letter's bytes are those of a pair and of a key's length
        {"attributes": [("k", "\U00020012"), ("abcd", "w")]},
        {
            "status_description": "\U00020012",
            "instrumentation_scope_name": "abcd",
            "instrumentation_scope_version": "v",
        },
        {"instrumentation_scope_version": "\u14a4abc", "flags": 100, "trace_state": "v"},
        {"attributes": [("x", "y")], "links": []},
    ],
)
def test_06_7_4_bytes_of_a_pair_in_other_texts_are_no_pair(members: dict[str, Any]) -> None:
    packer, pair = Packer(), ("abcd", "v")
    only = having_all([pair])
    true = packer.row(span("1", attributes=[pair]))
    behind = packer.row(span("2", attributes=[("a", "b"), pair]))
    other = packer.row(span("3", **members))
    assert only([true, behind, true, behind]) == [true, behind, true, behind]
    assert only([other, true, other]) == [true]
    event = packer.row(span("4", events=[], attributes=[("x", "y")]))
    assert only([event, behind, event]) == [behind]


TIMES = st.integers(0, 8)


@given(
    st.lists(st.tuples(TIMES, TIMES, st.sampled_from([False, False, True])), min_size=1, max_size=40),
    st.none() | TIMES,
    st.none() | TIMES,
)
def test_06_7_4_a_window_has_what_ends_and_begins_in_it_also_by_a_clock_that_was_set_back(
    spans: list[tuple[int, int, bool]], since: int | None, until: int | None
) -> None:
    """A span that ends before it begins was in lists in memory and in none on disk."""
    packer = Packer()
    source = ordered([
        packer.row(span(f"{at:05d}", start=start, end=end, pending=pending)) for at, (start, end, pending) in enumerate(spans)
    ])  # fmt: skip
    rows = [row for chunk in source.chunks() for row in chunk]
    since_ns, until_ns = None if since is None else since * MS, None if until is None else until * MS
    wanted = [
        row
        for row in rows
        if (since_ns is None or row.pending or row.end >= since_ns) and (until_ns is None or row.start <= until_ns)
    ]
    some = WantedRows([window(since_ns, until_ns)]).of(source)
    assert [row for each in some for row in each.found()] == wanted


def test_06_7_4_nothing_takes_less_than_no_time() -> None:
    """Of a few traces a span of a clock that was set back did."""
    store = SpanStore(10, 10**9)
    store.add([span("1", trace="t", start=2, end=1), span("2", trace="t", start=2, end=2)])
    for trace_id in (None, "t"):
        request = TracesListInput(max_duration_ms=-1, search_all_spans=True, trace_id=trace_id)
        assert made(select(store, Selection(request, NOW))) == ([], 0)
