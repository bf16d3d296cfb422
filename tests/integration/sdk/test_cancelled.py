"""Workers on the program's own loop end, wherever and however often they are cancelled (L4)."""

import asyncio
import functools
import gc
import selectors
import signal
import socket
import time
import warnings
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

import pytest

import iii
from iii.sdk import connection
from tests.integration.sdk.connecting import FAST
from tests.integration.sdk.fake_engine import DEADLINE_S, FakeEngine

TURNS = 80  # more than any of these programs takes
OFTEN = 12


class Turns(selectors.DefaultSelector):
    """Tells of every turn of the loop, before it waits."""

    def __init__(self) -> None:
        super().__init__()
        self.number = 0
        self.at_turn: Callable[[int], None] = lambda number: None

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        self.number += 1
        self.at_turn(self.number)
        return super().select(timeout)


async def program(url: str) -> None:
    options = iii.InitOptions(
        reconnection_config=FAST, connect_timeout_ms=15, invocation_timeout_ms=10, worker_name="cancelled"
    )
    async with iii.connect_worker(url, options) as worker:
        worker.register_function("svc::f", lambda data: data)
        try:
            await worker.trigger_async({"function_id": "svc::f", "payload": 1})
        except iii.InvocationError:
            pass


@pytest.fixture(params=["engine", "deaf", "absent"])
def url(request: pytest.FixtureRequest, engine: FakeEngine) -> Iterator[str]:
    gc.collect()  # what tests before have left complains now, not while warnings are counted
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        if request.param == "deaf":
            other.listen(TURNS)
        yield f"ws://127.0.0.1:{other.getsockname()[1]}" if request.param in ("deaf", "absent") else engine.url


def run_cancelled(url: str, first: int, last: int, whom: str) -> bool:
    """Whether the program was still running at the first turn."""
    turns, complaints, reached = Turns(), list[Any](), False

    def new_loop() -> asyncio.AbstractEventLoop:
        loop = asyncio.SelectorEventLoop(turns)
        loop.set_exception_handler(lambda _, context: complaints.append(context))
        return loop

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with asyncio.Runner(loop_factory=new_loop) as runner:
            loop = runner.get_loop()
            main = loop.create_task(program(url))

            def at_turn(number: int) -> None:
                nonlocal reached
                if first <= number <= last and (whom == "all" or not main.done()):
                    reached |= not main.done()
                    of_program = [
                        task for task in asyncio.all_tasks(loop) if "BaseEventLoop" not in str(task.get_coro())
                    ]
                    for task in of_program if whom == "all" else [main]:
                        task.cancel()

            turns.at_turn = at_turn
            try:
                loop.run_until_complete(main)
            except asyncio.CancelledError:
                pass
        gc.collect()
    assert not complaints
    assert [str(each.message) for each in caught] == []
    return reached


@pytest.mark.parametrize(("whom", "times"), [("main", 1), ("all", OFTEN)])
def test_L4_a_worker_cancelled_at_any_turn_ends_and_leaves_nothing(
    url: str, whom: str, times: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Connecting, connected, calling, shutting down; at an engine that answers, or accepts only, or is not there."""
    monkeypatch.setattr(connection, "CLOSE_S", 0.05)
    until = time.monotonic() + 3 * DEADLINE_S
    ended = 0
    for turn in range(2, TURNS):
        ended = 0 if run_cancelled(url, turn, turn + times - 1, whom) else ended + 1
        assert time.monotonic() < until
        if ended == 3:
            break
    else:
        pytest.fail("the program takes more turns than were tried")


def frame_in(filename: str) -> FrameType:
    found: dict[str, Any] = {}
    exec(compile("import sys; frame = sys._getframe()", filename, "exec"), found)
    frame: FrameType = found["frame"]
    return frame


def test_limits_3_a_second_interrupt_waits_for_the_callback_that_is_about_to_run(engine: FakeEngine) -> None:
    """Raised in the midst of asyncio, it lost that callback, and `asyncio.run` waited for its task without an end."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    said: list[str] = []

    async def main() -> None:
        async with iii.connect_worker(engine.url, iii.InitOptions(enable_metrics_reporting=False)):
            handler: Any = signal.getsignal(signal.SIGINT)
            for _ in range(2):
                handler(signal.SIGINT, frame_in(asyncio.base_events.__file__))  # as if it came there
                said.append("goes on")
            await asyncio.Event().wait()

    try:
        with pytest.raises(KeyboardInterrupt):
            asyncio.run(main())
        assert said == ["goes on"] * 2
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, before)


def test_limits_3_a_second_interrupt_ends_code_that_blocks(engine: FakeEngine) -> None:
    before = signal.signal(signal.SIGINT, signal.default_int_handler)

    async def main() -> None:
        async with iii.connect_worker(engine.url, iii.InitOptions(enable_metrics_reporting=False)):
            assert not isinstance(signal.getsignal(signal.SIGINT), functools.partial)
            signal.raise_signal(signal.SIGINT)
            with pytest.raises(KeyboardInterrupt):
                signal.raise_signal(signal.SIGINT)

    try:
        with pytest.raises((KeyboardInterrupt, asyncio.CancelledError)):
            asyncio.run(main())
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, before)
