"""`engine::workers::disconnect`: an operator ends the connection of a worker (09 §4)."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Annotated

from msgspec import Meta, Struct

from iii.engine.access.audit import asked_by
from iii.engine.builtin import builtin
from iii.engine.invocation import Invocation
from iii.engine.named_worker import NamedWorker, named_worker
from iii.protocol.close_codes import CloseCode
from iii.protocol.log_event import LogEvent
from iii.protocol.names import DISCONNECT_WORKER

if TYPE_CHECKING:
    from iii.engine.engine import Engine
    from iii.engine.session.peer import Peer

DISCONNECTED = LogEvent(
    __name__, "worker.disconnected", logging.WARNING, "Worker disconnected by an operator",
    means="`engine::workers::disconnect` was called; `who` says by whom. Its client reconnects by itself; the calls that it ran have failed.",
    do="Nothing, if that is meant; to keep a worker out, drain it, or revoke its token.",
)  # fmt: skip


class DisconnectRequest(NamedWorker, kw_only=True):
    """Which worker."""


class WorkerDisconnected(Struct):
    worker_id: str
    worker_name: str | None
    calls_failed: Annotated[int, Meta(description="Calls that the worker ran; they got `invocation_stopped`.")]


class WorkerDisconnecting:
    """Its client may come again: that is what it is for."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    @builtin(DISCONNECT_WORKER, spec="09 §4")
    def disconnect_worker(self, request: DisconnectRequest, invocation: Invocation) -> WorkerDisconnected:
        """End a worker's connection at once, with what it runs; its client reconnects by itself."""
        engine = self._engine
        peer = named_worker(engine, request)
        running = len(peer.handling)
        DISCONNECTED(worker=peer.label, worker_id=peer.worker_id, calls_failed=running, **self._asked_by(invocation))
        engine.clock.call_at(engine.clock.now(), lambda: _end(peer))  # after the answer, which may be for itself
        return WorkerDisconnected(peer.worker_id, peer.info.name, running)

    def _asked_by(self, invocation: Invocation) -> dict[str, str | None]:
        caller = invocation.caller
        return asked_by(None if caller is None else self._engine.roster.connections.get(caller.worker_id))


def _end(peer: Peer) -> None:
    peer.link.close(CloseCode.SERVICE_RESTART, "disconnected")
    peer.close()
