"""File descriptors of the process: as many as the system allows, shared between ports, some kept for files (01 §1.1)."""

from __future__ import annotations

import os
import resource
import socket
import struct
from contextlib import suppress

_ENOUGH = 1_048_576
_KEPT = 64  # for the files of stores and for connections to other servers; fewer of a low limit
LEAST = 64  # an engine with few modules; granian would abort the process when it cannot open its own
HOW_TO_RAISE = "raise it with `ulimit -n`, or LimitNOFILE= of systemd"
_FOR_WORKERS = 8  # for workers and stream clients, else a start fails
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
    return _share_of_http(limit())


def scarce(descriptor: int, share: float = 1.0) -> bool:
    """Whether a port should accept nothing more for now; `descriptor` is any that is open.

    Args:
        share: of what the engine left at its start, which ports take up together before this one waits: the rest is for others.
    """
    below = _for_workers_below()
    own = min(_own.used, below)
    return _lowest_free(descriptor) >= own + (below - own) * share


class _Own:
    """Of the engine itself. Descriptors belong to the process, so this does too."""

    used = 0  # once it has started


_own = _Own()


def shortage() -> str | None:
    """Why an engine that has started could hardly serve anybody, with the remedy; None if it can."""
    with open(os.devnull, "rb") as any_file:
        used = _own.used = _lowest_free(any_file.fileno()) - 1
    missing = used + _FOR_WORKERS - _for_workers_below()
    if missing <= 0:
        return None
    enough = next(each for each in range(limit(), _ENOUGH) if used + _FOR_WORKERS <= _for_workers_below(each))
    return (
        f"the limit of {limit()} open files is too low: the engine itself uses {used}, {_kept(limit())} are reserved for stores and "
        f"{http_connections()} for HTTP connections; it needs {enough} or more; {HOW_TO_RAISE}"
    )


def _lowest_free(descriptor: int) -> int:
    """The number that the next file gets; the limit if there is none."""
    try:
        lowest_free = os.dup(descriptor)
    except OSError:
        return limit()
    os.close(lowest_free)
    return lowest_free


def _kept(allowed: int) -> int:
    return max(4, min(_KEPT, allowed // 16))


def _share_of_http(allowed: int) -> int:
    """A quarter; an eighth of a limit so low that workers would have nothing."""
    return max(1, allowed // (4 if allowed >= 256 else 8))


def _for_workers_below(allowed: int | None = None) -> int:
    """Descriptors from this number on are for stores and the HTTP port."""
    allowed = limit() if allowed is None else allowed
    return allowed - _kept(allowed) - _share_of_http(allowed)


def waiting(listening: socket.socket) -> int:
    """Connections that wait to be accepted; 0 where the system does not tell."""
    if not hasattr(socket, "TCP_INFO"):
        return 0
    told = listening.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO_BACKLOG + 4)
    return int(struct.unpack_from("I", told, _TCP_INFO_BACKLOG)[0]) if len(told) == _TCP_INFO_BACKLOG + 4 else 0
