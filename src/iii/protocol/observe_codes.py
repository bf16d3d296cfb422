"""Codes of observers that both sides of the wire give."""

from iii.protocol.errors import ErrorCode

OBSERVER_DISCONNECTED = ErrorCode(
    "OBSERVER_DISCONNECTED",
    means="The worker that observes has lost its connection; after 30 s its observers are disposed.",
    do="Nothing: a client that reconnects takes its observers over.",
    retry="later",
)
UNOBSERVED = ErrorCode(
    "UNOBSERVED",
    means="The worker that observed has disposed the observer.",
    do="Nothing.",
)
UNSUPPORTED = ErrorCode(
    "UNSUPPORTED",
    means="Engine or client does not know what is asked for: the engine no observers, or the client not what it registers a function with.",
    do="Update the engine; or leave `args_format`, `private` and `observable` out, or use a client that announces `observe.v2`.",
)
