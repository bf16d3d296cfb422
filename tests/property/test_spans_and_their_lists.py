"""Spans in any order, of any shape: lists, trees and groups are those of a model that looks at everything (06 §7)."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterator
from typing import Any, TypeVar

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from iii.modules.observability.records import Span
from iii.modules.observability.spans.groups import group
from iii.modules.observability.spans.requests import TracesGroupByInput, TracesListInput
from iii.modules.observability.spans.selection import Selection, select
from iii.modules.observability.spans.store import SpanStore
from iii.modules.observability.spans.tags import TraceTags
from iii.modules.observability.spans.tree import Collapse, tree
from iii.modules.observability.steps import Steps

MS = 1_000_000
NOW = 100 * MS
T = TypeVar("T")

IDS = st.sampled_from("abcdef")
PAIRS = st.tuples(
    st.sampled_from(["k", "m", "iii.tag.x", "iii.session.id", "iii.function.kind"]),
    st.sampled_from(["1", "2", "internal"]),
)


@st.composite
def spans(draw: st.DrawFn) -> Span:
    start = draw(st.integers(0, 20)) * MS // 2
    pending = draw(st.booleans()) and draw(st.booleans())
    return Span(
        draw(st.sampled_from(["t1", "t2", "t3"])), draw(IDS), draw(st.none() | IDS), draw(st.sampled_from(["Ab", "abc", "x"])),
        start, 0 if pending else start + draw(st.integers(0, 20)) * MS // 2,
        draw(st.sampled_from(["ok", "error", "unset"])), draw(st.lists(PAIRS, max_size=3)),
        draw(st.sampled_from(["S1", "s2"])), [], [], pending=pending,
    )  # fmt: skip


FRAMES = st.lists(st.lists(spans(), max_size=8), max_size=6)
PAIR_LISTS = st.lists(PAIRS.map(list), max_size=2)
REQUESTS = st.fixed_dictionaries(
    {},
    optional={
        "trace_id": st.sampled_from(["t1", "t9"]),
        "trace_ids": st.lists(st.sampled_from(["t1", "t2", "t9"]), max_size=3),
        "offset": st.integers(0, 3),
        "limit": st.integers(0, 20),
        "service_name": st.sampled_from(["s", "S1"]),
        "name": st.sampled_from(["AB", "c"]),
        "status": st.sampled_from(["o", "ERR"]),
        "min_duration_ms": st.sampled_from([0, 0.5, 3]),
        "max_duration_ms": st.sampled_from([0, 2.5, 50]),
        "start_time": st.integers(0, 20),
        "end_time": st.integers(0, 12),
        "sort_by": st.sampled_from(["start_time", "duration", "duration_ms", "service_name", "name", "bogus"]),
        "sort_order": st.sampled_from(["asc", "ASC", "desc", ""]),
        "attributes": PAIR_LISTS,
        "exclude_attributes": PAIR_LISTS,
        "include_internal": st.booleans(),
        "search_all_spans": st.booleans(),
    },
)


class Model:
    """Spans in the order of their places."""

    def __init__(self, max_spans: int) -> None:
        self.max_spans = max_spans
        self.spans: list[Span] = []

    def add(self, frame: list[Span]) -> None:
        for span in frame:
            same = [
                at for at, old in enumerate(self.spans) if (old.trace_id, old.span_id) == (span.trace_id, span.span_id)
            ]
            if not same:
                self.spans.append(span)
            elif self.spans[same[0]].pending or not span.pending:
                self.spans[same[0]] = span
        while len(self.spans) > self.max_spans:
            del self.spans[0]

    def trace(self, trace_id: str) -> list[Span]:
        return [span for span in self.spans if span.trace_id == trace_id]

    def is_root(self, span: Span) -> bool:
        rows = {each.span_id: each for each in self.trace(span.trace_id)}
        if span.parent_span_id not in rows:
            return True
        cycle, at = [span], rows[span.parent_span_id]
        while at is not span:
            cycle.append(at)
            if at.parent_span_id not in rows or len(cycle) > len(rows):
                return False
            at = rows[at.parent_span_id]
        return span is min(cycle, key=lambda each: (each.start_time_unix_nano, each.span_id))

    def listed(self, wanted: dict[str, Any]) -> tuple[list[Span], int]:
        traces = [wanted["trace_id"]] if "trace_id" in wanted else wanted.get("trace_ids")
        everywhere = wanted.get("search_all_spans", False)
        rows = [
            span
            for span in self.spans
            if (traces is None or span.trace_id in traces)
            and (everywhere or self.is_root(span))
            and (wanted.get("include_internal") or ("iii.function.kind", "internal") not in span.attributes)
            and not any(tuple(pair) in span.attributes for pair in wanted.get("exclude_attributes", []))
            and wanted.get("service_name", "").lower() in span.service_name.lower()
            and wanted.get("status", "").lower() in span.status
            and wanted.get("min_duration_ms", 0) * MS <= duration(span) <= wanted.get("max_duration_ms", 1000) * MS
            and end_of(span) >= wanted.get("start_time", 0) * MS
            and span.start_time_unix_nano <= wanted.get("end_time", 1000) * MS
            and any(
                wanted.get("name", "").lower() in each.name.lower()
                for each in (self.trace(span.trace_id) if everywhere else [span])
            )
            and any(
                all(tuple(pair) in each.attributes for pair in wanted.get("attributes", []))
                for each in (self.trace(span.trace_id) if everywhere else [span])
            )
        ]
        keys = {
            "duration": duration,
            "duration_ms": duration,
            "service_name": lambda span: span.service_name,
            "name": lambda span: span.name,
        }
        key: Any = keys.get(wanted.get("sort_by", ""), lambda span: span.start_time_unix_nano)
        descending = wanted.get("sort_order", "asc").lower() != "asc"
        rows.sort(key=lambda span: (key(span), span.trace_id, span.span_id), reverse=descending)
        offset = wanted.get("offset", 0)
        return rows[offset : offset + wanted.get("limit", 100)], len(rows)

    def tags(self, trace_id: str) -> dict[str, str] | None:
        ordered = sorted(self.trace(trace_id), key=lambda span: (span.start_time_unix_nano, span.span_id))
        pairs = [pair for span in ordered for pair in span.attributes if pair[0] in ("iii.tag.x", "iii.session.id")]
        return dict(pairs) or None


def end_of(span: Span) -> int:
    return NOW if span.pending else span.end_time_unix_nano


def duration(span: Span) -> int:
    return end_of(span) - span.start_time_unix_nano


def made(steps: Steps[T]) -> T:
    while True:
        try:
            next(steps)
        except StopIteration as ended:
            result: T = ended.value
            return result


def both(frames: list[list[Span]], max_spans: int) -> tuple[SpanStore, Model]:
    store, model = SpanStore(max_spans, 10**9), Model(max_spans)
    for at, frame in enumerate(frames):
        store.add(frame)
        model.add(frame)
        if at % 2:
            store.facets.settle()
    return store, model


@settings(max_examples=300, deadline=None)
@given(FRAMES, st.integers(1, 25), st.lists(REQUESTS, min_size=1, max_size=4))
def test_06_7_4_lists_are_those_of_the_model(
    frames: list[list[Span]], max_spans: int, requests: list[dict[str, Any]]
) -> None:
    store, model = both(frames, max_spans)
    assert store.count == len(model.spans)
    for wanted in requests:
        selected = made(select(store, Selection(msgspec.convert(wanted, TracesListInput), NOW)))
        rows, total = model.listed(wanted)
        assert [row.span() for row in selected.rows] == rows
        assert selected.total == total
        tags = TraceTags(store)
        assert [made(tags.of(row.trace_id)) for row in selected.rows] == [model.tags(span.trace_id) for span in rows]


@given(FRAMES, st.integers(1, 25))
def test_06_7_4_each_span_of_a_trace_is_in_its_tree_once(frames: list[list[Span]], max_spans: int) -> None:
    store, model = both(frames, max_spans)
    for trace_id in ("t1", "t2", "t3"):
        trace = store.traces.get(trace_id)
        rows = [] if trace is None else list(trace.rows.values())
        roots = json.loads(made(tree(rows, Collapse(()))))
        found = list(walk(roots))
        assert sorted(node["span_id"] for node in found) == sorted(span.span_id for span in model.trace(trace_id))
        wanted = {span.span_id for span in model.trace(trace_id) if model.is_root(span)}
        assert {root["span_id"] for root in roots} == wanted
        for node in found:
            assert all(child["parent_span_id"] == node["span_id"] for child in node["children"])


@given(FRAMES, st.integers(1, 25), st.none() | st.integers(0, 20), st.booleans())
def test_06_7_4_groups_hold_each_span_once(
    frames: list[list[Span]], max_spans: int, since: int | None, internal: bool
) -> None:
    store, model = both(frames, max_spans)
    store.facets.settle()
    request = TracesGroupByInput("k", since_ms=since, include_internal=internal, label_attribute="m")
    chunks = (chunk for facet in store.facets.all() for chunk in facet.chunks())
    groups = {each.value: each for each in made(group(chunks, request, NOW))}
    values = dict[str, list[Span]]()
    for span in model.spans:
        value = next((value for key, value in span.attributes if key == "k"), None)
        hidden = ("iii.function.kind", "internal") in span.attributes and not internal
        if value is not None and not hidden and end_of(span) >= (since or 0) * MS:
            values.setdefault(value, []).append(span)
    assert groups.keys() == values.keys()
    for value, members in values.items():
        assert groups[value].span_count == len(members)
        assert groups[value].trace_ids == sorted({span.trace_id for span in members})
        assert groups[value].error_count == sum(span.status == "error" for span in members)
        assert groups[value].first_seen_ms == min(span.start_time_unix_nano for span in members) // MS
        assert groups[value].last_seen_ms == max(map(end_of, members)) // MS


def walk(roots: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    nodes = deque(roots)
    while nodes:
        node = nodes.popleft()
        yield node
        nodes.extend(node["children"])
