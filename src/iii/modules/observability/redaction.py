"""What of attributes is not kept, of spans and log records alike, and which keys mean something to the store of spans (06 §7.1)."""

import re
from itertools import chain
from typing import Any
from urllib.parse import unquote_plus

import msgspec

from iii.modules.observability.records import Attributes, SpanEvent, SpanLink
from iii.protocol.json_text import BAD_JSON
from iii.protocol.limits import KIB
from iii.protocol.secrets import is_secret, without_secrets

REDACTED = "[REDACTED]"
_SECRETS = frozenset(
    {
        "authorization", "proxy-authorization", "cookie", "set-cookie", "x-api-key", "api-key", "api_key", "access_token",
        "refresh_token", "password", "secret", "credential",
    }
)  # fmt: skip
_QUERIES = frozenset(("url.full", "url.query", "http.url", "http.target"))
_TAGS = frozenset(("iii.session.id", "iii.session.name", "iii.message.id"))
TAG_PREFIX = "iii.tag."
FUNCTION_IDS = ("function_id", "iii.function.id")  # the engine's spans have the one, those of workers the other
FUNCTION_KIND = "iii.function.kind"
PAYLOAD = "iii.payload.json"

_KEYS_KNOWN = 4_096
_KEY_CHARACTERS = 64  # of a key that is remembered: the memory is bounded in bytes too
_PAYLOAD_CHARACTERS = 128 * KIB  # of a payload that is looked through
_CUT_CHARACTERS = 64 * KIB  # of one that was cut short: a look at each of its texts is slower
_LEVELS = 64  # of members within members that are looked at; whatever is below is not kept
_SIGNATURE = re.compile("sig|(?:.*[-_])?signature", re.IGNORECASE)  # of an address: whoever has it may do the same
_PARAMETER = re.compile(r"(?<![^?&;#=\s])([^?&;#=\s]++)=([^&;#\s]*)")  # a name is gone through once
_NAME = re.compile(r'"((?:[^"\\]|\\.)*+)(?:"(\s*+:)?)?', re.DOTALL)  # a text, and whether it names a member
_ESCAPE = re.compile(r"\\u([0-9a-fA-F]{4})")
_SUSPECT = (
    b"pass", b"secret", b"token", b"credent", b"auth", b"bearer", b"key", b"cook",  # in all names of secrets
    b"sig=", b"signature=",  # of addresses that are signed
    b"\\u", b"%",  # a name can be written so that no part of it shows,
    "\u017f".encode(), "\u212a".encode(),  # or with a letter that counts as `s` or `k`
)  # fmt: skip


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
    known, copy = _marks.get, attributes
    for at, (key, value) in enumerate(attributes):
        mark = known(key) or _mark(key)
        if mark & _TO_REDACT and (kept := _kept(mark, value)) is not value:
            if copy is attributes:  # once: a span may have ten thousand
                copy = list(attributes)
            copy[at] = (key, kept)
    return copy


def redacted_events(events: list[SpanEvent]) -> list[SpanEvent]:
    """The same list if nothing has to go."""
    copy = events
    for at, event in enumerate(events):
        before = event.attributes
        kept = redacted(before)
        if kept is not before:
            if copy is events:
                copy = list(events)
            copy[at] = SpanEvent(event.name, event.timestamp_unix_nano, kept)
    return copy


def redacted_links(links: list[SpanLink]) -> list[SpanLink]:
    return [SpanLink(link.trace_id, link.span_id, link.trace_state, redacted(link.attributes)) for link in links]


def redacted_value(key: str, value: Any) -> Any:
    """An attribute's JSON; the same value if nothing has to go."""
    mark = _marks.get(key) or _mark(key)
    if not mark & _TO_REDACT:
        return value
    if mark & _SECRET:
        return REDACTED
    return _kept(mark, value) if type(value) is str else value


def redact_inside(value: Any, levels: int = _LEVELS) -> Any:
    """Values of secret keys within JSON, at any depth, in place; what stands in its place if it is too deep."""
    if not levels:
        return REDACTED
    if type(value) is dict:
        for key, item in value.items():
            kept = redacted_value(key, item)
            value[key] = redact_inside(kept, levels - 1) if type(kept) in (dict, list) else kept
    elif type(value) is list:
        for index, item in enumerate(value):
            if type(item) in (dict, list):
                value[index] = redact_inside(item, levels - 1)
    return value


def tags_among(attributes: Attributes) -> list[tuple[str, str]]:
    """Those of a span that are its whole trace's (06 §7.4)."""
    return [pair for pair in attributes if (_marks.get(pair[0]) or _mark(pair[0])) & TAG]


def _mark(key: str) -> int:
    lowered = key.lower()
    mark = PLAIN
    if lowered in _SECRETS:
        mark |= _SECRET
    elif lowered in _QUERIES:
        mark |= _QUERY
    elif key == PAYLOAD:
        mark |= _PAYLOAD
    elif key in _TAGS or key.startswith(TAG_PREFIX):
        mark |= TAG
    elif key == FUNCTION_KIND or key in FUNCTION_IDS:
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
    name = unquote_plus(found[1])
    return f"{found[1]}={REDACTED}" if is_secret(name) or _SIGNATURE.fullmatch(name) else found[0]


def _payload(text: str) -> str:
    """JSON text without the values of secret names; what cannot be looked through is not kept at all."""
    if not is_suspect(text.encode(errors="replace")):
        return text
    if len(text) > _PAYLOAD_CHARACTERS:
        return REDACTED
    try:  # encoded again even if nothing has to go: of two members with one name only the last one was looked at
        return msgspec.json.encode(without_secrets(msgspec.json.decode(text), REDACTED)).decode()
    except (*BAD_JSON, UnicodeEncodeError, OverflowError):  # cut short by its maker, for example
        return REDACTED if len(text) > _CUT_CHARACTERS or _names_secret(text) else text


def _names_secret(text: str) -> bool:
    """Whether a member's name is secret in a text that is no JSON; it may begin within a name."""
    found = chain(_NAME.findall(text), _NAME.findall('"' + text))
    names = {name for name, colon in found if colon}
    return any(is_secret(_ESCAPE.sub(_character, name)) for name in names)


def _character(found: "re.Match[str]") -> str:
    return chr(int(found[1], 16))
