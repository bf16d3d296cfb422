"""Which programs were drained: whoever of them connects again serves nothing until it is a new process (P12)."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING, NamedTuple

from iii.protocol.limits import DRAINED_S, DRAINED_WORKERS

if TYPE_CHECKING:
    from iii.engine.clock import Clock
    from iii.engine.session.peer import Peer


class _Process(NamedTuple):
    """What a client of a generation without `reattach` tells of itself."""

    namespace: str
    runtime: str | None
    name: str
    pid: int
    ip_address: str | None
    identity: str | None  # of a session with access rules, which says nothing of others


class DrainedProcesses:
    """Known by the token that only they have, or, without one, by what they announce: name, process and address.

    The first is for good. The second is not certain, so it is forgotten soon after they left, and says nothing of
    process 1 under a name that somebody gave it: every container has one.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._tokens: dict[str, str] = {}  # by worker id, the oldest first
        self._processes: dict[_Process, float] = {}  # until when

    def __len__(self) -> int:
        return len(self._tokens) + len(self._processes)

    def add(self, peer: Peer) -> None:
        """Its connection serves no more; nor will the next one of its process."""
        self._tokens[peer.worker_id] = peer.reattach_token
        if len(self._tokens) > DRAINED_WORKERS:
            del self._tokens[next(iter(self._tokens))]
        process = None if peer.dialect.reattaches else _process_of(peer)
        if process is not None:
            self._keep(process, inf)

    def left(self, peer: Peer) -> None:
        """Its connection ended."""
        process = _process_of(peer)
        if process is not None and process in self._processes:
            self._keep(process, self._clock.now() + DRAINED_S)

    def was(self, worker_id: str, token: str | None) -> bool:
        """Whether a connection was drained; only its own client has the token."""
        return token is not None and self._tokens.get(worker_id) == token

    def ran(self, peer: Peer) -> bool:
        """Whether a newcomer announces itself as a process that was drained."""
        if not self._processes:
            return False
        process = _process_of(peer)
        return process is not None and self._processes.get(process, -inf) > self._clock.now()

    def _keep(self, process: _Process, until: float) -> None:
        self._processes.pop(process, None)
        now = self._clock.now()
        for known in [each for each, end in self._processes.items() if end <= now]:
            del self._processes[known]
        self._processes[process] = until
        if len(self._processes) > DRAINED_WORKERS:
            del self._processes[next(iter(self._processes))]


def _process_of(peer: Peer) -> _Process | None:
    """None: it could be another one."""
    info = peer.info
    if info.name is None or info.pid is None or (info.pid == 1 and not info.name.endswith(":1")):
        return None
    return _Process(peer.namespace, info.runtime, info.name, info.pid, peer.link.ip_address, peer.identity)
