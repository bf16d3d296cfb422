"""Errors of the connection to another engine (07 §6.2)."""

from iii.protocol.errors import ErrorCode

BRIDGE_ERROR = ErrorCode(
    "bridge_error",
    means="The connection to the other engine gave no answer: it is down, slow, or being closed.",
    do="See whether the other engine runs and is reached at its address, `url` of `iii-bridge` or `bridge_url` of an adapter `bridge`; raise `timeout_ms` if it is slow.",
    retry="if it may run twice",
)
