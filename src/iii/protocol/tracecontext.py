"""W3C trace context and baggage as the wire carries them (06 §3, 01 §8.7)."""

import re
from functools import lru_cache
from urllib.parse import quote, unquote

from iii.protocol.limits import BAGGAGE_CHARACTERS

# What is a digit becomes x, and what is an x becomes none: a third of what a regular expression takes, once a traced call
_SHAPE = bytes.maketrans(b"x0123456789abcdef", b"?" + b"x" * 16)
_TRACEPARENT = b"xx-%b-%b-xx" % (b"x" * 32, b"x" * 16)
_ZEROS = "0" * 16
_FUNCTION_ENTRY = "iii.function.id"
_FUNCTION_MEMBER = f"{_FUNCTION_ENTRY}="
BRIDGE_HOPS = "iii.bridge.hops"  # of baggage: how many bridges a call has crossed (07 §6.2)


def is_traceparent(text: str) -> bool:
    """Whether it is one of version 00, with ids that are not zero."""
    return bool(encoded_traceparent(text))


def encoded_traceparent(text: str) -> bytes:
    """One of version 00, with ids that are not zero; empty if it is none."""
    if text.isascii():
        encoded = text.encode()
        if (
            encoded.translate(_SHAPE) == _TRACEPARENT
            and text < "01"  # of that shape: it begins with 00, which `startswith` takes three times as long for
            and (_ZEROS not in text or (text[3:35] != _ZEROS * 2 and text[36:52] != _ZEROS))
        ):
            return encoded
    return b""


def valid_traceparent(text: str | None) -> str | None:
    """The header itself, or None when it is absent, empty or malformed (06 §3)."""
    return text if text and is_traceparent(text) else None


def ids_of(traceparent: str | None) -> dict[str, str]:
    """The fields `trace_id` and `span_id` of a log line about it; none if there is no trace."""
    return {} if traceparent is None else {"trace_id": traceparent[3:35], "span_id": traceparent[36:52]}


def _entries(baggage: str) -> list[tuple[str, str]]:
    """Key and raw value of each well-formed entry, without its properties. None of what is too long."""
    entries: list[tuple[str, str]] = []
    if len(baggage) > BAGGAGE_CHARACTERS:
        return entries
    for member in baggage.split(","):
        key, equals, value = member.partition("=")
        if equals and key.strip():
            entries.append((key.strip(), value.partition(";")[0].strip()))
    return entries


def baggage_for_target(baggage: str | None, function_id: str, *, escaped: bool = False) -> str:
    """The caller's entries with `iii.function.id` set, once, to the target (06 §3 rule 3).

    Args:
        escaped: in the form that queue providers get, with `%3A` for a colon (04 §3.4).
    """
    entry = _entry_of(function_id, escaped)
    if not baggage or names_a_function(baggage):
        return entry
    kept = [f"{key}={value}" for key, value in _entries(baggage) if key != _FUNCTION_ENTRY]
    return ",".join([*kept, entry])


def baggage_without(baggage: str, keys: frozenset[str]) -> str | None:
    """The header without these entries, otherwise as it is; None if nothing is left."""
    if not any(key in baggage for key in keys):
        return baggage
    return ",".join(f"{key}={value}" for key, value in _entries(baggage) if key not in keys) or None


def baggage_values(baggage: str | None) -> dict[str, str]:
    """Percent-decoded entries; of repeated keys the last counts (06 §13)."""
    return {key: unquote(value) for key, value in _entries(baggage or "")}


def names_a_function(baggage: str) -> bool:
    """Whether that is all of it, as of nearly all calls."""
    return baggage.startswith(_FUNCTION_MEMBER) and "," not in baggage


@lru_cache(maxsize=4096)
def _entry_of(function_id: str, escaped: bool) -> str:
    return f"{_FUNCTION_ENTRY}={quote(function_id, safe='') if escaped else _encode(function_id)}"


_UNSAFE = re.compile(r"[^!#-+\--:<-\[\]-~]|%")  # outside baggage-octet of the W3C grammar, and the escape itself


def _encode(value: str) -> str:
    return _UNSAFE.sub(lambda match: "".join(f"%{byte:02X}" for byte in match.group().encode()), value)
