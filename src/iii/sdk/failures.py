"""What is told of an exception of the user's, which may raise or lie wherever it is looked at, and be of any size.

Nothing here fails: an error that cannot be reported would leave its caller without an answer.
"""

import logging
import traceback
from enum import Enum
from types import TracebackType
from typing import Any

from msgspec import UNSET

from iii.protocol.errors import ErrorBody, InvalidRequest, InvocationError

TEXT_CHARACTERS = 16_384  # of a message or a stack trace; what is longer is cut in its middle
UNTELLABLE = b'{"code":"invocation_failed","message":"the function failed, and its error could not be encoded"}'

logger = logging.getLogger("iii.sdk")

# Past what a class may say of itself
_class_name: Any = type.__dict__["__name__"].__get__
_own_traceback: Any = BaseException.__dict__["__traceback__"].__get__


def shown(value: object) -> str:
    """`str(value)` as UTF-8 can carry it, at most TEXT_CHARACTERS of it and a remark how much was cut."""
    try:
        return _cut(str.__str__(str(value)))
    except BaseException:
        return f"<{_class_name(type(value))} without a text>"


def text_of(error: BaseException) -> str:
    """`Type: text` of an error that nobody raised for its caller (P14)."""
    name, text = _cut(_class_name(type(error))), shown(error)
    return f"{name}: {text}" if text else name


def error_body(error: BaseException) -> ErrorBody:
    """What the caller is told (01 §5.12); a bad payload needs no stack trace, its text says what is wrong."""
    kind = type(error)
    if not issubclass(kind, InvocationError):
        return ErrorBody("invocation_failed", text_of(error), _stack(error) or UNSET)
    stacktrace = None if issubclass(kind, InvalidRequest) else _attribute(error, "stacktrace") or _stack(error)
    return ErrorBody(
        _attribute(error, "code") or InvocationError.code,
        _attribute(error, "message"),
        stacktrace or UNSET,
    )


def span_attributes(error: BaseException) -> dict[str, str]:
    """Of the event `exception` on a span, as OpenTelemetry names them; its own way of asking the error may raise."""
    return {
        "exception.type": _class_name(type(error)),
        "exception.message": shown(error),
        "exception.stacktrace": _stack(error) or "",
        "exception.escaped": "False",
    }


def log_failure(error: BaseException, text: str, *values: object) -> None:
    """Log at ERROR that a callback of the user's raised: the text, the error behind a colon, and the traceback."""
    shows = _stack(error) is not None  # or each log handler would fail on it in its own way
    trace = (type(error), error, _own_traceback(error)) if shows else None
    try:
        logger.error(text + ": %s", *values, text_of(error), exc_info=trace, stacklevel=2)
    except BaseException:
        pass  # a record factory of the user's


def _stack(error: BaseException) -> str | None:
    """None: a cause or a note of it raises."""
    trace: TracebackType | None = _own_traceback(error)
    try:
        return _cut("".join(traceback.format_exception(type(error), error, trace)))
    except BaseException:
        return None


def _attribute(error: BaseException, name: str) -> str:
    """An attribute as text, empty if it is None or raises."""
    try:
        value = getattr(error, name)
    except BaseException:
        return ""
    if issubclass(type(value), Enum):
        value = value.value
    return "" if value is None else shown(value)


def _cut(text: str) -> str:
    if len(text) > TEXT_CHARACTERS:
        end = TEXT_CHARACTERS // 4
        cut = len(text) - TEXT_CHARACTERS
        text = f"{text[: TEXT_CHARACTERS - end]} … ({cut} characters cut) … {text[-end:]}"
    return text.encode(errors="replace").decode()


def _guard(guarded: logging.Logger) -> None:
    """A log handler or filter of the user's that raises costs a record, not the message that was being handled."""
    handle = guarded.handle

    def survive(record: logging.LogRecord) -> None:
        try:
            handle(record)
        except BaseException:
            try:
                logging.Handler().handleError(record)  # tells stderr, as logging does of what its own handlers raise
            except BaseException:
                pass  # there is nowhere left to report to

    guarded.handle = survive  # type: ignore[method-assign]


for _name in ("iii.sdk", "iii.sdk.wire", "iii.protocol.codec"):
    _guard(logging.getLogger(_name))
