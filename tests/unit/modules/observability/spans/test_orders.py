"""Places of spans in blocks, as numbers and in orders, are those that a look at each gives (06 §7.5)."""

from __future__ import annotations

import random
import sqlite3
from array import array

import pytest

from iii.modules.observability.spans.archive import orders
from iii.modules.observability.spans.archive.blocks import SPANS, SpanOfBlock
from iii.modules.observability.spans.archive.codes import Codes
from iii.modules.observability.spans.archive.columns import BY_DURATION, BY_TRACE, TimesReader, write_down
from iii.modules.observability.spans.archive.known_blocks import KnownBlocks
from iii.modules.observability.spans.archive.orders import Order, marks_of, orders_of
from iii.modules.observability.spans.archive.schema import MIGRATIONS
from iii.modules.observability.spans.sieves import places


def places_of(marks: int) -> list[int]:
    return list(places(marks.to_bytes(SPANS, "little")))


def written(took: list[int]) -> tuple[Order, Order]:
    """By duration and by trace, of a block whose spans took so long; their ids go the other way."""
    connection = sqlite3.connect(":memory:", isolation_level=None)
    connection.executescript(";".join(MIGRATIONS))
    connection.execute("INSERT INTO traces (id, trace_id, last_ms) VALUES (7, 't', 1)")
    connection.execute("INSERT INTO blocks VALUES (0, 0, ?, x'', x'', x'', x'', x'')", (array("q", [7]).tobytes(),))
    spans: list[SpanOfBlock] = [
        (at, 7, 1, 1, 0, each, each, f"{SPANS - at:05d}") for at, each in enumerate(took) if each >= 0
    ]
    write_down(connection, 0, spans)
    reader = TimesReader(connection, KnownBlocks())
    blocks = reader.told
    assert blocks is not None
    by_duration, by_trace = (next(orders_of(reader, blocks, order)) for order in (BY_DURATION, BY_TRACE))
    connection.close()
    return by_duration, by_trace


@pytest.mark.parametrize("most", [3, 1_000, 2**62])
def test_06_7_5_an_order_has_the_places_of_values_from_one_to_another(most: int) -> None:
    chance = random.Random(most)
    took = [chance.randrange(most) if chance.random() < 0.9 else -1 for _ in range(SPANS)]
    order, by_trace = written(took)
    for _ in range(20):
        first, last = sorted((chance.randrange(most), chance.randrange(most)))
        assert places_of(order.between(first, last) & marks_of([at for at in range(SPANS) if took[at] >= 0])) == [
            at for at, each in enumerate(took) if each >= 0 and first <= each <= last
        ]
    assert list(by_trace.places) == [at for at in reversed(range(SPANS)) if took[at] >= 0]


@pytest.mark.parametrize("count", [0, 3, 100, 1_500])
def test_06_7_5_few_marks_and_many_are_found_in_an_order(count: int) -> None:
    chance = random.Random(count)
    order, _ = written([chance.randrange(500) for _ in range(SPANS)])
    wanted = {*chance.sample(range(SPANS), count)}
    mask = marks_of(sorted(wanted)).to_bytes(SPANS, "little")
    assert {*places(mask)} == wanted
    expected = [at for at in range(SPANS) if order.places[at] in wanted]
    assert list(order.positions(mask, count, 0, SPANS)) == expected
    assert list(order.positions(mask, count, 100, 900)) == [at for at in expected if 100 <= at < 900]
    assert list(order.positions_back(mask, count)) == expected[::-1]


@pytest.mark.parametrize("places", [range(SPANS), range(300, 1_000), range(1, SPANS, 2), range(0, SPANS, 256)])
def test_06_7_5_marks_are_those_of_the_places(places: range) -> None:
    assert places_of(marks_of(places)) == list(places)
    assert places_of(marks_of(array("H", places))) == list(places)
    assert (marks_of(places) == orders.ALL) == (len(places) == SPANS)


@pytest.mark.parametrize("numbers", [5, 300, 2_000])
def test_06_7_5_codes_of_one_byte_and_of_two_tell_the_same(numbers: int) -> None:
    chance = random.Random(numbers)
    codes = [chance.randrange(numbers) for _ in range(SPANS)]
    wanted = bytes(chance.random() < 0.3 for _ in range(numbers))
    expected = [at for at, code in enumerate(codes) if wanted[code]]
    assert places_of(Codes(array("H", codes).tobytes()).marks(wanted)) == expected
    if numbers <= 256:
        assert places_of(Codes(bytes(codes)).marks(wanted)) == expected
