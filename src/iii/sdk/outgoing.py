"""Every socket that the SDK opens: to the engine, never to itself, and known to who must close it after a fork.

They are made here and not by the event loop for three reasons. Linux may give a client the very port that it calls, which
connects the socket to itself; such a socket, and any that got a server's port by chance, must not block that server (core
finding 5). uvloop resolves names on threads of libuv, which a forked child dies of at its exit (core finding 1). And
nothing but the library's request may follow a redirect, least of all a token (core finding 11).
"""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import socket
import struct
import threading
from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from iii.net.picows_side import FrameListener, connect
from iii.protocol.limits import INBOUND_MESSAGE_BYTES
from iii.sdk.log_output import logger_of
from iii.sdk.open_sockets import open_sockets

if TYPE_CHECKING:
    from iii.sdk.client_tls import ClientTls

wire_logger = logger_of("iii.sdk.wire")  # the library's own remarks, quiet unless somebody asks for them
wire_logger.setLevel(logging.ERROR)

Address = tuple[Any, ...]
_Resolved = tuple[socket.AddressFamily, Address]


async def open_websocket(
    connection: FrameListener,
    url: str,
    headers: Mapping[str, str],
    timeout_s: float,
    tls: ClientTls | None = None,
) -> None:
    """Connect and shake hands. Raises TimeoutError, or whatever went wrong; a redirect is an error."""
    connected: list[socket.socket] = []

    async def reach(host: str, port: int) -> socket.socket:
        connected.append(await _connected_socket(host, port))
        return connected[0]

    try:
        async with asyncio.timeout(timeout_s):
            encrypted = None if tls is None else tls.context_for(url)
            await connect(connection, url, headers, reach, INBOUND_MESSAGE_BYTES, timeout_s, wire_logger, encrypted)
    except BaseException:
        # The library's own handshake goes on after a cancel: the loop has the transport, which ends when TCP does
        for each in connected:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
        raise


async def _connected_socket(host: str, port: int) -> socket.socket:
    """The first address of the host that accepts. Raises OSError."""
    failure: OSError | None = None
    for family, address in await _resolve(host, port):
        try:
            return await connect_socket(family, address)
        except OSError as error:
            failure = error
    raise failure or OSError(f"host name {host} resolves to no address")


async def connect_socket(family: socket.AddressFamily, address: Address, local: Address | None = None) -> socket.socket:
    """One TCP connection; `local` binds its own end. Raises OSError; ConnectionRefusedError if it reached only itself."""
    connected = socket.socket(family, socket.SOCK_STREAM)
    try:
        connected.setblocking(False)
        if os.name == "posix":
            connected.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if local is not None:
            connected.bind(local)
        await _finish_connecting(connected, address)
        if connected.getsockname() == connected.getpeername():
            # A reset, so that its port is free for the server at once and not only after TIME_WAIT
            connected.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            raise ConnectionRefusedError(errno.ECONNREFUSED, "the connection reached its own socket, not a server")
    except BaseException:
        connected.close()
        raise
    open_sockets.add(connected)
    return connected


async def _finish_connecting(connecting: socket.socket, address: Address) -> None:
    try:
        connecting.connect(address)
    except BlockingIOError:
        loop = asyncio.get_running_loop()
        writable = asyncio.Event()
        loop.add_writer(connecting.fileno(), writable.set)
        try:
            await writable.wait()
        finally:
            loop.remove_writer(connecting.fileno())
        code = connecting.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if code:
            raise OSError(
                code, os.strerror(code)
            ) from None  # the class fits the code: ConnectionRefusedError and so on


async def _resolve(host: str, port: int) -> list[_Resolved]:
    """Raises OSError: the name is unknown."""
    try:
        return _addresses(host, port, socket.AI_NUMERICHOST)
    except socket.gaierror:
        pass
    loop = asyncio.get_running_loop()
    found: asyncio.Future[list[_Resolved]] = loop.create_future()

    def tell(outcome: list[_Resolved] | OSError | UnicodeError) -> None:
        if found.done():
            return
        if isinstance(outcome, Exception):
            found.set_exception(outcome)
        else:
            found.set_result(outcome)

    def look_up() -> None:
        outcome: list[_Resolved] | OSError | UnicodeError
        try:
            outcome = _addresses(host, port)
        except (OSError, UnicodeError) as error:
            outcome = error
        try:
            loop.call_soon_threadsafe(tell, outcome)
        except RuntimeError:
            return  # the loop is closed

    # A daemon: a name server that does not answer must not hold up the end of the process
    threading.Thread(target=look_up, name="iii resolver", daemon=True).start()
    return await found


def _addresses(host: str, port: int, flags: int = 0) -> list[_Resolved]:
    return [
        (family, address)
        for family, _, _, _, address in socket.getaddrinfo(host, port, 0, socket.SOCK_STREAM, 0, flags)
    ]
