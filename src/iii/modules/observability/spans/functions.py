"""`engine::traces::list`, `tree`, `clear` and `group_by` (06 §7.4)."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain
from typing import Any

import msgspec

from iii.engine.builtin import Later, builtin
from iii.engine.engine import Engine
from iii.engine.invocation import Invocation
from iii.modules.observability.spans.codes import MEMORY_EXPORTER_NOT_ENABLED
from iii.modules.observability.spans.groups import group
from iii.modules.observability.spans.kept import KeptSpans
from iii.modules.observability.spans.requests import (
    TracesClearInput,
    TracesClearResult,
    TracesGroupByInput,
    TracesGroupByResult,
    TracesListInput,
    TracesListResult,
    TraceStorage,
    TracesTreeInput,
    TracesTreeResult,
)
from iii.modules.observability.spans.row import Row
from iii.modules.observability.spans.selection import Selection, select
from iii.modules.observability.spans.store import SpanStore
from iii.modules.observability.spans.tags import TraceTags
from iii.modules.observability.spans.tree import Collapse, tree
from iii.modules.observability.steps import Steps, answer_in_steps

_encode = msgspec.json.Encoder().encode
_MS = 1_000_000


class TraceFunctions:
    """Answers are made a piece in each turn of the loop; those from a small store at once."""

    def __init__(self, engine: Engine, spans: KeptSpans) -> None:
        self._engine = engine
        self._spans = spans

    @builtin("engine::traces::list", spec="06 §7.4")
    def list(self, request: TracesListInput, invocation: Invocation) -> TracesListResult | Later:
        """List spans: roots, or all that match."""
        selection = Selection(request, self._now())
        return answer_in_steps(self._engine, invocation, _list(self._kept(), selection, self._spans.storage()))

    @builtin("engine::traces::tree", spec="06 §7.4")
    def tree(self, request: TracesTreeInput, invocation: Invocation) -> TracesTreeResult | Later:
        """Show one trace as a tree of spans."""
        trace = self._kept().traces.get(request.trace_id)
        rows = [] if trace is None else list(trace.rows.values())
        return answer_in_steps(self._engine, invocation, _tree(rows, self._spans.collapse, self._spans.storage()))

    @builtin("engine::traces::clear", spec="06 §7.4")
    def clear(self, request: TracesClearInput) -> TracesClearResult:
        """Remove all spans."""
        self._engine.turns.go(self._kept().clear())
        return TracesClearResult(success=True)

    @builtin("engine::traces::group_by", spec="06 §7.4")
    def group_by(self, request: TracesGroupByInput, invocation: Invocation) -> TracesGroupByResult | Later:
        """Group spans by the value of an attribute."""
        store = self._kept()
        store.facets.settle()
        chunks = chain.from_iterable(facet.chunks() for facet in list(store.facets.all()))
        return answer_in_steps(self._engine, invocation, _groups(chunks, request, self._now(), self._spans.storage()))

    def _kept(self) -> SpanStore:
        store = self._spans.store
        if store is None:
            raise MEMORY_EXPORTER_NOT_ENABLED(
                "In-memory span storage is not available. Set exporter: memory or both in config."
            )
        return store

    def _now(self) -> int:
        return self._engine.clock.time_ms() * _MS


def _list(store: SpanStore, selection: Selection, storage: TraceStorage) -> Steps[bytes]:
    rows, total = yield from select(store, selection)
    tags = TraceTags(store)
    pieces = list[bytes]()
    for row in rows:
        found = yield from tags.of(row.trace_id)
        span = _encode(row.span())
        pieces.append(span if found is None else b'%b,"trace_tags":%b}' % (span[:-1], _encode(found)))
        yield
    rest: dict[str, Any] = {
        "total": total,
        "offset": selection.offset,
        "limit": selection.limit,
        "storage": storage,
    }
    return b'{"spans":[%b],%b' % (b",".join(pieces), _encode(rest)[1:])


def _tree(rows: list[Row], collapse: Collapse, storage: TraceStorage) -> Steps[bytes]:
    roots = yield from tree(rows, collapse)
    return b'{"roots":%b,"storage":%b}' % (roots, _encode(storage))


def _groups(chunks: Iterable[list[Row]], request: TracesGroupByInput, now: int, storage: TraceStorage) -> Steps[bytes]:
    groups = yield from group(chunks, request, now)
    return _encode(TracesGroupByResult(groups, storage))
