"""A stream port, and who listens there."""

from __future__ import annotations

import asyncio
import inspect
import json
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
import pytest

import iii
from iii.engine.engine import Engine
from iii.modules.stream.module import Streams
from iii.server.listener import Listener
from tests.integration.server.raw_socket import RawSocket

DEADLINE_S = 10.0


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


class Hall:
    """One engine and whoever talks to it."""

    def __init__(self, engine: Engine, listener: Listener, streams: Streams, browser: aiohttp.ClientSession) -> None:
        self.engine = engine
        self.listener = listener
        self.streams = streams
        self.browser = browser
        self.worker: iii.Worker
        self.workers: list[iii.Worker] = []
        self._handlers = 0

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.streams.server.port}"

    async def connect(self, **more: Any) -> iii.Worker:
        options: Any = {
            "worker_name": f"worker {len(self.workers)}", "enable_metrics_reporting": False, "otel": {"enabled": False},
            **more,
        }  # fmt: skip
        worker = await iii.connect_worker(f"ws://127.0.0.1:{self.listener.port}", iii.InitOptions(**options))
        self.workers.append(worker)
        return worker

    async def client(self, path: str = "/", **options: Any) -> Client:
        return Client(await self.browser.ws_connect(self.url + path, **options))

    async def call(self, function_id: str, **payload: Any) -> Any:
        async with asyncio.timeout(DEADLINE_S):
            return await self.worker.trigger_async({"function_id": function_id, "payload": payload})

    async def set(self, group: str, item: str, data: Any, stream: str = "chat") -> Any:
        return await self.call("stream::set", stream_name=stream, group_id=group, item_id=item, data=data)

    async def delete(self, group: str, item: str, stream: str = "chat") -> Any:
        return await self.call("stream::delete", stream_name=stream, group_id=group, item_id=item)

    async def error(self, function_id: str, payload: Any) -> tuple[str, str]:
        with pytest.raises(iii.InvocationError) as failed:
            await self.worker.trigger_async({"function_id": function_id, "payload": payload})
        return failed.value.code, failed.value.message

    async def function(self, function_id: str, handler: Callable[[Any], Any]) -> None:
        async def on_loop(event: Any) -> Any:
            result = handler(event)
            return await result if inspect.isawaitable(result) else result

        self.worker.register_function(function_id, on_loop)
        await self.settled()

    async def on(self, kind: str, handler: Callable[[Any], Any], **config: Any) -> None:
        """Bind a handler to `stream`, `stream:join` or `stream:leave`."""
        self._handlers += 1
        function_id = f"test::h{self._handlers}"
        await self.function(function_id, handler)
        self.worker.register_trigger({"type": kind, "function_id": function_id, "config": config})
        await self.settled()

    async def settled(self) -> None:
        await self.worker.trigger_async({"function_id": "engine::functions::list"})

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
