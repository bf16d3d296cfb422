"""`iii-state`: the functions `state::*` and the trigger type `state` (05 §1–3)."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import msgspec
from msgspec import UNSET, Raw

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
from iii.modules.state.bindings import StateBindings
from iii.modules.state.codes import (
    DELETE_ERROR,
    GET_ERROR,
    LIST_ENTRIES_ERROR,
    LIST_ERROR,
    LIST_GROUPS_ERROR,
    LIST_KEYS_ERROR,
    SET_ERROR,
    UPDATE_ERROR,
    VALUE_TOO_LARGE,
)
from iii.modules.state.config import StateConfig, StateKvConfig
from iii.modules.state.pages import Pages, Wanted
from iii.modules.state.requests import (
    ALIASES,
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
)
from iii.protocol.errors import DeserializationFailed
from iii.protocol.json_text import holds_more_than
from iii.protocol.log_event import LogEvent
from iii.protocol.measurement import Measurement
from iii.protocol.names import DEFAULT_NAMESPACE
from iii.remote.config import BridgeAdapterConfig
from iii.storage.adapter import RedisConfig, kv_items
from iii.storage.items import KEEP, Changed, Entry, Group, Items, Keep, Store, values
from iii.storage.update import Update, read_ops
from iii.storage.update_ops import TOO_MANY, UPDATED_VALUES

if TYPE_CHECKING:
    from iii.modules.state.bridged import BridgedState

INTERVAL_IGNORED = LogEvent(
    __name__, "state.save_interval_ignored", logging.WARNING, "Option save_interval_ms of iii-state ignored: out of range",
    means="The value is not between 100 and 3600000; the adapter's `save_interval_ms` counts.",
    do="Correct the value in the block of `iii-state`.",
)  # fmt: skip

Entries = list[Entry]
Groups = list[Group]


class State(Module):
    name = "iii-state"
    items: Items  # unless another engine has them
    description = "Distributed key-value state management with reactive change triggers."
    Config: ClassVar = StateConfig

    def __init__(self, engine: Engine, config: StateConfig | None = None, instance: str | None = None) -> None:
        """Raises StartFailure."""
        super().__init__(engine, instance)
        self.config = config or StateConfig()
        self._bindings = StateBindings(OrderedFiring(engine.router, engine.clock, engine.turns))
        self._pages = Pages(engine.clock)
        self._bridged: BridgedState | None = None
        self._store: Store
        if self.config.adapter.kind(self.config.adapters) == "bridge":
            from iii.modules.state.bridged import BridgedState
            from iii.remote.forwarding import Forwarding

            forwarding = Forwarding(self.config.adapter.block(BridgeAdapterConfig), "iii-state-bridge")
            self._store, self._bridged = forwarding, BridgedState(forwarding, self._fire)
        else:
            self._store = self.items = _items(self.config)

    @property
    def unwell(self) -> bool:
        return self._store.lost

    @property
    def disconnected(self) -> str | None:
        return None if self._bridged is None else self._bridged.disconnected

    async def measurements(self) -> Sequence[Measurement]:
        return self._store.measure(self.instance)

    def functions(self) -> Iterator[Function]:
        """With the adapter `bridge` another engine answers."""
        for function in super().functions():
            if self._bridged is not None:
                function.deliver = self._bridged.deliver
            yield function

    async def start(self) -> None:
        """Open the store. Raises StartFailure."""
        await self._store.open()

    async def adjust(self, config: StateConfig) -> Adjusted:
        """All but where values are."""
        if (config.adapter, config.save_interval_ms) != (self.config.adapter, self.config.save_interval_ms):
            return Adjusted.MODULE
        self.config = config
        return Adjusted.NOW

    async def stop(self) -> None:
        """Complete what was asked for, and close the store."""
        await self._store.close()

    # -- functions ------------------------------------------------------------------------------------------------

    @builtin("state::set", spec="05 §1.1", request=StateSetInput, aliases=ALIASES)
    def set(self, request: SetRequest, invocation: Invocation) -> StateSetResult | Later:
        """Set a value in state"""
        if (request.value is UNSET) == (request.data is UNSET):
            problem = "missing" if request.value is UNSET else "duplicate"
            raise DeserializationFailed("state::set", f"{problem} field `value`")
        sent = request.data if request.value is UNSET else request.value
        assert sent is not UNSET
        value = bytes(sent)
        self._check_size(value)

        def result(changed: Changed) -> StateSetResult:
            self._fire_written(request.scope, request.key, changed, invocation)
            return StateSetResult(old_value=Raw(changed.old or b"null"), new_value=Raw(value))

        reply = answer(invocation, SET_ERROR, "Failed to set value", result)
        self.items.put((request.scope, ""), request.key, value, reply)
        return LATER

    @builtin("state::get", spec="05 §1.2", aliases=ALIASES)
    def get(self, request: StateGetInput, invocation: Invocation) -> Later:
        """Get a value from state"""
        self.items.get((request.scope, ""), request.key, answer(invocation, GET_ERROR, "Failed to get value"))
        return LATER

    @builtin("state::delete", spec="05 §1.3", aliases=ALIASES)
    def delete(self, request: StateDeleteInput, invocation: Invocation) -> Later:
        """Delete a value from state"""

        def result(changed: Changed) -> bytes | None:
            self._fire("state:deleted", request.scope, request.key, changed, invocation)
            return changed.old

        reply = answer(invocation, DELETE_ERROR, "Failed to delete value", result)
        self.items.change((request.scope, ""), request.key, lambda old: None, reply)
        return LATER

    @builtin("state::update", spec="05 §1.4", aliases=ALIASES)
    def update(self, request: StateUpdateInput, invocation: Invocation) -> StateUpdateResult | Later:
        """Update a value in state"""
        update = Update(read_ops(request.ops, "state::update"))

        def result(changed: Changed) -> StateUpdateResult:
            self._fire_written(request.scope, request.key, changed, invocation)
            old, new = Raw(changed.old or b"null"), Raw(changed.new or b"null")
            errors: Any = Raw(update.errors) if update.errors else []
            return StateUpdateResult(old_value=old, new_value=new, errors=errors)

        reply = answer(invocation, UPDATE_ERROR, "Failed to update value", result)
        self.items.change((request.scope, ""), request.key, update, reply)
        return LATER

    @builtin("state::compare_and_set", spec="05 §1.7", aliases=ALIASES)
    def compare_and_set(self, request: StateCompareAndSetInput, invocation: Invocation) -> StateOutcome | Later:
        """Set a value in state if it is what the caller expects"""
        expected, new = bytes(request.expected_value), bytes(request.new_value)
        self._check_size(new)
        outcome = ""

        def how(old: bytes | None) -> bytes | Keep:
            nonlocal outcome
            if old is None:
                outcome = "not_found"
            elif old == expected or _canonical(old) == _canonical(expected):
                outcome = "applied"
                return new
            else:
                outcome = "conflict"
            return KEEP

        def result(changed: Changed) -> StateOutcome:
            if outcome == "applied":
                self._fire_written(request.scope, request.key, changed, invocation)
            return StateOutcome(outcome=outcome)

        reply = answer(invocation, SET_ERROR, "Failed to set value", result)
        self.items.change((request.scope, ""), request.key, how, reply, len(new))
        return LATER

    @builtin("state::list", spec="05 §1.5", aliases=ALIASES)
    def list(self, request: StateListInput, invocation: Invocation) -> Later:
        """Get a group from state"""
        reply = answer(invocation, LIST_ERROR, "Failed to list values", values)
        self.items.entries((request.scope, ""), reply)
        return LATER

    @builtin("state::list_groups", spec="05 §1.6")
    def list_groups(self, request: StateListGroupsInput, invocation: Invocation) -> StateGroups | Later:
        """List all state groups"""

        def result(groups: Groups) -> StateGroups:
            return StateGroups(groups=sorted({scope for scope, _ in groups}))

        self.items.groups(None, answer(invocation, LIST_GROUPS_ERROR, "Failed to list groups", result))
        return LATER

    @builtin("state::list_keys", spec="05 §1.7", aliases=ALIASES)
    def list_keys(self, request: StateListInput, invocation: Invocation) -> StateKeys | Later:
        """List all keys of a scope"""

        def result(entries: Entries) -> StateKeys:
            return StateKeys(keys=[entry.key for entry in entries])

        self.items.entries((request.scope, ""), answer(invocation, LIST_KEYS_ERROR, "Failed to list keys", result))
        return LATER

    @builtin("state::list_entries", spec="05 §1.7, O5", aliases=ALIASES)
    def list_entries(self, request: StateListEntriesInput, invocation: Invocation) -> StateEntries | Later:
        """List keys and values of a scope, a page at a time, out of one snapshot"""
        caller = invocation.caller.worker_id if invocation.caller is not None else ""
        wanted = Wanted(caller, request.scope, request.limit, request.max_bytes)
        wanted.check()
        if request.cursor is not None:
            return self._pages.next(request.cursor, wanted)

        def result(entries: Entries) -> StateEntries:
            return self._pages.first(wanted, entries)

        reply = answer(invocation, LIST_ENTRIES_ERROR, "Failed to list entries", result)
        self.items.entries((request.scope, ""), reply)
        return LATER

    # -- triggers -------------------------------------------------------------------------------------------------

    def trigger_types(self) -> Iterator[TriggerType]:
        yield TriggerType(
            DEFAULT_NAMESPACE,
            "state",
            self,
            "State trigger",
            config_schema=late_schema(StateTriggerConfig),
            call_schema=late_schema(StateEvent),
        )

    def sources(self) -> Iterator[EventSource]:
        yield self._bindings.source

    def bind(self, binding: Binding) -> None:
        self._bindings.add(binding)

    def unbind(self, binding: Binding) -> None:
        self._bindings.remove(binding)

    def _fire_written(self, scope: str, key: str, changed: Changed, invocation: Invocation) -> None:
        self._fire("state:created" if changed.old is None else "state:updated", scope, key, changed, invocation)

    def _fire(self, event_type: str, scope: str, key: str, changed: Changed, invocation: Invocation) -> None:
        if self.config.triggers_enabled:
            self._bindings.fire(event_type, scope, key, changed, invocation)

    def _check_size(self, value: bytes) -> None:
        limit = self.config.max_value_bytes
        if limit and len(value) > limit and (size := len(msgspec.json.format(value, indent=-1))) > limit:
            raise VALUE_TOO_LARGE(f"value of {size} bytes exceeds the configured max_value_bytes limit of {limit}")


def _items(config: StateConfig) -> Items:
    if config.adapter.kind(config.adapters) == "redis":
        from iii.storage.redis_items import RedisItems

        return RedisItems(config.adapter.block(RedisConfig).redis_url, "state:", parts=1)
    interval_ms = config.save_interval_ms
    if interval_ms is not None and not 100 <= interval_ms <= 3_600_000:
        INTERVAL_IGNORED(save_interval_ms=interval_ms)
        interval_ms = None
    return kv_items(config.adapter.block(StateKvConfig), "state", interval_ms)


_sorted = msgspec.json.Encoder(order="sorted").encode


def _canonical(text: bytes) -> bytes:
    """The same for texts of the same value; 1 and 1.0 are two. Raises ValueError for one of very many values."""
    if holds_more_than(text, UPDATED_VALUES) or text.count(b"\\") > UPDATED_VALUES:
        raise ValueError(TOO_MANY)
    try:
        return _sorted(msgspec.json.decode(text))  # long texts: ten times faster
    except (msgspec.MsgspecError, ValueError, OverflowError):  # a number beyond what it reads or writes
        return json.dumps(json.loads(text), sort_keys=True).encode()
