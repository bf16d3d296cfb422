"""Log records for clients that have no triggers: observers of `observability::on-log` (26 §6)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from iii.engine.bindings import Binding
from iii.engine.observing.source import EventSource
from iii.engine.schema import late_schema
from iii.modules.observability.logs.triggers import LogTarget, LogTriggers, WaitingRecord
from iii.modules.observability.records import LogRecord

if TYPE_CHECKING:
    from iii.engine.engine import Engine
    from iii.engine.invocation import Trace
    from iii.engine.observing.observer import Observer


class ObservedLog:
    """The host of `observability::on-log`. The guards against loops, and the rate, are those of bindings to the same target."""

    def __init__(self, engine: Engine, triggers: LogTriggers) -> None:
        self.source = EventSource(
            "observability::on-log", "A log record was kept.", request_format=late_schema(LogRecord), host=self
        )
        self._engine = engine
        self._triggers = triggers
        self._targets: dict[str, _ObservedTarget] = {}  # by observer

    def take(self, observer: Observer) -> None:
        """All are welcome."""

    def let_go(self, observer: Observer) -> None:
        target = self._targets.pop(observer.id, None)
        if target is not None:
            self._triggers.unbind(target.binding)

    def changed(self, observer: Observer) -> None:
        """Only one that delivers costs anything."""
        self.let_go(observer)
        if observer.active:
            target = self._targets[observer.id] = _ObservedTarget(self.source, observer, self._engine.clock.now())
            self._triggers.add(target)


class _ObservedTarget(LogTarget):
    """One observer."""

    __slots__ = ("_observer", "_source")

    def __init__(self, source: EventSource, observer: Observer, now: float) -> None:
        super().__init__(
            Binding(f"observer {observer.id}", "log", observer.target, namespace=observer.target_namespace), "all", now
        )
        self._source = source
        self._observer = observer

    def wants(self, record: WaitingRecord) -> bool:
        """What its filter does not match is no part of its rate."""
        return super().wants(record) and self._source.matches(self._observer, record.payload)

    def fire(self, engine: Engine, payload: bytes, trace: Trace) -> None:
        self._source.fire(payload, trace, only=(self._observer.id,))
