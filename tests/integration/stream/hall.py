"""A stream port, and who listens there."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp

from iii.engine.engine import Engine
from iii.modules.stream.module import Streams
from iii.server.listener import Listener
from tests.integration.own_engine import OwnEngine
from tests.integration.server.raw_socket import RawSocket

DEADLINE_S = 60.0


VOID = {"type": "void"}


class Client:
    """A client of the stream port, as a browser is one."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.socket = socket

    async def join(self, group: str, item: str | None = None, stream: str = "chat", subscription: str = "s1") -> None:
        data = {"subscriptionId": subscription, "streamName": stream, "groupId": group, "id": item}
        await self.socket.send_str(json.dumps({"type": "join", "data": data}))

    async def leave(self, group: str, item: str | None = None, stream: str = "chat", subscription: str = "s1") -> None:
        data = {"subscriptionId": subscription, "streamName": stream, "groupId": group, "id": item}
        await self.socket.send_str(json.dumps({"type": "leave", "data": data}))

    async def frame(self) -> dict[str, Any]:
        async with asyncio.timeout(DEADLINE_S):
            message = await self.socket.receive()
            assert message.type is aiohttp.WSMsgType.TEXT, message
            return json.loads(message.data)  # type: ignore[no-any-return]

    async def event(self) -> tuple[str | None, str, Any]:
        """Item, kind and data of the next frame."""
        frame = await self.frame()
        event = frame["event"]
        return frame["id"], event["type"], event.get("data", event.get("event"))

    async def synced(self) -> Any:
        _, kind, data = await self.event()
        assert kind == "sync"
        return data

    async def closed(self) -> int | None:
        """The code with which it was closed."""
        async with asyncio.timeout(DEADLINE_S):
            while (await self.socket.receive()).type is not aiohttp.WSMsgType.CLOSED:
                pass
        return self.socket.close_code


class Hall(OwnEngine[Streams]):
    """One engine and whoever talks to it."""

    def __init__(self, engine: Engine, listener: Listener, module: Streams) -> None:
        super().__init__(engine, listener, module)
        self.browser = aiohttp.ClientSession()

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.module.server.port}"

    async def client(self, path: str = "/", **options: Any) -> Client:
        return Client(await self.browser.ws_connect(self.url + path, **options))

    async def set(self, group: str, item: str, data: Any, stream: str = "chat") -> Any:
        return await self.call("stream::set", stream_name=stream, group_id=group, item_id=item, data=data)

    async def delete(self, group: str, item: str, stream: str = "chat") -> Any:
        return await self.call("stream::delete", stream_name=stream, group_id=group, item_id=item)

    async def function(self, function_id: str, handler: Callable[[Any], Any]) -> None:
        self.handled_by(handler, function_id=function_id)
        await self.settled()

    async def on(self, kind: str, handler: Callable[[Any], Any], **config: Any) -> None:
        """Bind a handler to `stream`, `stream:join` or `stream:leave`."""
        function_id = self.handled_by(handler)
        self.worker.register_trigger({"type": kind, "function_id": function_id, "config": config})
        await self.settled()

    async def raw(self) -> RawSocket:
        """A worker whose registrations apply at once."""
        client = await RawSocket.greeted(self.listener.port)
        client.say(
            {
                "type": "invokefunction",
                "function_id": "engine::workers::register",
                "data": {"name": "raw"},
                "action": VOID,
            }
        )
        return client


Open = Callable[..., Awaitable[Hall]]
