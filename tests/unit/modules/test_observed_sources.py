"""Functions of the modules that are there to be observed (26), beside the triggers for the same events."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

import iii
from iii.testing import TestEngine

S = 10.0  # for an observer to be decided


class Watching:
    """An engine with one worker, which notes what its functions get."""

    def __init__(self, engine: TestEngine, app: iii.App) -> None:
        self.engine = engine
        self.app = app
        self.heard: dict[str, list[Any]] = {}

    def function(self, function_id: str, result: Any = None) -> str:
        """A function that notes its payloads."""
        self.heard[function_id] = []

        async def note(payload: Any) -> Any:  # on the loop: in the order of the events
            self.heard[function_id].append(payload)
            return result

        self.app.register_function(function_id, note)
        return function_id

    def observe(self, source: str, function_id: str, **options: Any) -> iii.Observer:
        """With the event as payload."""
        observer = self.app.observe(source, self.function(function_id), **{"deliver": "input", **options})
        observer.ready(S)
        return observer

    def refused(self, source: str, **options: Any) -> str:
        """The code with which an observer is refused."""
        observer = self.app.observe(source, "anything", **options)
        with pytest.raises(iii.ObserverRefused) as refused:
            observer.ready(S)
        return refused.value.code


@pytest.fixture
def watching() -> Iterator[Watching]:
    app = iii.App("watching")
    with TestEngine(app) as engine:
        yield Watching(engine, app)


def test_26_check_5_a_publish_reaches_subscription_and_observer(watching: Watching) -> None:
    watching.observe("publish", "observing", where={"input.topic": {"$eq": "orders"}})
    watching.app.register_trigger(
        {"type": "subscribe", "function_id": watching.function("bound"), "config": {"topic": "orders"}}
    )
    for number in range(3):
        watching.engine.call("publish", {"topic": "orders", "data": number})
        watching.engine.call("publish", {"topic": "others", "data": number})
    watching.engine.settle()
    assert watching.heard == {
        "observing": [{"topic": "orders", "data": number} for number in range(3)],
        "bound": [0, 1, 2],
    }


def test_26_check_6_a_change_of_state_is_the_same_event_for_both(watching: Watching) -> None:
    watching.observe("state::on-changed", "observing", where={"input.scope": {"$eq": "a"}})
    watching.app.register_trigger(
        {"type": "state", "function_id": watching.function("bound"), "config": {"scope": "a"}}
    )
    watching.app.state("a").set("k", 1)
    watching.app.state("b").set("k", 1)
    watching.app.state("a").delete("k")
    watching.engine.settle()
    assert watching.heard["observing"] == watching.heard["bound"]
    assert [each["event_type"] for each in watching.heard["bound"]] == ["state:created", "state:deleted"]
    assert watching.heard["bound"][0].keys() == {"type", "event_type", "scope", "key", "old_value", "new_value"}


def test_26_check_7_ticks_of_two_expressions_are_separated(watching: Watching) -> None:
    each_second = watching.observe("cron::on-tick", "second", args={"expression": "* * * * * *"})
    watching.observe("cron::on-tick", "again", args={"expression": "* * * * * *"})
    watching.observe("cron::on-tick", "third", args={"expression": "*/3 * * * * *"})
    assert watching.refused("cron::on-tick", args={"expression": "never"}) == "INVALID_CRON_EXPRESSION"
    watching.engine.advance(3)
    watching.engine.settle()
    assert {name: len(ticks) for name, ticks in watching.heard.items()} == {"second": 3, "again": 3, "third": 1}
    assert watching.heard["third"][0] | {"actual_time": ""} == {
        "trigger": "cron", "job_id": "*/3 * * * * *", "expression": "*/3 * * * * *", "actual_time": "",
        "scheduled_time": watching.heard["second"][2]["scheduled_time"],
    }  # fmt: skip
    each_second.dispose()
    watching.engine.advance(1)
    watching.engine.settle()
    assert {name: len(ticks) for name, ticks in watching.heard.items()} == {"second": 3, "again": 4, "third": 1}


def test_26_check_8_streams_are_observed(watching: Watching) -> None:
    watching.observe("stream::on-changed", "changed", where={"input.streamName": {"$eq": "chat"}})
    watching.app.stream("chat", "room").set("m1", {"text": "hello"})
    watching.app.stream("other", "room").set("m1", {"text": "hello"})
    watching.app.stream("chat", "room").send("typing", {"who": "ada"})
    watching.engine.settle()
    assert [(each["groupId"], each["event"]["type"]) for each in watching.heard["changed"]] == [
        ("room", "create"),
        ("room", "event"),
    ]


def test_26_check_8_workers_functions_and_observers_are_observed(watching: Watching) -> None:
    watching.observe("engine::on-workers-changed", "workers")
    watching.observe("engine::on-functions-changed", "functions")
    watching.observe("engine::on-observers-changed", "observers")
    watching.engine.advance(2)
    watching.engine.settle()
    for events in watching.heard.values():
        events.clear()
    watching.observe("publish", "published").dispose()
    watching.engine.advance(2)
    watching.engine.settle()
    assert watching.heard["functions"] == [{"event": "functions_changed"}]
    assert [(each["function_id"], each["target"], each["state"]) for each in watching.heard["observers"]] == [
        ("publish", "published", "active"),
        ("publish", "published", "disposed"),
    ]
    assert watching.heard["workers"] == []


def test_26_check_8_configuration_is_observed(watching: Watching) -> None:
    watching.observe("configuration::on-updated", "updated", where={"input.id": {"$eq": "shop"}})
    entry = {"id": "shop", "name": "Shop", "description": "", "schema": {"type": "object"}}
    watching.engine.call("configuration::register", entry)
    watching.engine.call("configuration::set", {"id": "shop", "value": {"open": True}})
    watching.engine.settle()
    assert watching.heard["updated"][-1]["new_value"] == {"open": True}


def test_26_check_9_sources_refuse_calls_and_wrong_args(watching: Watching) -> None:
    for source in ("state::on-changed", "http::on-request", "cron::on-tick", "queue::on-message"):
        with pytest.raises(iii.InvocationError, match="is not called, but observed"):
            watching.engine.call(source, {})
    assert watching.refused("state::on-changed", args={"scope": "a"}) == "INVALID_ARGS"
    assert watching.refused("cron::on-tick") == "INVALID_ARGS"
    assert watching.refused("cron::on-tick", args={"expression": "* * * * *", "zone": "UTC"}) == "INVALID_ARGS"
    assert watching.refused("queue::on-message", args={"topic": ""}) == "INVALID_ARGS"
    assert watching.refused("http::on-request", args={"path": "/a", "method": "BREW"}) == "INVALID_ARGS"
    assert watching.refused("http::on-request", args={"path": "/a{b}"}) == "INVALID_ARGS"


def test_26_check_12_a_message_is_redelivered_to_an_observer_until_it_succeeds(watching: Watching) -> None:
    attempts: list[Any] = []

    def handle(message: Any, metadata: Any) -> None:
        attempts.append((message, metadata))
        if len(attempts) < 3:
            raise ValueError("not yet")

    watching.app.register_function("handle", handle)
    observer = watching.app.observe("queue::on-message", "handle", args={"topic": "mails"}, metadata={"m": 1})
    observer.ready(S)
    watching.engine.call("iii::durable::publish", {"topic": "mails", "data": {"to": "ada"}})
    watching.engine.settle()
    watching.engine.advance(10)
    watching.engine.settle()
    assert attempts == [({"to": "ada"}, {"m": 1})] * 3
    observer.dispose()
    watching.engine.settle()
    watching.engine.call("iii::durable::publish", {"topic": "mails", "data": 2})
    watching.engine.settle()
    assert len(attempts) == 3


def test_26_check_13_a_log_record_reaches_an_observer_and_none_that_this_has_caused(watching: Watching) -> None:
    seen: list[str] = []

    async def note(record: dict[str, Any]) -> None:
        seen.append(record["body"])
        await watching.app.trigger_async({"function_id": "engine::log::warn", "payload": {"message": "caused"}})

    watching.app.register_function("note", note)
    wanted = {"input.severity_text": {"$eq": "WARN"}}
    watching.app.observe("observability::on-log", "note", deliver="input", where=wanted).ready(S)
    watching.engine.call("engine::log::info", {"message": "quiet"})
    watching.engine.call("engine::log::warn", {"message": "loud"})
    watching.engine.settle()
    assert seen == ["loud"]
