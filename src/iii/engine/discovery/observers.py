"""`engine::observers::get` and `engine::observers::list` (21 §12)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from msgspec import UNSET, Meta, Raw, Struct, UnsetType

from iii.engine.builtin import Later, builtin
from iii.engine.discovery.long_list import LongList
from iii.engine.discovery.shape import shape_for_call
from iii.engine.discovery.visibility import View
from iii.engine.invocation import Invocation
from iii.engine.observing.codes import OBSERVER_NOT_FOUND
from iii.protocol.errors import ErrorBody
from iii.protocol.names import DEFAULT_NAMESPACE, LIST_OBSERVERS, OBSERVER
from iii.protocol.quoted import shortened

if TYPE_CHECKING:
    from iii.engine.discovery.shape import Shape
    from iii.engine.engine import Engine
    from iii.engine.observing.observer import Observer

State = Literal["pending", "active", "suspended", "error"]


class ObservedTarget(Struct):
    """The function that an observer calls."""

    function_id: str
    namespace: str


class ObserverRow(Struct, kw_only=True):
    """One observer."""

    id: str
    function_id: Annotated[str, Meta(description="Observed function.")]
    namespace: Annotated[str, Meta(description="Namespace of the observed function.")]
    target: ObservedTarget
    args: Annotated[Raw, Meta(description="Args for the host of the observed function, an object.")]
    filters: Annotated[Raw, Meta(description="Filter in normal form; `{}` matches every call.")]
    capture: Annotated[list[str], Meta(description="Parts of a call that its envelope has.")]
    on: Annotated[str, Meta(description="Outcomes that count: `success`, `error` or `complete`.")]
    deliver: Annotated[str, Meta(description="Payload of the target: `envelope`, `input` or `output`.")]
    state: Annotated[str, Meta(description="`pending`, `active`, `suspended` or `error`.")]
    reason: Annotated[ErrorBody | UnsetType, Meta(description="Why it is in that state.")] = UNSET
    fires: Annotated[int, Meta(description="Activations and calls through the observer that were started.")]
    errors: Annotated[int, Meta(description="Activations whose target answered with an error.")]
    dropped: Annotated[dict[str, int], Meta(description="Calls that the observer missed, by the reason.")]
    max_fires: Annotated[int | UnsetType, Meta(description="Number of activations after which it is disposed.")] = UNSET
    expires_at_ms: Annotated[int | UnsetType, Meta(description="Unix time in ms at which it is disposed.")] = UNSET
    max_in_flight: Annotated[int, Meta(description="Activations that run at once.")]
    worker_id: Annotated[str, Meta(description="Connection that observes, or did last.")]
    metadata: Annotated[
        Raw | UnsetType, Meta(description="Metadata for the target, shown to the worker that observes.")
    ] = UNSET


class ObserverRequest(Struct):
    id: Annotated[str, Meta(description="Id of the observer.")]


class ObserverInfo(Struct):
    observer: ObserverRow


class ObserverListRequest(Struct, kw_only=True):
    function_id: Annotated[str | None, Meta(description="Only observers of this function.")] = None
    namespace: Annotated[str | None, Meta(description="Only observers of functions in this namespace.")] = None
    state: Annotated[State | None, Meta(description="Only observers in this state.")] = None


class ObserverList(Struct):
    observers: list[ObserverRow]


class ObserverDiscovery:
    """Who observes what."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    @builtin(OBSERVER, spec="21 §12")
    def observer(self, request: ObserverRequest, invocation: Invocation) -> ObserverInfo:
        """Describe one observer."""
        observer = self._engine.observers.store.get(request.id)
        if observer is None or not self._sees(observer, invocation):
            raise OBSERVER_NOT_FOUND(f"observer {shortened(request.id)} not found")
        return ObserverInfo(_row(observer, invocation))

    @builtin(LIST_OBSERVERS, spec="21 §12")
    def list_observers(self, request: ObserverListRequest, invocation: Invocation) -> ObserverList | Later:
        """List the observers of functions, with their states and what they missed."""

        def wanted(observer: Observer) -> bool:
            namespace, function_id = observer.definition.key
            return (
                request.function_id in (None, function_id)
                and request.namespace in (None, namespace)
                and request.state in (None, observer.state)
                and self._sees(observer, invocation)
            )

        def row(observer: Observer, _: Shape) -> ObserverRow:
            return _row(observer, invocation)

        shape = shape_for_call(invocation, None, self._engine.options.discovery_dialect)
        listing = LongList(list(self._engine.observers.store), wanted, _by_number, row, ObserverList([]))
        return listing.answer(self._engine.turns, invocation, shape)

    def _sees(self, observer: Observer, invocation: Invocation) -> bool:
        """Its own, and those of functions that it may call."""
        caller = invocation.caller
        view = View(self._engine, invocation)
        if view.is_whole or (caller is not None and observer.party.worker_id == caller.worker_id):
            return True
        namespace, function_id = observer.definition.key
        function = self._engine.functions.exact(function_id, namespace)
        return function is not None and view.function(function)


def _by_number(observer: Observer) -> int:
    return observer.number


def _row(observer: Observer, invocation: Invocation) -> ObserverRow:
    definition, caller = observer.definition, invocation.caller
    own = caller is not None and observer.party.worker_id == caller.worker_id
    policy = definition.policy
    return ObserverRow(
        id=observer.id,
        function_id=definition.key[1],
        namespace=definition.key[0],
        target=ObservedTarget(observer.target, observer.target_namespace or DEFAULT_NAMESPACE),
        args=Raw(definition.args),
        filters=Raw(definition.filters),
        capture=list(definition.capture),
        on=definition.on,
        deliver=definition.deliver,
        state=observer.state,
        reason=UNSET if observer.reason is None else observer.reason,
        fires=observer.fires,
        errors=observer.errors,
        dropped=observer.dropped,
        max_fires=UNSET if policy.max_fires is None else policy.max_fires,
        expires_at_ms=UNSET if observer.expires_at_ms is None else observer.expires_at_ms,
        max_in_flight=observer.at_once,
        worker_id=observer.party.worker_id,
        metadata=Raw(observer.metadata) if own and observer.metadata != b"null" else UNSET,
    )
