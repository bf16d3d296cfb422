"""A listener of the real core in the test's own event loop; every test runs on uvloop and on asyncio."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable

import pytest
import pytest_asyncio
import uvloop

from iii.engine.engine import Engine, EngineOptions
from iii.engine.engine_functions import EngineFunctions
from iii.server.clock import LoopClock
from iii.server.listener import Listener
from tests.integration.server.raw_socket import RawSocket
from tests.integration.server.waiting import Open, until


def pytest_asyncio_loop_factories() -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    return {"uvloop": uvloop.new_event_loop, "asyncio": asyncio.new_event_loop}


@pytest_asyncio.fixture
async def engine() -> Engine:
    engine = Engine(LoopClock(asyncio.get_running_loop()), EngineOptions(version="1.2.3"))
    engine.add_module(EngineFunctions(engine))
    return engine


@pytest_asyncio.fixture
async def open_listener(engine: Engine, caplog: pytest.LogCaptureFixture) -> AsyncIterator[Open]:
    """Opens listeners; afterwards nothing of them may be left, and nothing worse than a warning may be logged."""
    listeners: list[Listener] = []

    async def open_listener(host: str = "127.0.0.1", port: int = 0, handshake_timeout_ms: int = 10_000) -> Listener:
        listener = Listener(engine, host, port, handshake_timeout_ms)
        await listener.open()
        listeners.append(listener)
        return listener

    yield open_listener
    for listener in listeners:
        await listener.close()
        assert not listener.open_sockets
    await until(lambda: not engine.roster.connections)  # who left with much goes in turns
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR] == []


@pytest_asyncio.fixture
async def listener(open_listener: Open) -> Listener:
    return await open_listener()


@pytest_asyncio.fixture
async def port(listener: Listener) -> int:
    return listener.port


@pytest_asyncio.fixture
async def worker(port: int) -> AsyncIterator[RawSocket]:
    """A greeted connection on `/`."""
    async with await RawSocket.greeted(port) as client:
        yield client
