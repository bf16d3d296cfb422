"""Triggers and trigger types of a worker (08 §9.2, §9.3, checks 43-45)."""

import asyncio
import threading
import uuid
from typing import Any

import msgspec
import pytest

import iii
from tests.integration.sdk.connecting import Connect
from tests.integration.sdk.fake_engine import FakeEngine

BINDING = {"type": "registertrigger", "id": "b1", "trigger_type": "clock", "function_id": "tick"}


class AsyncClock(iii.TriggerHandler):
    """Remembers what it was asked, and refuses what has no `every`."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, iii.TriggerConfig]] = []

    async def register_trigger(self, config: iii.TriggerConfig) -> None:
        self.asked.append(("register", config))
        if not config.config:
            raise ValueError("every is required")
        if config.config == "own code":
            raise iii.InvocationError("BAD_CLOCK", "no such clock")

    async def unregister_trigger(self, config: iii.TriggerConfig) -> None:
        self.asked.append(("unregister", config))
        if config.function_id == "":
            raise LookupError("never heard of it")


class SyncClock(AsyncClock):
    """The same, in plain functions, which may block."""

    def __init__(self) -> None:
        super().__init__()
        self.threads: list[str] = []

    def register_trigger(self, config: iii.TriggerConfig) -> None:  # type: ignore[override]
        self.asked.append(("register", config))
        self.threads.append(threading.current_thread().name)

    def unregister_trigger(self, config: iii.TriggerConfig) -> Any:
        return super().unregister_trigger(config)


def test_08_check_43_a_trigger_has_an_id_of_its_own_and_can_be_removed(engine: FakeEngine, worker: iii.Worker) -> None:
    trigger = worker.register_trigger(
        {"type": "cron", "function_id": "f", "config": {"expression": "* * * * * *"}, "metadata": {"m": 1}}
    )
    connection = engine.connection()
    message = connection.message("registertrigger")
    assert message == {
        "type": "registertrigger",
        "id": trigger.id,
        "trigger_type": "cron",
        "function_id": "f",
        "config": {"expression": "* * * * * *"},
        "metadata": {"m": 1},
    }
    assert str(uuid.UUID(trigger.id)) == trigger.id

    trigger.unregister()
    trigger.unregister()
    assert connection.message("unregistertrigger") == {
        "type": "unregistertrigger",
        "id": trigger.id,
        "trigger_type": "cron",
    }
    connection.drop()
    assert not engine.connection(2).of("registertrigger")
    assert len(connection.of("unregistertrigger")) == 1


def test_a_trigger_binds_in_the_workers_namespace_unless_told(engine: FakeEngine, connect: Connect) -> None:
    worker = connect(namespace="orders")
    worker.register_trigger({"type": "a", "function_id": "f"})
    worker.register_trigger({"type": "b", "function_id": "f", "namespace": "other", "trigger_namespace": "clocks"})
    own = engine.connection().message("registertrigger", trigger_type="a")
    assert own["namespace"] == "orders"
    assert own.keys() == {"type", "id", "trigger_type", "function_id", "namespace"}
    told = engine.connection().message("registertrigger", trigger_type="b")
    assert (told["namespace"], told["trigger_namespace"]) == ("other", "clocks")
    with pytest.raises(ValueError, match=r"RegisterTriggerInput\.namespace"):
        worker.register_trigger({"type": "b", "function_id": "f", "namespace": " "})


def test_08_check_44_a_refused_trigger_is_logged(
    engine: FakeEngine, worker: iii.Worker, caplog: pytest.LogCaptureFixture
) -> None:
    worker.register_function("f", lambda data: data)
    connection = engine.connection()
    connection.message("registerfunction", id="f")
    result = {"type": "triggerregistrationresult", "id": "t1", "trigger_type": "cron", "function_id": "f"}
    connection.send(result)
    connection.send(result | {"error": {"code": "trigger_registration_failed", "message": "bad expression"}})
    connection.invoke("f")
    errors = [record.getMessage() for record in caplog.records if record.levelname == "ERROR"]
    assert errors == ["[iii] Trigger registration failed for 't1' (cron): bad expression"]


def test_newcomer_M9_a_refusal_names_the_function_and_what_was_written(
    engine: FakeEngine, worker: iii.Worker, caplog: pytest.LogCaptureFixture
) -> None:
    worker.register_function("f", lambda data: data)
    worker.register_trigger({"type": "httpp", "function_id": "f", "config": {"api_path": "/orders/:id"}})
    connection = engine.connection()
    sent = connection.message("registertrigger", trigger_type="httpp")
    result = {"type": "triggerregistrationresult", "id": sent["id"], "trigger_type": "httpp", "function_id": "f"}
    connection.send(result | {"error": {"code": "trigger_registration_failed", "message": "unknown"}})
    connection.invoke("f")
    (said,) = [record.getMessage() for record in caplog.records if record.levelname == "ERROR"]
    assert said.endswith("""(httpp): unknown (function=f, config={"api_path": "/orders/:id"})""")


def test_08_check_45_a_provider_hears_of_bindings_and_answers(
    engine: FakeEngine, worker: iii.Worker, caplog: pytest.LogCaptureFixture
) -> None:
    clock = AsyncClock()
    worker.register_trigger_type({"id": "clock", "description": "Ticks"}, clock)
    connection = engine.connection()
    assert connection.message("registertriggertype") == {
        "type": "registertriggertype",
        "id": "clock",
        "description": "Ticks",
    }

    connection.send(BINDING | {"config": {"every": 5}, "metadata": {"m": 1}, "namespace": "orders"})
    accepted = connection.message("triggerregistrationresult", id="b1")
    assert accepted == {
        "type": "triggerregistrationresult",
        "id": "b1",
        "trigger_type": "clock",
        "function_id": "tick",
    }
    config = iii.TriggerConfig(id="b1", function_id="tick", config={"every": 5}, metadata={"m": 1}, namespace="orders")
    assert clock.asked == [("register", config)]

    connection.send(BINDING | {"id": "b2"})
    refused = connection.message("triggerregistrationresult", id="b2")["error"]
    assert refused == {"code": "trigger_registration_failed", "message": "every is required"}
    connection.send(BINDING | {"id": "b3", "config": "own code"})
    assert connection.message("triggerregistrationresult", id="b3")["error"]["code"] == "BAD_CLOCK"

    connection.send({"type": "unregistertrigger", "id": "b1", "trigger_type": "clock"})
    engine.wait(lambda: clock.asked[-1] == ("unregister", config))
    connection.send({"type": "unregistertrigger", "id": "unheard", "trigger_type": "clock"})
    engine.wait(lambda: clock.asked[-1][1].id == "unheard")
    engine.wait(lambda: "never heard of it" in caplog.text)

    connection.send(BINDING | {"trigger_type": "other", "id": "b4"})
    connection.send({"type": "unregistertrigger", "id": "b4"})
    connection.invoke("unknown")
    assert not connection.of("triggerregistrationresult", id="b4")


def test_a_provider_may_be_sync(engine: FakeEngine, worker: iii.Worker) -> None:
    clock = SyncClock()
    worker.register_trigger_type({"id": "clock", "description": ""}, clock)
    connection = engine.connection()
    connection.message("registertriggertype")
    connection.send(BINDING | {"config": 1})
    assert "error" not in connection.message("triggerregistrationresult")
    connection.send({"type": "unregistertrigger", "id": "b1", "trigger_type": "clock"})
    engine.wait(lambda: clock.asked[-1][0] == "unregister")
    assert len(clock.threads) == 1
    assert "iii worker" not in clock.threads


def test_a_provider_that_is_still_at_it_is_cancelled_by_the_shutdown(engine: FakeEngine) -> None:
    entered, cancelled = threading.Event(), threading.Event()

    class SlowClock(AsyncClock):
        async def register_trigger(self, config: iii.TriggerConfig) -> None:
            entered.set()
            try:
                await asyncio.Event().wait()
            finally:
                cancelled.set()

    worker = iii.register_worker(engine.url)
    worker.register_trigger_type({"id": "clock", "description": ""}, SlowClock())
    connection = engine.connection()
    connection.message("registertriggertype")
    connection.send(BINDING)
    assert entered.wait(60)
    worker.shutdown()
    assert cancelled.is_set()


class Every(msgspec.Struct):
    every: int


def test_a_trigger_type_ref_binds_and_registers(engine: FakeEngine, worker: iii.Worker) -> None:
    clock = worker.register_trigger_type(
        {
            "id": "clock",
            "description": "Ticks",
            "trigger_request_format": Every,
            "call_request_format": {"type": "object"},
        },
        AsyncClock(),
    )
    clock.register_function("tick", lambda data: None, description="hears the clock")
    clock.register_trigger("tick", Every(5), {"m": 1})
    connection = engine.connection()
    described = connection.message("registertriggertype")
    assert described["trigger_request_format"]["properties"] == {"every": {"type": "integer"}}
    assert described["call_request_format"] == {"type": "object"}
    assert connection.message("registerfunction", id="tick")["description"] == "hears the clock"
    bound = connection.message("registertrigger")
    assert (bound["config"], bound["metadata"], bound["trigger_type"]) == ({"every": 5}, {"m": 1}, "clock")

    clock.unregister()
    assert connection.message("unregistertriggertype") == {"type": "unregistertriggertype", "id": "clock"}
    worker.unregister_trigger_type({"id": "clock"})
    with pytest.raises(KeyError, match=r"unregister_trigger_type\(\) needs the key 'id'; it has 'name'"):
        worker.unregister_trigger_type({"name": "clock"})
    worker.register_trigger_type({"id": "clock", "description": "again"}, AsyncClock())
    worker.unregister_trigger_type({"id": "clock", "namespace": "n"})
    assert connection.message("unregistertriggertype", namespace="n")["id"] == "clock"
