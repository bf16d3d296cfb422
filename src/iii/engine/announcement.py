"""Registrations of a connection before its namespace is known (N2, 01 §6.2)."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection
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

    `apply(registration)` and `withdraw()` act on the registries for the connection; `released(function_ids)` follows the release.
    """

    __slots__ = (
        "_apply", "_clock", "_function_ids", "_grace_s", "_grace_timer", "_idle_timer", "_last_frame_at",
        "_registrations", "_released", "_waiting", "_withdraw", "namespace", "phase",
    )  # fmt: skip

    def __init__(
        self,
        clock: Clock,
        grace_s: float,
        apply: Callable[[Registration], None],
        withdraw: Callable[[], None],
        released: Callable[[Collection[str]], None],
    ) -> None:
        self._clock = clock
        self._grace_s = grace_s
        self._apply = apply
        self._withdraw = withdraw
        self._released = released
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
        if self.phase is not Phase.BUFFERING:
            action()
            return True
        if len(self._waiting) >= HELD_CALLS:
            return False
        self._waiting.append(action)
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
                if moves:
                    self._withdraw()
                registrations = self._settle(namespace)
                if moves:
                    for registration in registrations:
                        self._apply(registration)
        return self.namespace

    def end(self) -> None:
        """The connection is gone; what waits here dies with it, calls that wait for it go on."""
        if self.phase is Phase.ENDED:
            return
        self.phase = Phase.ENDED
        self._cancel_timers()
        self._registrations.clear()
        self._tell_released()
        del self._apply, self._withdraw, self._released  # methods of the session: it is freed without the collector

    def _settle(self, namespace: str) -> list[Registration]:
        self.namespace = namespace
        self._cancel_timers()
        registrations = self._registrations
        if self.phase is Phase.PROVISIONAL:
            self._registrations = []
        self.phase = Phase.SETTLED
        return registrations

    def _release(self) -> None:
        registrations, self._registrations = self._registrations, []
        for registration in registrations:
            self._apply(registration)
        if self.phase is Phase.PROVISIONAL:
            self._registrations = registrations
        self._tell_released()

    def _tell_released(self) -> None:
        function_ids, self._function_ids = self._function_ids, set()
        self._released(function_ids)
        waiting, self._waiting = self._waiting, []
        for action in waiting:
            action()

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
            "A connection did not announce itself within %g s: it stays in namespace %s", self._grace_s, self.namespace
        )
        self.settle(self.namespace)

    def _cancel_timers(self) -> None:
        for timer in (self._idle_timer, self._grace_timer):
            if timer is not None:
                timer.cancel()
        self._idle_timer = self._grace_timer = None
