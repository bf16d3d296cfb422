"""`iii-stream`: the functions `stream::*`, three trigger types and the stream port (05 §4–6)."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import msgspec
from msgspec import Raw

from iii.engine.answer import answer
from iii.engine.bindings import Binding
from iii.engine.builtin import LATER, Later, builtin
from iii.engine.engine import Engine
from iii.engine.functions import Function
from iii.engine.invocation import Invocation
from iii.engine.module import Adjusted, Module
from iii.engine.observing.source import EventSource
from iii.engine.ordered_firing import OrderedFiring
from iii.engine.schema import late_schema
from iii.engine.trigger_types import TriggerType
from iii.modules.stream.bindings import FEED, ChangeBindings, JoinBindings
from iii.modules.stream.client_context import ClientContext
from iii.modules.stream.codes import (
    STREAM_DELETE_ERROR,
    STREAM_GET_ERROR,
    STREAM_GET_GROUP_ERROR,
    STREAM_LIST_ALL_ERROR,
    STREAM_LIST_GROUPS_ERROR,
    STREAM_SET_ERROR,
    STREAM_UPDATE_ERROR,
)
from iii.modules.stream.config import StreamConfig, StreamKvConfig
from iii.modules.stream.events import Event, Timestamps, change, custom, envelope, read_envelope
from iii.modules.stream.gate import AccessGate
from iii.modules.stream.hub import Hub
from iii.modules.stream.requests import (
    JoinCall,
    JoinTriggerConfig,
    JoinVerdict,
    StreamCall,
    StreamDeleteInput,
    StreamDeleteResult,
    StreamGetInput,
    StreamListAllInput,
    StreamListGroupsInput,
    StreamListInput,
    StreamRow,
    StreamRows,
    StreamSendInput,
    StreamSetInput,
    StreamSetResult,
    StreamTriggerConfig,
    StreamUpdateInput,
    StreamUpdateResult,
)
from iii.modules.stream.server import StreamServer
from iii.modules.stream.source import ItemSource, OnRead, Written
from iii.modules.stream.subscribers import StreamSubscribers
from iii.protocol.address import is_loopback
from iii.protocol.log_event import LogEvent
from iii.protocol.measurement import Measurement
from iii.protocol.names import DEFAULT_NAMESPACE
from iii.remote.config import BridgeAdapterConfig
from iii.storage.adapter import RedisConfig, kv_items
from iii.storage.items import Changed, Group, Items, Store
from iii.storage.update import read_ops

if TYPE_CHECKING:
    from iii.modules.stream.bridged import BridgedStreams
    from iii.storage.redis_channels import RedisChannels

READY = LogEvent(__name__, "stream.ready", logging.INFO, "Streams ready", means="The stream port is open for clients.")
PORT_IS_OPEN = LogEvent(
    __name__, "stream.port_open", logging.INFO, "Stream port has no auth_function and is open to other machines",
    means="Every client that reaches the port can follow every stream.",
    do="Set `auth_function` or `host: 127.0.0.1`, or restrict access with a firewall.",
)  # fmt: skip
MESSAGE_IGNORED = LogEvent(
    __name__, "stream.message_ignored", logging.WARNING, "Message of a Redis channel ignored: it is not a stream event",
    means="Something else publishes to the channel that engines share for streams.",
    do="Publish with `stream::send` or `stream::set`, or use another channel.",
)  # fmt: skip

_CHANNEL = "stream::events"  # of all engines, other makers' too (05 §7.2)
Groups = list[Group]
Names = list[str]


class Streams(Module):
    name = "iii-stream"
    items: Items  # unless another engine has them
    description = "Build durable streams for real-time data subscriptions."
    Config: ClassVar = StreamConfig
    parts: ClassVar = (StreamSubscribers,)

    def __init__(self, engine: Engine, config: StreamConfig | None = None, instance: str | None = None) -> None:
        """Raises StartFailure."""
        super().__init__(engine, instance)
        self.config = config or StreamConfig()
        adapter = self.config.adapter
        self._channels: RedisChannels | None = None
        self._bridged: BridgedStreams | None = None
        self._store: Store
        self._timestamps, kv = Timestamps(engine.clock), StreamKvConfig()
        match adapter.kind(self.config.adapters):
            case "redis":
                from iii.storage.redis_channels import RedisChannels
                from iii.storage.redis_items import RedisItems

                url = adapter.block(RedisConfig).redis_url
                self._store = self.items = RedisItems(url, "stream:", parts=2)
                self._source = ItemSource(engine, self.items)
                self._channels = RedisChannels(url, self._heard, lambda: self.server.restart_clients())
                self._channels.subscribe(_CHANNEL)
            case "bridge":
                from iii.modules.stream.bridged import BridgedSource, BridgedStreams
                from iii.remote.forwarding import Forwarding

                self._store = forwarding = Forwarding(adapter.block(BridgeAdapterConfig), "iii-stream-bridge")
                self._source = source = BridgedSource(engine, forwarding)
                self._bridged = BridgedStreams(forwarding, source, self._timestamps, self._event)
            case _:
                kv = adapter.block(StreamKvConfig)
                self._store = self.items = kv_items(kv, "stream")
                self._source = ItemSource(engine, self.items)
        self._hub = Hub(self._followed)
        self._gate = AccessGate(engine, self.config)
        self._changes = ChangeBindings(OrderedFiring(engine.router, engine.clock, engine.turns))
        self._bindings: dict[str, ChangeBindings | JoinBindings] = {
            "stream": self._changes, "stream:join": self._gate.joins, "stream:leave": self._gate.leaves,
        }  # fmt: skip
        shared = ClientContext(
            gate=self._gate, hub=self._hub, source=self._source, timestamps=self._timestamps, channel_size=kv.channel_size,
            stores_in_order=self._channels is None and self._bridged is None,
        )  # fmt: skip
        self.server = StreamServer(self.config, shared, self.instance)

    def part(self, kind: Callable[..., object]) -> object:
        return kind(self.engine, lambda: self.server.clients)

    @property
    def unwell(self) -> bool:
        return self._store.lost

    @property
    def disconnected(self) -> str | None:
        return None if self._bridged is None else self._bridged.disconnected

    async def measurements(self) -> Sequence[Measurement]:
        return [*self._store.measure(self.instance), *self.server.measure(self.instance)]

    async def start(self) -> None:
        """Open the store and the port. Raises StartFailure."""
        _entrust(self)
        if self._bridged is not None:
            self._bridged.open(self._hub.publish, self.server.restart_clients)
        await self._store.open()
        if self._channels is not None:
            await self._channels.open()
        await self.server.start()
        READY(clients_connect_to=self.server.url)
        if not is_loopback(self.config.host) and self.config.auth_function is None:
            PORT_IS_OPEN(address=self.server.address)

    async def adjust(self, config: StreamConfig) -> Adjusted:
        """All but where items are. Raises StartFailure: the new port cannot be had."""
        old = self.config
        if config.adapter != old.adapter or (config.port == old.port and config.host != old.host):
            return Adjusted.MODULE
        await self.server.adjust(config)
        self._gate.adjust(config)
        self.config = config
        _entrust(self)
        return Adjusted.NOW

    async def renew(self) -> None:
        await self.server.renew()

    async def stop(self) -> None:
        """Close the port, then the store."""
        await self.server.stop()
        if self._channels is not None:
            await self._channels.close()
        await self._store.close()

    # -- functions ------------------------------------------------------------------------------------------------

    def functions(self) -> Iterator[Function]:
        """With the adapter `bridge` another engine answers."""
        for function in super().functions():
            if self._bridged is not None:
                function.deliver = self._bridged.instead_of(function.deliver)
            yield function

    @builtin("stream::set", spec="05 §4.2", aliases={"value": "data"})
    def set(self, request: StreamSetInput, invocation: Invocation) -> StreamSetResult | Later:
        """Set a value in a stream"""
        group = (request.stream_name, request.group_id)

        def result(written: Changed | Written) -> StreamSetResult:
            self._publish_change(group, request.item_id, written, invocation)
            return StreamSetResult(old_value=Raw(written.old or b"null"), new_value=Raw(written.new or b"null"))

        reply = answer(invocation, STREAM_SET_ERROR, "Failed to set value", result)
        self._source.set(group, request.item_id, request.data, reply)
        return LATER

    @builtin("stream::get", spec="05 §4.3")
    def get(self, request: StreamGetInput, invocation: Invocation) -> Later:
        """Get a value from a stream"""
        reply: OnRead = answer(invocation, STREAM_GET_ERROR, "Failed to get value")
        self._source.get((request.stream_name, request.group_id), request.item_id, reply)
        return LATER

    @builtin("stream::delete", spec="05 §4.4")
    def delete(self, request: StreamDeleteInput, invocation: Invocation) -> StreamDeleteResult | Later:
        """Delete a value from a stream"""
        group = (request.stream_name, request.group_id)

        def result(written: Changed | Written) -> StreamDeleteResult:
            if written.old is not None:
                self._publish(group, request.item_id, change(b"delete", written.old), True, invocation)
            return StreamDeleteResult(old_value=Raw(written.old or b"null"))

        reply = answer(invocation, STREAM_DELETE_ERROR, "Failed to delete value", result)
        self._source.delete(group, request.item_id, reply)
        return LATER

    @builtin("stream::update", spec="05 §4.9")
    def update(self, request: StreamUpdateInput, invocation: Invocation) -> StreamUpdateResult | Later:
        """Atomically update a stream value with multiple operations"""
        ops = read_ops(request.ops, "stream::update")
        group = (request.stream_name, request.group_id)

        def result(written: Written) -> StreamUpdateResult:
            self._publish_change(group, request.item_id, written, invocation)
            old, new = Raw(written.old or b"null"), Raw(written.new or b"null")
            errors: Any = Raw(written.errors) if written.errors else []
            return StreamUpdateResult(old_value=old, new_value=new, errors=errors)

        reply = answer(invocation, STREAM_UPDATE_ERROR, "Failed to update value", result)
        self._source.update(group, request, ops, reply)
        return LATER

    @builtin("stream::list", spec="05 §4.5")
    def list(self, request: StreamListInput, invocation: Invocation) -> Later:
        """List all items in a stream group"""
        reply: OnRead = answer(invocation, STREAM_GET_GROUP_ERROR, "Failed to get group")
        self._source.list((request.stream_name, request.group_id), reply)
        return LATER

    @builtin("stream::list_groups", spec="05 §4.6")
    def list_groups(self, request: StreamListGroupsInput, invocation: Invocation) -> Later:
        """List all groups in a stream"""
        reply: OnRead = answer(invocation, STREAM_LIST_GROUPS_ERROR, "Failed to list groups")
        self._source.list_groups(request.stream_name, reply)
        return LATER

    @builtin("stream::list_all", spec="05 §4.7")
    def list_all(self, request: StreamListAllInput, invocation: Invocation) -> StreamRows | Later:
        """List all available stream with metadata"""

        def result(groups: Groups) -> StreamRows:
            by_stream: dict[str, Names] = {}
            for stream, group in groups:
                by_stream.setdefault(stream, []).append(group)
            rows = [StreamRow(id=stream, groups=sorted(by_stream[stream])) for stream in sorted(by_stream)]
            return StreamRows(stream=rows, count=len(rows))

        self.items.groups(None, answer(invocation, STREAM_LIST_ALL_ERROR, "Failed to list stream", result))
        return LATER

    @builtin("stream::send", spec="05 §4.8")
    def send(self, request: StreamSendInput, invocation: Invocation) -> Later:
        """Send a custom event to stream subscribers"""
        event = custom(request.type, bytes(request.data))
        self._publish((request.stream_name, request.group_id), request.id, event, False, invocation)
        invocation.complete(b"null")
        return LATER

    # -- events ---------------------------------------------------------------------------------------------------

    def _publish_change(self, group: Group, item_id: str, written: Changed | Written, invocation: Invocation) -> None:
        kind = b"create" if written.old is None else b"update"
        self._publish(group, item_id, change(kind, written.new or b"null"), True, invocation)

    def _publish(self, group: Group, item_id: str | None, event: bytes, stored: bool, invocation: Invocation) -> None:
        """Call what is bound to it, and send it to whoever follows the group."""
        told = self._event(group, item_id, event, stored, invocation)
        if self._channels is None:
            self._hub.publish(told)
        else:
            self._channels.publish(_CHANNEL, told.envelope)  # it comes back from there, as to every other engine

    def _event(self, group: Group, item_id: str | None, event: bytes, stored: bool, invocation: Invocation) -> Event:
        """Call what is bound to it."""
        told = Event(group, item_id, envelope(self._timestamps.next(group), group, item_id, event), stored)
        self._changes.fire(told, invocation)
        return told

    def _heard(self, channel: str, text: bytes) -> None:
        if (event := read_envelope(text)) is None:
            MESSAGE_IGNORED(channel=channel)
        else:
            self._hub.publish(event)

    def _followed(self, group: Group, followed: bool) -> None:
        """The engine makes its own streams only for those who follow them (19 §2); so does another one tell of its streams."""
        if group[0].startswith(FEED):
            payload = {"stream_name": group[0], "group_id": group[1], "followed": followed}
            self.engine.router.call("engine::traces::follow", None, msgspec.json.encode(payload))
        elif self._bridged is not None:
            self._bridged.follow(group, followed)

    # -- triggers -------------------------------------------------------------------------------------------------

    def trigger_types(self) -> Iterator[TriggerType]:
        config, call = late_schema(StreamTriggerConfig), late_schema(StreamCall)
        yield TriggerType(DEFAULT_NAMESPACE, "stream", self, "Stream trigger", config_schema=config, call_schema=call)
        for name, description in (("stream:join", "Stream join trigger"), ("stream:leave", "Stream leave trigger")):
            yield TriggerType(
                DEFAULT_NAMESPACE,
                name,
                self,
                description,
                config_schema=late_schema(JoinTriggerConfig),
                call_schema=late_schema(JoinCall),
                return_schema=late_schema(JoinVerdict),
            )

    def sources(self) -> Iterator[EventSource]:
        yield from (self._changes.source, self._gate.joins.source, self._gate.leaves.source)

    def bind(self, binding: Binding) -> None:
        self._bindings[binding.trigger_type].add(binding)

    def unbind(self, binding: Binding) -> None:
        self._bindings[binding.trigger_type].remove(binding)


def _entrust(module: Streams) -> None:
    """Who decides on logins of the port is never a session's own function (20 §5)."""
    module.engine.functions.entrusted.hold(module, (module.config.auth_function,))
