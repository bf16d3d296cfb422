"""`iii-http`: the trigger type `http` and the server behind it (03 Part A)."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, ClassVar

from iii.engine.bindings import Binding
from iii.engine.engine import Engine
from iii.engine.module import Adjusted, Module
from iii.engine.observing.source import EventSource
from iii.engine.schema import late_schema
from iii.engine.trigger_types import TriggerType
from iii.modules.http.access_log import LoggedApplication
from iii.modules.http.application import ANSWER_S, HttpApplication
from iii.modules.http.away_routes import AwayRoutes, RememberedRoutes
from iii.modules.http.config import HttpConfig
from iii.modules.http.observed_routes import ObservedRoutes
from iii.modules.http.routes import Route, RouteConflict, RouteTable
from iii.modules.http.settings import Settings
from iii.modules.http.times import HTTP_TIMES, HttpTimes
from iii.modules.http.trigger_config import Endpoint, HttpCall, HttpResult, HttpTriggerConfig, read_trigger_config
from iii.net.descriptors import http_connections
from iii.net.listening import handed_over, in_url, listen, port_of
from iii.net.server_tls import ServerTls, server_tls
from iii.protocol.address import is_loopback
from iii.protocol.errors import TriggerRegistrationFailed
from iii.protocol.log_event import LogEvent
from iii.protocol.measurement import Measurement
from iii.protocol.names import DEFAULT_NAMESPACE
from iii.protocol.route_path import InvalidPath
from iii.protocol.start_failure import StartFailure
from iii.protocol.task_set import TaskSet

if TYPE_CHECKING:
    from iii.modules.http.server import HttpServer

READY = LogEvent(
    __name__, "http.ready", logging.INFO, "HTTP ready", means="The port is open; shows where routes are served."
)  # fmt: skip
PORT_IS_OPEN = LogEvent(
    __name__, "http.port_open", logging.INFO, "HTTP port is open to other machines: every client that reaches it can call the routes",
    means="The routes have no access control of their own.",
    do="If that is not meant, set `host: 127.0.0.1`, or restrict access with a proxy or a firewall.",
)  # fmt: skip
ROUTE_REGISTERED = LogEvent(
    __name__, "http.route_registered", logging.INFO, "HTTP route registered", means="A trigger of type `http` is bound.",
)  # fmt: skip
ROUTE_NEVER_MATCHES = LogEvent(
    __name__, "http.route_never_matches", logging.WARNING, "HTTP route can never match: a request's path has no such characters",
    means="The API path of the trigger has a query, a space or a character beyond ASCII.",
    do="Correct the path; what is not ASCII is percent-encoded in requests.",
)  # fmt: skip


RETIRE_FAILED = LogEvent(
    __name__, "http.retire_failed", logging.ERROR, "HTTP server with the former certificate failed to stop",
    means="The engine itself raised while it waited for requests of connections that were made with the former certificate.",
    do="Report it with its stack trace.",
)  # fmt: skip
_AT_START = ("access_log", "file_path", "ignore_trailing_slash", "route_grace_ms")  # options that the whole is made of
MOVED_S = 10.0  # for requests at work at a port that was left (18 §3.2)


class Http(Module):
    name = "iii-http"
    description = "Expose functions as HTTP endpoints."
    Config: ClassVar = HttpConfig

    def __init__(
        self,
        engine: Engine,
        config: HttpConfig | None = None,
        instance: str | None = None,
        times: HttpTimes = HTTP_TIMES,
    ) -> None:
        """Raises StartFailure."""
        super().__init__(engine, instance)
        self._times = times
        self.config = config or HttpConfig()
        self._tls = self._tls_of(self.config)
        self.port = self.config.port  # once started, the one that the system chose for 0
        self.routes: RouteTable[Endpoint] = RouteTable(self.config.ignore_trailing_slash)
        self.away = AwayRoutes(self.config.route_grace_ms / 1000, engine.clock.now, self.config.ignore_trailing_slash)
        application = LoggedApplication if self.config.access_log else HttpApplication
        self.application = application(engine, self.routes, self.away, Settings(self.config))
        self._remembered = RememberedRoutes(self.config.file_path, lambda: [*self.routes.names, *self.away.names])
        self._servers: list[HttpServer] = []
        self._retired = TaskSet(RETIRE_FAILED)
        self._observed = ObservedRoutes(self.routes, self._add, self._remove)

    @property
    def address(self) -> str:
        return f"{in_url(self.config.host)}:{self.port}"

    @property
    def _url(self) -> str:
        return f"{'http' if self._tls is None else 'https'}://{self.address}"

    def _tls_of(self, config: HttpConfig) -> ServerTls | None:
        """Raises StartFailure."""
        if config.tls is not None and config.tls.client_auth == "optional":
            raise StartFailure(
                "tls: `client_auth: optional` is for ports that know clients by their certificates; requests of "
                "routes carry none: leave `client_ca` out, or require it",
                ("tls", "client_auth"),
            )
        return server_tls(config.tls, self.instance)

    async def measurements(self) -> Sequence[Measurement]:
        active = Measurement(
            "http.server.active_requests", "{request}", "gauge", "HTTP requests at work.",
            [((), self.application.open_requests)],
        )  # fmt: skip
        return [*self.application.durations.measured(), active]

    async def start(self) -> None:
        """Bind and serve. Raises StartFailure."""
        self._entrust(self.config)
        for name in await self._remembered.read():
            self.away.add(name)
        self._servers = await self._opened(self.config)
        READY(routes_served_at=self._url)
        if not is_loopback(self.config.host):
            PORT_IS_OPEN(address=self.address)

    async def _opened(self, config: HttpConfig) -> list[HttpServer]:
        """Raises StartFailure."""
        bound = await listen(config.host, config.port)
        self.port = port_of(bound[0])
        with handed_over(bound):
            servers = self._made(bound, config)
        return _begun(servers)

    def _made(self, bound: list[socket.socket], config: HttpConfig) -> list[HttpServer]:
        from iii.modules.http.server import HttpServer  # loads granian, which an engine without this port does not need

        share = max(1, http_connections() // len(bound))
        clients, idle_timeout = self.application.clients, config.idle_timeout
        return [
            HttpServer(self.application, clients, each, idle_timeout, share, self._times, self._tls) for each in bound
        ]

    async def renew(self) -> None:
        if self._tls is not None and await self._tls.renew():
            with suppress(StartFailure):  # the files have changed once more, which the next look sees
                self._succeed(self.config)

    def _succeed(self, config: HttpConfig) -> None:
        """Other servers take over the sockets: one has its certificate for life."""
        left = self._servers
        self._servers = _begun(self._made([server.another_socket() for server in left], config))
        for server in left:
            self._retired.spawn(server.retire())

    async def adjust(self, config: HttpConfig) -> Adjusted:
        """Bind another port before the old one closes, if it is another one. Raises StartFailure: it cannot be had."""
        old, moved = self.config, config.port != self.config.port
        if any(getattr(config, name) != getattr(old, name) for name in _AT_START) or (
            not moved and (config.host, config.idle_timeout) != (old.host, old.idle_timeout)
        ):
            return Adjusted.MODULE
        before = self._tls
        if config.tls != old.tls:
            self._tls = self._tls_of(config)
        try:
            servers = await self._opened(config) if moved else self._servers
        except BaseException:
            self._tls = before
            raise
        if not moved and self._tls is not before:
            self._succeed(config)
            servers = self._servers
        left, self._servers = self._servers, servers
        self.config = config
        self._entrust(config)
        self.application.adjust(Settings(config))
        if moved:
            READY(routes_served_at=self._url)
            await asyncio.gather(*(server.stop(MOVED_S) for server in left))
        return Adjusted.NOW

    def _entrust(self, config: HttpConfig) -> None:
        """What every request passes is not for sessions (20 §5)."""
        named = (*(entry.function_id for entry in config.middleware), config.not_found_function)
        self.engine.functions.entrusted.hold(self, named)

    async def quiet(self) -> None:
        """Close the port, let requests at work end, then break them off: `drain_s` and a little, whatever clients do."""
        drain_s = self._times.drain_s
        await asyncio.gather(
            self._remembered.close(),
            self.application.finish(drain_s),
            *(server.stop(drain_s + ANSWER_S) for server in self._servers),
        )
        self._retired.cancel()

    def trigger_types(self) -> Iterator[TriggerType]:
        yield TriggerType(
            DEFAULT_NAMESPACE,
            "http",
            self,
            "HTTP API trigger",
            config_schema=late_schema(HttpTriggerConfig),
            call_schema=late_schema(HttpCall),
            return_schema=late_schema(HttpResult),
        )

    def bind(self, binding: Binding) -> None:
        config = read_trigger_config(binding.config)
        endpoint = Endpoint(
            binding.function_id, binding.namespace, config.api_path, binding.metadata, binding,
            config.condition_function_id, config.middleware_function_ids, config.cancel_on_disconnect,
        )  # fmt: skip
        try:
            self._add(Route(config.http_method, config.api_path, endpoint, binding.id, binding))
        except (InvalidPath, RouteConflict) as error:
            raise TriggerRegistrationFailed(str(error)) from None

    def _add(self, route: Route[Endpoint]) -> None:
        """Raises RouteConflict, TriggerRegistrationFailed."""
        self._check_owner(route)
        trusted = _identity(route) is None
        self.routes.add(route, lambda other: trusted and _identity(other) is not None)
        if not route.can_match:
            ROUTE_NEVER_MATCHES(method=route.method, path=route.api_path)
        self.away.forget((route.method, route.api_path))
        self._remembered.changed()
        ROUTE_REGISTERED(method=route.method, path=route.api_path, function=route.target.function_id)

    def _check_owner(self, route: Route[Endpoint]) -> None:
        """A session takes nobody's requests (20 §5). Raises TriggerRegistrationFailed."""
        identity = _identity(route)
        if identity is not None and any(_identity(each) != identity for each in self.routes.others(route)):
            raise TriggerRegistrationFailed(
                f"Route '{route.method} {route.api_path}' belongs to another worker; use another path"
            )

    def unbind(self, binding: Binding) -> None:
        route = self.routes.get(binding.id)
        if route is None or route.owner is not binding:
            return
        self._remove(route, binding.orphaned)

    def _remove(self, route: Route[Endpoint], orphaned: bool) -> None:
        """`orphaned`: its worker may come again."""
        name = (route.method, route.api_path)
        if not orphaned:
            self.away.forget(name)
        elif not self.routes.has_other(route):
            self.away.add(name)
        self.routes.remove(route.trigger_id, route.owner)
        self._remembered.changed()

    def sources(self) -> Iterator[EventSource]:
        yield self._observed.source


def _begun(servers: list[HttpServer]) -> list[HttpServer]:
    for server in servers:
        server.start()
    return servers


def _identity(route: Route[Endpoint]) -> str | None:
    target = route.target
    if target.binding is not None:
        return target.binding.identity
    return None if target.observed is None else target.observed.identity
