"""The decorator, and the call, that let a function react to calls of others."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import TYPE_CHECKING, Any, TypeVar, overload

from iii.protocol.replicas import ReplicaPolicy
from iii.sdk.declarations import Declarations
from iii.sdk.decorator_checks import name_of
from iii.sdk.decorator_form import with_parentheses
from iii.sdk.observer import Observer
from iii.sdk.observer_declaration import Delivery, ObserveOptions, ObserverDeclaration, Outcome, Part

if TYPE_CHECKING:
    from typing_extensions import Unpack  # part of every type checker

F = TypeVar("F", bound=Callable[..., Any])


class ObserveDeclarations(Declarations):
    """Functions that run after calls of others."""

    @overload
    def observe(
        self,
        source: str,
        *,
        function_id: str | None = None,
        replicas: ReplicaPolicy | None = None,
        **options: Unpack[ObserveOptions],
    ) -> Callable[[F], F]: ...

    @overload
    def observe(self, source: str, target: str, **options: Unpack[ObserveOptions]) -> Observer: ...

    @with_parentheses("the id of a function", '"orders::create"')
    def observe(
        self,
        source: str,
        target: str | None = None,
        *,
        on: Outcome = "success",
        where: Mapping[str, Any] | None = None,
        capture: Collection[Part] | None = None,
        deliver: Delivery = "envelope",
        args: Mapping[str, Any] | None = None,
        namespace: str | None = None,
        metadata: Any = None,
        max_fires: int | None = None,
        expires_in_ms: int | None = None,
        max_in_flight: int | None = None,
        observer_id: str | None = None,
        function_id: str | None = None,
        replicas: ReplicaPolicy | None = None,
    ) -> Any:
        """Call a function after calls that others make of `source`, whoever serves it.

        As a decorator, ``@app.observe("orders::create")``, it serves the decorated function and returns that unchanged. With
        the id of a `target`, ``worker.observe("orders::create", "audit::log")``, it returns an `iii.Observer`, which tells
        its state and can be disposed of. Neither delays or changes the observed call, and nothing is delivered later for a
        time without engine, target or observer.

        Args:
            source: id of the function whose calls are observed; it may come later.
            on: calls that end so: `success`, `error`, or `complete` for both.
            where: filters of which all must match: ``{"input.total": {"$gte": 500}}``; paths begin with `input`, `output`,
                `error`, `caller` or `metadata`. All calls unless given.
            capture: the parts that are delivered: `input`, `output` and `caller` unless given, and `error`, `metadata`.
            deliver: `envelope` calls the function with an `iii.Observed`, `input` or `output` with that part alone.
            args: for functions whose host takes them, such as the topic of a subscription.
            namespace: of the source; the worker's own unless given.
            metadata: for the function, beside its payload.
            max_fires: after so many deliveries it ends.
            expires_in_ms: after this time it ends.
            max_in_flight: deliveries that run at a time, 64 unless given; others wait in order.
            observer_id: its id at the engine, the same at each connection; random unless given.
            function_id: of the decorated function, ``observe::NAME`` with its own name unless given.
            replicas: of the decorated function.

        Raises:
            ValueError, TypeError: an argument makes no sense, or the id is in use by this worker. A refusal by the engine
                ends the start of an app; that of an imperative one is in its state, its `ready` and the log.
        """
        options: ObserveOptions = {
            "on": on, "where": where, "capture": capture, "deliver": deliver, "args": args, "namespace": namespace,
            "metadata": metadata, "max_fires": max_fires, "expires_in_ms": expires_in_ms, "max_in_flight": max_in_flight,
            "observer_id": observer_id,
        }  # fmt: skip
        declared = ObserverDeclaration(
            source, "observe" if target is None else target, options
        )  # what is wrong is raised here
        if target is None:
            return self._reacting(source, options, function_id, replicas)
        if function_id is not None or replicas is not None:
            raise TypeError(
                f"function_id and replicas are for a decorated function: observe() has the target '{target}'"
            )
        return self._observe(declared)

    def _reacting(
        self, source: str, options: ObserveOptions, function_id: str | None, replicas: ReplicaPolicy | None
    ) -> Callable[[F], F]:
        def register(handler: F) -> F:
            called = function_id or f"observe::{name_of(handler)}"
            declared = ObserverDeclaration(source, called, options)
            self.register_function(called, handler, replicas=replicas)
            self._observe(declared)
            return handler

        return register
