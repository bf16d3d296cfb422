"""`iii-state`: the functions `state::*` and the trigger type `state` (05 §1–3)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import ClassVar

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
from iii.modules.state.bindings import StateBindings
from iii.modules.state.config import StateConfig
from iii.modules.state.pages import Pages, Wanted
from iii.modules.state.requests import (
    CompareAndSetRequest,
    SetRequest,
    StateCompareAndSetInput,
    StateDeleteInput,
    StateEntries,
    StateEvent,
    StateGetInput,
    StateGroups,
    StateKeys,
    StateListEntriesInput,
    StateListGroupsInput,
    StateListInput,
    StateOutcome,
    StateSetInput,
    StateSetResult,
    StateTriggerConfig,
    StateUpdateInput,
    StateUpdateResult,
    UpdateRequest,
)
from iii.protocol.errors import DeserializationFailed, InvocationError
from iii.protocol.json_text import holds_more_than
from iii.protocol.names import DEFAULT_NAMESPACE
from iii.storage.adapter import KvConfig, RedisConfig, kv_items
from iii.storage.items import KEEP, Changed, Entry, Group, Items, Keep, StoreError
from iii.storage.update import Update, read_ops
from iii.storage.update_ops import TOO_MANY, UPDATED_VALUES

_ALIASES = {"group_id": "scope", "item_id": "key"}  # of the first previews
_encode = msgspec.json.Encoder().encode


class State(Module):
    name = "iii-state"
    description = "Distributed key-value state management with reactive change triggers."
    Config: ClassVar = StateConfig

    def __init__(self, engine: Engine, config: StateConfig | None = None, instance: str | None = None) -> None:
        """Raises StartFailure."""
        super().__init__(engine, instance)
        self.config = config or StateConfig()
        self.items = _items(self.config)
        self._bindings = StateBindings(OrderedFiring(engine.router, engine.clock))
        self._pages = Pages(engine.clock)

    async def start(self) -> None:
        """Open the store. Raises StartFailure."""
        await self.items.open()

    async def stop(self) -> None:
        """Complete what was asked for, and close the store."""
        await self.items.close()

    # -- functions ------------------------------------------------------------------------------------------------

    @builtin("state::set", spec="05 §1.1", request=StateSetInput, aliases=_ALIASES)
    def set(self, request: SetRequest, invocation: Invocation) -> StateSetResult | Later:
        """Set a value in state"""
        if (request.value is UNSET) == (request.data is UNSET):
            problem = "missing" if request.value is UNSET else "duplicate"
            raise DeserializationFailed("state::set", f"{problem} field `value`")
        sent = request.data if request.value is UNSET else request.value
        assert sent is not UNSET
        value = bytes(sent)
        self._check_size(value)

        def written(changed: Changed | None, error: StoreError | None) -> None:
            if changed is None:
                invocation.refuse(InvocationError("SET_ERROR", f"Failed to set value: {error}"))
                return
            self._written(request.scope, request.key, changed, invocation)
            invocation.complete(b'{"old_value":%s,"new_value":%s}' % (changed.old or b"null", value))

        self.items.change((request.scope, ""), request.key, lambda old: value, written, len(value))
        return LATER

    @builtin("state::get", spec="05 §1.2", aliases=_ALIASES)
    def get(self, request: StateGetInput, invocation: Invocation) -> Later:
        """Get a value from state"""

        def read(value: bytes | None, error: StoreError | None) -> None:
            if error is None:
                invocation.complete(value)
            else:
                invocation.refuse(InvocationError("GET_ERROR", f"Failed to get value: {error}"))

        self.items.get((request.scope, ""), request.key, read)
        return LATER

    @builtin("state::delete", spec="05 §1.3", aliases=_ALIASES)
    def delete(self, request: StateDeleteInput, invocation: Invocation) -> Later:
        """Delete a value from state"""

        def deleted(changed: Changed | None, error: StoreError | None) -> None:
            if changed is None:
                invocation.refuse(InvocationError("DELETE_ERROR", f"Failed to delete value: {error}"))
                return
            self._fire("state:deleted", request.scope, request.key, changed, invocation)
            invocation.complete(changed.old)

        self.items.change((request.scope, ""), request.key, lambda old: None, deleted)
        return LATER

    @builtin("state::update", spec="05 §1.4", request=StateUpdateInput, aliases=_ALIASES)
    def update(self, request: UpdateRequest, invocation: Invocation) -> StateUpdateResult | Later:
        """Update a value in state"""
        update = Update(read_ops(request.ops, "state::update"))

        def written(changed: Changed | None, error: StoreError | None) -> None:
            if changed is None:
                invocation.refuse(InvocationError("UPDATE_ERROR", f"Failed to update value: {error}"))
                return
            self._written(request.scope, request.key, changed, invocation)
            skipped = b',"errors":%s' % update.errors if update.errors else b""
            invocation.complete(b'{"old_value":%s,"new_value":%s%s}' % (changed.old or b"null", changed.new, skipped))

        self.items.change((request.scope, ""), request.key, update, written)
        return LATER

    @builtin("state::compare_and_set", spec="05 §1.7", request=StateCompareAndSetInput)
    def compare_and_set(self, request: CompareAndSetRequest, invocation: Invocation) -> StateOutcome | Later:
        """Set a value in state if it is what the caller expects"""
        expected, new = bytes(request.expected_value), bytes(request.new_value)
        self._check_size(new)
        outcome = b""

        def how(old: bytes | None) -> bytes | Keep:
            nonlocal outcome
            if old is None:
                outcome = b"not_found"
            elif old == expected or _canonical(old) == _canonical(expected):
                outcome = b"applied"
                return new
            else:
                outcome = b"conflict"
            return KEEP

        def written(changed: Changed | None, error: StoreError | None) -> None:
            if changed is None:
                invocation.refuse(InvocationError("SET_ERROR", f"Failed to set value: {error}"))
                return
            if outcome == b"applied":
                self._written(request.scope, request.key, changed, invocation)
            invocation.complete(b'{"outcome":"%s"}' % outcome)

        self.items.change((request.scope, ""), request.key, how, written, len(new))
        return LATER

    @builtin("state::list", spec="05 §1.5", aliases=_ALIASES)
    def list(self, request: StateListInput, invocation: Invocation) -> Later:
        """Get a group from state"""

        def listed(entries: Entries | None, error: StoreError | None) -> None:
            if entries is None:
                invocation.refuse(InvocationError("LIST_ERROR", f"Failed to list values: {error}"))
            else:
                invocation.complete(b"[%s]" % b",".join([entry.value for entry in entries]))

        self.items.entries((request.scope, ""), listed)
        return LATER

    @builtin("state::list_groups", spec="05 §1.6")
    def list_groups(self, request: StateListGroupsInput, invocation: Invocation) -> StateGroups | Later:
        """List all state groups"""

        def listed(groups: Groups | None, error: StoreError | None) -> None:
            if groups is None:
                invocation.refuse(InvocationError("LIST_GROUPS_ERROR", f"Failed to list groups: {error}"))
            else:
                invocation.complete(_encode(StateGroups(groups=sorted({scope for scope, _ in groups}))))

        self.items.groups(None, listed)
        return LATER

    @builtin("state::list_keys", spec="05 §1.7")
    def list_keys(self, request: StateListInput, invocation: Invocation) -> StateKeys | Later:
        """List all keys of a scope"""

        def listed(entries: Entries | None, error: StoreError | None) -> None:
            if entries is None:
                invocation.refuse(InvocationError("LIST_KEYS_ERROR", f"Failed to list keys: {error}"))
            else:
                invocation.complete(_encode(StateKeys(keys=[entry.key for entry in entries])))

        self.items.entries((request.scope, ""), listed)
        return LATER

    @builtin("state::list_entries", spec="05 §1.7, O5")
    def list_entries(self, request: StateListEntriesInput, invocation: Invocation) -> StateEntries | Later:
        """List keys and values of a scope, a page at a time, out of one snapshot"""
        caller = invocation.caller.worker_id if invocation.caller is not None else ""
        wanted = Wanted(caller, request.scope, request.limit, request.max_bytes)
        wanted.check()
        if request.cursor is not None:
            invocation.complete(self._pages.next(request.cursor, wanted))
            return LATER

        def listed(entries: Entries | None, error: StoreError | None) -> None:
            if entries is None:
                invocation.refuse(InvocationError("LIST_ENTRIES_ERROR", f"Failed to list entries: {error}"))
                return
            try:
                page = self._pages.first(wanted, entries)
            except InvocationError as refusal:
                invocation.refuse(refusal)
            else:
                invocation.complete(page)

        self.items.entries((request.scope, ""), listed)
        return LATER

    # -- triggers -------------------------------------------------------------------------------------------------

    def trigger_types(self) -> Iterator[TriggerType]:
        yield TriggerType(
            DEFAULT_NAMESPACE,
            "state",
            self,
            "State trigger",
            config_schema=json_schema(StateTriggerConfig),
            call_schema=json_schema(StateEvent),
        )

    def bind(self, binding: Binding) -> None:
        self._bindings.add(binding)

    def unbind(self, binding: Binding) -> None:
        self._bindings.remove(binding)

    def _written(self, scope: str, key: str, changed: Changed, invocation: Invocation) -> None:
        self._fire("state:created" if changed.old is None else "state:updated", scope, key, changed, invocation)

    def _fire(self, event_type: str, scope: str, key: str, changed: Changed, invocation: Invocation) -> None:
        if self.config.triggers_enabled:
            trace = Trace(invocation.traceparent, invocation.baggage)
            self._bindings.fire(event_type, scope, key, changed, trace)

    def _check_size(self, value: bytes) -> None:
        limit = self.config.max_value_bytes
        if limit and len(value) > limit and (size := len(msgspec.json.format(value, indent=-1))) > limit:
            raise InvocationError(
                "VALUE_TOO_LARGE", f"value of {size} bytes exceeds the configured max_value_bytes limit of {limit}"
            )


Entries = list[Entry]
Groups = list[Group]


def _items(config: StateConfig) -> Items:
    if config.adapter.kind(config.adapters) == "redis":
        from iii.storage.redis_items import RedisItems

        return RedisItems(config.adapter.block(RedisConfig).redis_url, "state:", parts=1)
    interval_ms = config.save_interval_ms
    if interval_ms is not None and not 100 <= interval_ms <= 3_600_000:
        interval_ms = None
    return kv_items(config.adapter.block(KvConfig), "state", interval_ms)


_sorted = msgspec.json.Encoder(order="sorted").encode


def _canonical(text: bytes) -> bytes:
    """The same for texts of the same value; 1 and 1.0 are two. Raises ValueError for one of very many values."""
    if holds_more_than(text, UPDATED_VALUES) or text.count(b"\\") > UPDATED_VALUES:
        raise ValueError(TOO_MANY)
    try:
        return _sorted(msgspec.json.decode(text))  # long texts: ten times faster
    except (msgspec.MsgspecError, ValueError, OverflowError):  # a number beyond what it reads or writes
        return json.dumps(json.loads(text), sort_keys=True).encode()
