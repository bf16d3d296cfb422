"""The client that users hold: registers, calls, lists, and goes (08 §4, §9-§11).

One object for both doors: `register_worker` gives it a loop on a thread of its own, `connect_worker` the caller's loop.
Methods without `_async` may be used from any thread; those that wait for an answer not from the loop's own.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from iii.protocol.errors import FunctionNotFound
from iii.protocol.messages import HttpInvocation
from iii.protocol.names import CREATE_CHANNEL, LIST_FUNCTIONS, LIST_WORKERS
from iii.sdk import discovery
from iii.sdk.caller import ON_LOOP
from iii.sdk.channels import Channel, ChannelReader, ChannelWriter
from iii.sdk.core import WorkerCore
from iii.sdk.decorator_checks import check_at_least, check_method, check_schedule, check_share
from iii.sdk.http_handler import HttpHandler
from iii.sdk.providers import TriggerHandler
from iii.sdk.refs import FunctionRef, StreamChannelRef, Trigger, TriggerTypeRef
from iii.sdk.registrar import Registrar
from iii.sdk.requests import FunctionInput, TriggerInput, TriggerRequest, TriggerTypeInput, required
from iii.sdk.rows import FunctionInfo, TriggerInfo, WorkerInfo
from iii.sdk.shared_data import StateScope, StreamGroup
from iii.sdk.state import ConnectionState, ConnectionStateListener
from iii.sdk.streams import Stream, stream_functions

F = TypeVar("F", bound=Callable[..., Any])

SHUTDOWN_S = 10.0  # bound of the whole leaving


class Worker:
    """One worker: made by `register_worker` or `connect_worker`."""

    def __init__(self, core: WorkerCore) -> None:
        self._core = core
        self._watch = discovery.FunctionsWatch(
            lambda function_id, handler: self.register_function({"id": function_id}, handler),
            lambda kind, function_id: self.register_trigger({"type": kind, "function_id": function_id, "config": {}}),
        )

    @property
    def _registrar(self) -> Registrar:
        """Raises what this worker has ended with."""
        self._core.caller.pending.raise_if_ended()
        return self._core.registrar

    # -- functions ------------------------------------------------------------------------------------------------

    def function(
        self,
        function_id: str,
        *,
        description: str | None = None,
        metadata: Any = None,
        request_format: Any = None,
        response_format: Any = None,
    ) -> Callable[[F], F]:
        """Register the decorated function; it stays what it was."""

        def register(handler: F) -> F:
            self.register_function(
                function_id,
                handler,
                description=description,
                metadata=metadata,
                request_format=request_format,
                response_format=response_format,
            )
            return handler

        return register

    def register_function(
        self,
        function_id: str | FunctionInput,
        handler_or_invocation: Callable[..., Any] | HttpInvocation,
        *,
        description: str | None = None,
        metadata: Any = None,
        request_format: Any = None,
        response_format: Any = None,
    ) -> FunctionRef:
        """Serve a function. Does not wait for the engine; works before and between connections too.

        Args:
            function_id: the id, or a dict with `id` and whatever else describes the function.
            handler_or_invocation: sync or async; or how the engine calls a URL itself.
            description: for people; the default is the first line of the docstring.
            metadata: any JSON, listed with the function.
            request_format, response_format: JSON Schemas; the defaults come from the type hints.

        Raises:
            ValueError: the id is blank, or registered on this client already.
            TypeError: the id is not a string, the handler not callable.
        """
        if isinstance(function_id, Mapping):
            return self._registrar.function(function_id, handler_or_invocation, schemas=False)
        wanted: FunctionInput = {
            "id": function_id,
            "description": description,
            "metadata": metadata,
            "request_format": request_format,
            "response_format": response_format,
        }
        return self._registrar.function(wanted, handler_or_invocation, schemas=True)

    def http(
        self,
        method: str,
        path: str,
        *,
        function_id: str | None = None,
        description: str | None = None,
        metadata: Any = None,
        condition_function_id: str | None = None,
        middleware_function_ids: Sequence[str] = (),
    ) -> Callable[[F], F]:
        """Serve a route with the decorated function; it stays what it was.

        Its parameters say what they take: names in the path are those, scalars the query, `Annotated[str, iii.Header()]`
        a header, `bytes` the raw body, other types the JSON body; `iii.HttpRequest` is all of it, and an
        `iii.StreamResponse` is written to instead of returned. A request that does not fit is answered with 400. What
        the function returns is the body of a 200; `iii.HttpResponse` says otherwise; None is 204.

        Args:
            path: with parameters such as ``/users/:id``.
            function_id: under which other workers can call it; ``http::POST /users/:id`` unless given.
            condition_function_id, middleware_function_ids: called before, as in the trigger's config.

        Raises:
            TypeError: it cannot be told where a parameter comes from.
            ValueError: the id is registered here already, or a route cannot have the method.
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
            )
            config: dict[str, Any] = {"api_path": path, "http_method": method}
            if condition_function_id is not None:
                config["condition_function_id"] = condition_function_id
            if middleware_function_ids:
                config["middleware_function_ids"] = list(middleware_function_ids)
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
        config: dict[str, Any] = {"expression": expression, "timezone": timezone}
        if timeout_ms is not None:
            config["timeout_ms"] = timeout_ms
        return self._triggered("cron", config, function_id, metadata, condition=condition)

    def subscribe(
        self, topic: str, *, condition: str | None = None, function_id: str | None = None, metadata: Any = None
    ) -> Callable[[F], F]:
        """Call the decorated function with what is published on a topic; it stays what it was.

        Args:
            topic: its exact name.
            condition: id of a function that is asked first; only ``false`` skips the message.
            function_id: ``subscribe::NAME`` with the function's own name unless given.
        """
        return self._triggered("subscribe", {"topic": topic}, function_id, metadata, condition=condition)

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
    ) -> Callable[[F], F]:
        """Call the decorated function with each message of a durable topic until it succeeds; it stays what it was.

        What is published while nobody is there waits. A call that raises is repeated; after the last attempt the message
        is a dead letter.

        Args:
            topic: its exact name.
            concurrency: messages that run at a time, 10 unless given; 0 pauses.
            max_retries: after the first attempt, 2 unless given.
            backoff_ms: before the first retry, doubled each time, 1000 unless given.
            backoff_jitter: share of each pause that chance adds at most, 0 to 1; none unless given.
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
        wanted = {
            "type": "fifo" if fifo else None,
            "concurrency": concurrency,
            "maxRetries": max_retries,
            "backoffDelayMs": backoff_ms,
            "backoffJitter": backoff_jitter,
            "timeoutMs": timeout_ms,
            "messageGroupField": group_field,
        }
        config: dict[str, Any] = {"topic": topic}
        if queue_config := {name: value for name, value in wanted.items() if value is not None}:
            config["queue_config"] = queue_config
        return self._triggered(
            "durable:subscriber", config, function_id, metadata, condition=condition, prefix="on_queue"
        )

    def _triggered(
        self,
        trigger_type: str,
        config: dict[str, Any],
        function_id: str | None,
        metadata: Any,
        *,
        condition: str | None,
        prefix: str = "",
    ) -> Callable[[F], F]:
        if condition is not None:
            config["condition_function_id"] = condition

        def register(handler: F) -> F:
            called = function_id or f"{prefix or trigger_type}::{handler.__name__}"
            self.register_function(called, handler)
            self.register_trigger({"type": trigger_type, "function_id": called, "config": config, "metadata": metadata})
            return handler

        return register

    # -- triggers -------------------------------------------------------------------------------------------------

    def register_trigger(self, trigger: TriggerInput) -> Trigger:
        """Bind a function to an event. Does not wait; a refusal is logged as an error."""
        return self._registrar.trigger(trigger)

    def register_trigger_type(self, trigger_type: TriggerTypeInput, handler: TriggerHandler) -> TriggerTypeRef:
        """Provide a trigger type: `handler` hears of every binding, and calls its function when its event happens."""
        self._registrar.trigger_type(trigger_type, handler)
        return TriggerTypeRef(trigger_type["id"], self)

    def unregister_trigger_type(self, trigger_type: str | Mapping[str, Any]) -> None:
        """Stop providing a type, by id or by a dict with `id`."""
        if isinstance(trigger_type, str):
            self._registrar.no_trigger_type(trigger_type, None)
        else:
            self._registrar.no_trigger_type(
                required(trigger_type, "id", "unregister_trigger_type()"), trigger_type.get("namespace")
            )

    # -- calls ----------------------------------------------------------------------------------------------------

    def trigger(self, request: TriggerRequest) -> Any:
        """Call a function and wait for its result on this thread.

        Raises:
            InvocationError: it failed; `FunctionNotFound`, `InvocationForbidden` and `InvocationTimeout` say how.
            RuntimeError: this is the event loop's thread, which must not wait; use `trigger_async`.
            ClientShutdown: this worker was shut down. RegistrationRejected: the engine does not accept it.
            InvocationTimeout: also of a void call, if the engine did not read for so long that 16 MiB wait for it.
            RuntimeError: also in a forked child of the process that made this worker.
            TypeError: the payload has no JSON form, or a key or its value is of a wrong type.
            InvalidRequest: the payload is nested deeper than 500 levels. PayloadTooLarge: more than 64 MiB.
            KeyError: there is no `function_id`. ValueError: `timeout_ms` or `namespace` cannot be.
        """
        return self._core.caller.call(request)

    async def trigger_async(self, request: TriggerRequest) -> Any:
        """Call a function and wait for its result; from any event loop. Raises as `trigger`."""
        return await self._core.caller.call_async(request)

    # -- discovery ------------------------------------------------------------------------------------------------

    def list_functions(self, include_internal: bool = False) -> list[FunctionInfo]:
        """All functions that can be called; the engine's own only if asked for."""
        return discovery.function_rows(self.trigger(discovery.list_request(LIST_FUNCTIONS, include_internal)))

    async def list_functions_async(self, include_internal: bool = False) -> list[FunctionInfo]:
        """As `list_functions`."""
        request = discovery.list_request(LIST_FUNCTIONS, include_internal)
        return discovery.function_rows(await self.trigger_async(request))

    def list_workers(self, include_internal: bool = False) -> list[WorkerInfo]:
        """All connected workers; the engine's modules only if asked for."""
        return discovery.worker_rows(self.trigger(discovery.list_request(LIST_WORKERS, include_internal)))

    async def list_workers_async(self, include_internal: bool = False) -> list[WorkerInfo]:
        """As `list_workers`."""
        request = discovery.list_request(LIST_WORKERS, include_internal)
        return discovery.worker_rows(await self.trigger_async(request))

    def list_triggers(self, include_internal: bool = False) -> list[TriggerInfo]:
        """All registered triggers."""
        try:
            reply = self.trigger(discovery.list_request(discovery.TRIGGERS, include_internal))
        except FunctionNotFound:
            reply = self.trigger(discovery.list_request(discovery.TRIGGERS_OF_OLD_ENGINES, include_internal))
        return discovery.trigger_rows(reply)

    async def list_triggers_async(self, include_internal: bool = False) -> list[TriggerInfo]:
        """As `list_triggers`."""
        try:
            reply = await self.trigger_async(discovery.list_request(discovery.TRIGGERS, include_internal))
        except FunctionNotFound:
            request = discovery.list_request(discovery.TRIGGERS_OF_OLD_ENGINES, include_internal)
            reply = await self.trigger_async(request)
        return discovery.trigger_rows(reply)

    def on_functions_available(self, callback: discovery.FunctionsListener) -> Callable[[], None]:
        """Call it, on the loop, with all functions whenever they change; returns how to stop that."""
        self._core.caller.pending.raise_if_ended()
        return self._watch.listen(callback)

    # -- state and streams ----------------------------------------------------------------------------------------

    def state(self, scope: str) -> StateScope:
        """Values that all workers share: `worker.state("orders").get("7")`."""
        return StateScope(self, scope)

    def stream(self, stream_name: str, group_id: str) -> StreamGroup:
        """Items whose changes reach everybody who follows their group."""
        return StreamGroup(self, stream_name, group_id)

    # -- channels and streams -------------------------------------------------------------------------------------

    def create_channel(self, buffer_size: int | None = None) -> Channel:
        """A new channel of so many messages (64); its ends, or their refs, travel in payloads."""
        reply = self.trigger({"function_id": CREATE_CHANNEL, "payload": {"buffer_size": buffer_size}})
        return Channel.from_reply(reply, self._core.channels)

    async def create_channel_async(self, buffer_size: int | None = None) -> Channel:
        """As `create_channel`."""
        request: TriggerRequest = {"function_id": CREATE_CHANNEL, "payload": {"buffer_size": buffer_size}}
        return Channel.from_reply(await self.trigger_async(request), self._core.channels)

    def open_channel(self, ref: StreamChannelRef | Mapping[str, str]) -> ChannelReader | ChannelWriter:
        """The end that a reference names; it connects when it is first used.

        Handlers that take plain values find an end in the place of every reference; those with a typed payload use this.
        """
        if not isinstance(ref, StreamChannelRef):
            ref = StreamChannelRef(ref["channel_id"], ref["access_key"], ref["direction"])
        return self._core.channels.end(ref)

    def create_stream(self, stream_name: str, stream: Stream) -> None:
        """Keep the items of a stream in this worker."""
        for function_id, method in stream_functions(stream_name, stream).items():
            self.register_function({"id": function_id}, method)

    # -- the connection -------------------------------------------------------------------------------------------

    def get_address(self) -> str:
        """Of the engine, as it was found out; a password and the values of its query are hidden."""
        return self._core.connection.address

    @property
    def worker_id(self) -> str | None:
        """What the engine calls the last connection; None before the first."""
        return self._core.worker_id

    def get_connection_state(self) -> ConnectionState:
        """`disconnected`, `connecting`, `connected`, `reconnecting` or `failed`."""
        return self._core.connection.states.state

    def add_connection_state_listener(self, handler: ConnectionStateListener) -> Callable[[], None]:
        """Call it with the present state now, and on the loop with each new one; returns how to stop that."""
        return self._core.connection.states.listen(handler)

    def shutdown(self) -> None:
        """Leave: pending calls end with `SHUTDOWN`, so does every later one; the socket is closed. Again does nothing.

        Raises:
            RuntimeError: on the loop's own thread; use `shutdown_async`. Or in a forked child: it is not its worker.
        """
        self._core.raise_if_forked()
        loop = self._core.loop
        if loop.is_running():
            if self._core.connection.on_loop():
                raise RuntimeError(ON_LOOP)
            asyncio.run_coroutine_threadsafe(self._core.stop(), loop).result(SHUTDOWN_S)

    async def shutdown_async(self) -> None:
        """As `shutdown`, from any event loop."""
        self._core.raise_if_forked()
        loop = self._core.loop
        if asyncio.get_running_loop() is loop:
            await self._core.stop()
        elif loop.is_running():
            await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(self._core.stop(), loop))

    def __repr__(self) -> str:
        return f"<Worker {self._core.name!r} {self.get_connection_state()} at {self.get_address()}>"
