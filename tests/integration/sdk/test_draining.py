"""How a worker leaves in order (P12, 09 §3.3)."""

import asyncio
import logging
import threading
from typing import Any

import pytest

import iii
from iii.sdk import draining
from tests.integration.sdk.connecting import Connect
from tests.integration.sdk.fake_engine import ANNOUNCE, DEADLINE_S, DRAIN, FakeConnection, FakeEngine


class Slow:
    """A sync handler that a test lets end."""

    def __init__(self, worker: iii.Worker, function_id: str = "slow") -> None:
        self.entered = threading.Event()
        self.may_end = threading.Event()
        self.worker = worker
        worker.register_function(function_id, self._run)

    def _run(self, data: Any) -> Any:
        self.entered.set()
        assert self.may_end.wait(DEADLINE_S)
        return data

    def call(self, connection: FakeConnection, invocation_id: str = "i") -> None:
        """Until it runs."""
        call = {"type": "invokefunction", "function_id": "slow", "data": 7, "invocation_id": invocation_id}
        connection.send(call)
        assert self.entered.wait(DEADLINE_S)


class Drain(threading.Thread):
    """`worker.drain()` on a thread."""

    def __init__(self, worker: iii.Worker, timeout_s: float = DEADLINE_S) -> None:
        super().__init__(daemon=True)  # one that waits for ever fails its test, and holds up no other
        self._worker = worker
        self._timeout_s = timeout_s
        self.ended_in_time: bool | None = None
        self.start()

    def run(self) -> None:
        self.ended_in_time = self._worker.drain(self._timeout_s)

    def result(self) -> bool | None:
        self.join(DEADLINE_S)
        return self.ended_in_time


def test_P12_a_worker_that_runs_nothing_leaves_with_the_answer(
    engine: FakeEngine, worker: iii.Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(draining, "LOOK_S", DEADLINE_S)
    worker.register_function("f", lambda data: data)
    connection = engine.connection()
    drain = Drain(worker)
    connection.message("invokefunction", function_id=DRAIN)
    assert drain.result() is True


def test_P12_handlers_end_and_are_answered_before_the_worker_leaves(engine: FakeEngine, worker: iii.Worker) -> None:
    slow = Slow(worker)
    connection = engine.connection()
    slow.call(connection)
    drain = Drain(worker, 5)
    asked = connection.message("invokefunction", function_id=DRAIN)
    assert asked["data"] == {"worker_id": "W1", "timeout_ms": 10_000}  # it leaves before the engine ends that
    assert not connection.of("unregisterfunction")
    assert drain.is_alive()
    slow.may_end.set()
    assert drain.result() is True
    assert connection.message("invocationresult", invocation_id="i")["result"] == 7
    engine.wait(lambda: connection.close_code == 1000)
    with pytest.raises(iii.ClientShutdown):
        worker.trigger({"function_id": "f"})
    assert worker.drain() is True  # again does nothing


def test_P12_calls_that_came_before_are_not_refused(engine: FakeEngine, worker: iii.Worker) -> None:
    worker.register_function("f", lambda data: data)
    connection = engine.connection()
    engine.drains = False
    engine.answers[DRAIN] = lambda call: None  # it is slow
    drain = Drain(worker)
    connection.message("invokefunction", function_id=DRAIN)
    assert connection.invoke("f", 5)["result"] == 5
    connection.send({"type": "drainworker", "timeout_ms": 5000})
    assert drain.result() is True


def test_P12_handlers_may_call_others_until_they_have_ended(engine: FakeEngine, worker: iii.Worker) -> None:
    engine.answers["state::set"] = {"old_value": None}
    begun, may_go_on = threading.Event(), threading.Event()

    async def asks(data: object) -> object:
        begun.set()
        await asyncio.to_thread(may_go_on.wait, DEADLINE_S)
        return await worker.trigger_async({"function_id": "state::set"})

    worker.register_function("asks", asks)
    connection = engine.connection()
    connection.send({"type": "invokefunction", "function_id": "asks", "data": 7, "invocation_id": "i"})
    assert begun.wait(DEADLINE_S)
    drain = Drain(worker)
    connection.message("invokefunction", function_id=DRAIN)
    may_go_on.set()
    assert drain.result() is True
    assert connection.message("invocationresult", invocation_id="i")["result"] == {"old_value": None}


def test_P12_what_does_not_end_in_time_is_cut_off(
    engine: FakeEngine, worker: iii.Worker, caplog: pytest.LogCaptureFixture
) -> None:
    slow = Slow(worker)
    slow.call(engine.connection())
    try:
        assert worker.drain(0.1) is False
    finally:
        slow.may_end.set()
    told = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert any("Worker stops while handlers run" in text for text in told)
    engine.wait(lambda: engine.connection().close_code == 1000)


def test_P12_a_shutdown_meanwhile_ends_the_wait(engine: FakeEngine, worker: iii.Worker) -> None:
    slow = Slow(worker)
    connection = engine.connection()
    connection.message("registerfunction")
    slow.call(connection)
    drain = Drain(worker, timeout_s=600)
    connection.message("invokefunction", function_id=DRAIN)
    worker.shutdown()
    assert drain.result() is False
    slow.may_end.set()


def test_P12_an_engine_without_the_function_is_told_by_the_old_messages(engine: FakeEngine, worker: iii.Worker) -> None:
    engine.drains = False
    engine.answers[DRAIN] = lambda call: {"error": {"code": "function_not_found", "message": "no"}}
    worker.register_function("f", lambda data: data)
    trigger = worker.register_trigger({"type": "cron", "function_id": "f", "config": {"expression": "* * * * *"}})
    connection = engine.connection()
    assert worker.drain(5) is True
    connection.message("unregisterfunction", id="f")
    connection.message("unregistertrigger", id=trigger.id)


def test_P12_so_is_one_that_does_not_answer(
    engine: FakeEngine, worker: iii.Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(draining, "ANSWER_S", 0.1)
    engine.drains = False
    engine.answers[DRAIN] = lambda call: None
    worker.register_function("f", lambda data: data)
    connection = engine.connection()
    assert worker.drain(5) is True
    connection.message("unregisterfunction", id="f")


def test_P12_a_worker_that_serves_nothing_asks_nobody(engine: FakeEngine, worker: iii.Worker) -> None:
    connection = engine.connection()
    assert worker.drain(5) is True
    engine.wait(lambda: connection.close_code == 1000)
    assert not connection.of("invokefunction", function_id=DRAIN)


def test_P12_a_new_connection_registers_nothing_while_it_drains(engine: FakeEngine, worker: iii.Worker) -> None:
    slow = Slow(worker)
    connection = engine.connection()
    slow.call(connection)
    drain = Drain(worker)
    connection.message("invokefunction", function_id=DRAIN)
    connection.drop()
    again = engine.connection(2)
    assert not again.of("registerfunction")
    slow.may_end.set()
    assert drain.result() is True
    assert again.message("invocationresult", invocation_id="i")["result"] == 7


def test_P12_a_drain_by_somebody_else_ends_the_worker(engine: FakeEngine, connect: Connect) -> None:
    worker = connect()
    slow = Slow(worker)
    connection = engine.connection()
    assert "drain.v1" in connection.announced()["features"]
    slow.call(connection)
    connection.send({"type": "drainworker", "timeout_ms": 9000})
    slow.may_end.set()
    assert connection.message("invocationresult", invocation_id="i")["result"] == 7
    engine.wait(lambda: connection.close_code == 1000)
    engine.wait(lambda: worker.get_connection_state() == "disconnected")
    assert not connection.of("invokefunction", function_id=DRAIN)
    assert len(engine.connections) == 1


def test_P12_a_handler_cannot_wait_for_its_own_end(engine: FakeEngine, worker: iii.Worker) -> None:
    worker.register_function("leave", lambda data: worker.drain())
    error = engine.connection().invoke("leave")["error"]
    assert "drain() in a handler would wait for that handler" in error["message"]


def test_P12_nor_can_an_async_one_but_what_it_leaves_behind(engine: FakeEngine, connect: Connect) -> None:
    worker = connect()
    kept: list[Any] = []

    async def leave(data: object) -> None:
        await worker.drain_async()

    async def leave_later(data: object) -> str:
        kept.append(asyncio.create_task(worker.drain_async()))
        return "soon"

    worker.register_function("leave", leave)
    worker.register_function("leave_later", leave_later)
    connection = engine.connection()
    error = connection.invoke("leave", invocation_id="1")["error"]
    assert "asyncio.create_task(worker.drain_async()) drains when the handler has ended" in error["message"]
    assert connection.invoke("leave_later", invocation_id="2")["result"] == "soon"
    engine.wait(lambda: connection.close_code == 1000)


@pytest.mark.parametrize("limit", [-1, float("nan"), float("inf"), "5", True, None])
def test_P12_a_limit_that_makes_no_sense_is_refused(worker: iii.Worker, limit: Any) -> None:
    with pytest.raises(ValueError, match=r"timeout_s must be a number of seconds from 0 to 86400, got"):
        worker.drain(limit)
    with pytest.raises(ValueError, match="drain_timeout_s must be a number of seconds"):
        iii.InitOptions(drain_timeout_s=limit)
    assert worker.get_connection_state() == "connected"


async def test_P12_a_native_worker(engine: FakeEngine) -> None:
    begun = asyncio.Event()

    async def slow(data: object) -> object:
        begun.set()
        await asyncio.sleep(0.05)
        return data

    async with iii.connect_worker(engine.url) as worker:
        worker.register_function("slow", slow)
        connection = engine.connection()
        connection.send({"type": "invokefunction", "function_id": "slow", "data": 7, "invocation_id": "i"})
        await asyncio.wait_for(begun.wait(), DEADLINE_S)
        first, second = await asyncio.gather(worker.drain_async(5), worker.drain_async(0))
        assert (first, second) == (True, True)
    assert connection.message("invocationresult", invocation_id="i")["result"] == 7
    engine.wait(lambda: connection.close_code == 1000)
    assert len(connection.of("invokefunction", function_id=DRAIN)) == 1


def test_P12_a_worker_that_is_drained_before_it_was_accepted_does_not_wait(engine: FakeEngine) -> None:
    engine.answers[ANNOUNCE] = lambda call: None
    raised: list[Exception] = []
    ended = threading.Event()

    def register() -> None:
        try:
            iii.register_worker(engine.url)
        except iii.ClientShutdown as error:
            raised.append(error)
        ended.set()

    starting = threading.Thread(target=register)
    starting.start()
    engine.connection(1).send({"type": "drainworker", "timeout_ms": 1000})
    assert ended.wait(DEADLINE_S)  # not until `connect_timeout_ms` is over
    starting.join()
    assert len(raised) == 1


async def test_P12_so_does_a_native_one(engine: FakeEngine) -> None:
    engine.answers[ANNOUNCE] = lambda call: None

    async def start() -> iii.Worker:
        return await iii.connect_worker(engine.url)

    starting = asyncio.create_task(start())
    connection = await asyncio.to_thread(engine.connection, 1)
    connection.send({"type": "drainworker", "timeout_ms": 1000})
    async with asyncio.timeout(DEADLINE_S):
        with pytest.raises(iii.ClientShutdown):
            await starting
