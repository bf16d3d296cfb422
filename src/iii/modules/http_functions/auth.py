"""How a call of an HTTP-invoked function proves who makes it (03 B5). Secrets come from the environment, by name."""

from __future__ import annotations

import base64
import hashlib
import hmac
import os

from iii.protocol.errors import InvocationError
from iii.protocol.messages import ApiKeyAuth, BearerAuth, HmacAuth

Auth = HmacAuth | BearerAuth | ApiKeyAuth

_CODES = {"Secret": "secret_not_found", "Token": "token_not_found", "API key": "api_key_not_found"}


def auth_header(auth: Auth, body: bytes, timestamp: str) -> tuple[str, str]:
    """Name and value of the header, read anew so that a changed secret counts. Raises InvocationError."""
    if isinstance(auth, BearerAuth):
        return "Authorization", f"Bearer {_secret('Token', auth.token_key)}"
    if isinstance(auth, ApiKeyAuth):
        return auth.header, _secret("API key", auth.value_key)
    return "x-iii-Signature", signature(_secret("Secret", auth.secret_key), body, timestamp)


def signature(secret: str, body: bytes, timestamp: str) -> str:
    """HMAC-SHA256 over `<timestamp>:<base64 of the body>`."""
    message = f"{timestamp}:{base64.b64encode(body).decode()}".encode()
    return f"sha256={hmac.new(secret.encode(), message, hashlib.sha256).hexdigest()}"


def _secret(kind: str, name: str) -> str:
    value = os.environ.get(name)
    if value is None:
        raise InvocationError(_CODES[kind], f"{kind} not found: {name}")
    return value
