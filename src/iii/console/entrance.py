"""Who is let in at the console of an engine: everybody, or the bearers of tokens as at a worker port (20 §1, 23 §3)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from iii.console.inside import Events, InsideDoor, VisitingCaller
from iii.console.visitor import LoginRefused, Visitor, new_csrf
from iii.engine.access.admission import Approach
from iii.engine.access.guard import Guard
from iii.protocol.errors import InvocationError
from iii.protocol.limits import LOGIN_DELAY_S
from iii.protocol.reply import Reply, reply_of

if TYPE_CHECKING:
    from iii.engine.access.admission import Admission, Login
    from iii.engine.access.guard import Access
    from iii.engine.engine import Engine

ANYONE = "anyone on this machine"


class InsideEntrance:
    """Without an `admission` nobody has to log in."""

    def __init__(self, engine: Engine, events: Events, admission: Admission | None) -> None:
        self._engine = engine
        self._events = events
        self._admission = admission
        self._anyone = Visitor(InsideDoor(engine, events), ANYONE, "") if admission is None else None

    @property
    def anyone(self) -> Visitor | None:
        return self._anyone

    async def admit(self, token: str, ip_address: str | None) -> Visitor:
        """As `Admitting.admit`."""
        admission, engine = self._admission, self._engine
        assert admission is not None
        if admission.failed_logins.is_full(ip_address):
            raise LoginRefused("too many failed logins from this address", int(LOGIN_DELAY_S))
        approach = Approach((("authorization", f"Bearer {token}"),), "", ip_address)

        def begin(reply: Reply[Access, InvocationError]) -> _Pending:
            return _Pending(admission.admit(approach, reply))

        try:
            access: Access = await reply_of(begin)
        except InvocationError as error:
            raise LoginRefused(error.message) from None
        rights = access.rights
        caller = VisitingCaller(Guard(access, engine.router, engine.registry, engine.clock, ip_address))
        # What an auth function allows is not in the identity: two of its logins are never taken for the same
        key = new_csrf() if rights.by_auth_function else rights.identity or rights.who
        door = InsideDoor(engine, self._events, caller)
        return Visitor(door, rights.who, key, new_csrf(), rights.identity or rights.who, rights.roles)


class _Pending:
    """A login that the browser may give up."""

    def __init__(self, login: Login) -> None:
        self._login = login

    def withdraw(self, cancels: bool = False) -> None:
        self._login.withdraw()
