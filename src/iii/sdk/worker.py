"""The client that users hold: registers, calls, lists, and goes (08 §4, §9-§11).

One object for both ways in: `register_worker` gives it a loop on a thread of its own, `connect_worker` the caller's loop.
Methods without `_async` may be used from any thread; those that wait for an answer not from the loop's own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from iii.protocol.messages import HttpInvocation
from iii.protocol.names import CREATE_CHANNEL
from iii.protocol.replicas import ReplicaPolicy
from iii.sdk import hints
from iii.sdk.argument_kinds import check_callable, check_kind, check_methods
from iii.sdk.call_methods import CallMethods
from iii.sdk.channels import Channel, ChannelReader, ChannelWriter
from iii.sdk.event_declarations import EventDeclarations
from iii.sdk.leaving import Leaving
from iii.sdk.observe_declarations import ObserveDeclarations
from iii.sdk.refs import FunctionRef, StreamChannelRef, Trigger, TriggerTypeRef
from iii.sdk.requests import FunctionInput, TriggerInput, TriggerRequest, TriggerTypeInput, required
from iii.sdk.seen_as import seen_as
from iii.sdk.shared_data import StateScope, StreamGroup
from iii.sdk.trigger_declaration import TriggerDeclaration, TriggerTypeDeclaration

if TYPE_CHECKING:
    from iii.sdk.discovery import FunctionsWatch
    from iii.sdk.registrar import Registrar


@seen_as("Worker")
class Worker(CallMethods, EventDeclarations, ObserveDeclarations, Leaving):
    """One worker: made by `register_worker` or `connect_worker`."""

    def __init__(self, core: hints.WorkerCore) -> None:
        self._core = core
        self._watch: FunctionsWatch | None = None

    @property
    def _registrar(self) -> Registrar:
        """Raises what this worker has ended with."""
        self._core.caller.pending.raise_if_ended()
        return self._core.registrar

    @property
    def meter(self) -> hints.Meter:
        """OpenTelemetry's `Meter`: counters, histograms and gauges of the program, sent to the engine.

        Every `metrics_export_interval_ms`, and once more when the worker leaves. Where telemetry is off, its instruments do
        nothing.

        Raises:
            ImportError: OpenTelemetry is not installed (the `otel` extra).
        """
        return self._core.reporting.meter

    # -- functions ------------------------------------------------------------------------------------------------

    def register_function(
        self,
        function_id: str | FunctionInput,
        handler_or_invocation: Callable[..., Any] | HttpInvocation,
        *,
        description: str | None = None,
        metadata: Any = None,
        request_format: Any = None,
        response_format: Any = None,
        replicas: ReplicaPolicy | None = None,
    ) -> FunctionRef:
        """Serve a function. Does not wait for the engine; works before and between connections too.

        Args:
            function_id: the id, or a dict with `id` and whatever else describes the function; with a dict nothing is
                taken from the signature and the docstring.
            handler_or_invocation: sync or async; or how the engine calls a URL itself.
            description: for people; the default is the first line of the docstring.
            metadata: any JSON, listed with the function.
            request_format, response_format: JSON Schemas; the defaults come from the type hints.
            replicas: all workers that register it so serve it together: "round_robin" gives each the next call,
                "least_busy" the one that runs the fewest; the default is that of `InitOptions`.

        Raises:
            ValueError: the id is blank, or registered on this client already; or there is no such policy.
            TypeError: the id is not a string, the handler not callable, or an option is given twice.
        """
        options = {
            "description": description,
            "metadata": metadata,
            "request_format": request_format,
            "response_format": response_format,
            "replicas": replicas,
        }
        return self._registrar.function(function_id, options, handler_or_invocation)

    # -- triggers -------------------------------------------------------------------------------------------------

    def register_trigger(self, trigger: TriggerInput) -> Trigger:
        """Bind a function to an event. Does not wait; a refusal is logged as an error."""
        return self._registrar.add_trigger(TriggerDeclaration(trigger))

    def register_trigger_type(self, trigger_type: TriggerTypeInput, handler: hints.TriggerHandler) -> TriggerTypeRef:
        """Provide a trigger type: `handler` hears of every binding, and calls its function when its event happens."""
        self._registrar.add_trigger_type(TriggerTypeDeclaration(trigger_type, handler))
        return TriggerTypeRef(trigger_type["id"], self)

    def unregister_trigger_type(self, trigger_type: str | Mapping[str, Any]) -> None:
        """Stop providing a type, by id or by a dict with `id`."""
        if isinstance(trigger_type, str):
            self._registrar.no_trigger_type(trigger_type, None)
        else:
            self._registrar.no_trigger_type(
                required(trigger_type, "id", "unregister_trigger_type()"), trigger_type.get("namespace")
            )

    def _observe(self, declared: hints.ObserverDeclaration) -> hints.Observer:
        self._core.caller.pending.raise_if_ended()
        return self._core.observers.observe(declared)

    # -- discovery ------------------------------------------------------------------------------------------------

    def list_functions(self, include_internal: bool = False) -> list[hints.FunctionInfo]:
        """All functions that can be called; the engine's own only if asked for."""
        return self._core.discovery.functions(include_internal)

    async def list_functions_async(self, include_internal: bool = False) -> list[hints.FunctionInfo]:
        """As `list_functions`."""
        return await self._core.discovery.functions_async(include_internal)

    def list_workers(self, include_internal: bool = False) -> list[hints.WorkerInfo]:
        """All connected workers; the engine's modules only if asked for."""
        return self._core.discovery.workers(include_internal)

    async def list_workers_async(self, include_internal: bool = False) -> list[hints.WorkerInfo]:
        """As `list_workers`."""
        return await self._core.discovery.workers_async(include_internal)

    def list_triggers(self, include_internal: bool = False) -> list[hints.TriggerInfo]:
        """All registered triggers."""
        return self._core.discovery.triggers(include_internal)

    async def list_triggers_async(self, include_internal: bool = False) -> list[hints.TriggerInfo]:
        """As `list_triggers`."""
        return await self._core.discovery.triggers_async(include_internal)

    def on_functions_available(self, callback: hints.FunctionsListener) -> Callable[[], None]:
        """Call it, on the loop, with all functions whenever they change; returns how to stop that."""
        check_callable("callback", callback)
        self._core.caller.pending.raise_if_ended()
        if self._watch is None:
            self._watch = self._core.discovery.watch(self)
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
        return self._core.channels.both_ends(reply)

    async def create_channel_async(self, buffer_size: int | None = None) -> Channel:
        """As `create_channel`."""
        request: TriggerRequest = {"function_id": CREATE_CHANNEL, "payload": {"buffer_size": buffer_size}}
        return self._core.channels.both_ends(await self.trigger_async(request))

    def open_channel(self, ref: StreamChannelRef | Mapping[str, str]) -> ChannelReader | ChannelWriter:
        """The end that a reference names; it connects when it is first used.

        Handlers that take plain values find an end in the place of every reference; those with a typed payload use this.
        """
        if not isinstance(ref, StreamChannelRef):
            members = [
                required(ref, key, "the reference of open_channel()") for key in StreamChannelRef.__struct_fields__
            ]
            ref = StreamChannelRef(*members)
        ref.check()
        return self._core.channels.end(ref)

    def create_stream(self, stream_name: str, stream: hints.Stream) -> None:
        """Keep the items of a stream in this worker."""
        check_kind("stream_name", stream_name, "str")
        check_methods("stream", stream, "an iii.Stream", "get", "set", "delete", "list", "list_groups")
        for method in (stream.get, stream.set, stream.delete, stream.list, stream.list_groups):
            self.register_function({"id": f"stream::{method.__name__}({stream_name})"}, method)

    # -- the connection -------------------------------------------------------------------------------------------

    def get_address(self) -> str:
        """Of the engine, as it was found out; a password and the values of its query are hidden."""
        return self._core.connection.address

    @property
    def worker_id(self) -> str | None:
        """What the engine calls the last connection; None before the first."""
        return self._core.worker_id

    def get_connection_state(self) -> hints.ConnectionState:
        """`disconnected`, `connecting`, `connected`, `reconnecting` or `failed`."""
        return self._core.connection.states.state

    def statistics(self) -> hints.WorkerStatistics:
        """Its open calls, and what waits to be sent; from any thread."""
        return self._core.caller.statistics()

    def add_connection_state_listener(self, handler: hints.ConnectionStateListener) -> Callable[[], None]:
        """Call it with the present state now, and on the loop with each new one; returns how to stop that."""
        check_callable("handler", handler)
        return self._core.connection.states.listen(handler)

    def __repr__(self) -> str:
        return f"<Worker {self._core.name!r} {self.get_connection_state()} at {self.get_address()}>"
