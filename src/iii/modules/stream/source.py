"""Where a stream's items are: with a worker that provides the stream, else in the store (05 §4.1)."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable
from typing import NamedTuple, TypeAlias

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

from iii.engine.engine import Engine
from iii.modules.stream.codes import JSON_ERROR, STREAM_SET_ERROR
from iii.modules.stream.requests import (
    StreamDeleteInput,
    StreamGetInput,
    StreamListGroupsInput,
    StreamListInput,
    StreamSetInput,
    StreamUpdateInput,
)
from iii.protocol.errors import InvocationError
from iii.protocol.log_event import LogEvent
from iii.protocol.names import DEFAULT_NAMESPACE
from iii.protocol.reply import Reply
from iii.storage.items import Changed, Group, Items, StoreError, values
from iii.storage.update import Op, Update

PROVIDER_LEFT = LogEvent(
    __name__, "stream.provider_left", logging.WARNING, "Stream has no provider; the engine's own store answers for it",
    means="The worker that provided the stream has left, or unregistered its functions; its items are not in the engine.",
    do="Bring the worker back if the stream is to have its items.",
)  # fmt: skip

_encode = msgspec.json.Encoder().encode


class Written(NamedTuple):
    """An item before and after an update, or a provider's write; `errors` as JSON, empty if there are none."""

    old: bytes | None
    new: bytes | None
    errors: bytes = b""


Ops: TypeAlias = list[Op]
OnRead: TypeAlias = Reply[bytes, StoreError | InvocationError]
OnChanged: TypeAlias = Reply[Changed | Written, StoreError | InvocationError]
OnWritten: TypeAlias = Reply[Written, StoreError | InvocationError]


class _Change(Struct):
    new_value: Raw
    old_value: Raw | UnsetType = UNSET
    errors: Raw | UnsetType = UNSET


class _Deletion(Struct):
    old_value: Raw | UnsetType = UNSET


class ItemSource:
    """Reads and writes items, wherever they are."""

    def __init__(self, engine: Engine, items: Items) -> None:
        self.items = items
        self._engine = engine
        self._seen: set[str] = set()  # streams that a worker was seen to provide
        self._emulated: dict[tuple[Group, str], deque[Callable[[], None]]] = {}  # updates that wait for their turn

    # -- reading --------------------------------------------------------------------------------------------------

    def get(self, group: Group, item_id: str, reply: OnRead) -> None:
        if self.provides("get", group[0]):
            self._ask("get", group[0], StreamGetInput(stream_name=group[0], group_id=group[1], item_id=item_id), reply)
        else:
            self.items.get(group, item_id, reply)

    def list(self, group: Group, reply: OnRead, in_order: bool = False) -> None:
        """The values, as a JSON array. `in_order`: with all changes that were told before `reply` is."""
        if self.provides("list", group[0]):
            self._ask("list", group[0], StreamListInput(stream_name=group[0], group_id=group[1]), reply)
        else:
            read = self.items.snapshot if in_order else self.items.entries
            read(group, lambda entries, error: reply(None if entries is None else values(entries), error))

    def list_groups(self, stream: str, reply: OnRead) -> None:
        if self.provides("list_groups", stream):
            self._ask("list_groups", stream, StreamListGroupsInput(stream_name=stream), reply)
        else:
            self.items.groups(
                stream, lambda groups, error: reply(_encode(sorted(name for _, name in groups or ())), error)
            )

    def reads_in_order(self, group: Group) -> bool:
        """Whether a list in order is one: a provider's answer may be older or newer than the events around it."""
        return not self.provides("list", group[0])

    # -- writing --------------------------------------------------------------------------------------------------

    def set(self, group: Group, item_id: str, data: Raw, reply: OnChanged) -> None:
        if self.provides("set", group[0]):
            self._provided_set(group, item_id, data, reply)
        else:
            self.items.put(group, item_id, bytes(data), reply)

    def delete(self, group: Group, item_id: str, reply: OnChanged) -> None:
        if not self.provides("delete", group[0]):
            self.items.change(group, item_id, lambda old: None, reply)
            return
        request = StreamDeleteInput(stream_name=group[0], group_id=group[1], item_id=item_id)
        self._ask("delete", group[0], request, _provider_wrote(_deletion, reply))

    def update(self, group: Group, request: StreamUpdateInput, ops: Ops, reply: OnWritten) -> None:
        """`ops` are those of the request."""
        stream = group[0]
        if self.provides("update", stream):
            self._ask("update", stream, request, _provider_wrote(_change, reply))
        elif self.provides("get", stream) and self.provides("set", stream):
            self._emulate(group, request.item_id, ops, reply)
        else:
            update = Update(ops)

            def changed(changed: Changed | None, error: StoreError | None) -> None:
                reply(None if changed is None else Written(*changed, update.errors), error)

            self.items.change(group, request.item_id, update, changed)

    # -- providers ------------------------------------------------------------------------------------------------

    def provides(self, operation: str, stream: str) -> bool:
        """Whether a worker does it for this stream."""
        found = self._engine.functions.find(f"stream::{operation}({stream})", DEFAULT_NAMESPACE) is not None
        if found:
            self._seen.add(stream)
        elif stream in self._seen and operation != "update":
            self._seen.discard(stream)
            PROVIDER_LEFT(stream=stream)
        return found

    def _ask(self, operation: str, stream: str, request: Struct, reply: Reply[bytes, InvocationError]) -> None:
        self._engine.router.call(f"stream::{operation}({stream})", DEFAULT_NAMESPACE, _encode(request), reply)

    def _provided_set(self, group: Group, item_id: str, data: Raw, reply: OnWritten) -> None:
        request = StreamSetInput(stream_name=group[0], group_id=group[1], item_id=item_id, data=data)
        self._ask("set", group[0], request, _provider_wrote(_change, reply))

    def _emulate(self, group: Group, item_id: str, ops: Ops, reply: OnWritten) -> None:
        """Read, change and write, one update of an item after another: providers of the SDKs have no `update`."""
        turn = (group, item_id)
        waiting = self._emulated.get(turn)

        def begin() -> None:
            self.get(group, item_id, read)

        def read(value: bytes | None, error: Exception | None) -> None:
            if error is not None:
                finish(None, _not_invoked(error))
                return
            old = _value(value)
            update = Update(ops)
            try:
                new = update(old)
            except ValueError as unfit:
                finish(None, _unfit(unfit))
                return

            def written(result: Written | None, error: StoreError | InvocationError | None) -> None:
                if isinstance(error, StoreError):
                    error = STREAM_SET_ERROR(f"Failed to set value: {error}")
                finish(None if result is None else Written(old, new, update.errors), error)

            self._provided_set(group, item_id, Raw(new), written)

        def finish(written: Written | None, error: StoreError | InvocationError | None) -> None:
            following = self._emulated[turn]
            if following:
                following.popleft()()
            else:
                del self._emulated[turn]
            reply(written, error)

        if waiting is not None:
            waiting.append(begin)
        else:
            self._emulated[turn] = deque()
            begin()


def _provider_wrote(read: Callable[[bytes | None], Written], reply: OnWritten) -> Reply[bytes, InvocationError]:
    """What a provider's answer to a write means, by `read`."""

    def answered(result: bytes | None, error: InvocationError | None) -> None:
        if error is not None:
            reply(None, _not_invoked(error))
            return
        try:
            written = read(None if result == b"null" else result)
        except msgspec.DecodeError as unfit:
            reply(None, _unfit(unfit))
        except StoreError as failure:
            reply(None, failure)
        else:
            reply(written, None)

    return answered


def _change(result: bytes | None) -> Written:
    if result is None:
        raise StoreError("Function returned no result")
    sent = msgspec.json.decode(result, type=_Change)
    errors = _value(sent.errors) or b""
    return Written(_value(sent.old_value), bytes(sent.new_value), b"" if errors == b"[]" else errors)


def _deletion(result: bytes | None) -> Written:
    return Written(_value(msgspec.json.decode(result or b"{}", type=_Deletion).old_value), None)


def _value(sent: Raw | bytes | UnsetType | None) -> bytes | None:
    """Null and absent are the same: there was none."""
    if sent is None or isinstance(sent, UnsetType):
        return None
    value = bytes(sent)
    return None if value == b"null" else value


def _not_invoked(error: Exception) -> StoreError:
    return StoreError(f"Failed to invoke function: {error}")


def _unfit(error: Exception) -> InvocationError:
    return JSON_ERROR(f"Failed to convert result to value: {error}")
