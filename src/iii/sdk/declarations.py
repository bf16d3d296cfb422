"""The decorators of a worker: each declares a function, and most a trigger that calls it.

A declaration is a call of `register_function` and one of `register_trigger`; what these do is up to the class below.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from iii.protocol.replicas import ReplicaPolicy
from iii.sdk.decorator_checks import check_at_least, check_method, check_schedule, check_share
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
            cancel_on_disconnect: cancel the function when its client has left (seen within a second), or has got a 504.

        Raises:
            TypeError: the source of a parameter is ambiguous. ValueError: the id is taken, or a route cannot have the method.
        """
        check_method(method)

        def register(handler: F) -> F:
            endpoint = HttpHandler(handler, path)
            served_by = function_id or f"http::{method.upper()} {path}"
            self.register_function(
                served_by,
                endpoint.serve,
                description=description,
                metadata=metadata,
                request_format=endpoint.request_format,
                response_format=endpoint.response_format,
                replicas=replicas,
            )
            config = {"api_path": path, "http_method": method} | _given(cancel_on_disconnect=cancel_on_disconnect)
            config |= _given(condition_function_id=condition, middleware_function_ids=list(middleware) or None)
            self.register_trigger({"type": "http", "function_id": served_by, "config": config})
            return handler

        return register

    def cron(
        self,
        expression: str,
        *,
        timezone: str = "UTC",
        timeout_ms: int | None = None,
        condition: str | None = None,
        function_id: str | None = None,
        metadata: Any = None,
        replicas: ReplicaPolicy | None = None,
    ) -> Callable[[F], F]:
        """Call the decorated function on a schedule; it gets the event, and stays what it was.

        Args:
            expression: `minute hour day month weekday`, with a field for seconds before and one for years behind, or
                `@daily`, `@hourly`, …
            timezone: an IANA name, such as ``Europe/Berlin``.
            timeout_ms: how long a tick waits for the function before the next one may come; no limit unless given.
            condition: id of a function that is asked first; only ``false`` skips the tick.
            function_id: ``cron::NAME`` with the function's own name unless given.

        Raises:
            ValueError: the expression or the time zone is not valid, or the timeout is below 1.
        """
        check_schedule(expression, timezone)
        check_at_least(1, {"timeout_ms": timeout_ms})
        config = {"expression": expression, "timezone": timezone} | _given(
            timeout_ms=timeout_ms, condition_function_id=condition
        )
        return self._triggered("cron", config, function_id, metadata, replicas)

    def subscribe(
        self,
        topic: str,
        *,
        condition: str | None = None,
        function_id: str | None = None,
        metadata: Any = None,
        replicas: ReplicaPolicy | None = None,
        each_replica: bool = False,
    ) -> Callable[[F], F]:
        """Call the decorated function with what is published on a topic, and return it unchanged.

        Args:
            topic: its exact name.
            condition: id of a function that is asked first; only ``false`` skips the message.
            function_id: ``subscribe::NAME`` with the function's own name unless given.
            each_replica: of several workers with the function every one gets each message, not one of them.
        """
        config = {"topic": topic} | _given(condition_function_id=condition, deliver="each" if each_replica else None)
        return self._triggered("subscribe", config, function_id, metadata, replicas)

    def on_queue(
        self,
        topic: str,
        *,
        concurrency: int | None = None,
        max_retries: int | None = None,
        backoff_ms: int | None = None,
        backoff_jitter: float | None = None,
        timeout_ms: int | None = None,
        fifo: bool = False,
        group_field: str | None = None,
        condition: str | None = None,
        function_id: str | None = None,
        metadata: Any = None,
        replicas: ReplicaPolicy | None = None,
    ) -> Callable[[F], F]:
        """Call the decorated function with each message of a durable topic until it succeeds, and return it unchanged.

        What is published while no worker is connected waits. A call that raises is repeated; after the last attempt the message
        is a dead letter.

        Args:
            topic: its exact name.
            concurrency: messages that run at a time, 10 unless given; 0 pauses.
            max_retries: after the first attempt, 2 unless given.
            backoff_ms: before the first retry, doubled each time, 1000 unless given.
            backoff_jitter: random jitter added to each retry delay, as a fraction of it, 0 to 1; absent: none.
            timeout_ms: longest time of one attempt, half an hour unless given.
            fifo: in order, the next message when the one before has succeeded or is dead.
            group_field: with `fifo`, the member of the message within whose value order is kept.
            condition: id of a function that is asked first; only ``false`` skips the message.
            function_id: ``on_queue::NAME`` with the function's own name unless given.

        Raises:
            ValueError: a number is negative, the timeout below 1, or the jitter not from 0 to 1.
        """
        check_at_least(0, {"concurrency": concurrency, "max_retries": max_retries, "backoff_ms": backoff_ms})
        check_at_least(1, {"timeout_ms": timeout_ms})
        check_share("backoff_jitter", backoff_jitter)
        queue_config = _given(
            type="fifo" if fifo else None,
            concurrency=concurrency,
            maxRetries=max_retries,
            backoffDelayMs=backoff_ms,
            backoffJitter=backoff_jitter,
            timeoutMs=timeout_ms,
            messageGroupField=group_field,
        )
        config = {"topic": topic} | _given(queue_config=queue_config or None, condition_function_id=condition)
        return self._triggered("durable:subscriber", config, function_id, metadata, replicas, prefix="on_queue")

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
            called = function_id or f"{prefix or trigger_type}::{handler.__name__}"
            self.register_function(called, handler, replicas=replicas)
            self.register_trigger({"type": trigger_type, "function_id": called, "config": config, "metadata": metadata})
            return handler

        return register


def _given(**options: Any) -> dict[str, Any]:
    return {name: value for name, value in options.items() if value is not None and value is not False}
