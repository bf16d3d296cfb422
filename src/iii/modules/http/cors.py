"""What browsers are told about pages of other origins (03 A10)."""

from __future__ import annotations

import logging

from iii.modules.http.answer import Answer
from iii.modules.http.config import CorsConfig
from iii.modules.http.headers import Headers

logger = logging.getLogger(__name__)

_ORIGIN = b"access-control-allow-origin"
_METHODS = b"access-control-allow-methods"
_HEADERS = b"access-control-allow-headers"
_EXPOSE = (b"access-control-expose-headers", b"*")
_PREFIX = b"access-control-"
_VARY = (b"vary", b"origin, access-control-request-method, access-control-request-headers")


class Cors:
    """Without a block everything is allowed, and more headers may be read."""

    def __init__(self, config: CorsConfig | None) -> None:
        origins = () if config is None else config.allowed_origins
        if "*" in origins and len(origins) > 1:
            logger.warning("iii-http: cors.allowed_origins has '*' beside others: every origin is allowed")
        self._origins = None if not origins or "*" in origins else frozenset(origins)
        methods = () if config is None else config.allowed_methods
        self._methods = ",".join(methods).encode() or b"*"
        self._any: Headers = [(_ORIGIN, b"*"), _VARY] if config is not None else [(_ORIGIN, b"*"), _EXPOSE, _VARY]

    def add_to(self, headers: Headers, origin: str | None) -> None:
        """Append to the headers of a response; what a handler has set of them itself stays."""
        added = self._any if self._origins is None else self._of_listed(origin)
        if any(name.startswith(_PREFIX) for name, _ in headers):
            own = {name for name, _ in headers}
            added = [header for header in added if header[0] not in own or header is _VARY]
        headers += added

    def preflight(self, origin: str | None) -> Answer:
        """Nothing is called, whatever the path; a page of a refused origin misses only its own name."""
        headers = [(_METHODS, self._methods), (_HEADERS, b"*")]
        allowed = [(_ORIGIN, b"*")] if self._origins is None else self._of_listed(origin)[:-1]
        return Answer(200, [*allowed, *headers, _VARY], b"", preflight=True)

    def _of_listed(self, origin: str | None) -> Headers:
        assert self._origins is not None
        return [(_ORIGIN, origin.encode()), _VARY] if origin is not None and origin in self._origins else [_VARY]
