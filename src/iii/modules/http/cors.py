"""What browsers are told about pages of other origins (03 §A10)."""

from __future__ import annotations

import logging

from iii.modules.http.answer import Answer
from iii.modules.http.config import CorsConfig
from iii.modules.http.headers import Headers
from iii.protocol.log_event import LogEvent

ANY_ORIGIN = LogEvent(
    __name__, "http.cors_any_origin", logging.WARNING, "`cors.allowed_origins` of iii-http has '*' beside others: every origin is allowed",
    means="The other entries have no effect.",
    do="Remove the `*`, or all others.",
)  # fmt: skip
BAD_ORIGIN = LogEvent(
    __name__, "http.cors_bad_origin", logging.WARNING, "Entry of `cors.allowed_origins` of iii-http allows no page: it has no scheme",
    means="Browsers send origins with their scheme.",
    do="Write it as `hint` shows.",
)  # fmt: skip

_ORIGIN = b"access-control-allow-origin"
_METHODS = b"access-control-allow-methods"
_HEADERS = b"access-control-allow-headers"
_CREDENTIALS = (b"access-control-allow-credentials", b"true")
_EXPOSE = b"access-control-expose-headers"
_MAX_AGE = b"access-control-max-age"
_PREFIX = b"access-control-"
_VARY = (b"vary", b"origin, access-control-request-method, access-control-request-headers")


class Cors:
    """Without a block everything is allowed but credentials; with one, what it says (03 §A10, P2)."""

    def __init__(self, config: CorsConfig | None, request_id_header: str | None = None) -> None:
        origins = () if config is None else config.allowed_origins
        if "*" in origins and len(origins) > 1:
            ANY_ORIGIN()
        for each in origins:
            if "://" not in each and each not in ("*", "null"):
                BAD_ORIGIN(origin=each, hint=f"http://{each}")
        self._origins = None if not origins or "*" in origins else frozenset(origins)
        self._methods = b"" if config is None else ",".join(config.allowed_methods).encode()
        self._credentials: Headers = [_CREDENTIALS] if config is not None and config.allow_credentials else []
        self._expose: Headers = []
        self._max_age: Headers = []
        exposed: tuple[str, ...] | None = ("*",)
        if config is not None:
            exposed = config.expose_headers
            if config.max_age is not None:
                self._max_age.append((_MAX_AGE, str(config.max_age).encode()))
        if exposed is None:
            exposed = () if request_id_header is None else (request_id_header,)
        if exposed:
            self._expose.append((_EXPOSE, ",".join(exposed).encode()))
        self._any: Headers = [(_ORIGIN, b"*"), *self._expose, _VARY]

    def add_to(self, headers: Headers, origin: str | None) -> None:
        """Append to the headers of a response; what a handler has set of them itself stays."""
        added = self._any if self._origins is None else [*self._listed(origin, self._expose), _VARY]
        for name, _ in headers:  # a loop, not any(): nearly every response comes through here
            if name.startswith(_PREFIX):
                own = {name for name, _ in headers}
                added = [header for header in added if header[0] not in own or header is _VARY]
                break
        headers += added

    def preflight(self, origin: str | None, method: str | None = None, headers: str | None = None) -> Answer:
        """Nothing is called, whatever the path; a page of a refused origin misses only its own name.

        `method` and `headers` are what the page wants to send: a `*` would cover neither `authorization` nor, with
        credentials, anything at all.
        """
        if self._origins is None:
            return self._told([(_ORIGIN, b"*")], self._methods or b"*", b"*")
        listed = self._listed(origin, [])
        allowed_headers = headers.encode("latin-1") if listed and headers else b"*"
        echoed = method.encode("latin-1") if listed and method and self._credentials else b"*"
        return self._told(listed, self._methods or echoed, allowed_headers)

    def _told(self, allowed: Headers, methods: bytes, headers: bytes) -> Answer:
        told = [*allowed, (_METHODS, methods), (_HEADERS, headers), *self._max_age, _VARY]
        return Answer(200, told, b"", preflight=True)

    def _listed(self, origin: str | None, more: Headers) -> Headers:
        """What a page of that origin may; nothing if it is not listed."""
        if origin is None or self._origins is None or origin not in self._origins:
            return []
        return [(_ORIGIN, origin.encode()), *self._credentials, *more]
