"""Callers that give up, and handlers that hear of it, through a real engine (P7, P11; 10 §4)."""

import asyncio
import math
import threading
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
import pytest_asyncio

import iii
from iii.engine.session.session import Session
from iii.modules.pubsub.module import PubSub
from iii.sdk import running_invocations
from tests.integration.own_engine import OwnEngine

DEADLINE_S = 60.0
LONG_MS = 60_000


class House(OwnEngine[PubSub]):
    def busy(self) -> int:
        """Calls that the engine knows of."""
        peers = self.engine.roster.connections.values()
        return sum(len(each.handling) + len(each.calling.calls) for each in peers if isinstance(each, Session))


@pytest_asyncio.fixture
async def house() -> AsyncIterator[House]:
    house = await House.opened(PubSub)
    yield house
    try:
        await until(lambda: not house.busy(), "the engine to forget every call")
    finally:
        await house.disconnect()
        await house.module.stop()


async def until(look: Callable[[], Any], what: str) -> None:
    give_up_at = time.monotonic() + DEADLINE_S
    while not look():
        assert time.monotonic() < give_up_at, f"waited for {what}"
        await asyncio.sleep(0.002)


class Slow:
    """A handler that waits until it is told to end, and notes what happens to it."""

    def __init__(self) -> None:
        self.begun = 0
        self.cancelled = 0
        self.cleaned_up = 0
        self.release = asyncio.Event()

    async def __call__(self, data: Any) -> str:
        self.begun += 1
        try:
            await self.release.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        finally:
            await asyncio.sleep(0)
            self.cleaned_up += 1
        return "done"


@pytest.fixture
def slow(house: House) -> Slow:
    slow = Slow()
    house.worker.register_function("test::slow", slow)
    return slow


def request(**more: Any) -> Any:
    return {"function_id": "test::slow", **more}


async def test_P11_a_started_call_is_awaited(house: House, slow: Slow) -> None:
    caller = await house.connect()
    call = caller.start(request())
    await until(lambda: slow.begun, "the handler")
    assert not call.done()
    with pytest.raises(RuntimeError, match="await call"):
        call.result()  # it would hold up the loop that brings the result
    slow.release.set()
    assert [await call, await call, call.result()] == ["done"] * 3
    assert call.done()
    assert call.cancel() is False


async def test_P11_a_cancelled_call_stops_an_async_handler(house: House, slow: Slow) -> None:
    caller = await house.connect()
    call = caller.start(request())
    await until(lambda: slow.begun, "the handler")
    assert call.cancel() is True
    assert call.cancel() is False
    with pytest.raises(iii.InvocationCancelled, match="CANCELLED: invocation was cancelled") as raised:
        await call
    assert (raised.value.function_id, raised.value.invocation_id) == ("test::slow", call.invocation_id)
    await until(lambda: slow.cleaned_up, "the clean-up")
    assert slow.cancelled == 1


async def test_P11_a_call_is_started_and_cancelled_from_threads(house: House, slow: Slow) -> None:
    caller = await house.connect()

    def start_and_cancel() -> None:
        call = caller.start(request())
        with pytest.raises(TimeoutError):
            call.result(0.001)
        for wrong in (-1, math.nan):
            with pytest.raises(ValueError, match=f"timeout_s must not be negative, got {wrong}"):
                call.result(wrong)
        with pytest.raises(TypeError, match="timeout_s must be a number of seconds, got '1'"):
            call.result("1")  # type: ignore[arg-type]
        assert not call.done()
        assert call.cancel()
        with pytest.raises(iii.InvocationCancelled):
            call.result(1e300)
        with pytest.raises(iii.InvocationCancelled):
            call.result()

    await asyncio.to_thread(start_and_cancel)
    await until(lambda: slow.begun == slow.cleaned_up, "the clean-up")

    async def on_another_loop() -> str:
        call = caller.start(request())
        result: str = await call
        return result

    slow.release.set()
    assert await asyncio.to_thread(lambda: asyncio.run(on_another_loop())) == "done"


async def test_P11_a_task_that_is_cancelled_cancels_its_call(house: House, slow: Slow) -> None:
    caller = await house.connect()
    task = asyncio.create_task(caller.trigger_async(request()))
    await until(lambda: slow.begun, "the handler")
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await until(lambda: slow.cancelled, "the handler to be cancelled")


async def test_10_check_6_P11_cancelling_goes_on_to_the_calls_of_a_handler(house: House, slow: Slow) -> None:
    async def outer(data: Any) -> Any:
        return await house.worker.trigger_async(request())

    house.worker.register_function("test::outer", outer)
    call = (await house.connect()).start({"function_id": "test::outer"})
    await until(lambda: slow.begun, "the inner handler")
    call.cancel()
    await until(lambda: slow.cancelled, "the inner handler to be cancelled")


async def test_P11_a_sync_handler_can_ask(house: House) -> None:
    begun, seen = threading.Event(), list[iii.Invocation]()

    def handler(data: Any) -> None:
        invocation = iii.current_invocation()
        begun.set()
        while not invocation.cancelled:
            time.sleep(0.001)
        seen.append(invocation)

    house.worker.register_function("test::sync", handler)
    call = (await house.connect()).start({"function_id": "test::sync"})
    await until(begun.is_set, "the handler")
    call.cancel()
    await until(lambda: seen, "the end of the handler")
    assert (seen[0].function_id, seen[0].invocation_id) == ("test::sync", call.invocation_id)
    assert (seen[0].deadline, seen[0].remaining_s) == (None, None)


async def test_P11_a_cancelled_handler_may_say_what_it_likes(house: House, caplog: pytest.LogCaptureFixture) -> None:
    """A result or an error of it reaches nobody, and only an error is logged."""
    begun = list[str]()

    async def handler(data: str) -> str:
        begun.append(data)
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            if data == "raises":
                raise ValueError("clean-up failed") from None
            if data == "passes it on":
                raise
        return data

    house.worker.register_function("test::h", handler)
    caller = await house.connect()
    for data in ("returns", "raises", "passes it on"):
        call = caller.start({"function_id": "test::h", "payload": data})
        await until(lambda data=data: data in begun, "the handler")  # type: ignore[misc]
        call.cancel()
        with pytest.raises(iii.InvocationCancelled):
            await call
    await house.settled()
    await until(lambda: len(caplog.records), "the log")
    assert ["clean-up failed" in each.getMessage() for each in caplog.records if each.name == "iii.sdk"] == [True]


async def test_P11_a_handler_that_does_not_stop_is_logged(
    house: House, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(running_invocations, "CLEAN_UP_S", 0.02)
    begun, release = asyncio.Event(), asyncio.Event()

    async def stubborn(data: Any) -> None:
        begun.set()
        while not release.is_set():
            try:
                await release.wait()
            except asyncio.CancelledError:
                pass

    house.worker.register_function("test::stubborn", stubborn)
    call = (await house.connect()).start({"function_id": "test::stubborn"})
    await begun.wait()
    call.cancel()
    await until(lambda: any("still running" in each.getMessage() for each in caplog.records), "the warning")
    release.set()


async def test_P7_time_outs_travel(house: House, slow: Slow) -> None:
    caller = await house.connect()
    with pytest.raises(iii.InvocationTimeout, match="timed out after 50ms"):
        await caller.trigger_async(request(timeout_ms=50))
    with pytest.raises(iii.InvocationTimeout, match="timed out after 50ms"):
        await asyncio.to_thread(caller.trigger, request(timeout_ms=50))
    with pytest.raises(iii.InvocationTimeout, match="timed out after 50ms"):
        await caller.start(request(timeout_ms=50))
    await until(lambda: slow.cancelled == 3, "the handlers to be cancelled")


async def test_P7_the_default_does_not_travel(house: House, slow: Slow) -> None:
    caller = await house.connect(invocation_timeout_ms=20)
    with pytest.raises(iii.InvocationTimeout):
        await caller.trigger_async(request())
    with pytest.raises(iii.InvocationTimeout):
        await caller.start(request())
    await house.settled()
    assert (slow.begun, slow.cancelled) == (2, 0)
    slow.release.set()


async def test_P7_calls_of_a_handler_end_with_it(house: House, slow: Slow) -> None:
    seen = list[float | None]()

    async def deadline(data: Any) -> None:
        seen.append(iii.current_invocation().remaining_s)

    async def outer(data: dict[str, Any]) -> None:
        await house.worker.trigger_async({"function_id": "test::deadline", "timeout_ms": data.get("timeout_ms")})

    house.worker.register_function("test::deadline", deadline)
    house.worker.register_function("test::outer", outer)
    await house.worker.list_functions_async()  # behind the registrations
    caller = await house.connect()

    async def call(**more: Any) -> float | None:
        within = more.pop("within", None)
        await caller.trigger_async({"function_id": "test::outer", "payload": more, "timeout_ms": within})
        return seen[-1]

    assert await call() is None
    inherited = await call(within=20_000)
    assert inherited is not None
    assert 0 < inherited <= 20
    told_otherwise = await call(within=20_000, timeout_ms=LONG_MS)
    assert told_otherwise is not None
    assert 20 < told_otherwise <= 60
    inherited = await call(within=LONG_MS)
    assert inherited is not None
    assert inherited <= 30  # the client's default is shorter


async def test_P7_no_call_begins_after_the_deadline(house: House, slow: Slow) -> None:
    raised = list[BaseException]()

    def outer(data: Any) -> None:
        while iii.current_invocation().remaining_s != 0:
            time.sleep(0.001)
        try:
            house.worker.start(request())
        except iii.InvocationTimeout as error:
            raised.append(error)

    house.worker.register_function("test::outer", outer)
    with pytest.raises(iii.InvocationTimeout):
        await house.worker.trigger_async({"function_id": "test::outer", "timeout_ms": 1000})  # its thread begins before
    await until(lambda: raised, "the handler")
    assert slow.begun == 0


def test_P11_outside_of_a_handler_there_is_no_invocation() -> None:
    with pytest.raises(LookupError, match="handler"):
        iii.current_invocation()


async def test_P11_a_void_call_has_no_handle(house: House) -> None:
    with pytest.raises(ValueError, match="void"):
        house.worker.start(request(action=iii.TriggerAction.Void()))


async def test_P11_a_started_call_ends_with_its_worker(house: House, slow: Slow) -> None:
    caller = await house.connect()
    call = caller.start(request())
    await until(lambda: slow.begun, "the handler")
    await caller.shutdown_async()
    with pytest.raises(iii.ClientShutdown):
        await call
    assert call.cancel() is False
    slow.release.set()
    with pytest.raises(iii.ClientShutdown):
        caller.start(request())


async def test_P11_a_sync_handler_that_does_not_stop_is_logged(
    house: House, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(running_invocations, "CLEAN_UP_S", 0.02)
    begun, release = threading.Event(), threading.Event()

    def stuck(data: Any) -> None:
        begun.set()
        release.wait()

    house.worker.register_function("test::stuck", stuck)
    call = (await house.connect()).start({"function_id": "test::stuck"})
    await until(begun.is_set, "the handler")
    call.cancel()
    await until(lambda: any("still running" in each.getMessage() for each in caplog.records), "the warning")
    release.set()
    assert [each.fields["function"] for each in caplog.records if "still running" in each.getMessage()] == [  # type: ignore[attr-defined]
        "test::stuck"
    ]
