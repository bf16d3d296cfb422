"""What aiohttp says of the connections to a small HTTP port: requests that are no HTTP are their senders' fault."""

from __future__ import annotations

import logging
from typing import Any

from aiohttp.http_exceptions import HttpProcessingError

from iii.protocol.log_event import LogEvent

NO_HTTP = LogEvent(
    __name__, "http.malformed_request", logging.DEBUG, "Request refused: it is not valid HTTP",
    means="Something that does not speak HTTP, or a scanner, has reached the port of the console or of the metrics.",
)  # fmt: skip


class HttpLog(logging.LoggerAdapter[logging.Logger]):
    """For `web.AppRunner(logger=…)`: everything but that goes where aiohttp's own goes."""

    def __init__(self) -> None:
        super().__init__(logging.getLogger("aiohttp.server"))

    def exception(self, msg: object, *args: object, exc_info: Any = True, **kwargs: Any) -> None:
        if isinstance(exc_info, HttpProcessingError):
            NO_HTTP(reason=" ".join(exc_info.message.split())[:200])
        else:
            super().exception(msg, *args, exc_info=exc_info, **kwargs)
