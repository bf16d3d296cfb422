"""`iii-console`: the console as a module of the engine, and the functions of the published one (23 §1, §7)."""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
from collections.abc import Iterator, Sequence
from contextlib import suppress
from functools import cache, partial
from typing import TYPE_CHECKING, ClassVar

import msgspec

from iii.console.audit import Audit
from iii.console.backend.all_routes import BACKEND
from iii.console.backend.route import response_object
from iii.console.config import ConsoleConfig
from iii.console.desk import Desk
from iii.console.engine_place import EnginePlace, address_of
from iii.console.entrance import InsideEntrance
from iii.console.inside import EVENT, Events, InsideDoor
from iii.console.visitor import Visitor
from iii.engine.bindings import Binding
from iii.engine.builtin import BUILTIN_FAILED
from iii.engine.functions import Function
from iii.engine.module import Module
from iii.net.listening import handed_over, in_url, listen, port_of
from iii.net.picows_side import TlsClient
from iii.net.server_tls import server_tls
from iii.protocol.address import is_loopback
from iii.protocol.ids import new_id
from iii.protocol.log_event import LogEvent
from iii.protocol.names import DEFAULT_NAMESPACE
from iii.protocol.start_failure import StartFailure
from iii.protocol.task_set import TaskSet
from iii.server.listener_access import admission_of

if TYPE_CHECKING:
    from iii.console.backend.route import BackendRoute
    from iii.console.serving import ConsoleServer
    from iii.engine.engine import Engine
    from iii.engine.invocation import Invocation

READY = LogEvent(
    __name__, "console.ready", logging.INFO, "Console available at {url}", means="Open that address in a browser."
)  # fmt: skip
NOT_SERVED = LogEvent(
    __name__, "console.not_served", logging.WARNING, "Console is not served: its port cannot be had; the engine runs without it",
    means="Another process has the port, or the address is not one of this machine; `reason` says which.",
    do="Set another `port` of `iii-console`, or `enabled: false` if the engine needs no console.",
)  # fmt: skip
KEPT_LOCAL = LogEvent(
    __name__, "console.kept_local", logging.WARNING, "Console is served on this machine only: there is no login",
    means="`host` is an address that other machines reach, and there is no `rbac`; the console listens on 127.0.0.1.",
    do="Give the console `rbac` with tokens, or set `host: 127.0.0.1`.",
)  # fmt: skip
LOCAL = "127.0.0.1"
_OPENED_S = 1.0  # a port that has to be waited for is not waited for here


class Console(Module):
    """Attributes:
    port: once it is open, the one that the system chose for 0.
    opening: what `start` has begun, at work or done.
    """

    name = "iii-console"
    description = "Web console UI and observability dashboard for the iii engine."
    Config: ClassVar = ConsoleConfig

    def __init__(self, engine: Engine, config: ConsoleConfig | None = None, instance: str | None = None) -> None:
        """Raises StartFailure: the access rules make no sense, or a file of certificates is unusable."""
        super().__init__(engine, instance)
        self.config = config or ConsoleConfig()
        self._admission = admission_of(engine, self.instance, self.config.rbac, None)
        self._events = Events(engine, self)
        self._tasks = TaskSet(BUILTIN_FAILED)
        self._tls = server_tls(self.config.tls, self.name)
        self._audit = Audit()
        self._served = self.config
        if self._admission is None and not is_loopback(self.config.host):
            self._served = msgspec.structs.replace(self.config, host=LOCAL)
        self.port = self.config.port
        self.opening: asyncio.Task[None] | None = None
        self._server: ConsoleServer | None = None

    def functions(self) -> Iterator[Function]:
        """`engine::console::…`, and the target of the console's triggers."""
        for route in BACKEND:
            yield Function(
                DEFAULT_NAMESPACE, route.function_id, self, partial(self._deliver, route),
                description=route.description,
            )  # fmt: skip
        yield Function(
            DEFAULT_NAMESPACE, EVENT, self, lambda invocation, function: self._events.arrived(invocation),
            description="Learn that something which a page follows has changed.",
        )  # fmt: skip

    async def start(self) -> None:
        """Listen, and serve soon. A port that cannot be had is no reason for an engine not to run."""
        if not self.config.enabled:
            return
        if self._served is not self.config:
            KEPT_LOCAL(host=self.config.host, port=self.config.port)
        if self.config.engine_routes:
            self._bind_routes()
        listens = asyncio.Event()
        self.opening = asyncio.get_running_loop().create_task(self._open(listens))
        with suppress(TimeoutError):
            async with asyncio.timeout(_OPENED_S):
                await listens.wait()

    async def renew(self) -> None:
        if self._tls is not None:
            await self._tls.renew()

    async def stop(self) -> None:
        """Leave."""
        if self.opening is not None:
            self.opening.cancel()
            await asyncio.wait((self.opening,))
        if self._server is not None:
            await self._server.close()
        self._tasks.cancel()
        await self._tasks.wait()

    async def _open(self, listens: asyncio.Event) -> None:
        try:
            sockets = await listen(self._served.host, self._served.port)
            self.port = port_of(sockets[0])
            READY(url=address_of(self._served.host, self.port, self._tls))
            listens.set()
            await self._serve(sockets)
        except Exception as error:
            NOT_SERVED(None if isinstance(error, StartFailure) else error, reason=str(error))
        finally:
            listens.set()

    async def _serve(self, sockets: Sequence[socket.socket]) -> None:
        """Browsers that connect meanwhile wait for a tenth of a second, and not the workers."""
        with handed_over(sockets):
            kind = await asyncio.to_thread(_loaded)
            entrance = InsideEntrance(self.engine, self._events, self._admission)
            self._server = kind(self._served, entrance, self.place, self._audit, self._tls)
            await self._server.open(sockets)

    def _bind_routes(self) -> None:
        """Everybody who reaches the HTTP port may call anything through them."""
        for route in BACKEND:
            config = msgspec.json.encode({"api_path": f"_console/{route.path}", "http_method": route.method})
            binding = Binding(new_id(), "http", route.function_id, config=config, owner=self)
            self.engine.registry.binding_owners.register(self, binding)

    def place(self) -> EnginePlace:
        """Where the ports of the engine are now."""
        ports = {module.name: _port_of(module) for module in self.engine.modules}
        host = LOCAL if not is_loopback(self._served.host) else self._served.host
        url = f"ws://{in_url(host)}:{ports.get('iii-worker-manager') or 0}"
        return EnginePlace(
            "module", url, host, ports.get("iii-http"), ports.get("iii-stream"), self._tls_of("iii-http"), self._tls_of("iii-stream")
        )  # fmt: skip

    def _tls_of(self, name: str) -> TlsClient | None:
        """For a port of this very process: nobody else can have it, whatever its certificate says."""
        if all(module.name != name or _config_tls(module) is None for module in self.engine.modules):
            return None
        return _unverified()

    def _deliver(self, route: BackendRoute, invocation: Invocation, function: Function) -> None:
        self._tasks.spawn(self._answer(route, invocation))

    async def _answer(self, route: BackendRoute, invocation: Invocation) -> None:
        """With the rights of the caller: nobody can do through it what it could not do itself (20 §4)."""
        door = InsideDoor(self.engine, self._events, invocation.caller)
        desk = Desk(Visitor(door, "caller of a function", ""), self._audit, None)
        invocation.complete(await response_object(route, desk, bytes(invocation.data)))


def _loaded() -> type[ConsoleServer]:
    """aiohttp takes longer to import than the loop may stand still, and a third of what else an engine starts with."""
    from iii.console.serving import ConsoleServer

    return ConsoleServer


@cache
def _unverified() -> TlsClient:
    """One for all connections, so that they are used again; without the authorities of the system, which take 20 ms to read."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return TlsClient(context, None)


def _config_tls(module: object) -> object | None:
    return getattr(getattr(module, "config", None), "tls", None)


def _port_of(module: object) -> int | None:
    """Where a module listens, once it does."""
    for holder in (module, getattr(module, "server", None), getattr(module, "listener", None)):
        port = getattr(holder, "port", None)
        if isinstance(port, int):
            return port
    return None
