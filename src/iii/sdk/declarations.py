"""The decorators of a worker: each declares a function, and most a trigger that calls it; those of events are beside this file.

A declaration is a call of `register_function` and one of `register_trigger`; what these do is up to the class below.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from iii.protocol.replicas import ReplicaPolicy
from iii.sdk import hints
from iii.sdk.decorator_checks import check_route, name_of
from iii.sdk.decorator_form import with_parentheses
from iii.sdk.http_handler import HttpHandler
from iii.sdk.refs import FunctionRef, Trigger
from iii.sdk.requests import FunctionInput, TriggerInput

F = TypeVar("F", bound=Callable[..., Any])


class Declarations(ABC):
    """What can be decorated. The decorated function stays what it was."""

    @abstractmethod
    def register_function(
        self,
        function_id: str | FunctionInput,
        handler_or_invocation: Callable[..., Any],
        *,
        description: str | None = None,
        metadata: Any = None,
        request_format: Any = None,
        response_format: Any = None,
        replicas: ReplicaPolicy | None = None,
    ) -> FunctionRef: ...

    @abstractmethod
    def register_trigger(self, trigger: TriggerInput) -> Trigger: ...

    @abstractmethod
    def _observe(self, declared: hints.ObserverDeclaration) -> hints.Observer: ...

    @with_parentheses("the id of the function", '"orders::hello"')
    def function(
        self,
        function_id: str,
        *,
        description: str | None = None,
        metadata: Any = None,
        request_format: Any = None,
        response_format: Any = None,
        replicas: ReplicaPolicy | None = None,
    ) -> Callable[[F], F]:
        """Register the decorated function, and return it unchanged. `replicas` as of `register_function`, in all decorators."""

        def register(handler: F) -> F:
            self.register_function(
                function_id,
                handler,
                description=description,
                metadata=metadata,
                request_format=request_format,
                response_format=response_format,
                replicas=replicas,
            )
            return handler

        return register

    @with_parentheses("a method and a path", '"GET", "/users/:id"')
    def http(
        self,
        method: str,
        path: str,
        *,
        function_id: str | None = None,
        description: str | None = None,
        metadata: Any = None,
        condition: str | None = None,
        middleware: Sequence[str] = (),
        replicas: ReplicaPolicy | None = None,
        cancel_on_disconnect: bool = False,
    ) -> Callable[[F], F]:
        """Serve a route with the decorated function, and return it unchanged.

        Its parameters say what they take: names in the path are those, scalars the query, `Annotated[str, iii.Header()]`
        a header, `bytes` the raw body, other types the JSON body; `iii.HttpRequest` is all of it, and an
        `iii.StreamResponse` is written to instead of returned. A request that does not fit is answered with 400. What
        the function returns is the body of a 200; `iii.HttpResponse` says otherwise; None is 204.

        Args:
            path: with parameters such as ``/users/:id``.
            function_id: under which other workers can call it; ``http::POST /users/:id`` unless given.
            condition: id of a function that is asked first; ``false`` refuses the request with 422.
            middleware: ids of functions that are called before, in order; each may answer instead.
            cancel_on_disconnect: cancel the function when its client has left (seen within a second).

        Raises:
            TypeError: the source of a parameter is ambiguous. ValueError: the id is taken, or no route can have the method or path.
        """
        check_route(method, path)

        def register(handler: F) -> F:
            endpoint = HttpHandler(handler, path)
            served_by = function_id or f"http::{method.upper()} {path}"
            self.register_function(
                served_by,
                endpoint.serve,
                description=description,
                metadata=metadata,
                replicas=replicas,
            )
            config = {"api_path": path, "http_method": method} | given(cancel_on_disconnect=cancel_on_disconnect)
            config |= given(condition_function_id=condition, middleware_function_ids=list(middleware) or None)
            self.register_trigger({"type": "http", "function_id": served_by, "config": config})
            return handler

        return register

    def _triggered(
        self,
        trigger_type: str,
        config: dict[str, Any],
        function_id: str | None,
        metadata: Any,
        replicas: ReplicaPolicy | None,
        prefix: str = "",
    ) -> Callable[[F], F]:
        def register(handler: F) -> F:
            called = function_id or f"{prefix or trigger_type}::{name_of(handler)}"
            self.register_function(called, handler, replicas=replicas)
            self.register_trigger({"type": trigger_type, "function_id": called, "config": config, "metadata": metadata})
            return handler

        return register


def given(**options: Any) -> dict[str, Any]:
    """The options that are neither absent nor off."""
    return {name: value for name, value in options.items() if value is not None and value is not False}
