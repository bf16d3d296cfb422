"""Functions that are endpoints of a real HTTP server (03 Part B)."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
from aiohttp import web

from iii.engine.engine import Engine, EngineOptions
from iii.engine.engine_functions import EngineFunctions
from iii.modules.http_functions.auth import signature
from iii.modules.http_functions.config import HttpFunctionsConfig, SecurityConfig
from iii.modules.http_functions.module import KEPT_CONNECTIONS, HttpFunctions
from iii.modules.http_functions.url_rules import UrlRules
from iii.protocol.start_failure import StartFailure
from iii.server.clock import LoopClock
from iii.server.listener import Listener
from iii.testing import FakeClock
from tests.integration.server.raw_socket import RawSocket
from tests.integration.server.waiting import until
from tests.processes import free_port

OPEN = SecurityConfig(block_private_ips=False, require_https=False)


class Endpoint:
    """A server that notes what it gets and answers as it is told."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, str, dict[str, str], bytes]] = []
        self.answer: Callable[[web.BaseRequest], Awaitable[web.StreamResponse]] = self._echo
        self.port = 0

    def url(self, path: str = "/hook") -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    async def serve(self, request: web.BaseRequest) -> web.StreamResponse:
        headers = {name.lower(): value for name, value in request.headers.items()}
        self.seen.append((request.method, request.path, headers, await request.read()))
        return await self.answer(request)

    async def _echo(self, request: web.BaseRequest) -> web.StreamResponse:
        return web.json_response({"from": request.path})


@pytest_asyncio.fixture
async def endpoint() -> AsyncIterator[Endpoint]:
    endpoint = Endpoint()
    runner = web.ServerRunner(web.Server(endpoint.serve), shutdown_timeout=0.05)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    endpoint.port = runner.addresses[0][1]
    yield endpoint
    await runner.cleanup()


class House:
    def __init__(self, engine: Engine, listener: Listener, module: HttpFunctions) -> None:
        self.engine = engine
        self.listener = listener
        self.module = module

    async def worker(self) -> RawSocket:
        return await RawSocket.greeted(self.listener.port)


@pytest_asyncio.fixture
async def open_house() -> AsyncIterator[Callable[..., Awaitable[House]]]:
    houses: list[House] = []

    async def open_house(security: SecurityConfig = OPEN) -> House:
        engine = Engine(LoopClock(asyncio.get_running_loop()), EngineOptions(grace_ms=0))
        engine.add_module(EngineFunctions(engine))
        module = HttpFunctions(engine, HttpFunctionsConfig(security=security))
        engine.add_module(module)
        await module.start()
        listener = Listener(engine, "127.0.0.1", 0, 10_000)
        await listener.open()
        houses.append(House(engine, listener, module))
        return houses[-1]

    yield open_house
    for house in houses:
        await house.module.quiet()
        await house.module.stop()
        await house.listener.close()


@pytest_asyncio.fixture
async def house(open_house: Callable[..., Awaitable[House]]) -> House:
    return await open_house()


@pytest_asyncio.fixture
async def worker(house: House) -> AsyncIterator[RawSocket]:
    async with await house.worker() as worker:
        yield worker


CALL = "0b0f9c1e-1111-4111-8111-111111111111"


def register(worker: RawSocket, function_id: str, url: str, **invocation: Any) -> None:
    worker.say({"type": "registerfunction", "id": function_id, "invocation": {"url": url, **invocation}})


async def call(worker: RawSocket, function_id: str, data: Any = None) -> dict[str, Any]:
    """The `invocationresult`."""
    worker.say({"type": "invokefunction", "invocation_id": CALL, "function_id": function_id, "data": data})
    while (message := await worker.json())["type"] != "invocationresult":
        pass
    return message


async def error_of(worker: RawSocket, function_id: str) -> tuple[str, str]:
    error = (await call(worker, function_id))["error"]
    return error["code"], error["message"]


async def test_03_check_55_a_post_with_everything(worker: RawSocket, endpoint: Endpoint) -> None:
    register(worker, "external::my_lambda", endpoint.url("/path?q=1"))
    answer = await call(worker, "external::my_lambda", {"hello": "world", "count": 1})
    assert answer["result"] == {"from": "/path"}
    ((method, path, headers, body),) = endpoint.seen
    assert (method, path) == ("POST", "/path")
    sent = json.loads(body)
    assert (sent["hello"], sent["count"]) == ("world", 1)
    assert len(sent["_caller_worker_id"]) == 36
    assert headers["content-type"] == "application/json"
    assert headers["x-iii-function-path"] == "external::my_lambda"
    assert headers["x-iii-invocation-id"] == CALL
    assert headers["x-iii-timestamp"].isdigit()
    assert headers["accept"] == "*/*"
    assert not headers.keys() & {"user-agent", "cookie", "accept-encoding"}


async def test_03_check_56_methods_headers_and_servers_of_their_own(worker: RawSocket, endpoint: Endpoint) -> None:
    register(worker, "a", endpoint.url("/a"), method="PUT", headers={"X-Custom-Header": "v"})
    register(worker, "b", endpoint.url("/b"), method="GET", headers=None)
    await call(worker, "a")
    await call(worker, "b", {"x": 1})
    assert [(method, path) for method, path, _, _ in endpoint.seen] == [("PUT", "/a"), ("GET", "/b")]
    assert endpoint.seen[0][2]["x-custom-header"] == "v"
    assert endpoint.seen[0][3] == b"null"
    assert b'"x":1' in endpoint.seen[1][3]


async def test_03_check_57_listed_and_gone_after_unregistering(worker: RawSocket, endpoint: Endpoint) -> None:
    register(worker, "a", endpoint.url())
    listed = (await call(worker, "engine::functions::list"))["result"]["functions"]
    assert "a" in [row["function_id"] for row in listed]
    worker.say({"type": "unregisterfunction", "id": "a"})
    assert (await error_of(worker, "a"))[0] == "function_not_found"
    assert endpoint.seen == []


async def test_03_check_58_59_auth(worker: RawSocket, endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_SECRET", "s3cret")
    register(worker, "bearer", endpoint.url(), auth={"type": "bearer", "token_key": "MY_SECRET"})
    register(worker, "key", endpoint.url(), auth={"type": "api_key", "header": "X-Key", "value_key": "MY_SECRET"})
    register(worker, "hmac", endpoint.url(), auth={"type": "hmac", "secret_key": "MY_SECRET"})
    register(worker, "missing", endpoint.url(), auth={"type": "bearer", "token_key": "NO_SUCH_SECRET"})
    for name in ("bearer", "key", "hmac"):
        assert "error" not in await call(worker, name, {"a": 1})
    bearer, key, hmac = endpoint.seen
    assert bearer[2]["authorization"] == "Bearer s3cret"
    assert key[2]["x-key"] == "s3cret"
    assert hmac[2]["x-iii-signature"] == signature("s3cret", hmac[3], hmac[2]["x-iii-timestamp"])
    assert await error_of(worker, "missing") == (  # newcomer M9: its caller learns why
        "function_not_found",
        "Function missing not found in namespace default. "
        "Its registration was refused: token_not_found: Token not found: NO_SUCH_SECRET.",
    )
    monkeypatch.setenv("NO_SUCH_SECRET", "there now")
    register(worker, "missing", endpoint.url(), auth={"type": "bearer", "token_key": "NO_SUCH_SECRET"})
    assert "error" not in await call(worker, "missing")
    worker.say({"type": "unregisterfunction", "id": "missing"})
    assert await error_of(worker, "missing") == (
        "function_not_found",
        "Function missing not found in namespace default.",
    )
    monkeypatch.setenv("MY_SECRET", "rotated")
    await call(worker, "bearer")
    assert endpoint.seen[-1][2]["authorization"] == "Bearer rotated"
    monkeypatch.delenv("MY_SECRET")
    assert await error_of(worker, "bearer") == ("token_not_found", "Token not found: MY_SECRET")


async def test_03_check_60_responses(worker: RawSocket, endpoint: Endpoint) -> None:
    register(worker, "f", endpoint.url())

    async def answer(status: int, text: str) -> dict[str, Any]:
        async def respond(request: web.BaseRequest) -> web.StreamResponse:
            return web.Response(status=status, text=text or None, headers={"Location": endpoint.url("/elsewhere")})

        endpoint.answer = respond
        return await call(worker, "f")

    assert "result" not in await answer(204, "")
    assert (await answer(200, "<html>"))["error"]["code"] == "invalid_response"
    assert "error" not in await answer(302, "<html>")
    upstream = await answer(502, '{"error":{"code":"upstream_failure","message":"gateway failed"}}')
    assert (upstream["error"]["code"], upstream["error"]["message"]) == ("upstream_failure", "gateway failed")
    assert {path for _, path, _, _ in endpoint.seen} == {"/hook"}  # nothing was followed


async def test_03_check_61_timeouts_and_closed_ports(worker: RawSocket, endpoint: Endpoint) -> None:
    async def hang(request: web.BaseRequest) -> web.StreamResponse:
        await asyncio.Event().wait()
        return web.Response()

    async def hang_in_body(request: web.BaseRequest) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"{")
        await asyncio.Event().wait()
        return response

    closed = free_port()
    register(worker, "slow", endpoint.url(), timeout_ms=100)
    register(worker, "closed", f"http://127.0.0.1:{closed}/")
    endpoint.answer = hang
    code, text = await error_of(worker, "slow")
    assert (code, "timed out" in text) == ("http_request_failed", True)
    endpoint.answer = hang_in_body
    for timeout_ms in (100, 1000, 10_000):  # it needs some of that for the head of the response, on a loaded machine
        register(worker, f"slow for {timeout_ms}", endpoint.url(), timeout_ms=timeout_ms)
        code, text = await error_of(worker, f"slow for {timeout_ms}")
        if code == "http_response_failed":
            break
    assert (code, "timed out" in text) == ("http_response_failed", True)
    code, text = await error_of(worker, "closed")
    assert (code, "connect" in text.lower()) == ("http_request_failed", True)


async def test_03_check_62_strict_settings(
    open_house: Any, endpoint: Endpoint, caplog: pytest.LogCaptureFixture
) -> None:
    house = await open_house(SecurityConfig())
    async with await house.worker() as worker:
        for url, text in (
            ("https://10.0.0.1", "Private IP blocked"), ("http://example.com", "HTTPS is required"),
            ("://bad-url", "Invalid URL"), ("https://nonexistent.invalid", "DNS lookup failed"),
            ("https://localhost.", "Private IP blocked"),
        ):  # fmt: skip
            caplog.clear()
            register(worker, "f", url)
            expected = f"url_validation_failed: {text}"
            async with asyncio.timeout(60):
                while expected not in caplog.text:  # noqa: ASYNC110  # a log line has no event
                    await asyncio.sleep(0.001)
            assert (await error_of(worker, "f"))[0] == "function_not_found"
        assert worker.reader.at_eof() is False


async def test_dns_rebinding_meets_the_same_check_at_the_connection(
    open_house: Any, endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first answer is public, the one that would be connected to is not."""
    house = await open_house(SecurityConfig(require_https=False))
    loop = asyncio.get_running_loop()
    real = loop.getaddrinfo
    lookups: list[str] = []

    async def rebinding(host: Any, port: Any, **options: Any) -> Any:
        if host != "rebinding.example":
            return await real(host, port, **options)
        lookups.append(host)
        address = "93.184.216.34" if len(lookups) == 1 else "127.0.0.1"
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))]

    monkeypatch.setattr(loop, "getaddrinfo", rebinding)
    async with await house.worker() as worker:
        register(worker, "f", f"http://rebinding.example:{endpoint.port}/")
        await until(lambda: lookups)
        assert await error_of(worker, "f") == ("url_validation_failed", "Private IP blocked")
    assert endpoint.seen == []


@pytest.mark.parametrize(
    "resolved",
    [
        ("127.0.0.1",), ("93.184.216.34", "127.0.0.1"), ("::1",), ("::ffff:127.0.0.1",), ("64:ff9b::7f00:1",), ("2002:7f00:1::",),
        ("fe80::1%1",), ("2606:4700::1111", "fd00::1"), ("0.0.0.0",), ("169.254.169.254",),
    ],
)  # fmt: skip
async def test_03_B4_every_address_of_a_name_is_judged_when_it_is_called(
    open_house: Any, endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch, resolved: tuple[str, ...]
) -> None:
    """Public when it was registered; one private address among those of the call is enough."""
    house = await open_house(SecurityConfig(require_https=False))
    loop = asyncio.get_running_loop()
    lookups: list[str] = []

    async def rebinding(host: Any, port: Any, **options: Any) -> Any:
        lookups.append(host)
        found = ("93.184.216.34",) if len(lookups) == 1 else resolved
        return [(socket.AF_INET6 if ":" in each else socket.AF_INET, 1, 6, "", (each, port)) for each in found]

    monkeypatch.setattr(loop, "getaddrinfo", rebinding)
    async with await house.worker() as worker:
        register(worker, "f", f"http://rebinding.example:{endpoint.port}/")
        await until(lambda: lookups)
        assert await error_of(worker, "f") == ("url_validation_failed", "Private IP blocked")
    assert endpoint.seen == []


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_03_B4_no_redirect_is_followed(worker: RawSocket, endpoint: Endpoint, status: int) -> None:
    """The address that it leads to was judged by nobody."""

    async def redirect(request: web.BaseRequest) -> web.StreamResponse:
        return web.Response(status=status, headers={"location": f"http://0x7f.1:{endpoint.port}/secret"})

    endpoint.answer = redirect
    register(worker, "f", endpoint.url())
    assert "error" not in await call(worker, "f")
    assert [path for _, path, _, _ in endpoint.seen] == ["/hook"]


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz-SECRET\r\n", b"SECRET no http at all\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nx: " + b"SECRET" * 5000 + b"\r\n\r\n", b"", b"HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\nSECRET",
        b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 6\r\n\r\nSECRET",
        b"HTTP/1.1 200 OK\r\ncontent-length: x-SECRET\r\n\r\n", b"HTTP/1.1 SECRET OK\r\n\r\n",
    ],
)  # fmt: skip
async def test_http_M3_what_an_upstream_breaks_tells_no_secret(worker: RawSocket, answer: bytes) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    register(worker, "f", f"http://user:SECRET@127.0.0.1:{port}/SECRET?api_key=SECRET#SECRET")
    code, text = await error_of(worker, "f")
    assert code in ("http_request_failed", "http_response_failed")
    assert text.startswith("127.0.0.1: ")
    assert "SECRET" not in text
    server.close()
    await server.wait_closed()


async def test_T9_whatever_the_check_raises_is_a_refusal(
    house: House,
    worker: RawSocket,
    endpoint: Endpoint,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def broken(rules: UrlRules, text: str) -> Any:
        raise RuntimeError(text)

    monkeypatch.setattr(UrlRules, "check", broken)
    register(worker, "f", endpoint.url())
    assert (await error_of(worker, "f"))[0] == "function_not_found"
    assert 'reason="the engine failed to check the registration (RuntimeError)"' in caplog.text
    monkeypatch.undo()
    register(worker, "f", "http://xn--/")
    register(worker, "g", endpoint.url())
    assert (await error_of(worker, "f"))[0] == "function_not_found"
    assert (await call(worker, "g"))["result"]


async def test_a_response_without_end_is_cut(worker: RawSocket, endpoint: Endpoint) -> None:
    async def flood(request: web.BaseRequest) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        try:
            while True:
                await response.write(bytes(2**20))
        except (ConnectionError, aiohttp.ClientError):
            return response

    endpoint.answer = flood
    register(worker, "f", endpoint.url())
    assert await error_of(worker, "f") == ("http_response_failed", "the response exceeds the limit of 16 MiB")


async def test_responses_are_bounded_together(
    house: House, worker: RawSocket, endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("iii.modules.http_functions.module.ALL_RESPONSES_BYTES", 1000)
    half_sent, going_on = asyncio.Event(), asyncio.Event()

    async def slow(request: web.BaseRequest) -> web.StreamResponse:
        if request.path == "/large":
            return web.json_response(["x" * 600])
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b'["' + b"x" * 600)
        half_sent.set()
        await going_on.wait()
        await response.write(b'"]')
        return response

    endpoint.answer = slow
    register(worker, "slow", endpoint.url("/slow"))
    register(worker, "large", endpoint.url("/large"))
    slow_id = "0b0f9c1e-1111-4111-8111-222222222222"
    worker.say({"type": "invokefunction", "invocation_id": slow_id, "function_id": "slow", "data": {}})
    await half_sent.wait()
    await until(lambda: house.module.received_bytes)
    code, text = await error_of(worker, "large")
    assert (code, "too many large responses" in text) == ("http_response_failed", True)
    going_on.set()
    while (message := await worker.json()).get("invocation_id") != slow_id:
        pass
    assert message["result"] == ["x" * 600]
    assert (await call(worker, "large"))["result"] == ["x" * 600]
    assert house.module.received_bytes == 0


async def test_03_check_64_it_goes_with_its_worker(house: House, endpoint: Endpoint) -> None:
    async with await house.worker() as caller:
        async with await house.worker() as worker:
            register(worker, "f", endpoint.url())
            assert (await call(worker, "f"))["result"]
        await until(lambda: len(house.engine.roster.connections) == 1)
        assert (await error_of(caller, "f"))[0] == "function_not_found"


def test_03_B1_a_bad_pattern_ends_the_start() -> None:
    engine = Engine(FakeClock())
    with pytest.raises(StartFailure, match=r"Invalid URL$"):
        HttpFunctions(engine, HttpFunctionsConfig(security=SecurityConfig(url_allowlist=("[invalid",))))


async def test_03_B3_no_more_than_50_idle_connections_stay(worker: RawSocket, endpoint: Endpoint) -> None:
    connections: set[asyncio.BaseTransport] = set()
    all_there = asyncio.Event()
    calls = 2 * KEPT_CONNECTIONS

    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        assert request.transport is not None
        connections.add(request.transport)
        if len(connections) == calls:
            all_there.set()
        await all_there.wait()
        return web.json_response({})

    endpoint.answer = answer
    register(worker, "hook", endpoint.url())
    for number in range(calls):
        call_id = f"0b0f9c1e-1111-4111-8111-{number:012}"
        worker.say({"type": "invokefunction", "invocation_id": call_id, "function_id": "hook", "data": {}})
    for _ in range(calls):
        while (message := await worker.json())["type"] != "invocationresult":
            pass
        assert "error" not in message
    await until(lambda: sum(not each.is_closing() for each in connections) <= KEPT_CONNECTIONS)
    assert "error" not in await call(worker, "hook")
    assert len(connections) == calls  # it went over one of those that were kept
