"""Columns of bytes tell which rows may be wanted: none that is wanted is missed (06 §7.4)."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iii.modules.observability.spans.filters import having_all, lacking
from iii.modules.observability.spans.ordered import Ordered
from iii.modules.observability.spans.row import Packer, Row
from iii.modules.observability.spans.sieves import Timed, signed
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
    assert [row for chunk in ordered(rows).chunks(sieve=sieve) for row in chunk] == wanted
    kept = ordered(rows)
    for descending in (False, True, False, True):  # at first by columns, then by what the block has in order
        counted = list(kept.counted(sieve, descending, 3))
        assert sum(count for count, _ in counted) == len(wanted)
        assert [row for _, some in counted for row in some] == (wanted[-3:] if descending else wanted[:3])


def test_06_7_4_the_longest_is_known_when_others_leave() -> None:
    rows = rows_that_took([5, 70_000, 300, 70_000], pending=(2,))
    kept = ordered(rows)
    assert list(kept.longest()) == [inf]
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
    assert only([row for chunk in kept.chunks(sieve=signed(pairs)) for row in chunk]) == wanted
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
