"""Those who want to hear of something."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, ParamSpec

P = ParamSpec("P")


class Listeners(Generic[P]):
    """Called as one: each listener gets what is said, in the order in which they subscribed."""

    def __init__(self) -> None:
        self._listeners: list[Callable[P, None]] = []

    def subscribe(self, listener: Callable[P, None]) -> None:
        """Hear of everything from now on."""
        self._listeners.append(listener)

    def unsubscribe(self, listener: Callable[P, None]) -> None:
        """Hear of nothing more, if it did."""
        if listener in self._listeners:
            self._listeners.remove(listener)

    def others(self, listener: Callable[P, None]) -> bool:
        """Whether anybody else listens."""
        return any(known != listener for known in self._listeners)

    def __call__(self, *said: P.args, **named: P.kwargs) -> None:
        for listener in self._listeners:
            listener(*said, **named)
