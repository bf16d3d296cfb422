"""How a call of an HTTP-invoked function proves who makes it (03 §B5). Secrets come from the environment, by name."""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import re
from collections.abc import Iterable
from fnmatch import translate

from iii.modules.http_functions.codes import API_KEY_NOT_FOUND, SECRET_NOT_FOUND, TOKEN_NOT_FOUND
from iii.protocol.messages import ApiKeyAuth, BearerAuth, HmacAuth

Auth = HmacAuth | BearerAuth | ApiKeyAuth

_CODES = {"Secret": SECRET_NOT_FOUND, "Token": TOKEN_NOT_FOUND, "API key": API_KEY_NOT_FOUND}
_VALUE = re.compile(r"[\t\x20-\x7e\x80-\U0010ffff]*")


class Secrets:
    """The environment variables that registrations may name (`security.env_allowlist`)."""

    def __init__(self, allowlist: Iterable[str]) -> None:
        self._allowed = [re.compile(translate(pattern), re.IGNORECASE).match for pattern in allowlist]

    def auth_header(self, auth: Auth, body: bytes, timestamp: str) -> tuple[str, str]:
        """Name and value of the header, read anew so that a changed secret counts. Raises InvocationError."""
        if isinstance(auth, BearerAuth):
            return "Authorization", f"Bearer {self._header_value('Token', auth.token_key)}"
        if isinstance(auth, ApiKeyAuth):
            return auth.header, self._header_value("API key", auth.value_key)
        return "x-iii-Signature", signature(self._value("Secret", auth.secret_key), body, timestamp)

    def _value(self, kind: str, name: str) -> str:
        if not any(matches(name) for matches in self._allowed):  # whether it exists is not told
            raise _CODES[kind](
                f"{kind} not allowed: {name}; add the name to `security.env_allowlist` of iii-http-functions"
            )
        value = os.environ.get(name)
        if value is None:
            raise _CODES[kind](f"{kind} not found: {name}")
        return value

    def _header_value(self, kind: str, name: str) -> str:
        value = self._value(kind, name)
        if _VALUE.fullmatch(value) is None:
            raise _CODES[kind](f"{kind} not valid in a header: {name}")
        return value


def signature(secret: str, body: bytes, timestamp: str) -> str:
    """HMAC-SHA256 over `<timestamp>:<base64 of the body>`."""
    message = f"{timestamp}:{base64.b64encode(body).decode()}".encode()
    return f"sha256={hmac.new(secret.encode(), message, hashlib.sha256).hexdigest()}"
