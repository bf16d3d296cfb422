"""What of a span's attributes is not kept, and which attributes mean something to the store (06 §7.1)."""

import re
from typing import Any

import msgspec

from iii.modules.observability.records import Attributes, SpanEvent, SpanLink
from iii.modules.observability.secret_keys import REDACTED, SECRET_KEYS
from iii.protocol.json_text import BAD_JSON
from iii.protocol.limits import KIB
from iii.protocol.secrets import is_secret, without_secrets

_QUERIES = frozenset(("url.full", "url.query", "http.url", "http.target"))
_TAGS = frozenset(("iii.session.id", "iii.session.name", "iii.message.id"))
TAG_PREFIX = "iii.tag."
FUNCTION_ID = "function_id"
FUNCTION_KIND = "iii.function.kind"
PAYLOAD = "iii.payload.json"

_KEYS_KNOWN = 4_096
_KEY_CHARACTERS = 64  # of a key that is remembered: the memory is bounded in bytes too
_PAYLOAD_CHARACTERS = 256 * KIB  # of a payload that is looked through
_PARAMETER = re.compile(r"([^?&;#=\s]+)=([^&;#\s]*)")
_SUSPECT = (
    b"pass",
    b"secret",
    b"token",
    b"credential",
    b"auth",
    b"bearer",
    b"key",
    b"cookie",
)  # in all names of secrets


# What a key means, as bits: plain numbers, since each key of each span is looked up
PLAIN = 1
FUNCTION = 2
TAG = 4
_SECRET = 8
_QUERY = 16
_PAYLOAD = 32
_TO_REDACT = _SECRET | _QUERY | _PAYLOAD

_marks: dict[str, int] = {}  # the same few keys come millions of times


def marks_of(attributes: Attributes) -> int:
    """Of all keys together."""
    seen, known = PLAIN, _marks.get
    for key, _ in attributes:
        seen |= known(key) or _mark(key)
    return seen


def is_suspect(packed: bytes) -> bool:
    """Whether there may be something that has to go: a name of a secret, anywhere."""
    lowered = packed.lower()
    for word in _SUSPECT:  # noqa: SIM110  `any` would take twice as long, and each span comes here
        if word in lowered:
            return True
    return False


def redacted(attributes: Attributes) -> Attributes:
    """The same list if nothing has to go."""
    known = _marks.get
    for at, (key, value) in enumerate(attributes):
        mark = known(key) or _mark(key)
        if mark & _TO_REDACT and (kept := _kept(mark, value)) is not value:
            attributes = [*attributes[:at], (key, kept), *attributes[at + 1 :]]
    return attributes


def redacted_events(events: list[SpanEvent]) -> list[SpanEvent]:
    """The same list if nothing has to go."""
    for at, event in enumerate(events):
        before = event.attributes
        kept = redacted(before)
        if kept is not before:
            events = [*events[:at], SpanEvent(event.name, event.timestamp_unix_nano, kept), *events[at + 1 :]]
    return events


def redacted_links(links: list[SpanLink]) -> list[SpanLink]:
    return [SpanLink(link.trace_id, link.span_id, link.trace_state, redacted(link.attributes)) for link in links]


def is_tag(key: str) -> bool:
    """Whether an attribute of a span is one of its whole trace (06 §7.4)."""
    return bool((_marks.get(key) or _mark(key)) & TAG)


def _mark(key: str) -> int:
    lowered = key.lower()
    mark = PLAIN
    if lowered in SECRET_KEYS:
        mark |= _SECRET
    elif lowered in _QUERIES:
        mark |= _QUERY
    elif key == PAYLOAD:
        mark |= _PAYLOAD
    elif key in _TAGS or key.startswith(TAG_PREFIX):
        mark |= TAG
    elif key in (FUNCTION_ID, FUNCTION_KIND):
        mark |= FUNCTION
    if len(key) <= _KEY_CHARACTERS and len(_marks) < _KEYS_KNOWN:
        _marks[key] = mark
    return mark


def _kept(mark: int, value: str) -> str:
    """The same text if nothing has to go."""
    if mark & _SECRET:
        return REDACTED
    if mark & _QUERY:
        return _PARAMETER.sub(_parameter, value) if "=" in value else value
    return _payload(value)


def _parameter(found: "re.Match[str]") -> str:
    return f"{found[1]}={REDACTED}" if is_secret(found[1]) else found[0]


def _payload(text: str) -> str:
    """JSON text without the values of secret names; what cannot be looked through is not kept at all."""
    if not is_suspect(text.encode()):
        return text
    if len(text) > _PAYLOAD_CHARACTERS:
        return REDACTED
    try:
        value: Any = msgspec.json.decode(text)
        without = without_secrets(value, REDACTED)
        return text if without == value else msgspec.json.encode(without).decode()
    except (*BAD_JSON, OverflowError):  # cut short by its maker, for example
        return REDACTED if _names_secret(text) else text


_NAME = re.compile(r'"([^"\\]{1,200})"\s*:')


def _names_secret(text: str) -> bool:
    return any(is_secret(found[1]) for found in _NAME.finditer(text))
