"""Answers and log lines for what went wrong (03 §A8)."""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING, Literal, TypeAlias

from iii.modules.http.answer import RETRY, Answer, failure
from iii.protocol.errors import (
    ConnectionClosing,
    FunctionNotFound,
    InvocationError,
    InvocationStopped,
    SerializationFailed,
)

if TYPE_CHECKING:
    from iii.engine.owner import Owner

Role: TypeAlias = Literal["handler", "condition", "middleware"]  # of a function in a request

logger = logging.getLogger(__name__)

_UNEXPECTED = (InvocationError.code, SerializationFailed.code)  # any exception; a result that is not JSON
_UNAVAILABLE = (InvocationStopped.code, ConnectionClosing.code)  # the worker is away, and may be there again soon


class Failures:
    """What is told and logged when functions fail for one request (P13, P14).

    Args:
        exposed: tell clients the texts of unexpected errors; those that a handler raises on purpose always are.
        request_id: what the log says of the request.
        owner: of the route; its functions may leave with it while a request waits (P13).
    """

    __slots__ = ("_exposed", "_owner", "_request_id")

    def __init__(self, exposed: bool, request_id: str | None, owner: Owner | None) -> None:
        self._exposed = exposed
        self._request_id = request_id
        self._owner = owner

    def of_function(self, function_id: str, error: InvocationError, role: Role = "handler") -> Answer:
        """A function's own error; the log has it under the same id, with the stack trace that no client gets."""
        error_id = self._logged(f"HTTP {role} %s failed: %s", function_id, error.message, error)
        if error.code in _UNAVAILABLE or (error.code == FunctionNotFound.code and self._worker_left):
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
        self._logged("HTTP response of %s cut off: %s", function_id, why, error)

    def _logged(self, text: str, function_id: str, why: str, error: InvocationError | None) -> str:
        error_id = (None if error is None else error.error_id) or _new_error_id()
        fields: dict[str, str | None] = {"error_id": error_id}
        if self._request_id is not None:
            fields["request_id"] = self._request_id
        if error is not None:
            fields |= {"code": error.code, "stacktrace": error.stacktrace}
        logger.error(text, function_id, why, extra={"fields": fields})
        return error_id


def internal_error(why: str) -> Answer:
    """The engine's own fault, or a response that HTTP has not; `why` is for the log."""
    error_id = _new_error_id()
    logger.error("HTTP response not sent: %s", why, extra={"fields": {"error_id": error_id}})
    return failure(500, "INTERNAL_ERROR", "internal server error", error_id)


def invalid_head() -> Answer:
    """Instead of what a function returned."""
    return internal_error("the response head is not valid in HTTP, or it exceeds the limits")


def _new_error_id() -> str:
    return os.urandom(6).hex()
