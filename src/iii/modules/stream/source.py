"""Where a stream's items are: with a worker that provides the stream, else in the store (05 §4.1)."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable
from typing import NamedTuple, Protocol

import msgspec
from msgspec import UNSET, Raw, UnsetType

from iii.engine.engine import Engine
from iii.engine.functions import Function
from iii.modules.stream.requests import StreamDeleteInput, StreamGetInput, StreamListGroupsInput, StreamListInput
from iii.protocol.errors import InvocationError
from iii.protocol.names import DEFAULT_NAMESPACE
from iii.storage.items import Changed, Entry, Group, Items, OnChanged, StoreError
from iii.storage.update import Op, Update

logger = logging.getLogger(__name__)

_encode = msgspec.json.Encoder().encode


class Written(NamedTuple):
    """An item before and after; `errors` of an update as JSON, empty if there are none."""

    old: bytes | None
    new: bytes | None
    errors: bytes = b""


class OnResult(Protocol):
    def __call__(self, result: bytes | None, error: InvocationError | None, /) -> None: ...


class OnWritten(Protocol):
    def __call__(self, written: Written | None, error: InvocationError | None, /) -> None: ...


class _SetInput(msgspec.Struct):
    stream_name: str
    group_id: str
    item_id: str
    data: Raw


class _UpdateInput(msgspec.Struct):
    stream_name: str
    group_id: str
    item_id: str
    ops: Raw


class _Change(msgspec.Struct):
    new_value: Raw
    old_value: Raw | UnsetType = UNSET
    errors: Raw | UnsetType = UNSET


class _Deletion(msgspec.Struct):
    old_value: Raw | UnsetType = UNSET


class Source:
    """Reads and writes items, wherever they are."""

    def __init__(self, engine: Engine, items: Items) -> None:
        self.items = items
        self._engine = engine
        self._provided: set[str] = set()  # streams that a worker was seen to provide
        self._emulated: dict[tuple[Group, str], deque[Callable[[], None]]] = {}  # updates that wait for their turn

    # -- reading --------------------------------------------------------------------------------------------------

    def get(self, group: Group, item_id: str, done: OnResult) -> None:
        if self._provider("get", group[0]) is not None:
            self._ask("get", group[0], StreamGetInput(stream_name=group[0], group_id=group[1], item_id=item_id), done)
            return

        def read(value: bytes | None, error: StoreError | None) -> None:
            done(value, None if error is None else _failed("STREAM_GET_ERROR", "get value", error))

        self.items.get(group, item_id, read)

    def list(self, group: Group, done: OnResult, in_order: bool = False) -> None:
        """The values, as a JSON array. `in_order`: with all changes that were told before `done` is called."""
        if self._provider("list", group[0]) is not None:
            self._ask("list", group[0], StreamListInput(stream_name=group[0], group_id=group[1]), done)
            return

        def listed(entries: Entries | None, error: StoreError | None) -> None:
            if entries is None:
                done(None, _failed("STREAM_GET_GROUP_ERROR", "get group", error))
            else:
                done(b"[%s]" % b",".join([entry.value for entry in entries]), None)

        (self.items.snapshot if in_order else self.items.entries)(group, listed)

    def list_groups(self, stream: str, done: OnResult) -> None:
        if self._provider("list_groups", stream) is not None:
            self._ask("list_groups", stream, StreamListGroupsInput(stream_name=stream), done)
            return

        def listed(groups: Groups | None, error: StoreError | None) -> None:
            if groups is None:
                done(None, _failed("STREAM_LIST_GROUPS_ERROR", "list groups", error))
            else:
                done(_encode(sorted(group for _, group in groups)), None)

        self.items.groups(stream, listed)

    def reads_in_order(self, group: Group) -> bool:
        """Whether a list in order is one: a provider's answer may be older or newer than the events around it."""
        return self._provider("list", group[0]) is None

    # -- writing --------------------------------------------------------------------------------------------------

    def set(self, group: Group, item_id: str, data: bytes, done: OnWritten) -> None:
        if self._provider("set", group[0]) is not None:
            self._provided_set(group, item_id, data, done)
        else:
            self.items.change(group, item_id, lambda old: data, _told("STREAM_SET_ERROR", "set value", done), len(data))

    def delete(self, group: Group, item_id: str, done: OnWritten) -> None:
        if self._provider("delete", group[0]) is None:
            self.items.change(group, item_id, lambda old: None, _told("STREAM_DELETE_ERROR", "delete value", done))
            return

        def deleted(result: bytes | None, error: InvocationError | None) -> None:
            if error is not None:
                done(None, _provider_failed("STREAM_DELETE_ERROR", "delete value", error))
                return
            try:
                sent = msgspec.json.decode(result or b"{}", type=_Deletion | None) or _Deletion()
            except msgspec.DecodeError as unfit:
                done(None, _unfit(unfit))
            else:
                done(Written(_value(sent.old_value), None), None)

        request = StreamDeleteInput(stream_name=group[0], group_id=group[1], item_id=item_id)
        self._ask("delete", group[0], request, deleted)

    def update(self, group: Group, item_id: str, sent: Raw, ops: Ops, done: OnWritten) -> None:
        """`sent` is what `ops` were read from."""
        stream = group[0]
        if self._provider("update", stream) is not None:
            request = _UpdateInput(stream, group[1], item_id, sent)
            self._ask("update", stream, request, _changed("STREAM_UPDATE_ERROR", "update value", done))
        elif self._provider("get", stream) is not None and self._provider("set", stream) is not None:
            self._emulate(group, item_id, ops, done)
        else:
            update = Update(ops)

            def written(changed: Changed | None, error: StoreError | None) -> None:
                if changed is None:
                    done(None, _failed("STREAM_UPDATE_ERROR", "update value", error))
                else:
                    done(Written(changed.old, changed.new, update.errors), None)

            self.items.change(group, item_id, update, written)

    # -- providers ------------------------------------------------------------------------------------------------

    def _provider(self, operation: str, stream: str) -> Function | None:
        found = self._engine.functions.find(f"stream::{operation}({stream})", DEFAULT_NAMESPACE)
        if found is not None:
            self._provided.add(stream)
        elif stream in self._provided and operation != "update":
            self._provided.discard(stream)
            logger.warning("Stream %s has no provider any more: the engine's own store answers for it", stream)
        return found

    def _ask(self, operation: str, stream: str, request: msgspec.Struct, done: OnResult) -> None:
        self._engine.router.call(f"stream::{operation}({stream})", DEFAULT_NAMESPACE, _encode(request), done)

    def _provided_set(self, group: Group, item_id: str, data: bytes, done: OnWritten) -> None:
        request = _SetInput(group[0], group[1], item_id, Raw(data))
        self._ask("set", group[0], request, _changed("STREAM_SET_ERROR", "set value", done))

    def _emulate(self, group: Group, item_id: str, ops: Ops, done: OnWritten) -> None:
        """Read, change and write, one update of an item after another: providers of the SDKs have no `update`."""
        turn = (group, item_id)
        waiting = self._emulated.get(turn)

        def begin() -> None:
            self.get(group, item_id, read)

        def read(value: bytes | None, error: InvocationError | None) -> None:
            if error is not None:
                finish(None, _provider_failed("STREAM_UPDATE_ERROR", "update value", error))
                return
            old = _value(value)
            update = Update(ops)
            try:
                new = update(old)
            except ValueError as unfit:
                finish(None, _unfit(unfit))
                return

            def written(result: Written | None, error: InvocationError | None) -> None:
                finish(None if result is None else Written(old, new, update.errors), error)

            self._provided_set(group, item_id, new, written)

        def finish(written: Written | None, error: InvocationError | None) -> None:
            following = self._emulated[turn]
            if following:
                following.popleft()()
            else:
                del self._emulated[turn]
            done(written, error)

        if waiting is not None:
            waiting.append(begin)
        else:
            self._emulated[turn] = deque()
            begin()


Entries = list[Entry]
Groups = list[Group]
Ops = list[Op]


def _told(code: str, doing: str, done: OnWritten) -> OnChanged:
    def written(changed: Changed | None, error: StoreError | None) -> None:
        if changed is None:
            done(None, _failed(code, doing, error))
        else:
            done(Written(changed.old, changed.new), None)

    return written


def _changed(code: str, doing: str, done: OnWritten) -> OnResult:
    """What a provider's answer to a write means."""

    def changed(result: bytes | None, error: InvocationError | None) -> None:
        if error is not None:
            done(None, _provider_failed(code, doing, error))
            return
        if result is None or result == b"null":
            done(None, InvocationError(code, f"Failed to {doing}: Function returned no result"))
            return
        try:
            sent = msgspec.json.decode(result, type=_Change)
        except msgspec.DecodeError as unfit:
            done(None, _unfit(unfit))
            return
        errors = _value(sent.errors)
        done(
            Written(_value(sent.old_value), bytes(sent.new_value), b"" if errors in (None, b"[]") else errors or b""),
            None,
        )

    return changed


def _value(sent: Raw | bytes | UnsetType | None) -> bytes | None:
    """Null and absent are the same: there was none."""
    if sent is None or isinstance(sent, UnsetType):
        return None
    value = bytes(sent)
    return None if value == b"null" else value


def _failed(code: str, doing: str, error: StoreError | None) -> InvocationError:
    return InvocationError(code, f"Failed to {doing}: {error}")


def _provider_failed(code: str, doing: str, error: InvocationError) -> InvocationError:
    return InvocationError(code, f"Failed to {doing}: Failed to invoke function: {error}")


def _unfit(error: Exception) -> InvocationError:
    return InvocationError("JSON_ERROR", f"Failed to convert result to value: {error}")
