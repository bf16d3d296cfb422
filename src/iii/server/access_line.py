"""A request in the combined log format, as programs that read access logs know it (06 §11)."""

import time
from collections.abc import Mapping

from iii.protocol.log_line import one_line


def access_line(seconds: float, fields: Mapping[str, object]) -> str:
    """`ADDRESS - - [TIME] "METHOD PATH HTTP/1.1" STATUS BYTES "REFERER" "AGENT"`, then milliseconds, function and trace."""
    at = time.strftime("%d/%b/%Y:%H:%M:%S %z", time.localtime(seconds))
    request = f"{fields.get('method')} {fields.get('path')} HTTP/{fields.get('http_version')}"
    parts = [
        _plain(fields.get("ip_address")), "- -", f"[{at}]", _quoted(request), str(fields.get("status")), str(fields.get("bytes")),
        _quoted(fields.get("referer")), _quoted(fields.get("user_agent")), str(fields.get("duration_ms")),
        _plain(fields.get("function")), _plain(fields.get("trace_id")),
    ]  # fmt: skip
    return " ".join(parts)


def _plain(value: object) -> str:
    return "-" if value is None else one_line(str(value)).replace(" ", "%20")


def _quoted(value: object) -> str:
    text = "-" if value is None else one_line(str(value)).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{text}"'
