"""Answers for what went wrong (03 A8)."""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING

import msgspec
from msgspec import UNSET, Struct, UnsetType

from iii.modules.http.answer import Answer

if TYPE_CHECKING:
    from iii.engine.invocation import Invocation
    from iii.protocol.errors import InvocationError

logger = logging.getLogger(__name__)

JSON_TYPE = (b"content-type", b"application/json")


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


def function_failed(function_id: str, error: InvocationError, call: Invocation | None = None) -> Answer:
    """A function's own error; the log has it under the same id, with the stack trace that no client gets.

    `call` is the handler's: one too large for its worker is the client's fault (L13).
    """
    if error.code == "payload_too_large" and call is not None and call.executor is None:
        return too_large()
    error_id = _new_error_id()
    logger.error(
        "HTTP handler %s failed: %s", function_id, error.message,
        extra={"fields": {"error_id": error_id, "code": error.code, "stacktrace": error.stacktrace}},
    )  # fmt: skip
    return failure(500, error.code, error.message, error_id)


def internal_error(why: str) -> Answer:
    """The engine's own fault, or a response that HTTP has not; `why` is for the log."""
    error_id = _new_error_id()
    logger.error("HTTP response not sent: %s", why, extra={"fields": {"error_id": error_id}})
    return failure(500, "INTERNAL_ERROR", "internal server error", error_id)


def too_large() -> Answer:
    return failure(413, "PAYLOAD_TOO_LARGE", "Request body too large")


def too_late() -> Answer:
    return failure(504, "TIMEOUT", "Request timed out")


def unavailable(message: str) -> Answer:
    """For what is worth another try in a moment."""
    answer = failure(503, "SERVICE_UNAVAILABLE", message)
    answer.headers.append((b"retry-after", b"1"))
    return answer


def _new_error_id() -> str:
    return os.urandom(6).hex()
