"""The web application: what every request passes, and where it goes (23 §2)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

import msgspec
from aiohttp import web

from iii.console.audit import Audit
from iii.console.backend.question import members_of
from iii.console.desk import Desk
from iii.console.door import EngineAway
from iii.console.gate import ConsoleGate
from iii.console.refusal import Refusal, refusal_of
from iii.console.sessions import Sessions
from iii.console.visitor import Admitting, Visitor
from iii.protocol.errors import InvocationError
from iii.protocol.limits import CONSOLE_BODY_BYTES, CONSOLE_BODY_S
from iii.protocol.log_event import LogEvent

REQUEST_FAILED = LogEvent(
    __name__, "console.request_failed", logging.ERROR, "Console failed to serve a request",
    means="The page that sent it got an error 500.",
    do="Report it with its stack trace.",
)  # fmt: skip
CSRF_HEADER = "X-CSRF-Token"
PLAIN_POLICY = "default-src 'none'; frame-ancestors 'none'"
_READS = frozenset({"GET", "HEAD"})
SAFE_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Server": "iii",
}
"""Of every answer."""

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Deskwork = Callable[[Desk, web.Request], Awaitable[Any]]
"""Returns JSON as bytes, or what becomes JSON."""


class Reception:
    """Who a request is from, and what it may do; the same for every route.

    Args:
        cookie: name of the session's; each port has another one, as cookies do not care for ports.
    """

    def __init__(
        self, gate: ConsoleGate, entrance: Admitting, sessions: Sessions, audit: Audit, cookie: Callable[[], str]
    ) -> None:
        self.gate = gate
        self.entrance = entrance
        self.sessions = sessions
        self.audit = audit
        self.cookie = cookie

    def visitor(self, request: web.Request) -> Visitor | None:
        """Whose session it has; None where a login is needed."""
        return self.entrance.anyone or self.sessions.find(request.cookies.get(self.cookie(), ""))

    def desk(self, request: web.Request) -> Desk:
        """Raises Refusal: nobody is logged in, or the page did not prove that it is the console's own."""
        visitor = self.visitor(request)
        if visitor is None:
            raise Refusal(401, "login required", "LOGIN_REQUIRED")
        if request.method not in _READS and not visitor.repeats_csrf(request.headers.get(CSRF_HEADER)):
            raise Refusal(403, f"the header {CSRF_HEADER} is missing or wrong; reload the page", "BAD_CSRF_TOKEN")
        return Desk(visitor, self.audit, request.remote)

    def at_desk(self, work: Deskwork) -> Handler:
        """A route for those who are logged in, which answers JSON."""

        async def handle(request: web.Request) -> web.StreamResponse:
            return json_response(await work(self.desk(request), request))

        return handle


def json_response(body: Any, status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    """Bytes are JSON already."""
    content = body if isinstance(body, bytes) else msgspec.json.encode(body)
    return web.Response(
        body=content,
        status=status,
        content_type="application/json",
        headers={"Cache-Control": "no-store", **(headers or {})},
    )


async def body_of(request: web.Request, most: int = CONSOLE_BODY_BYTES, limit_s: float = CONSOLE_BODY_S) -> bytes:
    """Of a request, unpacked. Raises Refusal: it is too large, or does not come."""
    body = bytearray()
    try:
        async with asyncio.timeout(limit_s):
            async for piece in request.content.iter_any():
                body += piece
                if len(body) > most:
                    raise Refusal(400, f"the body exceeds the limit of {most} bytes", "TOO_LARGE")
    except web.RequestPayloadError as error:
        raise Refusal(400, f"the body is broken: {error!s:.200}", "BAD_REQUEST") from None
    except TimeoutError:
        raise Refusal(408, f"the body did not come within {limit_s:g} s", "TIMEOUT") from None
    return bytes(body)


async def json_body(request: web.Request, most: int = CONSOLE_BODY_BYTES, limit_s: float = CONSOLE_BODY_S) -> bytes:
    """Of a request that has to be JSON if it has a body. Raises Refusal."""
    body = await body_of(request, most, limit_s)
    if body and request.content_type != "application/json":
        raise Refusal(415, f"Content-Type: expected application/json, got '{request.content_type[:100]}'", "NOT_JSON")
    try:
        body.decode()
    except UnicodeDecodeError as error:  # not looked at where it is only passed on: whoever gets it would fail
        raise Refusal(
            400, f"the body is not UTF-8: {error.reason} at byte {error.start}; send JSON in UTF-8", "BAD_REQUEST"
        ) from None
    members_of(body)
    return body


def application(
    reception: Reception, routes: Iterable[web.RouteDef], asks: Callable[[web.Request], None]
) -> web.Application:
    """With what all requests have in common; `asks` is called with each."""

    @web.middleware
    async def guarded(request: web.Request, handler: Handler) -> web.StreamResponse:
        asks(request)
        try:
            reception.gate.check(request.method, request.headers)
            response = await handler(request)
        except Refusal as refusal:
            response = _refused(refusal)
        except (InvocationError, TimeoutError, EngineAway) as error:
            response = _refused(refusal_of(error))
        except web.HTTPException as error:
            response = _refused(Refusal(error.status, error.reason))
        except asyncio.CancelledError:
            raise
        except Exception as error:
            REQUEST_FAILED(error, method=request.method, path=request.path[:200])
            response = _refused(Refusal(500, "internal error; the log has it", "INTERNAL"))
        if not response.prepared:
            for name, value in SAFE_HEADERS.items():
                response.headers.setdefault(name, value)
            response.headers.setdefault("Content-Security-Policy", PLAIN_POLICY)
        return response

    made = web.Application(middlewares=[guarded], client_max_size=CONSOLE_BODY_BYTES)
    made.router.add_routes(list(routes))
    return made


def _refused(refusal: Refusal) -> web.Response:
    headers = {} if refusal.retry_after_s is None else {"Retry-After": str(refusal.retry_after_s)}
    return json_response(refusal.body(), refusal.status, headers)
