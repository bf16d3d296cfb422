"""What registering gives back: a handle with `unregister()`."""

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from msgspec import Struct, structs

from iii.sdk.argument_kinds import check_kinds
from iii.sdk.requests import TriggerInput


class FunctionRef(Struct, frozen=True):
    """A function that this worker serves."""

    id: str
    unregister: Callable[[], None]
    """Stop serving it; calls that run go on. A second call does nothing."""


class Trigger(Struct, frozen=True):
    """A trigger that this worker registered."""

    id: str
    unregister: Callable[[], None]
    """Remove it. A second call does nothing."""


class _Registers(Protocol):
    def register_function(
        self, function_id: str, handler_or_invocation: Callable[..., Any], *, description: str | None = None
    ) -> FunctionRef: ...

    def register_trigger(self, trigger: TriggerInput) -> Trigger: ...

    def unregister_trigger_type(self, trigger_type: str | Mapping[str, Any]) -> None: ...


class TriggerTypeRef:
    """A trigger type that this worker provides, and short ways to use it."""

    def __init__(self, type_id: str, worker: _Registers) -> None:
        self.id = type_id
        self._worker = worker

    def register_trigger(self, function_id: str, config: Any = None, metadata: Any = None) -> Trigger:
        """Bind one of the worker's functions to this type."""
        return self._worker.register_trigger(
            {"type": self.id, "function_id": function_id, "config": config, "metadata": metadata}
        )

    def register_function(
        self, function_id: str, handler: Callable[..., Any], *, description: str | None = None
    ) -> FunctionRef:
        """Register a function that is meant for triggers of this type."""
        return self._worker.register_function(function_id, handler, description=description)

    def unregister(self) -> None:
        """Stop providing the type."""
        self._worker.unregister_trigger_type(self.id)


class StreamChannelRef(Struct, frozen=True):
    """One end of a channel, as it travels inside payloads; `direction` is `read` or `write`."""

    channel_id: str
    access_key: str
    direction: str

    def check(self) -> None:
        """Raises TypeError, ValueError: no channel can have such an end."""
        check_kinds({"channel_id": "str", "access_key": "str", "direction": "str"}, structs.asdict(self))
        if self.direction not in ("read", "write"):
            raise ValueError(f"direction must be 'read' or 'write', got {self.direction!r:.200}")
