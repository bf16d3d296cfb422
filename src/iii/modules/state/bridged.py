"""The functions of state, answered by another engine: the adapter `bridge` (27 §2)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import msgspec
from msgspec import Raw, Struct

from iii.engine.answer import answer
from iii.engine.builtin_request import RequestDecoder
from iii.engine.functions import Function
from iii.engine.invocation import Invocation
from iii.engine.observing.origin import trace_of
from iii.modules.state.codes import (
    DELETE_ERROR,
    GET_ERROR,
    LIST_ENTRIES_ERROR,
    LIST_ERROR,
    LIST_GROUPS_ERROR,
    LIST_KEYS_ERROR,
    SET_ERROR,
    UPDATE_ERROR,
)
from iii.modules.state.requests import (
    ALIASES,
    SetRequest,
    StateCompareAndSetInput,
    StateDeleteInput,
    StateSetInput,
    StateUpdateInput,
)
from iii.protocol.errors import ErrorCode, InvocationError
from iii.remote.forwarding import Forwarding
from iii.storage.items import Changed

Fire: TypeAlias = Callable[[str, str, str, Changed, Invocation], None]
"""Told the event, scope and key of a change, the change, and what caused it."""

_FAILURES: dict[str, tuple[ErrorCode, str]] = {
    "state::set": (SET_ERROR, "Failed to set value"),
    "state::get": (GET_ERROR, "Failed to get value"),
    "state::delete": (DELETE_ERROR, "Failed to delete value"),
    "state::update": (UPDATE_ERROR, "Failed to update value"),
    "state::compare_and_set": (SET_ERROR, "Failed to set value"),
    "state::list": (LIST_ERROR, "Failed to list values"),
    "state::list_groups": (LIST_GROUPS_ERROR, "Failed to list groups"),
    "state::list_keys": (LIST_KEYS_ERROR, "Failed to list keys"),
    "state::list_entries": (LIST_ENTRIES_ERROR, "Failed to list entries"),
}


def _decoder(function_id: str, request: type[Struct], documented: type[Struct]) -> RequestDecoder:
    return RequestDecoder(function_id, request, documented, ALIASES)


_CHANGES = {
    "state::set": _decoder("state::set", SetRequest, StateSetInput),
    "state::delete": _decoder("state::delete", StateDeleteInput, StateDeleteInput),
    "state::update": _decoder("state::update", StateUpdateInput, StateUpdateInput),
    "state::compare_and_set": _decoder("state::compare_and_set", StateCompareAndSetInput, StateCompareAndSetInput),
}


class _Written(Struct):
    """Of what `set` and `update` answer; null and missing are the same here."""

    old_value: Raw
    new_value: Raw


class _Outcome(Struct):
    outcome: str


class BridgedState:
    """Each call goes to the function of the same name there; what it changed fires the triggers here."""

    def __init__(self, forwarding: Forwarding, fire: Fire) -> None:
        self._forwarding = forwarding
        self._fire = fire

    @property
    def disconnected(self) -> str | None:
        """The other engine, while there is no connection to it, and why."""
        return self._forwarding.disconnected

    def deliver(self, invocation: Invocation, function: Function) -> None:
        """Answer one invocation of a function of `state::*`."""
        read = _CHANGES.get(function.id)
        request = None
        if read is not None:
            try:
                request = read.decode(invocation.data)
            except InvocationError as error:
                invocation.refuse(error)
                return

        def shape(result: bytes | None) -> bytes | None:
            if request is not None:
                self._changed(request, result, invocation)
            return result

        code, text = _FAILURES[function.id]
        reply = answer(invocation, code, f"{text}: {text} via bridge", shape)
        trace = trace_of(invocation)
        self._forwarding.ask(function.id, bytes(invocation.data), trace, reply)

    def _changed(self, request: Struct, result: bytes | None, invocation: Invocation) -> None:
        match request:
            case StateDeleteInput(scope=scope, key=key):
                self._fire("state:deleted", scope, key, Changed(result, None), invocation)
            case StateCompareAndSetInput(scope=scope, key=key):
                if result is not None and msgspec.json.decode(result, type=_Outcome).outcome == "applied":
                    changed = Changed(bytes(request.expected_value), bytes(request.new_value))
                    self._fire("state:updated", scope, key, changed, invocation)
            case SetRequest(scope=scope, key=key) | StateUpdateInput(scope=scope, key=key):
                written = msgspec.json.decode(result or b"", type=_Written)
                old, new = bytes(written.old_value), bytes(written.new_value)
                event = "state:created" if old == b"null" else "state:updated"
                self._fire(event, scope, key, Changed(None if old == b"null" else old, new), invocation)
