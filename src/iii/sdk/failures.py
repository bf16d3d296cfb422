"""What is told of an exception of the user's, which may raise or lie wherever it is looked at, and be of any size.

Nothing here fails: an error that cannot be reported would leave its caller without an answer.
"""

import logging
from enum import Enum

from msgspec import UNSET

from iii.protocol.errors import ErrorBody, InvalidRequest, InvocationError
from iii.protocol.log_event import LogEvent, LogText
from iii.protocol.traceback_text import class_name, own_traceback, shown, traceback_text
from iii.sdk.log_output import logger_of
from iii.sdk.process_end import ends_process

UNTELLABLE = InvocationError(message="the function failed, and its error could not be encoded").encode()

logger = logger_of("iii.sdk")


def text_of(error: BaseException) -> str:
    """`Type: text` of an error that nobody raised for its caller (P14)."""
    name, text = shown(class_name(type(error))), shown(error)
    return f"{name}: {text}" if text else name


def error_body(error: BaseException) -> ErrorBody:
    """What its caller is told (01 §5.12); a bad payload needs no stack trace, its text says what is wrong."""
    kind = type(error)
    if not issubclass(kind, InvocationError):
        return ErrorBody(InvocationError.code, text_of(error), traceback_text(error))
    stacktrace = None if issubclass(kind, InvalidRequest) else _attribute(error, "stacktrace") or traceback_text(error)
    return ErrorBody(
        _attribute(error, "code") or InvocationError.code,
        _attribute(error, "message"),
        stacktrace or UNSET,
    )


def failed_call(error: BaseException) -> dict[str, str]:
    """The function and code of the call that failed with this error; empty if it is the error of no call."""
    if not _attribute(error, "invocation_id"):
        return {}
    return {"called": _attribute(error, "function_id"), "code": _attribute(error, "code")}


def span_attributes(error: BaseException) -> dict[str, str]:
    """Of the event `exception` on a span, as OpenTelemetry names them; its own way of asking the error may raise."""
    return {
        "exception.type": class_name(type(error)),
        "exception.message": shown(error),
        "exception.stacktrace": traceback_text(error),
        "exception.escaped": "False",
    }


def log_failure(event: LogEvent, error: BaseException, trace: str = "", **fields: object) -> None:
    """Log that something of the user's raised, with the error's text as the field `reason`, and its traceback."""
    try:
        if logger.isEnabledFor(event.level):
            fields.pop("reason", None)  # that is the error
            logger.handle(_record(event, error, trace, **fields, reason=text_of(error)))
    except BaseException as another:  # a record factory of the user's
        if ends_process(another):
            raise


def _record(event: LogEvent, error: BaseException, trace: str, **fields: object) -> logging.LogRecord:
    """The traceback is made here, of a bounded size; handlers of logging that have a way of their own get the error as well."""
    file, line, function, _ = logger.findCaller(stacklevel=3)
    text, extra = LogText(event.sentence, fields), {"event": event.name, "fields": fields}
    exception = (type(error), error, own_traceback(error))
    record = logger.makeRecord(logger.name, event.level, file, line, text, (), exception, function, extra)
    record.exc_text = trace or traceback_text(error)
    return record


def _attribute(error: BaseException, name: str) -> str:
    """An attribute as text, empty if it is None or raises."""
    try:
        value = getattr(error, name)
    except BaseException:
        return ""
    if issubclass(type(value), Enum):
        value = value.value
    return "" if value is None else shown(value)


def _guard(guarded: logging.Logger) -> None:
    """A log handler or filter of the user's that raises costs a record, not the message that was being handled."""
    handle = guarded.handle

    def survive(record: logging.LogRecord) -> None:
        try:
            handle(record)
        except BaseException as error:
            if ends_process(error):
                raise
            try:
                logging.Handler().handleError(record)  # tells stderr, as logging does of what its own handlers raise
            except BaseException as another:  # there is nowhere left to report to
                if ends_process(another):
                    raise

    guarded.handle = survive  # type: ignore[method-assign]


for _name in ("iii.sdk", "iii.sdk.wire", "iii.protocol.codec"):
    _guard(logging.getLogger(_name))
