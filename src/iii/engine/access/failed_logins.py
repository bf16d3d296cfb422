"""Addresses whose logins failed: each further one waits, so that clients which try for ever load nobody else (L8)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from iii.protocol.limits import LOGIN_ADDRESSES, LOGIN_DELAY_S, WAITING_LOGINS

if TYPE_CHECKING:
    from iii.engine.clock import Clock

_FIRST_DELAY_S = 0.1
_LONGEST_WAIT_S = 2 * LOGIN_DELAY_S
_FORGOTTEN_S = 60.0  # without a failure


class FailedLogins:
    """By address; one that logged in is forgotten."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._of: dict[str | None, _Address] = {}

    def __len__(self) -> int:
        return len(self._of)

    def wait_s(self, ip_address: str | None) -> float | None:
        """Seconds until its next login may be tried, one after another; None: too many of it wait already."""
        found = self._of.get(ip_address)
        if found is None:
            return 0.0
        now = self._clock.now()
        due = max(now, found.next_at)
        if self.is_full(ip_address):
            return None
        found.next_at = due + found.delay_s
        return due - now

    def is_full(self, ip_address: str | None) -> bool:
        """Whether a login would be refused at once, since too many of the address wait already."""
        found = self._of.get(ip_address)
        if found is None:
            return False
        now = self._clock.now()
        return max(now, found.next_at) - now > _LONGEST_WAIT_S or found.waiting >= WAITING_LOGINS

    def waits(self, ip_address: str | None, change: int) -> None:
        """One more of an address waits, or one less."""
        found = self._of.get(ip_address)
        if found is not None:
            found.waiting = max(0, found.waiting + change)

    def failed(self, ip_address: str | None) -> None:
        now = self._clock.now()
        found = self._of.pop(ip_address, None)
        if found is None or now > found.next_at + _FORGOTTEN_S:
            found = _Address()
        else:
            found.delay_s = min(2 * found.delay_s, LOGIN_DELAY_S)
        found.next_at = max(found.next_at, now + found.delay_s)
        self._of[ip_address] = found  # the latest is last
        while len(self._of) > LOGIN_ADDRESSES:
            del self._of[next(iter(self._of))]

    def succeeded(self, ip_address: str | None) -> None:
        self._of.pop(ip_address, None)


class _Address:
    __slots__ = ("delay_s", "next_at", "waiting")

    def __init__(self) -> None:
        self.delay_s = _FIRST_DELAY_S
        self.next_at = 0.0
        self.waiting = 0
