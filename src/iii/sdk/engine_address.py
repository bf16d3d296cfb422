"""Where the engine is, and what a worker shows at its door (08 §4.1, §4.9)."""

import os
from collections.abc import Mapping

from iii.protocol.address import fault_of, masked
from iii.sdk.in_process import SCHEME, engine_at
from iii.sdk.token_file import TokenFileHeaders, one_line

DEFAULT_ENGINE_URL = "ws://127.0.0.1:49134"


def engine_url(address: str | None) -> str:
    """The engine to connect to: the argument, `III_URL`, or the loopback default; empty counts as absent.

    Raises:
        ValueError: it is not the address of a WebSocket, so that no attempt could succeed; nor of an engine of `iii.testing`.
        TypeError: it is no text.
    """
    url = address or os.environ.get("III_URL") or DEFAULT_ENGINE_URL
    if not isinstance(url, str):
        raise TypeError(f"the engine's address must be str, such as {DEFAULT_ENGINE_URL!r}, got {type(url).__name__}")
    if url.startswith(SCHEME):
        if engine_at(url) is None:
            raise ValueError(f"no test engine of this process has the address {url!r}, or it has ended")
        return url
    fault = fault_of(url)
    if fault is not None:
        raise ValueError(f"the engine's address must be ws://HOST:PORT or wss://HOST, got {masked(url)!r:.200}{fault}")
    return url


def handshake_headers(explicit: Mapping[str, str] | None) -> Mapping[str, str]:
    """Handshake headers with the bearer token of `III_TOKEN`, or of the file `III_TOKEN_FILE`, unless the caller authorises otherwise (08 §4.9).

    Raises:
        ValueError: the file has no token, or one of them has several lines.
    """
    headers = dict(explicit or {})
    if any(name.lower() == "authorization" for name in headers):
        return headers
    token, path = os.environ.get("III_TOKEN", "").strip(), os.environ.get("III_TOKEN_FILE", "").strip()
    if token:
        try:
            one_line(token)
        except ValueError:
            raise ValueError("III_TOKEN: it is not text of one line; give the token alone") from None
        headers["Authorization"] = f"Bearer {token}"
    elif path:
        return TokenFileHeaders(headers, path)
    return headers
