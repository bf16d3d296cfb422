"""The trigger type `trace`: functions that are called with the ids of traces in which spans came or ended (19 §1)."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Annotated, NamedTuple

import msgspec
from msgspec import Meta, Struct

from iii.engine.bindings import config_for_builtin
from iii.engine.config_members import warn_of_unknown_members
from iii.engine.firing import fire_if
from iii.engine.schema import late_schema
from iii.engine.trigger_types import TriggerType
from iii.modules.observability.watched.targets import OwnSpans
from iii.protocol.errors import TriggerRegistrationFailed
from iii.protocol.names import DEFAULT_NAMESPACE

if TYPE_CHECKING:
    from iii.engine.bindings import Binding
    from iii.engine.engine import Engine
    from iii.engine.owner import Owner
    from iii.modules.observability.spans.row import Common, Row
    from iii.modules.observability.spans.traces import Traces
    from iii.modules.observability.steps import Steps
    from iii.modules.observability.watched.deliveries import Deliveries

_STATUSES = ("ok", "error", "unset")
_ROWS = 16  # looked at in one step

_encode = msgspec.json.Encoder().encode


class TraceTriggerConfig(Struct, kw_only=True):
    """Which spans call the function; absent is any."""

    service_name: Annotated[str | None, Meta(description="Name of their service, in any case.")] = None
    status: Annotated[str | None, Meta(description="`ok`, `error` or `unset`, in any case.")] = None


class TraceTriggerCall(Struct, kw_only=True):
    """What the function gets."""

    trace_ids: Annotated[list[str], Meta(description="Traces with such spans, sorted.")]


class _Watcher(NamedTuple):
    binding: Binding
    service: str | None
    status: str | None

    def wants(self, common: Common) -> bool:
        return self.service in (None, common.service_name.lower()) and self.status in (None, common.status)


class TraceTriggers:
    """Calls the targets of bindings once a tick, with the traces of that tick.

    Each delivery has a trace of the engine's own making, and no span of it is told to anybody: neither a function nor two
    that watch each other are called for ever.
    """

    def __init__(self, engine: Engine, deliveries: Deliveries) -> None:
        self._engine = engine
        self._watchers: dict[str, _Watcher] = {}  # by id of the binding
        self._deliveries = deliveries

    def __len__(self) -> int:
        return len(self._watchers)

    def trigger_type(self, owner: Owner) -> TriggerType:
        """What is registered for it."""
        return TriggerType(
            DEFAULT_NAMESPACE, "trace", owner, "Fires, at most every 300 ms, for traces in which spans came or ended",
            config_schema=late_schema(TraceTriggerConfig), call_schema=late_schema(TraceTriggerCall),
        )  # fmt: skip

    def bind(self, binding: Binding) -> None:
        """Raises TriggerRegistrationFailed."""
        try:
            config = msgspec.json.decode(config_for_builtin(binding), type=TraceTriggerConfig)
        except msgspec.MsgspecError as error:
            raise TriggerRegistrationFailed(f"Failed to parse trigger config: {error}") from None
        status = (config.status or "").lower() or None
        if status is not None and status not in _STATUSES:
            raise TriggerRegistrationFailed(f"status: expected ok, error or unset, got '{config.status!s:.100}'")
        warn_of_unknown_members(binding, ("service_name", "status", "condition_function_id"))
        self._watchers[binding.id] = _Watcher(binding, (config.service_name or "").lower() or None, status)

    def unbind(self, binding: Binding) -> None:
        """Nothing more for it."""
        watcher = self._watchers.get(binding.id)
        if watcher is not None and watcher.binding is binding:
            del self._watchers[binding.id]

    def tell(self, rows: Sequence[Row], traces: Traces) -> Steps[None]:
        """Call whoever wants spans like these; nobody waits for them."""
        watchers = list(self._watchers.values())
        bindings = [watcher.binding for watcher in watchers]
        called = {each.function_id for each in bindings} | {each.condition for each in bindings if each.condition}
        own = OwnSpans(traces, called)
        wanting: dict[Common, list[_Watcher]] = {}
        found: dict[str, set[str]] = {}
        for at, row in enumerate(rows):
            common = row.common
            if common not in wanting:
                wanting[common] = [watcher for watcher in watchers if watcher.wants(common)]
            if wanting[common] and self._counts(row, own):
                for watcher in wanting[common]:
                    found.setdefault(watcher.binding.id, set()).add(row.trace_id)
            if at % _ROWS == 0:
                yield
        for watcher in watchers:
            trace_ids = found.get(watcher.binding.id)
            if trace_ids and self._watchers.get(watcher.binding.id) is watcher:
                self._call(watcher.binding, trace_ids)
                yield

    def _counts(self, row: Row, own: OwnSpans) -> bool:
        internal_root = row.parent_span_id is None and row.common.internal
        return not (internal_root or row.trace_id in self._deliveries or row in own)

    def _call(self, binding: Binding, trace_ids: Collection[str]) -> None:
        payload = _encode(TraceTriggerCall(trace_ids=sorted(trace_ids)))
        fire_if(self._engine.router, self._engine.clock, binding, payload, self._deliveries.begin())
