"""Rows in the order of their start: beyond one block, and while others change them."""

import random

import pytest

from iii.modules.observability.spans.ordered import Ordered
from iii.modules.observability.spans.row import Packer, Row, place_of
from tests.unit.modules.observability.spans.engine_with_spans import MS, span

PACKER = Packer()


def row(number: int, start: int, end: int | None = None, pending: bool = False) -> Row:
    return PACKER.row(span(f"s{number:05d}", start=start, end=start + 1 if end is None else end, pending=pending))


@pytest.mark.parametrize("spread", [1, 50, 5_000])
def test_rows_that_come_and_leave_in_any_order_stay_sorted(spread: int) -> None:
    chance = random.Random(spread)
    ordered, rows = Ordered(), list[Row]()
    for number in range(4_000):
        new = row(number, max(number - chance.randrange(spread), 0), pending=chance.random() < 0.01)
        ordered.add(new)
        rows.append(new)
        if chance.random() < 0.4:
            ordered.remove(rows.pop(0 if chance.random() < 0.7 else chance.randrange(len(rows))))
    rows.sort(key=place_of)
    assert ordered.count == len(rows)
    assert [each for piece in ordered.pieces() for each in piece] == rows
    for since, until in ((None, 2000), (2000, None), (1000, 3000), (3000, 1000), (0, 10**6)):
        wanted = [
            each
            for each in rows
            if (since is None or each.pending or each.end >= since * MS) and (until is None or each.start <= until * MS)
        ]
        bounds = (None if since is None else since * MS, None if until is None else until * MS)
        assert [each for piece in ordered.pieces(*bounds) for each in piece] == wanted
        assert [each for chunk in ordered.chunks(*bounds) for each in chunk] == wanted
        backwards = [each for chunk in ordered.chunks(*bounds, descending=True) for each in reversed(chunk)]
        assert backwards == wanted[::-1]


@pytest.mark.parametrize("descending", [False, True])
def test_a_walk_meets_each_row_that_stays_once(descending: bool) -> None:
    ordered = Ordered()
    rows = [row(number, number) for number in range(2_000)]
    for each in rows:
        ordered.add(each)
    met = list[Row]()
    for at, chunk in enumerate(ordered.chunks(descending=descending)):
        met += chunk
        for number in range(20):  # the oldest leave, others come before and behind
            ordered.remove(rows[at * 20 + number])
            ordered.add(row(10_000 + at * 20 + number, at))
            ordered.add(row(20_000 + at * 20 + number, 1_000 + at * 20))
    assert len(set(map(id, met))) == len(met)
    assert set(map(id, met)) >= set(map(id, rows[1_000:]))


def test_a_walk_from_the_newest_ends_when_all_that_is_left_leaves() -> None:
    ordered = Ordered()
    rows = [row(number, number) for number in range(100)]
    for each in rows:
        ordered.add(each)
    walk = ordered.chunks(descending=True)
    assert next(walk) == rows[36:]
    for each in rows[:50]:
        ordered.remove(each)
    assert [chunk for chunk in walk if chunk] == []


def test_06_7_4_what_a_block_remembers_of_a_pair_is_forgotten_when_rows_come_and_leave() -> None:
    """While it is told, too: rows that stay are told once, and rightly."""
    ordered, pair = Ordered(), ("k", "1")
    rows = [PACKER.row(span(f"s{at:05d}", start=at, attributes=[("k", str(at % 3))])) for at in range(3_000)]
    for each in rows[:2_900]:
        ordered.add(each)

    def told() -> list[Row]:
        return [row for some, _, marks in ordered.telling(pair) for row, mark in zip(some, marks, strict=True) if mark]

    assert told() == told() == rows[1:2_900:3]
    for value, count in (("2", 966), ("none", 0), ("1", 967)):  # more than it remembers
        assert sum(marks.count(1) for _, _, marks in ordered.telling(("k", value))) == count
    walk, found = ordered.telling(("k", "0")), list[Row]()
    for at, (some, _, marks) in enumerate(walk):
        found += [row for row, mark in zip(some, marks, strict=True) if mark] if some else []
        if at < 100:
            ordered.remove(rows[at])
            ordered.add(rows[2_900 + at])
    assert {*found} >= {*rows[102:2_900:3]}
    assert len({*found}) == len(found)
    assert told() == rows[100:3_000:3]
    assert told() == [row for row in rows[100:] if row.start // MS % 3 == 1]
