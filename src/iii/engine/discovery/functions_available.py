"""The event `engine::functions-available`: the functions changed (02 §8.1, W6)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal, NamedTuple

from msgspec import Struct

from iii.engine.discovery.function_rows import FunctionRow, function_row
from iii.engine.discovery.long_list import encoded, in_order, in_turns
from iii.engine.discovery.selection import owner_name
from iii.engine.discovery.shape import Shape, shape_for_all
from iii.engine.discovery.visibility import seen_by_owner
from iii.engine.fan_out import of_binding
from iii.engine.firing import fire_if
from iii.engine.frames import invocation_frame
from iii.engine.invocation import NO_TRACE, Invocation
from iii.engine.observing.source import EventSource
from iii.engine.session.peer import Peer
from iii.protocol.limits import FUNCTIONS_LATEST_S, FUNCTIONS_QUIET_S
from iii.protocol.names import DEFAULT_NAMESPACE, FUNCTIONS_AVAILABLE

if TYPE_CHECKING:
    from iii.engine.bindings import Binding
    from iii.engine.clock import Timer
    from iii.engine.engine import Engine
    from iii.engine.functions import Function
    from iii.engine.observing.observer import Observer
    from iii.engine.ownership import Key
    from iii.engine.schema import Schema

KEY = (DEFAULT_NAMESPACE, FUNCTIONS_AVAILABLE)


class FunctionsChanged(Struct):
    """Payload: every function, internal ones included."""

    event: Literal["functions_changed"]
    functions: list[FunctionRow]


class Known(NamedTuple):
    """What subscribers know of a function: everything that rows show."""

    worker_name: str
    description: str | None
    metadata: bytes
    formats: tuple[Schema, Schema]


class FunctionsAvailable:
    """Tells subscribers after 200 quiet ms, at the latest 1 s after the first change, and never twice the same.

    Without subscribers the same happens to nobody: no timer runs, and whoever subscribes later hears of changes only
    if they would still be unpublished then.
    """

    def __init__(self, engine: Engine) -> None:
        self.source = EventSource(
            "engine::on-functions-changed",
            "The registered functions changed; `engine::functions::list` lists those that its caller may see.",
            request_format=_EVENT_SCHEMA,
            host=self,
        )
        self._engine = engine
        self._published: dict[Key, Known] = {function.key: _known(function) for function in engine.functions}
        self._unpublished: dict[Key, Known | None] = {}
        self._first_change_at = 0.0
        self._last_change_at = 0.0
        self._timer: Timer | None = None
        self._firing = False  # in turns
        self._late = False  # another one is due meanwhile
        engine.functions.changes.subscribe(self._function_changed)
        engine.roster.events.subscribe(self._worker_event)

    def subscribed(self) -> None:
        """A binding is about to go live."""
        if self._timer is None and self._unpublished:
            if self._engine.clock.now() >= self._due_at():
                self._publish()
            else:
                self._arm()

    def take(self, observer: Observer) -> None:
        """All are welcome."""

    def let_go(self, observer: Observer) -> None:
        """Nothing is kept of them."""

    def changed(self, observer: Observer) -> None:
        """One is active: changes count for it from now on."""
        if observer.active:
            self.subscribed()

    def unsubscribed(self, binding: Binding) -> None:
        """A binding is on its way out."""
        others = [other for other in self._engine.bindings.of(KEY) if other is not binding]
        if not (others or self.source.observed) and self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _function_changed(self, previous: Function | None, current: Function | None) -> None:
        function = current or previous
        assert function is not None
        self._note(function.key, _known(current) if current is not None else None)

    def _worker_event(self, event: str, session: Peer) -> None:
        if event != "worker_metadata_updated":
            return
        functions = self._engine.functions.active_of(session)
        in_turns(self._engine.turns, len(functions), self._renaming(functions))

    def _renaming(self, functions: list[Function]) -> Iterator[None]:
        """Their rows show the name of their worker."""
        for function in functions:
            if self._engine.functions.ownership.active(function.key) is function:  # still
                known = _known(function)
                if self._unpublished.get(function.key, self._published.get(function.key)) != known:
                    self._note(function.key, known)
            yield

    def _note(self, key: Key, known: Known | None) -> None:
        now = self._engine.clock.now()
        if self._unpublished and self._timer is None and now >= self._due_at():
            self._publish()
        if not self._unpublished:
            self._first_change_at = now
        self._last_change_at = now
        self._unpublished[key] = known
        if self._timer is None and (self._engine.bindings.of(KEY) or self.source.observed):
            self._arm()

    def _due_at(self) -> float:
        return min(self._last_change_at + FUNCTIONS_QUIET_S, self._first_change_at + FUNCTIONS_LATEST_S)

    def _arm(self) -> None:
        self._timer = self._engine.clock.call_at(self._due_at(), self._elapsed)

    def _elapsed(self) -> None:
        self._timer = None
        if self._firing:
            self._late = True
        elif self._engine.clock.now() < self._due_at():  # more changes came
            self._arm()
        elif self._publish():
            self._fire()

    def _publish(self) -> bool:
        """Take the changes as known. False: they cancelled each other out."""
        differs = False
        for key, known in self._unpublished.items():
            differs = differs or self._published.get(key) != known
            if known is None:
                self._published.pop(key, None)
            else:
                self._published[key] = known
        self._unpublished = {}
        return differs

    def _fire(self) -> None:
        self.source.fire(_EVENT)
        self._firing = True
        functions = list(self._engine.functions)
        in_turns(self._engine.turns, len(functions), self._one_firing(functions))

    def _one_firing(self, functions: list[Function]) -> Iterator[None]:
        """The next one only then: it must not overtake this one."""
        try:
            yield from self._steps(functions)
        finally:
            self._firing = False
            if self._late:
                self._late = False
                self._elapsed()

    def _steps(self, functions: list[Function]) -> Iterator[None]:
        """Thousands of rows take long, and each kind of receiver wants its own."""
        ordered = yield from in_order(functions, lambda _: True, lambda function: (function.id, function.namespace))
        payloads: dict[Shape, bytes] = {}
        empty = FunctionsChanged("functions_changed", [])
        for binding in list(self._engine.bindings.of(KEY)):
            shape, room = self._receiver(binding)
            seen = seen_by_owner(binding)
            shown = ordered if seen is None else list(filter(seen, ordered))
            for reduced in shape.reductions():  # the fullest that has room, else the smallest
                if seen is None and reduced in payloads:
                    payload = payloads[reduced]
                else:
                    payload = (yield from encoded(empty, shown, function_row, reduced, None)) or b""
                    if seen is None:
                        payloads[reduced] = payload
                if room is None or len(payload) <= room:
                    break
            if binding in self._engine.bindings.of(KEY):  # still
                self._fire_for(binding, payload)
            yield

    def _fire_for(self, binding: Binding, payload: bytes) -> None:
        router = self._engine.router
        fan_out = None if router.tracer is None else of_binding(router.tracer, binding)
        trace = NO_TRACE if fan_out is None else fan_out.trace
        fire_if(router, self._engine.clock, binding, payload, trace, fan_out=fan_out)

    def _receiver(self, binding: Binding) -> tuple[Shape, int | None]:
        """How the worker that gets the event wants its rows, and how many bytes of payload it takes.

        Of copies it may be any: rows are as each of them reads them.
        """
        default = self._engine.options.discovery_dialect
        target = self._engine.functions.find(binding.function_id, binding.namespace)
        owners = [copy.owner for copy in (target.copies or (target,))] if target is not None else []
        dialects = {owner.dialect for owner in owners if isinstance(owner, Peer)}
        if target is None or not dialects:
            return Shape(legacy=default == "legacy"), None
        empty = Invocation(binding.function_id, binding.namespace, b"", metadata=binding.metadata)
        envelope = invocation_frame(empty, target.owner.worker_id, target, None)
        limit = min(dialect.receive_limit_bytes for dialect in dialects)
        return shape_for_all(dialects, default), limit - len(envelope)


_EVENT = b'{"event":"functions_changed"}'
_EVENT_SCHEMA = b'{"type":"object","properties":{"event":{"type":"string"}}}'


def _known(function: Function) -> Known:
    return Known(
        owner_name(function.owner, function.id),
        function.description,
        function.metadata,
        function.formats,
    )
