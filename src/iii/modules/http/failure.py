"""Answers for what went wrong (03 §A8)."""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING, Literal, TypeAlias

import msgspec
from msgspec import UNSET, Struct, UnsetType

from iii.modules.http.answer import Answer
from iii.protocol.errors import (
    ConnectionClosing,
    FunctionNotFound,
    InvocationError,
    InvocationStopped,
    SerializationFailed,
)

if TYPE_CHECKING:
    from iii.engine.bindings import Binding
    from iii.engine.invocation import Invocation

Role: TypeAlias = Literal["handler", "condition", "middleware"]  # of a function in a request

logger = logging.getLogger(__name__)

JSON_TYPE = (b"content-type", b"application/json")
_RETRY = (b"retry-after", b"1")
_UNEXPECTED = (InvocationError.code, SerializationFailed.code)  # any exception; a result that is not JSON
_UNAVAILABLE = (InvocationStopped.code, ConnectionClosing.code)  # the worker is away, and may be there again soon


class _Error(Struct, omit_defaults=True):
    code: str
    message: str
    error_id: str | UnsetType = UNSET


class _Envelope(Struct, omit_defaults=True):
    error: _Error
    skipped: bool = False


def failure(status: int, code: str, message: str, error_id: str | None = None, skipped: bool = False) -> Answer:
    """The envelope of every error that the engine makes."""
    error = _Error(code, message, UNSET if error_id is None else error_id)
    return Answer(status, [JSON_TYPE], msgspec.json.encode(_Envelope(error, skipped)))


class Failures:
    """What is told and logged when functions fail for one request (P13, P14).

    Args:
        exposed: tell clients the texts of unexpected errors; those that a handler raises on purpose always are.
        request_id: what the log says of the request.
        binding: of the route; its functions may leave with its worker while a request waits (P13).
    """

    __slots__ = ("_binding", "_exposed", "_request_id")

    def __init__(self, exposed: bool, request_id: str | None, binding: Binding) -> None:
        self._exposed = exposed
        self._request_id = request_id
        self._binding = binding

    def of_function(
        self, function_id: str, error: InvocationError, call: Invocation | None = None, role: Role = "handler"
    ) -> Answer:
        """A function's own error; the log has it under the same id, with the stack trace that no client gets.

        `call` is the handler's: one too large for its worker is the client's fault (L13).
        """
        if error.code == "payload_too_large" and call is not None and call.executor is None:
            return too_large()
        error_id = self._logged(f"HTTP {role} %s failed: %s", function_id, error.message, error)
        if error.code in _UNAVAILABLE or (error.code == FunctionNotFound.code and self._worker_left):
            answer = failure(503, error.code, error.message, error_id)
            answer.headers.append(_RETRY)
            return answer
        hidden = error.code in _UNEXPECTED and not self._exposed
        return failure(500, error.code, "Internal Server Error" if hidden else error.message, error_id)

    @property
    def _worker_left(self) -> bool:
        owner = self._binding.owner
        return owner is not None and owner.ended

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


def too_large() -> Answer:
    return failure(413, "PAYLOAD_TOO_LARGE", "Request body too large")


def bad_request(message: str) -> Answer:
    """What the client sent is not HTTP."""
    return failure(400, "BAD_REQUEST", message)


def body_too_late() -> Answer:
    return failure(408, "REQUEST_TIMEOUT", "The request body did not arrive in time")


def too_late() -> Answer:
    return failure(504, "TIMEOUT", "Request timed out")


def unavailable(message: str) -> Answer:
    """For what is worth another try in a moment."""
    answer = failure(503, "SERVICE_UNAVAILABLE", message)
    answer.headers.append(_RETRY)
    return answer


def _new_error_id() -> str:
    return os.urandom(6).hex()
