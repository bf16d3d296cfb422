"""What a request passes before its handler: middleware and condition (03 §A9)."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Raw, Struct

from iii.engine.ask import ask
from iii.engine.condition import Condition, ConditionTimeout
from iii.engine.invocation import Trace
from iii.modules.http.answer import Answered, refusal, too_late
from iii.modules.http.codes import CONDITION_NOT_MET, MIDDLEWARE_TIMEOUT
from iii.modules.http.failure import CONDITION_FAILED, MIDDLEWARE_FAILED, Failures, internal_error
from iii.modules.http.request_object import middleware_input
from iii.modules.http.result import answer_of_middleware
from iii.protocol.errors import InvocationError, InvocationTimeout
from iii.protocol.json_text import BAD_JSON
from iii.protocol.limits import CONDITION_TIMEOUT_S
from iii.protocol.log_event import LogEvent
from iii.protocol.messages import NULL
from iii.protocol.names import DEFAULT_NAMESPACE
from iii.protocol.reply import reply_of

if TYPE_CHECKING:
    from iii.engine.engine import Engine
    from iii.modules.http.request import Request

UNDECIDED = LogEvent(
    __name__, "http.middleware_undecided", logging.WARNING, "HTTP middleware answered neither `continue` nor `respond`; the request goes on",
    means="What a middleware function returned has no `action` that is known.",
    do='Let the function return `{"action": "continue"}`, or `respond` with a response.',
)  # fmt: skip

PHASE = "preHandler"


class _Decision(Struct):
    action: Any = None
    response: Raw = NULL


_decode = msgspec.json.Decoder(_Decision).decode


def _decision(result: bytes | None) -> _Decision:
    try:
        return _Decision() if result is None else _decode(result)
    except BAD_JSON:
        return _Decision()  # no object


class Gate:
    """Asks the functions of one namespace about one request, until the deadline of its response."""

    def __init__(
        self,
        engine: Engine,
        namespace: str,
        request: Request,
        path_params: dict[str, str],
        failures: Failures,
        deadline: float,
    ) -> None:
        self._engine = engine
        self._namespace = namespace
        self._request = request
        self._path_params = path_params
        self._failures = failures
        self._deadline = deadline
        self._trace = Trace(request.traceparent, request.baggage)

    async def pass_global_middleware(self, function_id: str) -> None:
        """Of this namespace, or of `default` where there is none here (P17). Raises Answered."""
        functions = self._engine.functions
        is_here = functions.find(function_id, self._namespace) is not None
        elsewhere = not is_here and functions.find(function_id, DEFAULT_NAMESPACE) is not None
        await self._pass(function_id, DEFAULT_NAMESPACE if elsewhere else self._namespace)

    async def pass_middleware(self, function_id: str) -> None:
        """Of the route itself. Raises Answered."""
        await self._pass(function_id, self._namespace)

    async def _pass(self, function_id: str, namespace: str) -> None:
        """Only a `respond`, a failure and silence end the request (03 §A9.3). Raises Answered."""
        request = self._request
        payload = middleware_input(PHASE, self._path_params, request.query, request.headers, request.method)
        try:
            result = await ask(
                self._engine.router, function_id, namespace, payload, limit_s=self._remaining_s, trace=self._trace
            )
        except TimeoutError:
            raise Answered(refusal(MIDDLEWARE_TIMEOUT, "Middleware timeout")) from None
        except InvocationError as error:
            raise Answered(self._failures.of_function(function_id, error, MIDDLEWARE_FAILED)) from None
        decision = _decision(result)
        if decision.action == "respond":
            answer = answer_of_middleware(bytes(decision.response))
            raise Answered(answer or internal_error(f"middleware {function_id} responded with a status 1xx", request))
        if decision.action != "continue":
            UNDECIDED(function=function_id)

    async def check_condition(self, function_id: str, payload: bytes) -> None:
        """Only JSON `false` and a failure end the request (03 §A9.2). Raises Answered."""
        engine, remaining_s = self._engine, self._remaining_s
        condition = Condition(engine.router, engine.clock, function_id, self._namespace)
        limit_s = min(remaining_s, CONDITION_TIMEOUT_S)
        try:
            passes = await reply_of(lambda reply: condition.decide(payload, reply, self._trace, limit_s))
        except ConditionTimeout as error:
            if remaining_s <= CONDITION_TIMEOUT_S:
                raise Answered(too_late()) from None
            late = InvocationError(InvocationTimeout.code, f"condition {error.message}")
            raise Answered(self._failures.of_function(function_id, late, CONDITION_FAILED)) from None
        except InvocationError as error:
            raise Answered(self._failures.of_function(function_id, error, CONDITION_FAILED)) from None
        if not passes:
            raise Answered(refusal(CONDITION_NOT_MET, "Request condition not met", skipped=True))

    @property
    def _remaining_s(self) -> float:
        return max(0.0, self._deadline - asyncio.get_running_loop().time())
