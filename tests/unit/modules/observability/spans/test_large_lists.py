"""Lists of more spans than one step looks at, by what any span of their trace has (06 §7.4)."""

from __future__ import annotations

from collections import deque
from typing import Any

import msgspec
import pytest

from iii.modules.observability.records import Span
from iii.modules.observability.spans import levels, listed, numbers, ordered, page
from iii.modules.observability.spans.listed import select
from iii.modules.observability.spans.ordered import Ordered
from iii.modules.observability.spans.requests import TracesListInput
from iii.modules.observability.spans.selection import Selection
from iii.modules.observability.spans.store import SpanStore
from tests.property.span_model import Model, made
from tests.unit.modules.observability.spans.engine_with_spans import MS, span

NOW = 10_000 * MS
SPANS = 1_200
MANY_WALKS = 100  # some 0.1 ms


def spans() -> list[Span]:
    """Four a trace: every third trace has an order, every fifth span is internal."""
    return [
        span(
            f"{number:05d}", None if number % 4 == 0 else f"{number - number % 4:05d}", f"t{number // 4:04d}",
            start=number % 97, end=number % 97 + number % 7, name=f"{'order' if number % 12 == 1 else 'work'} {number % 3}",
            status="error" if number % 10 == 0 else "ok",
            attributes=[("n", str(number % 8)), *([("iii.function.kind", "internal")] if number % 5 == 0 else [])],
        )
        for number in range(SPANS)
    ]  # fmt: skip


class LargeModel(Model):
    def __init__(self) -> None:
        super().__init__(SPANS)
        self.spans = spans()
        self._traces: dict[str, list[Span]] = {}
        for each in self.spans:
            self._traces.setdefault(each.trace_id, []).append(each)

    def trace(self, trace_id: str) -> list[Span]:
        return self._traces[trace_id]


@pytest.fixture(scope="module")
def kept() -> tuple[SpanStore, Model]:
    store = SpanStore(SPANS, 10**9)
    store.add(spans())
    return store, LargeModel()


@pytest.mark.parametrize("walked", [20_000, 300, 1])
@pytest.mark.parametrize("part", [100_000, 50])
@pytest.mark.parametrize("order", ["asc", "desc"])
@pytest.mark.parametrize(
    "wanted",
    [
        {"name": "order"},
        {"name": "ORDER 1", "status": "err"},
        {"name": "order", "include_internal": True, "offset": 40, "limit": 7},
        {"name": "r"},
        {"attributes": [["n", "1"]]},
        {"attributes": [["n", "3"]], "name": "order"},
        {"name": "order", "sort_by": "duration"},
        {"name": "order", "limit": 0},
        {"sort_by": "duration", "limit": 5},
        {"min_duration_ms": 5, "limit": 9},
        {"min_duration_ms": 2, "max_duration_ms": 4, "name": "order"},
    ],
)
def test_06_7_4_large_lists_are_those_of_the_model(
    kept: tuple[SpanStore, Model],
    monkeypatch: pytest.MonkeyPatch,
    walked: int,
    part: int,
    order: str,
    wanted: dict[str, Any],
) -> None:
    store, model = kept
    monkeypatch.setattr(levels, "_WALKED", walked)
    monkeypatch.setattr(numbers, "_PART", part)
    request = {"search_all_spans": True, "sort_order": order, **wanted}
    found = made(select(store, Selection(msgspec.convert(request, TracesListInput), NOW)))
    rows, total = model.listed(request)
    assert [row.span_id for row in found.rows] == [each.span_id for each in rows]
    assert found.total == total


@pytest.mark.parametrize(
    "wanted",
    [
        {"name": "order"},
        {"attributes": [["n", "1"]]},
        {"sort_by": "name", "limit": 30},
        {"min_duration_ms": 4, "offset": 20},
        {"limit": 5, "offset": 1_001},
        {"exclude_attributes": [["n", "1"]], "sort_order": "asc"},
    ],
)
def test_06_7_4_lists_of_many_facets_are_those_of_the_model(
    kept: tuple[SpanStore, Model], monkeypatch: pytest.MonkeyPatch, wanted: dict[str, Any]
) -> None:
    store, model = kept
    for room, name in ((listed, "_AT_ONCE"), (listed, "_SORTED"), (listed, "_FEW"), (levels, "_SOURCES")):
        monkeypatch.setattr(room, name, 2)
    for name in ("_FEW", "_SORTED"):
        monkeypatch.setattr(page, name, 50)
    request = {"search_all_spans": True, "sort_order": "desc", **wanted}
    found = made(select(store, Selection(msgspec.convert(request, TracesListInput), NOW)))
    rows, total = model.listed(request)
    assert [row.span_id for row in found.rows] == [each.span_id for each in rows]
    assert found.total == total


def test_06_7_4_a_trace_that_comes_while_a_list_is_made_is_none_of_those_that_left() -> None:
    """It may have the number of one of them."""
    store = SpanStore(6, 10**9)
    store.add([span(str(at), trace=str(at), start=at, name="order") for at in range(6)])
    steps = select(store, Selection(TracesListInput(name="order", search_all_spans=True), NOW))
    next(steps)  # all traces have a span of that name
    store.add([span(str(at), trace=str(at), start=at, name="work") for at in range(6, 9)])
    store.facets.settle()
    found = made(steps)
    assert {row.common.name for row in found.rows} == {"order"}
    assert found.total == len(found.rows) == 3


def test_06_7_4_what_took_longest_leaves_while_it_is_looked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listed, "_FACETS", 1)
    store = SpanStore(SPANS, 10**9)
    store.add(
        [span(str(number), trace=str(number), start=1, end=1 + (100 if number < 3 else 1)) for number in range(9)]
    )
    request = TracesListInput(sort_by="duration", sort_order="desc", limit=1)
    steps = select(store, Selection(request, NOW))
    next(steps)
    deque(store.resize(4), 0)
    found = made(steps)
    assert [row.span_id for row in found.rows] == ["8"]


def test_06_7_4_a_span_that_gets_another_start_while_a_list_is_made_spoils_no_page(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It was sent again, and was to be passed on the way to the page."""
    monkeypatch.setattr(page, "_SKIPPED", 0)
    store = SpanStore(SPANS, 10**9)
    store.add([span("a", trace="a", start=6, end=60), span("b", trace="b", start=5, end=60)])
    steps = select(store, Selection(TracesListInput(offset=1, sort_order="desc"), NOW))
    next(steps)
    store.add([span("a", trace="a", start=4, end=60)])
    store.facets.settle()
    found = made(steps)
    assert (len(found.rows), found.total) == (1, 2)


def test_06_7_4_a_list_that_is_made_while_spans_are_cleared_asks_no_trace_that_comes_then(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The numbers of those mean other traces."""
    monkeypatch.setattr(numbers, "_MORE", 1)
    store = SpanStore(SPANS, 10**9)
    store.add([span("1", trace="a", name="order")])
    request = TracesListInput(trace_ids=["a"], name="order", search_all_spans=True)
    steps = select(store, Selection(request, NOW))
    next(steps)
    deque(store.clear(), 0)
    store.add([span("2", trace="b", name="work"), span("3", trace="a", name="work")])
    assert made(steps) == ([], 0)


def test_06_7_4_a_window_is_looked_at_block_by_block(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a hundred names all that began before the window were looked at in one step: some 70 ms."""
    monkeypatch.setattr(ordered, "_BLOCK", 1_024)
    store = SpanStore(10_000, 10**9)
    store.add([span(f"{at:04d}", f"t{at}", start=at, end=at + 3) for at in range(5_000)])
    store.add([span("pending", "t", start=0, pending=True, end=0)])
    steps, count = select(store, Selection(TracesListInput(start_time=1_500, limit=3), 10**9 * MS)), 0
    while True:
        try:
            next(steps)
        except StopIteration as end:
            found = end.value
            break
        count += 1
    assert [row.span_id for row in found.rows] == ["pending", "1497", "1498"]
    assert found.total == 3_504
    assert count > 3


@pytest.mark.parametrize(
    "order", [{}, {"sort_by": "duration"}, {"sort_by": "name"}, {"name": "n", "sort_by": "duration"}]
)
@pytest.mark.parametrize("limit", [0, 5])
@pytest.mark.parametrize("everywhere", [False, True])
def test_06_7_4_no_step_of_a_list_walks_over_many_names(
    order: dict[str, Any], limit: int, everywhere: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of 100,000 names of roots a step walked over as many empty sources, or over all if no page was wanted: 0.1 s and more."""
    walks, walk = list[Ordered](), Ordered.walk

    def walked(source: Ordered, *how: Any, **more: Any) -> Any:
        walks.append(source)
        return walk(source, *how, **more)

    monkeypatch.setattr(Ordered, "walk", walked)
    store = SpanStore(SPANS, 10**9)
    store.add([span(f"{at:05d}", None, f"t{at:04d}", start=at, end=at + 1, name=f"n{at}") for at in range(SPANS)])
    request = msgspec.convert({"limit": limit, "search_all_spans": everywhere, **order}, TracesListInput)
    steps, longest, total = select(store, Selection(request, NOW)), 0, None
    while total is None:
        walks.clear()
        try:
            next(steps)
        except StopIteration as ended:
            total = ended.value.total
        longest = max(longest, len(walks))
    assert total == SPANS
    assert longest <= MANY_WALKS
