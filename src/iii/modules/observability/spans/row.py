"""One span as it is kept: what questions look at as members, the rest packed."""

from __future__ import annotations

from operator import attrgetter
from typing import Any, NamedTuple

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from iii.modules.observability.records import Attributes, Resource, Span, SpanEvent, SpanKind, SpanLink, SpanStatus
from iii.modules.observability.redaction import (
    FUNCTION,
    FUNCTION_IDS,
    FUNCTION_KIND,
    TAG,
    is_suspect,
    marks_of,
    redacted,
    redacted_events,
    redacted_links,
)
from iii.modules.observability.spans.signs import ANY, CommonPairs
from iii.protocol.limits import KIB

ROW_BYTES = 450  # about, of a span beside what is packed
SHARED_BYTES = KIB  # of a resource that many spans share; a larger one counts for each of them
_NAME_CHARACTERS = 256  # of a name that many spans share


class Packed(Struct, array_like=True, gc=False):
    """What only answers need."""

    status_description: str
    instrumentation_scope_name: str
    instrumentation_scope_version: str
    flags: int | None
    trace_state: str
    attributes: Attributes
    events: list[SpanEvent]
    links: list[SpanLink]


_encode = msgspec.msgpack.Encoder().encode
unpack = msgspec.msgpack.Decoder(Packed).decode
_to_json = msgspec.json.Encoder().encode
_resource = msgspec.msgpack.Decoder(Resource).decode


class Common(NamedTuple):
    """What many spans share, and lists select by."""

    service_name: str
    name: str
    status: SpanStatus
    internal: bool
    kind: SpanKind


class Row(Struct, gc=False, eq=False):
    """One span in the store.

    Attributes:
        start, end: nanoseconds; an end of 0 is that of a pending span.
        resource: shared, packed.
        root: no parent, or none among those that are kept.
        placed: it is among those of its facet.
        tagged: it has attributes that are its trace's.
        size: bytes of memory, about.
        archived: it is on disk.
        sign: of its attributes.
        bare: it is known to have neither events nor links.
        number: that of its trace where it is kept.
    """

    trace_id: str
    span_id: str
    parent_span_id: str | None
    start: int
    end: int
    common: Common
    packed: bytes
    resource: bytes
    pending: bool
    tagged: bool
    size: int
    root: bool = True
    archived: bool = False
    kept: bool = True
    placed: bool = False
    sign: int = ANY
    bare: bool = False
    number: int = 0

    def unpacked(self) -> Packed:
        return unpack(self.packed)

    def apart(self) -> Row:
        """A copy that is in no store."""
        return replace(self, root=True, placed=False, kept=True, sign=ANY)

    def duration(self, now: int) -> int:
        """Nanoseconds; a pending span ends now."""
        return max((now if self.pending else self.end) - self.start, 0)

    def answer(self, tags: dict[str, str] | None) -> bytes:
        """As it is listed: JSON."""
        span = _to_json(self.span())
        return span if tags is None else b'%b,"trace_tags":%b}' % (span[:-1], _to_json(tags))

    def span(self) -> Span:
        """As it is answered."""
        packed, common = unpack(self.packed), self.common
        return Span(
            self.trace_id,
            self.span_id,
            self.parent_span_id,
            common.name,
            self.start,
            self.end,
            common.status,
            packed.attributes,
            common.service_name,
            packed.events,
            packed.links,
            packed.status_description,
            packed.instrumentation_scope_name,
            packed.instrumentation_scope_version,
            packed.flags,
            packed.trace_state,
            self.pending,
            common.kind,
            _resource(self.resource),
        )


def _pack(span: Span, attributes: Attributes, events: list[SpanEvent], links: list[SpanLink]) -> bytes:
    return _encode(
        (
            span.status_description,
            span.instrumentation_scope_name,
            span.instrumentation_scope_version,
            span.flags,
            span.trace_state,
            attributes,
            events,
            links,
        )
    )


class Packer:
    """Makes rows. What is equal is one object: common parts and resources.

    Attributes:
        common_pairs: that many rows have.
    """

    _KNOWN = 1_000

    def __init__(self) -> None:
        self.common_pairs = CommonPairs()
        self._commons: dict[tuple[Any, ...], Common] = {}
        self._resources: dict[bytes, bytes] = {}
        self._last: tuple[Resource, bytes] = ({}, _encode({}))

    def row(self, span: Span) -> Row:
        """Redacted."""
        attributes = span.attributes
        marks = marks_of(attributes)
        packed = _pack(span, attributes, span.events, span.links)
        if is_suspect(packed):
            attributes = redacted(attributes)
            packed = _pack(span, attributes, redacted_events(span.events), redacted_links(span.links))
        key = (
            span.service_name,
            span.name,
            span.status,
            bool(marks & FUNCTION) and _is_internal(attributes),
            span.kind,
        )
        last, resource = self._last
        if span.resource is not last:
            resource = self._shared(span.resource)
        return Row(
            span.trace_id,
            span.span_id,
            span.parent_span_id,
            span.start_time_unix_nano,
            0 if span.pending else span.end_time_unix_nano,
            self._commons.get(key) or self._common(key),
            packed,
            resource,
            span.pending,
            bool(marks & TAG),
            _size_of(span, packed, resource),
            sign=self.common_pairs.sign_of(attributes),
            bare=not (span.events or span.links),
        )

    def _common(self, key: tuple[Any, ...]) -> Common:
        common = Common(*key)
        if len(common.name) + len(common.service_name) <= _NAME_CHARACTERS:
            if len(self._commons) >= self._KNOWN:
                self._commons.clear()
            self._commons[key] = common
        return common

    def _shared(self, resource: Resource) -> bytes:
        packed = _encode(resource)
        if len(packed) <= SHARED_BYTES:
            if len(self._resources) >= self._KNOWN:
                self._resources.clear()
            packed = self._resources.setdefault(packed, packed)
        self._last = (resource, packed)
        return packed


def _size_of(span: Span, packed: bytes, resource: bytes) -> int:
    """Bytes of memory of a row, about."""
    name, service = span.name, span.service_name
    size = ROW_BYTES + len(span.trace_id) + len(span.span_id) + len(name) + len(packed)
    if not name.isascii():
        size += 3 * len(name)  # a letter of it may have four bytes
    if span.parent_span_id is not None:
        size += len(span.parent_span_id)
    if len(name) + len(service) > _NAME_CHARACTERS:  # shared with no other frame
        size += 4 * len(service)
    return size if len(resource) <= SHARED_BYTES else size + len(resource)


def _is_internal(attributes: Attributes) -> bool:
    return any(
        (key == FUNCTION_KIND and value == "internal") or (key in FUNCTION_IDS and value.startswith("engine::"))
        for key, value in attributes
    )


place_of = attrgetter("start", "trace_id", "span_id")
"""By which spans are sorted: no two have the same."""
