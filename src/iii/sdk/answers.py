"""What the caller of a handler is answered, and what is logged and traced of its run (08 §7.3, O16).

Whatever a handler gives or raises, and whatever happens to its span, the call is answered.
"""

import logging
from collections.abc import Callable
from typing import Any

import msgspec

from iii.protocol.errors import ErrorBody, ErrorCode, FunctionNotFound, InvalidRequest, InvocationError, error_id_of
from iii.protocol.log_event import LogEvent
from iii.protocol.messages import InvocationResult, InvokeFunction
from iii.protocol.traceback_text import shown
from iii.sdk.encoding import encode_answer, encode_outgoing
from iii.sdk.failures import UNTELLABLE, error_body, failed_call, log_failure
from iii.sdk.handlers import Handler
from iii.sdk.payload_text import payload_json
from iii.sdk.process_end import ends_process
from iii.sdk.spans import HandlerSpan, SpanMaker

CALL_REFUSED = LogEvent(
    "iii.sdk", "sdk.call_refused", logging.WARNING, "Call without an answer refused",
    means="The caller did not want an answer, so the refusal stands only here.",
    do="Register the function, or correct its id where it is called.",
)  # fmt: skip
FUNCTION_FAILED = LogEvent(
    "iii.sdk", "sdk.function_failed", logging.ERROR, "Function failed",
    means="A handler raised; its caller got the error, if it waits for an answer. "
    "`error_id` stands in the answer of an HTTP request, and in the engine's log if a request, job or schedule called.",
    do="Read the stack trace. An error that callers are to expect is raised as `InvocationError`, which is not logged.",
)  # fmt: skip
CALL_NOT_CAUGHT = LogEvent(
    "iii.sdk", "sdk.call_not_caught", logging.WARNING, "Function failed with the error of a call that it made and did not catch",
    means="A `trigger` in a handler raised, and the handler let it pass, so its own caller got that error. "
    "`called` and `code` say which call it was.",
    do="Catch `InvocationError` where the call may fail, or correct what the reason names.",
)  # fmt: skip
SPAN_FAILED = LogEvent(
    "iii.sdk", "sdk.span_failed", logging.ERROR, "Span of a function failed",
    means="A span processor, sampler or propagator raised; the call is answered, but its span is missing.",
    do="Correct the telemetry set-up of this program.",
)  # fmt: skip

NOT_INVOKABLE = ErrorCode(
    "function_not_invokable",
    means="The engine sent a worker a call of a function that is an HTTP endpoint.",
    do="List `iii-http-functions` in the configuration of the engine.",
)
_RESULT = b',"result":'  # for the first time as a member: quotes in the ids before it have a backslash
_RESULT_AT = len(_RESULT)
_LAST_TRIES = 10


def success(
    handler: Handler,
    message: InvokeFunction,
    result: Any,
    span: HandlerSpan | None = None,
    spans: SpanMaker | None = None,
) -> bytes | None:
    """The answer; None if nobody waits for it. `spans` has made the span."""
    if message.invocation_id is None:
        if span is not None and spans is not None:
            _tell_span(spans, span, message, payload_json(result))
        return None
    undeclared = None if handler.declares_result else result
    try:
        if span is None or spans is None:
            return encode_outgoing(InvocationResult(message.invocation_id, message.function_id, result), undeclared)
        if span.quiet:
            answer = encode_outgoing(InvocationResult(message.invocation_id, message.function_id, result), undeclared)
            try:
                spans.answered(span, message, answer[answer.find(_RESULT) + _RESULT_AT : -1])
            except BaseException as error:
                if ends_process(error):
                    raise
                log_failure(SPAN_FAILED, error, function=message.function_id, step="end")
            return answer
        body = encode_outgoing(result, undeclared)
        traceparent = _tell_span(spans, span, message, body)
        span = None
        return encode_answer(message.invocation_id, message.function_id, body, traceparent)
    except InvalidRequest as error:  # the request was right
        return failure(message, InvocationError(None, f"the result cannot be sent: {error.message}"), span, spans)
    except BaseException as error:  # no JSON form, too large, or whatever a model raises while it is dumped
        if ends_process(error):
            raise
        return failure(message, error, span, spans)


def failure(
    message: InvokeFunction, error: BaseException, span: HandlerSpan | None = None, spans: SpanMaker | None = None
) -> bytes | None:
    """The answer with the error, which is logged if nobody raised it for a caller; None if nobody waits for it."""
    traceparent = None if span is None or spans is None else span_failed(spans, span, message, error)
    body = error_body(error)
    if message.invocation_id is None or not issubclass(type(error), InvocationError):
        log_failure(FUNCTION_FAILED, error, body.stacktrace or "", **_ids(message))
    elif called := failed_call(error):
        log_failure(CALL_NOT_CAUGHT, error, **_ids(message), **called)
    if message.invocation_id is None:
        return None
    answer = InvocationResult(message.invocation_id, message.function_id, traceparent=traceparent)
    try:
        answer.error = msgspec.Raw(msgspec.json.encode(body))
        return encode_outgoing(answer)
    except BaseException:  # of what error it may be, there is an answer that cannot fail
        answer = InvocationResult(message.invocation_id, message.function_id, error=msgspec.Raw(UNTELLABLE))
        return encode_outgoing(answer)


def _tell_span(spans: SpanMaker, span: HandlerSpan, message: InvokeFunction, result: bytes) -> str | None:
    """That its handler succeeded. The `traceparent` for the answer; None if it needs none, or the span could not be ended."""
    try:
        if not span.quiet:
            return spans.succeeded(span, result)
        spans.answered(span, message, result)
        return None
    except BaseException as error:
        if ends_process(error):
            raise
        log_failure(SPAN_FAILED, error, function=message.function_id, step="end")
        return None


def span_failed(spans: SpanMaker, span: HandlerSpan, message: InvokeFunction, error: BaseException) -> str | None:
    """The `traceparent` for the answer; None if it needs none, or the span could not be ended."""
    try:
        return spans.failed(span, message, error)
    except BaseException as another:
        if ends_process(another):
            raise
        log_failure(SPAN_FAILED, another, function=message.function_id, step="end")
        return None


def answer_after_all(message: InvokeFunction, error: BaseException, send: Callable[[bytes], None]) -> None:
    """The last line of defence: something raised where nothing should, perhaps a trace function of the user's."""
    for _ in range(_LAST_TRIES):
        try:
            answer = failure(message, error)
            if answer is not None:
                send(answer)
            return
        except BaseException as another:
            if ends_process(another):
                raise
            error = another


def refusal(message: InvokeFunction, known: bool) -> bytes | None:
    """The answer to a call that no handler takes; None if nobody waits for it, then it is logged."""
    error = (
        NOT_INVOKABLE("Function is HTTP-invoked and cannot be invoked locally")
        if known
        else InvocationError(FunctionNotFound.code, f"Function '{message.function_id}' not found")
    )
    if message.invocation_id is None:
        CALL_REFUSED(function=message.function_id, reason=error.message)
        return None
    body = msgspec.json.encode(ErrorBody(error.code, shown(error.message)))
    return encode_outgoing(InvocationResult(message.invocation_id, message.function_id, error=msgspec.Raw(body)))


def _ids(message: InvokeFunction) -> dict[str, str]:
    """As the engine's log and an HTTP response have them, too."""
    called = {"function": message.function_id}
    if message.invocation_id is not None:
        called |= {"error_id": error_id_of(message.invocation_id), "invocation_id": message.invocation_id}
    return called
