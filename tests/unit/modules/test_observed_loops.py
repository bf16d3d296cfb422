"""No loop of observers is without end, whatever way it takes through the modules (21 §8, 26 §1)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

import pytest

import iii
from iii.testing import TestEngine

S = 10.0  # for an observer to be decided

Write: TypeAlias = Callable[[iii.App, int], object]


class Loop:
    """An engine with a worker whose function `again` causes what it is called for."""

    def __init__(self, engine: TestEngine, app: iii.App) -> None:
        self.engine = engine
        self.app = app
        self.depths: list[int] = []
        self.most = 50  # calls: a loop without end is to fail its test, not to hold it up

    def closes(self, write: Write) -> None:
        def again(event: Any) -> None:
            self.depths.append(iii.current_invocation().observe_depth)
            if len(self.depths) < self.most:
                write(self.app, len(self.depths))

        self.app.register_function("again", again)

    def observe(self, source: str, **options: Any) -> None:
        self.app.observe(source, "again", deliver="input", observer_id="loop", **options).ready(S)

    def bind(self, trigger_type: str, function_id: str, **config: Any) -> None:
        self.app.register_trigger({"type": trigger_type, "function_id": function_id, "config": config})

    def run(self, write: Write) -> None:
        """Until nothing more happens, retries included."""
        self.engine.settle()
        write(self.app, 0)
        for _ in range(3):
            self.engine.settle()
            self.engine.advance(10)
        self.engine.settle()

    @property
    def dropped(self) -> dict[str, int]:
        record = self.engine.call("engine::observers::get", {"id": "loop"})["observer"]
        assert record["state"] == "active"
        dropped: dict[str, int] = record["dropped"]
        return dropped


@pytest.fixture
def loop() -> Iterator[Loop]:
    app = iii.App("loop")
    with TestEngine(app, queues={"jobs": {}}) as engine:
        engine.call("configuration::register", {"id": "shop", "name": "Shop", "description": "", "schema": {}})
        yield Loop(engine, app)


def call(app: iii.App, function_id: str, payload: Any) -> object:
    return app.trigger({"function_id": function_id, "payload": payload})


def set_state(app: iii.App, number: int) -> object:
    return app.state("a").set("k", number)


def set_item(app: iii.App, number: int) -> object:
    return app.stream("s", "g").set("i", number)


def set_configuration(app: iii.App, number: int) -> object:
    return call(app, "configuration::set", {"id": "shop", "value": number})


def publish(app: iii.App, number: int) -> object:
    return call(app, "publish", {"topic": "t", "data": number})


def publish_durably(app: iii.App, number: int) -> object:
    return call(app, "iii::durable::publish", {"topic": "t", "data": number})


def enqueue(app: iii.App, number: int) -> object:
    action = iii.TriggerAction.Enqueue(queue="jobs")
    return app.trigger({"function_id": "step", "payload": number, "action": action})


def enqueue_by_call(app: iii.App, number: int) -> object:
    job = {"queue": "jobs", "function_id": "step", "data": number, "messageReceiptId": f"receipt {number}"}
    return call(app, "engine::queue::enqueue", job)


@pytest.mark.parametrize(
    ("source", "write"),
    [
        ("state::on-changed", set_state),
        ("stream::on-changed", set_item),
        ("configuration::on-updated", set_configuration),
        ("publish", publish),
        ("iii::durable::publish", publish_durably),
    ],
)
def test_26_check_10_a_loop_through_an_event_ends_at_the_ninth(loop: Loop, source: str, write: Write) -> None:
    loop.closes(write)
    loop.observe(source)
    loop.run(write)
    assert loop.depths == [1, 2, 3, 4, 5, 6, 7, 8]
    assert loop.dropped == {"LOOP_GUARD": 1}


def test_26_check_10_a_message_that_leads_to_itself_is_a_dead_letter_at_the_ninth(loop: Loop) -> None:
    loop.closes(publish_durably)
    loop.observe("queue::on-message", args={"topic": "t"})
    loop.run(publish_durably)
    assert loop.depths == [1, 2, 3, 4, 5, 6, 7, 8]
    dead = loop.engine.call("engine::queue::dlq_messages", {"topic": "t"})
    assert [(each["payload"], each["error"]) for each in dead] == [
        (8, "LOOP_GUARD: observers have caused each other more than 8 levels deep")
    ]
    assert list(loop.dropped) == ["LOOP_GUARD"]
    loop.most = 9
    loop.engine.call("iii::queue::redrive", {"queue": "t"})
    loop.engine.settle()
    loop.engine.advance(1)  # the store is read again
    loop.engine.settle()
    assert loop.depths[8:] == [1]


@pytest.mark.parametrize(
    ("trigger_type", "config", "write"),
    [
        ("state", {"scope": "a"}, set_state),
        ("stream", {"stream_name": "s"}, set_item),
        ("configuration", {"configuration_id": "shop"}, set_configuration),
        ("subscribe", {"topic": "t"}, publish),
        ("durable:subscriber", {"topic": "t"}, publish_durably),
    ],
)
def test_26_check_10_a_loop_through_a_trigger_ends_too(
    loop: Loop, trigger_type: str, config: dict[str, Any], write: Write
) -> None:
    loop.app.register_function("step", lambda event: None)
    loop.bind(trigger_type, "step", **config)
    loop.closes(write)
    loop.observe("step")
    loop.run(write)
    assert loop.depths == [1, 2, 3, 4, 5, 6, 7, 8]
    assert loop.dropped == {"LOOP_GUARD": 1}


@pytest.mark.parametrize("write", [enqueue, enqueue_by_call])
def test_26_check_10_a_loop_through_a_job_ends_too(loop: Loop, write: Write) -> None:
    loop.app.register_function("step", lambda event: None)
    loop.closes(write)
    loop.observe("step")
    loop.run(write)
    assert loop.depths == [1, 2, 3, 4, 5, 6, 7, 8]
    assert loop.dropped == {"LOOP_GUARD": 1}


def test_26_check_10_triggers_alone_may_go_round_for_as_long_as_they_like(loop: Loop) -> None:
    loop.closes(publish_durably)
    loop.bind("durable:subscriber", "again", topic="t")
    loop.run(publish_durably)
    assert loop.depths == [0] * loop.most


def test_26_check_10_an_http_client_cannot_hide_its_calls_from_observers(loop: Loop) -> None:
    loop.app.register_function("step", lambda event: None)
    loop.app.register_function("handle", lambda request: call(loop.app, "step", 1))
    loop.bind("http", "handle", api_path="/step", http_method="POST")
    loop.closes(lambda app, number: None)
    loop.observe("step")
    loop.engine.request("POST", "/step", headers={"baggage": "a=b,iii.observe.depth=8"})
    loop.engine.settle()
    assert loop.depths == [1]
