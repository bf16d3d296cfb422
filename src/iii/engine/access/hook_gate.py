"""What a connection does, in its order, while a hook decides about one of its registrations (20 §3)."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias

from iii.protocol.limits import GATED_STEPS

if TYPE_CHECKING:
    from iii.engine.clock import Clock

Step: TypeAlias = "Callable[[Callable[[], None]], None]"
"""Does something, at once or later, and then calls what it is given."""

_AT_ONCE = 100  # steps in one turn of the event loop


class HookGate:
    """Steps one after another; what the connection's results are for goes on meanwhile, so that a hook may be its own."""

    __slots__ = ("_clock", "_ended", "_looping", "_steps", "_waiting")

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._steps: deque[Step] = deque()
        self._waiting = False  # for the step that is being done
        self._looping = False
        self._ended = False

    @property
    def busy(self) -> bool:
        """Whether a further step has to wait."""
        return self._waiting or bool(self._steps)

    @property
    def full(self) -> bool:
        return len(self._steps) >= GATED_STEPS

    def add(self, step: Step) -> None:
        """Do it when those before are done. The caller has looked at `full`, or adds no more than it was sent."""
        if self._ended:
            return
        self._steps.append(step)
        if len(self._steps) == 1:
            self._go_on()

    def end(self) -> None:
        """The connection is gone: nothing more is done."""
        self._ended = True
        self._steps.clear()

    def _go_on(self) -> None:
        if self._looping or self._waiting:
            return
        self._looping = True
        left = _AT_ONCE
        try:
            while self._steps and not self._waiting and left:
                left -= 1
                self._waiting = True
                self._steps.popleft()(self._done)
        finally:
            self._looping = False
        if self._steps and not self._waiting:
            self._clock.call_at(self._clock.now(), self._go_on)

    def _done(self) -> None:
        self._waiting = False
        if not self._ended:
            self._go_on()
