"""Lists, trees and groups over disk and memory together; on the thread that reads (06 §7.5).

Traces of which the memory has what the disk has not are looked at as a whole, outside of the database; all others by it.
"""

from __future__ import annotations

import copy
import heapq
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, NamedTuple, TypeAlias, TypeVar

from iii.modules.observability.spans.archive.blocks import SHIFT, SPANS
from iii.modules.observability.spans.archive.columns import TimesReader
from iii.modules.observability.spans.archive.known_blocks import DamagedBlocks, KnownBlocks, SealedBlock
from iii.modules.observability.spans.archive.narrowed import ListedFacets, Narrowed, narrowed
from iii.modules.observability.spans.archive.orders import marks_of
from iii.modules.observability.spans.archive.rows import COLUMNS, JOINED, ArchivedRows
from iii.modules.observability.spans.facets import Facets
from iii.modules.observability.spans.groups import group
from iii.modules.observability.spans.listed import select
from iii.modules.observability.spans.requests import TraceGroup, TracesGroupByInput
from iii.modules.observability.spans.row import Common, Row
from iii.modules.observability.spans.selection import COMMON_KEYS, DURATIONS, TRACES_OF_PREFIX, Selection
from iii.modules.observability.spans.tags import tags_of
from iii.modules.observability.spans.traces import Traces
from iii.modules.observability.spans.tree import Collapse, tree
from iii.modules.observability.steps import Steps
from iii.storage.transactions import Connection

T = TypeVar("T")

_ROWS = 64
_SKIPPED = 64  # rows of an offset that are passed one by one
_SEEN_SHARE = 4  # the same, if all of them are looked at
_SHARE = 50  # a facet of less than such a part of all spans is looked up by itself
_LARGEST = 2**63 - 1
_ORDERS = {
    "duration": "max(s.end - s.start, 0)",
    "duration_ms": "max(s.end - s.start, 0)",
    "service_name": "f.service",
    "name": "f.name",
}


class Union:
    """Spans of some traces, of which one place may not have all; the first one that is added counts."""

    def __init__(self, rows: Iterable[Row]) -> None:
        self.facets = Facets()
        self.traces = Traces(self.facets.turn)
        self.add(rows)

    def add(self, rows: Iterable[Row]) -> None:
        for row in rows:
            if self.traces.row(row.trace_id, row.span_id) is None:
                self.traces.add(row)
                self.facets.expect(row)
        self.facets.settle()

    @property
    def count(self) -> int:
        return sum(facet.count for facet in self.facets.all())

    def rows(self, trace_id: str) -> list[Row]:
        trace = self.traces.get(trace_id)
        return [] if trace is None else list(trace.rows.values())


class SpanPage(NamedTuple):
    spans: list[bytes]
    total: int


class Questions:
    """What is asked of one state of the disk.

    Args:
        memory: copies of all rows in memory of traces that are not on disk as they are.
        known: what was read of blocks before.

    Attributes:
        damaged_blocks: found by these questions.
    """

    def __init__(self, connection: Connection, memory: Sequence[Row], known: KnownBlocks | None = None) -> None:
        self._execute = connection.execute
        self._known = known or KnownBlocks()
        self._reader = TimesReader(connection, self._known)
        self._union = Union(row for row in memory if not row.pending)
        self._pending = [row for row in memory if row.pending]
        self._apart = json.dumps(list({row.trace_id: None for row in memory}))
        rows = self._execute("SELECT id, service, name, status, internal, kind, roots, others FROM facets").fetchall()
        self._commons = {row[0]: Common(row[1], row[2], row[3], bool(row[4]), row[5]) for row in rows}
        self._counts = {row[0]: (row[6], row[7]) for row in rows}
        self._not_apart = _NOT_APART if memory else _NONE_APART
        self._narrowed = Narrowed()
        self.damaged_blocks = list[SealedBlock]()
        self._rows = ArchivedRows(connection, self._commons)

    @property
    def damaged(self) -> str | None:
        """What could not be read."""
        return self._rows.damaged

    def listed(self, selection: Selection) -> SpanPage:
        """A page as JSON, with tags, and the total."""
        if selection.prefix is not None:
            selection.traces = [*(selection.traces or ()), *self._beginning_with(selection.prefix)]
        self._unite(selection.traces or ())
        if selection.traces is not None:
            rows, total = made(select(self._union, selection))
        else:
            apart = copy.copy(selection)
            apart.offset, apart.limit = 0, selection.offset + selection.limit
            rows, total = made(select(self._union, apart))
            skipped = max(selection.offset - len(rows), 0)  # of those on disk, whatever stands between them
            found, more = self._found(selection, apart.limit, skipped)
            merged = heapq.merge(rows, found, key=selection.key, reverse=selection.descending)
            rows, total = list(islice(merged, selection.offset - skipped, apart.limit - skipped)), total + more
        return SpanPage(list(self._answered(rows)), total)

    def tree(self, trace_id: str, collapse: Collapse) -> bytes:
        self._unite((trace_id,))
        return made(tree(self._rows.whole(self._union.rows(trace_id)), collapse))

    def groups(self, request: TracesGroupByInput, now: int) -> list[TraceGroup]:
        self._unite(())
        return made(group(self._chunks(request), request, now))

    def _unite(self, trace_ids: Iterable[str]) -> None:
        """The traces of which the memory has something, and these. What is finished on disk is not pending in memory."""
        apart = json.loads(self._apart)
        self._union.add(self._rows.of([*apart, *trace_ids]))
        self._union.add(self._pending)

    def _beginning_with(self, prefix: str) -> list[str]:
        query = "SELECT trace_id FROM traces WHERE trace_id >= ? AND trace_id < ? LIMIT ?"
        rows = self._execute(query, (prefix, f"{prefix}\U0010ffff", TRACES_OF_PREFIX))
        return [trace_id for (trace_id,) in rows]

    def _chunks(self, request: TracesGroupByInput) -> Iterator[list[Row]]:
        for facet in self._union.facets.all():
            for chunk in facet.chunks():
                yield self._rows.whole(chunk)
        rows = self._execute(
            f"SELECT {COLUMNS} FROM spans s {JOINED} WHERE instr(s.packed, CAST(? AS BLOB)) AND {_NOT_APART}",
            (request.attribute, self._apart),
        )
        while chunk := rows.fetchmany(_ROWS):
            yield self._rows.whole(map(self._rows.row, chunk))

    def _answered(self, rows: Sequence[Row]) -> Iterator[bytes]:
        traces = {row.trace_id: None for row in rows}
        tags: dict[str, dict[str, str] | None] = self._rows.tags(
            [trace_id for trace_id in traces if self._union.traces.get(trace_id) is None]
        )
        for row in rows:
            trace_id = row.trace_id
            if trace_id not in tags:
                tagged = self._rows.whole(self._tagged(trace_id))
                tags[trace_id] = made(tags_of(filter(self._rows.has_attributes, tagged)))
            answer = self._rows.answer(row, tags[trace_id] or None)
            if answer is not None:
                yield answer

    def _tagged(self, trace_id: str) -> list[Row]:
        return [row for row in self._union.rows(trace_id) if row.tagged]

    # -- by the database ------------------------------------------------------------------------------------------

    def _found(self, selection: Selection, limit: int, skipped: int) -> tuple[list[Row], int]:
        """As `_selected`; what blocks do not tell, since they are damaged, the spans themselves do."""
        while True:
            try:
                return self._selected(selection, limit, skipped)
            except DamagedBlocks as damaged:
                self.damaged_blocks += damaged.blocks
                self._known.distrust(damaged.blocks)
                self._reader = TimesReader(self._reader.connection, self._known)

    def _selected(self, selection: Selection, limit: int, skipped: int) -> tuple[list[Row], int]:
        """The first rows of traces that the disk has as they are, but for some, and how many there are."""
        facets = [facet for facet, common in self._commons.items() if selection.wants(common)]
        roots = not selection.everywhere
        held = self._held(facets, roots)
        if not held:
            return [], 0
        wanted = ListedFacets(facets, held, _marks_of(self._execute, self._apart), limit, skipped)
        narrow = self._narrowed = narrowed(self._reader, selection, self._commons, wanted)
        if narrow.page is not None and narrow.total is not None:
            rows = sorted(self._rows.having(narrow.page.ids), key=selection.key, reverse=selection.descending)
            return rows[max(skipped - narrow.page.before, 0) : limit - narrow.page.before], narrow.total
        conditions, values = _conditions(selection, self._narrowed)
        is_plain = self._by_facet(selection) and selection.since is None and selection.until is None
        scarce = self._is_scarce(selection, held)
        index = f"{'roots' if roots else 'spans'}_by_{'facet' if scarce else 'start'}"
        if roots:
            conditions.append("s.root > 0")
        if scarce and self._by_facet(selection) and selection.sort_by not in _ORDERS:
            conditions.append(f"s.start {'>=' if selection.descending else '<='} ?")
            values.append(self._last_start(selection, facets, index, limit))
        total = self._total(selection, held, facets, index)
        if not total:
            return [], 0
        if total * held < limit * self._held(self._counts, roots):  # between those of the page are too many others
            scarce, index = True, f"{'roots' if roots else 'spans'}_by_facet"
        if is_plain and selection.sort_by in DURATIONS:
            ids, last = self._extremes(selection, facets, index, limit)
            if ids is not None and skipped <= _SKIPPED:
                rows = sorted(self._rows.having(ids), key=selection.key, reverse=selection.descending)
                return rows[skipped:], total
            conditions.append(f"{_ORDERS['duration']} {'>=' if selection.descending else '<='} ?")
            values.append(last)
        if len(facets) < len(self._commons) or scarce:
            conditions.append("s.facet IN (SELECT value FROM json_each(?))")
            values.append(json.dumps(facets))
        source = narrow.source or f"spans s INDEXED BY {index}"
        where, bound = " AND ".join([*conditions, self._not_apart]), (*narrow.given, *values, self._apart)
        return self._page(selection, source, where, bound, min(limit, _LARGEST), min(skipped, _LARGEST)), total

    def _page(
        self, selection: Selection, source: str, where: str, bound: tuple[Any, ...], limit: int, skip: int
    ) -> list[Row]:
        """In their order, those from one place to another; what is not on the page is not read."""
        limit -= skip
        if skip > _SKIPPED and self._narrowed.source is None and selection.sort_by not in _ORDERS:
            condition, start, skip = _behind(self._execute, selection, (source, where, bound), skip)
            where, bound = f"{where} AND {condition}", (*bound, start)
        order = _order_of(selection)
        source = f"{source} CROSS JOIN traces t ON t.id = s.trace"
        if selection.sort_by in COMMON_KEYS:
            source = f"{source} CROSS JOIN facets f ON f.id = s.facet"
            condition, last = _until(self._execute, selection, (source, where, bound), skip + limit)
            where, bound = f"{where} AND {condition}", (*bound, *last)
        query = f"SELECT s.id FROM {source} WHERE {where} ORDER BY {order} LIMIT ? OFFSET ?"
        rows = self._rows.having([id_ for (id_,) in self._execute(query, (*bound, limit, skip))])
        return sorted(rows, key=selection.key, reverse=selection.descending)

    def _total(self, selection: Selection, held: int, facets: Sequence[int], index: str) -> int:
        """How many spans of the facets the selection has; `held` is how many there are."""
        conditions, values = _conditions(selection, self._narrowed)
        if len(facets) < len(self._commons):
            conditions.append("s.facet IN (SELECT value FROM json_each(?))")
            values.append(json.dumps(facets))
        if not selection.everywhere:
            conditions.append("s.root > 0")
        where, narrow = " AND ".join(conditions) or "1", self._narrowed
        if narrow.total is not None:
            return narrow.total
        if self._is_counted(selection):
            known = held
            if narrow.counting is not None and not self._by_facet(selection):
                known = narrow.counting(facets)
            query = f"""
                SELECT count(*) FROM traces t CROSS JOIN spans s ON s.trace = t.id
                WHERE {where} AND t.trace_id IN (SELECT value FROM json_each(?))"""
            return known - int(self._execute(query, (*values, self._apart)).fetchone()[0])
        query = (
            f"SELECT count(*) FROM {narrow.source or f'spans s INDEXED BY {index}'} WHERE {where} AND {self._not_apart}"
        )
        return int(self._execute(query, (*narrow.given, *values, self._apart)).fetchone()[0])

    def _by_facet(self, selection: Selection) -> bool:
        """Whether facets tell which spans are listed, but for their times."""
        return self._narrowed.all and not selection.other_filters

    def _is_counted(self, selection: Selection) -> bool:
        """Whether how many there are is known without a look at each."""
        narrow = self._narrowed
        if narrow.total is not None or selection.since is not None or selection.until is not None:
            return narrow.total is not None
        return (narrow.counting is not None and not selection.other_filters) or self._by_facet(selection)

    def _is_scarce(self, selection: Selection, held: int) -> bool:
        """Whether those of the facets are found sooner by their facets than by their start."""
        if self._is_counted(selection) or self._by_facet(selection):
            return held * _SHARE < self._held(self._counts, roots=False)
        return held * _SEEN_SHARE < self._held(self._counts, roots=not selection.everywhere)

    def _held(self, facets: Iterable[int], roots: bool) -> int:
        return sum(self._size(facet, roots) for facet in facets)

    def _size(self, facet: int, roots: bool) -> int:
        return self._counts[facet][0] if roots else sum(self._counts[facet])

    def _extremes(
        self, selection: Selection, facets: Sequence[int], index: str, limit: int
    ) -> tuple[list[int] | None, int]:
        """Ids of the rows that took longest, or shortest, and what the last of them took; None: others took as long."""
        direction, took = "DESC" if selection.descending else "ASC", _ORDERS["duration"]
        wanted = "" if len(facets) == len(self._commons) else "s.facet IN (SELECT value FROM json_each(?)) AND "
        roots = "" if selection.everywhere else "s.root > 0 AND "
        query = f"""
            SELECT s.id, {took} AS took FROM spans s INDEXED BY {index}
            WHERE {wanted}{roots}{self._not_apart} ORDER BY took {direction} LIMIT ?"""
        values = [json.dumps(facets)] if wanted else []
        limit = min(limit, _LARGEST - 1)
        found = self._execute(query, (*values, self._apart, limit + 1)).fetchall()
        last = int(found[:limit][-1][1]) if found and limit else 0 if selection.descending else _LARGEST
        is_cut = len(found) > limit > 0 and found[limit][1] == last
        return None if is_cut else [id_ for id_, _ in found[:limit]], last

    def _last_start(self, selection: Selection, facets: Sequence[int], index: str, limit: int) -> int:
        """That of the last span of a page, or one beyond: the others of scarce facets need not be sorted."""
        conditions, values = _conditions(selection, self._narrowed)
        if not selection.everywhere:
            conditions.append("s.root > 0")
        where = " AND ".join(["s.facet = ?", *conditions])
        direction = "DESC" if selection.descending else "ASC"
        query = f"SELECT s.start FROM spans s INDEXED BY {index} WHERE {where} ORDER BY s.start {direction} LIMIT ?"
        limit = min(limit + self._union.count, _LARGEST)
        starts = [start for facet in facets for (start,) in self._execute(query, (facet, *values, limit))]
        starts.sort(reverse=selection.descending)
        return starts[min(limit, len(starts)) - 1] if starts and limit else 0


def _conditions(selection: Selection, narrow: Narrowed) -> tuple[list[str], list[Any]]:
    conditions, values = list[str](), list[Any]()

    def add(condition: str, *bound: Any) -> None:
        conditions.append(condition)
        values.extend(bound)

    if selection.since is not None:
        add("s.end >= ?", min(selection.since, _LARGEST))
    if selection.until is not None:
        add("s.start <= ?", min(selection.until, _LARGEST))
    if selection.shortest is not None and selection.shortest > 0:
        add("s.end - s.start >= ?", selection.shortest)
    if selection.longest is not None:
        add("max(s.end - s.start, 0) <= ?", selection.longest)
    for condition, bound in narrow.conditions:
        add(condition, *bound)
    return conditions, values


_Asked: TypeAlias = tuple[str, str, tuple[Any, ...]]
"""Where rows are looked for, what they fulfil, and what is bound to that."""


def _until(execute: Callable[..., Any], selection: Selection, asked: _Asked, end: int) -> tuple[str, tuple[str, ...]]:
    """What the rows before a place fulfil, with what is bound: the index has not their ids, by which they are sorted at last."""
    source, where, bound = asked
    direction, before = ("DESC", ">=") if selection.descending else ("ASC", "<=")
    place = f"{_ORDERS[selection.sort_by or '']}, t.trace_id"
    order = ", ".join(f"{column} {direction}" for column in place.split(", "))
    query = f"SELECT {place} FROM {source} WHERE {where} ORDER BY {order} LIMIT 1 OFFSET ?"
    last = execute(query, (*bound, max(end - 1, 0))).fetchone()
    return ("TRUE", ()) if last is None else (f"({place}) {before} (?, ?)", last)


def _behind(execute: Callable[..., Any], selection: Selection, asked: _Asked, skip: int) -> tuple[str, int, int]:
    """What rows behind many others fulfil, with what is bound, and how many of those do: what is passed is not looked up."""
    direction, before, since = ("DESC", ">", "<=") if selection.descending else ("ASC", "<", ">=")
    source, where, bound = asked
    ordered = f"SELECT s.start FROM {source} WHERE {where} ORDER BY s.start {direction} LIMIT 1 OFFSET ?"
    (start,) = execute(ordered, (*bound, skip)).fetchone() or (0,)
    query = f"SELECT count(*) FROM {source} WHERE {where} AND s.start {before} ?"
    (passed,) = execute(query, (*bound, start)).fetchone()
    return f"s.start {since} ?", start, max(skip - passed, 0)


def _marks_of(execute: Callable[..., Any], traces: str) -> dict[int, int]:
    """Of blocks: their spans of traces that are looked at outside of the database."""
    found = dict[int, list[int]]()
    for (id_,) in execute(f"SELECT id FROM spans WHERE trace IN {_APART}", (traces,)):
        found.setdefault(id_ >> SHIFT, []).append(id_ & SPANS - 1)
    return {block: marks_of(sorted(places)) for block, places in found.items()}


def _order_of(selection: Selection) -> str:
    columns = _ORDERS.get(selection.sort_by or "", "s.start"), "t.trace_id", "s.span_id"
    return ", ".join(f"{column} {'DESC' if selection.descending else 'ASC'}" for column in columns)


_APART = "(SELECT id FROM traces WHERE trace_id IN (SELECT value FROM json_each(?)))"
_NOT_APART = f"s.trace NOT IN {_APART}"
_NONE_APART = "? IS NOT NULL"


def made(steps: Steps[T]) -> T:
    """All of it at once."""
    while True:
        try:
            next(steps)
        except StopIteration as ended:
            result: T = ended.value
            return result
