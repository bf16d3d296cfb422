"""The door of a console that runs in the engine's process: every call goes through the router like any other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import msgspec

from iii.console.door import Action, Told
from iii.engine.bindings import Binding
from iii.engine.connection_limits import WaitingBytes
from iii.engine.dialect import Dialect
from iii.engine.enqueue import enqueue
from iii.engine.invocation import Callback, Invocation
from iii.engine.observing.origin import caller_base
from iii.protocol.caller_id import caller_member
from iii.protocol.errors import InvocationError, TriggerRegistrationFailed
from iii.protocol.ids import new_id
from iii.protocol.limits import HELD_CALLS_BYTES, INVOCATION_TIMEOUT_MS, OPEN_CHANNELS, RECEIVER_LARGE_BYTES
from iii.protocol.messages import NULL, Enqueue, Void
from iii.protocol.reply import Reply, reply_of

if TYPE_CHECKING:
    from msgspec import Raw

    from iii.engine.access.guard import Guard
    from iii.engine.engine import Engine
    from iii.engine.invocation import Caller, Calls
    from iii.engine.owner import Owner
    from iii.engine.worker_info import Announcement
    from iii.protocol.log_event import LogEvent

EVENT = "engine::console::event"
PROXY = "engine::console::proxy"
"""Not a function: the id that access rules expose to those who may use the ports of the engine through the console."""


class Events:
    """Triggers that the console has, each with whom to tell; their target is one function of the console."""

    def __init__(self, engine: Engine, owner: Owner) -> None:
        self._registry = engine.registry
        self._owner = owner
        self._told: dict[str, Told] = {}

    def watch(self, trigger_type: str, config: bytes, told: Told) -> str:
        """The id of the new trigger."""
        watch_id = new_id()
        self._told[watch_id] = told
        metadata = msgspec.json.encode(watch_id)
        binding = Binding(watch_id, trigger_type, EVENT, config=config, metadata=metadata, owner=self._owner)
        try:
            self._registry.binding_owners.register(self._owner, binding)
        except TriggerRegistrationFailed:
            del self._told[watch_id]
        return watch_id

    def end(self, watch_id: str) -> None:
        """Its trigger goes."""
        if self._told.pop(watch_id, None) is not None and watch_id in self._registry.binding_owners.of(self._owner):
            self._registry.binding_owners.unregister(self._owner, watch_id)

    def arrived(self, invocation: Invocation) -> None:
        """One event; others than the console's own triggers may call it too, with anything."""
        try:
            watch_id = msgspec.json.decode(invocation.metadata, type=str)
        except msgspec.MsgspecError:
            watch_id = ""
        told = self._told.get(watch_id)
        if told is not None:
            told(bytes(invocation.data))
        invocation.complete(None)


class InsideDoor:
    """Of one visitor; without a `caller` it is trusted, as the engine's own modules are."""

    connected = True

    def __init__(self, engine: Engine, events: Events, caller: Caller | None = None) -> None:
        """`caller`: whose rights count, if it has a guard."""
        self._router = engine.router
        self._events = events
        self._caller = caller if caller is not None and caller.guard is not None else None

    async def call(
        self,
        function_id: str,
        payload: bytes,
        *,
        namespace: str | None = None,
        metadata: bytes | Raw = NULL,
        timeout_ms: int = INVOCATION_TIMEOUT_MS,
        action: Action = None,
        traceparent: str | None = None,
    ) -> bytes:
        """As `EngineDoor.call`."""

        def begin(reply: Reply[bytes, InvocationError]) -> Invocation:
            waiter = None if type(action) is Void else Callback(reply)
            invocation = Invocation(
                function_id, namespace, payload, waiter, self._caller, metadata=metadata, traceparent=traceparent
            )
            self._hand_on(invocation, action)
            if waiter is None:
                reply(None, None)
            return invocation

        result: bytes | None = await reply_of(begin, timeout_ms / 1000)
        return b"null" if result is None else result

    def _hand_on(self, invocation: Invocation, action: Action) -> None:
        guard = None if self._caller is None else self._caller.guard
        if guard is not None:
            guard.judge(invocation, action)
        elif type(action) is Enqueue:
            enqueue(self._router, invocation, action)
        else:
            self._router.invoke(invocation)

    def watch(self, trigger_type: str, config: bytes, told: Told) -> _InsideWatch:
        """As `EngineDoor.watch`; events only say that there is something to ask for, with the rights of the visitor."""
        return _InsideWatch(self._events, self._events.watch(trigger_type, config, told))

    def refused(self, function_ids: Sequence[str]) -> list[str]:
        """As `EngineDoor.refused`."""
        guard = None if self._caller is None else self._caller.guard
        return [] if guard is None else [each for each in function_ids if guard.refusal(each, None) is not None]

    @property
    def may_proxy(self) -> bool:
        return not self.refused([PROXY])


class _InsideWatch:
    def __init__(self, events: Events, watch_id: str) -> None:
        self._events = events
        self._watch_id = watch_id

    def end(self) -> None:
        self._events.end(self._watch_id)


class _NoCalls:
    cancels_any_call = False
    channels_limit = OPEN_CHANNELS

    def cancel(self, call_id: str) -> bool:
        return False


class VisitingCaller:
    """Whoever is logged in, as those see it who are called."""

    expects_announcement = False
    worker_id = "iii-console"
    calling: Calls = _NoCalls()

    def __init__(self, guard: Guard) -> None:
        self.guard: Guard | None = guard
        self.dialect = Dialect(receive_limit_bytes=RECEIVER_LARGE_BYTES)
        self.waiting = WaitingBytes(HELD_CALLS_BYTES)
        self.caller_base = caller_base(self.worker_id, self.worker_id)
        self.caller_member = caller_member(self.worker_id)

    def when_registrations_applied(self, action: Callable[[], None]) -> bool:
        return False

    def announce(self, announcement: Announcement, done: Callable[[bool], None]) -> None:
        done(False)

    def complain(self, event: LogEvent, **fields: object) -> None:
        event(worker=self.worker_id, **fields)

    def slow_down(self, seconds: float) -> None: ...

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...
