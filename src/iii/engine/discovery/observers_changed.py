"""The event `engine::on-observers-changed`: an observer has another state (26 §6)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from msgspec import UNSET, Struct, UnsetType

from iii.engine.observing.source import EventSource
from iii.engine.schema import late_schema
from iii.protocol.errors import ErrorBody

if TYPE_CHECKING:
    from iii.engine.engine import Engine
    from iii.engine.observing.observer import Observer


class ObserverChanged(Struct):
    """Payload."""

    observer_id: str
    function_id: str
    target: str
    state: str
    reason: ErrorBody | UnsetType = UNSET


class ObserversChanged:
    """Told at once, and never of its own observers."""

    def __init__(self, engine: Engine) -> None:
        self.source = EventSource(
            "engine::on-observers-changed",
            "An observer has another state.",
            request_format=late_schema(ObserverChanged),
        )
        engine.observers.events.subscribe(self._changed)

    def _changed(self, observer: Observer) -> None:
        function_id = observer.definition.key[1]
        if not self.source.observed or function_id == self.source.function_id:
            return
        reason = UNSET if observer.reason is None else observer.reason
        event = ObserverChanged(observer.id, function_id, observer.target, observer.state, reason)
        self.source.fire(msgspec.json.encode(event))
