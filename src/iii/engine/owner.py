"""The whole contract between the core and whoever owns functions and trigger types (00 §1)."""

from __future__ import annotations

from collections.abc import Sized
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from iii.engine.bindings import Binding
    from iii.engine.ownership import Key


class Owner(Protocol):
    """A worker connection, a module, another engine: registers functions and trigger types, serves bindings.

    Owners are compared by identity.

    Attributes:
        begins_traces: whether its calls have spans of the engine even without trace context: nobody else records them (O1).
        passed_over: whether copies beside it had better get the calls, as far as is known; `takes_calls` looks again.
    """

    begins_traces: bool
    passed_over: bool

    @property
    def identity(self) -> str | None:
        """None: it is trusted. Others share ids with those of the same identity only (20 §5)."""

    @property
    def worker_id(self) -> str:
        """Of the connection; empty inside the engine process."""

    @property
    def in_process(self) -> bool: ...

    @property
    def ended(self) -> bool:
        """Whether it is leaving: what it owns is released in turns, and holds nobody up."""

    def takes_calls(self) -> bool:
        """Whether a copy gets calls now: it is neither leaving nor stuck (P8)."""

    @property
    def handling(self) -> Sized:
        """Calls that it runs now; inside the engine process none is counted."""

    @property
    def display_name(self) -> str | None:
        """The name that lists show for what it owns."""

    def bind(self, binding: Binding) -> None:
        """As a provider: serve this binding, replacing one with the same id.

        Raises:
            TriggerRegistrationFailed: refused; what was bound before under this id stays.
            ConnectionClosing: it cannot be told.
        """

    def unbind(self, binding: Binding) -> None:
        """As a provider: stop serving it. Raises UnregisterFailed if that fails."""

    def evicted(self, key: Key) -> None:
        """A trusted owner has taken an id that it had (20 §5)."""

    def distrusted(self, key: Key) -> None:
        """An id that it has decides about access from now on (20 §5)."""

    def binding_refused(self, binding: Binding, registered_id: str, error: bytes) -> None:
        """As an owner of a binding, by the id that it gave: its provider said no; `error` is the error object."""
