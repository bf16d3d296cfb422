"""File descriptors of the process: as many as the system allows, shared between ports, some kept for files (01 §1.1)."""

from __future__ import annotations

import os
import resource
import socket
import struct
from contextlib import suppress

_ENOUGH = 1_048_576
_KEPT = 64  # for the files of stores and for connections to other servers; fewer of a low limit
_TCP_INFO_BACKLOG = 24  # where Linux tells how many connections wait to be accepted (tcpi_unacked)


def limit() -> int:
    """How many may be open at once."""
    soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return _ENOUGH if soft < 0 else min(soft, _ENOUGH)  # below 0: unlimited


def raise_limit() -> None:
    """As far as the user may: the usual 1024 is a number for programs that call select()."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    wanted = _ENOUGH if hard < 0 else min(hard, _ENOUGH)
    if limit() < wanted:
        with suppress(OSError, ValueError):  # macOS has a lower limit that is told nowhere
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def http_connections() -> int:
    """The share of the HTTP port, whose connections are accepted by a library that cannot wait when none is left."""
    return max(1, limit() // 4)


def scarce(descriptor: int) -> bool:
    """Whether a port should accept nothing more for now; `descriptor` is any that is open."""
    try:
        lowest_free = os.dup(descriptor)
    except OSError:
        return True
    os.close(lowest_free)
    allowed = limit()
    return lowest_free >= allowed - max(8, min(_KEPT, allowed // 16)) - http_connections()


def waiting(listening: socket.socket) -> int:
    """Connections that wait to be accepted; 0 where the system does not tell."""
    if not hasattr(socket, "TCP_INFO"):
        return 0
    told = listening.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO_BACKLOG + 4)
    return int(struct.unpack_from("I", told, _TCP_INFO_BACKLOG)[0]) if len(told) == _TCP_INFO_BACKLOG + 4 else 0
