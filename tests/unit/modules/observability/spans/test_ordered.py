"""Rows in the order of their start: beyond one block, and while others change them."""

import random
from collections.abc import Callable, Iterator

import pytest

from iii.modules.observability.spans import ordered as ordered_module
from iii.modules.observability.spans.block import Block, pace_of
from iii.modules.observability.spans.ordered import Ordered
from iii.modules.observability.spans.row import Packer, Row, place_of
from iii.modules.observability.spans.sieves import window
from iii.modules.observability.spans.signs import ANY, CommonPairs
from iii.modules.observability.spans.wanted import HavingPair, WantedRows
from tests.unit.modules.observability.spans.engine_with_spans import MS, span

PACKER = Packer()


def row(number: int, start: int, end: int | None = None, pending: bool = False) -> Row:
    return PACKER.row(span(f"s{number:05d}", start=start, end=start + 1 if end is None else end, pending=pending))


@pytest.fixture(params=[8, 4_096])
def size(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """Rows of a block: few, which are split and left empty, or many, whose front is let go of in parts."""
    rows: int = request.param
    monkeypatch.setattr(ordered_module, "_BLOCK", rows)
    monkeypatch.setattr(ordered_module, "LARGEST", 2 * rows)
    return rows


def coming_and_leaving(
    chance: random.Random, count: int, made: Callable[[int], Row]
) -> Iterator[tuple[Ordered, list[Row]]]:
    """What is there after each row that came; some left, most of them the oldest."""
    ordered, rows = Ordered(), list[Row]()
    for number in range(count):
        rows.append(made(number))
        ordered.add(rows[-1])
        if chance.random() < 0.4:
            ordered.remove(rows.pop(0 if chance.random() < 0.7 else chance.randrange(len(rows))))
        yield ordered, rows


@pytest.mark.usefixtures("size")
@pytest.mark.parametrize("spread", [1, 50, 5_000])
def test_rows_that_come_and_leave_in_any_order_stay_sorted(spread: int) -> None:
    chance = random.Random(spread)

    def made(number: int) -> Row:
        return row(number, max(number - chance.randrange(spread), 0), pending=chance.random() < 0.01)

    *_, (ordered, rows) = coming_and_leaving(chance, 4_000, made)
    rows.sort(key=place_of)
    assert ordered.count == len(rows)
    for descending in (False, True):
        ends = [block.rows[first:last] for block, first, last in ordered.ends(descending, 5)]
        assert [each for some in (ends[::-1] if descending else ends) for each in some] == rows
    finished = [each.duration(0) for each in rows if not each.pending]
    assert max(ordered.longest()) == max(finished)
    assert [each for chunk in ordered.chunks() for each in chunk] == rows
    for since, until in ((None, 2000), (2000, None), (1000, 3000), (3000, 1000), (0, 10**6)):
        wanted = [
            each
            for each in rows
            if (since is None or each.pending or each.end >= since * MS) and (until is None or each.start <= until * MS)
        ]
        of = WantedRows([window(None if since is None else since * MS, None if until is None else until * MS)]).of
        assert [each for some in of(ordered) for each in some.found()] == wanted
        backwards = [each for some in of(ordered, descending=True) for each in reversed(some.found())]
        assert backwards == wanted[::-1]


def test_06_7_4_what_is_known_of_a_block_is_of_the_rows_that_are_there(size: int) -> None:
    chance = random.Random(size)

    def made(number: int) -> Row:
        start = max(number - chance.randrange(20), 0)
        attributes = [("customer", str(chance.randrange(50)))]
        return PACKER.row(span(f"s{number:05d}", start=start, end=start + chance.randrange(50), attributes=attributes))

    for ordered, _ in coming_and_leaving(chance, 1_500, made):
        if chance.random() < 0.1:
            for block, first, last in ordered.walk():
                there = block.rows[first:last]
                at = chance.randrange(16)
                signs = bytes(each.sign >> 8 * at & 255 for each in there)
                assert block.sign_byte(at) >> 8 * first == int.from_bytes(signs, "little")
                paces = [pace_of(each.duration(0)) for each in there]
                assert [each[first:last] for each in block.pace_bytes] == [
                    bytes(pace >> 8 for pace in paces),
                    bytes(pace & 255 for pace in paces),
                ]


def test_06_7_4_what_was_asked_of_a_block_is_forgotten_whenever_its_rows_change() -> None:
    rows = [PACKER.row(span(f"s{n}", start=n, end=2 * n, attributes=[("a", str(n))])) for n in range(6)]
    block, whole = Block(rows[0]), Block(rows[0])

    def look() -> None:
        assert len(block.pace_bytes[0]) == len(block.rows)
        for at in range(8):
            assert block.sign_byte(at) == int.from_bytes([each >> 8 * at & 255 for each in block.signs], "little")

    look()
    for at in range(1, 6):
        block.insert(at, rows[at])
        whole.insert(at, rows[at])
    look()
    block.split(4)
    look()
    block.remove(1, 4)
    look()
    block.follow(whole, 1, 6)
    look()


@pytest.mark.parametrize("descending", [False, True])
def test_a_walk_meets_each_row_that_stays_once(descending: bool) -> None:
    ordered = Ordered()
    rows = [row(number, number) for number in range(2_000)]
    for each in rows:
        ordered.add(each)
    met = list[Row]()
    for at, (block, first, last) in enumerate(ordered.walk(descending, size=64)):
        met += block.rows[first:last]
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
    walk = ordered.walk(descending=True, size=64)
    block, first, last = next(walk)
    assert block.rows[first:last] == rows[36:]
    for each in rows[:50]:
        ordered.remove(each)
    assert list(walk) == []


@pytest.mark.parametrize("is_wanted", [True, False])
def test_06_7_4_rows_that_are_looked_at_while_others_come_and_leave_are_told_once(is_wanted: bool) -> None:
    """Signs that tell nothing: each row has to be looked at, a few in one step."""
    ordered, pair = Ordered(), HavingPair(("k", "1"), CommonPairs(), is_wanted)
    rows = [PACKER.row(span(f"s{at:05d}", start=at, attributes=[("k", str(at % 3))])) for at in range(3_000)]
    for each in rows:
        each.sign = ANY
    for each in rows[:2_900]:
        ordered.add(each)
    found, total = list[Row](), 0
    for at, some in enumerate(WantedRows(pairs=[pair]).of(ordered)):
        found += some.found()
        total += some.total
        if at < 100:
            ordered.remove(rows[at])
            ordered.add(rows[2_900 + at])
    assert total == len(found) == len({*found})
    assert {*found} >= {row for row in rows[100:2_900] if (row.start // MS % 3 == 1) is is_wanted}
    assert all((row.start // MS % 3 == 1) is is_wanted for row in found)


@pytest.mark.parametrize("is_wanted", [True, False])
def test_06_7_4_common_pairs_are_told_without_a_look(is_wanted: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of spans that came before they were known to be common, too; a pair that is too long is never common."""
    packer, ordered, long = Packer(), Ordered(), ("long", "x" * 300)
    rows = [
        packer.row(span(f"s{at:05d}", start=at, attributes=[("k", str(at % 3)), ("rare", str(at)), long]))
        for at in range(4_000)
    ]
    for each in rows:
        ordered.add(each)
    place = packer.common_pairs.place(("k", "1"))
    assert place is not None
    assert packer.common_pairs.place(("rare", "8")) is packer.common_pairs.place(long) is None
    pair = HavingPair(("k", "1"), packer.common_pairs, is_wanted)
    looked = list[Row]()
    having = pair.having

    def look(some: list[Row]) -> list[Row]:
        looked.extend(some)
        return having(some)

    monkeypatch.setattr(pair, "having", look)
    found = [row for some in WantedRows(pairs=[pair]).of(ordered) for row in some.found()]
    assert found == [row for row in rows if (row.start // MS % 3 == 1) is is_wanted]
    assert {*looked} <= {*rows[:2_200]}


def test_06_7_4_no_more_pairs_are_common_than_signs_have_room_for() -> None:
    common = CommonPairs()
    for number in range(10_000):
        common.sign_of([("rare", str(number)), *[(f"{at}", "v") for at in range(60)]])
    known = [pair for at in range(60) if common.place(pair := (f"{at}", "v"))]
    assert len(known) == 48
    assert len({common.place(pair) for pair in known}) == 48
