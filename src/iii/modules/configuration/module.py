"""`configuration`: the functions `configuration::*` and the trigger type `configuration` (18 §2)."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import msgspec
from msgspec import UNSET, Raw

from iii.engine.bindings import Binding
from iii.engine.builtin import builtin
from iii.engine.clock import Timer
from iii.engine.engine import Engine
from iii.engine.functions import Function
from iii.engine.invocation import Invocation
from iii.engine.module import Adjusted, Module
from iii.engine.observing.origin import trace_of
from iii.engine.observing.source import EventSource
from iii.engine.ordered_firing import OrderedFiring
from iii.engine.schema import late_schema
from iii.engine.trigger_types import TriggerType
from iii.modules.configuration.bindings import ConfigurationBindings
from iii.modules.configuration.config import ConfigurationConfig
from iii.modules.configuration.edits import Edits
from iii.modules.configuration.entries import Change, ConfigurationEntries, NewValue
from iii.modules.configuration.entry import NULL, ModuleSettings, SettingsEntry, settled
from iii.modules.configuration.folder import ConfigurationFolder
from iii.modules.configuration.requests import (
    ConfigurationChange,
    ConfigurationDeleted,
    ConfigurationEntry,
    ConfigurationEvent,
    ConfigurationGetInput,
    ConfigurationIdInput,
    ConfigurationListing,
    ConfigurationListInput,
    ConfigurationSchema,
    ConfigurationSetInput,
    ConfigurationTriggerConfig,
    ConfigurationValue,
    RegisterConfigurationInput,
    RunningOption,
    RunningSettings,
)
from iii.protocol.errors import InvocationError, ItemNotFound
from iii.protocol.log_event import LogEvent
from iii.protocol.names import DEFAULT_NAMESPACE
from iii.protocol.task_set import TaskSet
from iii.remote.config import BridgeAdapterConfig

if TYPE_CHECKING:
    from iii.modules.configuration.bridged import BridgedConfiguration

WATCH_FAILED = LogEvent(
    __name__, "configuration.watch_failed", logging.ERROR, "Edits of configuration files are not noticed any more",
    means="The task that looks for edits raised.",
    do="Report it with its stack trace; restart the engine to have edits noticed again.",
)  # fmt: skip
EXPIRED = LogEvent(
    __name__, "configuration.expired", logging.INFO, "Configuration entry deleted: no trigger for it was left",
    means="`ttl_seconds` of the module `configuration` passed since the last trigger for the entry was unregistered.",
)  # fmt: skip
NOT_EXPIRED = LogEvent(
    __name__, "configuration.not_expired", logging.ERROR, "Failed to expire configuration",
    means="The file of an entry could not be removed; the entry stays.",
    do="Look at the folder of the entries.",
)  # fmt: skip


class Configuration(Module):
    name = "configuration"
    description = "Register, store, and watch typed configuration values for the engine."
    mandatory = True
    Config: ClassVar = ConfigurationConfig

    def __init__(
        self,
        engine: Engine,
        config: ConfigurationConfig | None = None,
        instance: str | None = None,
        environment: Mapping[str, str] = os.environ,
    ) -> None:
        super().__init__(engine, instance)
        self.config = config or ConfigurationConfig()
        folder = self.config.folder
        self.entries = ConfigurationEntries(ConfigurationFolder(folder or Path()), self._tell, environment)
        self._bridged: BridgedConfiguration | None = None
        if folder is None:
            from iii.modules.configuration.bridged import BridgedConfiguration
            from iii.remote.forwarding import Forwarding

            forwarding = Forwarding(self.config.adapter.block(BridgeAdapterConfig), "iii-configuration-bridge")
            self._bridged = BridgedConfiguration(forwarding, self.entries, self._heard)
        self.edits = Edits(self.entries)
        self._bindings = ConfigurationBindings(OrderedFiring(engine.router, engine.clock, engine.turns))
        self.running: Callable[[], Iterable[RunningOption]] = tuple  # whoever runs the modules knows
        self._expiring: dict[str, Timer] = {}
        self._tasks = TaskSet(WATCH_FAILED)

    def attach_all(self, settings: Sequence[ModuleSettings]) -> None:
        """The entries of the modules of the engine, from now on."""
        self.entries.attach_all(settings)

    @property
    def disconnected(self) -> str | None:
        return None if self._bridged is None else self._bridged.disconnected

    async def start(self) -> None:
        """Read what is stored."""
        if self._bridged is not None:
            await self._bridged.open()
            return
        await self.edits.read_all()
        self._tasks.spawn(self.edits.watch())

    async def adjust(self, config: ConfigurationConfig) -> Adjusted:
        """All but the folder."""
        moved = config.adapter != self.config.adapter
        self.config = msgspec.structs.replace(config, adapter=self.config.adapter)
        return Adjusted.ENGINE if moved else Adjusted.NOW

    async def stop(self) -> None:
        """Complete the change at work."""
        for timer in self._expiring.values():
            timer.cancel()
        self._tasks.cancel()
        if self._bridged is not None:
            await self._bridged.close()
        async with self.entries.lock:
            self.entries.checks.close()

    # -- functions ------------------------------------------------------------------------------------------------

    def functions(self) -> Iterator[Function]:
        """With the adapter `bridge` another engine answers."""
        for function in super().functions():
            if self._bridged is not None:
                function.deliver = self._bridged.instead_of(function.deliver)
            yield function

    @builtin("configuration::register", spec="18 §2.2")
    async def register(self, request: RegisterConfigurationInput, invocation: Invocation) -> ConfigurationEntry:
        """Register a configuration entry with its JSON Schema"""
        schema, metadata = settled("schema", request.schema), settled("metadata", request.metadata)
        value = settled("initial_value", request.initial_value)
        entry = SettingsEntry(
            id=request.id, name=request.name, description=request.description, value=value,
            schema=None if schema == NULL else schema, metadata=None if metadata == NULL else metadata,
            file=self.entries.folder.file_of(request.id),
        )  # fmt: skip
        return (await self.entries.register(entry, value != NULL, trace_of(invocation))).shown()

    @builtin("configuration::set", spec="18 §2.2")
    async def set(self, request: ConfigurationSetInput, invocation: Invocation) -> ConfigurationChange:
        """Replace the value of a configuration entry"""
        wanted = NewValue(
            settled("value", request.value), bool(request.raw),
            None if request.expected is UNSET else settled("expected", request.expected),
        )  # fmt: skip
        old, new = await self.entries.set(request.id, wanted, trace_of(invocation))
        return ConfigurationChange(Raw(old), Raw(new))

    @builtin("configuration::delete", spec="18 §2.2")
    async def delete(self, request: ConfigurationIdInput, invocation: Invocation) -> ConfigurationDeleted:
        """Delete a configuration entry; a module of the engine gets the settings of the configuration file back"""
        old = await self.entries.delete(request.id, trace_of(invocation))
        return ConfigurationDeleted(old is not None, Raw(old or NULL))

    @builtin("configuration::get", spec="18 §2.2")
    async def get(self, request: ConfigurationGetInput) -> ConfigurationValue:
        """Get the value of a configuration entry"""
        entry = self.entries.get(request.id)
        if request.live:
            module = self.entries.modules.get(entry.id)
            if module is None:
                raise ItemNotFound(f"configuration '{entry.id}' is not of a module of the engine: no value is live")
            return ConfigurationValue(entry.id, Raw(module.live()))
        value = entry.value if request.raw else await self.entries.value(entry.id)
        return ConfigurationValue(entry.id, Raw(value))

    @builtin("configuration::list", spec="18 §2.2")
    def list(self, request: ConfigurationListInput) -> ConfigurationListing:
        """List configuration entries without their values"""
        return ConfigurationListing([entry.listed() for entry in self.entries])

    @builtin("configuration::schema", spec="18 §2.2")
    def schema(self, request: ConfigurationIdInput) -> ConfigurationSchema:
        """Get the JSON Schema of a configuration entry"""
        return self.entries.get(request.id).listed()

    @builtin("configuration::running", spec="18 §4.3")
    def running_settings(self, request: ConfigurationListInput) -> RunningSettings:
        """List every option that the modules of the engine run with, and where each comes from; secrets are hidden"""
        return RunningSettings([*self.running()])

    # -- triggers -------------------------------------------------------------------------------------------------

    def trigger_types(self) -> Iterator[TriggerType]:
        yield TriggerType(
            DEFAULT_NAMESPACE,
            "configuration",
            self,
            "Configuration trigger",
            config_schema=late_schema(ConfigurationTriggerConfig),
            call_schema=late_schema(ConfigurationEvent),
        )

    def sources(self) -> Iterator[EventSource]:
        yield self._bindings.source

    def bind(self, binding: Binding) -> None:
        before = self._bindings.wanted(binding)
        entry_id = self._bindings.add(binding)
        self._left(before)
        if entry_id is not None and (timer := self._expiring.pop(self.entries.canonical(entry_id), None)) is not None:
            timer.cancel()

    def unbind(self, binding: Binding) -> None:
        self._left(self._bindings.remove(binding))

    def _left(self, entry_id: str | None) -> None:
        """A trigger for this entry alone is gone."""
        if entry_id is None or self.config.ttl_seconds == 0:
            return
        name = self.entries.canonical(entry_id)
        if name in self.entries.stored and name not in self.entries.modules and not self._is_watched(name):
            clock = self.engine.clock
            due = clock.now() + self.config.ttl_seconds
            self._expiring[name] = clock.call_at(due, lambda: self._expire_soon(name))

    def _is_watched(self, entry_id: str) -> bool:
        return self._bindings.is_watched(entry_id, self.entries.canonical)

    def _expire_soon(self, entry_id: str) -> None:
        del self._expiring[entry_id]
        self._tasks.spawn(self._expire(entry_id))

    async def _expire(self, entry_id: str) -> None:
        if self._is_watched(entry_id):
            return
        try:
            await self.entries.delete(entry_id)
        except InvocationError as error:
            NOT_EXPIRED(configuration=entry_id, reason=error.message)
            return
        EXPIRED(configuration=entry_id)

    def _heard(self, event: ConfigurationEvent) -> None:
        self._bindings.fire(lambda: event, event.event_type, event.id, self.entries.canonical)

    def _tell(self, change: Change) -> None:
        entry = change.entry

        def event() -> ConfigurationEvent:
            return ConfigurationEvent(
                event_type=change.kind,
                id=entry.id,
                name=entry.name,
                description=entry.description,
                schema=Raw(entry.schema or NULL),
                old_value=Raw(self.entries.filled(change.old).value),
                new_value=Raw(self.entries.filled(change.new).value),
                metadata=UNSET if entry.metadata is None else Raw(entry.metadata),
            )

        self._bindings.fire(event, change.kind, entry.id, self.entries.canonical, change.trace)
