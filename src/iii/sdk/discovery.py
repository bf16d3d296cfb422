"""Who and what is there: typed rows, and word of changes (08 §10, W12)."""

from __future__ import annotations

import logging
import threading
import uuid
from collections.abc import Callable
from typing import Any, Protocol, TypeVar

import msgspec

from iii.protocol.errors import FunctionNotFound
from iii.protocol.log_event import LogEvent
from iii.protocol.names import (
    FUNCTIONS_AVAILABLE,
    LIST_FUNCTIONS,
    LIST_REGISTERED_TRIGGERS,
    LIST_TRIGGERS,
    LIST_WORKERS,
)
from iii.sdk.failures import log_failure
from iii.sdk.process_end import ends_process
from iii.sdk.refs import Trigger
from iii.sdk.requests import FunctionInput, TriggerInput, TriggerRequest
from iii.sdk.rows import FunctionInfo, TriggerInfo, WorkerInfo

LISTENER_FAILED = LogEvent(
    "iii.sdk", "sdk.functions_listener_failed", logging.ERROR, "Listener of on_functions_available raised",
    means="The other listeners are called, and this one again at the next change.",
    do="Read the stack trace.",
)  # fmt: skip

Row = TypeVar("Row")
FunctionsListener = Callable[[list[FunctionInfo]], object]


def _rows(reply: Any, key: str, kind: type[Row]) -> list[Row]:
    """The rows of a reply. Raises msgspec.ValidationError on an engine that answers something else."""
    return msgspec.convert(reply.get(key, []), list[kind])  # type: ignore[valid-type]


def _list_request(function_id: str, include_internal: bool) -> TriggerRequest:
    payload: dict[str, Any] = {"include_internal": include_internal}
    if function_id in (LIST_FUNCTIONS, LIST_WORKERS):
        payload["dialect"] = "legacy"  # rows with formats, functions and metrics, and without the engine's own modules
    return {"function_id": function_id, "payload": payload}


class _Caller(Protocol):
    def call(self, request: TriggerRequest) -> Any: ...

    async def call_async(self, request: TriggerRequest) -> Any: ...


class _Registers(Protocol):
    def register_function(self, function_id: FunctionInput, handler_or_invocation: Callable[..., Any]) -> object: ...

    def register_trigger(self, trigger: TriggerInput) -> Trigger: ...


class Discovery:
    """What one worker asks the engine about others. Raises as `Worker.trigger`."""

    def __init__(self, caller: _Caller) -> None:
        self._caller = caller

    def functions(self, include_internal: bool) -> list[FunctionInfo]:
        return _function_rows(self._caller.call(_list_request(LIST_FUNCTIONS, include_internal)))

    async def functions_async(self, include_internal: bool) -> list[FunctionInfo]:
        return _function_rows(await self._caller.call_async(_list_request(LIST_FUNCTIONS, include_internal)))

    def workers(self, include_internal: bool) -> list[WorkerInfo]:
        return _worker_rows(self._caller.call(_list_request(LIST_WORKERS, include_internal)))

    async def workers_async(self, include_internal: bool) -> list[WorkerInfo]:
        return _worker_rows(await self._caller.call_async(_list_request(LIST_WORKERS, include_internal)))

    def triggers(self, include_internal: bool) -> list[TriggerInfo]:
        try:
            reply = self._caller.call(_list_request(LIST_REGISTERED_TRIGGERS, include_internal))
        except FunctionNotFound:
            reply = self._caller.call(_list_request(_TRIGGERS_OF_OLD_ENGINES, include_internal))
        return _trigger_rows(reply)

    async def triggers_async(self, include_internal: bool) -> list[TriggerInfo]:
        try:
            reply = await self._caller.call_async(_list_request(LIST_REGISTERED_TRIGGERS, include_internal))
        except FunctionNotFound:
            reply = await self._caller.call_async(_list_request(_TRIGGERS_OF_OLD_ENGINES, include_internal))
        return _trigger_rows(reply)

    def watch(self, worker: _Registers) -> FunctionsWatch:
        """What tells listeners of that worker of changes; its function is registered with the first."""
        return FunctionsWatch(
            lambda function_id, handler: worker.register_function({"id": function_id}, handler),
            lambda kind, function_id: worker.register_trigger({"type": kind, "function_id": function_id, "config": {}}),
        )


_TRIGGERS_OF_OLD_ENGINES = LIST_TRIGGERS  # before 0.13 it listed instances (02 §5.6)


def _function_rows(reply: Any) -> list[FunctionInfo]:
    return _rows(reply, "functions", FunctionInfo)


def _worker_rows(reply: Any) -> list[WorkerInfo]:
    return _rows(reply, "workers", WorkerInfo)


def _trigger_rows(reply: Any) -> list[TriggerInfo]:
    return _rows(reply, "registered_triggers" if "registered_triggers" in reply else "triggers", TriggerInfo)


class FunctionsWatch:
    """One internal function and one trigger for all listeners of `on_functions_available`."""

    def __init__(
        self,
        register_function: Callable[[str, Callable[[Any], object]], object],
        register_trigger: Callable[[str, str], Trigger],
    ) -> None:
        self._register_function = register_function
        self._register_trigger = register_trigger
        self._lock = threading.Lock()
        self._listeners: list[tuple[object, FunctionsListener]] = []
        self._function_id: str | None = None
        self._trigger: Trigger | None = None

    def listen(self, listener: FunctionsListener) -> Callable[[], None]:
        """Call it with all functions whenever they change; returns how to stop that."""
        entry = (object(), listener)  # the same listener twice is two listeners
        with self._lock:
            self._listeners.append(entry)
            if self._function_id is None:
                self._function_id = f"iii.on_functions_available.{uuid.uuid4()}"
                self._register_function(self._function_id, self._tell)
            if self._trigger is None:
                self._trigger = self._register_trigger(FUNCTIONS_AVAILABLE, self._function_id)

        def unsubscribe() -> None:
            with self._lock:
                if entry in self._listeners:
                    self._listeners.remove(entry)
                if not self._listeners and self._trigger is not None:
                    self._trigger.unregister()
                    self._trigger = None

        return unsubscribe

    async def _tell(self, event: Any) -> None:
        functions = _function_rows(event)
        for _, listener in list(self._listeners):
            try:
                listener(functions)
            except BaseException as error:  # the next one is still to hear
                if ends_process(error):
                    raise
                log_failure(LISTENER_FAILED, error)
