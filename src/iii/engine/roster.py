"""Who is connected, under which names, and who wants to hear of it (01 §6)."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING

from iii.engine.departures import Departures, is_visit, visit_level
from iii.engine.drained import DrainedProcesses
from iii.engine.listeners import Listeners
from iii.engine.session.peer import Ending, Peer
from iii.protocol.limits import NAME_CHALLENGE_S
from iii.protocol.log_event import LogEvent

if TYPE_CHECKING:
    from iii.engine.clock import Clock
    from iii.engine.functions import FunctionRegistry
    from iii.protocol.messages import Reattach

WORKER_ANNOUNCED = LogEvent(
    __name__, "worker.announced", logging.INFO, "Worker announced itself",
    means="A worker said who it is; its registrations apply. At level DEBUG: a command of `iii` did.",
)  # fmt: skip
WORKER_DROPPED = LogEvent(
    __name__, "worker.dropped", logging.WARNING, "Worker dropped: it did not answer a ping, and another worker wants its name",
    means="The connection was dead, or its process hangs; the new worker has the name now.",
    do="If the dropped worker is another one and still runs, give each a name of its own.",
)  # fmt: skip

REATTACH_IGNORED = LogEvent(
    __name__, "worker.reattach_ignored", logging.WARNING, "Reattach ignored: wrong token",
    means="A worker wants to end another connection as its own earlier one, without the token of that.",
    do="Look at the client that the worker uses.",
)  # fmt: skip
STAYS_OUT = LogEvent(
    __name__, "worker.stays_out", logging.WARNING, "Drained worker connected again; it serves nothing until its process is restarted",
    means="A client that cannot end itself was drained, and has reconnected; it may still call.",
    do="Stop its process. What it was to do is done by the other owners of its functions.",
)  # fmt: skip

_CHALLENGE_LOOK_S = 0.040  # less than IDLE_RELEASE_S


class Roster:
    """Every connection of an engine.

    Attributes:
        connections: by worker id, silent ones too.
        names: by namespace and name, who has it.
        drained: the processes that were taken out of service.
        spawns: workers that there ever were.
        deaths: those of them that left.
        commands_left: those of them that were commands of `iii`.
        events: `worker_connected`, `worker_metadata_updated` and `worker_disconnected`, each when the lists show it.
    """

    def __init__(self, clock: Clock, functions: FunctionRegistry) -> None:
        self.departures = Departures()
        self.events: Listeners[[str, Peer]] = Listeners()
        self._clock = clock
        self.connections: dict[str, Peer] = {}
        self.names: dict[tuple[str, str], Peer] = {}
        self.drained = DrainedProcesses(clock)
        self.spawns = 0
        self.deaths = 0
        self.commands_left = 0
        self._claimed: dict[Peer, tuple[str, str]] = {}
        functions.changes.subscribe(self.departures.owner_changed)

    def workers(self) -> list[Peer]:
        """Connections that said something of the protocol (N1)."""
        return [peer for peer in self.connections.values() if peer.is_worker]

    def commands(self) -> int:
        """How many of them are commands of `iii`."""
        return sum(map(is_visit, self.workers()))

    # -- their life -----------------------------------------------------------------------------------------------

    def join(self, peer: Peer) -> None:
        """It connected."""
        self.connections[peer.worker_id] = peer

    def spoke(self, peer: Peer) -> None:
        """It said its first word: it is a worker."""
        self.spawns += 1
        self.events("worker_connected", peer)

    def announced(self, peer: Peer) -> None:
        """It said who it is."""
        info = peer.info
        WORKER_ANNOUNCED(
            None, visit_level(peer), worker=peer.label, worker_id=peer.worker_id, runtime=info.runtime, version=info.version,
            namespace=peer.namespace, pid=info.pid,
        )  # fmt: skip
        self.events("worker_metadata_updated", peer)

    def left(self, peer: Peer, ending: Ending, calls: int) -> None:
        """All that it owned is withdrawn; `calls` it was running have failed."""
        del self.connections[peer.worker_id]
        if peer.draining:
            self.drained.left(peer)
        self.departures.ended(peer, ending, calls)
        if peer.is_worker:
            self.deaths += 1
            self.commands_left += is_visit(peer)
            self.events("worker_disconnected", peer)

    # -- those that come again --------------------------------------------------------------------------------------

    def reattach(self, newcomer: Peer, message: Reattach) -> bool:
        """End the earlier connection of a worker (01 §6.5). True: the worker was drained on that."""
        previous_id, token = message.previous_worker_id, message.reattach_token
        previous = self.connections.get(previous_id)
        if previous is newcomer:
            return False
        drained = self.drained.was(previous_id, token)
        if previous is not None:
            if token != previous.reattach_token or newcomer.identity != previous.identity:
                newcomer.complain(REATTACH_IGNORED, previous_worker_id=previous_id)
                return False
            previous.link.abort()
            previous.close()
        if drained:
            self._keep_out(newcomer)
        return drained

    def was_drained(self, newcomer: Peer) -> bool:
        """Whether a client that does not reattach comes from a process that was drained (P12)."""
        if newcomer.draining or newcomer.dialect.reattaches or not self.drained.ran(newcomer):
            return False
        self._keep_out(newcomer)
        return True

    def _keep_out(self, newcomer: Peer) -> None:
        self.drained.add(newcomer)
        STAYS_OUT(worker=newcomer.label, worker_id=newcomer.worker_id)

    # -- names ----------------------------------------------------------------------------------------------------

    def take_name(self, peer: Peer, namespace: str, name: str | None) -> None:
        """Give it a name instead of the one it had; if another worker has that it gets none."""
        self.release_name(peer)
        wanted = (namespace, name or "")
        if name is not None and wanted not in self.names and not peer.draining:
            self.names[wanted] = peer
            self._claimed[peer] = wanted

    def contender(self, newcomer: Peer, namespace: str, name: str | None) -> Peer | None:
        """Who has the name that a newcomer wants. A trusted one takes it from sessions with access rules (20 §5)."""
        holder = self.names.get((namespace, name or ""))
        if holder is not None and newcomer.identity is None and holder.identity is not None:
            self.release_name(holder)
            return None
        return holder

    def release_name(self, peer: Peer) -> None:
        claimed = self._claimed.pop(peer, None)
        if claimed is not None:
            del self.names[claimed]

    def challenge(
        self, holder: Peer, newcomer: Peer, waits: Callable[[], None], decided: Callable[[Peer | None], None]
    ) -> None:
        """Find out whether the holder of a name still lives; the newcomer waits, unheard, for what comes of it (P10).

        Args:
            waits: called again and again meanwhile: the newcomer is not silent, it is not listened to (N2).
            decided: told of the holder if it lives, which may have another name by now; else somebody else may have this one.
        """
        clock = self._clock
        asked_at = holder.link.ping()
        ends_at = clock.now() + NAME_CHALLENGE_S
        newcomer.link.pause_reading()

        def look() -> None:
            if newcomer.ended:
                return
            overdue = clock.now() >= ends_at
            heard = not holder.ended and holder.link.heard_since(asked_at)
            if not (holder.ended or heard or overdue):
                waits()
                clock.call_at(clock.now() + _CHALLENGE_LOOK_S, look)
                return
            if not holder.ended and overdue and not holder.handling and not heard:
                WORKER_DROPPED(worker=holder.label, worker_id=holder.worker_id, limit_s=NAME_CHALLENGE_S)
                holder.link.abort()
                holder.close()
            try:
                decided(None if holder.ended else holder)
            finally:
                newcomer.link.resume_reading()

        look()
