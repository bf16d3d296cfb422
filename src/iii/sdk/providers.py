"""Trigger types that a worker provides: what a provider is asked for (08 §9.3)."""

from abc import ABC, abstractmethod
from collections.abc import Awaitable
from typing import Any

from msgspec import Struct


class TriggerConfig(Struct, frozen=True, kw_only=True):
    """One binding, as its provider sees it.

    Attributes:
        function_id, namespace: what to call when the event happens; namespace None is `default`.
        config: as its registrant wrote it.
        metadata: to be passed on with each call.
    """

    id: str
    function_id: str
    config: Any = None
    metadata: Any = None
    namespace: str | None = None


class TriggerHandler(ABC):
    """Provides one trigger type; both methods may be sync or async."""

    @abstractmethod
    def register_trigger(self, config: TriggerConfig) -> Awaitable[None] | None:
        """Begin to watch for the event. An exception refuses the binding, its text reaches the registrant."""

    @abstractmethod
    def unregister_trigger(self, config: TriggerConfig) -> Awaitable[None] | None:
        """Stop watching; `function_id` is what was registered, empty if this worker never had the binding."""
