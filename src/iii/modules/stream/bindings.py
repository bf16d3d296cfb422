"""Which functions hear of changes, joins and leaves (05 §5)."""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec

from iii.engine.bindings import Binding, config_for_builtin
from iii.engine.invocation import NO_TRACE, Invocation
from iii.engine.observing.origin import trace_of
from iii.engine.observing.source import EventSource
from iii.engine.ordered_firing import OrderedFiring
from iii.engine.schema import late_schema
from iii.modules.stream.events import Event
from iii.modules.stream.requests import JoinTriggerConfig, StreamCall, StreamTriggerConfig
from iii.protocol.errors import TriggerRegistrationFailed

FEED = "iii:devtools:"  # the engine's own streams: a span for each event would make another event (05 §4.10)


class _Bound(NamedTuple):
    binding: Binding
    group_id: str | None
    item_id: str | None


class ChangeBindings:
    """Of the type `stream`, by the name of their stream, in the order of their registration."""

    def __init__(self, firing: OrderedFiring) -> None:
        self.source = EventSource(
            "stream::on-changed",
            "An item of a stream was changed, or an event sent.",
            request_format=late_schema(StreamCall),
        )
        self._firing = firing
        self._by_stream: dict[str, dict[str, _Bound]] = {}
        self._streams: dict[str, str] = {}

    def add(self, binding: Binding) -> None:
        """Raises TriggerRegistrationFailed."""
        config = _config(binding, StreamTriggerConfig, "Failed to deserialize stream trigger")
        self.remove(binding)
        bound = _Bound(binding, config.group_id or None, config.item_id or None)
        self._by_stream.setdefault(config.stream_name, {})[binding.id] = bound
        self._streams[binding.id] = config.stream_name

    def remove(self, binding: Binding) -> None:
        stream = self._streams.pop(binding.id, None)
        if stream is not None:
            of_stream = self._by_stream[stream]
            self._firing.forget(of_stream.pop(binding.id).binding)
            if not of_stream:
                del self._by_stream[stream]

    def fire(self, event: Event, cause: Invocation) -> None:
        """Call whoever is bound to it or observes it; nobody waits for them."""
        stream, group_id = event.group
        bound_here = self._by_stream.get(stream)
        if bound_here is None and not self.source.observed:
            return
        is_feed = stream.startswith(FEED)
        trace = NO_TRACE if is_feed else trace_of(cause)
        matching = [
            bound.binding
            for bound in (bound_here or {}).values()
            if bound.group_id in (None, group_id) and bound.item_id in (None, event.item_id)
        ]
        if matching:
            span = None if is_feed else "stream_triggers"
            self._firing.fire(matching, event.envelope, trace, cause.caller, span)
        if self.source.observed and not is_feed:
            self.source.fire(event.envelope, trace)


class JoinBindings:
    """Of the type `stream:join` or `stream:leave`; observers hear of what is over."""

    def __init__(self, firing: OrderedFiring, source: EventSource) -> None:
        self.source = source
        self._firing = firing
        self._bound: dict[str, tuple[Binding, str | None]] = {}  # with the name of their stream, None: any

    def add(self, binding: Binding) -> None:
        """Raises TriggerRegistrationFailed."""
        config = _config(binding, JoinTriggerConfig, f"Failed to deserialize {binding.trigger_type} trigger")
        self._bound[binding.id] = (binding, config.stream_name)

    def remove(self, binding: Binding) -> None:
        if self._bound.pop(binding.id, None) is not None:
            self._firing.forget(binding)

    def of(self, stream: str) -> list[Binding]:
        """Those that want to know of this stream."""
        return [binding for binding, wanted in self._bound.values() if wanted in (None, stream)]


def _config(binding: Binding, declared: Any, failure: str) -> Any:
    try:
        return msgspec.json.decode(config_for_builtin(binding), type=declared)
    except msgspec.ValidationError as error:
        raise TriggerRegistrationFailed(f"{failure}: {error}") from None
