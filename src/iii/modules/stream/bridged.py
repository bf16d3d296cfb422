"""Streams of another engine: the adapter `bridge` (27 §3)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import msgspec
from msgspec import Raw, Struct

from iii.engine.answer import answer
from iii.engine.builtin_request import RequestDecoder
from iii.engine.engine import Engine
from iii.engine.functions import Deliver, Function
from iii.engine.invocation import NO_TRACE, Invocation, Trace
from iii.engine.observing.origin import trace_of
from iii.modules.stream.bindings import FEED
from iii.modules.stream.codes import (
    STREAM_DELETE_ERROR,
    STREAM_GET_ERROR,
    STREAM_GET_GROUP_ERROR,
    STREAM_LIST_ALL_ERROR,
    STREAM_LIST_GROUPS_ERROR,
    STREAM_SEND_ERROR,
    STREAM_SET_ERROR,
    STREAM_UPDATE_ERROR,
)
from iii.modules.stream.events import Event, Timestamps, change, custom, restamped
from iii.modules.stream.requests import (
    StreamDeleteInput,
    StreamGetInput,
    StreamListAllInput,
    StreamListGroupsInput,
    StreamListInput,
    StreamSendInput,
    StreamSetInput,
    StreamUpdateInput,
)
from iii.modules.stream.source import ItemSource, OnRead
from iii.protocol.errors import DeserializationFailed, ErrorCode, InvocationError
from iii.protocol.ids import new_id
from iii.protocol.names import STREAM_RELAY
from iii.remote.forwarding import Forwarding
from iii.storage.items import Group
from iii.storage.memory_items import MemoryItems

Told: TypeAlias = Callable[[Group, str | None, bytes, bool, Invocation], object]
"""Told group, item and event of a change, whether it is stored, and what caused it: for the triggers here."""

_encode = msgspec.json.Encoder().encode


class _Forwarded(Struct, frozen=True):
    """A function of streams: how its requests are read, and what is said where the other engine does not answer."""

    request: RequestDecoder
    code: ErrorCode
    text: str


def _forwarded(name: str, request: type[Struct], code: ErrorCode, text: str, **aliases: str) -> _Forwarded:
    return _Forwarded(RequestDecoder(f"stream::{name}", request, request, aliases), code, text)


_FUNCTIONS = {
    "stream::set": _forwarded("set", StreamSetInput, STREAM_SET_ERROR, "Failed to set value", value="data"),
    "stream::get": _forwarded("get", StreamGetInput, STREAM_GET_ERROR, "Failed to get value"),
    "stream::delete": _forwarded("delete", StreamDeleteInput, STREAM_DELETE_ERROR, "Failed to delete value"),
    "stream::update": _forwarded("update", StreamUpdateInput, STREAM_UPDATE_ERROR, "Failed to update value"),
    "stream::list": _forwarded("list", StreamListInput, STREAM_GET_GROUP_ERROR, "Failed to get group"),
    "stream::list_groups": _forwarded(
        "list_groups", StreamListGroupsInput, STREAM_LIST_GROUPS_ERROR, "Failed to list groups"
    ),
    "stream::list_all": _forwarded("list_all", StreamListAllInput, STREAM_LIST_ALL_ERROR, "Failed to list stream"),
    "stream::send": _forwarded("send", StreamSendInput, STREAM_SEND_ERROR, "Failed to send event"),
}


class _Written(Struct):
    """Of what writes answer; null and missing are the same here."""

    old_value: Raw = Raw(b"null")
    new_value: Raw = Raw(b"null")


class BridgedSource(ItemSource):
    """For clients of the port: what no worker here provides is read there."""

    def __init__(self, engine: Engine, forwarding: Forwarding) -> None:
        super().__init__(engine, MemoryItems())  # which stay empty
        self._forwarding = forwarding

    def get(self, group: Group, item_id: str, reply: OnRead) -> None:
        if self.provides("get", group[0]):
            super().get(group, item_id, reply)
        else:
            self._ask_there(
                "stream::get", StreamGetInput(stream_name=group[0], group_id=group[1], item_id=item_id), reply
            )

    def list(self, group: Group, reply: OnRead, in_order: bool = False) -> None:
        if group[0].startswith(FEED) or self.provides("list", group[0]):
            super().list(group, reply, in_order)
        else:
            self._ask_there("stream::list", StreamListInput(stream_name=group[0], group_id=group[1]), reply)

    def is_here(self, function_id: str, stream: str) -> bool:
        """Whether a function of `stream::*` does it at this engine: a worker provides the stream, or the engine itself."""
        operation = function_id.removeprefix("stream::")
        if operation == "update":
            return self.provides("update", stream) or (self.provides("get", stream) and self.provides("set", stream))
        return stream.startswith(FEED) or self.provides("set" if operation == "send" else operation, stream)

    def _ask_there(self, function_id: str, request: Struct, reply: OnRead) -> None:
        self._forwarding.ask(function_id, _encode(request), NO_TRACE, reply)


class BridgedStreams:
    """Calls go to the function of the same name there; the other engine tells of what happens in groups with followers."""

    def __init__(self, forwarding: Forwarding, source: BridgedSource, timestamps: Timestamps, told: Told) -> None:
        self._forwarding = forwarding
        self._source = source
        self._timestamps = timestamps
        self._told = told
        self._relay = f"{STREAM_RELAY}{new_id()}"
        self._followed: dict[Group, Callable[[], None]] = {}

    @property
    def disconnected(self) -> str | None:
        """The other engine, while there is no connection to it, and why."""
        return self._forwarding.disconnected

    # -- functions ------------------------------------------------------------------------------------------------

    def instead_of(self, here: Deliver) -> Deliver:
        """What answers a function; `here` does it for streams that are provided here."""

        def deliver(invocation: Invocation, function: Function) -> None:
            try:
                request = _FUNCTIONS[function.id].request.decode(invocation.data)
            except InvocationError as error:
                invocation.refuse(error)
                return
            stream = None if isinstance(request, StreamListAllInput) else request.stream_name
            if stream is not None and self._source.is_here(function.id, stream):
                here(invocation, function)
            else:
                self._forward(invocation, function.id, request)

        return deliver

    def _forward(self, invocation: Invocation, function_id: str, request: Struct) -> None:
        def shape(result: bytes | None) -> bytes | None:
            self._changed(request, result, invocation)
            return b"null" if isinstance(request, StreamSendInput) else result

        forwarded = _FUNCTIONS[function_id]
        reply = answer(invocation, forwarded.code, f"{forwarded.text}: {forwarded.text} via bridge", shape)
        trace = trace_of(invocation)
        self._forwarding.ask(function_id, bytes(invocation.data), trace, reply)

    def _changed(self, request: Struct, result: bytes | None, invocation: Invocation) -> None:
        """Triggers fire at the engine that was asked (05 §5.1)."""
        match request:
            case StreamSendInput():
                event = custom(request.type, bytes(request.data))
                self._told((request.stream_name, request.group_id), request.id, event, False, invocation)
            case StreamSetInput() | StreamUpdateInput() | StreamDeleteInput():
                written = msgspec.json.decode(result or b"{}", type=_Written)
                old, new = bytes(written.old_value), bytes(written.new_value)
                group = (request.stream_name, request.group_id)
                if not isinstance(request, StreamDeleteInput):
                    event = change(b"create" if old == b"null" else b"update", new)
                    self._told(group, request.item_id, event, True, invocation)
                elif old != b"null":
                    self._told(group, request.item_id, change(b"delete", old), True, invocation)

    # -- events ---------------------------------------------------------------------------------------------------

    def open(self, heard: Callable[[Event], None], missed: Callable[[], None]) -> None:
        """Before the connection is.

        Args:
            heard: told of each event in a group that is followed.
            missed: told that events may be missing.
        """

        async def relay(data: bytes, trace: Trace) -> bytes:
            event = restamped(data, self._timestamps)
            if event is None:
                raise DeserializationFailed(self._relay, "it is not an event of a stream")
            heard(event)
            return b"null"

        self._forwarding.remote.offer(self._relay, relay, "Events for the clients of another engine.")
        self._forwarding.remote.when_connected(lambda again: missed() if again else None)

    def follow(self, group: Group, followed: bool) -> None:
        """A group has its first client here, or lost its last one."""
        if not followed:
            if (unbind := self._followed.pop(group, None)) is not None:
                unbind()
        elif group not in self._followed:
            config = {"stream_name": group[0], "group_id": group[1]}
            self._followed[group] = self._forwarding.remote.bind("stream", self._relay, config)
