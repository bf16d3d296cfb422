"""The configuration as requests use it; each request keeps the one it began with (03 §A9.1)."""

from __future__ import annotations

import logging

from iii.modules.http.body_memory import BodyMemory
from iii.modules.http.config import HttpConfig
from iii.modules.http.cors import Cors
from iii.modules.http.gate import PHASE
from iii.modules.http.slots import Slots
from iii.protocol.address import is_loopback
from iii.protocol.limits import MIB
from iii.protocol.log_event import LogEvent

NO_CONCURRENCY = LogEvent(
    __name__, "http.no_concurrency", logging.WARNING, "`concurrency_request_limit: 0` of iii-http would answer no request; 1 is used",
    means="The limit is the number of requests that are served at the same time.",
    do="Set it to 1 or more, or leave it out.",
)  # fmt: skip
MIDDLEWARE_SKIPPED = LogEvent(
    __name__, "http.middleware_skipped", logging.WARNING, "HTTP middleware skipped: its phase is unknown",
    means="The entry of `middleware` in `iii-http` has no effect.",
    do="Set its phase to the one that `known` names.",
)  # fmt: skip

JSON_BODY_BYTES = 16 * MIB  # Longest JSON body of a request; it is read as a whole before the handler runs.


class Settings:
    """Derived once per configuration."""

    __slots__ = (
        "bodies", "body_limit_bytes", "cors", "expose_errors", "json_limit_bytes", "middleware", "not_found_function", "openapi",
        "request_id_header", "server", "slots", "timeout_s", "trusts_proxy",
    )  # fmt: skip

    def __init__(self, config: HttpConfig) -> None:
        self.timeout_s = config.default_timeout / 1000
        name = config.request_id_header
        self.request_id_header = None if name is None else name.lower()
        self.cors = Cors(config.cors, self.request_id_header)
        self.server = (b"server", config.server_header.encode())
        self.expose_errors = is_loopback(config.host) if config.expose_errors is None else config.expose_errors
        self.bodies = BodyMemory(config.body_memory, self.timeout_s)
        self.body_limit_bytes = config.body_limit
        self.json_limit_bytes = (
            JSON_BODY_BYTES if config.body_limit is None else min(config.body_limit, JSON_BODY_BYTES)
        )
        self.middleware = _middleware(config)
        self.not_found_function = config.not_found_function
        self.openapi = config.openapi
        self.trusts_proxy = config.trust_proxy
        if config.concurrency_request_limit == 0:
            NO_CONCURRENCY()
        self.slots = Slots(config.concurrency_request_limit or 1)


def _middleware(config: HttpConfig) -> tuple[str, ...]:
    """The ids of global middleware in the order they run."""
    for entry in config.middleware:
        if entry.phase != PHASE:
            MIDDLEWARE_SKIPPED(function=entry.function_id, phase=entry.phase, known=PHASE)
    entries = sorted((entry for entry in config.middleware if entry.phase == PHASE), key=lambda entry: entry.priority)
    return tuple(entry.function_id for entry in entries)
