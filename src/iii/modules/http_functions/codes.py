"""The codes of functions that are called by URL (03 §B)."""

from iii.protocol.errors import ErrorCode


def _missing(code: str, what: str) -> ErrorCode:
    return ErrorCode(
        code,
        f"The environment variable with the {what} of the call is not set, not allowed, or not valid in a header.",
        "Set the variable in the engine's environment, and name it in `security.env_allowlist` of `iii-http-functions`.",
    )


SECRET_NOT_FOUND = _missing("secret_not_found", "secret")
TOKEN_NOT_FOUND = _missing("token_not_found", "token")
API_KEY_NOT_FOUND = _missing("api_key_not_found", "API key")
HTTP_ERROR = ErrorCode(
    "http_error",
    means="The endpoint answered with a status of 400 or more, and without a code of its own.",
    do="See the log of the endpoint.",
    retry="if it may run twice",
)
INVALID_RESPONSE = ErrorCode(
    "invalid_response",
    means="The endpoint answered with a body that is not JSON.",
    do="Let the endpoint answer with JSON, or with an empty body.",
)
HTTP_REQUEST_FAILED = ErrorCode(
    "http_request_failed",
    means="No response came: the endpoint was not reached in time, the connection broke, or the request is not valid HTTP.",
    do="Check that the engine reaches the URL; correct the header that the message names.",
    retry="if it may run twice",
)
HTTP_RESPONSE_FAILED = ErrorCode(
    "http_response_failed",
    means="A response began and did not end in time, broke off, or is too large.",
    do="Let the endpoint answer with less, or faster.",
    retry="if it may run twice",
)
