"""Spans on disk and in memory together are those of a model that loses nothing (06 §7.5)."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from iii.modules.observability.records import Span
from iii.modules.observability.spans.archive import firsts, named, narrowed, questions
from iii.modules.observability.spans.archive import told as told_
from iii.modules.observability.spans.archive.blocks import seal, spans_of
from iii.modules.observability.spans.archive.columns import write_down
from iii.modules.observability.spans.archive.known_blocks import KnownBlocks
from iii.modules.observability.spans.archive.questions import Questions
from iii.modules.observability.spans.archive.schema import MIGRATIONS
from iii.modules.observability.spans.archive.tables import ArchivedSpan, Tables
from iii.modules.observability.spans.requests import TracesGroupByInput, TracesListInput
from iii.modules.observability.spans.row import Row
from iii.modules.observability.spans.selection import Selection
from iii.modules.observability.spans.store import SpanStore
from iii.modules.observability.spans.tree import Collapse
from iii.storage.memory_database import MemoryDatabase
from tests.property.span_model import FRAMES, MS, NOW, REQUESTS, Model, end_of, made
from tests.unit.modules.observability.spans.blocks_on_disk import read_ahead

KNOWN = KnownBlocks(20_000)  # of all that was ever on the disk


class Disk:
    """An archive that writes when it is told to."""

    def __init__(self, connection: Any, store: SpanStore) -> None:
        self.connection = connection
        self.store = store
        self.tables = Tables(10**9)
        self.waiting: dict[Row, None] = {}
        store.archive = self

    def expect(self, row: Row) -> None:
        self.waiting[row] = None

    def write(self) -> None:
        rows = [row for row in self.waiting if row.kept and not row.pending]
        self.tables.add(self.connection, list(map(ArchivedSpan.of, rows)), 1)
        for row in rows:
            self.store.archived(row, row.packed)
        self.waiting.clear()

    def seal(self, told: bool = True) -> None:
        """What is on disk now, as if the block were full; or as an engine did that wrote down pairs alone."""
        sealed = self.connection.execute("SELECT 1 FROM blocks WHERE id = 0").fetchone()
        if sealed is None:
            spans = spans_of(self.connection, 0)
            seal(self.connection, 0, spans)
            if told:
                write_down(self.connection, 0, spans)

    def questions(self, traces: set[str]) -> Questions:
        memory = made(self.store.copies([*self.waiting, *self.store.pending], traces))
        return Questions(self.connection, memory, KNOWN)


@pytest.fixture(scope="module")
def database() -> MemoryDatabase:
    database = MemoryDatabase(MIGRATIONS)
    asyncio.run(database.open())
    return database


@pytest.fixture(scope="module", autouse=True)
def skipping() -> Iterator[None]:
    """What is passed before a page is passed as if it were much."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(questions, "_SKIPPED", 0)
        yield


def filled(
    connection: Any, frames: list[tuple[list[Span], bool]], max_spans: int, sealed: int = 0, told: bool = True
) -> tuple[Disk, Model]:
    store, model = SpanStore(max_spans, 10**9), Model(10**9)
    disk = Disk(connection, store)
    disk.tables.clear(connection)
    for number, (frame, written) in enumerate(frames):
        store.add(frame)
        model.add(frame)
        if written:
            disk.write()
        if sealed & 1 << number:
            disk.seal(told)
    return disk, model


WRITTEN_FRAMES = FRAMES.flatmap(
    lambda frames: st.tuples(st.just(frames), st.lists(st.booleans(), min_size=len(frames), max_size=len(frames)))
).map(lambda both: list(zip(*both, strict=True)))


@settings(max_examples=150, deadline=None)
@given(
    WRITTEN_FRAMES,
    st.integers(1, 12),
    st.lists(REQUESTS, min_size=1, max_size=3),
    st.integers(0, 63),
    st.booleans(),
    st.booleans(),
    st.booleans(),
    st.booleans(),
)
def test_06_7_5_lists_are_those_of_disk_and_memory_together(
    database: MemoryDatabase,
    frames: list[tuple[list[Span], bool]],
    max_spans: int,
    requests: list[dict[str, Any]],
    sealed: int,
    many: bool,
    told: bool,
    plain: bool,
    ahead: bool,
) -> None:
    """Whatever is sealed, whoever has sealed it, and whether a few are many."""
    disk, model = filled(database.reader, frames, max_spans, sealed, told)
    if ahead:
        read_ahead(disk.connection, KNOWN)
    for wanted in requests:
        selection = Selection(msgspec.convert(wanted, TracesListInput), NOW)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(narrowed, "_FEW", 0 if many else 10)
            patch.setattr(narrowed, "_FEW_TRACES", 0 if many else 10)
            patch.setattr(named, "_FEW", 0 if many else 10)
            patch.setattr(narrowed, "_SOME", 10**6)
            patch.setattr(told_, "PAGES", 0 if plain else 100)
            patch.setattr(narrowed, "_FEWER", 0 if many else 10)
            patch.setattr(firsts, "_SPARE", 0 if many else 2)
            page = disk.questions(set(selection.traces or ())).listed(selection)
        rows, total = model.listed(wanted)
        answered = [json.loads(each) for each in page.spans]
        tags = [each.pop("trace_tags", None) for each in answered]
        assert answered == [json.loads(msgspec.json.encode(span)) for span in rows]
        assert page.total == total
        assert tags == [model.tags(span.trace_id) for span in rows]


@settings(max_examples=50, deadline=None)
@given(WRITTEN_FRAMES, st.integers(1, 12))
def test_06_7_5_trees_and_groups_are_those_of_disk_and_memory_together(
    database: MemoryDatabase, frames: list[tuple[list[Span], bool]], max_spans: int
) -> None:
    disk, model = filled(database.reader, frames, max_spans)
    for trace_id in ("t1", "t2", "t3"):
        text = disk.questions({trace_id}).tree(trace_id, Collapse(()))
        roots = {root["span_id"] for root in json.loads(text)}
        assert roots == {span.span_id for span in model.trace(trace_id) if model.is_root(span)}
        assert text.count(b'"children":') == len(model.trace(trace_id))
    groups = {each.value: each for each in disk.questions(set()).groups(TracesGroupByInput("k"), NOW)}
    for value, found in groups.items():
        members = [span for span in model.spans if next((v for k, v in span.attributes if k == "k"), None) == value]
        members = [span for span in members if ("iii.function.kind", "internal") not in span.attributes]
        assert found.span_count == len(members)
        assert found.last_seen_ms == max(map(end_of, members)) // MS
