"""An engine with HTTP in the test's own event loop, workers of our SDK, a client that sends what it is told."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
from yarl import URL

import iii
from iii.engine.engine import Engine, EngineOptions
from iii.engine.engine_functions import EngineFunctions
from iii.modules.http.config import HttpConfig
from iii.modules.http.module import Http
from iii.server.clock import LoopClock
from iii.server.listener import Listener
from tests.integration.server.raw_socket import RawSocket

DEADLINE_S = 30.0

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


@pytest_asyncio.fixture
async def open_site(caplog: pytest.LogCaptureFixture, tmp_path: Path) -> AsyncIterator[Open]:
    """Opens engines with HTTP; nothing of them may be left afterwards."""
    sites: list[Site] = []

    async def open_site(**config: Any) -> Site:
        engine = Engine(LoopClock(asyncio.get_running_loop()), EngineOptions(version="1.2.3"))
        engine.add_module(EngineFunctions(engine))
        listener = Listener(engine, "127.0.0.1", 0, 10_000)
        await listener.open()
        site = Site(engine, listener)
        sites.append(site)
        site.http = Http(engine, HttpConfig(**{"port": 0, "file_path": str(tmp_path / "nowhere"), **config}))
        engine.add_module(site.http)
        await site.http.start()
        site.worker = await site.connect()
        site.browser = aiohttp.ClientSession()
        return site

    yield open_site
    for site in sites:
        await site.browser.close()
        await site.worker.shutdown_async()
        await site.http.quiet()
        await site.listener.close()
        assert not site.engine.channels, "a request has left its channels behind"
        assert not site.engine.roster.connections
    bad = [record for record in caplog.records if record.levelno >= logging.ERROR and "failed: " not in record.message]
    assert [record.getMessage() for record in bad] == []


@pytest_asyncio.fixture
async def site(open_site: Open) -> Site:
    return await open_site()
