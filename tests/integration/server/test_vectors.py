"""The engine says in every conversation of docs/spec/vectors what stands there, and nothing else (01 §5–§9)."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any, NamedTuple

import pytest
import pytest_asyncio

from iii.protocol.names import FEATURES
from tests.integration.server.raw_socket import CLOSE, DEADLINE_S, PING, PONG, RawSocket
from tests.wire_vectors import Placeholders, Vector, name_of, text_of, vectors

ANNOUNCE = "engine::workers::register"
ANNOUNCED = {
    "type": "invocationresult",
    "invocation_id": "00000000-0000-4000-8000-000000000000",
    "function_id": ANNOUNCE,
}


def _no_member_twice(members: list[tuple[str, Any]]) -> dict[str, Any]:
    decoded = dict(members)
    assert len(decoded) == len(members), members
    return decoded


class Ended(NamedTuple):
    """How a connection ended."""

    close_code: int | None


class Peer:
    """One connection: answers pings and remembers the rest in order."""

    def __init__(self, socket: RawSocket) -> None:
        self._socket = socket
        self._heard: asyncio.Queue[Any] = asyncio.Queue()
        self._reader = asyncio.create_task(self._read())
        self.has_ended = False

    def send(self, message: dict[str, Any] | str | list[Any]) -> None:
        self._socket.say(message if isinstance(message, dict) else text_of(message))

    def leave(self) -> None:
        self._socket.say((1000).to_bytes(2, "big"), CLOSE)

    async def hears(self) -> Any:
        """The next message, or the end."""
        async with asyncio.timeout(DEADLINE_S):
            heard = await self._heard.get()
        self.has_ended = isinstance(heard, Ended)
        return heard

    async def stop(self) -> None:
        self._reader.cancel()
        await asyncio.wait([self._reader])

    async def _read(self) -> None:
        try:
            while True:
                frame = await self._socket.frame()
                if frame.opcode == PING:
                    self._socket.say(frame.payload, PONG)
                elif frame.opcode == CLOSE:
                    self._socket.say(frame.payload, CLOSE)
                    self._heard.put_nowait(Ended(frame.close_code))
                    return
                else:
                    assert frame.final
                    self._heard.put_nowait(json.loads(frame.payload, object_pairs_hook=_no_member_twice))
        except (asyncio.IncompleteReadError, ConnectionError):
            self._heard.put_nowait(Ended(None))


class Stage:
    """Plays the steps of one session on the port of an engine."""

    def __init__(self, port: int, sockets: AsyncExitStack) -> None:
        self._port = port
        self._sockets = sockets
        self._placeholders = Placeholders()
        self._peers: dict[str, Peer] = {}

    async def play(self, step: dict[str, Any]) -> None:
        match step:
            case {"connect": name}:
                await self._connect(name)
            case {"join": name}:
                await self._join(name, step.get("functions", []), step.get("announcement", {}))
            case {"on": name, "send": message}:
                self._peers[name].send(self._placeholders.filled(message) if isinstance(message, dict) else message)
            case {"on": name, "expect": message}:
                heard = await self._peers[name].hears()
                assert heard == self._placeholders.expected(message, heard)
            case {"on": name, "ended": close_code}:
                assert await self._peers[name].hears() == Ended(close_code)
            case {"close": name}:
                self._peers[name].leave()
                assert await self._peers[name].hears() == Ended(1000)
            case _:
                pytest.fail(f"unknown step {step}")

    async def nothing_else_was_said(self) -> None:
        for peer in self._peers.values():
            if not peer.has_ended:
                peer.send({"type": "ping"})
                assert await peer.hears() == {"type": "pong"}

    async def _connect(self, name: str) -> None:
        socket = await self._sockets.enter_async_context(await RawSocket.upgraded(self._port))
        self._peers[name] = Peer(socket)
        self._sockets.push_async_callback(self._peers[name].stop)

    async def _join(self, name: str, functions: list[str], announcement: dict[str, Any]) -> None:
        call = {**ANNOUNCED, "type": "invokefunction"}
        data = {"runtime": "python", "version": "0.25.0", "name": name, **announcement}
        greeting = {
            "type": "workerregistered",
            "worker_id": f"${name}",
            "reattach_token": f"${name}_token",
            "features": list(FEATURES),
        }
        await self.play({"connect": name})
        await self.play({"on": name, "expect": greeting})
        for function_id in functions:
            await self.play({"on": name, "send": {"type": "registerfunction", "id": function_id}})
        await self.play({"on": name, "send": {**call, "data": data}})
        await self.play({"on": name, "expect": {**ANNOUNCED, "result": {"success": True}}})


@pytest_asyncio.fixture
async def stage(port: int) -> AsyncIterator[Stage]:
    async with AsyncExitStack() as sockets:
        yield Stage(port, sockets)


@pytest.mark.parametrize("session", vectors("sessions"), ids=name_of)
async def test_sessions(stage: Stage, session: Vector) -> None:
    for step in session["steps"]:
        await stage.play(step)
    await stage.nothing_else_was_said()


@pytest.mark.parametrize("vector", vectors("refused"), ids=name_of)
async def test_01_check_6_what_is_refused(stage: Stage, vector: Vector) -> None:
    await stage.play({"join": "worker"})
    await stage.play({"on": "worker", "send": vector["frame"]})
    if vector["answer"] is not None:
        await stage.play({"on": "worker", "expect": vector["answer"]})
    await stage.nothing_else_was_said()
