"""What a test orders to go wrong: each order befalls one call of one function."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable

from iii.protocol.errors import InvocationError
from iii.protocol.traceback_text import shown
from iii.testing.traffic import Fate, Traffic

__tracebackhide__ = True  # of pytest: a failed test shows its own lines


class Orders(ABC):
    """Several orders for one function befall its next calls, in their order."""

    @abstractmethod
    def _plan(self, function_id: str, fate: Callable[[Traffic], Fate]) -> None:
        """Let the next call of the function have this fate."""

    def fail(self, function_id: str, error: InvocationError) -> None:
        """The next call of the function fails so, and its handler is not called. Raises TypeError for another exception."""
        if not isinstance(error, InvocationError):
            raise TypeError(f"fail() takes an iii.InvocationError, which callers get as it is; got {shown(error)}")
        self._plan(function_id, lambda traffic: traffic.fail(error))

    def time_out(self, function_id: str) -> None:
        """The next call of the function is over its time: its caller gets `InvocationTimeout`, its handler is not called."""
        self._plan(function_id, lambda traffic: traffic.time_out)

    def hang(self, function_id: str) -> None:
        """The next call of the function is never answered; the engine's time passes until its caller gives up."""
        self._plan(function_id, lambda traffic: traffic.hang)

    def repeat(self, function_id: str) -> None:
        """The next call of the function is delivered twice, as can happen to a job."""
        self._plan(function_id, lambda traffic: traffic.repeat)

    def lose_call(self, function_id: str) -> None:
        """The worker dies at the next call of the function, before its handler begins; then it connects again."""
        self._plan(function_id, lambda traffic: traffic.lose_call)

    def lose_answer(self, function_id: str) -> None:
        """The worker dies when the next call of the function has done its work, before anybody knows; then it connects again."""
        self._plan(function_id, lambda traffic: traffic.lose_answer)
