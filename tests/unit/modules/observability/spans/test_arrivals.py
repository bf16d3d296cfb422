"""Spans that wait to be packed: nobody sees a difference, and neither count nor bytes grow without a bound (06 §7.2)."""

from collections import deque
from collections.abc import Iterator
from functools import partial

from hypothesis import given, settings
from hypothesis import strategies as st

from iii.modules.observability.records import Span
from iii.modules.observability.signals import Source, UnreadSpans
from iii.modules.observability.spans.arrivals import WAITING_BYTES, WAITING_SPANS, Arrivals
from iii.modules.observability.spans.store import SpanStore
from tests.property.span_model import FRAMES
from tests.unit.modules.observability.spans.engine_with_spans import MS, EngineWithSpans, span


def settle(arrivals: Arrivals) -> None:
    deque(arrivals.settled(), 0)


def halves(frame: list[Span]) -> Iterator[list[Span]]:
    yield frame[: len(frame) // 2]
    yield frame[len(frame) // 2 :]


def leaving(store: SpanStore) -> list[Span]:
    """All spans, in the order in which they leave."""
    spans, left = list[Span](), kept(store)
    for size in range(store.count - 1, -1, -1):
        deque(store.resize(size), 0)
        before, left = left, kept(store)
        spans += [span for key, span in before.items() if key not in left]
    return spans


def kept(store: SpanStore) -> dict[tuple[str, str], Span]:
    rows = [row for trace_id in store.traces for row in getattr(store.traces.get(trace_id), "rows", {}).values()]
    return {(row.trace_id, row.span_id): row.span() for row in rows}


@settings(max_examples=100, deadline=None)
@given(FRAMES, st.integers(1, 12), st.sets(st.integers(0, 6)), st.sets(st.integers(0, 6)))
def test_06_7_2_the_store_is_as_if_each_span_had_been_packed_at_once(
    frames: list[list[Span]], max_spans: int, settled: set[int], unread: set[int]
) -> None:
    exact, lazy = SpanStore(max_spans, 10**9), SpanStore(max_spans, 10**9)
    arrivals, seen = Arrivals(lazy), set[tuple[str, str]]()
    for at, frame in enumerate(frames):
        exact.add(frame)
        ids = [(each.trace_id, each.span_id) for each in frame]
        if frame and at in unread and not any(each.pending for each in frame) and seen.isdisjoint(ids):
            seen.update(ids)
            arrivals.add_unread(UnreadSpans(len(frame), 1_000, partial(halves, frame)))
        else:
            arrivals.add(frame)
        seen.update(ids)
        if at in settled:
            settle(arrivals)
    settle(arrivals)
    assert lazy.bytes == exact.bytes
    assert leaving(lazy) == leaving(exact)
    assert len(arrivals) == arrivals.bytes == 0


def test_06_7_2_where_newer_spans_fill_the_store_the_oldest_leave_unpacked() -> None:
    store = SpanStore(100, 10**9)
    arrivals = Arrivals(store)
    for number in range(10_000):
        arrivals.add((span(f"s{number}"),))
        assert len(arrivals) < 250
    assert store.count == 0
    settle(arrivals)
    assert [each.span_id for each in leaving(store)] == [f"s{number}" for number in range(9_900, 10_000)]


def test_06_7_2_where_newer_frames_fill_the_store_the_oldest_leave_unread() -> None:
    store = SpanStore(100, 10**9)
    arrivals, read = Arrivals(store), list[str]()

    def frame(name: str) -> Iterator[list[Span]]:
        read.append(name)
        yield [span(f"{name}.{number}") for number in range(30)]

    for number in range(1_000):
        arrivals.add_unread(UnreadSpans(30, 10_000, partial(frame, f"f{number}")))
        assert len(arrivals) <= 150
        assert arrivals.bytes < 150 * 10_000
    settle(arrivals)
    assert read == ["f996", "f997", "f998", "f999"]
    assert (store.count, arrivals.bytes) == (100, 0)
    assert [each.span_id for each in leaving(store)][:2] == ["f996.20", "f996.21"]


def test_06_7_2_a_large_frame_that_is_being_read_leaves_as_a_whole_and_never_too_early() -> None:
    store = SpanStore(100, 10**9)
    arrivals = Arrivals(store)
    arrivals.add_unread(UnreadSpans(90, 10_000, partial(halves, [span(f"a{number}") for number in range(90)])))
    next(arrivals.settled())
    for name in ("b", "c"):
        arrivals.add_unread(UnreadSpans(60, 10_000, partial(halves, [span(f"{name}{number}") for number in range(60)])))
    settle(arrivals)
    assert [each.span_id for each in leaving(store)] == [
        *(f"b{number}" for number in range(20, 60)),
        *(f"c{number}" for number in range(60)),
    ]


def test_06_7_2_what_waits_is_bounded_though_nothing_packs_it() -> None:
    store = SpanStore(10**6, 10**9)
    arrivals = Arrivals(store)
    for number in range(30_000):
        arrivals.add((span(f"s{number}"),))
    assert len(arrivals) <= 2 * WAITING_SPANS
    assert store.count + len(arrivals) == 30_000
    large = Arrivals(SpanStore(10**6, 10**9))
    for number in range(100):
        many = large.add((span(f"s{number}", attributes=[("text", "x" * 1_000_000)]),))
        assert many is (large.bytes > WAITING_BYTES)
        assert large.bytes <= 2 * WAITING_BYTES + 1_001_000


def test_06_7_2_all_texts_of_a_span_weigh() -> None:
    long = "x" * 100_000
    for member in (
        {"name": long}, {"status_description": long}, {"trace_state": long}, {"attributes": [(long, "")]},
        {"resource": {"a": long}}, {"trace": long},
    ):  # fmt: skip
        store = SpanStore(10, 10**9)
        arrivals = Arrivals(store)
        arrivals.add((span("s", **member),))
        assert arrivals.bytes > 100_000, member
        settle(arrivals)
        assert store.bytes > 100_000, member


def test_06_7_3_a_live_span_that_ends_while_it_waits_is_one_span() -> None:
    world = EngineWithSpans()
    world.take(span("live", end=0, pending=True, status="unset"))
    world.take(span("live", end=1005))
    (shown,) = world.ask("list")["spans"]
    assert (shown["end_time_unix_nano"], shown["status"], "pending" in shown) == (1005 * MS, "ok", False)
    assert world.kept == 1


def test_06_7_3_a_live_span_that_was_shown_and_ends_is_one_span() -> None:
    world = EngineWithSpans()
    world.take(span("live", end=0, pending=True, status="unset"), span("other"))
    assert world.ask("list")["spans"][0]["pending"]
    world.take(span("live", end=1005))
    assert world.listed() == ["live", "other"]
    assert "pending" not in world.ask("list")["spans"][0]


def test_06_7_2_many_that_wait_are_packed_in_turns() -> None:
    world = EngineWithSpans(memory_max_spans=100_000)
    world.take(*(span(f"s{number}") for number in range(WAITING_SPANS + 1)))
    store = world.module.spans.store
    assert store is not None
    assert store.count < WAITING_SPANS
    for _ in range(WAITING_SPANS // 100):
        world.clock.advance(0)
    assert store.count == WAITING_SPANS + 1


def test_06_7_4_clear_forgets_what_waits_too() -> None:
    world = EngineWithSpans()
    world.take(span("a"))
    assert world.ask("clear") == {"success": True}
    assert world.listed() == []


def test_19_1_spans_that_wait_when_somebody_begins_to_watch_are_not_told() -> None:
    world, told = EngineWithSpans(), list[str]()
    world.take(*(span(f"old{number}") for number in range(5_000)))
    world.module.spans.watch(lambda row: told.append(row.span_id))
    world.take(span("new"))
    for _ in range(20):
        world.clock.advance(0)
    world.take(span("newer"))
    assert told == ["new", "newer"]
    world.module.spans.watch(None)
    world.take(span("unseen"))
    assert world.listed(sort_order="desc", limit=1) == ["unseen"]
    assert told == ["new", "newer"]


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(1, 9), max_size=12), st.integers(1, 12), st.sets(st.integers(0, 6)), st.booleans())
def test_06_7_2_spans_of_the_engine_wait_together_and_the_store_is_the_same(
    sizes: list[int], max_spans: int, settled: set[int], between: bool
) -> None:
    exact, lazy = SpanStore(max_spans, 10**9), SpanStore(max_spans, 10**9)
    arrivals = Arrivals(lazy)
    for at, size in enumerate(sizes):
        own = [span(f"{at}-{number}") for number in range(size)]
        exact.add(own)
        arrivals.add_own(own)
        if between:
            exact.add((span("w"), span(f"w-{at}")))
            arrivals.add((span("w"), span(f"w-{at}")))
        if at in settled:
            settle(arrivals)
    settle(arrivals)
    assert lazy.bytes == exact.bytes
    assert leaving(lazy) == leaving(exact)
    assert len(arrivals) == arrivals.bytes == 0


def test_06_7_2_spans_of_the_engine_that_newer_ones_push_out_are_never_packed() -> None:
    store = SpanStore(1000, 10**9)
    arrivals = Arrivals(store)
    for number in range(1000):
        arrivals.add_own([span(f"{number}-{each}") for each in range(100)])
        assert len(arrivals) <= 1350
    assert store.count == 0
    settle(arrivals)
    assert leaving(store)[-1].span_id == "999-99"
    assert store.count == 0
    assert arrivals.bytes == 0


def test_06_7_2_a_text_of_the_engines_spans_weighs_though_it_is_shared() -> None:
    arrivals, shared = Arrivals(SpanStore(10, 10**9)), [("text", "x" * 100_000)]
    arrivals.add_own([span(f"s{number}", attributes=shared) for number in range(10)])
    assert 100_000 < arrivals.bytes < 200_000
    arrivals.add_own([span("other", attributes=list(shared)), span("third", trace_state="x" * 100_000)])
    assert 300_000 < arrivals.bytes < 400_000


def test_06_7_3_an_open_span_of_the_engine_that_was_told_is_one_span() -> None:
    world = EngineWithSpans()
    world.take(span("live", end=0, pending=True, status="unset"), source=Source.ENGINE)
    world.take(span("live", end=1005), span("new"), source=Source.ENGINE)
    assert ["pending" in each for each in world.ask("list")["spans"]] == [False, False]
    assert world.kept == 2
