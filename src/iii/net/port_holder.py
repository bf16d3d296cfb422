"""Who has an address that cannot be bound: a process that listens, or only the rest of an outgoing connection (L2)."""

from __future__ import annotations

import asyncio
import os
import socket
import struct

_ANSWER_S = 1.0  # for whatever listens there
_ANY = {"0.0.0.0": "127.0.0.1", "::": "::1"}
OWN = "another listener of this engine has it"
_ENGINE_SAYS = b"This is a WebSocket endpoint"


async def port_holder(family: int, address: tuple[object, ...]) -> str | None:
    """Who listens at the address, in words; None if nobody does.

    Then a connection of some program to somewhere else has got this port as its own end, still open or closed less than
    60 s ago, or a client that tried to reach a server here has connected to itself.
    """
    host, port = str(address[0]), int(str(address[1]))
    listening = await asyncio.to_thread(_listening, host, port)
    if os.getpid() in listening:
        return OWN
    said = await _said_there(family, (_ANY.get(host, host), port))
    if said is None and not listening:
        return None
    who = "another iii engine" if said and _ENGINE_SAYS in said else "another process"
    return f"{who} listens there" + "".join(f" (process {pid})" for pid in listening if pid is not None)


async def _said_there(family: int, address: tuple[str, int]) -> bytes | None:
    """The first bytes of an answer to an HTTP request; None if nobody took the connection."""
    loop = asyncio.get_running_loop()
    with socket.socket(family, socket.SOCK_STREAM) as client:
        client.setblocking(False)
        # Should it connect to itself, it must neither keep the port from us nor leave it in TIME_WAIT
        client.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        try:
            async with asyncio.timeout(_ANSWER_S):
                await loop.sock_connect(client, address)
                if client.getsockname()[:2] == client.getpeername()[:2]:
                    return None
        except OSError:
            return None
        try:
            async with asyncio.timeout(_ANSWER_S):
                await loop.sock_sendall(client, b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
                return await loop.sock_recv(client, 4096)
        except OSError:
            return b""


def _listening(host: str, port: int) -> set[int | None]:
    """Which processes of this machine, where the system tells; None for one of somebody else's."""
    import psutil  # takes a while, and nearly every start is without it

    try:
        found = psutil.net_connections("tcp")
    except (psutil.Error, OSError):
        return set()
    hosts = {host, *_ANY}
    return {
        each.pid
        for each in found
        if each.status == psutil.CONN_LISTEN
        and each.laddr
        and each.laddr.port == port
        and (host in _ANY or each.laddr.ip in hosts)
    }
