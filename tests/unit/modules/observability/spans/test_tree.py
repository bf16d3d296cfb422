"""`engine::traces::tree` (06 §7.4)."""

import json
from typing import Any

import pytest

from iii.modules.observability.config import CollapseRule
from tests.unit.modules.observability.spans.engine_with_spans import EngineWithSpans, span


def shape(nodes: list[dict[str, Any]]) -> Any:
    """Ids, nested."""
    return [(node["span_id"], shape(node["children"])) if node["children"] else node["span_id"] for node in nodes]


def tree(world: EngineWithSpans, trace: str = "t") -> Any:
    return shape(world.ask("tree", trace_id=trace)["roots"])


def test_06_7_4_children_are_in_the_order_of_their_start() -> None:
    world = EngineWithSpans()
    world.take(
        span("c", "a", start=1002), span("b", "a", start=1003), span("d", "b"), span("a"), span("e", "away", start=900)
    )
    world.take(span("f", "a", start=1002, attributes=[("iii.function.kind", "internal")]), span("x", "a", trace="t2"))
    assert tree(world) == ["e", ("a", ["c", "f", ("b", ["d"])])]
    (node, *_) = world.ask("tree", trace_id="t2")["roots"]
    assert node == {**world.ask("list", trace_id="t2")["spans"][0], "children": []}


def test_06_check_29_an_unknown_trace_has_no_roots_and_an_id_is_needed() -> None:
    world = EngineWithSpans()
    assert world.ask("tree", trace_id="unknown")["roots"] == []
    assert world.call("tree", {})["error"]["code"] == "deserialization_error"


@pytest.mark.parametrize("name", ["state_triggers", "stream_triggers", "configuration_triggers"])
def test_06_check_29_trigger_spans_that_nothing_came_of_are_left_out(name: str) -> None:
    world = EngineWithSpans()
    world.take(span("root"), span("idle", "root", name=name), span("outer", "root", name=name))
    world.take(span("inner", "outer", name=name), span("busy", "root", name=name), span("leaf", "busy"))
    assert tree(world) == [("root", [("busy", ["leaf"])])]


def test_06_check_29_a_collapsed_span_leaves_its_children_to_its_parent() -> None:
    rules = [CollapseRule(name="trigger *", service="harness"), CollapseRule(name="w?")]
    world = EngineWithSpans(collapse_spans=rules)
    world.take(span("root"), span("wrapper", "root", name="trigger x", service_name="harness"), span("leaf", "wrapper"))
    world.take(span("other", "root", name="trigger x", service_name="elsewhere"))
    world.take(
        span("w", "leaf", name="wx"), span("v", "w", name="wy"), span("deep", "v"), span("no", "leaf", name="wxy")
    )
    assert tree(world) == [("root", [("leaf", ["deep", "no"]), "other"])]
    (root,) = world.ask("tree", trace_id="t")["roots"]
    assert root["children"][0]["parent_span_id"] == "root"


def test_06_7_4_children_of_a_collapsed_root_are_roots() -> None:
    world = EngineWithSpans(collapse_spans=[CollapseRule(name="wrap")])
    world.take(
        span("w", "remote", name="wrap"), span("a", "w"), span("x", "y", name="wrap"), span("y", "x", name="wrap")
    )
    world.take(span("b", "y"))
    roots = world.ask("tree", trace_id="t")["roots"]
    assert [(each["span_id"], each["parent_span_id"]) for each in roots] == [("a", "remote"), ("b", None)]


def test_06_check_29a_a_cycle_has_one_root_its_earliest_span() -> None:
    world = EngineWithSpans()
    world.take(
        span("a", "b", start=1002), span("b", "a", start=1001), span("child", "a"), span("self", "self", start=2000)
    )
    assert tree(world) == [("b", [("a", ["child"])]), "self"]


def test_06_7_4_a_tree_may_be_deep() -> None:
    world = EngineWithSpans()
    world.take(*(span(f"s{number}", f"s{number - 1}" if number else None) for number in range(5_000)))
    call = world.worker.start_call("engine::traces::tree", {"trace_id": "t"})
    for _ in range(1_000):
        world.clock.advance(0)
    (frame,) = [each for each in world.worker.link.frames if call.encode() in each]
    assert frame.count(b'"children":[') == 5_000
    assert json.dumps("s4999").encode() in frame
