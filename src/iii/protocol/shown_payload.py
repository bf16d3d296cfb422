"""A payload as a trace shows it: cut to a size, secrets removed (08 §7.4, §17.4)."""

from iii.protocol.redacted_text import redacted_text
from iii.protocol.secrets import may_hold_secret

MARKER = '..."[TRUNCATED]"'


def shown_payload(json: bytes, limit_bytes: int) -> tuple[str, bool]:
    """Its JSON, or the beginning of that, as text of at most `limit_bytes` of UTF-8, and whether it was cut.

    It is cut first: what is behind the cut is not looked at, so a payload of 64 MiB costs no more than its beginning.
    """
    cut = len(json) > limit_bytes
    text = json[:limit_bytes].decode(errors="ignore") if cut else json.decode(errors="replace")
    if may_hold_secret(text):
        text = redacted_text(text)
    if not cut and (len(text) * 4 <= limit_bytes or len(text.encode()) <= limit_bytes):
        return text, False
    marker = MARKER.encode()[:limit_bytes]
    return text.encode()[: limit_bytes - len(marker)].decode(errors="ignore") + marker.decode(), True
