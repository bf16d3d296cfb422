"""Spans as they arrived, before they are packed for the store: to take one costs next to nothing (06 §7.2)."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from math import inf

from iii.modules.observability.records import Attributes, Resource, Span
from iii.modules.observability.signals import UnreadSpans
from iii.modules.observability.spans.row import SHARED_BYTES
from iii.modules.observability.spans.store import SpanStore
from iii.protocol.limits import KIB, MIB

WAITING_SPANS = 12_500
WAITING_BYTES = 16 * MIB
_SPAN_BYTES = 600  # of memory, about, beside texts
_FRAME_BYTES = 500  # of memory, about, beside its text
_ID_CHARACTERS = 64
_PAIR_BYTES = 150
_SHARED_PAIR_BYTES = 20
_AT_ONCE = 4  # packed in one step: some 30 us
_BYTES_AT_ONCE = 16 * KIB  # of them, unless one has more: secrets are looked for in each
_TAKEN = 256  # a dict is slow to give its first ones
_SLACK = 4  # a store may hold a part more than it keeps: then many leave in one go


class Arrivals:
    """What waits to be packed, oldest first.

    Spans are packed when somebody asks, once many wait, or for the disk. Where newer ones alone fill the store, the oldest
    leave as they are: at a high rate most are never packed.

    Attributes:
        bytes: about what those that wait take.
    """

    def __init__(self, store: SpanStore) -> None:
        self.bytes = 0
        self._store = store
        self._waiting: dict[object, Sequence[Span] | UnreadSpans] = {}  # one by its id; several, by a number
        self._weights: deque[int] = deque()  # of each of those
        self._count = 0  # of spans in them
        self._shown: set[str] = set()  # open spans of the engine that were told
        self._packing: deque[tuple[Span, int]] = deque()  # with their weights; older than those
        self._reading: Iterator[Sequence[Span]] = iter(())  # of a frame; older than those that wait, newer than those
        self._unread = 0  # of its spans, and what they weigh each
        self._unread_weight = 0
        self._repeats = 0  # of them, that may replace others
        self._number = 0
        self._resource: tuple[Resource, int] = ({}, 0)
        self.limit()

    def __len__(self) -> int:
        return self._count + self._unread + len(self._packing)

    @property
    def crowded(self) -> bool:
        """Whether more would soon have to be packed at once, whatever else waits: a frame may take a tenth of a second."""
        return self.bytes > self._most_bytes + self._most_bytes // 2 and len(self) > 0

    def limit(self) -> None:
        """As the store is limited now."""
        self._most_spans = min(WAITING_SPANS, self._store.max_spans)
        self._most_bytes = min(WAITING_BYTES, self._store.max_bytes // _SLACK)

    def add(self, spans: Sequence[Span]) -> bool:
        """Take spans; whether some should be packed soon."""
        store, waiting = self._store, self._waiting
        for span in spans:
            if span.pending and not store.live:
                continue
            key: object = span.span_id
            if key in waiting or store.traces.row(span.trace_id, span.span_id) is not None:
                self._repeats += 1
                key = (key, self._next())
            self._put(key, (span,), self._weight(span))
        return self._bounded(len(spans))

    def add_own(self, spans: Sequence[Span]) -> bool:
        """As `add`, of the engine itself: those that nobody has been told of have ids that are not known yet."""
        if not spans:
            return False
        pending = [span.span_id for span in spans if span.pending]
        if pending:
            self._shown.update(pending)
            return self.add(spans)
        if self._shown:
            ended = [span for span in spans if span.span_id in self._shown]
            if ended:
                self._shown.difference_update([span.span_id for span in ended])
                return self.add(spans)
        self._put(self._next(), spans, _weight_of_own(spans))
        return self._bounded(len(spans))

    def add_unread(self, frame: UnreadSpans) -> bool:
        """As `add`; spans of which some may replace others are counted as if none did."""
        self._put(self._next(), frame, _FRAME_BYTES + frame.bytes)
        return self._bounded(len(frame))

    def _next(self) -> int:
        self._number += 1
        return self._number

    def _put(self, key: object, spans: Sequence[Span] | UnreadSpans, weight: int) -> None:
        self._waiting[key] = spans
        self._weights.append(weight)
        self._count += len(spans)
        self.bytes += weight

    def _bounded(self, arrived: int) -> bool:
        if self._count <= self._most_spans and self.bytes <= self._most_bytes:
            return False
        self._bound(arrived)
        return self._count > WAITING_SPANS or self.bytes > self._most_bytes

    def settled(self) -> Iterator[None]:
        """Steps that pack all that waits now."""
        left = len(self)
        while left > 0 and (packed := self._pack(_AT_ONCE, _BYTES_AT_ONCE)):
            left -= packed
            yield

    def clear(self) -> None:
        self._waiting.clear()
        self._weights.clear()
        self._packing.clear()
        self._reading = iter(())
        self.bytes = self._repeats = self._count = self._unread = 0

    def _pack(self, most: int, most_bytes: float = inf) -> int:
        """How many were packed; 0: there are none."""
        some = self._taken(most, most_bytes)
        self._store.add(some)
        return len(some)

    def _taken(self, most: int, most_bytes: float) -> list[Span]:
        """Some of the oldest, one at least, which wait no more; none: there are none. Of a frame no more than one step is read."""
        packing, begun = self._packing, False
        while len(packing) < most and not (begun and packing):
            if (spans := next(self._reading, None)) is not None:
                packing.extend([(span, self._unread_weight) for span in spans])
                self._unread -= len(spans)
                begun = True
            elif self._unread:  # the frame could not be read after all
                self.bytes -= self._unread * self._unread_weight
                self._unread = 0
            elif self._waiting:
                self._take(max(most, _TAKEN))
            else:
                break
        some: list[Span] = []
        bytes_ = 0
        while packing and len(some) < most and (not some or bytes_ + packing[0][1] <= most_bytes):
            span, weight = packing.popleft()
            some.append(span)
            bytes_ += weight
        self.bytes -= bytes_
        return some

    def _take(self, most: int) -> None:
        """A frame to read, or some whole entries of no more spans than that; one at least."""
        for spans, weight in self._first(most, to_read=True) or self._first(self._count, to_read=True):
            share, rest = divmod(weight, len(spans))
            self.bytes -= rest
            if isinstance(spans, UnreadSpans):
                self._reading, self._unread, self._unread_weight = spans.read(), len(spans), share
            else:
                self._packing.extend([(span, share) for span in spans])

    def _first(self, most: int, to_read: bool) -> list[tuple[Sequence[Span] | UnreadSpans, int]]:
        """What waits longest, with weights: a few whole entries of no more spans than that; a frame to read is alone."""
        waiting, keys, count = self._waiting, list[object](), 0
        for key, spans in waiting.items():
            unread = to_read and isinstance(spans, UnreadSpans)
            if len(keys) == _TAKEN or (keys if unread else count + len(spans) > most):
                break
            keys.append(key)
            count += len(spans)
            if unread:
                break
        self._count -= count
        if self._repeats:
            self._repeats -= sum([type(key) is tuple for key in keys])
        return [(waiting.pop(key), self._weights.popleft()) for key in keys]

    def _bound(self, arrived: int) -> None:
        """No more wait than twice what should."""
        store, over = self._store, len(self) - self._store.max_spans
        if store.archive is None and not self._repeats and over * _SLACK > store.max_spans:
            self._let_go(over)  # newer ones alone fill the store
        elif len(self) > 2 * WAITING_SPANS or self.bytes > 2 * self._most_bytes:
            left = 2 * arrived
            while left > 0 and (packed := self._pack(left)):
                left -= packed

    def _let_go(self, count: int) -> None:
        """The oldest leave, at most so many; a few that were told together stay or leave together."""
        while self._packing and count:
            self.bytes -= self._packing.popleft()[1]
            count -= 1
        if 0 < self._unread <= count:
            self.bytes -= self._unread * self._unread_weight
            count -= self._unread
            self._reading, self._unread = iter(()), 0
        while not self._unread and (left := self._first(count, to_read=False)):
            count -= sum([len(spans) for spans, _ in left])
            self.bytes -= sum([weight for _, weight in left])

    def _weight(self, span: Span) -> int:
        """Bytes of memory, about."""
        resource, weight = self._resource
        if span.resource is not resource:
            weight = sum([len(key) + len(value) for key, value in span.resource.items()])
            weight = weight if weight > SHARED_BYTES else 0
            self._resource = span.resource, weight
        # of the engine itself, without a resource: keys and most pairs are one object for all its spans
        pair_bytes = _PAIR_BYTES if span.resource else _SHARED_PAIR_BYTES
        weight += _SPAN_BYTES + len(span.name) + _texts(span.attributes, pair_bytes)
        return weight + _rare(span)


def _weight_of_own(spans: Sequence[Span]) -> int:
    """Of spans of the engine: what many share is one object, and weighs once."""
    weight = _SPAN_BYTES * len(spans)
    for span in {id(span.attributes): span for span in spans}.values():
        weight += len(span.name) + _texts(span.attributes, _SHARED_PAIR_BYTES)
    return weight + sum([_rare(span) for span in spans if span.events or span.links or span.trace_state])


def _rare(span: Span) -> int:
    """Of what most spans have not."""
    weight = 0
    if span.events:
        weight += sum([_PAIR_BYTES + len(event.name) + _texts(event.attributes) for event in span.events])
    if span.links:
        weight += sum([_PAIR_BYTES + len(link.trace_state or "") + _texts(link.attributes) for link in span.links])
    if span.status_description or span.trace_state or len(span.trace_id) > _ID_CHARACTERS:
        weight += len(span.status_description) + len(span.trace_state) + len(span.trace_id)
    scope = len(span.instrumentation_scope_name) + len(span.instrumentation_scope_version)
    return weight if scope <= _ID_CHARACTERS else weight + scope


def _texts(attributes: Attributes, pair_bytes: int = _PAIR_BYTES) -> int:
    return sum([len(key) + len(value) + pair_bytes for key, value in attributes])
