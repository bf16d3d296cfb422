"""Trace context of messages over Redis: beside them, since published engines take a message as it is (17 §6)."""

from __future__ import annotations

from collections import deque
from hashlib import blake2b
from typing import TYPE_CHECKING, NamedTuple

import msgspec
from msgspec import Struct

from iii.engine.invocation import NO_TRACE, Trace
from iii.protocol.json_text import BAD_JSON
from iii.protocol.limits import BAGGAGE_CHARACTERS, KIB
from iii.protocol.tracecontext import valid_traceparent

if TYPE_CHECKING:
    from collections.abc import Container

    from iii.engine.clock import Clock

NOTICES = 1_000  # that wait for their messages: one comes just before its own
NOTICE_BYTES = 64 * KIB
NOTICE_S = 10.0
_END_BYTES = 4 * KIB  # of a message, at its beginning and end: enough to tell it from others
_TOLD_CHARACTERS = 64

_encode = msgspec.json.Encoder().encode


class _Notice(Struct, omit_defaults=True):
    topic: str
    message: str
    traceparent: str | None = None
    baggage: str | None = None


class _Known(NamedTuple):
    key: tuple[str, str]
    trace: Trace
    until: float


_notice = msgspec.json.Decoder(_Notice)


class Notices:
    """Those that were heard, and wait for their messages.

    Args:
        topics: of which messages are heard here.
    """

    def __init__(self, clock: Clock, topics: Container[str]) -> None:
        self._now = clock.now
        self._topics = topics
        self._known: deque[_Known] = deque()

    def __len__(self) -> int:
        return len(self._known)

    def hear(self, text: bytes) -> None:
        """Remember the context of the message that follows; what makes no sense is nothing."""
        if len(text) > NOTICE_BYTES:
            return
        try:
            notice = _notice.decode(text)
        except BAD_JSON:
            return
        if notice.topic not in self._topics or len(notice.message) > _TOLD_CHARACTERS:
            return
        baggage = notice.baggage if len(notice.baggage or "") <= BAGGAGE_CHARACTERS else None
        trace = Trace(valid_traceparent(notice.traceparent), baggage or None)
        if len(self._known) >= NOTICES:
            self._known.popleft()
        self._known.append(_Known((notice.topic, notice.message), trace, self._now() + NOTICE_S))

    def of(self, topic: str, message: bytes) -> Trace:
        """The context of a message; each is taken once."""
        known = self._known
        while known and known[0].until <= self._now():
            known.popleft()
        if not known:
            return NO_TRACE
        key = (topic, _told_by(message))
        found = next((each for each in known if each.key == key), None)
        if found is None:
            return NO_TRACE
        known.remove(found)
        return found.trace


def notice(topic: str, message: bytes, trace: Trace) -> bytes | None:
    """What is published before a message; None: it has no context, or one that is too long."""
    if trace.traceparent is None and trace.baggage is None:
        return None
    text = _encode(_Notice(topic, _told_by(message), trace.traceparent, trace.baggage))
    return text if len(text) <= NOTICE_BYTES else None


def _told_by(message: bytes) -> str:
    ends = message if len(message) <= 2 * _END_BYTES else message[:_END_BYTES] + message[-_END_BYTES:]
    return f"{len(message)}-{blake2b(ends, digest_size=16).hexdigest()}"
