"""`iii-stream`: the functions `stream::*`, three trigger types and the stream port (05 §4–6)."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar

import msgspec
from msgspec import UNSET

from iii.engine.bindings import Binding
from iii.engine.builtin import LATER, Later, builtin
from iii.engine.engine import Engine
from iii.engine.firing import OrderedFiring
from iii.engine.invocation import Invocation, Trace
from iii.engine.module import Module
from iii.engine.schema import json_schema
from iii.engine.trigger_types import TriggerType
from iii.modules.stream.bindings import ChangeBindings
from iii.modules.stream.config import StreamConfig
from iii.modules.stream.events import Event, Timestamps, change, custom, envelope, read_envelope
from iii.modules.stream.gate import Gate
from iii.modules.stream.hall import Hall
from iii.modules.stream.hub import Hub
from iii.modules.stream.requests import (
    JoinCall,
    JoinTriggerConfig,
    JoinVerdict,
    SendRequest,
    SetRequest,
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
    UpdateRequest,
)
from iii.modules.stream.server import StreamServer
from iii.modules.stream.source import OnResult, Source, Written
from iii.net.listening import is_loopback
from iii.protocol.errors import DeserializationFailed, InvocationError
from iii.protocol.names import DEFAULT_NAMESPACE
from iii.storage.adapter import KvConfig, RedisConfig, kv_items
from iii.storage.items import Group, Items, StoreError
from iii.storage.update import read_ops

if TYPE_CHECKING:
    from iii.storage.redis_channels import RedisChannels

logger = logging.getLogger(__name__)

_CHANNEL = "stream::events"  # of all engines, other makers' too (05 §7.2)
_encode = msgspec.json.Encoder().encode


class Streams(Module):
    name = "iii-stream"
    description = "Build durable streams for real-time data subscriptions."
    Config: ClassVar = StreamConfig

    def __init__(self, engine: Engine, config: StreamConfig | None = None, instance: str | None = None) -> None:
        """Raises StartFailure."""
        super().__init__(engine, instance)
        self.config = config or StreamConfig()
        adapter = self.config.adapter
        self._channels: RedisChannels | None = None
        self.items: Items
        channel_size = KvConfig().channel_size
        if adapter.kind(self.config.adapters) == "redis":
            from iii.storage.redis_channels import RedisChannels
            from iii.storage.redis_items import RedisItems

            url = adapter.block(RedisConfig).redis_url
            self.items = RedisItems(url, "stream:", parts=2)
            self._channels = RedisChannels(url, self._heard, lambda: self.server.restart_clients())
            self._channels.subscribe(_CHANNEL)
        else:
            kv = adapter.block(KvConfig)
            self.items = kv_items(kv, "stream")
            channel_size = kv.channel_size
        self._source = Source(engine, self.items)
        self._timestamps = Timestamps(engine.clock)
        self._hub = Hub()
        self._gate = Gate(engine, self.config)
        self._changes = ChangeBindings(OrderedFiring(engine.router, engine.clock))
        hall = Hall(
            gate=self._gate,
            hub=self._hub,
            source=self._source,
            timestamps=self._timestamps,
            channel_size=channel_size,
            stores_in_order=self._channels is None,
        )
        self.server = StreamServer(self.config, hall)

    async def start(self) -> None:
        """Open the store and the port. Raises StartFailure."""
        await self.items.open()
        if self._channels is not None:
            await self._channels.open()
        await self.server.start()
        logger.info("Streams ready", extra={"fields": {"clients connect to": f"ws://{self.server.address}"}})
        if not is_loopback(self.config.host) and self.config.auth_function is None:
            logger.info(
                "Stream port %s open to other machines without auth_function: every client that reaches it can follow every stream",
                self.server.address,
            )

    async def stop(self) -> None:
        """Close the port, then the store."""
        await self.server.stop()
        if self._channels is not None:
            await self._channels.close()
        await self.items.close()

    # -- functions ------------------------------------------------------------------------------------------------

    @builtin("stream::set", spec="05 §4.2", request=StreamSetInput)
    def set(self, request: SetRequest, invocation: Invocation) -> StreamSetResult | Later:
        """Set a value in a stream"""
        sent = request.value if request.data is UNSET else request.data
        if sent is UNSET:
            raise DeserializationFailed("stream::set", "missing field `data`")
        group = (request.stream_name, request.group_id)

        def written(result: Written | None, error: InvocationError | None) -> None:
            if result is None:
                assert error is not None
                invocation.refuse(error)
                return
            self._changed(group, request.item_id, result, invocation)
            new = result.new or b"null"
            invocation.complete(b'{"old_value":%s,"new_value":%s}' % (result.old or b"null", new))

        self._source.set(group, request.item_id, bytes(sent), written)
        return LATER

    @builtin("stream::get", spec="05 §4.3")
    def get(self, request: StreamGetInput, invocation: Invocation) -> Later:
        """Get a value from a stream"""
        self._source.get((request.stream_name, request.group_id), request.item_id, _answers(invocation))
        return LATER

    @builtin("stream::delete", spec="05 §4.4")
    def delete(self, request: StreamDeleteInput, invocation: Invocation) -> StreamDeleteResult | Later:
        """Delete a value from a stream"""
        group = (request.stream_name, request.group_id)

        def deleted(result: Written | None, error: InvocationError | None) -> None:
            if result is None:
                assert error is not None
                invocation.refuse(error)
                return
            if result.old is not None:
                self._publish(group, request.item_id, change(b"delete", result.old), True, invocation)
            invocation.complete(b'{"old_value":%s}' % (result.old or b"null"))

        self._source.delete(group, request.item_id, deleted)
        return LATER

    @builtin("stream::update", spec="05 §4.9", request=StreamUpdateInput)
    def update(self, request: UpdateRequest, invocation: Invocation) -> StreamUpdateResult | Later:
        """Atomically update a stream value with multiple operations"""
        ops = read_ops(request.ops, "stream::update")
        group = (request.stream_name, request.group_id)

        def written(result: Written | None, error: InvocationError | None) -> None:
            if result is None:
                assert error is not None
                invocation.refuse(error)
                return
            self._changed(group, request.item_id, result, invocation)
            skipped = b',"errors":%s' % result.errors if result.errors else b""
            old, new = result.old or b"null", result.new or b"null"
            invocation.complete(b'{"old_value":%s,"new_value":%s%s}' % (old, new, skipped))

        self._source.update(group, request.item_id, request.ops, ops, written)
        return LATER

    @builtin("stream::list", spec="05 §4.5")
    def list(self, request: StreamListInput, invocation: Invocation) -> Later:
        """List all items in a stream group"""
        self._source.list((request.stream_name, request.group_id), _answers(invocation))
        return LATER

    @builtin("stream::list_groups", spec="05 §4.6")
    def list_groups(self, request: StreamListGroupsInput, invocation: Invocation) -> Later:
        """List all groups in a stream"""
        self._source.list_groups(request.stream_name, _answers(invocation))
        return LATER

    @builtin("stream::list_all", spec="05 §4.7")
    def list_all(self, request: StreamListAllInput, invocation: Invocation) -> StreamRows | Later:
        """List all available stream with metadata"""

        def listed(groups: Groups | None, error: StoreError | None) -> None:
            if groups is None:
                invocation.refuse(InvocationError("STREAM_LIST_ALL_ERROR", f"Failed to list stream: {error}"))
                return
            by_stream: dict[str, Names] = {}
            for stream, group in groups:
                by_stream.setdefault(stream, []).append(group)
            rows = [StreamRow(id=stream, groups=sorted(by_stream[stream])) for stream in sorted(by_stream)]
            invocation.complete(_encode(StreamRows(stream=rows, count=len(rows))))

        self.items.groups(None, listed)
        return LATER

    @builtin("stream::send", spec="05 §4.8", request=StreamSendInput)
    def send(self, request: SendRequest, invocation: Invocation) -> Later:
        """Send a custom event to stream subscribers"""
        group = (request.stream_name, request.group_id)
        self._publish(group, request.id, custom(request.type, bytes(request.data)), False, invocation)
        invocation.complete(b"null")
        return LATER

    # -- events ---------------------------------------------------------------------------------------------------

    def _changed(self, group: Group, item_id: str, written: Written, invocation: Invocation) -> None:
        kind = b"create" if written.old is None else b"update"
        self._publish(group, item_id, change(kind, written.new or b"null"), True, invocation)

    def _publish(self, group: Group, item_id: str | None, event: bytes, stored: bool, invocation: Invocation) -> None:
        """Call what is bound to it, and send it to whoever follows the group."""
        text = envelope(self._timestamps.next(group), group, item_id, event)
        told = Event(group, item_id, text, stored)
        self._changes.fire(told, Trace(invocation.traceparent, invocation.baggage))
        if self._channels is None:
            self._hub.publish(told)
        else:
            self._channels.publish(_CHANNEL, text)  # it comes back from there, as to every other engine

    def _heard(self, channel: str, text: bytes) -> None:
        event = read_envelope(text)
        if event is None:
            logger.warning("Message of %s ignored: it is not a stream event", channel)
        else:
            self._hub.publish(event)

    # -- triggers -------------------------------------------------------------------------------------------------

    def trigger_types(self) -> Iterator[TriggerType]:
        yield TriggerType(
            DEFAULT_NAMESPACE,
            "stream",
            self,
            "Stream trigger",
            config_schema=json_schema(StreamTriggerConfig),
            call_schema=json_schema(StreamCall),
        )
        for name, description in (("stream:join", "Stream join trigger"), ("stream:leave", "Stream leave trigger")):
            yield TriggerType(
                DEFAULT_NAMESPACE,
                name,
                self,
                description,
                config_schema=json_schema(JoinTriggerConfig),
                call_schema=json_schema(JoinCall),
                return_schema=json_schema(JoinVerdict),
            )

    def bind(self, binding: Binding) -> None:
        match binding.trigger_type:
            case "stream:join":
                self._gate.joins.add(binding)
            case "stream:leave":
                self._gate.leaves.add(binding)
            case _:
                self._changes.add(binding)

    def unbind(self, binding: Binding) -> None:
        match binding.trigger_type:
            case "stream:join":
                self._gate.joins.remove(binding)
            case "stream:leave":
                self._gate.leaves.remove(binding)
            case _:
                self._changes.remove(binding)


Groups = list[Group]
Names = list[str]


def _answers(invocation: Invocation) -> OnResult:
    """Answers a call with a result as it is, or with its error."""

    def answer(result: bytes | None, error: InvocationError | None) -> None:
        if error is None:
            invocation.complete(result)
        else:
            invocation.refuse(error)

    return answer
