"""Waiting for awaitables of any make (core 3): what is awaited behaves as if it were awaited by itself."""

import asyncio
import types
from collections.abc import Callable, Generator
from typing import Any

import pytest

from iii.sdk.awaited import awaited, in_thread
from tests.hostile import AWAITABLES, EXCEPTIONS, DoneTwice, FutureThatRaises, Stranger


class Patient(Stranger):
    """Done when it is told so; remembers that it was cancelled."""

    def __init__(self) -> None:
        self.callbacks: list[tuple[Callable[[Any], object], Any]] = []
        self.cancelled_with: list[Any] = []
        self.asked = asyncio.Event()

    def __await__(self) -> Generator[Any, Any, str]:
        yield self
        if self.cancelled_with:
            raise asyncio.CancelledError(*self.cancelled_with)
        return "patience"

    def add_done_callback(self, callback: Any, *, context: Any = None) -> None:
        self.callbacks.append((callback, context))
        self.asked.set()

    def cancel(self, msg: Any = None) -> bool:
        self.cancelled_with.append(msg)
        self.finish()
        return True

    def finish(self) -> None:
        for callback, context in self.callbacks:
            asyncio.get_running_loop().call_soon(callback, self, context=context)


@types.coroutine
def old_style() -> Generator[Any, Any, str]:
    yield from asyncio.sleep(0).__await__()
    return "old"


async def test_results_come_through() -> None:
    future = asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().call_soon(future.set_result, "future")
    assert await awaited(future) == "future"
    assert await awaited(old_style()) == "old"
    assert await awaited(DoneTwice()) == "done"
    assert await awaited(asyncio.sleep(0, "slept")) == "slept"
    assert await awaited(asyncio.create_task(asyncio.sleep(0, "task"))) == "task"
    patient = Patient()
    task = asyncio.create_task(awaited(patient))
    await patient.asked.wait()
    assert not task.done()
    patient.finish()
    assert await task == "patience"


async def test_cancelling_reaches_what_is_awaited() -> None:
    patient = Patient()
    task = asyncio.create_task(awaited(patient))
    await patient.asked.wait()
    task.cancel("why")
    with pytest.raises(asyncio.CancelledError):
        await task
    assert patient.cancelled_with == ["why"]

    class CannotBeCancelled(Patient):
        def cancel(self, msg: Any = None) -> bool:
            raise SystemExit

    stubborn = CannotBeCancelled()
    task = asyncio.create_task(awaited(stubborn))
    await stubborn.asked.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_timeouts_and_groups_work_inside() -> None:
    async def handler() -> str:
        try:
            async with asyncio.timeout(0.001):
                await asyncio.Event().wait()
        except TimeoutError:
            pass
        async with asyncio.TaskGroup() as group:
            first = group.create_task(asyncio.sleep(0, "a"))
            second = group.create_task(asyncio.sleep(0, "b"))
        return first.result() + second.result()

    assert await awaited(handler()) == "ab"


@pytest.mark.parametrize("make", [each for each in AWAITABLES if each is not DoneTwice])
async def test_core_3_what_cannot_be_awaited_raises_in_who_awaits_it(make: Callable[[], Any]) -> None:
    async def handler() -> str:
        try:
            await make()
        except BaseException as error:
            return f"caught {type(error).__name__}"
        return "nothing"

    assert (await awaited(handler())).startswith("caught ")


async def test_core_3_an_exit_of_a_future_is_an_exception_like_others() -> None:
    with pytest.raises(SystemExit):
        await awaited(FutureThatRaises())
    with pytest.raises(RuntimeError, match="YieldsNonsense cannot be awaited"):
        await awaited(AWAITABLES[4]())


async def test_a_coroutine_that_is_closed_closes_the_handler() -> None:
    closed = []

    async def handler() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            closed.append(True)

    waiting = awaited(handler())
    waiting.send(None)
    waiting.close()
    assert closed == [True]


@pytest.mark.parametrize("number", range(len(EXCEPTIONS)))
async def test_core_3_no_exception_of_a_thread_is_waited_for_without_end(number: int) -> None:
    def fail() -> None:
        raise EXCEPTIONS[number]()

    async with asyncio.timeout(60):
        with pytest.raises(BaseException):  # noqa: B017, PT011 - any; StopIteration becomes RuntimeError
            await in_thread(fail)


async def test_a_thread_may_give_what_has_to_be_awaited() -> None:
    assert await in_thread(lambda value: asyncio.sleep(0, value), 5) == 5
    assert await in_thread(lambda: 7) == 7
