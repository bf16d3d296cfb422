"""Addresses of engines: which one is meant, whether it can be one, and how it may be shown (08 §4.1)."""

import ipaddress
import os
import re
from collections.abc import Iterator, Mapping
from urllib.parse import parse_qsl, unquote, urlsplit

DEFAULT_ENGINE_URL = "ws://127.0.0.1:49134"
HIDDEN = "***"

_CREDENTIALS = re.compile(r"(?<=//)[^/?#]*@")
_BLANK = re.compile(r"[\s\x00-\x1f\x7f]")


def engine_url(address: str | None) -> str:
    """The engine to connect to: the argument, `III_URL`, or the loopback default; empty counts as absent.

    Raises:
        ValueError: it is not the address of a WebSocket, so that no attempt could succeed.
    """
    url = address or os.environ.get("III_URL") or DEFAULT_ENGINE_URL
    fault = _fault(url)
    if fault is not None:
        raise ValueError(f"the engine's address must be ws://HOST:PORT or wss://HOST, got {masked(url)!r}{fault}")
    return url


def _fault(url: str) -> str | None:
    """What is wrong with it, None for nothing."""
    if not url.lower().startswith(("ws://", "wss://")):
        return ""
    if _BLANK.search(url):
        return ": a space or control character is not allowed"
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        return f": {error}"
    if not parts.hostname:
        return ": the host is missing"
    if port == 0:
        return ": port 0 is not allowed"
    if parts.fragment or url.endswith("#"):
        return ": a fragment (#) is not allowed"
    try:
        ipaddress.ip_address(parts.hostname)
    except ValueError:
        try:
            parts.hostname.encode("idna")
        except UnicodeError:
            return ": the host is not a valid name"
    return None


def masked(url: str) -> str:
    """For logs and errors: without user, password and the values of its query."""
    shown, mark, query = _CREDENTIALS.sub(f"{HIDDEN}@", url).partition("?")
    if not mark:
        return shown
    hidden = (f"{part.partition('=')[0]}={HIDDEN}" if "=" in part else HIDDEN for part in query.split("&"))
    return f"{shown}?{'&'.join(hidden)}"


def without_secrets(text: str, url: str, headers: Mapping[str, str]) -> str:
    """What a peer or a library said of a connection, without what only the two ends of it may know."""
    for secret in _secrets(url, headers):
        text = re.sub(re.escape(secret), HIDDEN, text, flags=re.IGNORECASE)
    return text


def _secrets(url: str, headers: Mapping[str, str]) -> Iterator[str]:
    parts = urlsplit(url)
    yield from filter(None, (parts.query, parts.username, parts.password))
    if parts.password:
        yield unquote(parts.password)
    yield from (value for _, value in parse_qsl(parts.query) if value)
    yield from (value for name, value in headers.items() if value and name.lower() in ("authorization", "cookie"))
