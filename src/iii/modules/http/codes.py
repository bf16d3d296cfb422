"""The codes of HTTP responses that the engine makes itself (03 §A8)."""

from iii.protocol.errors import ErrorCode

BAD_REQUEST = ErrorCode(
    "BAD_REQUEST", means="The request is not valid HTTP.",
    do="Correct what the message names.", status=400,
)  # fmt: skip
NO_ROUTE = ErrorCode(
    "NOT_FOUND", means="No route has this path.",
    do="Correct the path, or start the worker that registers the route.", retry="later", status=404,
)  # fmt: skip
METHOD_NOT_ALLOWED = ErrorCode(
    "METHOD_NOT_ALLOWED", means="The path has routes for other methods, which the header `allow` lists.",
    do="Use one of them.", status=405,
)  # fmt: skip
REQUEST_TIMEOUT = ErrorCode(
    "REQUEST_TIMEOUT", means="The body of a request did not arrive in time; nothing was called.",
    do="Send the body without pauses, or raise `default_timeout`.", retry="later", status=408,
)  # fmt: skip
BODY_TOO_LARGE = ErrorCode(
    "PAYLOAD_TOO_LARGE", means="The body of a request exceeds `body_limit`, or 16 MiB of JSON.",
    do="Send less, or raise the limit.", status=413,
)  # fmt: skip
CONDITION_NOT_MET = ErrorCode(
    "CONDITION_NOT_MET", means="The condition function of the route answered `false`; its handler was not called.",
    do="Nothing, if the condition is right.", status=422,
)  # fmt: skip
ROUTE_CONFLICT = ErrorCode(
    "HTTP_ROUTE_CONFLICT", means="An observer of `http::on-request` wants a route that another one has with other names of parameters.",
    do="Name the parameters of the path as the text says, or use another path.",
)  # fmt: skip
INTERNAL_ERROR = ErrorCode(
    "INTERNAL_ERROR", means="The engine failed, or a function returned what is not a response of HTTP.",
    do="Look for `error_id` in the log of the engine.", status=500,
)  # fmt: skip
NOT_IMPLEMENTED = ErrorCode(
    "NOT_IMPLEMENTED", means="The request has a transfer coding other than `chunked`.",
    do="Send the body plainly or chunked.", status=501,
)  # fmt: skip
SERVICE_UNAVAILABLE = ErrorCode(
    "SERVICE_UNAVAILABLE", means="The worker of the route is away, the engine is stopping, or bodies use up their memory.",
    do="Retry after the seconds in the header `retry-after`.", retry="later", status=503,
)  # fmt: skip
RESPONSE_TIMEOUT = ErrorCode(
    "TIMEOUT", means="No response began within `default_timeout`; the handler may still be running.",
    do="Make the function faster, or raise `default_timeout`.", retry="if it may run twice", status=504,
)  # fmt: skip
MIDDLEWARE_TIMEOUT = ErrorCode(
    "MIDDLEWARE_TIMEOUT", means="A middleware function did not answer within `default_timeout`; the handler was not called.",
    do="Make the middleware faster, or raise `default_timeout`.", retry="later", status=504,
)  # fmt: skip
