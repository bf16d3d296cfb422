"""The trigger type `log`: functions that are called with records, and never without end (06 §12.1)."""

from __future__ import annotations

import logging
import secrets
from collections import deque
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from iii.engine.bindings import Binding, config_for_builtin, warn_of_unknown_members
from iii.engine.firing import fire_if
from iii.engine.invocation import Trace
from iii.engine.observing.source import EventSource
from iii.engine.schema import json_schema
from iii.engine.trigger_types import TriggerType
from iii.modules.observability.logs.capture import SCOPE, Context
from iii.modules.observability.logs.requests import LogTriggerConfig
from iii.modules.observability.records import LogRecord
from iii.modules.observability.signals import Source
from iii.protocol.errors import TriggerRegistrationFailed
from iii.protocol.limits import LOG_DELIVERIES, LOG_DELIVERIES_PER_S, LOG_DELIVERY_BYTES
from iii.protocol.log_event import LogEvent
from iii.protocol.names import DEFAULT_NAMESPACE

if TYPE_CHECKING:
    from iii.engine.engine import Engine
    from iii.engine.observing.observer import Observer
    from iii.engine.owner import Owner
    from iii.engine.ownership import Key
    from iii.modules.observability.logs.store import StoredLog

DELIVERIES_CUT = LogEvent(
    __name__, "log.deliveries_cut", logging.WARNING, "Log records not delivered to a function: they come too fast",
    means="A `log` trigger calls its function at a bounded rate; records beyond it are kept in the store only.",
    do="Bind the trigger to one `level`; look whether the function logs what calls it again.",
)  # fmt: skip
_REPORT_S = 10.0  # between two such warnings of one trigger
_TRACES = 10_000  # of deliveries that are remembered


class _Target:
    """One binding: what it wants, and how much it may have now."""

    __slots__ = ("binding", "cut", "filled_at", "key", "left", "level", "observer", "reporting")

    def __init__(self, binding: Binding, level: str, now: float, observer: Observer | None = None) -> None:
        """`observer`: what the binding stands for (26 §6)."""
        self.binding = binding
        self.observer = observer
        self.key: Key = binding.target
        self.level = level
        self.left = float(LOG_DELIVERIES)
        self.filled_at = now
        self.cut = 0
        self.reporting = False

    def may(self, now: float) -> bool:
        """Whether another delivery is within its rate."""
        self.left = min(LOG_DELIVERIES, self.left + (now - self.filled_at) * LOG_DELIVERIES_PER_S)
        self.filled_at = now
        if self.left < 1:
            return False
        self.left -= 1
        return True


class LogTriggers:
    """Calls the targets of bindings with each record that is kept.

    No function gets a record that one of its own deliveries has caused, as far as the record's trace shows it: each
    delivery has a trace of the engine's own making, which goes on with what the function logs. Lines of the engine
    itself that a delivery causes, or that are about a target, reach no function.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._targets: dict[str, _Target] = {}  # by id of the binding
        self._reached: dict[str, frozenset[Key]] = {}  # by trace: the functions that have had it
        self._waiting: deque[tuple[_Target, bytes, Trace, Context]] = deque()
        self._waiting_bytes = 0
        self.context: Context | None = None  # of the delivery that is being made
        self.source = EventSource(
            "observability::on-log", "A log record was kept.", request_format=json_schema(LogRecord), host=self
        )

    def trigger_type(self, owner: Owner) -> TriggerType:
        """What is registered for it."""
        return TriggerType(
            DEFAULT_NAMESPACE, "log", owner, "Fires for each log record that is kept",
            config_schema=json_schema(LogTriggerConfig), call_schema=json_schema(LogRecord),
        )  # fmt: skip

    def bind(self, binding: Binding) -> None:
        """Raises TriggerRegistrationFailed."""
        try:
            config = msgspec.json.decode(config_for_builtin(binding), type=LogTriggerConfig)
        except msgspec.MsgspecError as error:
            raise TriggerRegistrationFailed(f"Failed to parse trigger config: {error}") from None
        warn_of_unknown_members(binding, ("level", "condition_function_id"))
        level = config.level.lower() if isinstance(config.level, str) else "all"
        self._targets[binding.id] = _Target(binding, level, self._engine.clock.now())

    def unbind(self, binding: Binding) -> None:
        """Nothing more for it."""
        target = self._targets.get(binding.id)
        if target is not None and target.binding is binding:
            del self._targets[binding.id]

    def take(self, observer: Observer) -> None:
        """As a binding to its target, of all levels: the guards against loops are the same."""
        binding = Binding(f"observer {observer.id}", "log", observer.target, namespace=observer.target_namespace)
        self._targets[binding.id] = _Target(binding, "all", self._engine.clock.now(), observer)

    def let_go(self, observer: Observer) -> None:
        """Nothing more for it."""
        self._targets.pop(f"observer {observer.id}", None)

    def changed(self, observer: Observer) -> None:
        """One that does not deliver misses its records."""

    def records_kept(self, kept: Sequence[tuple[LogRecord, StoredLog]], source: Source) -> None:
        """Call whoever wants these; nobody waits for them."""
        if not self._targets:
            return
        now = self._engine.clock.now()
        for record, log in kept:
            trace_id = record.trace_id
            reached = self._reached.get(trace_id) if trace_id is not None else None
            if source is Source.ENGINE and self._is_caused_by_one(record, reached):
                continue
            wanting = [
                target
                for target in self._targets.values()
                if target.level in ("all", log.severity) and (reached is None or target.key not in reached)
            ]
            if any(target.observer is not None for target in wanting):
                wanting = self._matching(wanting, notice(record, log))
            if wanting:
                self._deliver(wanting, notice(record, log), trace_id if reached is not None else None, now)

    def _matching(self, wanting: list[_Target], payload: bytes) -> list[_Target]:
        """Without observers whose filter wants other records: these are no part of their rate."""
        return [
            target for target in wanting
            if target.observer is None or (target.observer.active and self.source.matches(target.observer, payload))
        ]  # fmt: skip

    def _is_caused_by_one(self, record: LogRecord, reached: frozenset[Key] | None) -> bool:
        """A line of the engine itself that comes from a delivery, or is about a target and may come from one."""
        if record.instrumentation_scope_name != SCOPE:
            return False
        function: Any = record.attributes.get("function")
        return reached is not None or any(target.key[1] == function for target in self._targets.values())

    def _deliver(self, wanting: list[_Target], payload: bytes, trace_id: str | None, now: float) -> None:
        idle = not self._waiting
        for target in wanting:
            if not target.may(now) or self._waiting_bytes > LOG_DELIVERY_BYTES:
                self._count(target)
                continue
            context = (trace_id or secrets.token_hex(16), secrets.token_hex(8))
            self._remember(context[0], target.key)
            self._waiting.append((target, payload, Trace(f"00-{context[0]}-{context[1]}-01"), context))
            self._waiting_bytes += len(payload)
        if idle and self._waiting:
            self._engine.turns.go(self._delivering())

    def _delivering(self) -> Iterator[None]:
        engine = self._engine
        while self._waiting:
            target, payload, trace, self.context = self._waiting.popleft()
            self._waiting_bytes -= len(payload)
            try:
                if self._targets.get(target.binding.id) is not target:
                    pass  # it is gone
                elif (observer := target.observer) is not None:
                    self.source.fire(payload, trace, only=lambda each, wanted=observer: each is wanted)  # type: ignore[misc]
                else:
                    fire_if(engine.router, engine.clock, target.binding, payload, trace)
            finally:
                self.context = None
            yield

    def _remember(self, trace_id: str, key: Key) -> None:
        reached = self._reached.get(trace_id)
        if reached is None and len(self._reached) >= _TRACES:
            del self._reached[next(iter(self._reached))]
        self._reached[trace_id] = frozenset((key,)) if reached is None else reached | {key}

    def _count(self, target: _Target) -> None:
        """Said once for all that is cut within a while."""
        target.cut += 1
        if not target.reporting:
            target.reporting = True
            self._report(target)

    def _report(self, target: _Target) -> None:
        if not target.cut or self._targets.get(target.binding.id) is not target:
            target.reporting = False
            return
        count, target.cut = target.cut, 0
        DELIVERIES_CUT(trigger=target.binding.id, function=target.binding.function_id, count=count)
        clock = self._engine.clock
        clock.call_at(clock.now() + _REPORT_S, lambda: self._report(target))


def notice(record: LogRecord, log: StoredLog) -> bytes:
    """The record with all twelve members: what it does not have is null."""
    missing = b""
    if not record.instrumentation_scope_name:
        missing += b',"instrumentation_scope_name":null'
    if not record.instrumentation_scope_version:
        missing += b',"instrumentation_scope_version":null'
    return log.text[:-1] + missing + b"}" if missing else log.text
