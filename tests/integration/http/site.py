"""An engine that serves HTTP, and who asks it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
from yarl import URL

import iii
from iii.engine.engine import Engine
from iii.modules.http.module import Http
from iii.server.listener import Listener
from tests.integration.server.raw_socket import RawSocket
from tests.integration.server.waiting import until

DEADLINE_S = 60.0


Handler = Callable[[Any], Awaitable[Any]]


class Site:
    """One engine, its HTTP port and whoever talks to it."""

    def __init__(self, engine: Engine, listener: Listener) -> None:
        self.engine = engine
        self.listener = listener
        self.http: Http
        self.worker: iii.Worker
        self.browser: aiohttp.ClientSession
        self._routes = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.http.port}"

    async def connect(self, **more: Any) -> iii.Worker:
        """One more worker; it is to be shut down by the test."""
        options: Any = {
            "worker_name": f"worker {len(self.engine.roster.connections)}", "enable_metrics_reporting": False,
            "otel": {"enabled": False}, **more,
        }  # fmt: skip
        return await iii.connect_worker(f"ws://127.0.0.1:{self.listener.port}", iii.InitOptions(**options))

    async def route(
        self,
        route: str,
        handler: Handler | None = None,
        *,
        worker: iii.Worker | None = None,
        to: str = "",
        **config: Any,
    ) -> Any:
        """Bind `METHOD path` to a handler, or to the id of a function; returns when it serves."""
        worker = worker or self.worker
        method, _, path = route.partition(" ")
        self._routes += 1
        function_id = to or f"test::f{self._routes}"
        if handler is not None:
            worker.register_function(function_id, handler)
        trigger = worker.register_trigger(
            {"type": "http", "function_id": function_id, "config": {"api_path": path, "http_method": method, **config}}
        )
        await self.settled(worker)
        return trigger

    async def function(self, function_id: str, handler: Handler, worker: iii.Worker | None = None) -> None:
        worker = worker or self.worker
        worker.register_function(function_id, handler)
        await self.settled(worker)

    async def settled(self, worker: iii.Worker | None = None) -> None:
        """Until the engine has acted on everything that the worker said."""
        await (worker or self.worker).trigger_async({"function_id": "engine::functions::list"})

    async def leave(self, worker: iii.Worker) -> None:
        """Shut it down; returns when the engine knows, which reads the sockets of workers and of HTTP in no order."""
        connected = len(self.engine.roster.connections)
        await worker.shutdown_async()
        await until(lambda: len(self.engine.roster.connections) < connected)

    async def get(self, path: str, method: str = "GET", **options: Any) -> tuple[int, Any]:
        """Status and JSON, or text, of an answer."""
        status, _, body = await self.ask(path, method, **options)
        return status, body

    async def ask(self, path: str, method: str = "GET", **options: Any) -> tuple[int, Any, Any]:
        """Status, headers and JSON, or text, of an answer."""
        url = URL(self.url + path, encoded=True)
        async with asyncio.timeout(DEADLINE_S), self.browser.request(method, url, **options) as answer:
            is_json = answer.headers.get("content-type", "").startswith("application/json")
            return answer.status, answer.headers, await (answer.json() if is_json else answer.text())

    async def channel(self, end: iii.ChannelReader | iii.ChannelWriter) -> RawSocket:
        """One end of a channel, byte by byte."""
        ref = end.ref
        path = f"/ws/channels/{ref.channel_id}?key={ref.access_key}&dir={ref.direction}"
        return await RawSocket.upgraded(self.listener.port, path)

    async def raw(self, sent: bytes = b"") -> RawSocket:
        """A connection to the HTTP port."""
        client = await RawSocket.connect(self.http.port)
        client.write(sent)
        return client


Open = Callable[..., Awaitable[Site]]
