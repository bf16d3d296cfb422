"""The door of a console in a process of its own: a worker of the engine, like any other (23 §8)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import msgspec
from msgspec import Raw

from iii import InitOptions, ReconnectionConfig
from iii.console.door import Action, EngineAway, Told
from iii.protocol.errors import ClientShutdown, InvocationTimeout
from iii.protocol.ids import new_id
from iii.protocol.limits import INVOCATION_TIMEOUT_MS
from iii.protocol.messages import NULL
from iii.protocol.names import DEFAULT_NAMESPACE
from iii.sdk.core import WorkerCore
from iii.sdk.invocation import carry_trace
from iii.sdk.refs import FunctionRef, Trigger
from iii.sdk.requests import TriggerInput, TriggerRequest
from iii.sdk.worker import Worker

NAME = "iii-console"
DESCRIPTION = "Web console UI and observability dashboard for the iii engine."
_RECONNECTING = ReconnectionConfig(max_delay_ms=3_000)  # somebody is looking
Handler = Callable[[bytes], Any]


class OutsideDoor:
    """Connects in the background and comes back as every worker does; calls do not wait for it."""

    may_proxy = True

    def __init__(
        self, url: str, headers: Mapping[str, str] | None = None, tls: Mapping[str, object] = MappingProxyType({})
    ) -> None:
        """Raises ValueError: the URL or the token cannot be used."""
        options = InitOptions(
            worker_name=NAME, worker_description=DESCRIPTION, namespace=DEFAULT_NAMESPACE, enable_metrics_reporting=False,
            otel={"enabled": False}, headers=headers, replicas="round_robin", reconnection_config=_RECONNECTING, tls=tls,
        )  # fmt: skip
        self._core = WorkerCore(url, options, asyncio.get_running_loop())
        self._worker = Worker(self._core)
        self._event_id = f"iii-console::event::{new_id()}"
        self._event: FunctionRef | None = None
        self._told: dict[str, Told] = {}

    @property
    def address(self) -> str:
        """Of the engine, without secrets."""
        return self._worker.get_address()

    @property
    def connected(self) -> bool:
        return self._worker.get_connection_state() == "connected"

    def open(self, told: Callable[[bool], None]) -> None:
        """Begin to connect; `told` hears whether it is connected, each time that this changes."""
        self._worker.add_connection_state_listener(lambda state: told(state == "connected"))
        self._core.start()

    async def close(self) -> None:
        """Leave: the engine lists it no more."""
        await self._core.stop()

    async def call(
        self,
        function_id: str,
        payload: bytes,
        *,
        namespace: str | None = None,
        metadata: bytes | Raw = NULL,
        timeout_ms: int = INVOCATION_TIMEOUT_MS,
        action: Action = None,
        traceparent: str | None = None,
    ) -> bytes:
        """As `EngineDoor.call`."""
        if not self.connected:
            raise EngineAway
        request: TriggerRequest = {
            "function_id": function_id, "payload": Raw(payload), "namespace": namespace or DEFAULT_NAMESPACE,
            "timeout_ms": timeout_ms, "metadata": None if metadata is NULL else Raw(metadata), "action": action,
        }  # fmt: skip
        carry_trace(traceparent, None)
        try:
            if action is None:
                return bytes(await self._worker.trigger_async(request, returns=Raw))
            return msgspec.json.encode(await self._worker.trigger_async(request))
        except InvocationTimeout:
            raise TimeoutError from None
        except ClientShutdown:
            raise EngineAway from None

    def offer(self, function_id: str, handler: Handler, description: str) -> None:
        """Register a function; its handler answers JSON."""

        async def run(data: Raw) -> Raw:
            return Raw(await handler(bytes(data)))

        self._worker.register_function(function_id, run, description=description)

    def bind(self, trigger_type: str, function_id: str, config: Mapping[str, Any]) -> None:
        """Register a trigger for as long as it is there."""
        self._worker.register_trigger({"type": trigger_type, "function_id": function_id, "config": config})

    def watch(self, trigger_type: str, config: bytes, told: Told) -> _OutsideWatch:
        """As `EngineDoor.watch`. A console whose token may not register anything looks at intervals instead."""
        if self._event is None:
            self._event = self._worker.register_function(self._event_id, self._arrived, metadata={"internal": True})
        watch_id = new_id()
        self._told[watch_id] = told
        trigger: TriggerInput = {
            "type": trigger_type, "function_id": self._event_id, "config": Raw(config), "metadata": watch_id,
        }  # fmt: skip
        return _OutsideWatch(self._worker.register_trigger(trigger), lambda: self._told.pop(watch_id, None))

    def refused(self, function_ids: Sequence[str]) -> list[str]:
        """The engine alone knows."""
        return []

    async def _arrived(self, data: Raw, metadata: str) -> None:
        told = self._told.get(metadata)
        if told is not None:
            told(bytes(data))


class _OutsideWatch:
    def __init__(self, trigger: Trigger, forget: Callable[[], object]) -> None:
        self._trigger = trigger
        self._forget = forget

    def end(self) -> None:
        self._forget()
        self._trigger.unregister()
