"""Listening sockets: which addresses, of both loopback families, and why one cannot be had (L1, L2)."""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from iii.net.port_holder import OWN, port_holder
from iii.protocol.log_event import LogEvent
from iii.protocol.start_failure import StartFailure

OTHER_LOOPBACK_TAKEN = LogEvent(
    __name__, "port.other_loopback_taken", logging.WARNING,
    "Port of ::1 is already in use; clients that use `localhost` may reach another process there",
    means="The engine has the port of 127.0.0.1 only.",
    do="Stop the other process, set another `port`, or let clients use 127.0.0.1.",
)  # fmt: skip
ADDRESS_OCCUPIED = LogEvent(
    __name__, "port.occupied", logging.WARNING,
    "Address is in use by an outgoing connection, no process listens there; waiting until it is free",
    means="The system gave the port to the end of somebody's outgoing connection; the start waits for it, up to `limit_s`.",
    do="If it happens again, reserve the port with `sysctl net.ipv4.ip_local_reserved_ports`.",
)  # fmt: skip

BACKLOG = 4096  # what comes back at once after a restart; the system may allow less
OCCUPIED_S = 70.0  # longer than the 60 s that a closed connection may keep its port
OCCUPIED_AGAIN_S = 0.5
USER_TIMEOUT_S = 60.0  # sent bytes that nobody acknowledges for so long end the connection (L7)
_LOOPBACK_HOSTS = ("127.0.0.1", "localhost")


async def listen(host: str, port: int, key: str = "port") -> list[socket.socket]:
    """Bind every address of the host, not blocking; for a loopback host `::1` too, where possible.

    With port 0 the system chooses one, for one address only: another family would get another port. Accepted sockets
    have TCP keepalive and a limit on unacknowledged bytes. A port that the end of somebody's outgoing connection has is
    waited for, up to 70 s.

    Args:
        key: of the configuration, which says the port.

    Raises:
        StartFailure: `address HOST:PORT is already in use…` or `failed to bind to HOST:PORT: …`, with the key that is to blame.
    """
    loopback = host in _LOOPBACK_HOSTS
    bound: list[socket.socket] = []
    try:
        found = await asyncio.get_running_loop().getaddrinfo(
            _LOOPBACK_HOSTS[0] if loopback else host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
        for family, _, _, _, address in dict.fromkeys(found):
            if port == 0 and bound:
                break
            bound.append(await _bound(family, address, f"{in_url(host)}:{port}", key))
    except BaseException as error:
        for each in bound:
            each.close()
        if isinstance(error, OSError | UnicodeError):
            raise _bind_failure(host, port, key, error) from None
        raise
    if port != 0 and loopback:
        bound += _other_loopback(port)
    return bound


@contextmanager
def handed_over(sockets: Sequence[socket.socket]) -> Iterator[None]:
    """To who is made and begins inside: if that fails, nobody has them, and they close."""
    try:
        yield
    except BaseException:
        for each in sockets:
            each.close()
        raise


def port_of(listening: socket.socket) -> int:
    """The port that it is bound to."""
    port: int = listening.getsockname()[1]
    return port


def in_url(host: str) -> str:
    """The host as it stands before `:PORT`."""
    return f"[{host}]" if ":" in host else host


def _other_loopback(port: int) -> list[socket.socket]:
    """Clients that say `localhost` may mean either family (L1)."""
    try:
        return [_listening_socket(socket.AF_INET6, ("::1", port))]
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            OTHER_LOOPBACK_TAKEN(port=port)
        return []


async def _bound(family: int, address: tuple[object, ...], configured: str, key: str) -> socket.socket:
    loop = asyncio.get_running_loop()
    give_up_at = loop.time() + OCCUPIED_S
    told = False
    while True:
        try:
            return _listening_socket(family, address)
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
        shown = f"address {configured} is already in use"
        who = await port_holder(family, address)
        if who is not None:
            remedy = f"set another `{key}`" if who is OWN else f"stop it, or set another `{key}`"
            raise StartFailure(f"{shown}: {who}; {remedy}", (key,))
        if loop.time() >= give_up_at:
            raise StartFailure(
                f"{shown}: no process listens there, but an outgoing connection has kept it for {OCCUPIED_S:g} s; "
                f"set another `{key}`, or reserve this one: sysctl net.ipv4.ip_local_reserved_ports={address[1]}",
                (key,),
            )
        if not told:
            told = True
            ADDRESS_OCCUPIED(address=configured, limit_s=OCCUPIED_S)
        await asyncio.sleep(OCCUPIED_AGAIN_S)


def _listening_socket(family: int, address: tuple[object, ...]) -> socket.socket:
    bound = socket.socket(family, socket.SOCK_STREAM)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        # Accepted sockets inherit these (L7)
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        if hasattr(socket, "TCP_USER_TIMEOUT"):
            bound.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(USER_TIMEOUT_S * 1000))
        if family == socket.AF_INET6:
            bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        bound.bind(address)
        bound.setblocking(False)
        bound.listen(BACKLOG)
    except OSError:
        bound.close()
        raise
    return bound


def _bind_failure(host: str, port: int, key: str, error: OSError | UnicodeError) -> StartFailure:
    reason = error.strerror if isinstance(error, OSError) else None
    shown = f"failed to bind to {in_url(host)}:{port}: {reason or error}"
    if isinstance(error, UnicodeError | socket.gaierror) or error.errno == errno.EADDRNOTAVAIL:
        return StartFailure(
            f"{shown}; set `host` to an address of this machine, or to 0.0.0.0 for all of them", ("host",)
        )
    if error.errno == errno.EACCES:
        return StartFailure(
            f"{shown}; set a `{key}` of 1024 or more, or grant the process CAP_NET_BIND_SERVICE", (key,)
        )
    return StartFailure(shown)
