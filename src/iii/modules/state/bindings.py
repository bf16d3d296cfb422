"""Which functions hear of a change of state (05 §3)."""

from __future__ import annotations

import msgspec

from iii.engine.bindings import Binding, config_for_builtin
from iii.engine.invocation import Invocation
from iii.engine.observing.origin import trace_of
from iii.engine.observing.source import EventSource
from iii.engine.ordered_firing import OrderedFiring
from iii.engine.schema import late_schema
from iii.modules.state.requests import StateEvent, StateTriggerConfig
from iii.protocol.errors import TriggerRegistrationFailed
from iii.storage.items import Changed

_encode = msgspec.json.Encoder().encode


class StateBindings:
    """By scope and key, either of which may be any."""

    def __init__(self, firing: OrderedFiring) -> None:
        self.source = EventSource(
            "state::on-changed", "A value of shared state was changed.", request_format=late_schema(StateEvent)
        )
        self._firing = firing
        self._by_filter: dict[tuple[str | None, str | None], dict[str, Binding]] = {}
        self._filters: dict[str, tuple[str | None, str | None]] = {}

    def add(self, binding: Binding) -> None:
        """Raises TriggerRegistrationFailed."""
        try:
            config = msgspec.json.decode(config_for_builtin(binding), type=StateTriggerConfig)
        except msgspec.MsgspecError as error:
            raise TriggerRegistrationFailed(f"Failed to parse trigger config: {error}") from None
        self.remove(binding)
        wanted = (config.scope, config.key)
        self._by_filter.setdefault(wanted, {})[binding.id] = binding
        self._filters[binding.id] = wanted

    def remove(self, binding: Binding) -> None:
        wanted = self._filters.pop(binding.id, None)
        if wanted is not None:
            of_filter = self._by_filter[wanted]
            self._firing.forget(of_filter.pop(binding.id))
            if not of_filter:
                del self._by_filter[wanted]

    def fire(self, event_type: str, scope: str, key: str, changed: Changed, cause: Invocation) -> None:
        """Call whoever is bound to this change or observes it; nobody waits for them."""
        observed = self.source.observed
        if not (self._by_filter or observed):
            return
        matching = [
            binding
            for wanted in ((scope, key), (scope, None), (None, key), (None, None))
            for binding in self._by_filter.get(wanted, {}).values()
        ]
        if not (matching or observed):
            return
        payload = b'{"type":"state","event_type":"%s","scope":%s,"key":%s,"old_value":%s,"new_value":%s}' % (
            event_type.encode(), _encode(scope), _encode(key), changed.old or b"null", changed.new or b"null",
        )  # fmt: skip
        trace = trace_of(cause)
        if matching:
            self._firing.fire(matching, payload, trace, cause.caller, "state_triggers")
        if observed:
            self.source.fire(payload, trace)
