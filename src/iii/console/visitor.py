"""Who uses the console, and who is let in (23 §3)."""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Callable, Sequence
from typing import Protocol

from iii.console.door import EngineDoor


class Visitor:
    """With the rights of one login, or of the console itself where none is asked for.

    Attributes:
        who: for the log.
        key: visitors with the same one have the same rights, and share what is pushed.
        account: logins with the same one are of the same token, or of what an auth function says of them.
        roles: names of roles, for people.
        csrf: what a request that changes something has to repeat; None: there is no cookie that could be abused.
    """

    def __init__(
        self,
        door: EngineDoor,
        who: str,
        key: str,
        csrf: str | None = None,
        account: str | None = None,
        roles: Sequence[str] = (),
    ) -> None:
        self.door = door
        self.who = who
        self.key = key
        self.csrf = csrf
        self.account = key if account is None else account
        self.roles = roles
        self._ended: list[Callable[[], None]] = []
        self._over = False

    def repeats_csrf(self, given: str | None) -> bool:
        """Whether a request is from a page that could read the answer of `session`."""
        if self.csrf is None:
            return True
        return given is not None and hmac.compare_digest(given.encode(errors="replace"), self.csrf.encode())

    def when_ended(self, told: Callable[[], None]) -> Callable[[], None]:
        """Have the end of the login told, at once if it is over; returns how to stop that."""
        if self._over:
            told()
        self._ended.append(told)
        return lambda: self._ended.remove(told) if told in self._ended else None

    @property
    def pages(self) -> int:
        """WebSockets that end with it."""
        return len(self._ended)

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


def new_csrf() -> str:
    """One for each login."""
    return secrets.token_urlsafe(24)
