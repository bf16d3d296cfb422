"""The event `engine::workers-available`: a worker came, said who it is, or left (02 §8.2, W7)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import msgspec
from msgspec import Meta, Struct

from iii.engine.observing.source import EventSource
from iii.engine.ordered_firing import OrderedFiring
from iii.engine.schema import late_schema
from iii.protocol.names import DEFAULT_NAMESPACE, WORKERS_AVAILABLE

if TYPE_CHECKING:
    from iii.engine.bindings import Binding
    from iii.engine.engine import Engine
    from iii.engine.session.peer import Peer

KEY = (DEFAULT_NAMESPACE, WORKERS_AVAILABLE)


class WorkerChanged(Struct):
    """Payload."""

    event: Annotated[str, Meta(description="`worker_connected`, `worker_metadata_updated` or `worker_disconnected`.")]
    worker_id: str


class WorkersAvailable:
    """Fires at once; by then the lists show what the event says."""

    def __init__(self, engine: Engine) -> None:
        self.source = EventSource(
            "engine::on-workers-changed",
            "A worker connected, announced itself or disconnected.",
            request_format=late_schema(WorkerChanged),
        )
        self._engine = engine
        self._firing = OrderedFiring(engine.router, engine.clock, engine.turns, each_traced=True)
        engine.roster.events.subscribe(self._worker_event)

    def _worker_event(self, event: str, session: Peer) -> None:
        bindings = self._engine.bindings.of(KEY)
        if not (bindings or self.source.observed):
            return
        payload = msgspec.json.encode(WorkerChanged(event, session.worker_id))
        if bindings:
            self._firing.fire(list(bindings), payload)
        self.source.fire(payload)

    def unsubscribed(self, binding: Binding) -> None:
        """A binding is on its way out."""
        self._firing.forget(binding)
