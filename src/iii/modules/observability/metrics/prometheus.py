"""The port that Prometheus asks: `/metrics`, `/healthz`, `/readyz`; on this machine only."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import NamedTuple

from aiohttp import web
from aiohttp.typedefs import Handler
from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4

from iii.engine.engine import Engine
from iii.modules.observability.metrics.exposition import exposition
from iii.modules.observability.records import Scraped
from iii.net.http_log import HttpLog
from iii.net.http_port import HttpPort
from iii.net.listening import listen, port_of
from iii.protocol.limits import KEPT_ALIVE_S, METRICS_CONNECTIONS, METRICS_SILENT_S

HOST = "127.0.0.1"
STOP_S = 1.0


class ScrapeBounds(NamedTuple):
    """Of a port; a test takes others.

    Attributes:
        connections: at most.
        silent_s: from a connection to its first request.
        kept_alive_s: from an answer to the next request.
    """

    connections: int = METRICS_CONNECTIONS
    silent_s: float = METRICS_SILENT_S
    kept_alive_s: float = KEPT_ALIVE_S


SCRAPE_BOUNDS = ScrapeBounds()


class PrometheusPort:
    """Attributes:
    port: once it is open.
    """

    def __init__(
        self,
        engine: Engine,
        port: int,
        metrics: Callable[[], Awaitable[Scraped]],
        bounds: ScrapeBounds = SCRAPE_BOUNDS,
    ) -> None:
        self._engine = engine
        self._metrics = metrics
        self._bounds = bounds
        self._runner: web.AppRunner | None = None
        self._connections: HttpPort | None = None
        self._one_at_a_time = asyncio.Lock()
        self._next: asyncio.Task[bytes] | None = None
        self.port = port

    async def open(self) -> None:
        """Raises StartFailure."""
        application = web.Application(middlewares=[self._asked])
        application.router.add_get("/metrics", self._scraped)
        application.router.add_get("/healthz", self._alive)
        application.router.add_get("/readyz", self._ready)
        runner = self._runner = web.AppRunner(
            application,
            access_log=None,
            logger=HttpLog(),
            shutdown_timeout=STOP_S,
            keepalive_timeout=self._bounds.kept_alive_s,
        )
        await runner.setup()
        assert runner.server is not None  # since it is set up
        sockets = await listen(HOST, self.port, "prometheus_port")
        self.port = port_of(sockets[0])
        self._connections = HttpPort(runner.server, self._bounds.connections, self._bounds.silent_s)
        self._connections.open(sockets)

    async def close(self) -> None:
        if self._connections is not None:
            await self._connections.close()
        if self._runner is not None:
            await self._runner.cleanup()

    @web.middleware
    async def _asked(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        if self._connections is not None:
            self._connections.asks(request)
        return await handler(request)

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
