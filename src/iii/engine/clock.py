"""Time as it is handed to the core, so that a test can hold it."""

from collections.abc import Callable
from typing import Protocol


class Timer(Protocol):
    def cancel(self) -> None: ...


class Clock(Protocol):
    """The core has no other way to read the time or to wait."""

    def now(self) -> float:
        """Monotonic seconds."""

    def time_ms(self) -> int:
        """Unix milliseconds, for what people and clients see."""

    def time_ns(self) -> int:
        """The same in nanoseconds, as telemetry counts."""

    def call_at(self, when: float, callback: Callable[[], None]) -> Timer:
        """Call once, at `when` seconds of `now()` or as soon after as possible."""
