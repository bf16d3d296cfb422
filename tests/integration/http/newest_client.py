"""The frames of a 0.26 client, one by one: it has no triggers, and makes routes and subscriptions by observing (26 §1)."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable
from typing import Any, Self

import aiohttp

FEATURES = ["observe.v1", "observe.v2", "local-dispatch.v1", "large-messages.v1"]
FRAME_S = 60.0

Frame = dict[str, Any]


class NewestClient:
    """One connection.

    Attributes:
        heard: all frames of the engine so far, in their order.
        functions: what it runs, by id, from the whole `invokefunction` to the members of the answer.
    """

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.heard: list[Frame] = []
        self.functions: dict[str, Callable[[Frame], Frame]] = {}
        self._socket = socket
        self._news = asyncio.Event()
        self._reading = asyncio.create_task(self._read())

    @classmethod
    async def connected(cls, browser: aiohttp.ClientSession, port: int, name: str) -> Self:
        """Greeted, and announced."""
        client = cls(await browser.ws_connect(f"ws://127.0.0.1:{port}/", max_msg_size=0))
        greeting = await client.frame("workerregistered")
        assert greeting["features"] == [
            "observe.v1",
            "observe.v2",
            "local-dispatch.v1",
            "traces.v1",
            "traces.v2",
            "batch.v1",
        ]
        metadata = {"runtime": "rust", "version": "0.26.0-rc.4", "name": name, "features": FEATURES}
        call_id = str(uuid.uuid4())
        await client.say(
            "invokefunction", function_id="engine::workers::register", data=metadata, invocation_id=call_id
        )
        await client.frame("invocationresult", invocation_id=call_id, result={"success": True})
        return client

    async def say(self, kind: str, **members: Any) -> None:
        await self._socket.send_json({"type": kind, **members})

    async def serve(self, function_id: str, run: Callable[[Frame], Frame]) -> None:
        """Register a function; returns when that is confirmed."""
        self.functions[function_id] = run
        await self.say("registerfunction", id=function_id)
        await self.frame("functionregistered", id=function_id)

    async def observe(self, observer_id: str, source: Frame, target: str, **options: Any) -> Frame:
        """The answer."""
        before = len(self._found("observeresult", id=observer_id))
        await self.say("observe", id=observer_id, source=source, target={"function_id": target}, **options)
        return await self.frame("observeresult", before, id=observer_id)

    async def frame(self, kind: str, skipped: int = 0, **members: Any) -> Frame:
        """The first such frame behind those that are skipped, waited for."""
        async with asyncio.timeout(FRAME_S):
            while len(found := self._found(kind, **members)) <= skipped:
                self._news.clear()
                await self._news.wait()
        return found[skipped]

    async def leave(self) -> None:
        await self._socket.close()
        await self._reading

    def _found(self, kind: str, **members: Any) -> list[Frame]:
        return [each for each in self.heard if each["type"] == kind and members.items() <= each.items()]

    async def _read(self) -> None:
        async for message in self._socket:
            frame = message.json()
            self.heard.append(frame)
            self._news.set()
            if frame["type"] == "invokefunction":
                answer = self.functions[frame["function_id"]](frame)
                named = {"invocation_id": frame["invocation_id"], "function_id": frame["function_id"]}
                await self.say("invocationresult", **named, **answer)
