"""Who is let in at `iii console`: everybody on this machine, or the bearers of its one token (23 §8)."""

from __future__ import annotations

import asyncio
import hmac
from typing import TYPE_CHECKING

from iii.console.visitor import LoginRefused, Visitor, new_csrf
from iii.engine.access.failed_logins import FailedLogins
from iii.protocol.access_token import hash_of
from iii.server.clock import LoopClock

if TYPE_CHECKING:
    from iii.console.door import EngineDoor

ANYONE = "anyone on this machine"
BEARER = "bearer of the console's token"


class OutsideEntrance:
    """All visitors have the rights of the connection to the engine."""

    def __init__(self, door: EngineDoor, token: str | None) -> None:
        self._door = door
        self._hash = None if token is None else hash_of(token).encode()
        self._failed = FailedLogins(LoopClock(asyncio.get_running_loop()))
        self._anyone = Visitor(door, ANYONE, "") if token is None else None

    @property
    def anyone(self) -> Visitor | None:
        return self._anyone

    async def admit(self, token: str, ip_address: str | None) -> Visitor:
        """As `Admitting.admit`."""
        assert self._hash is not None
        if hmac.compare_digest(hash_of(token).encode(), self._hash):
            self._failed.succeeded(ip_address)
            return Visitor(self._door, BEARER, "", new_csrf())
        wait_s = self._failed.wait_s(ip_address)
        if wait_s is None:
            raise LoginRefused("too many failed logins from this address", 5)
        self._failed.waits(ip_address, +1)
        try:
            await asyncio.sleep(wait_s)
        finally:
            self._failed.waits(ip_address, -1)
        self._failed.failed(ip_address)
        raise LoginRefused("the token is unknown")
