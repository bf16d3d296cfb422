"""Payloads as text for traces: secrets removed, cut to a size (08 §7.4, §17.4)."""

import os
from typing import Any

import msgspec

from iii.protocol.secrets import without_secrets
from iii.sdk.annotations import read_plain
from iii.sdk.encoding import to_plain
from iii.sdk.process_end import ends_process

REDACTED = "[REDACTED]"
MARKER = '..."[TRUNCATED]"'


def redact_and_truncate(value: Any, limit_bytes: int | None = None) -> tuple[str, bool]:
    """JSON text of a value (or of JSON) without its secrets, at most `limit_bytes` of UTF-8 (None: no limit), and whether it was cut."""
    try:
        plain = read_plain(value) if isinstance(value, msgspec.Raw) else msgspec.to_builtins(value, enc_hook=to_plain)
        text = msgspec.json.encode(without_secrets(plain, REDACTED))
    except BaseException as error:  # a trace must not fail because of what it shows
        if ends_process(error):
            raise
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
