"""Spans of any shape, and what lists of them have to be: a model that looks at everything (06 §7.4)."""

from __future__ import annotations

from typing import Any, TypeVar

from hypothesis import strategies as st

from iii.modules.observability.records import Span
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
                while self.spans[0].pending and sum(each.pending for each in self.spans) * 4 <= self.max_spans:
                    self.spans.append(self.spans.pop(0))  # a few may stay
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
