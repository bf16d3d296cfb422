"""The trigger type `trace` (19 §1; 06 check 53)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from iii.modules.observability.watched.activity import TICK_S
from iii.protocol.limits import WATCHED_SPANS
from tests.unit.modules.observability.spans.engine_with_spans import EngineWithSpans, span


class Setting(EngineWithSpans):
    """One worker with functions `f` and `g`."""

    def __init__(self, **config: Any) -> None:
        super().__init__(**config)
        self.watcher = self.engine.connect(name="w", functions=["f", "g"])

    def calls(self, function: str = "f") -> list[dict[str, Any]]:
        return [call for call in self.watcher.heard("invokefunction") if call["function_id"] == function]

    def told(self, function: str = "f") -> list[list[str]]:
        """The traces of each call, after a tick."""
        self.clock.advance(TICK_S)
        return [call["data"]["trace_ids"] for call in self.calls(function)]


@pytest.fixture
def setting() -> Iterator[Setting]:
    setting = Setting()
    yield setting
    setting.engine.drop_all_workers()


def test_06_check_53_spans_of_a_tick_are_one_call_with_distinct_ids(setting: Setting) -> None:
    setting.watcher.bind("t", "trace", "f", metadata={"who": "me"})
    for number in range(20):
        setting.take(span(f"s{number}", trace=f"t{number % 3}"))
        setting.clock.advance(0.005)
    assert setting.told() == [["t0", "t1", "t2"]]
    assert setting.calls()[0]["data"] == {"trace_ids": ["t0", "t1", "t2"]}
    assert setting.calls()[0]["metadata"] == {"who": "me"}
    assert "baggage" not in setting.calls()[0]


def test_06_check_53_a_burst_that_crosses_a_tick_is_two_calls(setting: Setting) -> None:
    """The ticks do not wait for the first span."""
    setting.watcher.bind("t", "trace", "f")
    setting.clock.advance(0.25)
    setting.take(span("a", trace="t1"))
    setting.clock.advance(0.1)
    setting.take(span("b", trace="t2"))
    assert setting.told() == [["t1"], ["t2"]]


def test_06_check_53_pending_spans_count_and_again_when_they_end(setting: Setting) -> None:
    setting.watcher.bind("t", "trace", "f")
    setting.take(span("a", pending=True, end=0))
    assert setting.told() == [["t"]]
    setting.take(span("a"))
    assert setting.told() == [["t"], ["t"]]
    assert setting.told() == [["t"], ["t"]]


@pytest.mark.parametrize(
    ("config", "fired"),
    [({"status": "ERROR"}, ["bad"]), ({"service_name": "SHOP"}, ["bad", "good"]), ({"service_name": "sho"}, []),
     ({"service_name": "shop", "status": "ok"}, ["good"]), ({"status": "unset"}, []), ({"other": 1, "status": None}, ["bad", "good"])],
)  # fmt: skip
def test_06_check_53_service_and_status_are_equal_in_any_case(
    setting: Setting, config: dict[str, Any], fired: list[str]
) -> None:
    setting.watcher.bind("t", "trace", "f", config)
    setting.take(span("a", trace="good"), span("b", trace="bad", status="error"))
    assert setting.told() == ([fired] if fired else [])


@pytest.mark.parametrize(
    ("config", "text"),
    [({"status": "failed"}, "status: expected ok, error or unset, got 'failed'"), ([1], "Failed to parse trigger config")],
)  # fmt: skip
def test_a_config_that_makes_no_sense_is_refused(setting: Setting, config: Any, text: str) -> None:
    setting.watcher.bind("t", "trace", "f", config)
    (answer,) = setting.watcher.heard("triggerregistrationresult")
    assert text in json.dumps(answer)


def test_06_check_53_its_own_delivery_never_fires_it_again(setting: Setting) -> None:
    """As an SDK does it, whose spans carry no `function_id`; nor do two triggers fire each other."""
    setting.watcher.bind("t", "trace", "f")
    setting.watcher.bind("u", "trace", "g")
    setting.take(span("a"))
    assert (setting.told("f"), setting.told("g")) == ([["t"]], [["t"]])
    for function in ("f", "g"):
        _, trace_id, parent, flags = setting.calls(function)[0]["traceparent"].split("-")
        assert flags == "00"
        setting.take(
            span(f"x{function}", parent, trace=trace_id, name="anything"),
            span(f"y{function}", f"x{function}", trace=trace_id, name="SELECT 1"),
        )
    for _ in range(7):
        setting.clock.advance(TICK_S)
    assert (len(setting.calls("f")), len(setting.calls("g"))) == (1, 1)


@pytest.mark.parametrize(
    "members",
    [{"name": "execute f"}, {"name": "call f"}, {"attributes": [("function_id", "f")]}, {"attributes": [("iii.function.id", "f")]},
     {"attributes": [("function_id", "engine::traces::list")]}, {"name": "call engine::logs::list"},
     {"attributes": [("iii.function.kind", "internal")]}],
    ids=str,
)  # fmt: skip
def test_06_check_53_spans_of_targets_of_the_engine_and_below_are_left_out(
    setting: Setting, members: dict[str, Any]
) -> None:
    setting.watcher.bind("t", "trace", "f")
    setting.take(span("b", "a", trace="old client"), span("a", trace="old client", **members))
    below = "iii.function.kind" in str(members)  # of the engine's own calls only those without a parent are left out
    assert setting.told() == ([["old client"]] if below else [])
    setting.take(span("c", trace="another", attributes=[("function_id", "g")]))
    assert setting.told()[-1] == ["another"]


def test_an_unbound_function_is_not_called_and_nothing_is_noted_for_nobody(setting: Setting) -> None:
    store = setting.module.spans.store
    assert store is not None
    assert store.watch is None
    setting.watcher.bind("t", "trace", "f")
    setting.take(span("a"))
    setting.watcher.say({"type": "unregistertrigger", "id": "t", "trigger_type": "trace"})
    assert setting.told() == []
    assert store.watch is None


def test_a_condition_is_asked_with_the_traces(setting: Setting) -> None:
    setting.watcher.bind("t", "trace", "f", {"condition_function_id": "g"})
    setting.take(span("a"))
    assert setting.told() == []
    (asked,) = setting.calls("g")
    assert asked["data"] == {"trace_ids": ["t"]}
    setting.watcher.say(
        {"type": "invocationresult", "invocation_id": asked["invocation_id"], "function_id": "g", "result": True}
    )
    assert setting.told() == [["t"]]


def test_too_many_spans_of_a_tick_are_cut_and_said_once(setting: Setting, caplog: pytest.LogCaptureFixture) -> None:
    setting.watcher.bind("t", "trace", "f")
    for _ in range(3):
        setting.take(*(span(f"s{number}", trace=f"t{number}") for number in range(WATCHED_SPANS + 5)))
        for _ in range(100):
            setting.clock.advance(TICK_S / 100)
    assert [len(ids) for ids in setting.told()][:1] == [WATCHED_SPANS - 5]  # the store has 10,000, the oldest left
    cut = [line.fields["count"] for line in caplog.records if getattr(line, "event", "") == "trace.activity_cut"]  # type: ignore[attr-defined]
    assert cut == [5]


def test_circles_of_parents_end(setting: Setting) -> None:
    setting.watcher.bind("t", "trace", "f")
    setting.take(span("a", "b"), span("b", "a"), span("c", "c", trace="u"))
    assert setting.told() == [["t", "u"]]


def test_without_a_store_nothing_fires() -> None:
    setting = Setting(enabled=False)
    setting.watcher.bind("t", "trace", "f")
    setting.take(span("a"))
    assert setting.told() == []
    setting.engine.drop_all_workers()


def test_06_check_53_a_trace_trigger_and_a_log_trigger_do_not_fire_each_other_for_ever(setting: Setting) -> None:
    """What the handler of spans logged called the handler of records in a new trace, whose spans called the former, and so on."""
    setting.watcher.bind("t", "trace", "f")
    setting.watcher.bind("u", "log", "g")
    setting.take(span("a"))
    assert setting.told() == [["t"]]
    traceparent = setting.calls()[0]["traceparent"]
    setting.watcher.call("engine::log::info", {"message": "of the handler"}, traceparent=traceparent)
    setting.clock.advance(0)
    (delivered,) = setting.calls("g")
    _, trace_id, parent, flags = delivered["traceparent"].split("-")
    assert flags == "00"
    setting.take(span("b", parent, trace=trace_id, name="anything"))
    assert setting.told() == [["t"]]
    setting.watcher.call("engine::log::info", {"message": "of that"}, traceparent=delivered["traceparent"])
    setting.clock.advance(0)
    assert len(setting.calls("g")) == 1


def test_19_s1_of_a_handler_of_spans_each_line_is_delivered(setting: Setting) -> None:
    """They are of one trace, and a function gets no record that its own delivery has caused; but none of these."""
    setting.watcher.bind("t", "trace", "f")
    setting.watcher.bind("u", "log", "g")
    setting.take(span("a"))
    assert setting.told() == [["t"]]
    traceparent = setting.calls()[0]["traceparent"]
    for number in range(3):
        setting.watcher.call("engine::log::info", {"message": f"line {number}"}, traceparent=traceparent)
        setting.clock.advance(0)
    assert [call["data"]["body"] for call in setting.calls("g")] == ["line 0", "line 1", "line 2"]
    assert len({call["traceparent"][3:35] for call in setting.calls("g")}) == 3
    for call in setting.calls("g"):
        setting.take(span("b", call["traceparent"][36:52], trace=call["traceparent"][3:35], name="anything"))
    assert setting.told() == [["t"]]
