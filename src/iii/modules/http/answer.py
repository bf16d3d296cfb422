"""Whole responses, and those that the engine makes itself (03 §A8)."""

from __future__ import annotations

from typing import NamedTuple

import msgspec
from msgspec import UNSET, Struct, UnsetType

from iii.modules.http.codes import BAD_REQUEST, BODY_TOO_LARGE, REQUEST_TIMEOUT, RESPONSE_TIMEOUT, SERVICE_UNAVAILABLE
from iii.modules.http.headers import Headers
from iii.protocol.errors import ErrorCode

JSON_TYPE = (b"content-type", b"application/json")
RETRY = (b"retry-after", b"1")


class Answer(NamedTuple):
    """Names of headers are in lower case; the length of the body is the server's to say.

    Attributes:
        preflight: it is complete: what every response has does not belong to it.
    """

    status: int
    headers: Headers
    body: bytes | bytearray
    preflight: bool = False


class Answered(Exception):
    """The request ends here, with this answer: a refusal, a preflight, the OpenAPI document, or what a middleware responded."""

    def __init__(self, answer: Answer) -> None:
        self.answer = answer


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


def refusal(code: ErrorCode, message: str, error_id: str | None = None, skipped: bool = False) -> Answer:
    """With a code of HTTP responses."""
    assert code.status is not None
    return failure(code.status, code.code, message, error_id, skipped)


def too_large() -> Answer:
    return refusal(BODY_TOO_LARGE, "Request body too large")


def bad_request(message: str) -> Answer:
    """What the client sent is not HTTP."""
    return refusal(BAD_REQUEST, message)


def body_too_late() -> Answer:
    return refusal(REQUEST_TIMEOUT, "The request body did not arrive in time")


def too_late() -> Answer:
    return refusal(RESPONSE_TIMEOUT, "Request timed out")


def unavailable(message: str) -> Answer:
    """For what is worth another try in a moment."""
    answer = refusal(SERVICE_UNAVAILABLE, message)
    answer.headers.append(RETRY)
    return answer
