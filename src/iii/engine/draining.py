"""Taking a worker out of service: nothing new is given to it, what it runs may end, then its connection closes (P12)."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

import msgspec
from msgspec import Meta, Struct

from iii.engine.builtin import LATER, Later, builtin
from iii.engine.invocation import Invocation
from iii.engine.named_worker import NamedWorker, named_worker
from iii.protocol.close_codes import CloseCode
from iii.protocol.limits import DRAIN_LOOK_S, DRAIN_MS, LONGEST_DRAIN_S
from iii.protocol.log_event import LogEvent
from iii.protocol.messages import DrainWorker
from iii.protocol.names import DRAIN_FEATURE, DRAIN_WORKER

if TYPE_CHECKING:
    from iii.engine.clock import Timer
    from iii.engine.engine import Engine
    from iii.engine.session.peer import Peer

DRAINING = LogEvent(
    __name__, "worker.draining", logging.INFO, "Worker draining: its functions and triggers have gone to other owners",
    means="The worker gets no further call; those that it runs may end until the limit is over.",
)  # fmt: skip
DRAINED = LogEvent(
    __name__, "worker.drained", logging.INFO, "Worker drained",
    means="All calls of the draining worker have ended, and so has its connection.",
)  # fmt: skip
DRAIN_CUT_OFF = LogEvent(
    __name__, "worker.drain_cut_off", logging.WARNING, "Worker drained before its calls had ended; they failed",
    means="The limit of the drain was over, or the worker was lost; callers of what it ran got `invocation_stopped`.",
    do="Drain with a longer limit, or make the functions shorter.",
)  # fmt: skip

_LOOKED_AT = 100  # callers of one drain: fewer need no look at who gave up


class DrainRequest(NamedWorker, kw_only=True):
    timeout_ms: Annotated[
        int,
        Meta(
            ge=0,
            le=LONGEST_DRAIN_S * 1000,
            description="Longest time for what the worker runs, in milliseconds; then its connection is ended.",
        ),
    ] = DRAIN_MS


class WorkerDrained(Struct):
    worker_id: str
    worker_name: str | None
    finished: Annotated[bool, Meta(description="Whether everything that the worker ran has ended by itself.")]
    calls_failed: Annotated[int, Meta(description="Calls that were cut off, with `invocation_stopped`.")]
    reconnects: Annotated[
        bool,
        Meta(
            description="Whether its client will connect again; it serves nothing then, until its process is restarted."
        ),
    ]


class WorkerDraining:
    """The workers that are being drained."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._drains: dict[Peer, _Drain] = {}
        engine.roster.events.subscribe(self._worker_event)

    @builtin(DRAIN_WORKER, spec="P12")
    def drain_worker(self, request: DrainRequest, invocation: Invocation) -> WorkerDrained | Later:
        """Take a worker out of service; answers when what it was running has ended and it has left."""
        peer = named_worker(self._engine, request)
        drain = self._drains.get(peer)
        if drain is None:
            drain = self._drains[peer] = _Drain(self._engine, peer, lambda: self._drains.pop(peer))
            drain.begin(request.timeout_ms / 1000)
        else:
            drain.end_within(request.timeout_ms / 1000)
        drain.wait(invocation)
        return LATER

    def _worker_event(self, event: str, peer: Peer) -> None:
        drain = self._drains.get(peer)
        if drain is not None and peer.ended:
            drain.left()


class _Drain:
    """Of one worker."""

    def __init__(self, engine: Engine, peer: Peer, over: Callable[[], object]) -> None:
        self._engine = engine
        self._peer = peer
        self._over = over
        self._ends_at = 0.0
        self._timer: Timer | None = None
        self._invocations: list[Invocation] = []
        self._most = _LOOKED_AT

    def begin(self, limit_s: float) -> None:
        engine, peer = self._engine, self._peer
        self._ends_at = engine.clock.now() + limit_s
        peer.draining = True
        engine.roster.drained.add(peer)
        engine.roster.release_name(peer)
        DRAINING(worker=peer.label, worker_id=peer.worker_id, calls_running=len(peer.handling), limit_s=limit_s)
        engine.turns.go(engine.registry.withdrawing(peer), self._withdrawn)

    def end_within(self, limit_s: float) -> None:
        """Somebody else drains it too: the shorter limit counts."""
        self._ends_at = min(self._ends_at, self._engine.clock.now() + limit_s)

    def wait(self, invocation: Invocation) -> None:
        """Answer it in the end. Those that gave up are dropped now and then, so that they do not pile up."""
        if len(self._invocations) >= self._most:
            self._invocations = [each for each in self._invocations if each.waiter is not None]
            self._most = 2 * len(self._invocations) + _LOOKED_AT
        self._invocations.append(invocation)

    def _withdrawn(self) -> None:
        """No call reaches it any more; those before are on their way to it, in front of this message."""
        peer = self._peer
        if self._leaves_by_itself:
            left_s = max(0.0, self._ends_at - self._engine.clock.now())
            peer.say(DrainWorker(timeout_ms=int(left_s * 1000)))
        self._look_at(self._engine.clock.now())  # later: whoever asked is not known yet

    @property
    def _leaves_by_itself(self) -> bool:
        return DRAIN_FEATURE in (self._peer.info.features or ())

    def _look_at(self, when: float) -> None:
        if not self._peer.ended:
            self._timer = self._engine.clock.call_at(when, self._look)

    def _look(self) -> None:
        peer, now = self._peer, self._engine.clock.now()
        if (peer.handling or self._leaves_by_itself) and now < self._ends_at:
            self._look_at(min(self._ends_at, now + DRAIN_LOOK_S))
        else:
            self._end(len(peer.handling))  # told first: it may have asked for that itself
            peer.link.close(CloseCode.SERVICE_RESTART, "drained")
            peer.close()

    def left(self) -> None:
        """Its connection has ended."""
        if self._timer is not None:
            self._timer.cancel()
        self._end(self._peer.calls_failed)

    def _end(self, failed: int) -> None:
        peer = self._peer
        self._over()
        if failed:
            DRAIN_CUT_OFF(worker=peer.label, worker_id=peer.worker_id, calls_failed=failed)
        else:
            DRAINED(worker=peer.label, worker_id=peer.worker_id)
        drained = WorkerDrained(
            peer.worker_id,
            peer.info.name,
            finished=not failed,
            calls_failed=failed,
            reconnects=not self._leaves_by_itself,
        )
        result = msgspec.json.encode(drained)
        for invocation in self._invocations:
            invocation.complete(result)
