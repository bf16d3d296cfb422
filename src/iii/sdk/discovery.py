"""Who and what is there: typed rows, and word of changes (08 §10, W12)."""

import logging
import threading
import uuid
from collections.abc import Callable
from typing import Any, TypeVar

import msgspec

from iii.protocol.log_event import LogEvent
from iii.protocol.names import (
    FUNCTIONS_AVAILABLE,
    LIST_FUNCTIONS,
    LIST_REGISTERED_TRIGGERS,
    LIST_TRIGGERS,
    LIST_WORKERS,
)
from iii.sdk.failures import log_failure
from iii.sdk.refs import Trigger
from iii.sdk.requests import TriggerRequest
from iii.sdk.rows import FunctionInfo, TriggerInfo, WorkerInfo

LISTENER_FAILED = LogEvent(
    "iii.sdk", "sdk.functions_listener_failed", logging.ERROR, "Listener of on_functions_available raised",
    means="The other listeners are called, and this one again at the next change.",
    do="Read the stack trace.",
)  # fmt: skip

Row = TypeVar("Row")
FunctionsListener = Callable[[list[FunctionInfo]], object]


def rows(reply: Any, key: str, kind: type[Row]) -> list[Row]:
    """The rows of a reply. Raises msgspec.ValidationError on an engine that answers something else."""
    return msgspec.convert(reply.get(key, []), list[kind])  # type: ignore[valid-type]


def list_request(function_id: str, include_internal: bool = False) -> TriggerRequest:
    payload: dict[str, Any] = {"include_internal": include_internal}
    if function_id in (LIST_FUNCTIONS, LIST_WORKERS):
        payload["dialect"] = "legacy"  # rows with formats, functions and metrics, and without the engine's own modules
    return {"function_id": function_id, "payload": payload}


def function_rows(reply: Any) -> list[FunctionInfo]:
    return rows(reply, "functions", FunctionInfo)


def worker_rows(reply: Any) -> list[WorkerInfo]:
    return rows(reply, "workers", WorkerInfo)


def trigger_rows(reply: Any) -> list[TriggerInfo]:
    return rows(reply, "registered_triggers" if "registered_triggers" in reply else "triggers", TriggerInfo)


TRIGGERS_OF_OLD_ENGINES = LIST_TRIGGERS  # before 0.13 it listed instances (02 §5.6)
TRIGGERS = LIST_REGISTERED_TRIGGERS


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
        functions = function_rows(event)
        for _, listener in list(self._listeners):
            try:
                listener(functions)
            except BaseException as error:  # the next one is still to hear
                log_failure(LISTENER_FAILED, error)
