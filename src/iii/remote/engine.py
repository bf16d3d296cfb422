"""A connection to another engine: calls go there and functions are offered there, as JSON that nobody looks at."""

from __future__ import annotations

import asyncio
import os
import platform
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeAlias

from msgspec import Raw

from iii.engine.invocation import NO_TRACE, Trace
from iii.protocol.errors import ClientShutdown, InvocationError, InvocationTimeout
from iii.protocol.messages import NULL
from iii.protocol.names import DEFAULT_NAMESPACE
from iii.protocol.tracecontext import valid_traceparent
from iii.remote.config import CALL_TIMEOUT_MS
from iii.sdk.core import WorkerCore
from iii.sdk.invocation import carry_trace, current_trace
from iii.sdk.options import InitOptions, ReconnectionConfig, TlsOptions
from iii.sdk.rejection import RegistrationRejected
from iii.sdk.requests import TriggerAction
from iii.sdk.state import ConnectionState
from iii.sdk.worker import Worker

_LEAVE_S = 5.0  # for handlers that another engine has called

# Whatever this engine is asked waits for the other one: sooner than workers, of which there are many
_RECONNECTION = ReconnectionConfig(initial_delay_ms=200, max_delay_ms=5000)

Handler: TypeAlias = Callable[[bytes, Trace], Awaitable[bytes]]


class LinkFailed(Exception):
    """The other engine did not answer in time, or the connection to it is over; the text says which."""


@dataclass(frozen=True, kw_only=True)
class _Options(InitOptions):
    """Of a part of the engine: names that a starter gave to a worker through the environment are not its own."""

    def name_of_a_worker(self) -> str:
        return self.worker_name or ""


class RemoteEngine:
    """Connects in the background and comes back as every worker does; calls wait for it meanwhile.

    Args:
        url: its WebSocket address.
        worker_name: how it lists this engine.
        description: one line about what for.
        token: shown to it; None: that of the environment.
        tls: certificates of the connection; None: as the environment says.

    Raises:
        ValueError: the environment names a file for the token, and it has none, or a file of certificates is unusable.
    """

    def __init__(
        self, url: str, worker_name: str, description: str, token: str | None = None, tls: TlsOptions | None = None
    ) -> None:
        options = _Options(
            headers=None if token is None else {"Authorization": f"Bearer {token}"},
            worker_name=worker_name, worker_description=description, namespace=DEFAULT_NAMESPACE,
            enable_metrics_reporting=False, otel={"enabled": False}, drain_timeout_s=_LEAVE_S, reconnection_config=_RECONNECTION,
            tls=tls,
        )  # fmt: skip
        self._core = WorkerCore(url, options, asyncio.get_running_loop())
        self._worker = Worker(self._core)

    @property
    def address(self) -> str:
        """For people: without secrets."""
        return self._worker.get_address()

    @property
    def whereabouts(self) -> str:
        """The address, and why there is no connection to it."""
        said = "" if self.connected else self._core.connection.last_words
        return f"{self.address}: {said}" if said else self.address

    @property
    def disconnected(self) -> str | None:
        """That there is no connection, while that is so, and why."""
        return None if self.connected else f"not connected to {self.whereabouts}"

    @property
    def connected(self) -> bool:
        """Whether a call leaves at once."""
        return self._worker.get_connection_state() == "connected"

    def open(self) -> None:
        """Begin to connect."""
        self._core.start()

    def when_connected(self, tell: Callable[[bool], None]) -> None:
        """Call it with each connection. All but the first get True: what the other engine told meanwhile is missing."""
        connections = 0

        def changed(state: ConnectionState) -> None:
            nonlocal connections
            if state == "connected":
                connections += 1
                tell(connections > 1)

        self._worker.add_connection_state_listener(changed)

    async def finish(self) -> None:
        """Be called no more, and let what runs end, for a while."""
        await self._core.finish()

    async def close(self) -> None:
        """Leave; every call fails that waits."""
        await self._core.stop()

    def offer(self, function_id: str, handler: Handler, description: str) -> Callable[[], None]:
        """Register a function there; how to take that back. The handler raises InvocationError as it is to arrive."""

        async def run(data: Raw) -> Raw:
            return Raw(await handler(bytes(data), _trace()))

        return self._worker.register_function(function_id, run, description=description).unregister

    def bind(self, trigger_type: str, function_id: str, config: object) -> Callable[[], None]:
        """Register a trigger there; how to take that back."""
        return self._worker.register_trigger(
            {"type": trigger_type, "function_id": function_id, "config": config}
        ).unregister

    async def call(
        self,
        function_id: str,
        data: bytes | Raw,
        *,
        timeout_ms: int = CALL_TIMEOUT_MS,
        metadata: bytes | Raw = NULL,
        trace: Trace = NO_TRACE,
    ) -> bytes | None:
        """The result as JSON, None for none. A caller that is cancelled cancels the call.

        Raises:
            InvocationError: the function failed, there is none, or the other engine refused the call.
            LinkFailed: no answer came.
        """
        carry_trace(trace.traceparent, trace.baggage)
        try:
            result = await self._worker.trigger_async(
                {
                    "function_id": function_id, "payload": Raw(data), "namespace": DEFAULT_NAMESPACE,
                    "timeout_ms": timeout_ms, "metadata": None if metadata is NULL else Raw(metadata),
                },
                returns=Raw,
            )  # fmt: skip
        except InvocationTimeout:
            raise LinkFailed("invocation timed out") from None
        except ClientShutdown:
            raise LinkFailed("the connection is being closed") from None
        except RegistrationRejected as error:
            raise LinkFailed(str(error)) from None
        return None if result is NULL else bytes(result)

    async def tell(self, function_id: str, data: bytes | Raw, trace: Trace = NO_TRACE) -> None:
        """Call a function without an answer. Raises LinkFailed: the other engine takes nothing more."""
        carry_trace(trace.traceparent, trace.baggage)
        try:
            await self._worker.trigger_async(
                {
                    "function_id": function_id, "payload": Raw(data), "namespace": DEFAULT_NAMESPACE,
                    "action": TriggerAction.Void(),
                }
            )  # fmt: skip
        except InvocationError as error:
            raise LinkFailed(error.message) from None


def _trace() -> Trace:
    """Of a call of the other engine, which may say anything: what is handed on to workers is a valid one."""
    current = current_trace()
    return NO_TRACE if current is None else Trace(valid_traceparent(current.traceparent), current.baggage)


def name_on_remote(part: str) -> str:
    """The name of this engine's part over there: no other engine's."""
    return f"{part}:{platform.node()}:{os.getpid()}"
