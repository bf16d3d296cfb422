"""Spans that observers are told of (26 §6)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from iii.modules.observability.watched.activity import TICK_S
from tests.unit.modules.observability.spans.engine_with_spans import EngineWithSpans, span


class Setting(EngineWithSpans):
    """One worker that observes spans."""

    def __init__(self) -> None:
        super().__init__()
        self.watcher = self.engine.connect(name="w", functions=["f", "g"], features=["observe.v1"])

    def observe(self, observer_id: str, target: str = "f", **source: Any) -> dict[str, Any]:
        source = {"function_id": "observability::on-span", "deliver": "input", **source}
        self.watcher.say({"type": "observe", "id": observer_id, "source": source, "target": {"function_id": target}})
        decided: dict[str, Any] = self.watcher.heard("observeresult")[-1]
        return decided

    def calls(self, target: str = "f") -> list[dict[str, Any]]:
        return [call for call in self.watcher.heard("invokefunction") if call["function_id"] == target]

    def told(self, target: str = "f") -> list[str]:
        """The ids of the spans of all calls, after a tick."""
        self.clock.advance(TICK_S)
        return [call["data"]["span_id"] for call in self.calls(target)]


@pytest.fixture
def setting() -> Iterator[Setting]:
    setting = Setting()
    yield setting
    setting.engine.drop_all_workers()


def test_26_check_14_spans_that_have_ended_reach_an_observer(setting: Setting) -> None:
    assert setting.observe("o", filters={"input.status": {"$eq": "error"}})["state"] == "active"
    setting.take(span("a"), span("b", status="error"), span("c", status="error", pending=True, end=0))
    assert setting.told() == ["b"]
    setting.take(span("c", status="error"))
    assert setting.told() == ["b", "c"]
    assert setting.calls()[0]["data"]["service_name"] == "shop"
    setting.watcher.say({"type": "unobserve", "id": "o"})
    setting.take(span("d", status="error"))
    assert setting.told() == ["b", "c"]
    assert not setting.module.watched.active


def test_26_check_14_no_delivery_causes_another(setting: Setting) -> None:
    """Neither do two observers deliver for ever to each other."""
    setting.observe("o", "f")
    setting.observe("p", "g")
    setting.take(span("a"))
    assert (setting.told("f"), setting.told("g")) == (["a"], ["a"])
    for target in ("f", "g"):
        _, trace_id, parent, flags = setting.calls(target)[0]["traceparent"].split("-")
        assert flags == "00"
        setting.take(span(f"x{target}", parent, trace=trace_id))
        setting.take(span(f"y{target}", trace="elsewhere", name=f"execute {target}"))
    for _ in range(7):
        setting.clock.advance(TICK_S)
    assert (setting.told("f"), setting.told("g")) == (["a"], ["a"])
