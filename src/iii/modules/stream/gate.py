"""Who may connect, and who may join (05 §5.2, §6.3, L10, L18)."""

from __future__ import annotations

import logging
from http import HTTPStatus
from typing import Any

import msgspec

from iii.engine.ask import ask
from iii.engine.bindings import Binding
from iii.engine.condition import Condition
from iii.engine.engine import Engine
from iii.engine.observing.source import EventSource
from iii.engine.ordered_firing import OrderedFiring
from iii.engine.schema import late_schema
from iii.modules.stream.bindings import JoinBindings
from iii.modules.stream.config import StreamConfig
from iii.modules.stream.requests import JoinCall
from iii.net.http_head import RequestHead
from iii.net.http_upgrade import PlainResponse
from iii.protocol.errors import FunctionNotFound, InvocationError
from iii.protocol.json_text import BAD_JSON
from iii.protocol.log_event import LogEvent
from iii.protocol.names import DEFAULT_NAMESPACE
from iii.protocol.query import query_params
from iii.protocol.reply import reply_of

CONDITION_FAILED = LogEvent(
    __name__, "stream.condition_failed", logging.WARNING, "Join handler skipped: its condition failed",
    means="The condition function of a `stream:join` trigger answered with an error; the handler is not asked.",
    do="Look at the function that `condition_function_id` of the trigger names.",
)  # fmt: skip
JOIN_FAILED = LogEvent(
    __name__, "stream.join_handler_failed", logging.ERROR, "Join handler failed",
    means="A `stream:join` handler raised or did not answer in time; `policy` (`join_error_policy`) decides whether the client "
    "may join.",
    do="Look at the log of the worker that has the function.",
)  # fmt: skip
LEAVE_FAILED = LogEvent(
    __name__, "stream.leave_handler_failed", logging.WARNING, "Leave handler failed",
    means="A `stream:leave` handler raised or did not answer in time while the engine stopped; the subscription is over.",
    do="Look at the log of the worker that has the function.",
)  # fmt: skip
AUTH_FAILED = LogEvent(
    __name__, "stream.auth_failed", logging.ERROR, "Auth function of the stream port failed",
    means="It is not registered, raised, or did not answer in time; `policy` (`auth_error_policy`) decides whether the client is "
    "let in.",
    do="Look at the function that `auth_function` of `iii-stream` names, and at the log of its worker.",
)  # fmt: skip
VERDICT_UNCLEAR = LogEvent(
    __name__, "stream.verdict_unclear", logging.ERROR, "Join handler: unauthorized must be true or false",
    means="A `stream:join` handler answered something else, which counts as allowed.",
    do="Return `{\"unauthorized\": true}` or `{\"unauthorized\": false}`.",
)  # fmt: skip

_NO_CONTEXT = b"null"


class _AuthInput(msgspec.Struct):
    headers: dict[str, str]
    path: str
    query_params: dict[str, list[str]]
    addr: str


class _AuthResult(msgspec.Struct):
    context: msgspec.Raw = msgspec.Raw(_NO_CONTEXT)
    unauthorized: Any = None


class ClientRefused(Exception):
    """A client may not connect."""

    def __init__(self, answer: PlainResponse) -> None:
        super().__init__(answer.text)
        self.answer = answer


class AccessGate:
    """Asks the functions that decide."""

    def __init__(self, engine: Engine, config: StreamConfig) -> None:
        self._firing = OrderedFiring(engine.router, engine.clock, engine.turns)
        call = late_schema(JoinCall)
        joined = EventSource("stream::on-join", "A client has joined a stream.", request_format=call)
        left = EventSource("stream::on-leave", "A client has left a stream.", request_format=call)
        self.joins = JoinBindings(self._firing, joined)
        self.leaves = JoinBindings(self._firing, left)
        self._engine = engine
        self.adjust(config)

    def adjust(self, config: StreamConfig) -> None:
        """Other settings count for what is decided from now on."""
        self._config = config

    def check_origin(self, request: RequestHead) -> None:
        """Raises ClientRefused."""
        allowed, origin = self._config.allowed_origins, request.headers.get("origin")
        if allowed and origin is not None and origin not in allowed and "*" not in allowed:
            raise ClientRefused(
                PlainResponse(
                    HTTPStatus.FORBIDDEN,
                    f"Origin {origin[:200]} is not allowed to connect; add it to `allowed_origins` of iii-stream",
                )
            )

    async def authenticate(self, request: RequestHead, address: str) -> bytes:
        """The client's context as JSON. Raises ClientRefused."""
        function_id = self._config.auth_function
        if function_id is None:
            return _NO_CONTEXT
        payload = msgspec.json.encode(_AuthInput(_headers(request), request.path, query_params(request.query), address))
        try:
            result = await ask(self._engine.router, function_id, DEFAULT_NAMESPACE, payload)
            if result is None or result == b"null":
                return _NO_CONTEXT
            decided = msgspec.json.decode(result, type=_AuthResult)
        except FunctionNotFound:
            return self._failed(HTTPStatus.SERVICE_UNAVAILABLE, function_id, "not registered")
        except TimeoutError:
            return self._failed(HTTPStatus.SERVICE_UNAVAILABLE, function_id, "no answer in time")
        except (InvocationError, *BAD_JSON) as error:
            return self._failed(HTTPStatus.UNAUTHORIZED, function_id, str(error))
        if decided.unauthorized is True:
            raise ClientRefused(PlainResponse(HTTPStatus.UNAUTHORIZED, "Unauthorized"))
        return bytes(decided.context)

    async def may_join(self, call: JoinCall) -> bool:
        """Ask all handlers, one after another; any of them may deny."""
        allowed = True
        payload = msgspec.json.encode(call)
        for binding in self.joins.of(call.stream_name):
            try:
                if not await self._condition_met(binding, payload):
                    continue
            except InvocationError as error:
                CONDITION_FAILED(trigger=binding.id, reason=str(error))
                continue
            try:
                allowed = not _denies(binding.function_id, await self._ask(binding, payload)) and allowed
            except (InvocationError, TimeoutError) as error:
                policy = self._config.join_error_policy
                JOIN_FAILED(function=binding.function_id, reason=str(error) or "no answer in time", policy=policy)
                allowed = allowed and policy == "allow"
        if allowed and self.joins.source.observed:
            self.joins.source.fire(payload)
        return allowed

    def left(self, call: JoinCall) -> None:
        """Tell the handlers; nobody waits for them."""
        if leaves := self.leaves.of(call.stream_name):
            self._firing.fire(leaves, msgspec.json.encode(call))
        if self.leaves.source.observed:
            self.leaves.source.fire(msgspec.json.encode(call))

    async def tell_left(self, call: JoinCall) -> None:
        """As `left`, and wait for them."""
        payload = msgspec.json.encode(call)
        if self.leaves.source.observed:
            self.leaves.source.fire(payload)
        for binding in self.leaves.of(call.stream_name):
            try:
                if await self._condition_met(binding, payload):
                    await self._ask(binding, payload)
            except (InvocationError, TimeoutError) as error:
                LEAVE_FAILED(function=binding.function_id, reason=str(error) or "no answer in time")

    async def _condition_met(self, binding: Binding, payload: bytes) -> bool:
        """Raises InvocationError."""
        function_id = binding.condition
        if function_id is None:
            return True
        condition = Condition(self._engine.router, self._engine.clock, function_id, binding.namespace)
        met: bool = await reply_of(lambda reply: condition.decide(payload, reply))
        return met

    async def _ask(self, binding: Binding, payload: bytes) -> bytes | None:
        """Raises InvocationError or TimeoutError."""
        router = self._engine.router
        return await ask(router, binding.function_id, binding.namespace, payload, metadata=binding.metadata)

    def _failed(self, status: HTTPStatus, function_id: str, reason: str) -> bytes:
        """Raises ClientRefused, unless the configuration lets in whoever cannot be judged."""
        policy = self._config.auth_error_policy
        AUTH_FAILED(function=function_id, reason=reason, policy=policy)
        if policy != "allow":
            raise ClientRefused(PlainResponse(status, status.phrase))
        return _NO_CONTEXT


def _denies(function_id: str, result: bytes | None) -> bool:
    verdict = msgspec.json.decode(result) if result is not None else None
    said = verdict.get("unauthorized", False) if isinstance(verdict, dict) else False
    if not isinstance(said, bool):
        VERDICT_UNCLEAR(function=function_id, unauthorized=said)
    return said is True


def _headers(request: RequestHead) -> dict[str, str]:
    """The last of each name; values of other than visible ASCII are left out."""
    return {name: value for name, value in request.lines if value.isascii() and value.isprintable()}
