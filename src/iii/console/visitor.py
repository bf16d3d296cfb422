"""Who uses the console, and the logins that are open (23 §3)."""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Callable
from typing import Protocol

from iii.console.door import EngineDoor
from iii.protocol.limits import CONSOLE_SESSIONS


class Visitor:
    """With the rights of one login, or of the console itself where none is asked for.

    Attributes:
        who: for the log.
        key: visitors with the same one have the same rights, and share what is pushed.
        csrf: what a request that changes something has to repeat; None: there is no cookie that could be abused.
    """

    def __init__(self, door: EngineDoor, who: str, key: str, csrf: str | None = None) -> None:
        self.door = door
        self.who = who
        self.key = key
        self.csrf = csrf
        self._ended: list[Callable[[], None]] = []
        self._over = False

    def repeats_csrf(self, given: str | None) -> bool:
        """Whether a request is from a page that could read the answer of `session`."""
        return self.csrf is None or (given is not None and hmac.compare_digest(given.encode(), self.csrf.encode()))

    def when_ended(self, told: Callable[[], None]) -> Callable[[], None]:
        """Have the end of the login told, at once if it is over; returns how to stop that."""
        if self._over:
            told()
        self._ended.append(told)
        return lambda: self._ended.remove(told) if told in self._ended else None

    def end(self) -> None:
        """The login is over."""
        self._over = True
        for told in list(self._ended):
            told()


class LoginRefused(Exception):
    """Nobody is let in with this token; text for people.

    Attributes:
        retry_after_s: before which trying again is useless; None: the token is wrong.
    """

    def __init__(self, text: str, retry_after_s: int | None = None) -> None:
        super().__init__(text)
        self.retry_after_s = retry_after_s


class Admitting(Protocol):
    """Who is let in.

    Attributes:
        anyone: whoever asks, where no login is needed; else None.
    """

    @property
    def anyone(self) -> Visitor | None: ...

    async def admit(self, token: str, ip_address: str | None) -> Visitor:
        """Raises LoginRefused, EngineAway."""


class Sessions:
    """Open logins, by the secret in the cookie; each ends when it has not been used for a while."""

    def __init__(self, idle_s: float, now: Callable[[], float]) -> None:
        self._idle_s = idle_s
        self._now = now
        self._open: dict[str, tuple[Visitor, float]] = {}

    def __len__(self) -> int:
        return len(self._open)

    def begin(self, visitor: Visitor) -> str:
        """The secret of a new one; at the limit one of the same visitor ends, else any: that which was not used for longest."""
        self.expire()
        while len(self._open) >= CONSOLE_SESSIONS:
            own = (each for each, (other, _) in self._open.items() if other.key == visitor.key)
            self.end(next(own, next(iter(self._open))))
        secret = secrets.token_urlsafe(32)
        self._open[secret] = (visitor, self._now())
        return secret

    def find(self, secret: str) -> Visitor | None:
        """Whose it is; that counts as use."""
        self.expire()
        found = self._open.pop(secret, None)
        if found is None:
            return None
        self._open[secret] = (found[0], self._now())  # last again
        return found[0]

    def end(self, secret: str) -> None:
        found = self._open.pop(secret, None)
        if found is not None:
            found[0].end()

    def end_all(self) -> None:
        for secret in list(self._open):
            self.end(secret)

    def expire(self) -> None:
        """End those that were not used for too long; the first was not used for longest."""
        before = self._now() - self._idle_s
        while self._open:
            secret, (_, used_at) = next(iter(self._open.items()))
            if used_at >= before:
                return
            self.end(secret)


def new_csrf() -> str:
    """One for each login."""
    return secrets.token_urlsafe(24)
