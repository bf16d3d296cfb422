"""Spans in memory: the last ones, whole as they are needed for answers (06 §7.2, §7.3)."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Generator, Iterable, Iterator, Sequence
from typing import Protocol

from iii.modules.observability.records import Span
from iii.modules.observability.spans.facets import Facets
from iii.modules.observability.spans.row import Packer, Row
from iii.modules.observability.spans.traces import Traces

_PLACED_AT_ONCE = 256
_COPIED = 20  # in one step
# While fewer than one of so many that may be kept are pending, those stay: what hangs is looked for last.
_PENDING_SHARE = 4
_EVICTED_PER_SPAN = 3  # while the store shrinks to its low watermark: nobody waits for the whole of it


class FinishedSpans(Protocol):
    """What survives the end of the process."""

    def expect(self, row: Row) -> None:
        """A finished span is new, or has changed."""


class SpanStore:
    """First in, first out.

    Args:
        max_spans: kept.
        max_bytes: about what they may take; then the oldest leave until it is `low_ratio` of that.
        live: whether pending spans are kept.

    Attributes:
        max_spans, max_bytes: as given.
        archive: while there is one, what is pending or not on disk yet stays.
        watch: told of each span that is new or has changed; None: nobody wants to know.
        bytes: about what all of them take.
        dropped: spans that had to leave before they were on disk.
    """

    def __init__(self, max_spans: int, max_bytes: int, low_ratio: float = 0.75, live: bool = True) -> None:
        self.live = live
        self.archive: FinishedSpans | None = None
        self.watch: Callable[[Row], None] | None = None
        self.bytes = 0
        self.dropped = 0
        self.max_spans = max_spans
        self.limit(max_bytes, low_ratio)
        self._lowering = False
        self._packer = Packer()
        self._begin()

    def _begin(self) -> None:
        self.facets = Facets(self._packer.common_pairs)
        self.traces = Traces(self.facets.turn)
        self._rows: deque[Row] = deque()  # in the order of arrival; those that left otherwise too
        self._held: deque[Row] = deque()  # older, which stay until they are finished and on disk
        self._gone = 0  # in both
        self._pending: dict[Row, None] = {}

    @property
    def count(self) -> int:
        """Spans that are kept."""
        return len(self._rows) + len(self._held) - self._gone

    @property
    def pending(self) -> Collection[Row]:
        return self._pending

    def copies(self, rows: Sequence[Row], trace_ids: Iterable[str]) -> Generator[None, None, list[Row]]:
        """Copies of all spans of some traces, and of the traces of some rows, for another thread; in steps."""
        wanted = dict.fromkeys(trace_ids)
        for start in range(0, len(rows), _COPIED):
            wanted.update((row.trace_id, None) for row in rows[start : start + _COPIED])
            yield
        copies = list[Row]()
        for trace_id in wanted:
            trace = self.traces.get(trace_id)
            found = [] if trace is None else list(trace.rows.values())
            for start in range(0, len(found), _COPIED):
                copies += [row.apart() for row in found[start : start + _COPIED]]
                yield
        return copies

    def finished(self) -> Iterator[Row]:
        """Those that have ended, the oldest first."""
        for rows in (self._held, self._rows):
            yield from (row for row in rows if row.kept and not row.pending)

    def add(self, spans: Iterable[Span]) -> None:
        """Take spans as they are made or arrive."""
        taken = 0
        for span in spans:
            taken += 1
            if span.pending and not self.live:
                continue
            old = self.traces.row(span.trace_id, span.span_id)
            if old is None:
                row = self._packer.row(span)
                self._rows.append(row)
                self._put(row)
                while self.count > self.max_spans and self._evict():
                    pass
            elif old.pending or not span.pending:
                self._replace(old, self._packer.row(span))
        if self.facets.unsettled >= _PLACED_AT_ONCE:
            self.facets.settle()
        self._make_room(taken)

    def resize(self, max_spans: int) -> Iterator[None]:
        """Steps until no more than that are kept."""
        self.max_spans = max_spans
        return self.leave_room(0)

    def limit(self, max_bytes: int, low_ratio: float) -> None:
        """With the next spans so many bytes are kept."""
        self.max_bytes = max_bytes
        self._low_bytes = int(max_bytes * low_ratio)

    def leave_room(self, others: int) -> Iterator[None]:
        """Steps until no more than `max_spans` are kept together with so many others."""
        while self.count > max(self.max_spans - others, 0) and self._evict():
            yield

    def expire(self, before: int) -> Iterator[None]:
        """Steps that drop pending spans that began before then, in nanoseconds."""
        for row in list(self._pending):
            if row in self._pending and row.start < before:
                self._forget(row)
            yield
        self._tidy()

    def forget(self, places: Iterable[tuple[str, str]]) -> Iterator[None]:
        """Steps that drop those of some spans, by the ids of trace and span, that are still pending."""
        for trace_id, span_id in places:
            row = self.traces.row(trace_id, span_id)
            if row is not None and row.pending:
                self._forget(row)
            yield
        self._tidy()

    def _forget(self, row: Row) -> None:
        self._leave(row)
        self._gone += 1

    def _tidy(self) -> None:
        """Places of rows that are not kept any more."""
        if self._gone > self.count:
            self._rows = deque(row for row in self._rows if row.kept)
            self._held = deque(row for row in self._held if row.kept)
            self._gone = 0

    def clear(self) -> Iterator[None]:
        """Keep nothing from now on; the steps give the memory back."""
        old = self.traces, self.facets, self._held, self._rows
        self._begin()
        self.bytes = 0
        return _freed(*old)

    def archived(self, row: Row, version: bytes) -> None:
        """A row is on disk as it was with these packed members."""
        if row.packed is version:
            row.archived = True

    def _put(self, row: Row) -> None:
        self.bytes += row.size
        self.traces.add(row)
        self.facets.expect(row)
        if row.pending:
            self._pending[row] = None
        elif self.archive is not None:
            self.archive.expect(row)
        if self.watch is not None:
            self.watch(row)

    def _leave(self, row: Row) -> None:
        """It is not kept any more; the caller knows about its place."""
        row.kept = False
        self.bytes -= row.size
        self.facets.remove(row)
        self.traces.remove(row)
        if row.pending:
            self._pending.pop(row, None)

    def _replace(self, row: Row, new: Row) -> None:
        """In its place."""
        self._leave(row)
        for name in (
            "parent_span_id",
            "start",
            "end",
            "common",
            "packed",
            "resource",
            "pending",
            "tagged",
            "size",
            "sign",
            "bare",
        ):
            setattr(row, name, getattr(new, name))
        row.root = row.kept = True
        row.archived = False
        self._put(row)

    # -- room -----------------------------------------------------------------------------------------------------

    def _make_room(self, taken: int) -> None:
        if self.bytes > self.max_bytes:
            self._lowering = True
        while self.bytes > self.max_bytes and self._evict():
            pass
        if self._lowering:
            steps = _EVICTED_PER_SPAN * taken
            while steps and self.bytes > self._low_bytes and self._evict():
                steps -= 1
            self._lowering = self.bytes > self._low_bytes

    def _evict(self) -> bool:
        """The oldest that may leave; False: there is none."""
        held = self._held
        while held:
            if self._may_leave(held[0]):
                if self._drop(held.popleft()):
                    return True
            else:
                if held[0].pending:  # perhaps for hours: those behind it need not wait
                    held.rotate(-1)
                break
        rows = self._rows
        left = len(rows)
        while left:
            left -= 1
            row = rows.popleft()
            if self._may_leave(row):
                if self._drop(row):
                    return True
            elif self.archive is None:
                rows.append(row)  # as if it had come now
            else:
                held.append(row)
        while held and self.bytes > self.max_bytes:  # the disk is full or slow: memory has an end
            row = held.popleft()
            self.dropped += row.kept and not row.pending
            if self._drop(row):
                return True
        return False

    def _may_leave(self, row: Row) -> bool:
        if not row.kept:
            return True
        if self.archive is None:
            many = len(self._pending) * _PENDING_SHARE > self.max_spans
            return not row.pending or many or self.bytes > self.max_bytes
        return row.archived and not row.pending

    def _drop(self, row: Row) -> bool:
        """One that has lost its place; False: it was not kept anyway."""
        if not row.kept:
            self._gone -= 1
            return False
        self._leave(row)
        return True


def _freed(traces: Traces, facets: Facets, *others: deque[Row]) -> Iterator[None]:
    """Objects of millions of spans are given back a few at a time."""
    yield from traces.freed()
    yield from facets.freed()
    for rows in others:
        while rows:
            rows.pop().kept = False
            yield
