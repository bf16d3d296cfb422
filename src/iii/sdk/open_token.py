"""A token that others on the way can read (22 §5)."""

import logging
from collections.abc import Mapping

from iii.protocol.address import masked, shows_token
from iii.protocol.log_event import LogEvent
from iii.sdk.engine_address import handshake_headers

TOKEN_UNENCRYPTED = LogEvent(
    "iii.sdk", "sdk.token_unencrypted", logging.WARNING, "Token goes to the engine unencrypted: every machine on the way can read it, and use it",
    means="The engine is on another machine, and its address begins with `ws://`; said once by each worker.",
    do="Give the engine's port `tls`, or put a proxy with TLS before it, and use `wss://`; on a network that only you can read, nothing.",
)  # fmt: skip


def shown_headers(url: str, explicit: Mapping[str, str] | None) -> Mapping[str, str]:
    """Headers of a worker's handshakes, with a warning if others can read what they show. Raises ValueError: the token is unusable."""
    headers = handshake_headers(explicit)
    if shows_token(url, headers):
        TOKEN_UNENCRYPTED(address=masked(url))
    return headers
