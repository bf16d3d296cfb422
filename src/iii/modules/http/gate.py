"""What a request passes before its handler: middleware and condition (03 §A9)."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Raw, Struct

from iii.modules.http.answer import Answer
from iii.modules.http.failure import Failures, Role, failure, internal_error, too_late
from iii.modules.http.function_call import call_function
from iii.modules.http.request_object import middleware_input
from iii.modules.http.result import answer_of_middleware
from iii.protocol.errors import InvocationError
from iii.protocol.json_text import BAD_JSON
from iii.protocol.limits import CONDITION_TIMEOUT_S
from iii.protocol.messages import NULL
from iii.protocol.names import DEFAULT_NAMESPACE

if TYPE_CHECKING:
    from iii.engine.router import Router
    from iii.modules.http.request import Request

logger = logging.getLogger(__name__)

PHASE = "preHandler"


class Refused(Exception):
    """The request ends here, with this answer."""

    def __init__(self, answer: Answer) -> None:
        self.answer = answer


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
    """Asks the functions of one namespace about one request. `remaining_s` tells how long that may take from now on."""

    def __init__(
        self, router: Router, namespace: str, request: Request, failures: Failures, remaining_s: Callable[[], float]
    ) -> None:
        self._router = router
        self._namespace = namespace
        self._request = request
        self._failures = failures
        self._remaining_s = remaining_s

    async def pass_global_middleware(self, function_id: str, path_params: dict[str, str]) -> None:
        """Of this namespace, or of `default` where there is none here (P17). Raises Refused."""
        functions = self._router.functions
        is_here = functions.find(function_id, self._namespace) is not None
        elsewhere = not is_here and functions.find(function_id, DEFAULT_NAMESPACE) is not None
        await self._pass(function_id, path_params, DEFAULT_NAMESPACE if elsewhere else self._namespace)

    async def pass_middleware(self, function_id: str, path_params: dict[str, str]) -> None:
        """Of the route itself. Raises Refused."""
        await self._pass(function_id, path_params, self._namespace)

    async def _pass(self, function_id: str, path_params: dict[str, str], namespace: str) -> None:
        """Only a `respond`, a failure and silence end the request (03 §A9.3). Raises Refused."""
        request = self._request
        payload = middleware_input(PHASE, path_params, request.query, request.headers, request.method)
        try:
            result = await self._ask(function_id, namespace, payload, self._remaining_s(), "middleware")
        except TimeoutError:
            raise Refused(failure(504, "MIDDLEWARE_TIMEOUT", "Middleware timeout")) from None
        decision = _decision(result)
        if decision.action == "respond":
            answer = answer_of_middleware(bytes(decision.response))
            raise Refused(answer or internal_error(f"middleware {function_id} responded with a status 1xx"))
        if decision.action != "continue":
            logger.warning(
                "HTTP middleware %s answered neither `continue` nor `respond`: the request goes on", function_id
            )

    async def check_condition(self, function_id: str, payload: bytes) -> None:
        """Only JSON `false` and a failure end the request (03 §A9.2). Raises Refused."""
        remaining_s = self._remaining_s()
        try:
            result = await self._ask(
                function_id, self._namespace, payload, min(remaining_s, CONDITION_TIMEOUT_S), "condition"
            )
        except TimeoutError:
            if remaining_s > CONDITION_TIMEOUT_S:
                error = InvocationError(
                    "TIMEOUT", f"condition {function_id} took longer than {CONDITION_TIMEOUT_S:g} s"
                )
                raise Refused(self._failures.of_function(function_id, error, role="condition")) from None
            raise Refused(too_late()) from None
        if result == b"false":
            raise Refused(failure(422, "CONDITION_NOT_MET", "Request condition not met", skipped=True))

    async def _ask(self, function_id: str, namespace: str, payload: bytes, limit_s: float, role: Role) -> bytes | None:
        request = self._request
        try:
            return await call_function(
                self._router, function_id, namespace, payload, limit_s, request.traceparent, request.baggage
            )
        except InvocationError as error:
            raise Refused(self._failures.of_function(function_id, error, role=role)) from None
