"""Routes by which an admin sees who is logged in at the console, and ends logins (23 §3)."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import msgspec
from aiohttp import web
from msgspec import Struct

from iii.console.application import Reception, json_body
from iii.console.lists.paging import page_query
from iii.console.refusal import Refusal

if TYPE_CHECKING:
    from iii.console.desk import Desk
    from iii.console.sessions import OpenLogin

LOGINS = "engine::console::logins"
"""Not a function: the id that access rules expose to those who may see logins and end them, as to `admin`."""

_sorts = {
    "seen": lambda row: row.seen_ms, "since": lambda row: row.since_ms, "who": lambda row: row.who,
    "address": lambda row: row.address,
}  # fmt: skip


class LoginRow(Struct, kw_only=True):
    """One login that is open."""

    id: str
    who: str
    address: str | None
    roles: list[str]
    since_ms: int
    seen_ms: int
    pages: int
    own: bool


class _End(Struct, forbid_unknown_fields=True):
    id: str


class LoginRoutes:
    """Of one application."""

    def __init__(self, reception: Reception) -> None:
        self._reception = reception

    def routes(self) -> list[web.RouteDef]:
        at_desk = self._reception.at_desk
        return [web.get("/api/v1/logins", at_desk(self._listed)), web.post("/api/v1/logins/end", at_desk(self._end))]

    async def _listed(self, desk: Desk, request: web.Request) -> Any:
        _check(desk)
        query = page_query(request.query)
        rows = [self._row(each, desk) for each in self._reception.sessions]
        found = [row for row in rows if query.text in f"{row.who} {row.address or ''} {' '.join(row.roles)}".lower()]
        return query.page(query.order(found, _sorts, "seen") if query.sort else found)

    def _row(self, login: OpenLogin, desk: Desk) -> LoginRow:
        visitor, now, now_ms = login.visitor, self._reception.sessions.now(), int(time.time() * 1000)
        return LoginRow(
            id=login.id,
            who=visitor.who,
            address=login.address,
            roles=list(visitor.roles),
            since_ms=now_ms - round((now - login.begun_at) * 1000),
            seen_ms=now_ms - round((now - login.used_at) * 1000),
            pages=visitor.pages,
            own=visitor is desk.visitor,
        )

    async def _end(self, desk: Desk, request: web.Request) -> Any:
        """Its pages go to the login."""
        _check(desk)
        try:
            login_id = msgspec.json.decode(await json_body(request), type=_End).id
        except msgspec.MsgspecError as error:
            raise Refusal(400, str(error), "BAD_REQUEST") from None
        login = self._reception.sessions.end_by_id(login_id)
        if login is None:
            raise Refusal(404, f"unknown login '{login_id[:100]}'; it may have ended already", "UNKNOWN_LOGIN")
        with desk.noted(f"{LOGINS}::end", f"{login.visitor.who} from {login.address or 'an unknown address'}"):
            return {"ended": True}


def _check(desk: Desk) -> None:
    if desk.door.refused([LOGINS]):
        raise Refusal(403, f"function '{LOGINS}' not allowed (add to rbac.expose_functions)", "FORBIDDEN")
