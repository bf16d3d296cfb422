"""Rows of spans on disk, and whether they can be read (06 §7.5)."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import msgspec

from iii.modules.observability.redaction import tags_among
from iii.modules.observability.spans.row import Common, Row, unpack
from iii.storage.transactions import Connection, ReadError

COLUMNS = (
    "t.trace_id, s.span_id, s.parent, s.start, s.end, s.facet, r.packed AS resource, s.packed, s.tagged, s.root > 0"
)
_TAGGED = """
    SELECT t.trace_id, s.span_id, s.packed FROM json_each(?) j CROSS JOIN traces t ON t.trace_id = j.value CROSS JOIN spans s ON s.trace = t.id
    WHERE s.tagged ORDER BY s.start, s.span_id"""
JOINED = "CROSS JOIN traces t ON t.id = s.trace CROSS JOIN resources r ON r.id = s.resource"


class ArchivedRows:
    """Of one state of the disk.

    Attributes:
        damaged: what could not be read, for the log; None: nothing.
    """

    def __init__(self, connection: Connection, commons: Mapping[int, Common]) -> None:
        self.damaged: str | None = None
        self._execute = connection.execute
        self._commons = commons

    def of(self, trace_ids: Sequence[str], condition: str = "") -> Iterator[Row]:
        query = f"SELECT {COLUMNS} FROM traces t CROSS JOIN spans s ON s.trace = t.id CROSS JOIN resources r ON r.id = s.resource"
        return map(
            self.row,
            self._execute(
                f"{query} WHERE t.trace_id IN (SELECT value FROM json_each(?)) {condition}", (json.dumps(trace_ids),)
            ),
        )

    def row(self, columns: Any) -> Row:
        trace_id, span_id, parent, start, end, facet, resource, packed, tagged, _ = columns
        common = self._commons.get(facet)
        if common is None:
            raise ReadError(f"span {span_id} of trace {trace_id} on disk has no facet")
        return Row(
            trace_id, span_id, parent, start, end, common, packed, resource, False, bool(tagged), 0, archived=True
        )

    def whole(self, rows: Iterable[Row]) -> list[Row]:
        """Those that can be unpacked."""
        return [row for row in rows if self.is_whole(row)]

    def is_whole(self, row: Row) -> bool:
        try:
            row.span()
        except (msgspec.MsgspecError, ValueError) as error:
            self._skipped(row.trace_id, row.span_id, error)
            return False
        return True

    def has_attributes(self, row: Row) -> bool:
        """Whether they can be unpacked."""
        try:
            row.unpacked()
        except (msgspec.MsgspecError, ValueError) as error:
            self._skipped(row.trace_id, row.span_id, error)
            return False
        return True

    def answer(self, row: Row, tags: dict[str, str] | None) -> bytes | None:
        """JSON; None: it cannot be unpacked."""
        try:
            return row.answer(tags)
        except (msgspec.MsgspecError, ValueError) as error:
            self._skipped(row.trace_id, row.span_id, error)
            return None

    def tags(self, trace_ids: Sequence[str]) -> dict[str, dict[str, str] | None]:
        """Of each trace; a span that starts later wins."""
        found = {trace_id: dict[str, str]() for trace_id in trace_ids}
        for trace_id, span_id, packed in self._execute(_TAGGED, (json.dumps(trace_ids),)):
            try:
                attributes = unpack(packed).attributes
            except (msgspec.MsgspecError, ValueError) as error:
                self._skipped(trace_id, span_id, error)
                continue
            found[trace_id].update(tags_among(attributes))
        return {**found}

    def _skipped(self, trace_id: str, span_id: str, error: Exception) -> None:
        self.damaged = f"corrupt trace payload skipped: span {span_id} of trace {trace_id}: {error}"

    def having(self, ids: Sequence[int]) -> list[Row]:
        query = f"SELECT {COLUMNS} FROM json_each(?) j CROSS JOIN spans s ON s.id = j.value {JOINED}"
        return [self.row(columns) for columns in self._execute(query, (json.dumps(ids),))]
