"""Calls that wait (08 §9.1, O2)."""

import asyncio
import gc
import json
import re
import sys
import threading
import uuid
import weakref
from contextlib import closing, suppress
from typing import Any

import pytest

import iii
from iii.protocol.errors import ConnectionClosing
from iii.protocol.ids import Counted
from iii.protocol.messages import InvocationResult
from iii.sdk.calls import BlockedThread, ForeignFuture, LoopFuture, Mailbox, Outcome, PendingCalls
from iii.sdk.core import WorkerCore

ANSWER = InvocationResult("i", "f")


def test_ids_are_uuids_and_differ() -> None:
    pending = PendingCalls()
    ids = [pending.new_id() for _ in range(1000)]
    assert len(set(ids)) == 1000
    assert all(str(uuid.UUID(each)) == each and uuid.UUID(each).version == 4 for each in ids)
    assert PendingCalls().new_id()[:23] != ids[0][:23]


def test_a_call_is_completed_once() -> None:
    pending = PendingCalls()
    waiter = BlockedThread("f", "i")
    pending.add(waiter)
    assert pending.waits("i")
    assert pending.complete("i", ANSWER)
    assert not pending.complete("i", ANSWER)
    assert not pending.waits("i")
    assert waiter.wait(1000) is ANSWER
    assert BlockedThread("f", "j").wait(1) is None


def test_core_12_all_calls_are_ended_at_once_and_every_later_one() -> None:
    pending = PendingCalls()
    pending.raise_if_ended()
    first = BlockedThread("f", "1")
    pending.add(first)
    pending.end(iii.ClientShutdown)
    with pytest.raises(iii.ClientShutdown) as caught:
        first.wait(1000)
    assert (caught.value.function_id, caught.value.invocation_id) == ("f", "1")

    pending.end(lambda *_: ConnectionError("a second reason"))
    with pytest.raises(iii.ClientShutdown) as caught:
        pending.add(BlockedThread("g", "2"))
    assert (caught.value.function_id, caught.value.invocation_id) == ("g", "2")
    with pytest.raises(iii.ClientShutdown):
        pending.raise_if_ended()
    assert len(pending) == 0


def test_08_s9_1_a_time_out_tells_of_a_connection_lost_meanwhile_and_of_a_call_that_was_not_sent() -> None:
    pending = PendingCalls()
    for name in ("before", "answered"):
        pending.add(BlockedThread("f", name))
    pending.connection_lost()
    pending.complete("answered", ANSWER)
    pending.add(BlockedThread("f", "after"))
    lost = str(pending.timed_out(50, "f", "before"))
    assert re.search(
        r"timed out after 50ms: the connection .* was lost 0\.\d s before; whether the function ran is unknown", lost
    )
    assert pending.timed_out(50, "f", "after").message == "invocation timed out after 50ms"
    pending.connected = lambda: False
    not_sent = pending.timed_out(50, "f", "after").message
    assert not_sent == "invocation timed out after 50ms: it was not sent, because there is no connection to the engine"


async def test_a_future_that_was_cancelled_takes_no_answer() -> None:
    future: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
    future.cancel()
    LoopFuture("f", "i", future).complete(ANSWER)
    assert future.cancelled()


async def test_a_foreign_future_is_completed_on_its_own_loop() -> None:
    loop = asyncio.get_running_loop()
    mailbox = Mailbox(loop)
    futures: list[asyncio.Future[Outcome]] = [loop.create_future() for _ in range(3)]

    def elsewhere() -> None:
        for future in futures[:2]:
            ForeignFuture("f", "i", future, mailbox).complete(ANSWER)
        ForeignFuture("f", "i", futures[2], mailbox).complete(ConnectionError("over"))

    await asyncio.to_thread(elsewhere)
    assert await futures[0] is ANSWER
    assert await futures[1] is ANSWER
    assert isinstance(await futures[2], ConnectionError)


async def test_core_21_an_error_that_finds_its_waiter_cancelled_is_no_complaint() -> None:
    loop = asyncio.get_running_loop()
    complaints: list[object] = []
    loop.set_exception_handler(lambda _, context: complaints.append(context))
    future: asyncio.Future[Outcome] = loop.create_future()
    LoopFuture("f", "i", future).complete(ConnectionError("over"))
    assert future.exception() is None
    del future
    gc.collect()
    assert not complaints


@pytest.mark.parametrize("at_home", [True, False])
async def test_core_21_a_call_that_is_cancelled_as_it_fails_leaves_no_complaint(at_home: bool) -> None:
    loop = asyncio.get_running_loop()
    complaints: list[object] = []
    loop.set_exception_handler(lambda _, context: complaints.append(context))
    with closing(asyncio.new_event_loop()) as another:
        never_started = WorkerCore("ws://127.0.0.1:1", iii.InitOptions(), loop if at_home else another)
        waiting = asyncio.create_task(never_started.caller.call_async({"function_id": "f"}))
        await asyncio.sleep(0)
        never_started.caller.pending.end(iii.ClientShutdown)  # as a shutdown does
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        await asyncio.sleep(0)
    gc.collect()
    assert not complaints


async def test_a_loop_that_called_is_not_kept() -> None:
    """A program that calls in one `asyncio.run` after the other had them all in memory."""
    never_started = WorkerCore("ws://127.0.0.1:1", iii.InitOptions(), asyncio.get_running_loop())
    called: list[weakref.ref[asyncio.AbstractEventLoop]] = []

    async def call() -> None:
        called.append(weakref.ref(asyncio.get_running_loop()))
        with pytest.raises(iii.InvocationTimeout):
            await never_started.caller.call_async({"function_id": "f", "timeout_ms": 1})

    await asyncio.to_thread(asyncio.run, call())
    gc.collect()
    assert [each() for each in called] == [None]


def test_calls_go_on_after_one_in_which_the_ids_were_stopped() -> None:
    """By an error in the midst of them, such as that of a recursion that is too deep: an iterator of C ends for ever then."""
    with closing(asyncio.new_event_loop()) as loop:
        caller = WorkerCore("ws://127.0.0.1:1", iii.InitOptions(), loop).caller
        pending = caller.pending

        def at_depth(left: int) -> str:
            return pending.new_id() if not left else at_depth(left - 1)

        room = sys.getrecursionlimit()
        while True:  # one of the depths is that where the ids have no room, and nothing before them
            pending.new_id = Counted().next
            try:
                at_depth(room)
                break
            except RecursionError:
                room -= 1
                with suppress(StopIteration):
                    pending.new_id()
                    continue
                break
        ids = {caller.prepare({"function_id": "f", "payload": None}, Any).invocation_id for _ in range(2)}
        assert len(ids - {None}) == 2


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (b'"result":{"a":[1,null]}', {"a": [1, None]}),
        (b'"result":null', None),
        (b'"error":null', None),
        (b'"result":[NaN]', [None]),
        (b'"result":1e400', iii.InvalidResult),
        (b'"result":1,"error":{"code":"gone","message":"no"}', iii.InvocationError),
    ],
)
async def test_08_9_1_a_call_on_the_own_loop_gets_its_answer(answer: bytes, expected: Any) -> None:
    core = WorkerCore("ws://127.0.0.1:1", iii.InitOptions(), asyncio.get_running_loop())
    core.connection.loop_thread = threading.get_ident()  # as if it were started
    calls = [asyncio.create_task(core.caller.call_async({"function_id": "f", "payload": 1})) for _ in range(2)]
    await asyncio.sleep(0)
    sent = [json.loads(each.message)["invocation_id"] for each in core.connection.offline.take()]
    lines = [
        b'{"type":"invocationresult","function_id":"f","invocation_id":"%b",%b}' % (each.encode(), answer)
        for each in sent
    ]
    core.received(lines[0])
    core.received(b"\n" + lines[1])
    if isinstance(expected, type):
        for call in calls:
            with pytest.raises(expected):
                await call
    else:
        assert await asyncio.gather(*calls) == [expected] * 2
    assert len(core.caller.pending) == 0


def test_a_closed_loop_loses_its_letters_silently() -> None:
    loop = asyncio.new_event_loop()
    mailbox = Mailbox(loop)
    loop.close()
    mailbox.put(lambda: None)
    mailbox.put(lambda: None)


async def test_P5_a_started_call_waits_for_an_engine_that_does_not_read_on_threads_only(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    core = WorkerCore("ws://127.0.0.1:1", iii.InitOptions(), asyncio.get_running_loop())
    monkeypatch.setattr(core.connection.backlog, "crowded", True)
    with pytest.raises(ConnectionClosing, match="the engine is not reading"):
        core.caller.start({"function_id": "f"})
    with pytest.raises(iii.InvocationTimeout):
        await asyncio.to_thread(core.caller.start, {"function_id": "f", "timeout_ms": 1})
    assert len(core.caller.pending) == 0


async def test_08_9_1_a_call_that_cannot_be_sent_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    core = WorkerCore("ws://127.0.0.1:1", iii.InitOptions(), asyncio.get_running_loop())
    core.connection.loop_thread = threading.get_ident()  # as if it were started

    def breaks(*message: object) -> None:
        raise OSError("no room")

    monkeypatch.setattr(core.connection, "send_here", breaks)
    with pytest.raises(OSError, match="no room"):
        await core.caller.call_async({"function_id": "f"})
    assert len(core.caller.pending) == 0
