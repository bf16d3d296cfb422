"""An engine that does not read: the SDK's memory is bounded, senders wait, nothing is lost in silence (P5, P6, core 16)."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

import iii
from iii.protocol.limits import MIB, UNREAD_HIGH_BYTES
from tests.integration.sdk.connecting import Connect
from tests.integration.sdk.fake_engine import FakeConnection, FakeEngine

TEXT = "y" * 100_000
CALLS = 3000


def call(number: int, timeout_ms: int = 30_000) -> iii.TriggerRequest:
    payload = {"number": number, "text": TEXT}
    return {
        "function_id": "void",
        "payload": payload,
        "action": iii.TriggerAction.Void(),
        "timeout_ms": timeout_ms,
    }


def deaf(engine: FakeEngine) -> FakeConnection:
    """The engine's end, which reads no more."""
    connection = engine.connection()
    reading(engine, connection, lambda underlying: underlying.pause_reading())
    return connection


def reading(engine: FakeEngine, connection: FakeConnection, change: Callable[[Any], None]) -> None:
    done: list[bool] = []

    def on_loop() -> None:
        assert connection.transport is not None
        change(connection.transport.underlying_transport)
        done.append(True)

    engine.run(on_loop)
    engine.wait(lambda: done)


def fill(worker: iii.Worker) -> int:
    """Send until the worker takes no more; how many it took."""
    for number in range(CALLS):
        if not any(takes(worker, number) for _ in range(3)):  # once, its loop may only have had no turn
            return number
    raise AssertionError("unbounded")


def takes(worker: iii.Worker, number: int) -> bool:
    try:
        worker.trigger(call(number, timeout_ms=300))
    except iii.InvocationTimeout:
        return False
    return True


def test_core_16_P5_void_calls_wait_for_an_engine_that_does_not_read_and_all_arrive(
    engine: FakeEngine, worker: iii.Worker
) -> None:
    connection = deaf(engine)
    sent = fill(worker)
    assert worker.statistics().unsent_bytes <= UNREAD_HIGH_BYTES + MIB

    with pytest.raises(iii.InvocationTimeout):
        asyncio.run(worker.trigger_async(call(sent, timeout_ms=50)))
    with pytest.raises(iii.InvocationTimeout, match="not sent, because the engine is not reading"):
        worker.trigger({"function_id": "waits too", "timeout_ms": 50})

    reading(engine, connection, lambda underlying: underlying.resume_reading())
    for number in range(sent, sent + 50):
        worker.trigger(call(number))
    asyncio.run(worker.trigger_async(call(sent + 50)))
    engine.wait(lambda: len(connection.of("invokefunction", function_id="void")) > sent + 50)
    arrived = [each["data"]["number"] for each in connection.of("invokefunction", function_id="void")]
    assert arrived == list(range(sent + 51))
    assert worker.statistics().unsent_bytes == 0


def test_core_16_what_waited_is_kept_for_the_next_connection_and_losses_are_counted(
    engine: FakeEngine, connect: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    worker = connect()
    connection = deaf(engine)
    sent = fill(worker)
    connection.drop()
    again = engine.connection(2)
    engine.wait(lambda: again.of("invokefunction", function_id="void"))
    numbers = [each["data"]["number"] for each in again.of("invokefunction", function_id="void")]
    assert numbers == list(range(numbers[0], sent))  # the newest
    assert "Connection lost while the engine was not reading" in caplog.text
    assert worker.statistics().unsent_bytes == 0


def test_core_16_answers_are_taken_in_any_case(engine: FakeEngine, worker: iii.Worker) -> None:
    worker.register_function("large", lambda data: TEXT * 30)
    connection = engine.connection()
    connection.message("registerfunction", id="large")
    deaf(engine)
    for number in range(10):
        connection.send({"type": "invokefunction", "function_id": "large", "data": None, "invocation_id": str(number)})
    engine.wait(lambda: worker.statistics().unsent_bytes > UNREAD_HIGH_BYTES)
    reading(engine, connection, lambda underlying: underlying.resume_reading())
    for number in range(10):
        connection.message("invocationresult", invocation_id=str(number))


def test_core_16_a_shutdown_does_not_wait_for_an_engine_that_does_not_read(
    engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("iii.sdk.connection.CLOSE_S", 0.1)
    worker = iii.register_worker(engine.url)
    deaf(engine)
    fill(worker)
    worker.shutdown()
    with pytest.raises(iii.ClientShutdown):
        worker.trigger(call(0))
