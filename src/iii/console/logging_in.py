"""Routes of the login (23 §3)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, NamedTuple

import msgspec
from aiohttp import web
from msgspec import Struct

from iii.console.application import CSRF_HEADER, Reception, json_body, json_response
from iii.console.refusal import Refusal
from iii.console.visitor import LoginRefused, Visitor
from iii.protocol.access_token import LONGEST
from iii.protocol.limits import CONSOLE_LOGIN_BYTES, CONSOLE_SILENT_S

ACTIONS = (
    "engine::workers::drain", "engine::workers::disconnect", "iii::queue::redrive", "iii::queue::redrive_message",
    "iii::queue::discard_message", "queue::redrive_edited", "engine::queue::pause",
    "engine::queue::resume", "engine::queue::purge", "engine::queue::cancel", "engine::invocations::cancel", "state::set", "state::delete",
    "state::compare_and_set", "stream::set", "stream::delete", "stream::send", "publish", "iii::durable::publish", "configuration::set",
    "configuration::delete", "configuration::get", "engine::logs::clear", "engine::traces::clear", "engine::alerts::evaluate", "engine::alerts::set", "engine::alerts::delete",
    "engine::register_trigger", "engine::unregister_trigger", "engine::fire_trigger", "engine::console::logins",
)  # fmt: skip
"""What pages have buttons for, so that they show those that would be refused as such."""


class _Login(Struct, forbid_unknown_fields=True):
    token: str


class EngineSeen(Struct):
    """The engine that the console shows."""

    connected: bool
    url: str  # empty before the login


class ConsolePlace(NamedTuple):
    """Whether the console is a module of its engine, and where the engine is."""

    mode: Literal["module", "remote"]
    engine: EngineSeen


class SessionSeen(Struct, kw_only=True):
    """What a visitor may do; `refused` are functions of buttons that the engine would refuse."""

    login_required: bool
    logged_in: bool
    who: str | None
    trusted: bool
    csrf: str | None
    refused: list[str]
    may_proxy: bool
    mode: Literal["module", "remote"]
    engine: EngineSeen


class LoggingIn:
    """Args:
    place: where the console is, for pages.
    """

    def __init__(self, reception: Reception, place: Callable[[], ConsolePlace]) -> None:
        self._reception = reception
        self._place = place

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/api/v1/session", self._session),
            web.post("/api/v1/login", self._login),
            web.post("/api/v1/logout", self._logout),
        ]

    async def _session(self, request: web.Request) -> web.Response:
        return json_response(self._described(self._reception.visitor(request)))

    def _described(self, visitor: Visitor | None) -> SessionSeen:
        anyone = self._reception.entrance.anyone
        place = self._place()
        return SessionSeen(
            login_required=anyone is None,
            logged_in=visitor is not None,
            who=None if visitor is None else visitor.who,
            trusted=visitor is not None and visitor is anyone,
            csrf=None if visitor is None else visitor.csrf,
            refused=[] if visitor is None else visitor.door.refused(ACTIONS),
            may_proxy=visitor is not None and visitor.door.may_proxy,
            mode=place.mode,
            engine=place.engine if visitor is not None else EngineSeen(place.engine.connected, ""),
        )

    async def _login(self, request: web.Request) -> web.Response:
        """A token comes in the body alone: bodies are in no log and no history."""
        reception = self._reception
        try:
            body = await json_body(request, CONSOLE_LOGIN_BYTES, CONSOLE_SILENT_S)
            token = msgspec.json.decode(body, type=_Login).token
        except msgspec.MsgspecError:
            raise Refusal(400, 'expected {"token": "…"}', "BAD_REQUEST") from None
        if reception.entrance.anyone is not None:
            return json_response(self._described(reception.entrance.anyone))
        if len(token) > LONGEST:
            raise Refusal(401, "the token is unknown", "UNKNOWN_TOKEN")
        try:
            visitor = await reception.entrance.admit(token, request.remote)
        except LoginRefused as error:
            status, code = (401, "UNKNOWN_TOKEN") if error.retry_after_s is None else (429, "TOO_MANY_LOGINS")
            raise Refusal(status, str(error), code, error.retry_after_s) from None
        earlier = request.cookies.get(reception.cookie())
        if earlier is not None:
            reception.sessions.end(earlier)
        response = json_response(self._described(visitor))
        response.set_cookie(
            reception.cookie(), reception.sessions.begin(visitor, request.remote), path="/", httponly=True, samesite="Strict",
            secure=_is_encrypted(request),
        )  # fmt: skip
        return response

    async def _logout(self, request: web.Request) -> web.Response:
        reception = self._reception
        secret = request.cookies.get(reception.cookie(), "")
        visitor = reception.sessions.find(secret)
        if visitor is not None:
            if not visitor.repeats_csrf(request.headers.get(CSRF_HEADER)):
                raise Refusal(403, f"the header {CSRF_HEADER} is missing or wrong; reload the page", "BAD_CSRF_TOKEN")
            reception.sessions.end(secret)
        response = json_response({})
        response.del_cookie(reception.cookie(), path="/", httponly=True, samesite="Strict")
        return response


def _is_encrypted(request: web.Request) -> bool:
    """As the browser sees it, behind a proxy too: the gate has compared `Origin` with `Host`."""
    return request.secure or request.headers.get("Origin", "").startswith("https://")
