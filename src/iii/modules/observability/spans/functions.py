"""`engine::traces::list`, `tree`, `clear` and `group_by` (06 §7.4)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, TypeAlias, TypeVar

import msgspec

from iii.engine.builtin import LATER, Later, builtin
from iii.engine.engine import Engine
from iii.engine.invocation import Invocation
from iii.modules.observability.spans.archive.known_blocks import SealedBlock
from iii.modules.observability.spans.archive.questions import Questions, SpanPage
from iii.modules.observability.spans.codes import MEMORY_EXPORTER_NOT_ENABLED, TRACE_STORAGE_CLEAR_FAILED
from iii.modules.observability.spans.groups import group
from iii.modules.observability.spans.kept import KeptSpans
from iii.modules.observability.spans.listed import select, with_prefix
from iii.modules.observability.spans.requests import (
    TraceGroup,
    TracesClearInput,
    TracesClearResult,
    TracesGroupByInput,
    TracesGroupByResult,
    TracesListInput,
    TracesListResult,
    TracesTreeInput,
    TracesTreeResult,
)
from iii.modules.observability.spans.row import Row
from iii.modules.observability.spans.selection import Selection
from iii.modules.observability.spans.store import SpanStore
from iii.modules.observability.spans.tags import TraceTags
from iii.modules.observability.spans.tree import Collapse, tree
from iii.modules.observability.steps import Steps, answered
from iii.storage.items import StoreError
from iii.storage.transactions import Connection, ReadError

T = TypeVar("T")

_FromDisk: TypeAlias = tuple[T, str | None, Sequence[SealedBlock]]
"""An answer, what could not be read, and the damaged blocks that were found."""

_encode = msgspec.json.Encoder().encode
_MS = 1_000_000


class TraceFunctions:
    """Answers are made a piece in each turn of the loop; those from a small store at once. What is on disk is read on a thread."""

    def __init__(self, engine: Engine, spans: KeptSpans) -> None:
        self._engine = engine
        self._spans = spans

    @builtin("engine::traces::list", spec="06 §7.4, §7.5")
    def list(self, request: TracesListInput, invocation: Invocation) -> TracesListResult | Later:
        """List spans: roots, or all that match."""
        store, selection = self._kept(), Selection(request, self._now())

        def answer(page: SpanPage) -> bytes:
            rest: dict[str, Any] = {
                "total": page.total,
                "offset": selection.offset,
                "limit": selection.limit,
                "storage": self._spans.storage(),
            }
            return b'{"spans":[%b],%b' % (b",".join(page.spans), _encode(rest)[1:])

        def ask() -> None:
            traces = selection.traces or ()
            self._ask(invocation, listing(store, selection), lambda disk: disk.listed(selection), traces, answer)

        if selection.prefix is None:
            ask()
        else:
            self._engine.turns.go(self._settled(_found(store, selection)), ask)
        return LATER

    @builtin("engine::traces::tree", spec="06 §7.4, §7.5")
    def tree(self, request: TracesTreeInput, invocation: Invocation) -> TracesTreeResult | Later:
        """Show one trace as a tree of spans."""
        trace_id, collapse = request.trace_id, self._spans.collapse
        store = self._kept()

        def answer(roots: bytes) -> bytes:
            return b'{"roots":%b,"storage":%b}' % (roots, _encode(self._spans.storage()))

        return self._ask(
            invocation,
            _tree(store, trace_id, collapse),
            lambda disk: disk.tree(trace_id, collapse),
            (trace_id,),
            answer,
        )

    @builtin("engine::traces::clear", spec="06 §7.4, §7.5")
    def clear(self, request: TracesClearInput, invocation: Invocation) -> TracesClearResult | Later:
        """Remove all spans."""
        self._kept()
        archive = self._spans.archive
        if archive is None or not archive.opened:
            self._engine.turns.go(self._spans.clear())
            return TracesClearResult(success=True)

        def done(error: StoreError | None) -> None:
            if error is None:
                self._engine.turns.go(self._spans.clear())
                invocation.complete(_encode(TracesClearResult(success=True)))
            else:
                text = f"could not clear durable trace storage: {error}; nothing was removed"
                invocation.refuse(TRACE_STORAGE_CLEAR_FAILED(text))

        archive.clear(done)
        return LATER

    @builtin("engine::traces::group_by", spec="06 §7.4, §7.5")
    def group_by(self, request: TracesGroupByInput, invocation: Invocation) -> TracesGroupByResult | Later:
        """Group spans by the value of an attribute."""
        store, now = self._kept(), self._now()

        def answer(groups: list[TraceGroup]) -> bytes:
            return _encode(TracesGroupByResult(groups, self._spans.storage()))

        return self._ask(
            invocation, group(_chunks(store), request, now), lambda disk: disk.groups(request, now), (), answer
        )

    def _kept(self) -> SpanStore:
        store = self._spans.store
        if store is None:
            raise MEMORY_EXPORTER_NOT_ENABLED(
                "In-memory span storage is not available. Set exporter: memory or both in config. `enabled` of iii-observability has to be true."
            )
        return store

    def _now(self) -> int:
        return self._engine.clock.time_ms() * _MS

    def _ask(
        self,
        invocation: Invocation,
        in_memory: Steps[T],
        on_disk: Callable[[Questions], T],
        traces: Iterable[str],
        answer: Callable[[T], bytes],
    ) -> Later:
        """Answer from the disk and of the given traces in memory, if there is a disk, else from memory alone."""
        archive = self._spans.archive
        if archive is None or not archive.opened:
            self._engine.turns.go(answered(invocation, self._settled(in_memory), answer))
            return LATER
        store, memory = self._kept(), list[Row]()

        def gathered() -> Steps[None]:
            yield from self._spans.settled()
            memory.extend((yield from store.copies(archive.unwritten(), traces)))
            archive.read(work, done)

        def work(connection: Connection) -> _FromDisk[T] | Exception:
            connection.execute("BEGIN")  # what is written meanwhile is not seen in part
            try:
                questions = Questions(connection, memory, archive.known_blocks)
                return on_disk(questions), questions.damaged, questions.damaged_blocks
            except (ReadError, OSError):
                raise
            except Exception as error:  # the disk has no part in it
                return error
            finally:
                connection.rollback()

        def done(result: _FromDisk[T] | Exception | None, error: StoreError | None) -> None:
            if isinstance(result, Exception):
                self._engine.turns.go(answered(invocation, _failed(result), answer))
                return
            if result is None:
                if archive.opened and error is not None:
                    archive.fail(error)
                self._engine.turns.go(answered(invocation, in_memory, answer))
                return
            found, damaged, damaged_blocks = result
            if damaged is not None:
                archive.fail(damaged)
            if damaged_blocks:
                archive.seal_again(damaged_blocks)
            invocation.complete(answer(found))

        self._engine.turns.go(gathered())
        return LATER

    def _settled(self, in_memory: Steps[T]) -> Steps[T]:
        """Over all that has arrived."""
        yield from self._spans.settled()
        return (yield from in_memory)


def _found(store: SpanStore, selection: Selection) -> Steps[None]:
    """Which traces in memory begin with the prefix; the disk adds its own."""
    selection.traces = yield from with_prefix(store.traces, selection.prefix or "")


def listing(store: SpanStore, selection: Selection) -> Steps[SpanPage]:
    """A page of a list from memory."""
    rows, total = yield from select(store, selection)
    tags = TraceTags(store)
    pieces = list[bytes]()
    for row in rows:
        pieces.append(row.answer((yield from tags.of(row.trace_id))))
        yield
    return SpanPage(pieces, total)


def _tree(store: SpanStore, trace_id: str, collapse: Collapse) -> Steps[bytes]:
    trace = store.traces.get(trace_id)
    return (yield from tree([] if trace is None else list(trace.rows.values()), collapse))


def _failed(error: Exception) -> Steps[Any]:
    yield
    raise error


def _chunks(store: SpanStore) -> Iterator[list[Row]]:
    store.facets.settle()
    for facet in list(store.facets.all()):
        yield from facet.chunks()
