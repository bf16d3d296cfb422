"""All configuration entries of one engine: memory and files change together, one change after the other (18 §2)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import NamedTuple

import msgspec

from iii.engine.invocation import NO_TRACE, Trace
from iii.modules.configuration.codes import (
    ADAPTER_ERROR,
    EXPAND_FAILED,
    INVALID_ID,
    NOT_REGISTERED,
    SCHEMA_INVALID,
    SCHEMA_UNAVAILABLE,
    VALUE_CHANGED,
)
from iii.modules.configuration.entry import (
    NULL,
    ModuleSettings,
    SettingsEntry,
    is_valid_id,
    same,
    settled,
    storage_failed,
)
from iii.modules.configuration.folder import ConfigurationFolder, Signature, entry_text
from iii.modules.configuration.requests import EventType
from iii.modules.configuration.schema_check import SchemaChecks
from iii.modules.configuration.templates import Filled, TooManyPlaceholders, filled, kept
from iii.protocol.errors import ItemNotFound
from iii.protocol.limits import CONFIGURATION_BYTES, CONFIGURATION_ENTRIES, CONFIGURATION_VALUE_BYTES
from iii.protocol.log_event import LogEvent

VALUE_NOT_LOADED = LogEvent(
    __name__, "configuration.value_invalid", logging.ERROR, "Configuration is invalid after environment expansion; it will not be loaded",
    means="The stored value of an entry does not fit its schema, or refers to a variable that is not set; who asks for it gets an error.",
    do="Correct the value, or set the variable for the engine.",
)  # fmt: skip

_WAITING = 256  # changes, for those before them; further ones are refused


class Change(NamedTuple):
    """What happened to an entry."""

    kind: EventType
    entry: SettingsEntry
    old: bytes
    new: bytes
    trace: Trace = NO_TRACE  # of the call that did it


class NewValue(NamedTuple):
    """What a call sets.

    Attributes:
        raw: it is stored as it is; else what placeholders of the old value fill to stays written as these.
        expected: the value that the entry must have; None: any.
    """

    value: bytes
    raw: bool = False
    expected: bytes | None = None


class KnownFile(NamedTuple):
    """A file as it was last read or written.

    Attributes:
        entry_id: whose it is; None while it is no entry.
    """

    signature: Signature
    content: bytes | None
    entry_id: str | None


class ConfigurationEntries:
    """Args:
    told: of each change, in order.
    environment: for placeholders.
    """

    def __init__(
        self, folder: ConfigurationFolder, told: Callable[[Change], None], environment: Mapping[str, str]
    ) -> None:
        self.folder = folder
        self.checks = SchemaChecks()
        self.modules: dict[str, ModuleSettings] = {}
        self.stored: dict[str, SettingsEntry] = {}
        self.files: dict[str, KnownFile] = {}
        self.told = told
        self.lock = asyncio.Lock()
        self._environment = environment
        self._aliases: dict[str, str] = {}
        self._waiting = 0

    def attach_all(self, settings: Sequence[ModuleSettings]) -> None:
        """The entries of these modules are there from now on, and of no others."""
        self.modules = {each.id: each for each in settings}
        self._aliases = {alias: each.id for each in settings for alias in each.aliases}

    def canonical(self, entry_id: str) -> str:
        """The id that an entry has, whatever it is called (C8)."""
        return self._aliases.get(entry_id, entry_id)

    # -- reading --------------------------------------------------------------------------------------------------

    def __iter__(self) -> Iterator[SettingsEntry]:
        for entry_id in sorted({*self.stored, *self.modules}):
            yield self.get(entry_id)

    def get(self, entry_id: str) -> SettingsEntry:
        """Raises ItemNotFound."""
        name = self.canonical(entry_id)
        entry, module = self.stored.get(name), self.modules.get(name)
        if module is not None:
            value = module.block() if entry is None else entry.value
            return SettingsEntry(
                id=module.id, name=module.name, description=module.description, schema=module.schema, value=value,
                file=self.folder.file_of(module.id) if entry is None else entry.file,
            )  # fmt: skip
        if entry is None:
            raise ItemNotFound(f"configuration '{entry_id[:100]}' not found")
        return entry

    def filled(self, value: bytes) -> Filled:
        return filled(value, self._environment)

    def kept(self, value: bytes, before: bytes) -> bytes:
        """The value with the placeholders of the one before that fill to the same. Raises SCHEMA_INVALID: it is too large with them."""
        try:
            text = kept(value, before, self._environment)
        except TooManyPlaceholders:
            raise SCHEMA_INVALID(
                f"value with its placeholders exceeds the limit of {CONFIGURATION_VALUE_BYTES} bytes"
            ) from None
        return value if text == value else settled("value with its placeholders", msgspec.Raw(text))

    async def value(self, entry_id: str) -> bytes:
        """With placeholders filled. Raises ItemNotFound, EXPAND_FAILED or SCHEMA_INVALID."""
        return await self.checked(self.get(entry_id))

    async def checked(self, entry: SettingsEntry) -> bytes:
        """Its value as `value` gives it. Raises EXPAND_FAILED or SCHEMA_INVALID."""
        found = self.filled(entry.value)
        if found.missing:
            VALUE_NOT_LOADED(configuration=entry.id, reason=f"not set: {', '.join(found.missing)}")
            names = ", ".join(found.missing)
            raise EXPAND_FAILED(
                f"configuration '{entry.id}' references unset environment variable(s) with no default: {names}"
            )
        if (problem := await self.problem(entry, found)) is not None:
            VALUE_NOT_LOADED(configuration=entry.id, reason="it does not fit its schema")
            raise SCHEMA_INVALID(f"schema validation failed: {problem}")
        return found.value

    async def problem(self, entry: SettingsEntry, value: Filled, hides_values: bool = False) -> str | None:
        """Why an entry cannot have this value, without values of variables; null is the value of an entry without one."""
        module = self.modules.get(entry.id)
        if module is not None:
            return module.problem(value)
        if entry.schema is None or value.value == NULL:
            return None
        hides_values = hides_values or bool(value.variables)
        return "; ".join(await self.checks.problems(entry.schema, value.value, hides_values)) or None

    # -- changing -------------------------------------------------------------------------------------------------

    async def register(self, entry: SettingsEntry, has_value: bool, trace: Trace = NO_TRACE) -> SettingsEntry:
        """Create it, or replace all but its value; that too if one is given. Raises the codes of 18 §2.2."""
        _check_id(entry.id, entry.id)
        if self.canonical(entry.id) in self.modules:
            raise INVALID_ID(f"configuration '{entry.id}' belongs to a module of the engine; call configuration::set")
        if has_value:
            await self._check(entry)
        async with self._turn():
            before = self.stored.get(entry.id)
            if before is not None:
                value = entry.value if has_value else before.value
                entry = msgspec.structs.replace(entry, value=value, file=before.file)
            self._check_room(entry, before)
            await self._write(entry)
            kind: EventType = "configuration:registered" if before is None else "configuration:updated"
            self.told(Change(kind, entry, NULL if before is None else before.value, entry.value, trace))
        return entry

    async def set(self, entry_id: str, wanted: NewValue, trace: Trace = NO_TRACE) -> tuple[bytes, bytes]:
        """The raw value before, and the one now. Raises the codes of 18 §2.2."""
        name = self.canonical(entry_id)
        _check_id(name, entry_id)
        checked = self._settable(name, entry_id)
        await self._check(msgspec.structs.replace(checked, value=wanted.value))
        async with self._turn():
            before = self._settable(name, entry_id)
            if wanted.expected is not None and not same(wanted.expected, before.value):
                raise VALUE_CHANGED(
                    f"configuration '{entry_id}' has another value than the expected one; read it again"
                )
            value = wanted.value if wanted.raw else self.kept(wanted.value, before.value)
            entry = msgspec.structs.replace(before, value=value)
            if before.schema != checked.schema:  # registered again meanwhile
                await self._check(entry)
            self._check_room(entry, self.stored.get(name))
            await self._write(entry)
            self._changed(Change("configuration:updated", entry, before.value, value, trace))
        if name in self.modules and (missing := self.filled(value).missing):  # nobody else says why it does not count
            VALUE_NOT_LOADED(configuration=name, reason=f"not set: {', '.join(missing)}")
        return before.value, value

    def _settable(self, name: str, called: str) -> SettingsEntry:
        if name not in self.stored and name not in self.modules:
            raise NOT_REGISTERED(f"configuration '{called}' is not registered; call configuration::register first")
        entry = self.get(name)
        if entry.schema is None:
            raise SCHEMA_UNAVAILABLE(
                f"configuration '{called}' has no schema available yet; the owning worker must register before values can be set"
            )
        return entry

    async def delete(self, entry_id: str, trace: Trace = NO_TRACE) -> bytes | None:
        """The raw value that was stored, None if none was; a module then runs with its block again."""
        name = self.canonical(entry_id)
        async with self._turn():
            if name not in self.modules and name not in self.stored:
                raise ItemNotFound(f"configuration '{entry_id[:100]}' not found")
            before = self.stored.get(name)
            if before is None:
                return None
            try:
                await asyncio.to_thread(self.folder.remove, before.file)
            except OSError as error:
                raise storage_failed(error) from None
            self.files.pop(before.file, None)
            self.forget(before, trace)
            return before.value

    def forget(self, entry: SettingsEntry, trace: Trace = NO_TRACE) -> None:
        """Its file is gone, so nothing is stored for it."""
        del self.stored[entry.id]
        if entry.id in self.modules:
            now = self.get(entry.id)
            self._changed(Change("configuration:updated", now, entry.value, now.value, trace))
        else:
            self._changed(Change("configuration:deleted", entry, entry.value, NULL, trace))

    def adopt(self, entry: SettingsEntry, change: Change | None) -> None:
        """What a file says from now on."""
        self.stored[entry.id] = entry
        if change is not None:
            self._changed(change)

    def _changed(self, change: Change) -> None:
        self.told(change)
        module = self.modules.get(change.entry.id)
        if module is not None:
            module.changed()

    @asynccontextmanager
    async def _turn(self) -> AsyncIterator[None]:
        """The lock, with a count of those who wait for it."""
        if self._waiting >= _WAITING:
            raise ADAPTER_ERROR(f"{_WAITING} changes of configuration entries are waiting already")
        self._waiting += 1
        try:
            await self.lock.acquire()
        finally:
            self._waiting -= 1
        try:
            yield
        finally:
            self.lock.release()

    async def _check(self, entry: SettingsEntry) -> None:
        found = self.filled(entry.value)
        if not found.missing and (problem := await self.problem(entry, found)) is not None:
            raise SCHEMA_INVALID(f"schema validation failed: {problem}")

    def _check_room(self, entry: SettingsEntry, before: SettingsEntry | None) -> None:
        if before is None and len(self.stored) >= CONFIGURATION_ENTRIES:
            raise ADAPTER_ERROR(f"{len(self.stored)} configuration entries are the limit; delete one first")
        size = sum(each.size for each in self.stored.values() if each is not before) + entry.size
        if size > CONFIGURATION_BYTES:
            raise ADAPTER_ERROR(
                f"all configuration entries together would have {size} bytes; the limit is {CONFIGURATION_BYTES}"
            )

    async def _write(self, entry: SettingsEntry) -> None:
        """Disk first, then memory."""
        content = await asyncio.to_thread(entry_text, entry.stored())
        try:
            signature = await asyncio.to_thread(self.folder.write, entry.file, content)
        except OSError as error:
            raise storage_failed(error) from None
        self.files[entry.file] = KnownFile(signature, content, entry.id)
        self.stored[entry.id] = entry


def _check_id(entry_id: str, called: str) -> None:
    if not is_valid_id(entry_id):
        raise INVALID_ID(f"invalid configuration id '{called[:100]}': must match [a-z0-9_-]{{1,64}}")
