"""Spans by trace: who is whose parent, and which are roots (06 §7.4)."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from msgspec import Struct

from iii.modules.observability.spans.numbers import TraceNumbers
from iii.modules.observability.spans.row import Row

_CYCLE = 1_000  # spans of a cycle that is recognised in lists


class TraceSpans(Struct, gc=False, eq=False):
    """The spans of one trace that are kept.

    Attributes:
        number: that of the trace.
        rows: by span id.
        children: ids of rows by the id of their parent, whether that is kept or not.
        cyclic: some were each other's parents.
    """

    number: int
    rows: dict[str, Row]
    children: dict[str, dict[str, None]] | None = None
    cyclic: bool = False

    def children_of(self, span_id: str) -> Iterator[Row]:
        if self.children is not None:
            for child in self.children.get(span_id, ()):
                yield self.rows[child]


class Traces:
    """All traces. `turn` is told of each row that becomes a root, or is none any more.

    Attributes:
        numbers: of those that are kept.
    """

    def __init__(self, turn: Callable[[Row, bool], None]) -> None:
        self.numbers = TraceNumbers()
        self._turn = turn
        self._traces: dict[str, TraceSpans] = {}

    def __len__(self) -> int:
        return len(self._traces)

    def __iter__(self) -> Iterator[str]:
        return iter(self._traces)

    def get(self, trace_id: str) -> TraceSpans | None:
        return self._traces.get(trace_id)

    def freed(self) -> Iterator[None]:
        """Steps that let go of all of them."""
        while self._traces:
            self._traces.popitem()
            yield

    def row(self, trace_id: str, span_id: str) -> Row | None:
        trace = self._traces.get(trace_id)
        return None if trace is None else trace.rows.get(span_id)

    def add(self, row: Row) -> None:
        """One that is not there yet."""
        trace = self._traces.get(row.trace_id)
        span_id, parent = row.span_id, row.parent_span_id
        if trace is None:
            row.number = self.numbers.take(row.trace_id)
            trace = self._traces[row.trace_id] = TraceSpans(row.number, {span_id: row})
        else:
            row.number = trace.number
            trace.rows[span_id] = row
            if trace.children is not None:
                for child in trace.children.get(span_id, ()):
                    self._turn(trace.rows[child], False)
        self.numbers.counts[trace.number] += 1
        if parent is None:
            return
        children = trace.children
        if children is None:
            children = trace.children = {}
        siblings = children.get(parent)
        if siblings is None:
            children[parent] = {span_id: None}
        else:
            siblings[span_id] = None
        if parent in trace.rows:
            self._turn(row, False)
            if span_id in children:
                self._close_cycle(trace, row)

    def remove(self, row: Row) -> None:
        trace = self._traces[row.trace_id]
        rows, children, span_id, parent = trace.rows, trace.children, row.span_id, row.parent_span_id
        del rows[span_id]
        self.numbers.counts[trace.number] -= 1
        if not rows:
            del self._traces[row.trace_id]
            self.numbers.give_back(trace.number)
            return
        if children is None:
            return
        if parent is not None:
            siblings = children[parent]
            del siblings[span_id]
            if not siblings:
                del children[parent]
        for child in children.get(span_id, ()):
            self._turn(rows[child], True)
        if trace.cyclic and parent in rows:
            self._open_cycle(trace, rows[parent])

    def _close_cycle(self, trace: TraceSpans, row: Row) -> None:
        """The earliest span of a cycle is its root."""
        cycle = [row]
        above = _parent(trace, row)
        while above is not None and above is not row and len(cycle) < _CYCLE:
            cycle.append(above)
            above = _parent(trace, above)
        if above is row:
            trace.cyclic = True
            self._turn(min(cycle, key=_start), True)

    def _open_cycle(self, trace: TraceSpans, row: Row) -> None:
        """A span has left whose parent this was: if that broke a cycle, its root has a parent and is none."""
        above: Row | None = row
        for _ in range(_CYCLE):
            parent = None if above is None else _parent(trace, above)
            if above is None or parent is None:
                return
            if above.root:
                if not _is_above_itself(trace, above):
                    self._turn(above, False)
                return
            above = parent


def _is_above_itself(trace: TraceSpans, row: Row) -> bool:
    above = _parent(trace, row)
    for _ in range(_CYCLE):
        if above is None or above is row:
            break
        above = _parent(trace, above)
    return above is row


def _parent(trace: TraceSpans, row: Row) -> Row | None:
    return None if row.parent_span_id is None else trace.rows.get(row.parent_span_id)


def _start(row: Row) -> tuple[int, str]:
    return row.start, row.span_id
