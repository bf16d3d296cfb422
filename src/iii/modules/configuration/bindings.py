"""Triggers of type `configuration`: which functions hear of which changes (18 §2.7)."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import msgspec

from iii.engine.bindings import Binding, config_for_builtin
from iii.engine.invocation import NO_TRACE, Trace
from iii.engine.observing.source import EventSource
from iii.engine.ordered_firing import OrderedFiring
from iii.engine.schema import late_schema
from iii.modules.configuration.requests import ConfigurationEvent, ConfigurationTriggerConfig
from iii.protocol.errors import TriggerRegistrationFailed


class ConfigurationBindings:
    """All of one engine."""

    def __init__(self, firing: OrderedFiring) -> None:
        self.source = EventSource(
            "configuration::on-updated",
            "A configuration entry was registered, changed or removed.",
            request_format=late_schema(ConfigurationEvent),
        )
        self._firing = firing
        self._bound: dict[str, tuple[Binding, ConfigurationTriggerConfig]] = {}

    def add(self, binding: Binding) -> str | None:
        """The id of the entry that it is for; None for all. Raises TriggerRegistrationFailed."""
        text = bytes(config_for_builtin(binding))
        try:
            config = msgspec.json.decode(b"{}" if text.strip() == b"[]" else text, type=ConfigurationTriggerConfig)
        except msgspec.MsgspecError as error:
            raise TriggerRegistrationFailed(f"Failed to parse configuration trigger config: {error}") from None
        self.remove(binding)
        self._bound[binding.id] = binding, config
        return config.configuration_id

    def wanted(self, binding: Binding) -> str | None:
        """The id of the entry that the binding of this id is for; None for all, or if there is none."""
        bound = self._bound.get(binding.id)
        return bound[1].configuration_id if bound is not None else None

    def remove(self, binding: Binding) -> str | None:
        """The id of the entry that it was for."""
        bound = self._bound.pop(binding.id, None)
        if bound is None:
            return None
        self._firing.forget(bound[0])
        return bound[1].configuration_id

    def is_watched(self, entry_id: str, names: Callable[[str], str]) -> bool:
        """Whether one is for this entry alone."""
        ids = (config.configuration_id for _, config in self._bound.values())
        return any(each is not None and names(each) == entry_id for each in ids)

    def fire(
        self,
        event: Callable[[], ConfigurationEvent],
        kind: str,
        entry_id: str,
        names: Callable[[str], str],
        trace: Trace = NO_TRACE,
    ) -> None:
        """Call those whose filter fits, and observers; the event is made only for them."""
        matching = list(self._matching(kind, entry_id, names))
        if not (matching or self.source.observed):
            return
        payload = msgspec.json.encode(event())
        if matching:
            self._firing.fire(matching, payload, trace, span="configuration_triggers")
        self.source.fire(payload, trace)

    def _matching(self, kind: str, entry_id: str, names: Callable[[str], str]) -> Iterable[Binding]:
        for binding, config in self._bound.values():
            wanted = config.configuration_id
            if (wanted is None or names(wanted) == entry_id) and (
                config.event_types is None or kind in config.event_types
            ):
                yield binding
