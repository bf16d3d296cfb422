"""The query of a request as handlers get it (03 §A5)."""

from urllib.parse import unquote_to_bytes


def query_params(query: bytes) -> dict[str, str]:
    """Decoded like a form: `+` is a space, a broken escape stays, invalid UTF-8 is replaced; the last of a key counts."""
    params: dict[str, str] = {}
    for pair in query.split(b"&"):
        if pair:
            key, _, value = pair.partition(b"=")
            params[_text(key)] = _text(value)
    return params


def _text(part: bytes) -> str:
    return unquote_to_bytes(part.replace(b"+", b" ")).decode("utf-8", "replace")
