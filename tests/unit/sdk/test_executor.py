"""Each call is answered once, also where something fails around its handler (08 §7.3)."""

from __future__ import annotations

import asyncio
import json
import logging
import sys
import threading
import weakref
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

import msgspec
import pytest

from iii.protocol.messages import InvokeFunction
from iii.sdk import answers
from iii.sdk.annotations import Hints
from iii.sdk.channel_opener import ChannelOpener
from iii.sdk.encoding import encode_outgoing
from iii.sdk.executor import Executor
from iii.sdk.handlers import Handler
from iii.sdk.registrations import Function
from iii.sdk.threads import HandlerThreads
from tests.unit.sdk.span_makers import maker

DEADLINE_S = 60.0


class Desk:
    """An executor, and what it has said."""

    def __init__(self, new_span: Callable[[InvokeFunction], Any] | None = None) -> None:
        self.loop = asyncio.get_running_loop()
        self.functions: dict[str, Function] = {}
        self.said: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.threads = HandlerThreads()
        self.executor = Executor(self.functions, self.loop, self.threads, self.send, self.send, maker(new_span))

    def send(self, frame: bytes) -> None:
        self.loop.call_soon_threadsafe(self.said.put_nowait, json.loads(frame))

    def call(self, handler: Callable[..., Any], invocation_id: str | None = "I", payload: Any = 1) -> None:
        self.functions["f"] = Function(b"", Handler(handler, Hints(handler), ChannelOpener("ws://h", {})), "")
        self.executor.execute(InvokeFunction("f", msgspec.Raw(msgspec.json.encode(payload)), invocation_id))

    async def answer(self) -> dict[str, Any]:
        async with asyncio.timeout(DEADLINE_S):
            return await self.said.get()


def sync(number: int) -> int:
    return number + 1


async def at_once(number: int) -> int:
    return number + 1


async def later(number: int) -> int:
    await asyncio.sleep(0)
    return number + 1


class Span:
    """Fails when it is ended."""

    def __init__(self, quiet: bool) -> None:
        self.quiet = quiet

    def answered(self, result: bytes) -> None:
        raise ValueError("ended")

    def succeeded(self, result: Any) -> str:
        raise ValueError("ended")

    def failed(self, error: BaseException) -> str:
        raise ValueError("ended")


def no_span(message: InvokeFunction) -> Any:
    raise ValueError("no span")


@pytest.mark.parametrize("handler", [sync, at_once, later], ids=lambda handler: handler.__name__)
@pytest.mark.parametrize(
    ("new_span", "step"),
    [(no_span, "start"), (lambda message: Span(False), "end"), (lambda message: Span(True), "end")],
    ids=["start", "end", "end of a quiet one"],
)
async def test_a_span_that_fails_costs_its_span_and_not_the_answer(
    handler: Callable[..., Any], new_span: Any, step: str, caplog: pytest.LogCaptureFixture
) -> None:
    desk = Desk(new_span)
    desk.call(handler)
    assert (await desk.answer())["result"] == 2
    told = [each.__dict__["fields"] for each in caplog.records if each.__dict__.get("event") == "sdk.span_failed"]
    assert [(each["function"], each["step"]) for each in told] == [("f", step)]


async def test_a_call_without_an_answer_ends_its_span_and_says_nothing() -> None:
    ended: list[Any] = []

    class Counting:
        def __init__(self, quiet: bool) -> None:
            self.quiet = quiet

        def answered(self, result: bytes) -> None:
            ended.append(result)

        def succeeded(self, result: bytes) -> str:
            ended.append(result)
            return "00-trace"

    desk = Desk(lambda message: Counting(False))
    desk.call(at_once, None)
    desk.call(later)
    assert await desk.answer() == {
        "type": "invocationresult", "invocation_id": "I", "function_id": "f", "result": 2, "traceparent": "00-trace",
    }  # fmt: skip
    assert ended == [b"2", b"2"]
    assert desk.said.empty()

    quiet = Desk(lambda message: Counting(True))
    quiet.call(at_once, None)
    quiet.call(later)
    assert "traceparent" not in await quiet.answer()
    assert ended[2] == b"2"
    assert len(ended) == 4
    assert quiet.said.empty()


async def test_an_error_that_cannot_be_encoded_is_answered_with_one_that_can(monkeypatch: pytest.MonkeyPatch) -> None:
    refused = ["first"]

    def once(*arguments: Any) -> bytes:
        if refused:
            raise ValueError(refused.pop())
        return encode_outgoing(*arguments)

    def fail(number: int) -> None:
        monkeypatch.setattr(answers, "encode_outgoing", once)
        raise KeyError("why")

    desk = Desk()
    desk.call(fail)
    error = (await desk.answer())["error"]
    assert error == {"code": "invocation_failed", "message": "the function failed, and its error could not be encoded"}


async def test_a_socket_that_always_fails_ends_the_tries(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL)
    desk, tries, ended = Desk(), 0, asyncio.Event()

    def send(frame: bytes) -> None:
        nonlocal tries
        tries += 1
        desk.loop.call_soon(ended.set)
        raise OSError("gone")

    desk.executor = Executor(desk.functions, desk.loop, desk.threads, send, send, None)
    desk.call(at_once)
    async with asyncio.timeout(DEADLINE_S):
        await ended.wait()
    assert tries == 11  # once as an answer, then as often as is tried
    assert not desk.executor.busy


async def test_a_sync_handler_whose_loop_has_ended_meanwhile_is_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    loop = asyncio.new_event_loop()
    entered, go_on, ended = threading.Event(), threading.Event(), threading.Event()
    awaited: list[int] = []

    async def rest(number: int) -> None:
        awaited.append(number)

    def begin(number: int) -> Any:
        entered.set()
        go_on.wait(DEADLINE_S)
        return CoroutineLike(number)

    class CoroutineLike:
        def __init__(self, number: int) -> None:
            self.number = number

        def __await__(self) -> Any:
            return rest(self.number).__await__()

    desk = Desk()
    run = desk.threads.run

    def run_and_tell(job: Callable[[], object]) -> None:
        def both() -> None:
            job()
            ended.set()

        run(both)

    monkeypatch.setattr(desk.threads, "run", run_and_tell)
    desk.executor = Executor(desk.functions, loop, desk.threads, desk.send, desk.send, None)
    desk.call(begin)
    assert await asyncio.to_thread(entered.wait, DEADLINE_S)
    loop.close()
    go_on.set()
    assert await asyncio.to_thread(ended.wait, DEADLINE_S)
    assert (awaited, desk.said.empty()) == ([], True)


async def test_P11_a_call_that_is_cancelled_before_its_thread_begins_calls_nobody(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    desk = Desk()
    called: list[int] = []
    jobs: list[Callable[[], object]] = []
    monkeypatch.setattr(desk.threads, "run", jobs.append)  # a system that is slow to start a thread
    desk.call(called.append)
    desk.executor.cancel("I")
    desk.executor.cancel("I")
    desk.executor.cancel("unknown")
    assert desk.executor.busy is False  # no task, and no thread yet
    (job,) = jobs
    job()
    assert (called, desk.said.empty()) == ([], True)


async def test_P11_two_calls_with_one_id_are_both_known_until_each_has_ended() -> None:
    desk, gates = Desk(), [asyncio.Event(), asyncio.Event()]

    async def wait(number: int) -> int:
        await gates[number].wait()
        return number

    desk.call(wait, payload=0)
    desk.call(wait, payload=1)
    await asyncio.sleep(0)
    assert desk.executor.busy
    gates[1].set()
    assert (await desk.answer())["result"] == 1
    assert desk.executor.busy
    gates[0].set()
    assert (await desk.answer())["result"] == 0
    await asyncio.sleep(0)
    assert not desk.executor.busy


STATE: ContextVar[str] = ContextVar("state", default="outside")


async def test_a_handler_that_never_waits_runs_at_once_and_in_a_context_of_its_own() -> None:
    """A task would cost more than all else of such a call (Python 3.12 begins tasks at once instead)."""
    desk = Desk()
    seen: list[tuple[str, list[str], str]] = []
    order: list[str] = []

    async def look(number: int) -> int:
        task: Any = asyncio.current_task()
        seen.append((STATE.get(), desk.executor.functions(), task.get_name()))
        order.append("run")
        STATE.set("inside")
        return number

    def call() -> None:
        desk.call(look)
        order.append("returned")

    desk.loop.call_soon(call)
    desk.loop.call_soon(call)
    assert [(await desk.answer())["result"] for _ in range(2)] == [1, 1]
    running = [] if sys.version_info >= (3, 12) else ["f"]  # of a task, once it waits
    assert seen == [("outside", running, "f")] * 2, "nothing of the other one"
    assert order == ["run", "returned"] * 2
    assert STATE.get() == "outside"
    assert (desk.executor.handlers, desk.executor.busy) == (0, False)


@pytest.mark.parametrize("error", [KeyError("missing"), StopIteration(1), asyncio.CancelledError()], ids=repr)
async def test_a_handler_that_never_waits_may_raise_and_the_next_one_runs(error: BaseException) -> None:
    desk = Desk()

    async def fail(number: int) -> int:
        if number == 1:
            raise error
        return number

    for payload in (1, 2, 1, 3):
        desk.loop.call_soon(desk.call, fail, "I", payload)
    answers = [await desk.answer() for _ in range(4)]
    assert [answer.get("result") for answer in answers] == [None, 2, None, 3]
    assert [answer.get("error", {}).get("code") for answer in answers] == ["invocation_failed", None] * 2
    assert (desk.executor.handlers, desk.executor.busy) == (0, False)


async def test_nothing_of_a_handler_that_never_waits_is_kept() -> None:
    """What runs the next one holds neither its payload nor its result."""
    desk = Desk()

    class Thing(dict[str, int]): ...

    seen: list[weakref.ref[Thing]] = []

    async def make(number: int) -> Thing:
        thing = Thing(n=number)
        seen.append(weakref.ref(thing))
        return thing

    desk.loop.call_soon(desk.call, make)
    assert (await desk.answer())["result"] == {"n": 1}
    assert [each() for each in seen] == [None]


async def test_what_waits_is_a_task_named_after_its_function() -> None:
    desk = Desk()
    desk.call(later)
    assert "f" in {task.get_name() for task in asyncio.all_tasks()}
    assert (await desk.answer())["result"] == 2


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="it has a task there")
async def test_a_handler_without_a_task_finds_one_all_the_same() -> None:
    """Of its own, weakly referenced and told of its end, as whoever keeps things by task expects; without effect is a cancel."""
    desk = Desk()
    found: list[Any] = []
    ended: list[Any] = []
    answers: list[Any] = []

    async def look(number: int) -> int:
        task: Any = asyncio.current_task()
        found.append(task)
        task.set_name(f"{task.get_name()} {number}")
        for callback in (ended.append, found.append):
            task.add_done_callback(callback)
        answers.append(task.remove_done_callback(found.append))
        answers.extend((task.cancel(), task.cancelled(), task.done(), task.cancelling(), task.uncancel()))
        answers.append(task.get_loop() is asyncio.get_running_loop())
        return number

    for payload in (1, 2):
        desk.loop.call_soon(desk.call, look, "I", payload)
    assert [(await desk.answer())["result"] for _ in range(2)] == [1, 2]
    assert answers == [1, False, False, False, 0, 0, True] * 2
    assert len(set(map(weakref.ref, found))) == 2
    assert [task.get_name() for task in found] == ["f 1", "f 2"]
    assert ended == found
    assert asyncio.current_task() not in found


async def test_what_is_called_within_a_task_gets_one_of_its_own() -> None:
    """The engine of `iii.testing` hands calls over within a task."""
    desk = Desk()
    names: list[str] = []

    async def look(number: int) -> int:
        names.append(asyncio.current_task().get_name())  # type: ignore[union-attr]
        return number

    desk.call(look)
    assert (await desk.answer())["result"] == 1
    assert names == ["f"]
