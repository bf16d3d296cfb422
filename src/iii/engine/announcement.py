"""Registrations of a connection before its namespace is known (N2, 01 §6.2)."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterator
from enum import Enum
from typing import TYPE_CHECKING, TypeAlias

from iii.protocol.limits import BUFFERED_REGISTRATIONS, HELD_CALLS, IDLE_RELEASE_S
from iii.protocol.messages import (
    RegisterFunction,
    RegisterTrigger,
    RegisterTriggerType,
    UnregisterFunction,
    UnregisterTrigger,
    UnregisterTriggerType,
)
from iii.protocol.names import DEFAULT_NAMESPACE

if TYPE_CHECKING:
    from iii.engine.clock import Clock, Timer

logger = logging.getLogger(__name__)

Registration: TypeAlias = (
    RegisterFunction
    | UnregisterFunction
    | RegisterTriggerType
    | UnregisterTriggerType
    | RegisterTrigger
    | UnregisterTrigger
)


class Phase(Enum):
    BUFFERING = "buffering"  # registrations wait
    PROVISIONAL = "provisional"  # applied in `default` after silence; an announcement may still move them
    SETTLED = "settled"  # the namespace is fixed
    ENDED = "ended"


class RegistrationBuffer:
    """Holds a connection's registrations until its announcement, 50 silent ms or the grace, whichever comes first.

    `apply(registration)` and `withdrawing()`, one a step, act on the registries for the connection; `released(function_ids)`
    follows the release. `in_turns` does many steps, and the connection says nothing more meanwhile.
    """

    __slots__ = (
        "_apply", "_clock", "_function_ids", "_grace_s", "_grace_timer", "_idle_timer", "_in_turns", "_last_frame_at",
        "_registrations", "_released", "_releasing", "_waiting", "_withdrawing", "namespace", "phase",
    )  # fmt: skip

    def __init__(
        self,
        clock: Clock,
        grace_s: float,
        apply: Callable[[Registration], None],
        withdrawing: Callable[[], Iterator[None]],
        released: Callable[[Collection[str]], None],
        in_turns: Callable[[Iterator[None]], None],
    ) -> None:
        self._clock = clock
        self._grace_s = grace_s
        self._apply = apply
        self._withdrawing = withdrawing
        self._released = released
        self._in_turns = in_turns
        self._releasing = False
        self.phase = Phase.BUFFERING
        self.namespace = DEFAULT_NAMESPACE
        self._registrations: list[Registration] = []
        self._function_ids: set[str] = set()  # registered by what waits
        self._waiting: list[Callable[[], None]] = []
        self._last_frame_at = 0.0
        self._idle_timer: Timer | None = None
        self._grace_timer: Timer | None = None

    @property
    def fixed(self) -> bool:
        """Whether an announcement can no longer choose the namespace."""
        return self.phase in (Phase.SETTLED, Phase.ENDED)

    def started(self) -> None:
        """The connection said its first word: the grace runs."""
        if self._grace_s > 0:
            self._grace_timer = self._clock.call_at(self._clock.now() + self._grace_s, self._grace_ended)
        else:
            self.settle(DEFAULT_NAMESPACE)

    def frame_arrived(self) -> None:
        """Silence starts anew."""
        self._last_frame_at = self._clock.now()

    def add(self, registration: Registration) -> None:
        if self.phase is Phase.SETTLED:
            self._apply(registration)
        elif self.phase is Phase.ENDED:
            return
        elif len(self._registrations) >= BUFFERED_REGISTRATIONS:
            logger.warning("More than %s registrations before the announcement: ignored", BUFFERED_REGISTRATIONS)
        else:
            self._registrations.append(registration)
            if self.phase is Phase.PROVISIONAL:
                self._apply(registration)
            else:
                if isinstance(registration, RegisterFunction):
                    self._function_ids.add(registration.id)
                self._arm_idle_timer()

    def registers(self, function_id: str) -> bool:
        """Whether a registration of this id is waiting here."""
        return function_id in self._function_ids

    def when_released(self, action: Callable[[], None]) -> bool:
        """Run `action` once the registrations apply, or will never. False: too many wait already."""
        if self.phase is not Phase.BUFFERING and not self._releasing:
            action()
            return True
        if len(self._waiting) >= HELD_CALLS:
            return False
        self._waiting.append(action)
        if self.phase is Phase.BUFFERING:
            self._arm_idle_timer()
        return True

    def settle(self, namespace: str) -> str:
        """The announcement came. Returns the namespace that holds: a fixed one stays (01 §6.1)."""
        match self.phase:
            case Phase.BUFFERING:
                self._settle(namespace)
                self._release()
            case Phase.PROVISIONAL:
                moves = namespace != self.namespace
                registrations = self._settle(namespace)
                if moves:
                    self._in_turns(self._moving(self._withdrawing(), registrations))
        return self.namespace

    def end(self) -> None:
        """The connection is gone; what waits here dies with it, calls that wait for it go on."""
        if self.phase is Phase.ENDED:
            return
        self.phase = Phase.ENDED
        self._cancel_timers()
        self._registrations.clear()
        self._in_turns(self._telling_released(self._released))
        # methods of the session: it is freed without the collector
        del self._apply, self._withdrawing, self._released, self._in_turns

    def _settle(self, namespace: str) -> list[Registration]:
        self.namespace = namespace
        self._cancel_timers()
        registrations = self._registrations
        if self.phase is Phase.PROVISIONAL:
            self._registrations = []
        self.phase = Phase.SETTLED
        return registrations

    def _release(self) -> None:
        registrations = self._registrations
        if self.phase is not Phase.PROVISIONAL:
            self._registrations = []
        self._releasing = True
        self._in_turns(self._applying(registrations.copy()))

    def _applying(self, registrations: list[Registration]) -> Iterator[None]:
        for registration in registrations:
            if self.phase is Phase.ENDED:
                return
            self._apply(registration)
            yield
        if self.phase is not Phase.ENDED:
            yield from self._telling_released(self._released)

    def _moving(self, withdrawing: Iterator[None], registrations: list[Registration]) -> Iterator[None]:
        yield from withdrawing
        yield from self._applying(registrations)

    def _telling_released(self, released: Callable[[Collection[str]], None]) -> Iterator[None]:
        self._releasing = False
        function_ids, self._function_ids = self._function_ids, set()
        released(function_ids)
        waiting, self._waiting = self._waiting, []
        for action in waiting:
            action()
            yield

    def _arm_idle_timer(self) -> None:
        if self._idle_timer is None:
            self._idle_timer = self._clock.call_at(self._clock.now() + IDLE_RELEASE_S, self._silence_checked)

    def _silence_checked(self) -> None:
        self._idle_timer = None
        if self.phase is not Phase.BUFFERING:
            return
        silent_until = self._last_frame_at + IDLE_RELEASE_S
        if self._clock.now() < silent_until:
            self._idle_timer = self._clock.call_at(silent_until, self._silence_checked)
            return
        self.phase = Phase.PROVISIONAL
        self._release()

    def _grace_ended(self) -> None:
        self._grace_timer = None
        logger.warning(
            "A connection did not announce itself within %g s: its namespace is %s", self._grace_s, self.namespace
        )
        self.settle(self.namespace)

    def _cancel_timers(self) -> None:
        for timer in (self._idle_timer, self._grace_timer):
            if timer is not None:
                timer.cancel()
        self._idle_timer = self._grace_timer = None
