"""Spans in memory: how many, how long, and what replaces what (06 §7.1, §7.2, §7.3)."""

import json
from typing import Any

import msgspec
import pytest

from iii.modules.observability.config import ObservabilityConfig
from iii.modules.observability.records import Span, SpanEvent, SpanLink
from iii.modules.observability.signals import Source
from iii.modules.observability.spans.row import Row
from iii.modules.observability.spans.store import SpanStore
from tests.machine import cpu_within
from tests.unit.modules.observability.spans.engine_with_spans import MS, EngineWithSpans, span


def exhaust(steps: object) -> None:
    for _ in steps:  # type: ignore[attr-defined]
        pass


def ids(store: SpanStore, trace: str = "t") -> list[str]:
    found = store.traces.get(trace)
    return [] if found is None else list(found.rows)


def test_06_check_21_the_last_spans_are_kept_and_a_smaller_store_takes_effect_at_once() -> None:
    store = SpanStore(3, 10**9)
    for number in range(5):
        store.add([span(f"s{number}", trace=f"t{number}")])

    assert store.count == 3
    assert [ids(store, f"t{number}") for number in range(5)] == [[], [], ["s2"], ["s3"], ["s4"]]
    exhaust(store.resize(1))
    assert store.count == 1
    assert ids(store, "t4") == ["s4"]
    assert len(store.traces) == 1


def test_06_5_1_the_options_of_spans_are_read() -> None:
    block = {
        "exporter": "both", "live_spans": True, "memory_max_spans": 5, "pending_max_age_seconds": 0,
        "collapse_spans": [{"name": "trigger *", "service": None}],
        "trace_storage": {
            "enabled": True, "directory": "", "max_disk_bytes": 67108864, "retention_seconds": 0,
            "memory_max_bytes": 16777216, "memory_low_watermark_ratio": 0.5, "pending_max_age_seconds": 0,
        },
    }  # fmt: skip
    config = msgspec.convert(block, ObservabilityConfig)
    assert config.trace_storage is not None
    assert config.trace_storage.memory_max_bytes == 16777216
    with pytest.raises(msgspec.ValidationError, match="max_disk_bytes"):
        msgspec.convert({"trace_storage": {"max_disk_bytes": 5}}, ObservabilityConfig)


def test_C15_ten_thousand_spans_are_kept_by_default() -> None:
    world = EngineWithSpans()
    world.take(*(span(f"s{number}") for number in range(10_001)))
    assert world.kept == 10_000
    assert world.ask("list", search_all_spans=True)["total"] == 10_000
    assert world.kept == 10_000


def test_06_7_2_bytes_are_bounded_and_the_oldest_leave() -> None:
    store = SpanStore(10**6, 100_000)
    for number in range(1_000):
        store.add([span(f"s{number}", attributes=[("text", "x" * 500)])])
        assert store.bytes <= 100_000
    kept = ids(store)
    assert kept == [f"s{number}" for number in range(1_000 - len(kept), 1_000)]
    assert len(kept) > 60
    store.add([span("huge", attributes=[("text", "x" * 200_000)])])
    assert store.bytes == store.count == 0  # larger than all that is kept


@pytest.mark.parametrize(
    "members",
    [{"name": "n" * 100_000}, {"instrumentation_scope_name": "s" * 100_000}, {"resource": {"service.name": "r" * 100_000}}],
)  # fmt: skip
def test_06_7_2_whatever_is_long_in_a_span_counts(members: dict[str, Any]) -> None:
    world = EngineWithSpans(memory_max_spans=1000, memory_max_bytes=1_000_000)
    for number in range(100):
        world.take(span(f"s{number}", **members))
    assert 5 <= len(world.listed()) <= 20


def test_06_7_2_above_the_cap_spans_leave_until_the_low_watermark() -> None:
    store = SpanStore(10**6, 100_000, low_ratio=0.5)
    frame = [span(f"s{number}", attributes=[("text", "x" * 500)]) for number in range(200)]
    store.add(frame)
    assert 45_000 < store.bytes <= 50_000


def test_06_check_16_the_final_span_replaces_the_pending_one_in_place() -> None:
    world = EngineWithSpans()
    world.take(span("a", start=1000, end=0, pending=True, status="unset"), span("b", start=1000))
    assert [each.get("pending") for each in world.ask("list")["spans"]] == [True, None]
    assert world.ask("list")["spans"][0]["end_time_unix_nano"] == 0

    world.take(span("a", start=1000, end=1005), span("a", "b", trace="other"))
    assert world.listed(trace_id="t") == ["a", "b"]
    assert world.ask("list", trace_id="t")["spans"][0]["end_time_unix_nano"] == 1005 * MS
    assert world.ask("list")["total"] == 3  # the same span id in another trace is another span

    world.take(span("a", start=1000, end=0, pending=True, status="unset"))
    assert "pending" not in world.ask("list", trace_id="t")["spans"][0]  # fails on the reference


def test_06_7_3_the_final_span_wins_within_a_frame_and_a_second_one_replaces_the_first() -> None:
    world = EngineWithSpans()
    world.take(span("a", end=1005), span("a", end=0, pending=True), span("a", end=1007))
    assert [each["end_time_unix_nano"] for each in world.ask("list")["spans"]] == [1007 * MS]


def test_06_7_3_a_replaced_span_keeps_its_place_in_the_queue() -> None:
    store = SpanStore(2, 10**9)
    store.add([span("a", pending=True), span("b")])
    store.add([span("a")])
    store.add([span("c")])
    assert ids(store) == ["b", "c"]
    store.add([span("a")])
    assert ids(store) == ["c", "a"]  # evicted, then appended


@pytest.mark.parametrize(
    "config", [{"live_spans": False}, {"exporter": "both"}, {"exporter": "otlp", "live_spans": True}]
)
def test_06_check_16_pending_spans_are_dropped_if_they_are_not_wanted(config: dict[str, Any]) -> None:
    world = EngineWithSpans(**config)
    world.take(span("a", pending=True))
    assert world.listed() == []


def test_06_7_3_a_pending_span_that_never_ends_is_dropped() -> None:
    world = EngineWithSpans(pending_max_age_seconds=100)
    now = world.clock.time_ms()
    world.take(span("old", start=now - 50_000, pending=True), span("new", start=now, pending=True), span("done"))
    world.clock.advance(61)
    assert set(world.listed()) == {"done", "new"}
    world.clock.advance(60)
    assert world.kept == 1
    assert world.listed() == ["done"]


def test_06_7_3_with_age_zero_pending_spans_stay() -> None:
    world = EngineWithSpans(pending_max_age_seconds=0)
    world.take(span("old", pending=True))
    world.clock.advance(100_000)
    assert world.listed() == ["old"]
    assert world.clock.timers == set()


def test_06_7_2_with_exporter_otlp_spans_of_the_engine_are_not_kept() -> None:
    world = EngineWithSpans(exporter="otlp")
    world.take(span("engine"), source=Source.ENGINE)
    world.take(span("worker"))
    assert world.listed() == ["worker"]


def test_06_check_30_without_a_store_all_functions_say_so() -> None:
    world = EngineWithSpans(enabled=False)
    world.take(span("a"))
    for function, request in (
        ("list", {}),
        ("tree", {"trace_id": "t"}),
        ("clear", {}),
        ("group_by", {"attribute": "a"}),
    ):
        error = world.call(function, request)["error"]
        assert error["code"] == "memory_exporter_not_enabled"
        text = "In-memory span storage is not available. Set exporter: memory or both in config. `enabled` of iii-observability has to be true."
        assert error["message"] == text


def test_06_check_32_clear_empties_the_store() -> None:
    world = EngineWithSpans()
    world.take(*(span(f"s{number}", "s0", attributes=[("a", "b")]) for number in range(2_000)))
    assert world.ask("clear") == {"success": True}
    assert world.ask("list", search_all_spans=True)["total"] == 0
    world.take(span("new"))
    assert world.listed() == ["new"]


def test_06_13_health_counts_what_is_in_memory() -> None:
    world = EngineWithSpans()
    world.take(span("a"), span("b"))
    health = world.worker.result_of("engine::health::check")
    details = health["components"]["spans"]["details"]
    assert details["stored_spans"] == 2
    assert details["hot_bytes"] > 0
    assert list(details["archive"]) == [
        "archive", "completeness", "known_dropped_spans", "physical_bytes", "max_disk_bytes", "last_error",
    ]  # fmt: skip
    assert details["archive"]["archive"] == "disabled"


def test_06_7_1_a_span_is_answered_as_it_came() -> None:
    world = EngineWithSpans()
    one = Span(
        "t", "s", "p", "POST /orders", 1795438346156329177, 1795438346157259675, "error",
        [("b", "1"), ("a", "é\n"), ("b", "2")], "shop",
        [SpanEvent("exception", 1795438346157000000, [("exception.type", "x")])],
        [SpanLink("t2", "s2", None, [("k", "v")]), SpanLink("t3", "s3", "x=y", [])],
        "boom", "scope", "1.0", 1, "a=b", False, "server", {"service.name": "shop", "host.name": "h"},
    )  # fmt: skip
    bare = Span("t9", "s9", None, "n", 1, 2, "unset", [], "unknown", [], [])
    world.take(one, bare)
    assert world.ask("list", sort_order="desc")["spans"] == [
        json.loads(msgspec.json.encode(each)) for each in (one, bare)
    ]
    assert list(world.ask("list", trace_id="t9")["spans"][0]) == [
        "trace_id", "span_id", "parent_span_id", "name", "start_time_unix_nano", "end_time_unix_nano", "status", "attributes",
        "service_name", "events", "links",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("key", "value", "kept"),
    [
        ("Authorization", "Bearer x", "[REDACTED]"),
        ("SET-COOKIE", "a=b", "[REDACTED]"),
        ("api_key", "1", "[REDACTED]"),
        ("authorization_url", "https://x/?a=1", "https://x/?a=1"),
        ("url.full", "https://x/a?token=1&b=2&api_key=3#c", "https://x/a?token=[REDACTED]&b=2&api_key=[REDACTED]#c"),
        ("url.query", "password=1", "password=[REDACTED]"),
        ("url.full", "https://x/a?sv=1&sig=ab%2F&design=2", "https://x/a?sv=1&sig=[REDACTED]&design=2"),
        ("http.url", "https://x/a?X-Amz-Signature=ab&Signature=c", "https://x/a?X-Amz-Signature=[REDACTED]&Signature=[REDACTED]"),
        ("iii.payload.json", '{"a":1,"password":"x","b":[{"apiKey":{"c":1}}]}',
         '{"a":1,"password":"[REDACTED]","b":[{"apiKey":"[REDACTED]"}]}'),
        ("iii.payload.json", '{"tokens":12}', '{"tokens":12}'),
        ("iii.payload.json", '{"password":"x","b":"cut sho..."[TRUNCATED]"', "[REDACTED]"),
        ("iii.payload.json", '{"x": "monkey...', '{"x": "monkey...'),
        ("k" * 100 + "password", "x", "x"),
    ],
)  # fmt: skip
def test_06_check_18_secrets_are_not_kept(key: str, value: str, kept: str) -> None:
    world = EngineWithSpans()
    pairs = [("before", "1"), (key, value), ("after", "2")]
    world.take(span("a", attributes=pairs, events=[SpanEvent("e", 1, pairs)], links=[SpanLink("t", "s", None, pairs)]))
    (answered,) = world.ask("list")["spans"]
    wanted = [["before", "1"], [key, kept], ["after", "2"]]
    assert [answered["attributes"], answered["events"][0]["attributes"], answered["links"][0]["attributes"]] == [
        wanted
    ] * 3


@pytest.mark.parametrize("key", ["url.full", "url.query", "http.target"])
def test_06_7_1_a_long_query_without_parameters_is_looked_through_once(key: str) -> None:
    """Half a minute of the loop for 32 KiB before, from any client of HTTP."""
    world = EngineWithSpans()
    with cpu_within(1):  # some 5 ms
        world.take(span("a", attributes=[(key, "?token=x&" + "a" * 100_000)]))
        (answered,) = world.ask("list")["spans"]
    assert answered["attributes"] == [[key, "?token=[REDACTED]&" + "a" * 100_000]]


def test_a_listener_that_exports_sees_what_was_sent() -> None:
    world = EngineWithSpans()
    sent = span("a", attributes=[("password", "x")])
    world.take(sent)
    assert sent.attributes == [("password", "x")]


def test_06_7_5_copies_for_the_disk_are_made_in_steps_whatever_leaves_meanwhile() -> None:
    store = SpanStore(2_000, 10**9)
    store.add([span(f"s{number}", trace=f"t{number % 3}") for number in range(2_000)])
    rows = list(store.finished())
    steps, copies = 0, store.copies(rows, ["unknown"])
    while True:
        try:
            next(copies)
        except StopIteration as ended:
            copied = ended.value
            break
        steps += 1
        store.add([span(f"n{steps}")])  # the oldest leaves
    assert steps >= 2_000 / 20
    assert {row.span_id for row in copied} >= {f"s{number}" for number in range(500, 2_000)}
    assert all(row.kept and not row.placed for row in copied)


def test_memory_is_given_back_when_spans_leave() -> None:
    store = SpanStore(100, 10**9)
    for number in range(1_000):
        store.add([span(f"s{number}", f"p{number % 7}", trace=f"t{number % 50}", name=f"n{number}")])
    store.facets.settle()
    assert store.count == 100
    assert len(store.traces) == 50
    assert len(store.facets) == 100
    exhaust(store.clear())
    assert store.bytes == len(store.traces) == len(store.facets) == 0


def test_06_7_2_pending_spans_stay_while_they_are_less_than_a_quarter() -> None:
    store = SpanStore(8, 10**9)
    store.add([span("p1", trace="p", end=0, pending=True), span("p2", trace="p", end=0, pending=True)])
    for number in range(50):
        store.add([span(f"s{number}")])
    assert ids(store, "p") == ["p1", "p2"]
    assert ids(store) == [f"s{number}" for number in range(44, 50)]
    store.add([span("p1", trace="p")])  # it has ended, and leaves as others do
    for number in range(50, 58):
        store.add([span(f"s{number}")])
    assert ids(store, "p") == ["p2"]
    assert store.count == 8
    store.add([span(f"q{number}", trace="q", end=0, pending=True) for number in range(8)])
    assert len(store.pending) == 8
    assert store.count == 8
    exhaust(store.leave_room(8))
    assert store.count == 2
    store.limit(1, 0.5)
    store.add([span("s52", trace="u")])
    assert store.count <= 1


class Forgetful:
    """A disk that is never done."""

    def expect(self, row: Row) -> None: ...


def test_06_7_5_what_is_behind_a_span_that_hangs_leaves_once_it_is_on_disk() -> None:
    store = SpanStore(4, 10**9)
    store.archive = Forgetful()
    store.add([span("p", trace="p", end=0, pending=True)])
    for number in range(20):
        store.add([span(f"s{number}")])
    assert store.count == 21
    for row in store.finished():
        store.archived(row, row.packed)
    store.add([span(f"t{number}", trace="u") for number in range(4)])
    exhaust(store.leave_room(0))
    assert ids(store, "p") == ["p"]
    assert store.count == 5  # and four that are not on disk
