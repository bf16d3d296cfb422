"""State and streams as objects: thin ways to call the engine's functions (05 §1, §4).

Methods without `_async` wait on this thread, and may not be called on the event loop's own.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol, overload

from msgspec import Struct

from iii.sdk.argument_kinds import check_kind, check_kinds
from iii.sdk.requests import TriggerRequest
from iii.sdk.result_type import list_of, or_none
from iii.sdk.type_form import Result as Value
from iii.sdk.type_form import TypeForm

Op = Mapping[str, Any]
__tracebackhide__ = True  # of pytest: a failed test shows its own lines


class StateEvent(Struct, frozen=True, kw_only=True):
    """What the function of a `state` trigger gets.

    Attributes:
        event_type: `state:created`, `state:updated` or `state:deleted`.
        old_value, new_value: None if there was, or is, none.
    """

    type: str
    event_type: str
    scope: str
    key: str
    old_value: Any = None
    new_value: Any = None


class StreamChange(Struct, frozen=True):
    """`type` is create, update or delete, with `data`; or `event`, with the custom event in `event`."""

    type: str
    data: Any = None
    event: Any = None


class StreamEvent(Struct, frozen=True, kw_only=True, rename="camel"):
    """What the function of a `stream` trigger gets.

    Attributes:
        timestamp: Unix milliseconds, strictly increasing in each group.
        id: of the item; None for a custom event without one.
    """

    type: str
    timestamp: int
    stream_name: str
    group_id: str
    id: str | None
    event: StreamChange


class Updated(Struct, frozen=True, kw_only=True):
    """What an update did; `errors` are the operations that were skipped: `op_index`, `code`, `message`."""

    old_value: Any = None
    new_value: Any = None
    errors: list[dict[str, Any]] = []


class _Worker(Protocol):
    def trigger(self, request: TriggerRequest, *, returns: Any = Any) -> Any: ...

    async def trigger_async(self, request: TriggerRequest, *, returns: Any = Any) -> Any: ...


class _Calls:
    def __init__(self, worker: _Worker) -> None:
        self._worker = worker

    def _call(self, function_id: str, returns: Any = Any, /, **payload: Any) -> Any:
        return self._worker.trigger({"function_id": function_id, "payload": payload}, returns=returns)

    async def _call_async(self, function_id: str, returns: Any = Any, /, **payload: Any) -> Any:
        return await self._worker.trigger_async({"function_id": function_id, "payload": payload}, returns=returns)


class StateScope(_Calls):
    """One scope of shared state: `worker.state("orders")`."""

    def __init__(self, worker: _Worker, scope: str) -> None:
        super().__init__(worker)
        check_kind("scope", scope, "str")
        self.scope = scope

    @overload
    def get(self, key: str) -> Any: ...

    @overload
    def get(self, key: str, *, returns: TypeForm[Value]) -> Value | None: ...

    def get(self, key: str, *, returns: Any = Any) -> Any:
        """The value, with `returns` of that type; None if there is none. Raises InvalidResult: it is of another type."""
        return self._call("state::get", or_none(returns), scope=self.scope, key=key)

    @overload
    async def get_async(self, key: str) -> Any: ...

    @overload
    async def get_async(self, key: str, *, returns: TypeForm[Value]) -> Value | None: ...

    async def get_async(self, key: str, *, returns: Any = Any) -> Any:
        """As `get`."""
        return await self._call_async("state::get", or_none(returns), scope=self.scope, key=key)

    def set(self, key: str, value: Any) -> Any:
        """Set it; the value before, None if there was none. It is durable when this returns."""
        return self._call("state::set", scope=self.scope, key=key, value=value)["old_value"]

    async def set_async(self, key: str, value: Any) -> Any:
        """As `set`."""
        return (await self._call_async("state::set", scope=self.scope, key=key, value=value))["old_value"]

    def delete(self, key: str) -> Any:
        """Delete it; the value that was there."""
        return self._call("state::delete", scope=self.scope, key=key)

    async def delete_async(self, key: str) -> Any:
        """As `delete`."""
        return await self._call_async("state::delete", scope=self.scope, key=key)

    def update(self, key: str, *ops: Op) -> Updated:
        """Apply operations in one step: `update("k", iii.UpdateOp.increment("n"))`."""
        return _updated(self._call("state::update", scope=self.scope, key=key, ops=ops))

    async def update_async(self, key: str, *ops: Op) -> Updated:
        """As `update`."""
        return _updated(await self._call_async("state::update", scope=self.scope, key=key, ops=ops))

    def compare_and_set(self, key: str, expected: Any, new: Any) -> bool:
        """Set it if it is what is expected; whether that was so. A missing key never is."""
        return _applied(
            self._call("state::compare_and_set", scope=self.scope, key=key, expected_value=expected, new_value=new)
        )

    async def compare_and_set_async(self, key: str, expected: Any, new: Any) -> bool:
        """As `compare_and_set`."""
        payload = {"scope": self.scope, "key": key, "expected_value": expected, "new_value": new}
        return _applied(await self._call_async("state::compare_and_set", **payload))

    def keys(self) -> list[str]:
        """All keys, in the order of their insertion."""
        return _keys(self._call("state::list_keys", scope=self.scope))

    async def keys_async(self) -> list[str]:
        """As `keys`."""
        return _keys(await self._call_async("state::list_keys", scope=self.scope))

    def values(self, *, returns: TypeForm[Value] = Any) -> list[Value]:
        """All values, in the order of `keys`, with `returns` of that type. Raises InvalidResult: one is of another type."""
        found: list[Value] = self._call("state::list", list_of(returns), scope=self.scope)
        return found

    async def values_async(self, *, returns: TypeForm[Value] = Any) -> list[Value]:
        """As `values`."""
        found: list[Value] = await self._call_async("state::list", list_of(returns), scope=self.scope)
        return found


class StreamGroup(_Calls):
    """One group of a stream: `worker.stream("chat", "room-1")`; its changes reach everybody who follows it."""

    def __init__(self, worker: _Worker, stream_name: str, group_id: str) -> None:
        super().__init__(worker)
        check_kinds({"stream_name": "str", "group_id": "str"}, {"stream_name": stream_name, "group_id": group_id})
        self.stream_name = stream_name
        self.group_id = group_id

    @overload
    def get(self, item_id: str) -> Any: ...

    @overload
    def get(self, item_id: str, *, returns: TypeForm[Value]) -> Value | None: ...

    def get(self, item_id: str, *, returns: Any = Any) -> Any:
        """The item, with `returns` of that type; None if there is none. Raises InvalidResult: it is of another type."""
        return self._call("stream::get", or_none(returns), **self._item(item_id))

    @overload
    async def get_async(self, item_id: str) -> Any: ...

    @overload
    async def get_async(self, item_id: str, *, returns: TypeForm[Value]) -> Value | None: ...

    async def get_async(self, item_id: str, *, returns: Any = Any) -> Any:
        """As `get`."""
        return await self._call_async("stream::get", or_none(returns), **self._item(item_id))

    def set(self, item_id: str, data: Any) -> Any:
        """Set it; what it was before, None if there was none."""
        return self._call("stream::set", **self._item(item_id), data=data)["old_value"]

    async def set_async(self, item_id: str, data: Any) -> Any:
        """As `set`."""
        return (await self._call_async("stream::set", **self._item(item_id), data=data))["old_value"]

    def delete(self, item_id: str) -> Any:
        """Delete it; what it was."""
        return self._call("stream::delete", **self._item(item_id))["old_value"]

    async def delete_async(self, item_id: str) -> Any:
        """As `delete`."""
        return (await self._call_async("stream::delete", **self._item(item_id)))["old_value"]

    def update(self, item_id: str, *ops: Op) -> Updated:
        """Apply operations in one step: `update("m1", iii.UpdateOp.append("reactions", "+1"))`."""
        return _updated(self._call("stream::update", **self._item(item_id), ops=ops))

    async def update_async(self, item_id: str, *ops: Op) -> Updated:
        """As `update`."""
        return _updated(await self._call_async("stream::update", **self._item(item_id), ops=ops))

    def items(self, *, returns: TypeForm[Value] = Any) -> list[Value]:
        """All items, in the order of their insertion, with `returns` of that type. Raises InvalidResult: one is of another type."""
        found: list[Value] = self._call("stream::list", list_of(returns), **self._group())
        return found

    async def items_async(self, *, returns: TypeForm[Value] = Any) -> list[Value]:
        """As `items`."""
        found: list[Value] = await self._call_async("stream::list", list_of(returns), **self._group())
        return found

    def send(self, event_type: str, data: Any, item_id: str | None = None) -> None:
        """Send a custom event, which is stored nowhere, to who follows the group, or the item."""
        self._call("stream::send", **self._group(), type=event_type, data=data, id=item_id)

    async def send_async(self, event_type: str, data: Any, item_id: str | None = None) -> None:
        """As `send`."""
        await self._call_async("stream::send", **self._group(), type=event_type, data=data, id=item_id)

    def _group(self) -> dict[str, str]:
        return {"stream_name": self.stream_name, "group_id": self.group_id}

    def _item(self, item_id: str) -> dict[str, str]:
        return {**self._group(), "item_id": item_id}


def _updated(reply: Mapping[str, Any]) -> Updated:
    return Updated(old_value=reply["old_value"], new_value=reply["new_value"], errors=reply.get("errors", []))


def _applied(reply: Mapping[str, Any]) -> bool:
    return bool(reply["outcome"] == "applied")


def _keys(reply: Mapping[str, Any]) -> list[str]:
    found: list[str] = reply["keys"]
    return found
