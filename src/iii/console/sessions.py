"""Logins that are open: by the secret in the cookie, and as an admin sees them (23 §3)."""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import Callable, Iterator

from iii.console.visitor import Visitor
from iii.protocol.ids import new_id
from iii.protocol.limits import CONSOLE_SESSIONS


class OpenLogin:
    """One of them.

    Attributes:
        id: for people; whoever knows it cannot use the login.
        address: from where it was made.
        begun_at, used_at: of the clock of its sessions.
    """

    __slots__ = ("address", "begun_at", "id", "used_at", "visitor")

    def __init__(self, visitor: Visitor, address: str | None, now: float) -> None:
        self.id = new_id()
        self.visitor = visitor
        self.address = address
        self.begun_at = self.used_at = now


class Sessions:
    """Each ends when it has not been used for a while."""

    def __init__(self, idle_s: float, now: Callable[[], float]) -> None:
        self._idle_s = idle_s
        self.now = now
        self._open: dict[str, OpenLogin] = {}

    def __len__(self) -> int:
        return len(self._open)

    def __iter__(self) -> Iterator[OpenLogin]:
        """That which was used last comes first."""
        self.expire()
        return reversed(list(self._open.values()))

    def begin(self, visitor: Visitor, address: str | None = None) -> str:
        """The secret of a new one; at the limit the account with most of them loses that which was not used for longest."""
        self.expire()
        while len(self._open) >= CONSOLE_SESSIONS:
            counts = Counter(each.visitor.account for each in self._open.values())
            crowded = max(counts, key=lambda account: (counts[account], account == visitor.account))
            self.end(next(secret for secret, each in self._open.items() if each.visitor.account == crowded))
        secret = secrets.token_urlsafe(32)
        self._open[secret] = OpenLogin(visitor, address, self.now())
        return secret

    def find(self, secret: str) -> Visitor | None:
        """Whose it is; that counts as use."""
        self.expire()
        found = self._open.pop(secret, None)
        if found is None:
            return None
        found.used_at = self.now()
        self._open[secret] = found  # last again
        return found.visitor

    def end(self, secret: str) -> None:
        found = self._open.pop(secret, None)
        if found is not None:
            found.visitor.end()

    def end_by_id(self, login_id: str) -> OpenLogin | None:
        """The one that has ended; None: there is none of this id."""
        for secret, each in self._open.items():
            if each.id == login_id:
                self.end(secret)
                return each
        return None

    def end_all(self) -> None:
        for secret in list(self._open):
            self.end(secret)

    def expire(self) -> None:
        """End those that were not used for too long; the first was not used for longest."""
        before = self.now() - self._idle_s
        while self._open:
            secret, login = next(iter(self._open.items()))
            if login.used_at >= before:
                return
            self.end(secret)
