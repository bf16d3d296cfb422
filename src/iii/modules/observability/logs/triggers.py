"""The trigger type `log`: functions that are called with records, and never without end (06 §12.1)."""

from __future__ import annotations

import logging
import secrets
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from iii.engine.bindings import config_for_builtin
from iii.engine.config_members import warn_of_unknown_members
from iii.engine.firing import fire_if
from iii.engine.invocation import Trace
from iii.engine.schema import late_schema
from iii.engine.trigger_types import TriggerType
from iii.modules.observability.log_text import SEVERITIES
from iii.modules.observability.logs.capture import SCOPE, Context
from iii.modules.observability.logs.requests import LogTriggerConfig
from iii.modules.observability.records import LogRecord
from iii.modules.observability.signals import Source
from iii.protocol.errors import TriggerRegistrationFailed
from iii.protocol.limits import LOG_DELIVERIES, LOG_DELIVERIES_PER_S, LOG_DELIVERY_BYTES
from iii.protocol.log_event import LogEvent
from iii.protocol.names import DEFAULT_NAMESPACE
from iii.protocol.suggestion import did_you_mean

if TYPE_CHECKING:
    from iii.engine.bindings import Binding
    from iii.engine.engine import Engine
    from iii.engine.owner import Owner
    from iii.engine.ownership import Key
    from iii.modules.observability.logs.store import StoredLog
    from iii.modules.observability.watched.deliveries import Deliveries

DELIVERIES_CUT = LogEvent(
    __name__, "log.deliveries_cut", logging.WARNING, "Log records not delivered to a function: they come too fast",
    means="A `log` trigger calls its function at a bounded rate; records beyond it are kept in the store only.",
    do="Bind the trigger to one `level`; look whether the function logs what calls it again.",
)  # fmt: skip
LEVEL_UNUSUAL = LogEvent(
    __name__, "log.level_unusual", logging.WARNING, "Level of a log trigger is none of those that records have as a rule",
    means="The function is called for records with exactly this severity text, which may be none.",
    do="Correct `level` as `hint` says, unless a client names its severities so.",
)  # fmt: skip
_LEVELS = ("all", *(severity.lower() for severity in SEVERITIES))
_REPORT_S = 10.0  # between two such warnings of one trigger
_TRACES = 10_000  # of deliveries that are remembered
_AT_ONCE = 16  # deliveries in one step: some 0.3 ms


class LogTarget:
    """One binding: what it wants, and how much it may have now."""

    __slots__ = ("binding", "cut", "filled_at", "key", "left", "level", "reporting")

    def __init__(self, binding: Binding, level: str, now: float) -> None:
        self.binding = binding
        self.key: Key = binding.target
        self.level = level
        self.left = float(LOG_DELIVERIES)
        self.filled_at = now
        self.cut = 0
        self.reporting = False

    def wants(self, record: WaitingRecord) -> bool:
        return self.level in ("all", record.severity) and self.key not in record.reached

    def fire(self, engine: Engine, payload: bytes, trace: Trace) -> None:
        """Deliver one record."""
        fire_if(engine.router, engine.clock, self.binding, payload, trace)

    def may(self, now: float) -> bool:
        """Whether another delivery is within its rate."""
        self.left = min(LOG_DELIVERIES, self.left + (now - self.filled_at) * LOG_DELIVERIES_PER_S)
        self.filled_at = now
        if self.left < 1:
            return False
        self.left -= 1
        return True


class WaitingRecord(NamedTuple):
    """A record that is to be delivered.

    Attributes:
        reached: functions that have had a record of its trace, which a delivery began; none: no delivery did.
    """

    payload: bytes
    severity: str
    trace_id: str | None
    reached: frozenset[Key]


class LogTriggers:
    """Calls the targets of bindings with each record that is kept.

    No function gets a record that one of its own deliveries has caused, as far as the record's trace shows it: each
    delivery has a trace of the engine's own making, which goes on with what the function logs. Lines of the engine
    itself that a delivery causes, or that are about a target, reach no function.
    """

    def __init__(self, engine: Engine, deliveries: Deliveries) -> None:
        """`deliveries` of spans: a record of one of their traces is delivered in another of them, or its handler's spans would be told again."""
        self._engine = engine
        self._deliveries = deliveries
        self._targets: dict[str, LogTarget] = {}  # by id of the binding
        self._reached: dict[str, frozenset[Key]] = {}  # by trace: the functions that have had it
        self._waiting: deque[WaitingRecord] = deque()
        self._waiting_bytes = 0
        self.context: Context | None = None  # of the delivery that is being made

    def trigger_type(self, owner: Owner) -> TriggerType:
        """What is registered for it."""
        return TriggerType(
            DEFAULT_NAMESPACE, "log", owner, "Fires for each log record that is kept",
            config_schema=late_schema(LogTriggerConfig), call_schema=late_schema(LogRecord),
        )  # fmt: skip

    def bind(self, binding: Binding) -> None:
        """Raises TriggerRegistrationFailed."""
        try:
            config = msgspec.json.decode(config_for_builtin(binding), type=LogTriggerConfig)
        except msgspec.MsgspecError as error:
            raise TriggerRegistrationFailed(f"Failed to parse trigger config: {error}") from None
        warn_of_unknown_members(binding, ("level", "condition_function_id"))
        level = config.level.lower() if isinstance(config.level, str) else "all"
        if level not in _LEVELS:
            hint = did_you_mean(level, _LEVELS, "did you mean '{}'?", f"expected one of {', '.join(_LEVELS)}.")
            LEVEL_UNUSUAL(trigger=binding.id, function=binding.function_id, level=level[:100], hint=hint)
        self.add(LogTarget(binding, level, self._engine.clock.now()))

    def add(self, target: LogTarget) -> None:
        """One of the same binding goes."""
        self._targets[target.binding.id] = target

    def unbind(self, binding: Binding) -> None:
        """Nothing more for it."""
        target = self._targets.get(binding.id)
        if target is not None and target.binding is binding:
            del self._targets[binding.id]

    def records_kept(self, kept: Sequence[tuple[LogRecord, StoredLog]], source: Source) -> None:
        """Call whoever wants these; nobody waits for them."""
        if not self._targets:
            return
        idle = not self._waiting
        for record, log in kept:
            trace_id = record.trace_id
            reached = self._reached.get(trace_id) if trace_id is not None else None
            if source is Source.ENGINE and self._is_caused_by_one(record, reached):
                continue
            if self._waiting_bytes > LOG_DELIVERY_BYTES:
                self._count(self._targets.values())
                continue
            payload = notice(record, log)
            self._waiting.append(WaitingRecord(payload, log.severity, trace_id, reached or frozenset()))
            self._waiting_bytes += len(payload)
        if idle and self._waiting:
            self._engine.turns.go(self._delivering())

    def _is_caused_by_one(self, record: LogRecord, reached: frozenset[Key] | None) -> bool:
        """A line of the engine itself that comes from a delivery, or is about a target and may come from one."""
        if record.instrumentation_scope_name != SCOPE:
            return False
        function: Any = record.attributes.get("function")
        return reached is not None or any(target.key[1] == function for target in self._targets.values())

    def _delivering(self) -> Iterator[None]:
        while self._waiting:
            record = self._waiting[0]
            wanting = [target for target in self._targets.values() if target.wants(record)]
            yield
            for start in range(0, len(wanting), _AT_ONCE):
                for target in wanting[start : start + _AT_ONCE]:
                    self._deliver(target, record)
                yield
            self._waiting.popleft()
            self._waiting_bytes -= len(record.payload)

    def _deliver(self, target: LogTarget, record: WaitingRecord) -> None:
        engine, binding = self._engine, target.binding
        if self._targets.get(binding.id) is not target:
            return
        if not target.may(engine.clock.now()):
            self._count((target,))
            return
        traceparent = self._traceparent(record)
        self.context = trace_id, _ = traceparent[3:35], traceparent[36:52]
        try:
            self._remember(trace_id, target.key)
            target.fire(engine, record.payload, Trace(traceparent))
        finally:
            self.context = None

    def _traceparent(self, record: WaitingRecord) -> str:
        """That of the delivery which caused the record, else one of its own: others of the same cause are delivered too."""
        watched = record.trace_id in self._deliveries
        if watched and not record.reached:
            return self._deliveries.new_traceparent()
        trace_id = record.trace_id if record.reached else secrets.token_hex(16)
        return f"00-{trace_id}-{secrets.token_hex(8)}-{'00' if watched else '01'}"

    def _remember(self, trace_id: str, key: Key) -> None:
        reached = self._reached.get(trace_id)
        if reached is None and len(self._reached) >= _TRACES:
            del self._reached[next(iter(self._reached))]
        self._reached[trace_id] = frozenset((key,)) if reached is None else reached | {key}

    def _count(self, targets: Iterable[LogTarget]) -> None:
        """Said once for all that is cut within a while."""
        for target in targets:
            target.cut += 1
            if not target.reporting:
                target.reporting = True
                self._report(target)

    def _report(self, target: LogTarget) -> None:
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
