"""An async handler that blocks the event loop is named while it does (08 §7.2)."""

import asyncio
import logging
import threading
from collections.abc import Iterator
from typing import Any

import pytest

import iii
from iii.sdk import loop_watch
from iii.testing import TestEngine

DEADLINE_S = 60.0


class Told(logging.Handler):
    """The lines about blocked loops; whoever waits for one goes on with it."""

    def __init__(self) -> None:
        super().__init__()
        self.fields: list[dict[str, Any]] = []
        self.told = threading.Event()

    def emit(self, record: logging.LogRecord) -> None:
        if record.__dict__.get("event") == "sdk.loop_blocked":
            self.fields.append(record.__dict__["fields"])
            self.told.set()


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> Iterator[Told]:
    monkeypatch.setattr(loop_watch, "LOOK_S", 0.02)
    handler = Told()
    logging.getLogger("iii").addHandler(handler)
    yield handler
    logging.getLogger("iii").removeHandler(handler)


def blocks(told: Told) -> None:
    told.told.clear()
    told.told.wait(DEADLINE_S)


def watches() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "iii loop watch"]


def test_the_function_and_the_line_are_told_where_it_begins_to_block_and_after_an_await(told: Told) -> None:
    app = iii.App("orders")

    @app.function("at_once")
    async def at_once(payload: Any) -> None:
        blocks(told)

    @app.http("GET", "/later")
    async def later() -> str:
        await asyncio.sleep(0)
        blocks(told)
        return "done"

    with TestEngine(app) as engine:
        engine.call("at_once")
        assert engine.request("GET", "/later").text == '"done"'
    assert [each["function"] for each in told.fields] == ["at_once", "http::GET /later"]
    assert {each["at"].rpartition(":")[0] for each in told.fields} == {__file__}


def test_a_function_is_told_of_once_a_minute(told: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    app = iii.App("orders")

    @app.function("first")
    async def first(wait: bool) -> None:
        if wait:
            blocks(told)
        else:
            threading.Event().wait(0.2)  # ten looks

    with TestEngine(app) as engine:
        engine.call("first", True)
        engine.call("first", False)
        assert len(told.fields) == 1
        monkeypatch.setattr(loop_watch, "_AGAIN_S", 0.0)
        engine.call("first", True)
        assert len(told.fields) >= 2


async def test_what_else_blocks_the_loop_is_not_taken_for_a_handler(told: Told) -> None:
    app, other = iii.App("orders"), iii.App("others")
    entered = asyncio.Event()
    blocked = threading.Event()

    @app.function("waiting")
    async def waiting(payload: Any) -> None:
        entered.set()
        await asyncio.sleep(60)

    other.function("idle")(lambda payload: None)
    with TestEngine() as engine:
        async with app.connect(engine.address), other.connect(engine.address):
            running = asyncio.create_task(engine.call_async("waiting"))
            await entered.wait()
            blocked.wait(0.2)
            running.cancel()
    assert told.fields == []


async def test_a_thread_is_there_only_for_workers_with_async_handlers_while_they_are_connected(told: Told) -> None:
    app = iii.App("orders")
    app.function("sync")(lambda payload: payload)
    before = set(watches())  # those of earlier tests may be about to end
    with TestEngine() as engine:
        async with app.connect(engine.address):
            assert set(watches()) <= before

            @app.function("async")
            async def on_the_loop(payload: Any) -> Any:
                return payload

            app.function("async2")(on_the_loop)
            (watch,) = set(watches()) - before
            assert await engine.call_async("async", 7) == 7
    watch.join(DEADLINE_S)
    assert not watch.is_alive()


async def test_it_ends_with_its_loop() -> None:
    loop = asyncio.new_event_loop()
    loop.close()
    watch = loop_watch.LoopWatch(loop, object())
    watch.begin()
    for each in watches():
        each.join(DEADLINE_S)
    assert watches() == []
