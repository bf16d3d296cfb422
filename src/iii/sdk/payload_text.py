"""Payloads as text for traces: secrets removed, cut to a size (08 §7.4, §17.4)."""

import os
from typing import Any

import msgspec

from iii.protocol.secrets import may_hold_secret, without_secrets
from iii.sdk.annotations import read_plain
from iii.sdk.encoding import to_plain
from iii.sdk.process_end import ends_process

REDACTED = "[REDACTED]"
MARKER = '..."[TRUNCATED]"'
_NO_JSON = b'"[unserializable]"'


def redact_and_truncate(value: Any, limit_bytes: int | None = None) -> tuple[str, bool]:
    """JSON text of a value (or of JSON) without its secrets, at most `limit_bytes` of UTF-8 (None: no limit), and whether it was cut."""
    return shown_payload(bytes(value) if isinstance(value, msgspec.Raw) else payload_json(value), limit_bytes)


def payload_json(value: Any) -> bytes:
    """JSON of a payload; of one that is none, words that say so. A trace must not fail because of what it shows."""
    try:
        return msgspec.json.encode(value, enc_hook=to_plain)
    except BaseException as error:
        if ends_process(error):
            raise
        return _NO_JSON


def shown_payload(json: bytes, limit_bytes: int | None) -> tuple[str, bool]:
    """As `redact_and_truncate`, of JSON."""
    text = json.decode(errors="replace")
    if may_hold_secret(text):
        try:
            json = msgspec.json.encode(without_secrets(read_plain(msgspec.Raw(json)), REDACTED))
        except Exception:  # nested too deeply, or not JSON after all
            json = _NO_JSON
        text = json.decode()
    if limit_bytes is None or len(json) <= limit_bytes:
        return text, False
    marker = MARKER.encode()[:limit_bytes]
    return json[: limit_bytes - len(marker)].decode(errors="ignore") + marker.decode(), True


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
