"""Entries of another engine: the adapter `bridge` (27 §5)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any, TypeAlias

import msgspec
from msgspec import UNSET, Raw, Struct

from iii.engine.builtin import BUILTIN_FAILED
from iii.engine.builtin_request import RequestDecoder
from iii.engine.functions import Deliver, Function
from iii.engine.invocation import NO_TRACE, Invocation, Trace
from iii.engine.observing.origin import trace_of
from iii.modules.configuration.codes import ADAPTER_ERROR
from iii.modules.configuration.entries import ConfigurationEntries
from iii.modules.configuration.entry import NULL, SettingsEntry, settled
from iii.modules.configuration.missed import NOT_COMPARED, MissedChanges
from iii.modules.configuration.requests import (
    ConfigurationChange,
    ConfigurationEvent,
    ConfigurationGetInput,
    ConfigurationListing,
    ConfigurationSchema,
    ConfigurationSetInput,
    ConfigurationValue,
)
from iii.protocol.errors import DeserializationFailed, InvocationError
from iii.protocol.ids import new_id
from iii.protocol.json_text import BAD_JSON
from iii.protocol.names import CONFIGURATION_RELAY
from iii.protocol.reply import Reply, reply_of
from iii.protocol.task_set import TaskSet
from iii.remote.forwarding import Forwarding, Unreachable

Heard: TypeAlias = Callable[[ConfigurationEvent], None]
_encode = msgspec.json.Encoder().encode


class _Named(Struct):
    """Of a request, as far as it says who answers; whatever else it has, the other engine judges."""

    id: Any = None


_named = msgspec.json.Decoder(_Named)
_get = RequestDecoder("configuration::get", ConfigurationGetInput, ConfigurationGetInput, {})
_set = RequestDecoder("configuration::set", ConfigurationSetInput, ConfigurationSetInput, {})


class BridgedConfiguration:
    """The entries of modules stay those of this engine; all others are there."""

    def __init__(self, forwarding: Forwarding, entries: ConfigurationEntries, heard: Heard) -> None:
        """`heard` is told of each change there."""
        self._forwarding = forwarding
        self._entries = entries
        self._missed = MissedChanges(self._read, heard)
        self._comparing: asyncio.Task[None] | None = None
        self._relay_id = f"{CONFIGURATION_RELAY}{new_id()}"
        self._tasks = TaskSet(BUILTIN_FAILED)

    @property
    def disconnected(self) -> str | None:
        """The other engine, while there is no connection to it, and why."""
        return self._forwarding.disconnected

    async def open(self) -> None:
        """Connect, and hear of changes."""
        remote = self._forwarding.remote
        remote.when_connected(self._compare)
        remote.offer(self._relay_id, self._relay, "Changes of configuration entries for another engine.")
        remote.bind("configuration", self._relay_id, {})
        await self._forwarding.open()

    async def close(self) -> None:
        await self._forwarding.close()
        await self._tasks.wait()

    async def _relay(self, data: bytes, trace: Trace) -> bytes:
        try:
            event = msgspec.json.decode(data, type=ConfigurationEvent)
        except BAD_JSON as error:
            raise DeserializationFailed(self._relay_id, str(error)) from None
        if event.id not in self._entries.modules:
            self._missed.heard(event)
        return NULL

    def _compare(self, again: bool) -> None:
        """With each connection: the comparison that the lost one has cut short is not worth its wait."""
        if self._comparing is not None:
            self._comparing.cancel()
        self._comparing = self._tasks.spawn(self._compared())

    async def _compared(self) -> None:
        try:
            await self._missed.compare(self._entries.modules)
        except (InvocationError, Unreachable) as error:
            if self._forwarding.disconnected is None:  # else there will be another connection
                NOT_COMPARED(reason=error.message if isinstance(error, InvocationError) else str(error))
        except BAD_JSON as error:
            NOT_COMPARED(reason=f"it answered with something else: {error}")

    async def _read(self, function_id: str, payload: dict[str, Any]) -> bytes:
        """What the other engine answers to the engine itself. Raises InvocationError or Unreachable."""
        return await self._answer(function_id, payload, NO_TRACE)

    def instead_of(self, here: Deliver) -> Deliver:
        """What answers a function; `here` does it for entries of modules."""

        def deliver(invocation: Invocation, function: Function) -> None:
            if function.id == "configuration::running":
                here(invocation, function)
            elif function.id == "configuration::list":
                self._tasks.spawn(_answered(invocation, self._list(invocation)))
            elif (module := self._module_of(invocation)) is None:
                self._forward(invocation, function.id)
            elif function.id == "configuration::set":
                text = f"the adapter bridge stores no settings of modules; change the block of '{module}' in the configuration file"
                invocation.refuse(ADAPTER_ERROR(text))
            else:
                here(invocation, function)

        return deliver

    def _module_of(self, invocation: Invocation) -> str | None:
        """Whose settings the request is about."""
        try:
            said = _named.decode(invocation.data).id
        except BAD_JSON:
            return None
        name = self._entries.canonical(said) if isinstance(said, str) else None
        return name if name in self._entries.modules else None

    def _forward(self, invocation: Invocation, function_id: str) -> None:
        if function_id == "configuration::get":
            self._tasks.spawn(_answered(invocation, self._get(invocation)))
            return
        if function_id == "configuration::set":
            self._tasks.spawn(_answered(invocation, self._set(invocation)))
            return

        def reply(result: bytes | None, error: Unreachable | InvocationError | None) -> None:
            if error is None:
                invocation.complete(result)
            else:
                invocation.refuse(_refusal(function_id, error))

        trace = trace_of(invocation)
        self._forwarding.ask(function_id, bytes(invocation.data), trace, reply)

    async def _get(self, invocation: Invocation) -> ConfigurationValue:
        """Placeholders are filled by the environment of this engine. Raises InvocationError."""
        request = _get.decode(invocation.data)
        wanted = {"id": request.id, "raw": True}
        found = msgspec.json.decode(
            await self._asked(invocation, "configuration::get", wanted), type=ConfigurationValue
        )
        if request.raw:
            return found
        told = await self._asked(invocation, "configuration::schema", {"id": request.id})
        said = msgspec.json.decode(told, type=ConfigurationSchema)
        schema = bytes(said.schema)
        entry = SettingsEntry(
            id=said.id, name=said.name, description=said.description, schema=None if schema == NULL else schema,
            metadata=None if said.metadata is UNSET else bytes(said.metadata), value=bytes(found.value), file="",
        )  # fmt: skip
        return ConfigurationValue(said.id, Raw(await self._entries.checked(entry)))

    async def _set(self, invocation: Invocation) -> ConfigurationChange:
        """Placeholders that this engine has filled are kept by it. Raises InvocationError."""
        request = _set.decode(invocation.data)
        value = settled("value", request.value)
        if not request.raw:
            before = NULL
            with suppress(InvocationError):  # what may be set need not be there, or be read
                wanted = {"id": request.id, "raw": True}
                found = await self._asked(invocation, "configuration::get", wanted)
                before = bytes(msgspec.json.decode(found, type=ConfigurationValue).value)
            value = self._entries.kept(value, before)
        sent: dict[str, Any] = {"id": request.id, "value": Raw(value), "raw": True}
        if request.expected is not UNSET:
            sent["expected"] = request.expected
        told = await self._asked(invocation, "configuration::set", sent)
        return msgspec.json.decode(told, type=ConfigurationChange)

    async def _list(self, invocation: Invocation) -> ConfigurationListing:
        """Raises InvocationError."""
        told = await self._asked(invocation, "configuration::list", {})
        there = msgspec.json.decode(told, type=ConfigurationListing).configurations
        rows = [row for row in there if row.id not in self._entries.modules]
        rows += [entry.listed() for entry in self._entries]
        return ConfigurationListing(sorted(rows, key=lambda row: row.id))

    async def _asked(self, invocation: Invocation, function_id: str, payload: dict[str, Any]) -> bytes:
        """Raises InvocationError."""
        try:
            return await self._answer(function_id, payload, trace_of(invocation))
        except Unreachable as error:
            raise _refusal(function_id, error) from None

    async def _answer(self, function_id: str, payload: dict[str, Any], trace: Trace) -> bytes:
        def begin(reply: Reply[bytes, Unreachable | InvocationError]) -> None:
            self._forwarding.ask(function_id, _encode(payload), trace, reply)

        return await reply_of(begin) or b"{}"


def _refusal(function_id: str, error: Unreachable | InvocationError) -> InvocationError:
    if isinstance(error, InvocationError):
        return error
    return ADAPTER_ERROR(f"{function_id} via bridge: {error}")


async def _answered(invocation: Invocation, work: Coroutine[Any, Any, Struct]) -> None:
    try:
        invocation.complete(_encode(await work))
    except InvocationError as error:
        invocation.refuse(error)
    except BAD_JSON as error:
        invocation.refuse(
            ADAPTER_ERROR(f"the other engine of the adapter bridge answered with something else: {error}")
        )
