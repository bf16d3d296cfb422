"""The ASGI application: every request that reaches the HTTP port (03 §A4.5, §A8, §A10, §A11)."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from iii.engine.bindings import Binding
from iii.modules.http.answer import Answer
from iii.modules.http.away_routes import AwayRoutes
from iii.modules.http.client import Client, ClientGone, Receive, Send
from iii.modules.http.exchange import Endpoint, Exchange, StreamCut
from iii.modules.http.failure import JSON_TYPE, bad_request, failure, internal_error, too_large, unavailable
from iii.modules.http.headers import without_content_type, without_length
from iii.modules.http.openapi import PATH, openapi_document
from iii.modules.http.request import Request
from iii.modules.http.result import NO_BODY
from iii.modules.http.routes import Match, Missing, Route, RouteTable
from iii.modules.http.trigger_config import HttpTriggerConfig
from iii.net.elsewhere import Elsewhere
from iii.protocol.ids import new_id

if TYPE_CHECKING:
    from iii.engine.engine import Engine
    from iii.modules.http.settings import Settings

logger = logging.getLogger(__name__)

_LENGTHLESS = (HTTPStatus.NO_CONTENT, HTTPStatus.RESET_CONTENT)
ANSWER_S = 0.5  # for a request that was broken off to say so


class HttpApplication:
    """Leads requests to functions. `settings` may be replaced at any time: requests keep those they began with."""

    def __init__(self, engine: Engine, routes: RouteTable[Endpoint], away: AwayRoutes, settings: Settings) -> None:
        self.routes = routes
        self._away = away
        self.settings = settings
        self._engine = engine
        self._elsewhere = Elsewhere()
        self._at_work: dict[asyncio.Task[Any], Any] = {}  # with the address and port of its client
        self._answered: set[asyncio.Task[Any]] = set()  # of them; what they still read is of no use

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        """Answers whatever happens: granian would make up a bare 500, for the client's faults too."""
        task = asyncio.current_task()
        assert task is not None
        self._at_work[task] = scope.get("client")
        settings = self.settings
        client = Client(receive, send, settings.body_limit_bytes)
        request = Request(scope)
        try:
            await self._serve(request, client, settings, task)
        except ClientGone:
            if client.head_sent or client.body_ended or not request.has_body:
                return
            logger.debug("HTTP request broken by its client: %s %.200s", request.method, request.path)
            answer = bad_request("The request body is not valid HTTP, or it ended early")
            with suppress(Exception):  # the client may be gone indeed
                await client.answer(_completed(answer, request, settings))
        finally:
            del self._at_work[task]
            self._answered.discard(task)

    def clients(self) -> set[Any]:
        """Address and port of all whose requests are at work."""
        return set(self._at_work.values())

    async def finish(self, limit_s: float) -> None:
        """Wait for the requests at work, so long; then break them off with a 503, or in the middle of a stream."""
        for task in self._answered:
            task.cancel()
        try:
            if self._at_work:
                await self._finish(limit_s)
        finally:
            self._elsewhere.close()

    async def _finish(self, limit_s: float) -> None:
        _, late = await asyncio.wait(self._at_work, timeout=limit_s)
        if late:
            logger.warning(
                "HTTP requests broken off: the engine stops and %s did not end within %g s", len(late), limit_s
            )
            for task in late:
                task.cancel()
            await asyncio.wait(late, timeout=ANSWER_S)

    async def _serve(self, request: Request, client: Client, settings: Settings, task: asyncio.Task[Any]) -> None:
        """Raises ClientGone, and StreamCut once a response cannot be completed: its connection is aborted."""
        exchange: Exchange | None = None
        answer: Answer | None
        try:
            _name(request, settings)
            answer = self._refusal(request, settings)
            if answer is None:
                found = self._find(request, settings)
                if isinstance(found, Answer):
                    answer = found
                else:
                    exchange = Exchange(self._engine, settings, request, found, client, self._elsewhere)
                    answer = await _in_turn(exchange, request)
            if answer is None:
                assert exchange is not None
                await _stream(request, client, settings, exchange)
                return
            await client.answer(_completed(answer, request, settings))
            if request.has_body:
                self._answered.add(task)
                await (client.drain() if exchange is None else exchange.drain())
        except asyncio.CancelledError:  # the engine stops
            if client.head_sent:
                raise
            await client.answer(_completed(unavailable("The server is shutting down"), request, settings))
        except (ClientGone, StreamCut):
            raise
        except Exception:
            logger.exception("HTTP request failed inside the engine")
            if client.head_sent:
                raise StreamCut from None
            await client.answer(_completed(internal_error("see above"), request, settings))
        finally:
            if exchange is not None:
                exchange.close()

    def _refusal(self, request: Request, settings: Settings) -> Answer | None:
        """What is answered before any route is looked up."""
        if not request.has_valid_host:
            return bad_request("The request has more than one Host header, or one that is not a host")
        if (
            request.method == "OPTIONS"
            and (wanted := request.headers.get("access-control-request-method")) is not None
            and isinstance(self.routes.match("OPTIONS", request.path), Missing)  # else it is the application's own (P2)
        ):
            headers = request.headers
            return settings.cors.preflight(headers.get("origin"), wanted, headers.get("access-control-request-headers"))
        if request.has_body and not request.is_plainly_encoded:
            return failure(501, "NOT_IMPLEMENTED", "The only transfer coding that is supported is `chunked`")
        limit = settings.body_limit_bytes
        if limit is not None and request.content_length > limit:
            return too_large()
        return None

    def _find(self, request: Request, settings: Settings) -> Match[Endpoint] | Answer:
        """The route, or the answer where there is none."""
        found = self.routes.match(request.method, request.path)
        if not isinstance(found, Missing):
            return found
        if request.method == "OPTIONS":
            answer = settings.cors.preflight(request.headers.get("origin"))
            if found.allowed:
                answer.headers.append((b"allow", ",".join(found.allowed).encode()))
            return answer
        if settings.openapi and request.path == PATH and request.method in ("GET", "HEAD"):
            document = openapi_document(self.routes, self._engine.functions, self._engine.options.version)
            return Answer(200, [JSON_TYPE], document)
        if self._away.has(request.method, request.path):
            return unavailable("The worker of this route is away")
        if found.allowed:
            answer = failure(405, "METHOD_NOT_ALLOWED", "Method Not Allowed")
            answer.headers.append((b"allow", ",".join(found.allowed).encode()))
            return answer
        if settings.not_found_function is not None:
            return _to_function(settings.not_found_function, request)
        return failure(404, "NOT_FOUND", "Not Found")


async def _in_turn(exchange: Exchange, request: Request) -> Answer | None:
    """Begin when there is a free slot; the clock of the response starts then (03 §A11). Raises ClientGone."""
    if request.has_body and (answer := await exchange.receive()) is not None:
        return answer
    if not exchange.take_slot():
        await exchange.wait_for_slot()
    try:
        return await exchange.begin()
    finally:
        exchange.give_back_slot()


async def _stream(request: Request, client: Client, settings: Settings, exchange: Exchange) -> None:
    """Raises ClientGone, StreamCut."""
    head = exchange.head
    headers = head.headers if head.status not in _LENGTHLESS else without_content_type(without_length(head.headers))
    await client.begin(_completed(Answer(head.status, headers, b""), request, settings))
    if request.method == "HEAD" or head.status in NO_BODY:
        await client.end()
    else:
        await exchange.stream()


def _completed(answer: Answer, request: Request, settings: Settings) -> Answer:
    """With what every response has."""
    headers = answer.headers
    if not answer.preflight:
        settings.cors.add_to(headers, request.headers.get("origin"))
    name = settings.request_id_header
    if name is not None and (value := request.headers.get(name)) is not None:
        headers.append((name.encode(), value.encode("latin-1")))
    for each, _ in headers:
        if each == b"server":
            return answer
    headers.append(settings.server)
    return answer


def _name(request: Request, settings: Settings) -> None:
    """Give the request an id, if that is wanted and it has none (03 §A2)."""
    if settings.request_id_header is not None:
        request.headers.setdefault(settings.request_id_header, new_id())


def _to_function(function_id: str, request: Request) -> Match[Endpoint]:
    """A route for this request alone."""
    config = HttpTriggerConfig(api_path=request.path)
    binding = Binding("", "http", function_id)
    route = Route(request.method, "/", Endpoint(binding, config), "", None)
    route.api_path = request.path
    return Match(route, {})
