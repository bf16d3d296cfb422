"""The port that Prometheus asks: `/metrics`, `/healthz`, `/readyz`; on this machine only."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from aiohttp import web
from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4

from iii.engine.engine import Engine
from iii.modules.observability.metrics.exposition import exposition
from iii.modules.observability.records import Scraped
from iii.net.http_log import HttpLog
from iii.net.listening import listen, port_of

HOST = "127.0.0.1"
STOP_S = 1.0


class PrometheusPort:
    """Attributes:
    port: once it is open.
    """

    def __init__(self, engine: Engine, port: int, metrics: Callable[[], Awaitable[Scraped]]) -> None:
        self._engine = engine
        self._metrics = metrics
        self._runner: web.AppRunner | None = None
        self._one_at_a_time = asyncio.Lock()
        self._next: asyncio.Task[bytes] | None = None
        self.port = port

    async def open(self) -> None:
        """Raises StartFailure."""
        application = web.Application()
        application.router.add_get("/metrics", self._scraped)
        application.router.add_get("/healthz", self._alive)
        application.router.add_get("/readyz", self._ready)
        self._runner = web.AppRunner(application, access_log=None, logger=HttpLog(), shutdown_timeout=STOP_S)
        await self._runner.setup()
        sockets = await listen(HOST, self.port, "prometheus_port")
        self.port = port_of(sockets[0])
        for each in sockets:
            await web.SockSite(self._runner, each).start()

    async def close(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    async def _scraped(self, _: web.Request) -> web.Response:
        if self._next is None:
            self._next = asyncio.create_task(self._exposed(), name="iii metrics page")
        text = await asyncio.shield(self._next)
        return web.Response(body=text, headers={"Content-Type": CONTENT_TYPE_PLAIN_0_0_4})

    async def _exposed(self) -> bytes:
        """One page for all who ask until it is begun."""
        async with self._one_at_a_time:
            self._next = None
            return await asyncio.to_thread(exposition, *await self._metrics())

    async def _alive(self, _: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    async def _ready(self, _: web.Request) -> web.Response:
        readiness = self._engine.readiness
        why = readiness.why_not()
        return web.Response(status=200 if why is None else 503, text=f"{why or readiness.says('ok')}\n")
