"""The decorator, and the call, that let a function react to calls of others."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, TypeVar, Unpack, overload

from iii.protocol.replicas import ReplicaPolicy
from iii.sdk import hints
from iii.sdk.declarations import Declarations
from iii.sdk.decorator_checks import name_of
from iii.sdk.decorator_form import with_parentheses

if TYPE_CHECKING:
    from iii.sdk.observer_declaration import ObserveOptions

F = TypeVar("F", bound=Callable[..., Any])


def _option_names() -> Iterable[str]:
    from iii.sdk.observer_declaration import ObserveOptions  # as below

    return ObserveOptions.__annotations__


class ObserveDeclarations(Declarations):
    """Functions that run after calls of others."""

    @overload
    def observe(
        self,
        source: str,
        *,
        function_id: str | None = None,
        replicas: ReplicaPolicy | None = None,
        **options: Unpack[hints.ObserveOptions],
    ) -> Callable[[F], F]: ...

    @overload
    def observe(self, source: str, target: str, **options: Unpack[hints.ObserveOptions]) -> hints.Observer: ...

    @with_parentheses("the id of a function", '"orders::create"', _option_names)
    def observe(
        self,
        source: str,
        target: str | None = None,
        *,
        function_id: str | None = None,
        replicas: ReplicaPolicy | None = None,
        **options: Unpack[hints.ObserveOptions],
    ) -> Any:
        """Call a function after calls that others make of `source`, whichever worker serves it.

        As a decorator, ``@app.observe("orders::create")``, it serves the decorated function and returns that unchanged. With
        the id of a `target`, ``worker.observe("orders::create", "audit::log")``, it returns an `iii.Observer`, which tells
        its state and can be disposed of. Observers neither delay nor change the observed call. What ends while engine,
        observer or target are away is not delivered later.

        Args:
            source: id of the function whose calls are observed; it may come later.
            target: id of the function that is called.
            function_id: of the decorated function, ``observe::NAME`` with its own name unless given.
            replicas: of the decorated function.
            options: see `iii.ObserveOptions`.

        Raises:
            ValueError, TypeError: an argument makes no sense, or the id is in use by this worker. A refusal by the engine
                ends the start of an app; that of a later one is in its state, its `ready` and the log.
        """
        from iii.sdk.observer_declaration import ObserverDeclaration  # which most apps do without

        declared = ObserverDeclaration(source, "observe" if target is None else target, options)
        if target is None:  # what is wrong with the options is raised by now
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
            from iii.sdk.observer_declaration import ObserverDeclaration  # as above

            called = function_id or f"observe::{name_of(handler)}"
            declared = ObserverDeclaration(source, called, options)
            self.register_function(called, handler, replicas=replicas)
            self._observe(declared)
            return handler

        return register
