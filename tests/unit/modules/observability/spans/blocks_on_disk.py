"""Spans of five blocks on disk, and what is asked of them."""

from __future__ import annotations

import json
import sqlite3
from typing import Any

import msgspec

from iii.modules.observability.spans.archive import blocks
from iii.modules.observability.spans.archive.ahead import BlocksAhead
from iii.modules.observability.spans.archive.known_blocks import KnownBlocks
from iii.modules.observability.spans.archive.questions import Questions
from iii.modules.observability.spans.archive.tables import ArchivedSpan, Tables
from iii.modules.observability.spans.requests import TracesListInput
from iii.modules.observability.spans.row import Packer
from iii.modules.observability.spans.selection import Selection
from iii.testing.clock import FakeClock
from tests.unit.modules.observability.spans.engine_with_spans import MS, span

SPANS = 5 * blocks.SPANS
PACKER = Packer()
NOW = 10**9 * MS


def entry(number: int) -> ArchivedSpan:
    """Four of a trace: every 512th span is rare, every one is common."""
    row = PACKER.row(
        span(
            f"{number:05d}", None if number % 4 == 0 else f"{number - number % 4:05d}", f"t{number // 4:04d}", start=number,
            end=number + 1 + number * 31 % 97, status="error" if number % 2 else "ok",
            name=f"n{number % 3}", attributes=[("kind", "common"), ("rare", str(number % 512)), ("kind", "common")],
        )
    )  # fmt: skip
    return ArchivedSpan.of(row)


def sealed(connection: sqlite3.Connection) -> list[int]:
    return [block for (block,) in connection.execute("SELECT id FROM blocks ORDER BY id")]


def seal_all(connection: sqlite3.Connection) -> None:
    tables = Tables(10**10)
    while tables.seal(connection):
        pass


def listed(connection: sqlite3.Connection, known: Any = None, **request: Any) -> tuple[list[str], int]:
    page = Questions(connection, [], known).listed(Selection(msgspec.convert(request, TracesListInput), NOW))
    return [json.loads(each)["span_id"] for each in page.spans], page.total


def read_ahead(connection: sqlite3.Connection, known: KnownBlocks) -> None:
    """What lists need of blocks, as far as there is room."""
    assert not connection.in_transaction
    clock = FakeClock()
    BlocksAhead(clock, lambda work, done: done(work(connection), None), known, lambda _: None).begin()
    while clock.timers:
        clock.advance(1)


def pages(connection: sqlite3.Connection) -> list[tuple[tuple[list[str], int], tuple[list[str], int]]]:
    return [
        (listed(connection, limit=5, sort_order="desc", **each), listed(connection, limit=5, **each))
        for each in QUESTIONS
    ]


RARE = {"attributes": [["rare", "8"]]}
COMMON = {"attributes": [["kind", "common"]]}
ANYWHERE = {"search_all_spans": True}
QUESTIONS: list[dict[str, Any]] = [
    RARE,
    COMMON,
    {**RARE, **ANYWHERE},
    {"attributes": [["rare", "9"], ["kind", "common"]], **ANYWHERE},
    {**COMMON, **ANYWHERE},
    {"attributes": [["kind", "none"]], **ANYWHERE},
    {"name": "N1", **ANYWHERE},
    {"name": "n1", "service_name": "none", **ANYWHERE},
    {"exclude_attributes": [["rare", "8"]]},
    {"exclude_attributes": [["rare", "8"], ["rare", "12"]], **ANYWHERE},
    {"exclude_attributes": [["kind", "common"]]},
    {"exclude_attributes": [["kind", "none"]], **ANYWHERE},
    {**COMMON, "exclude_attributes": [["rare", "8"]], "end_time": 5_000},
    {**COMMON, "min_duration_ms": 2},
    {"min_duration_ms": 90, **ANYWHERE},
    {"min_duration_ms": 97, "max_duration_ms": 97, **ANYWHERE},
    {"max_duration_ms": 90, **ANYWHERE, "status": "error"},
    {"max_duration_ms": 3},
    {"min_duration_ms": 90, "name": "n1", **ANYWHERE},
    {"min_duration_ms": 90, "sort_by": "name"},
    {"min_duration_ms": 90, "end_time": 5_000, **ANYWHERE},
    {"min_duration_ms": 98},
    {"max_duration_ms": -1},
    {"sort_by": "duration", **ANYWHERE},
    {"sort_by": "duration", "status": "error", "max_duration_ms": 50, **ANYWHERE},
    {"sort_by": "duration", "min_duration_ms": 96.5},
    {"sort_by": "duration", "offset": 3_000, **ANYWHERE},
    {"start_time": 3_000, **ANYWHERE},
    {"start_time": 3_000, "end_time": 7_000},
    {"end_time": 7_000, "min_duration_ms": 90, "attributes": [["kind", "common"]]},
    {"end_time": 7_000, "min_duration_ms": 90, "exclude_attributes": [["rare", "8"]], **ANYWHERE},
    {"min_duration_ms": 90, **COMMON, "name": "n1", "status": "error", **ANYWHERE},
    {"sort_by": "duration", **RARE, **ANYWHERE},
    {
        "sort_by": "duration",
        "attributes": [["rare", "9"]],
        "name": "n",
        "exclude_attributes": [["kind", "common"]],
        **ANYWHERE,
    },
    {"name": "n1", "status": "error", **ANYWHERE},
]
