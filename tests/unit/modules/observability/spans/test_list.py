"""`engine::traces::list` (06 §7.4)."""

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from iii.modules.observability.records import Span
from iii.modules.observability.spans.listed import select
from iii.modules.observability.spans.requests import TracesListInput
from iii.modules.observability.spans.selection import Selection
from iii.modules.observability.spans.store import SpanStore
from tests.property.span_model import made
from tests.unit.modules.observability.spans.engine_with_spans import MS, EngineWithSpans, span

INTERNAL = [("iii.function.kind", "internal")]


@pytest.fixture
def world() -> EngineWithSpans:
    return EngineWithSpans()


def test_06_check_22_roots_are_listed_and_internal_spans_are_not(world: EngineWithSpans) -> None:
    world.take(span("child", "root"), span("root"), span("internal", trace="t2", attributes=INTERNAL))
    world.take(span("engines", trace="t3", attributes=[("function_id", "engine::workers::list")]))
    world.take(span("asked by a client", trace="t4", attributes=[("iii.function.id", "engine::triggers::list")]))
    assert world.listed() == ["root"]
    assert world.ask("list", include_internal=True)["total"] == 4
    assert world.ask("list", include_internal=True, search_all_spans=True)["total"] == 5
    assert world.listed(search_all_spans=True) == ["child", "root"]


def test_06_check_23_a_span_of_an_unknown_parent_is_a_root(world: EngineWithSpans) -> None:
    world.take(span("a", "remote"), span("b", "a"))
    assert world.listed() == ["a"]
    world.take(span("remote", None))  # it arrives later
    assert world.listed() == ["remote"]
    world.take(span("c", "remote", trace="t2"))  # of another trace
    assert world.listed() == ["remote", "c"]


def test_06_7_4_a_span_whose_parent_is_evicted_is_a_root() -> None:
    world = EngineWithSpans(memory_max_spans=2)
    world.take(span("root"), span("child", "root"))
    assert world.listed() == ["root"]
    world.take(span("other", trace="t2"))
    assert world.listed() == ["child", "other"]


def test_06_check_24_attributes_match_one_and_the_same_span(world: EngineWithSpans) -> None:
    world.take(
        span("child", "root", attributes=[("iii.message.id", "M"), ("b", "2")]), span("root", attributes=[("a", "1")])
    )
    world.take(span("other", trace="t2"))
    pair = ["iii.message.id", "M"]
    assert world.listed(attributes=[pair]) == []
    assert world.listed(attributes=[pair], search_all_spans=True) == ["child", "root"]
    assert world.listed(attributes=[pair, ["b", "2"]], search_all_spans=True) == ["child", "root"]
    assert world.listed(attributes=[pair, ["a", "1"]], search_all_spans=True) == []
    assert world.listed(attributes=[["a", "1"]]) == ["root"]
    assert world.listed(attributes=[["a", "1"], ["x"], ["a", "b", "c"]]) == ["root"]  # not pairs
    assert world.listed(trace_ids=[]) == []
    assert world.listed(exclude_attributes=[["a", "1"], ["x", "y"]]) == ["other"]
    assert world.listed(exclude_attributes=[["b", "2"]], search_all_spans=True) == ["root", "other"]


def test_06_check_25_order_pages_and_totals(world: EngineWithSpans) -> None:
    for number, duration in enumerate((5, 9, 7)):
        world.take(span(f"s{number}", trace=f"t{number}", start=1000 + number, end=1000 + number + duration))
    assert world.listed(sort_by="duration_ms", sort_order="DESC") == ["s1", "s2", "s0"]
    assert world.listed(sort_by="duration") == ["s0", "s2", "s1"]
    assert world.listed(sort_by="bogus") == world.listed(sort_by="Duration") == world.listed() == ["s0", "s1", "s2"]
    assert world.listed(sort_order="aSc") == world.listed()
    assert world.listed(sort_order="") == world.listed(sort_order="x") == ["s2", "s1", "s0"]
    nothing = world.ask("list", limit=0)
    assert (nothing["spans"], nothing["total"], nothing["limit"]) == ([], 3, 0)
    assert world.listed(offset=1, limit=1) == ["s1"]
    assert world.listed(offset=10**9) == []
    assert world.ask("list")["limit"] == 100


def test_06_check_26_durations_are_inclusive_and_a_pending_span_ends_now(world: EngineWithSpans) -> None:
    now = world.clock.time_ms()
    world.take(span("short", end=1000.4), span("exact", trace="t2", end=1000.5))
    world.take(span("pending", trace="t3", start=now - 10_000, pending=True))
    assert world.listed(min_duration_ms=0.5) == ["exact", "pending"]
    assert world.listed(min_duration_ms=5000) == ["pending"]
    assert world.listed(max_duration_ms=0.5) == ["short", "exact"]
    assert world.listed(start_time=now - 1) == ["pending"]
    for limit in (1, 2, 3):
        slowest = world.listed(sort_by="duration", sort_order="desc", limit=limit)
        assert slowest == ["pending", "exact", "short"][:limit]


def test_06_7_4_numbers_beyond_all_spans_and_durations_list_what_they_say(world: EngineWithSpans) -> None:
    world.take(span("a"), span("b", trace="t2"))
    for more in (2**53 + 1, 2**63 - 1, 2**63, 2**64, 10**30):
        assert world.listed(limit=more) == world.listed(limit=more, sort_by="duration") == ["a", "b"]
        assert world.listed(offset=more, limit=more) == []
        assert world.listed(offset=1, limit=more, sort_order="desc") == ["a"]
    for longer in (1e303, 1e308):
        assert world.listed(min_duration_ms=longer) == world.listed(max_duration_ms=-longer) == []
        assert world.listed(max_duration_ms=longer) == world.listed(min_duration_ms=-longer) == ["a", "b"]


@pytest.mark.parametrize("member", ["attributes", "exclude_attributes"])
def test_06_7_4_a_list_looks_for_32_pairs_at_most(world: EngineWithSpans, member: str) -> None:
    pairs = [["a", str(number)] for number in range(33)]
    assert world.ask("list", **{member: pairs[:32]})["total"] == 0
    error = world.call("list", {member: pairs})["error"]
    assert error["code"] == "deserialization_error"
    assert error["message"].endswith(f"Expected `array` of length <= 32 - at `$.{member}`")


def test_06_check_27_texts_match_in_any_case_and_in_part(world: EngineWithSpans) -> None:
    world.take(span("a", name="visible-root", status="error", service_name="Shop"), span("b", trace="t2", name="other"))
    assert world.listed(name="VISIBLE") == ["a"]
    assert world.listed(status="err") == world.listed(status="ERR") == ["a"]
    assert world.listed(service_name="sHOP", name="root") == ["a"]
    assert world.listed(name="nothing") == []


def test_06_7_4_with_search_all_spans_a_name_is_that_of_any_span_of_the_trace(world: EngineWithSpans) -> None:
    world.take(
        span("a", "b", name="charge card", status="error"), span("b", name="POST /orders"), span("c", trace="t2")
    )
    assert world.listed(name="charge", search_all_spans=True) == ["a", "b"]
    assert world.listed(name="charge", search_all_spans=True, status="error") == ["a"]
    assert world.listed(name="charge", search_all_spans=True, trace_id="t2") == []
    assert world.listed(name="charge", search_all_spans=True, trace_ids=["t2", "t", "t"]) == ["a", "b"]


def test_06_check_28_tags_of_a_trace_are_those_of_the_span_that_starts_last(world: EngineWithSpans) -> None:
    world.take(span("late", "root", start=1005, attributes=[("iii.tag.kind", "late"), ("iii.session.id", "S")]))
    world.take(span("root", start=1000, attributes=[("iii.tag.kind", "early"), ("iii.message.id", "M"), ("x", "y")]))
    world.take(span("plain", trace="t2"))
    tagged, plain = world.ask("list")["spans"]
    assert tagged["trace_tags"] == {"iii.tag.kind": "late", "iii.message.id": "M", "iii.session.id": "S"}
    assert "trace_tags" not in plain


def test_06_7_4_times_are_those_of_the_span(world: EngineWithSpans) -> None:
    world.take(span("a", start=1000, end=1010), span("b", trace="t2", start=1020, end=1030))
    assert world.listed(start_time=1010) == ["a", "b"]
    assert world.listed(start_time=1011) == ["b"]
    assert world.listed(end_time=1019) == ["a"]
    assert world.listed(end_time=1020) == ["a", "b"]
    assert world.listed(start_time=2**64 - 1) == []
    assert world.listed(end_time=2**64 - 1) == ["a", "b"]
    assert world.listed(start_time=1011, end_time=1019) == []


@pytest.mark.parametrize(
    "request_", [{"offset": -1}, {"limit": -1}, {"start_time": -1}, {"limit": "5"}, {"limit": 1.5}, {"trace_id": 3}]
)
def test_06_7_4_what_makes_no_sense_is_refused(world: EngineWithSpans, request_: dict[str, Any]) -> None:
    error = world.call("list", request_)["error"]
    assert error["code"] == "deserialization_error"
    assert error["message"].startswith("Failed to deserialize input for engine::traces::list: ")


def test_06_7_4_nulls_and_unknown_members_count_as_absent(world: EngineWithSpans) -> None:
    world.take(span("a"))
    names = [field.name for field in msgspec.structs.fields(TracesListInput)]
    nulls: dict[str, Any] = dict.fromkeys(names)
    assert world.listed(**nulls, whatever=1) == ["a"]
    assert world.call("list", None)["result"]["total"] == 1


def test_06_7_4_the_answer_says_how_spans_are_kept(world: EngineWithSpans) -> None:
    answer = world.ask("list")
    assert list(answer) == ["spans", "total", "offset", "limit", "storage"]
    assert answer["storage"] == {
        "archive": "disabled", "completeness": "complete", "known_dropped_spans": 0, "physical_bytes": 0,
        "max_disk_bytes": 0, "last_error": None,
    }  # fmt: skip
    assert world.ask("tree", trace_id="x") == {"roots": [], "storage": answer["storage"]}
    assert world.ask("group_by", attribute="x") == {"groups": [], "storage": answer["storage"]}


def test_06_check_29a_a_cycle_of_parents_is_listed_by_its_earliest_span(world: EngineWithSpans) -> None:
    world.take(span("a", "b", start=1002), span("b", "a", start=1001), span("self", "self", trace="t2"))
    assert world.listed() == ["self", "b"]


def test_a_list_over_many_spans_is_made_in_turns_and_holds_what_changes_meanwhile() -> None:
    world = EngineWithSpans(memory_max_spans=3_000)
    world.take(
        *(span(f"s{number}", trace=f"t{number}", attributes=[("a", str(number % 2))]) for number in range(3_000))
    )
    call = world.worker.start_call("engine::traces::list", {"attributes": [["a", "1"]], "limit": 2_000})
    assert world.worker.answer_to(call) is None
    world.take(*(span(f"n{number}", trace=f"n{number}", start=5) for number in range(500)))  # evicts the first 500
    while (answer := world.worker.answer_to(call)) is None:
        world.clock.advance(0)
    listed = [each["span_id"] for each in answer["result"]["spans"]]
    assert len(set(listed)) == len(listed) == answer["result"]["total"]
    assert set(listed) >= {f"s{number}" for number in range(501, 3_000, 2)}


def test_06_7_4_a_prefix_finds_traces_of_which_only_the_beginning_is_known(world: EngineWithSpans) -> None:
    world.take(span("a", trace="0af7"), span("b", trace="0af8"), span("c", trace="1af7"))
    assert world.listed(trace_prefix="0af") == ["a", "b"]
    assert world.listed(trace_prefix="0af7") == ["a"]
    assert world.listed(trace_prefix="f") == []
    assert (
        world.listed(trace_prefix="f", trace_id="1af7") == world.listed(trace_prefix="f", trace_ids=["1af7"]) == ["c"]
    )


def test_a_prefix_of_many_traces_finds_a_thousand(world: EngineWithSpans) -> None:
    world.take(*(span("s", trace=f"t{number}") for number in range(3_000)))
    assert world.ask("list", trace_prefix="t", limit=5)["total"] == 1_000


SORTED: dict[str, Callable[[Span], tuple[Any, ...]]] = {
    "start_time": lambda each: (each.start_time_unix_nano,),
    "duration": lambda each: (each.end_time_unix_nano - each.start_time_unix_nano,),
    "name": lambda each: (each.name,),
}


@pytest.mark.parametrize("descending", [False, True])
@pytest.mark.parametrize("sort_by", list(SORTED))
@pytest.mark.parametrize("wanted", [{}, {"min_duration_ms": 3}, {"max_duration_ms": 6}, {"end_time": 4000}])
def test_06_check_25_pages_of_many_spans_are_as_if_all_had_been_sorted(
    sort_by: str, wanted: dict[str, Any], descending: bool
) -> None:
    spans = [
        span(f"{number:05}", start=number * 7919 % 6000 // 3, name=f"n{number % 7}", trace=f"t{number}")
        for number in range(6000)
    ]
    for number, each in enumerate(spans):
        each.end_time_unix_nano = each.start_time_unix_nano + number * 31 % 11 * MS
    store = SpanStore(10_000, 10**9)
    store.add(spans)
    key = SORTED[sort_by]
    rows = [
        each
        for each in spans
        if wanted.get("min_duration_ms", 0) * MS <= each.end_time_unix_nano - each.start_time_unix_nano
        and each.end_time_unix_nano - each.start_time_unix_nano <= wanted.get("max_duration_ms", 1000) * MS
        and each.start_time_unix_nano <= wanted.get("end_time", 10_000) * MS
    ]
    rows.sort(key=lambda each: (*key(each), each.trace_id, each.span_id), reverse=descending)
    for offset, limit in ((0, 10), (63, 5), (65, 5), (500, 100), (999, 2), (2100, 50), (len(rows) - 3, 10), (9000, 5)):
        asked = {"offset": offset, "limit": limit, "sort_by": sort_by, "sort_order": "desc" if descending else "asc"}
        selection = Selection(msgspec.convert(asked | wanted, TracesListInput), 10**18)
        found = made(select(store, selection))
        assert [row.span_id for row in found.rows] == [each.span_id for each in rows[offset : offset + limit]], asked
        assert found.total == len(rows)
