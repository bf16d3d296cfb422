"""The configuration as requests use it; each request keeps the one it began with (03 §A9.1)."""

from __future__ import annotations

import logging

from iii.modules.http.body_memory import BodyMemory
from iii.modules.http.config import HttpConfig
from iii.modules.http.cors import Cors
from iii.modules.http.gate import PHASE
from iii.modules.http.slots import Slots
from iii.net.listening import is_loopback
from iii.protocol.limits import MIB

logger = logging.getLogger(__name__)

JSON_BODY_BYTES = 16 * MIB  # read as a whole before the handler runs (03 §A2)


class Settings:
    """Derived once per configuration."""

    __slots__ = (
        "bodies", "body_limit_bytes", "cors", "expose_errors", "json_limit_bytes", "middleware", "not_found_function", "openapi",
        "request_id_header", "server", "slots", "timeout_s",
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
        if config.concurrency_request_limit == 0:
            logger.warning("iii-http: concurrency_request_limit: 0 would answer no request; 1 is used")
        self.slots = Slots(config.concurrency_request_limit or 1)


def _middleware(config: HttpConfig) -> tuple[str, ...]:
    """The ids of global middleware in the order they run."""
    for entry in config.middleware:
        if entry.phase != PHASE:
            logger.warning(
                "iii-http: middleware %s is skipped: phase '%s' is not known; known: %s",
                entry.function_id, entry.phase, PHASE,
            )  # fmt: skip
    entries = sorted((entry for entry in config.middleware if entry.phase == PHASE), key=lambda entry: entry.priority)
    return tuple(entry.function_id for entry in entries)
