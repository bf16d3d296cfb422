"""Payloads as text for traces: cut to a size, secrets removed (08 §7.4, §17.4)."""

import os
from typing import Any

import msgspec

from iii.protocol.limits import SHOWN_PAYLOAD_BYTES
from iii.protocol.shown_payload import shown_payload
from iii.sdk.encoding import to_plain
from iii.sdk.process_end import ends_process

_NO_JSON = b'"[unserializable]"'


def redact_and_truncate(value: Any, limit_bytes: int = SHOWN_PAYLOAD_BYTES) -> tuple[str, bool]:
    """JSON text of a value (or of JSON) without its secrets, at most `limit_bytes` of UTF-8, and whether it was cut."""
    return shown_payload(bytes(value) if isinstance(value, msgspec.Raw) else payload_json(value), limit_bytes)


def payload_json(value: Any) -> bytes:
    """JSON of a payload; of one that is none, words that say so. A trace must not fail because of what it shows."""
    try:
        return msgspec.json.encode(value, enc_hook=to_plain)
    except BaseException as error:
        if ends_process(error):
            raise
        return _NO_JSON


def payload_limit_bytes() -> int:
    """`III_TRACE_PAYLOAD_MAX_BYTES`; blank, `unlimited`, not positive or not a number is as much as may be."""
    try:
        limit = int(os.environ.get("III_TRACE_PAYLOAD_MAX_BYTES", ""))
    except ValueError:
        return SHOWN_PAYLOAD_BYTES
    return min(limit, SHOWN_PAYLOAD_BYTES) if limit > 0 else SHOWN_PAYLOAD_BYTES


def payloads_wanted() -> bool:
    """Whether payloads are put into traces at all (`III_DISABLE_TRACE_PAYLOADS`)."""
    return os.environ.get("III_DISABLE_TRACE_PAYLOADS", "").strip().lower() not in ("1", "true")
