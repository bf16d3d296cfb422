"""`iii-http-functions`: registers and calls functions that are HTTP endpoints (03 Part B)."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from typing import Any, ClassVar

import aiohttp
from yarl import URL

from iii.engine.engine import Engine
from iii.engine.functions import Function
from iii.engine.invocation import Invocation
from iii.engine.module import Adjusted, Module
from iii.modules.http_functions.auth import Secrets
from iii.modules.http_functions.codes import HTTP_REQUEST_FAILED, HTTP_RESPONSE_FAILED
from iii.modules.http_functions.config import HttpFunctionsConfig
from iii.modules.http_functions.outgoing import body_of, check_headers, headers_of, result_of
from iii.modules.http_functions.url_rules import UrlRefused, UrlRules
from iii.net.addresses import AddressRefused
from iii.net.exchange_causes import cause_of
from iii.net.guarded_resolver import GuardedResolver
from iii.protocol.errors import InvocationError
from iii.protocol.limits import MIB
from iii.protocol.log_event import LogEvent
from iii.protocol.start_failure import StartFailure
from iii.protocol.task_set import TaskSet
from iii.protocol.tracecontext import ids_of

REGISTRATION_REFUSED = LogEvent(
    __name__, "http_function.not_registered", logging.ERROR, "HTTP function not registered",
    means="The host name of an HTTP function has an address that is not allowed; the function is withdrawn.",
    do="Correct its URL; for hosts of your own network set `block_private_ips: false` in `security` of `iii-http-functions`.",
)  # fmt: skip
CALL_FAILED = LogEvent(
    __name__, "http_function.call_failed", logging.ERROR, "Call of an HTTP function failed inside the engine",
    means="The engine itself raised; the caller has `http_request_failed`.",
    do="Report it with its stack trace.",
)  # fmt: skip
WORK_FAILED = LogEvent(
    __name__, "http_function.check_failed", logging.ERROR, "Task of an HTTP function failed inside the engine",
    means="The engine itself raised after a check or a call.",
    do="Report it with its stack trace.",
)  # fmt: skip

TIMEOUT_MS = 30_000  # Time-out of a call by URL whose registration names none.
RESPONSE_BYTES = 16 * MIB  # Longest response of a call by URL.
ALL_RESPONSES_BYTES = 256 * MIB  # Most bytes of all such responses that are being received.
KEPT_CONNECTIONS = 50  # for each host; calls beyond that at once use connections of their own (03 §B3)
STOP_S = 5.0  # for calls under way (L4)


class HttpFunctions(Module):
    """A registration with `invocation` is checked here, and its calls are made here instead of at its worker."""

    name = "iii-http-functions"
    description = "Expose external HTTP endpoints from config as callable functions."
    Config: ClassVar = HttpFunctionsConfig
    removable: ClassVar = False  # functions that are URLs call it

    def __init__(self, engine: Engine, config: HttpFunctionsConfig | None = None, instance: str | None = None) -> None:
        super().__init__(engine, instance)
        security = (config or HttpFunctionsConfig()).security
        self._secrets = Secrets(security.env_allowlist)
        try:
            self._rules = UrlRules(security)
        except UrlRefused as error:
            raise StartFailure(f"{self.name}: security.{error.message}", ("security", "url_allowlist")) from None
        self._resolver = GuardedResolver(self._rules.blocks_private_addresses)
        self._session: aiohttp.ClientSession | None = None
        self._tasks = TaskSet(WORK_FAILED)
        self._under_way: Counter[URL] = Counter()  # calls by origin
        self.received_bytes = 0  # of responses that are not complete yet
        engine.functions.call_urls(self)

    async def start(self) -> None:
        connector = aiohttp.TCPConnector(resolver=self._resolver, use_dns_cache=False, limit=0)
        self._session = aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            skip_auto_headers=("User-Agent", "Accept-Encoding"),
        )

    async def adjust(self, config: Any) -> Adjusted:
        """Functions that are registered were checked by the old ones."""
        return Adjusted.ENGINE

    async def quiet(self) -> None:
        if not await self._tasks.wait(STOP_S):
            self._tasks.cancel()

    async def stop(self) -> None:
        if self._session is not None:
            await self._session.close()

    def take(self, function: Function) -> None:
        """Check URL, headers and secrets now; a name's addresses in the background (03 §B2). Raises InvocationError."""
        target = function.invocation
        assert target is not None  # so the core says
        url = self._rules.check(target.url)
        check_headers(target)
        if target.auth is not None:
            self._secrets.auth_header(target.auth, b"", "0")
        if self._rules.blocks_private_addresses:
            self._tasks.spawn(self._check_name(url.raw_host or "", function))

    def deliver(self, invocation: Invocation, function: Function) -> None:
        """Call the URL of a function."""
        self._tasks.spawn(self._call(invocation, function))

    async def _check_name(self, host: str, function: Function) -> None:
        try:
            await self._resolver.resolve(host)
        except AddressRefused as error:
            why = f"url_validation_failed: {error}"
            REGISTRATION_REFUSED(function=function.id, reason=why)
            ownership = self.engine.functions.ownership
            if function in ownership.claims_of(function.owner):  # not replaced meanwhile
                ownership.release(function.key, function.owner)
                self.engine.functions.refuse(function.key, why)

    async def _call(self, invocation: Invocation, function: Function) -> None:
        try:
            invocation.complete(await self._ask(invocation, function))
        except InvocationError as error:
            invocation.refuse(error)
        except Exception as error:
            CALL_FAILED(error, function=function.id, **ids_of(invocation.traceparent))
            invocation.refuse(HTTP_REQUEST_FAILED("the call failed inside the engine"))

    async def _ask(self, invocation: Invocation, function: Function) -> bytes | None:
        target = function.invocation
        assert target is not None
        assert self._session is not None  # started
        url = self._rules.check(target.url)
        body = body_of(invocation)
        headers = headers_of(invocation, function, body, self.engine.clock.time_ms() // 1000, self._secrets)
        origin = url.origin()
        if self._under_way[origin] >= KEPT_CONNECTIONS:
            headers["Connection"] = "close"
        self._under_way[origin] += 1
        timeout_ms = TIMEOUT_MS if target.timeout_ms is None else target.timeout_ms
        response: aiohttp.ClientResponse | None = None
        try:
            async with (
                asyncio.timeout(timeout_ms / 1000),
                self._session.request(
                    target.method or "POST", url, data=body, headers=headers, allow_redirects=False, timeout=_NO_TIMEOUT
                ) as response,
            ):
                return result_of(response.status, await self._content(response))
        except TimeoutError:
            code = HTTP_REQUEST_FAILED if response is None else HTTP_RESPONSE_FAILED
            raise code(f"{url.host} timed out after {timeout_ms} ms") from None
        except (aiohttp.ClientError, ValueError) as error:
            if isinstance(error, aiohttp.ClientConnectorError) and isinstance(error.os_error, AddressRefused):
                raise UrlRefused(str(error.os_error)) from None
            code = HTTP_REQUEST_FAILED if response is None else HTTP_RESPONSE_FAILED
            raise code(f"{url.host}: {cause_of(error)}") from None
        finally:
            self._under_way[origin] -= 1
            if not self._under_way[origin]:
                del self._under_way[origin]

    async def _content(self, response: aiohttp.ClientResponse) -> bytes:
        """Raises InvocationError."""
        content = bytearray()
        try:
            async for chunk in response.content.iter_any():
                content += chunk
                self.received_bytes += len(chunk)
                if len(content) > RESPONSE_BYTES:
                    raise HTTP_RESPONSE_FAILED(f"the response exceeds the limit of {RESPONSE_BYTES // MIB} MiB")
                if self.received_bytes > ALL_RESPONSES_BYTES:
                    raise HTTP_RESPONSE_FAILED("too many large responses in memory; retry later")
            return bytes(content)
        finally:
            self.received_bytes -= len(content)


_NO_TIMEOUT = aiohttp.ClientTimeout()  # ours is around the whole exchange
