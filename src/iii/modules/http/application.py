"""The ASGI application: every request that reaches the HTTP port (03 §A4.5, §A8, §A10, §A11)."""

from __future__ import annotations

import asyncio
import logging
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from iii.modules.http.answer import (
    JSON_TYPE,
    Answer,
    Answered,
    bad_request,
    refusal,
    too_large,
    unavailable,
)
from iii.modules.http.away_routes import AwayRoutes
from iii.modules.http.client import Client, ClientGone, Receive, Send
from iii.modules.http.codes import METHOD_NOT_ALLOWED, NO_ROUTE, NOT_IMPLEMENTED
from iii.modules.http.durations import CLIENT_LEFT, RequestDurations
from iii.modules.http.exchange import Exchange
from iii.modules.http.failure import internal_error
from iii.modules.http.openapi import PATH, openapi_document
from iii.modules.http.request import Request
from iii.modules.http.request_span import begin_span, end_span
from iii.modules.http.routes import NoRoute, RouteTable
from iii.modules.http.streamed import StreamCut, StreamedResponse
from iii.modules.http.trigger_config import Endpoint
from iii.net.decoding import DecodingProcesses
from iii.protocol.ids import new_id
from iii.protocol.log_event import LogEvent
from iii.protocol.names import DEFAULT_NAMESPACE
from iii.protocol.tracecontext import ids_of

if TYPE_CHECKING:
    from iii.engine.engine import Engine
    from iii.modules.http.settings import Settings

REQUEST_BROKEN = LogEvent(
    __name__, "http.request_broken", logging.DEBUG, "HTTP request broken off by its client",
    means="The body is not valid HTTP, or the client left before it was complete.",
)  # fmt: skip
REQUESTS_STOPPED = LogEvent(
    __name__, "http.requests_stopped", logging.WARNING, "HTTP requests broken off: the engine is stopping",
    means="Requests did not end in time; their clients have 503, or a stream that breaks off.",
    do="If it happens again, look at what the handlers wait for.",
)  # fmt: skip
REQUEST_FAILED = LogEvent(
    __name__, "http.request_failed", logging.ERROR, "HTTP request failed inside the engine",
    means="The engine itself raised; the client has 500, or a stream that breaks off.",
    do="Report it with its stack trace.",
)  # fmt: skip

ANSWER_S = 0.5  # for a request that was broken off to say so


class HttpApplication:
    """Leads requests to functions."""

    def __init__(self, engine: Engine, routes: RouteTable[Endpoint], away: AwayRoutes, settings: Settings) -> None:
        self._routes = routes
        self._away = away
        self._settings = settings
        self._engine = engine
        self.durations = RequestDurations()
        self._decoding = DecodingProcesses()
        self._at_work: dict[asyncio.Task[Any], Any] = {}  # with the address and port of its client
        self._answered: set[asyncio.Task[Any]] = set()  # of them; what they still read is of no use

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        """Answers whatever happens: granian would make up a bare 500, for the client's faults too."""
        task = asyncio.current_task()
        assert task is not None
        self._at_work[task] = scope.get("client")
        client = Client(receive, send, self._settings.body_limit_bytes)
        request = Request(scope)
        began = time.perf_counter()
        try:
            await self._serve(request, client, task)
        except ClientGone:
            if client.head_sent or client.body_ended or not request.has_body:
                return
            REQUEST_BROKEN(method=request.method, path=request.path[:200])
            answer = bad_request("The request body is not valid HTTP, or it ended early")
            with suppress(Exception):  # the client may be gone indeed
                await client.answer(self._completed(answer, request))
        finally:
            del self._at_work[task]
            self._answered.discard(task)
            if request.span is not None:
                end_span(request, request.span, client.status)
            self._over(request, client, time.perf_counter() - began, scope)

    def adjust(self, settings: Settings) -> None:
        """Requests that begin from now on have other settings."""
        self._settings = settings

    @property
    def open_requests(self) -> int:
        """How many have not had their whole answer yet."""
        return len(self._at_work)

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
            self._decoding.close()

    async def _finish(self, limit_s: float) -> None:
        _, late = await asyncio.wait(self._at_work, timeout=limit_s)
        if late:
            REQUESTS_STOPPED(requests=len(late), limit_s=limit_s)
            for task in late:
                task.cancel()
            await asyncio.wait(late, timeout=ANSWER_S)

    def _over(self, request: Request, client: Client, seconds: float, scope: dict[str, Any]) -> None:
        """A request has had its response, or its client has left."""
        self.durations.took(request.method, request.route, client.status or CLIENT_LEFT, seconds)

    async def _serve(self, request: Request, client: Client, task: asyncio.Task[Any]) -> None:
        """Raises ClientGone, and StreamCut once a response cannot be completed: its connection is aborted."""
        exchange: Exchange | None = None
        response: Answer | StreamedResponse
        try:
            self._name(request)
            try:
                self._check(request)
                endpoint, path_params = self._find(request)
                exchange = Exchange(
                    self._engine, self._settings, request, endpoint, path_params, client, self._decoding
                )
                response = await exchange.response()
            except Answered as refused:
                response = refused.answer
            if isinstance(response, StreamedResponse):
                await client.begin(self._completed(response.head, request))
                await response.send(request.method)
                return
            await client.answer(self._completed(response, request))
            if request.has_body and not client.body_ended:
                if request.span is not None:  # what is still read of the body is no part of it
                    end_span(request, request.span, client.status)
                self._answered.add(task)
                await (client.drain() if exchange is None else exchange.drain())
        except asyncio.CancelledError:  # the engine stops
            request.failed = True
            if client.head_sent:
                raise
            await client.answer(self._completed(unavailable("The server is shutting down"), request))
        except (ClientGone, StreamCut):
            raise
        except Exception as error:
            REQUEST_FAILED(error, **ids_of(request.traceparent))
            request.failed = True
            if client.head_sent:
                raise StreamCut from None
            await client.answer(self._completed(internal_error("see above", request), request))
        finally:
            if exchange is not None:
                exchange.close()

    def _check(self, request: Request) -> None:
        """What is answered before any route is looked up. Raises Answered."""
        if not request.has_valid_host:
            raise Answered(bad_request("The request must have exactly one valid Host header"))
        if (
            request.method == "OPTIONS"
            and (wanted := request.headers.get("access-control-request-method")) is not None
            and isinstance(
                self._routes.match("OPTIONS", request.path), NoRoute
            )  # else it is the application's own (P2)
        ):
            origin, headers = request.headers.get("origin"), request.headers.get("access-control-request-headers")
            raise Answered(self._settings.cors.preflight(origin, wanted, headers))
        if request.has_body and not request.is_plainly_encoded:
            text = "Unsupported transfer coding: only `chunked` is supported"
            raise Answered(refusal(NOT_IMPLEMENTED, text))
        limit = self._settings.body_limit_bytes
        if limit is not None and request.content_length > limit:
            raise Answered(too_large())

    def _find(self, request: Request) -> tuple[Endpoint, dict[str, str]]:
        """Where the request leads, with its path parameters. Raises Answered where there is no route."""
        found = self._routes.match(request.method, request.path)
        if not isinstance(found, NoRoute):
            endpoint = request.endpoint = found.route.target
            request.route = endpoint.api_path
            tracer = self._engine.router.tracer
            if tracer is not None:
                begin_span(tracer, request, endpoint, self._settings.trusts_proxy)
            return endpoint, found.path_params
        allow = (b"allow", ",".join(found.allowed).encode())
        if request.method == "OPTIONS":
            answer = self._settings.cors.preflight(request.headers.get("origin"))
            if found.allowed:
                answer.headers.append(allow)
            raise Answered(answer)
        if self._settings.openapi and request.path == PATH and request.method in ("GET", "HEAD"):
            document = openapi_document(self._routes, self._engine.functions, self._engine.options.version)
            raise Answered(Answer(200, [JSON_TYPE], document))
        if self._away.has(request.method, request.path):
            raise Answered(unavailable("The worker of this route is away"))
        if found.allowed:
            answer = refusal(METHOD_NOT_ALLOWED, "Method Not Allowed")
            answer.headers.append(allow)
            raise Answered(answer)
        if (function_id := self._settings.not_found_function) is not None:
            request.endpoint = Endpoint(function_id, DEFAULT_NAMESPACE, request.path)
            return request.endpoint, {}
        raise Answered(refusal(NO_ROUTE, "Not Found"))

    def _completed(self, answer: Answer, request: Request) -> Answer:
        """With what every response has."""
        headers, settings = answer.headers, self._settings
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

    def _name(self, request: Request) -> None:
        """Give the request an id, if that is wanted and it has none (03 §A2)."""
        if self._settings.request_id_header is not None:
            request.headers.setdefault(self._settings.request_id_header, new_id())
