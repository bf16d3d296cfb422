"""The ports of the engine behind the console's: its HTTP routes and its streams (23 §8)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import aiohttp
from aiohttp import WSMsgType, web
from yarl import URL

from iii.console.application import CSRF_HEADER, SAFE_HEADERS, body_of
from iii.console.live.socket import LOGGED_OUT
from iii.console.refusal import Refusal
from iii.net.listening import in_url
from iii.protocol.limits import MIB

if TYPE_CHECKING:
    from iii.console.application import Reception
    from iii.console.engine_place import EnginePlace
    from iii.console.visitor import Visitor
    from iii.net.picows_side import TlsClient

_PREFIX = "/api/engine"
CONNECT_S, TOTAL_S = 5.0, 30.0
_FRAME_BYTES = 16 * MIB
_HOP_BY_HOP = frozenset(
    {
        "connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "proxy-connection", "te", "trailer", "trailers",
        "transfer-encoding", "upgrade",
    }
)  # fmt: skip
# The body is unpacked already
_NOT_SENT = _HOP_BY_HOP | {
    "host", "content-encoding", "content-length", "cookie", "expect", "origin", "referer", CSRF_HEADER.lower(),
}  # fmt: skip
# What comes back is somebody else's: it may neither set the console's cookies nor say what its pages may do, or who may read it
_NOT_ANSWERED = _HOP_BY_HOP | {
    "content-length", "set-cookie", "content-security-policy", "clear-site-data", "service-worker-allowed", "x-frame-options",
    "strict-transport-security", "alt-svc", "report-to", "reporting-endpoints", "nel", "cross-origin-opener-policy",
    "cross-origin-resource-policy", "access-control-allow-origin", "access-control-allow-credentials", "server",
}  # fmt: skip
# Of what a browser wants: its pages may fetch, and a person may open an address; nothing of it is ever a script or a style of a page
_DESTINATIONS = frozenset({"empty", "document"})
_POLICY = "sandbox; default-src 'none'; frame-ancestors 'none'"


class Proxy:
    """For visitors who may do there what everybody may who reaches those ports."""

    def __init__(self, reception: Reception, place: Callable[[], EnginePlace]) -> None:
        self._reception = reception
        self._place = place
        self._session: aiohttp.ClientSession | None = None

    def routes(self) -> list[web.RouteDef]:
        """After those of the console itself."""
        return [
            web.route("*", f"{_PREFIX}/{{path:.*}}", self._forward),
            web.get("/ws/streams", self._streams),
        ]

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()

    def _client(self) -> aiohttp.ClientSession:
        if self._session is None:
            timeout = aiohttp.ClientTimeout(total=TOTAL_S, connect=CONNECT_S)
            self._session = aiohttp.ClientSession(
                timeout=timeout, auto_decompress=False, cookie_jar=aiohttp.DummyCookieJar(), skip_auto_headers=("User-Agent",)
            )  # fmt: skip
        return self._session

    def _checked(self, request: web.Request) -> Visitor:
        """Raises Refusal."""
        visitor = self._reception.desk(request).visitor
        if not visitor.door.may_proxy:
            raise Refusal(
                403, "function 'engine::console::proxy' not allowed (add to rbac.expose_functions)", "FORBIDDEN"
            )
        return visitor

    async def _forward(self, request: web.Request) -> web.StreamResponse:
        self._checked(request)
        if request.headers.get("Sec-Fetch-Dest", "empty") not in _DESTINATIONS:
            raise Refusal(403, "what the engine's HTTP port answers is not part of a page", "FORBIDDEN")
        place = self._place()
        if place.http_port is None:
            raise Refusal(502, "the engine serves no HTTP routes: `iii-http` does not run", "NO_HTTP")
        body = await body_of(request)
        if not request.raw_path.startswith(f"{_PREFIX}/"):
            raise Refusal(400, f"expected a request for a path that begins with {_PREFIX}/", "BAD_REQUEST")
        path = request.raw_path.removeprefix(_PREFIX)
        scheme = "http" if place.http_tls is None else "https"
        url = URL(f"{scheme}://{in_url(place.host)}:{place.http_port}{path}", encoded=True)
        headers = _without(request.headers, _NOT_SENT)
        try:
            async with self._client().request(
                request.method,
                url,
                data=body or None,
                headers=headers,
                allow_redirects=False,
                **_secured(place.http_tls),
            ) as answer:
                return await _passed_on(request, answer)
        except TimeoutError:
            raise Refusal(504, f"the HTTP port of the engine did not answer within {TOTAL_S:g} s", "TIMEOUT") from None
        except aiohttp.ClientError as error:
            raise Refusal(502, f"the HTTP port of the engine cannot be reached: {error}", "ENGINE_AWAY") from None

    async def _streams(self, request: web.Request) -> web.StreamResponse:
        visitor = self._checked(request)
        place = self._place()
        page = web.WebSocketResponse(max_msg_size=_FRAME_BYTES, compress=False, heartbeat=25.0, timeout=1.0)
        if not page.can_prepare(request):
            raise Refusal(426, "this path is for WebSockets", "NO_WEBSOCKET")
        await page.prepare(request)
        if place.stream_port is not None:
            scheme = "ws" if place.stream_tls is None else "wss"
            url = f"{scheme}://{in_url(place.host)}:{place.stream_port}/"
            secured = _secured(place.stream_tls)
            try:
                async with self._client().ws_connect(url, max_msg_size=_FRAME_BYTES, **secured) as stream:
                    await _both_ways(page, stream, visitor)
            except (aiohttp.ClientError, TimeoutError):
                pass  # the page's socket just closes
        await page.close()
        return page


def _without(headers: Mapping[str, str], names: frozenset[str]) -> list[tuple[str, str]]:
    """Neither those, nor what is for one connection only."""
    named = {name.strip().lower() for name in headers.get("Connection", "").split(",")}
    return [(name, value) for name, value in headers.items() if name.lower() not in names | named]


def _secured(tls: TlsClient | None) -> dict[str, Any]:
    """Arguments of a request to a port with TLS."""
    return {} if tls is None else {"ssl": tls.context, "server_hostname": tls.server_name}


async def _passed_on(request: web.Request, answer: aiohttp.ClientResponse) -> web.StreamResponse:
    """Piece by piece: nobody knows how long it is. One that breaks off does so for the browser too."""
    if answer.status < 200:
        raise Refusal(
            502,
            f"the HTTP port of the engine answered {answer.status}: another protocol, that no page wants",
            "BAD_ANSWER",
        )
    response = web.StreamResponse(status=answer.status)
    for name, value in _without(answer.headers, _NOT_ANSWERED):
        response.headers.add(name, value)
    response.headers.update(SAFE_HEADERS)
    response.headers["Content-Security-Policy"] = _POLICY
    if answer.content_length is not None:
        response.content_length = answer.content_length
    await response.prepare(request)
    try:
        async for piece in answer.content.iter_chunked(64 * 1024):
            await response.write(piece)
    except (TimeoutError, aiohttp.ClientError):
        if request.transport is not None:
            request.transport.abort()  # its head is sent: whatever else is said now would be taken for its body
        return response
    await response.write_eof()
    return response


async def _both_ways(page: web.WebSocketResponse, stream: aiohttp.ClientWebSocketResponse, visitor: Visitor) -> None:
    """Until one side leaves, or the login ends."""
    logged_out = asyncio.Event()
    forget = visitor.when_ended(logged_out.set)
    ways = [asyncio.ensure_future(each) for each in (_one_way(page, stream), _one_way(stream, page), logged_out.wait())]
    try:
        await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
    finally:
        forget()
        for way in ways:
            way.cancel()
        await asyncio.gather(*ways, return_exceptions=True)
    if logged_out.is_set():
        await page.close(code=LOGGED_OUT, message=b"logged out")
    elif stream.close_code is not None:
        await page.close(code=stream.close_code)


async def _one_way(
    origin: web.WebSocketResponse | aiohttp.ClientWebSocketResponse,
    to: web.WebSocketResponse | aiohttp.ClientWebSocketResponse,
) -> None:
    async for message in origin:
        if message.type is WSMsgType.TEXT:
            await to.send_str(message.data)
        elif message.type is WSMsgType.BINARY:
            await to.send_bytes(message.data)
