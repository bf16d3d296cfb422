"""Spans in any order, of any shape: lists, trees and groups are those of a model that looks at everything (06 §7)."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from iii.modules.observability.records import Span
from iii.modules.observability.spans import listed, signs
from iii.modules.observability.spans.groups import group
from iii.modules.observability.spans.listed import select
from iii.modules.observability.spans.requests import TracesGroupByInput, TracesListInput
from iii.modules.observability.spans.selection import Selection
from iii.modules.observability.spans.store import SpanStore
from iii.modules.observability.spans.tags import TraceTags
from iii.modules.observability.spans.tree import Collapse, tree
from tests.property.span_model import FRAMES, MS, NOW, REQUESTS, Model, end_of, made


def both(frames: list[list[Span]], max_spans: int, learns: bool = False) -> tuple[SpanStore, Model]:
    with pytest.MonkeyPatch.context() as patch:
        if learns:  # which pairs are common, and others after a few spans
            for name, value in {"_EVERY": 1, "_LOOKED_AT": 3, "_COMMON": 1, "_MOST": 2}.items():
                patch.setattr(signs, name, value)
        return _both(frames, max_spans)


def _both(frames: list[list[Span]], max_spans: int) -> tuple[SpanStore, Model]:
    store, model = SpanStore(max_spans, 10**9), Model(max_spans)
    for at, frame in enumerate(frames):
        store.add(frame)
        model.add(frame)
        if at % 2:
            store.facets.settle()
    return store, model


@settings(max_examples=300, deadline=None)
@given(FRAMES, st.integers(1, 25), st.lists(REQUESTS, min_size=1, max_size=4), st.booleans(), st.booleans())
def test_06_7_4_lists_are_those_of_the_model(
    frames: list[list[Span]], max_spans: int, requests: list[dict[str, Any]], learns: bool, few: bool
) -> None:
    store, model = both(frames, max_spans, learns)
    assert store.count == len(model.spans)
    for wanted in requests:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(listed, "_SCARCE", 1 if few else 1000)
            patch.setattr(listed, "_FEW", 100 if few else -1)
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
