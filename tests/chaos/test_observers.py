"""`kill -9` of the engine, of a host and of whoever observes: each comes again, and no call is missed or told twice (21)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from typing import Any

import pytest
import pytest_asyncio

from tests.integration.server.raw_socket import RawSocket
from tests.processes import EngineProcess

V1 = ["observe.v1", "local-dispatch.v1", "large-messages.v1"]
DEADLINE_S = 60.0


@pytest.fixture
def engine() -> Iterator[EngineProcess]:
    with EngineProcess() as engine:
        yield engine


class Client:
    """A worker that says the frames of a client of 0.25, and acknowledges observers."""

    def __init__(self, socket: RawSocket) -> None:
        self._socket = socket
        self.heard: list[dict[str, Any]] = []

    async def announce(self, name: str, function_id: str) -> None:
        self.say({"type": "registerfunction", "id": function_id})
        announcement = {"runtime": "python", "version": "0.25.0", "name": name, "features": V1}
        self.say({"type": "invokefunction", "function_id": "engine::workers::register", "data": announcement,
                  "invocation_id": "00000000-0000-4000-8000-000000000000"})  # fmt: skip
        await self.until("invocationresult")

    def say(self, message: dict[str, Any]) -> None:
        self._socket.say(message)

    def observe(self) -> None:
        self.say(
            {"type": "observe", "id": "o", "source": {"function_id": "host::f"}, "target": {"function_id": "watch::t"}}
        )

    def call(self, number: int) -> None:
        self.say({"type": "invokefunction", "function_id": "host::f", "data": {"n": number},
                  "invocation_id": f"00000000-0000-4000-8000-{number:012d}"})  # fmt: skip

    def drop(self) -> None:
        self._socket.drop()

    async def until(self, kind: str, **members: Any) -> dict[str, Any]:
        """The next such message that no test has had; what the engine asks meanwhile is answered."""
        async with asyncio.timeout(DEADLINE_S):
            while True:
                for message in self.heard:
                    if message["type"] == kind and members.items() <= message.items():
                        self.heard.remove(message)
                        return message
                self._react(await self._socket.json(DEADLINE_S))

    def _react(self, message: dict[str, Any]) -> None:
        self.heard.append(message)
        if message["type"] == "observeradded":
            self._acknowledge(message["function_id"], message["revision"], message["observer"]["id"])
        elif message["type"] == "functionregistered":
            for view in message["observers"]:
                self._acknowledge(message["id"], message["revision"], view["id"])
        elif message["type"] == "invokefunction":
            self.say({"type": "invocationresult", "invocation_id": message["invocation_id"],
                      "function_id": message["function_id"], "result": {"done": True}})  # fmt: skip

    def _acknowledge(self, function_id: str, revision: int, observer_id: str) -> None:
        self.say({"type": "observerack", "function_id": function_id, "id": observer_id, "revision": revision})


Connect = Callable[[str, str], Awaitable[Client]]


@pytest_asyncio.fixture
async def connect(engine: EngineProcess) -> AsyncIterator[Connect]:
    """Connects a worker with one function."""
    async with AsyncExitStack() as sockets:

        async def connect(name: str, function_id: str) -> Client:
            client = Client(await sockets.enter_async_context(await RawSocket.greeted(engine.port)))
            await client.announce(name, function_id)
            return client

        yield connect


async def settled(host: Client, watcher: Client) -> None:
    """The observer is active, as its owner was told."""
    watcher.observe()
    assert (await watcher.until("observeresult"))["state"] == "pending"
    await host.until("observeradded")
    await watcher.until("observerstatechanged", state="active")


async def one_activation_a_call(host: Client, watcher: Client, numbers: range) -> None:
    got = []
    for number in numbers:
        watcher.call(number)
        await host.until("invokefunction")
        got.append((await watcher.until("invokefunction"))["data"]["input"]["n"])
        await watcher.until("invocationresult", invocation_id=f"00000000-0000-4000-8000-{number:012d}")
    assert got == list(numbers)
    assert [each for each in watcher.heard if each["type"] == "invokefunction"] == []


@pytest.mark.timeout(300)
async def test_21_check_35_everything_is_back_after_a_restart_of_the_engine(
    engine: EngineProcess, connect: Connect
) -> None:
    host, watcher = await connect("host", "host::f"), await connect("watch", "watch::t")
    await settled(host, watcher)
    await one_activation_a_call(host, watcher, range(1, 20))

    engine.kill()
    host.drop()
    watcher.drop()
    engine.start()
    watcher = await connect("watch", "watch::t")
    watcher.observe()
    assert (await watcher.until("observeresult"))["state"] == "pending"
    host = await connect("host", "host::f")
    await host.until("functionregistered")
    await watcher.until("observerstatechanged", state="active")

    await one_activation_a_call(host, watcher, range(20, 40))


@pytest.mark.timeout(300)
async def test_a_host_that_was_killed_and_comes_again_is_observed(engine: EngineProcess, connect: Connect) -> None:
    host, watcher = await connect("host", "host::f"), await connect("watch", "watch::t")
    await settled(host, watcher)

    host.drop()
    await watcher.until("observerstatechanged", state="pending")
    host = await connect("host2", "host::f")
    await host.until("functionregistered")
    await watcher.until("observerstatechanged", state="active")

    await one_activation_a_call(host, watcher, range(1, 10))
