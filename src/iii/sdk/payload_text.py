"""Payloads as text for traces: secrets removed, cut to a size (08 §7.4, §17.4)."""

import os
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import msgspec

from iii.sdk.annotations import read_plain
from iii.sdk.encoding import to_plain

REDACTED = "[REDACTED]"
_CACHED_CHARACTERS = 64  # of a name, so that the cache is bounded in bytes too
MARKER = '..."[TRUNCATED]"'

_SECRET_PARTS = (
    "api_key", "apikey", "api-key", "password", "secret", "credential", "authorization", "auth_token", "access_token",
    "refresh_token", "bearer", "private_key", "client_secret",
)  # fmt: skip


def is_secret(key: str) -> bool:
    """Whether the name of a member says that its value must not be shown."""
    return _is_secret(key) if len(key) <= _CACHED_CHARACTERS else _is_secret.__wrapped__(key)


@lru_cache(maxsize=1024)  # the same few names come thousands of times
def _is_secret(key: str) -> bool:
    name = key.lower()
    return name == "token" or name.endswith(("_token", "-token")) or any(part in name for part in _SECRET_PARTS)


def redact(value: Any) -> Any:
    """A copy of a plain JSON value in which the values of secret members are replaced, whatever is below them."""
    if isinstance(value, Mapping):
        return {key: REDACTED if is_secret(str(key)) else redact(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [redact(each) for each in value]
    return value


def redact_and_truncate(value: Any, limit_bytes: int | None = None) -> tuple[str, bool]:
    """JSON text of a value (or of JSON) without its secrets, at most `limit_bytes` of UTF-8 (None: no limit), and whether it was cut."""
    try:
        plain = read_plain(value) if isinstance(value, msgspec.Raw) else msgspec.to_builtins(value, enc_hook=to_plain)
        text = msgspec.json.encode(redact(plain))
    except BaseException:  # a trace must not fail because of what it shows
        text = b'"[unserializable]"'
    if limit_bytes is None or len(text) <= limit_bytes:
        return text.decode(errors="replace"), False
    marker = MARKER.encode()[:limit_bytes]
    return text[: limit_bytes - len(marker)].decode(errors="ignore") + marker.decode(), True


def payload_limit_bytes() -> int | None:
    """`III_TRACE_PAYLOAD_MAX_BYTES`; blank, `unlimited`, not positive or not a number is no limit."""
    try:
        limit = int(os.environ.get("III_TRACE_PAYLOAD_MAX_BYTES", ""))
    except ValueError:
        return None
    return limit if limit > 0 else None


def payloads_wanted() -> bool:
    """Whether payloads are put into traces at all (`III_DISABLE_TRACE_PAYLOADS`)."""
    return os.environ.get("III_DISABLE_TRACE_PAYLOADS", "").strip().lower() not in ("1", "true")
