"""Spans as they arrived, before they are packed for the store: to take one costs next to nothing (06 §7.2)."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from itertools import islice

from iii.modules.observability.records import Attributes, Resource, Span
from iii.modules.observability.spans.row import SHARED_BYTES
from iii.modules.observability.spans.store import SpanStore
from iii.protocol.limits import MIB

WAITING_SPANS = 12_500
WAITING_BYTES = 16 * MIB
_SPAN_BYTES = 600  # of memory, about, beside texts
_ID_CHARACTERS = 64
_PAIR_BYTES = 150
_AT_ONCE = 4  # packed in one step: some 30 us
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
        self._waiting: dict[object, Span] = {}  # by span id; those of the same id have keys of their own
        self._weights: deque[int] = deque()
        self._packing: deque[Span] = deque()  # older than those
        self._repeats = 0  # of them, that may replace others
        self._number = 0
        self._resource: tuple[Resource, int] = ({}, 0)
        self.limit()

    def __len__(self) -> int:
        return len(self._waiting) + len(self._packing)

    def limit(self) -> None:
        """As the store is limited now."""
        self._most_spans = min(WAITING_SPANS, self._store.max_spans)
        self._most_bytes = min(WAITING_BYTES, self._store.max_bytes // _SLACK)

    def add(self, spans: Sequence[Span]) -> bool:
        """Take spans; whether some should be packed soon.

        The same object again, which was pending and has ended meanwhile, changes nothing if it waits still.
        """
        store, waiting = self._store, self._waiting
        for span in spans:
            if span.pending and not store.live:
                continue
            key: object = span.span_id
            known = waiting.get(key)
            if known is span:
                continue
            if known is not None or store.traces.row(span.trace_id, span.span_id) is not None:
                self._repeats += 1
                self._number += 1
                key = (key, self._number)
            weight = self._weight(span)
            waiting[key] = span
            self._weights.append(weight)
            self.bytes += weight
        if len(waiting) <= self._most_spans and self.bytes <= self._most_bytes:
            return False
        self._bound(len(spans))
        return len(waiting) > WAITING_SPANS or self.bytes > self._most_bytes

    def settled(self) -> Iterator[None]:
        """Steps that pack all that waits now."""
        left = len(self)
        while left > 0 and (packed := self._pack(_AT_ONCE)):
            left -= packed
            yield

    def clear(self) -> None:
        self._waiting.clear()
        self._weights.clear()
        self._packing.clear()
        self.bytes = self._repeats = 0

    def _pack(self, count: int) -> int:
        """How many were packed."""
        some = self._taken(count)
        self._store.add(some)
        return len(some)

    def _taken(self, count: int) -> list[Span]:
        """Some of the oldest, which wait no more; none: there are none."""
        packing, waiting, weights = self._packing, self._waiting, self._weights
        if not packing:
            keys = list(islice(waiting, max(count, _TAKEN)))
            packing.extend([waiting.pop(key) for key in keys])
            if self._repeats:
                self._repeats -= sum([type(key) is tuple for key in keys])
        some = [packing.popleft() for _ in range(min(count, len(packing)))]
        self.bytes -= sum([weights.popleft() for _ in some])
        return some

    def _bound(self, arrived: int) -> None:
        """No more wait than twice what should."""
        store, over = self._store, len(self) - self._store.max_spans
        if store.archive is None and not self._repeats and over * _SLACK > store.max_spans:
            while len(self) > store.max_spans:  # newer ones alone fill the store
                self._taken(len(self) - store.max_spans)
        elif len(self) > 2 * WAITING_SPANS or self.bytes > 2 * self._most_bytes:
            self._pack(2 * arrived)

    def _weight(self, span: Span) -> int:
        """Bytes of memory, about."""
        resource, weight = self._resource
        if span.resource is not resource:
            weight = sum([len(key) + len(value) for key, value in span.resource.items()])
            weight = weight if weight > SHARED_BYTES else 0
            self._resource = span.resource, weight
        weight += _SPAN_BYTES + len(span.name) + _texts(span.attributes)
        if span.events:
            weight += sum([_PAIR_BYTES + len(event.name) + _texts(event.attributes) for event in span.events])
        if span.links:
            weight += sum([_PAIR_BYTES + len(link.trace_state or "") + _texts(link.attributes) for link in span.links])
        if span.status_description or span.trace_state or len(span.trace_id) > _ID_CHARACTERS:
            weight += len(span.status_description) + len(span.trace_state) + len(span.trace_id)
        scope = len(span.instrumentation_scope_name) + len(span.instrumentation_scope_version)
        return weight if scope <= _ID_CHARACTERS else weight + scope


def _texts(attributes: Attributes) -> int:
    return sum([len(key) + len(value) + _PAIR_BYTES for key, value in attributes])
