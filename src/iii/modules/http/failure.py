"""Answers and log lines for what went wrong (03 §A8)."""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING, Protocol

from iii.modules.http.answer import RETRY, Answer, failure, refusal
from iii.modules.http.codes import INTERNAL_ERROR
from iii.protocol.errors import (
    ConnectionClosing,
    FunctionNotFound,
    InvocationError,
    InvocationStopped,
    SerializationFailed,
)
from iii.protocol.log_event import LogEvent
from iii.protocol.tracecontext import ids_of

if TYPE_CHECKING:
    from iii.modules.http.request import Request

HANDLER_FAILED = LogEvent(
    __name__, "http.handler_failed", logging.ERROR, "HTTP handler failed",
    means="The function of a route answered with an error; the client has `error_id` too.",
    do="`iii trace TRACE_ID --logs` with its `trace_id`, or look for `error_id` in the log of the worker.",
)  # fmt: skip
CONDITION_FAILED = LogEvent(
    __name__, "http.condition_failed", logging.ERROR, "HTTP condition failed",
    means="The condition function of a route answered with an error or not in time; its handler was not called.",
    do="`iii trace TRACE_ID --logs` with its `trace_id`, or look for `error_id` in the log of the worker.",
)  # fmt: skip
MIDDLEWARE_FAILED = LogEvent(
    __name__, "http.middleware_failed", logging.ERROR, "HTTP middleware failed",
    means="A middleware function answered with an error; the handler was not called.",
    do="`iii trace TRACE_ID --logs` with its `trace_id`, or look for `error_id` in the log of the worker.",
)  # fmt: skip
RESPONSE_CUT = LogEvent(
    __name__, "http.response_cut", logging.ERROR, "HTTP response cut off",
    means="A response could not be completed after its head was sent; the client can only notice that it breaks off.",
    do="`iii trace TRACE_ID --logs` with its `trace_id`, or look for `error_id` in the log of the worker.",
)  # fmt: skip
NOT_SENT = LogEvent(
    __name__, "http.response_not_sent", logging.ERROR, "HTTP response not sent",
    means="What was answered cannot be sent as HTTP, or the engine itself failed; the client has 500 and `error_id`.",
    do="Correct the function as `reason` says, or report the line before it with its stack trace.",
)  # fmt: skip

_UNEXPECTED = (InvocationError.code, SerializationFailed.code)  # any exception; a result that is not JSON
UNAVAILABLE = (InvocationStopped.code, ConnectionClosing.code)  # the worker is away, and may be there again soon


class RouteOwner(Protocol):
    """Whose route it is."""

    @property
    def ended(self) -> bool:
        """Whether it has left."""


class Failures:
    """What is told and logged when functions fail for one request (P13, P14).

    Args:
        exposed: tell clients the texts of unexpected errors; those that a handler raises on purpose always are.
        request: is told that it failed.
        request_id: what the log says of the request.
        owner: of the route; its functions may leave with it while a request waits (P13).
    """

    __slots__ = ("_exposed", "_owner", "_request", "_request_id")

    def __init__(self, exposed: bool, request: Request, request_id: str | None, owner: RouteOwner | None) -> None:
        self._exposed = exposed
        self._request = request
        self._request_id = request_id
        self._owner = owner

    def of_function(self, function_id: str, error: InvocationError, event: LogEvent) -> Answer:
        """A function's own error, logged as `event` under the same id, with the stack trace that no client gets."""
        self._request.failed = True
        error_id = error.error_id or _new_error_id()
        self._request.note_error(error_id)
        event(function=function_id, reason=error.message, error_id=error_id, **self._more(error))
        if error.code in UNAVAILABLE or (error.code == FunctionNotFound.code and self._worker_left):
            answer = failure(503, error.code, error.message, error_id)
            answer.headers.append(RETRY)
            return answer
        hidden = error.code in _UNEXPECTED and not self._exposed
        return failure(500, error.code, "Internal Server Error" if hidden else error.message, error_id)

    @property
    def _worker_left(self) -> bool:
        return self._owner is not None and self._owner.ended

    def of_stream(self, function_id: str, why: str, error: InvocationError | None) -> None:
        """A response that had begun and was cut: the client can only notice, the log says why."""
        self._request.failed = True
        error_id = (None if error is None else error.error_id) or _new_error_id()
        self._request.note_error(error_id)
        RESPONSE_CUT(function=function_id, reason=why, error_id=error_id, **self._more(error))

    def _more(self, error: InvocationError | None) -> dict[str, str | None]:
        """Fields of a line."""
        fields: dict[str, str | None] = {**ids_of(self._request.traceparent)}
        if self._request_id is not None:
            fields["request_id"] = self._request_id
        return fields if error is None else {**fields, "code": error.code, "stacktrace": error.stacktrace}


def internal_error(why: str, request: Request) -> Answer:
    """The engine's own fault, or a response that HTTP has not; `why` is for the log."""
    error_id = _new_error_id()
    request.note_error(error_id)
    NOT_SENT(reason=why, error_id=error_id, **ids_of(request.traceparent))
    return refusal(INTERNAL_ERROR, "internal server error", error_id)


def invalid_head(request: Request) -> Answer:
    """Instead of what a function returned."""
    return internal_error("the response head is not valid HTTP, or exceeds a limit", request)


def _new_error_id() -> str:
    return os.urandom(6).hex()
