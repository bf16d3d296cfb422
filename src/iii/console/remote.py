"""`iii console`: the console of an engine that is somewhere else (23 §8)."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType
from typing import NamedTuple

import msgspec

from iii.console.audit import Audit
from iii.console.backend.all_routes import BACKEND
from iii.console.backend.route import BackendRoute, response_object
from iii.console.config import ConsoleConfig
from iii.console.desk import Desk
from iii.console.engine_place import EnginePlace
from iii.console.module import READY
from iii.console.outside import OutsideDoor
from iii.console.outside_entrance import OutsideEntrance
from iii.console.serving import ConsoleServer
from iii.console.visitor import Visitor
from iii.net.listening import handed_over, in_url, listen
from iii.protocol.log_event import LogEvent
from iii.sdk.client_tls import ClientTls
from iii.sdk.options import InitOptions

CONNECTED = LogEvent(
    __name__, "console.engine_connected", logging.INFO, "Console connected to its engine", means="Pages show what the engine knows."
)  # fmt: skip
DISCONNECTED = LogEvent(
    __name__, "console.engine_disconnected", logging.WARNING, "Console lost the connection to its engine; reconnecting",
    means="Pages say that the engine is away, and go on by themselves when the connection is back.",
    do="Look whether the engine runs, and at `url`.",
)  # fmt: skip
LEAVE_S = 5.0


class RemoteConsole(NamedTuple):
    """What `iii console` was told.

    Attributes:
        url: of the engine's worker port.
        host, http_port, stream_port: of its other ports.
        token: that visitors log in with; None: nobody has to.
        engine_routes: whether the HTTP port of the engine serves `_console/…` too.
        headers: of the handshake with the engine; None: those of the environment.
        tls: fields of `TlsOptions`.
        engine_tls: whether the engine's HTTP and stream ports have TLS.
    """

    url: str
    host: str
    http_port: int
    stream_port: int
    config: ConsoleConfig
    token: str | None = None
    engine_routes: bool = False
    headers: Mapping[str, str] | None = None
    tls: Mapping[str, object] = MappingProxyType({})
    engine_tls: bool = False


async def serve(told: RemoteConsole) -> None:
    """Until SIGINT or SIGTERM. Raises StartFailure: the port cannot be had. ValueError: the URL cannot be used."""
    door = OutsideDoor(told.url, told.headers, told.tls)
    server = ConsoleServer(told.config, OutsideEntrance(door, told.token), place_of(told, door.address), Audit())
    server.live.engine(False)
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopping.set)
    sockets = await listen(told.config.host, told.config.port)
    with handed_over(sockets):
        await server.open(sockets)
    try:
        READY(url=server.address)
        if told.engine_routes:
            _offer(door, server)
        door.open(partial(_engine, server, door.address))
        await stopping.wait()
    finally:
        async with asyncio.timeout(LEAVE_S):
            await asyncio.gather(door.close(), server.close())


def place_of(told: RemoteConsole, address: str) -> Callable[[], EnginePlace]:
    """Where the engine is, with its certificates as they are then. Raises ValueError: a file of certificates is unusable."""
    place = EnginePlace("remote", address, told.host, told.http_port, told.stream_port)
    if not told.engine_tls:
        return lambda: place
    url = f"wss://{in_url(told.host)}"
    tls = ClientTls(InitOptions(tls=told.tls).tls_options, url)
    tls.context_for(url)  # which warns, once, of certificates that are not verified

    def now() -> EnginePlace:
        found = tls.context_for(url, warns=False)
        return place._replace(http_tls=found, stream_tls=found)

    return now


def _engine(server: ConsoleServer, url: str, connected: bool) -> None:
    if connected and not server.live.connected:
        CONNECTED(url=url)
    elif server.live.connected and not connected:
        DISCONNECTED(url=url)
    server.live.engine(connected)


def _offer(door: OutsideDoor, server: ConsoleServer) -> None:
    """The functions of the published console, and its routes on the engine's HTTP port (O4)."""
    desk = Desk(Visitor(door, "caller of a function", ""), server.audit, None)

    async def answer(route: BackendRoute, payload: bytes) -> bytes:
        return await response_object(route, desk, payload)

    for route in BACKEND:
        door.offer(route.function_id, partial(answer, route), route.description)
        door.bind("http", route.function_id, {"api_path": f"_console/{route.path}", "http_method": route.method})


def config_of(host: str, port: int, *, enable_flow: bool, allowed_hosts: tuple[str, ...]) -> ConsoleConfig:
    """What the server is told. Raises ValueError."""
    return msgspec.convert(
        {"host": host, "port": port, "enable_flow": enable_flow, "allowed_hosts": allowed_hosts}, ConsoleConfig
    )
