"""Addresses of engines: whether one can be it, and how it may be shown (08 §4.1)."""

import ipaddress
import re
from collections.abc import Iterator, Mapping
from urllib.parse import unquote, urlsplit

from iii.protocol.query import query_params

HIDDEN = "***"

_CREDENTIALS = re.compile(r"(?<=//)[^/?#]*@")
_BLANK = re.compile(r"[\s\x00-\x1f\x7f]")


def fault_of(url: str) -> str | None:
    """What is wrong with an address, to be put behind it; None for nothing."""
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


def is_loopback(host: str) -> bool:
    """Whether only this machine can connect to it."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def shows_token(url: str, headers: Mapping[str, str]) -> bool:
    """Whether a token or a password goes over the network unencrypted."""
    if not url.lower().startswith("ws:"):
        return False
    parts = urlsplit(url)
    if is_loopback(parts.hostname or ""):
        return False
    named = any(name.lower() == "authorization" for name in headers)
    return named or parts.password is not None or "token" in query_params(parts.query)


def masked(url: str) -> str:
    """For logs and errors: without user, password and the values of its query."""
    shown, mark, query = _CREDENTIALS.sub(f"{HIDDEN}@", url).partition("?")
    if not mark:
        return shown
    hidden = (f"{part.partition('=')[0]}={HIDDEN}" if "=" in part else HIDDEN for part in query.split("&"))
    return f"{shown}?{'&'.join(hidden)}"


def without_secrets(text: str, url: str, headers: Mapping[str, str]) -> str:
    """What a peer or a library said of a connection, without what only the two ends of it may know."""
    # The longest first: a part of a secret that is hidden would leave the rest of it readable
    secrets = sorted({each for each in _secrets(url, headers) if each}, key=len, reverse=True)
    if not secrets:
        return text
    return re.sub("|".join(map(re.escape, secrets)), HIDDEN, text, flags=re.IGNORECASE)


def _secrets(url: str, headers: Mapping[str, str]) -> Iterator[str]:
    parts = urlsplit(url)
    for secret in (parts.query, parts.username, parts.password):
        yield secret or ""
        yield unquote(secret or "")
    for part in parts.query.split("&"):
        value = part.partition("=")[2]
        yield value
        yield unquote(value)
    for name, value in headers.items():
        if name.lower() in ("authorization", "cookie"):
            yield value
            yield value.partition(" ")[2]


_HTTP_ANSWERED = re.compile(r"status 101 .*received (2\d\d|400|404|405|426)\b")


def why_not_connected(error: Exception) -> str:
    """What an attempt to connect ended with; of an HTTP server that is no engine's worker port, what it may be."""
    said = str(error) or type(error).__name__
    answered = _HTTP_ANSWERED.search(said)
    if answered is None:
        return said
    return (
        f"an HTTP server answered with status {answered[1]}, not the worker port of an engine, which is 49134 by default; "
        "this may be the engine's HTTP port"
    )
