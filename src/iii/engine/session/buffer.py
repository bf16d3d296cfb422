"""Registrations of a connection before its namespace is known (N2, 01 §6.2)."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from enum import Enum
from typing import TYPE_CHECKING

from iii.protocol.limits import BUFFERED_REGISTRATIONS, HELD_CALLS, IDLE_RELEASE_S
from iii.protocol.log_event import LogEvent
from iii.protocol.messages import RegisterFunction
from iii.protocol.names import DEFAULT_NAMESPACE

if TYPE_CHECKING:
    from iii.engine.access.guard import Guard
    from iii.engine.clock import Clock, Timer
    from iii.engine.connection_limits import Registration
    from iii.engine.expectations import Expectations
    from iii.engine.link import Link
    from iii.engine.turns import Turns

REGISTRATION_IGNORED = LogEvent(
    __name__, "worker.registration_ignored", logging.WARNING, "Registration ignored: too many came before the announcement",
    means="A client registers more than the engine keeps before it says who it is.",
    do="Let the client announce itself first (`engine::workers::register`).",
)  # fmt: skip
NOT_ANNOUNCED = LogEvent(
    __name__, "worker.not_announced", logging.WARNING, "Worker did not announce itself in time: its namespace is fixed",
    means="A client speaks the protocol, but does not say who it is; what it registers is in `namespace`.",
    do="Let the client announce itself, if it wants a name or another namespace.",
)  # fmt: skip


class Phase(Enum):
    BUFFERING = "buffering"  # registrations wait
    PROVISIONAL = "provisional"  # applied in `default` after silence; an announcement may still move them
    SETTLED = "settled"  # the namespace is fixed
    ENDED = "ended"


class RegistrationBuffer:
    """Holds a connection's registrations until its announcement, 50 silent ms or the grace, whichever comes first.

    `apply(registration)` and `withdrawing()`, one a step, act on the registry for the connection, which says nothing more
    meanwhile. `expected` knows the functions that wait here.
    """

    __slots__ = (
        "_apply", "_clock", "_expected", "_grace_s", "_grace_timer", "_guard", "_idle_timer", "_last_frame_at", "_link",
        "_registrations", "_releasing", "_turns", "_waiting", "_withdrawing", "phase",
    )  # fmt: skip

    def __init__(
        self,
        link: Link,
        clock: Clock,
        turns: Turns,
        grace_s: float,
        expected: Expectations,
        apply: Callable[[Registration], None],
        withdrawing: Callable[[], Iterator[None]],
        guard: Guard | None = None,
    ) -> None:
        self._link = link
        self._clock = clock
        self._turns = turns
        self._grace_s = grace_s
        self._apply = apply
        self._withdrawing = withdrawing
        self._guard = guard
        self._expected = expected
        self._releasing = False
        self.phase = Phase.BUFFERING
        self._registrations: list[Registration] = []
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
            self.settle(moves=False)

    def frame_arrived(self) -> None:
        """Silence starts anew."""
        self._last_frame_at = self._clock.now()

    def add(self, registration: Registration) -> None:
        if self.phase is Phase.SETTLED:
            self._apply(registration)
        elif self.phase is Phase.ENDED:
            return
        elif len(self._registrations) >= BUFFERED_REGISTRATIONS:
            REGISTRATION_IGNORED(limit=BUFFERED_REGISTRATIONS)
        else:
            self._registrations.append(registration)
            if self.phase is Phase.PROVISIONAL:
                self._apply(registration)
            else:
                if isinstance(registration, RegisterFunction):
                    function_id = self._stored_id(registration.id)
                    self._expected.expect(function_id, self)
                self._arm_idle_timer()

    def when_released(self, action: Callable[[], None]) -> bool:
        """Run `action` once the registrations apply, or will never. False: too many wait already."""
        if self.phase is not Phase.BUFFERING and not self._releasing:
            self._tell(action)
            return True
        if len(self._waiting) >= HELD_CALLS:
            return False
        self._waiting.append(action)
        if self.phase is Phase.BUFFERING:
            self._arm_idle_timer()
        return True

    def settle(self, moves: bool) -> None:
        """The announcement came, and fixed the namespace; `moves`: it is another than `default`."""
        match self.phase:
            case Phase.BUFFERING:
                self._settle()
                self._release()
            case Phase.PROVISIONAL:
                registrations = self._settle()
                if moves:
                    self._turns.go_paused(self._link, self._moving(self._withdrawing(), registrations))

    def end(self) -> None:
        """The connection is gone; what waits here dies with it, calls that wait for it go on."""
        if self.phase is Phase.ENDED:
            return
        self.phase = Phase.ENDED
        self._cancel_timers()
        self._registrations.clear()
        self._turns.go_paused(self._link, self._telling_released())
        del self._apply, self._withdrawing  # methods of the session: it is freed without the collector

    def _settle(self) -> list[Registration]:
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
        self._turns.go_paused(self._link, self._applying(registrations.copy()))

    def _applying(self, registrations: list[Registration]) -> Iterator[None]:
        for registration in registrations:
            if self.phase is Phase.ENDED:
                return
            self._apply(registration)
            yield
        if self.phase is not Phase.ENDED:
            yield from self._telling_released()

    def _moving(self, withdrawing: Iterator[None], registrations: list[Registration]) -> Iterator[None]:
        yield from withdrawing
        yield from self._applying(registrations)

    def _telling_released(self) -> Iterator[None]:
        self._releasing = False
        forgetting = self._expected.met(self)
        waiting, self._waiting = self._waiting, []
        for action in waiting:
            self._tell(action)
            yield
        yield from forgetting

    def _tell(self, action: Callable[[], None]) -> None:
        if self._guard is None or self.phase is Phase.ENDED:
            action()
        else:
            self._guard.when_idle(action)  # a hook may have to decide about what was applied

    def _stored_id(self, function_id: str) -> str:
        return function_id if self._guard is None else self._guard.registering.stored_function(function_id)

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
        NOT_ANNOUNCED(limit_s=self._grace_s, namespace=DEFAULT_NAMESPACE)
        self.settle(moves=False)

    def _cancel_timers(self) -> None:
        for timer in (self._idle_timer, self._grace_timer):
            if timer is not None:
                timer.cancel()
        self._idle_timer = self._grace_timer = None
