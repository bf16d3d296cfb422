"""Calls that a host makes through an observer of its function, whose result it gets (21 §11.2)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

from iii.engine.invocation import NO_TRACE, Callback, Invocation, Trace
from iii.engine.observing.codes import LOOP_GUARD, NOT_FUNCTION_OWNER, OBSERVER_NOT_ACTIVE, OBSERVER_NOT_FOUND, OVERFLOW
from iii.engine.observing.origin import ENGINE_CALLER, caller_of, depth_in, depth_of_call, with_depth
from iii.protocol.json_text import BAD_JSON
from iii.protocol.limits import FRAGMENT_BYTES, OBSERVE_DEPTH
from iii.protocol.quoted import shortened

if TYPE_CHECKING:
    from iii.engine.clock import Clock
    from iii.engine.functions import FunctionRegistry
    from iii.engine.invocation import Waiter
    from iii.engine.observing.activations import Activations
    from iii.engine.observing.observer import Observer
    from iii.engine.observing.store import ObserverStore
    from iii.engine.router import Router
    from iii.engine.session.peer import Peer
    from iii.protocol.errors import InvocationError
    from iii.protocol.reply import Reply


class _Through(Struct):
    observer_id: str = ""
    activation_id: Raw | UnsetType | None = UNSET


_through = msgspec.json.Decoder(_Through)


class CallsThrough:
    """Of one engine."""

    def __init__(self, clock: Clock, router: Router, store: ObserverStore, activations: Activations) -> None:
        self._clock = clock
        self._router = router
        self._functions: FunctionRegistry = router.functions
        self._store = store
        self._activations = activations

    def call_of_host(self, peer: Peer, invocation: Invocation, activation: Raw) -> bool:
        """Run or refuse a call that names an observer. False: it does not, so that it is an ordinary one."""
        try:
            named = _through.decode(activation)
        except BAD_JSON:
            return False
        if not named.observer_id or not (named.activation_id is UNSET or named.activation_id is None):
            return False
        observer = self._store.get(named.observer_id)
        refusal = self._refusal(peer, observer, named.observer_id, depth_of_call(invocation))
        if refusal is not None or observer is None:
            invocation.refuse(refusal or OBSERVER_NOT_FOUND(named.observer_id))
            return True
        outer = _Relayed(self._activations, observer, invocation)
        inner = self._inner(observer, invocation.data, outer, caller_of(invocation), depth_of_call(invocation) + 1,
                            Trace(invocation.traceparent, invocation.baggage))  # fmt: skip
        outer.inner = inner
        invocation.id, invocation.runner = invocation.call_id or "", outer
        self._run(observer, inner, outer)
        return True

    def call_of_module(
        self,
        observer: Observer,
        data: bytes | memoryview,
        reply: Reply[bytes, InvocationError],
        trace: Trace = NO_TRACE,
    ) -> Invocation:
        """Run the target for a function of the engine; a refusal is told to `reply`."""
        depth = depth_in(trace.baggage)
        waiter = _Module(self._activations, observer, Callback(reply))
        payload = memoryview(data) if len(data) > FRAGMENT_BYTES else data
        inner = self._inner(observer, payload, waiter, ENGINE_CALLER, depth + 1, trace)
        refusal = self._state_refusal(observer, depth)
        if refusal is None and observer.max_in_flight is not None and len(observer.running) >= observer.at_once:
            refusal = OVERFLOW(_full(observer))
        if refusal is not None:
            inner.refuse(refusal)
        else:
            self._run(observer, inner, waiter)
        return inner

    def deeper(self, observer: Observer, baggage: str | None) -> str:
        """Baggage of a delivery that a module makes by itself, for an observer, of what had the given one.

        Raises InvocationError: LOOP_GUARD.
        """
        depth = depth_in(baggage)
        refusal = self._loop(observer, depth)
        if refusal is not None:
            raise refusal
        return with_depth(baggage, depth + 1)

    def _inner(
        self, observer: Observer, data: bytes | Raw | memoryview, waiter: Waiter, caller: bytes, depth: int, trace: Trace
    ) -> Invocation:  # fmt: skip
        origin, _ = self._activations.origin(observer, caller, depth)
        return Invocation(
            observer.target,
            observer.target_namespace,
            data,
            waiter,
            metadata=observer.handed_on,
            traceparent=trace.traceparent,
            baggage=trace.baggage,
            origin=origin,
        )

    def _run(self, observer: Observer, inner: Invocation, waiter: _Counted) -> None:
        observer.running[waiter] = self._clock.now()
        observer.fires += 1
        self._router.invoke(inner)
        self._activations.fired(observer)

    def _refusal(self, peer: Peer, observer: Observer | None, observer_id: str, depth: int) -> InvocationError | None:
        if observer is None:
            return OBSERVER_NOT_FOUND(f"observer {shortened(observer_id)} not found")
        ownership, key = self._functions.ownership, observer.definition.key
        claim = ownership.claim_of(peer, key)
        if claim is None or not ownership.serves(claim):
            return NOT_FUNCTION_OWNER(f"the worker does not host {key[1]}, which observer {observer.id} observes")
        refusal = self._state_refusal(observer, depth)
        if refusal is None and len(observer.running) >= observer.at_once:
            return OVERFLOW(_full(observer))
        return refusal

    def _state_refusal(self, observer: Observer, depth: int) -> InvocationError | None:
        if not observer.active or observer.party.peer is None or observer.spent:
            state = "suspended" if observer.party.peer is None else observer.state
            return OBSERVER_NOT_ACTIVE(f"observer {observer.id} is {state}")
        return self._loop(observer, depth)

    def _loop(self, observer: Observer, depth: int) -> InvocationError | None:
        if depth < OBSERVE_DEPTH:
            return None
        self._activations.drop(observer, LOOP_GUARD.code)
        return LOOP_GUARD(f"observers have caused each other more than {OBSERVE_DEPTH} levels deep")


def _full(observer: Observer) -> str:
    return f"observer {observer.id} has {len(observer.running)} calls that run, which is its max_in_flight"


class _Counted:
    """A call through an observer, which counts as running until its answer."""

    __slots__ = ("_activations", "observer")

    def __init__(self, activations: Activations, observer: Observer) -> None:
        self._activations = activations
        self.observer = observer

    def _ended(self) -> None:
        self._activations.ended(self)


class _Module(_Counted):
    """Asked for by a module."""

    __slots__ = ("_waiter",)

    wants_answers = True

    def __init__(self, activations: Activations, observer: Observer, waiter: Waiter) -> None:
        super().__init__(activations, observer)
        self._waiter = waiter

    def answered(self, invocation: Invocation, result: bytes | memoryview | None) -> None:
        self._ended()
        self._waiter.answered(invocation, result)

    def failed(self, invocation: Invocation, error: bytes) -> None:
        self._ended()
        self._waiter.failed(invocation, error)


class _Relayed(_Counted):
    """Between a call of a host and that of the target: the waiter of one, the runner of the other."""

    __slots__ = ("_outer", "inner")

    inner: Invocation

    def __init__(self, activations: Activations, observer: Observer, outer: Invocation) -> None:
        super().__init__(activations, observer)
        self._outer = outer

    @property
    def wants_answers(self) -> bool:
        return not self._outer.is_void

    def answered(self, invocation: Invocation, result: bytes | memoryview | None) -> None:
        self._outer.runner = invocation.runner
        self._ended()
        self._outer.complete(result)

    def failed(self, invocation: Invocation, error: bytes) -> None:
        self._outer.runner = invocation.runner
        self._ended()
        self._outer.fail(error)

    def let_go(self, invocation_id: str, cancels: bool) -> None:
        """The host is not told any more."""
        self._ended()
        self.inner.withdraw(cancels)

    def stop(self, invocation_id: str) -> None:
        self.let_go(invocation_id, True)

    def slow_down(self, seconds: float) -> None:
        if self.inner.runner is not None:
            self.inner.runner.slow_down(seconds)
