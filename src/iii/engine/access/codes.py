"""Codes of refusals at the door (20 §1)."""

from iii.protocol.errors import ErrorCode

AUTH_ERROR = ErrorCode(
    "AUTH_ERROR",
    means="A connection to a listener with access control was not let in: no token, an unknown one, or its auth function refused.",
    do="Set `III_TOKEN` of the client to a token of that listener, or see the auth function; the message has its reason.",
    retry="later",
)
