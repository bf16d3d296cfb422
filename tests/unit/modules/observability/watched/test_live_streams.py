"""The live streams (19 §2)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iii.modules.observability.config import CollapseRule
from iii.modules.observability.spans.archive.questions import made
from iii.modules.observability.spans.row import Packer
from iii.modules.observability.spans.tree import Collapse, tree
from iii.modules.observability.watched.activity import TICK_S
from iii.modules.observability.watched.branches import branches
from iii.modules.observability.watched.streams import ALL_SPANS, TRACE_ROWS, TRACE_SPANS
from iii.protocol.limits import FOLLOWED_GROUPS, LIVE_EVENT_BYTES
from tests.unit.modules.observability.spans.engine_with_spans import EngineWithSpans, span


class Setting(EngineWithSpans):
    """What is sent goes to a worker in the place of the stream module."""

    def __init__(self, **config: Any) -> None:
        super().__init__(**config)
        self.streams = self.engine.connect(name="streams", functions=["stream::send"])

    def sent(self) -> list[tuple[str, str, list[str]]]:
        """Stream, group and spans of each event, after a tick; a span is `id` or `id<parent`."""
        for _ in range(100):
            self.clock.advance(TICK_S / 100)
        events = [call["data"] for call in self.streams.heard("invokefunction")]
        assert {event["type"] for event in events} <= {"spans"}
        return [
            (event["stream_name"], event["group_id"], [_named(each) for each in event["data"]["spans"]])
            for event in events
        ]

    def follow(self, stream: str, group: str = "all", followed: bool = True) -> None:
        answer = self.call("follow", {"stream_name": stream, "group_id": group, "followed": followed})
        assert "error" not in answer


def _named(row: dict[str, Any]) -> str:
    parent = row["parent_span_id"]
    return row["span_id"] if parent is None else f"{row['span_id']}<{parent}"


@pytest.fixture
def setting() -> Iterator[Setting]:
    setting = Setting()
    yield setting
    setting.engine.drop_all_workers()


def test_19_2_nothing_is_sent_that_has_no_subscribers(setting: Setting) -> None:
    setting.take(span("a"))
    assert setting.sent() == []
    store = setting.module.spans.store
    assert store is not None
    assert store.watch is None
    setting.follow("iii:devtools:state", "metrics")
    assert store.watch is None


def test_19_2_rows_are_roots_that_are_not_internal_and_all_spans_are_all(setting: Setting) -> None:
    internal = span("i", trace="u", attributes=[("iii.function.kind", "internal")])
    for stream in (TRACE_ROWS, ALL_SPANS):
        setting.follow(stream)
    setting.take(span("a"), span("b", "a"), internal, span("c", "elsewhere", trace="v"))
    assert setting.sent() == [(TRACE_ROWS, "all", ["a"]), (ALL_SPANS, "all", ["a", "b<a", "i", "c<elsewhere"])]
    setting.follow(TRACE_ROWS, followed=False)
    setting.take(span("d"))
    assert setting.sent()[2:] == [(ALL_SPANS, "all", ["d"])]


def test_19_2_a_trace_has_what_arrived_and_what_is_above_it_as_its_tree_shows_it() -> None:
    setting = Setting(collapse_spans=[CollapseRule(name="trigger *")])
    setting.follow(TRACE_SPANS, "t")
    setting.take(span("root"), span("other", "root"), span("idle", "root", name="state_triggers"))
    setting.take(span("not followed", trace="u"))
    assert setting.sent() == [(TRACE_SPANS, "t", ["root", "other<root"])]
    setting.take(span("leaf", "wrapper"))
    assert setting.sent()[1:] == [(TRACE_SPANS, "t", ["leaf<wrapper"])]
    setting.take(span("wrapper", "idle", name="trigger x"))  # which moves what was shown before
    assert setting.sent()[2:] == [(TRACE_SPANS, "t", ["leaf<idle", "idle<root", "root"])]
    setting.engine.drop_all_workers()


def test_19_2_values_of_secret_names_are_not_sent(setting: Setting) -> None:
    setting.follow(ALL_SPANS)
    setting.take(span("a", attributes=[("password", "hunter2")]))
    setting.sent()
    assert "hunter2" not in json.dumps(setting.streams.heard("invokefunction"))


def test_events_and_groups_are_bounded(setting: Setting) -> None:
    setting.follow(ALL_SPANS)
    for number in range(FOLLOWED_GROUPS + 10):
        setting.follow(TRACE_SPANS, f"t{number}")
    setting.take(*(span(f"s{n}", trace="t1", attributes=[("text", "x" * 60_000)]) for n in range(20)))
    setting.take(span("last", trace=f"t{FOLLOWED_GROUPS + 9}"))
    sent = setting.sent()
    assert (
        max(len(json.dumps(call["data"])) for call in setting.streams.heard("invokefunction")) < LIVE_EVENT_BYTES * 1.1
    )
    assert {group for _, group, _ in sent} == {"all", "t1"}
    assert sum(len(spans) for stream, _, spans in sent if stream == ALL_SPANS) == 21


_IDS = st.sampled_from([f"s{number}" for number in range(8)])
_NAMES = st.sampled_from(["work", "hidden", "state_triggers"])


@given(parents=st.dictionaries(_IDS, st.tuples(st.none() | _IDS, _NAMES)), arrived=st.sets(_IDS))
def test_branches_are_a_part_of_the_tree(parents: dict[str, tuple[str | None, str]], arrived: set[str]) -> None:
    packer, collapse = Packer(), Collapse([CollapseRule(name="hidden")])
    rows = {each: packer.row(span(each, parent, name=name)) for each, (parent, name) in parents.items()}
    new = [row for span_id, row in rows.items() if span_id in arrived]
    shown = {row.span_id: parent for row, parent in made(branches(rows.values(), new, collapse))}
    in_tree: dict[str, str | None] = {}
    todo = json.loads(made(tree(list(rows.values()), collapse)))
    while todo:
        node = todo.pop()
        in_tree[node["span_id"]] = node["parent_span_id"]
        todo += node["children"]
    assert shown.items() <= in_tree.items()
    assert {each for each in in_tree if each in arrived} <= shown.keys()
    assert all(parent in shown or parent not in in_tree for parent in shown.values() if parent is not None)
