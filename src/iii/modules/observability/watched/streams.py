"""The live streams `iii:devtools:…`: spans as they come, for those who follow them on the stream port (19 §2)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import msgspec

from iii.modules.observability.watched.branches import branches
from iii.protocol.limits import FOLLOWED_GROUPS, LIVE_EVENT_BYTES, TELEMETRY_ID_CHARACTERS

if TYPE_CHECKING:
    from iii.engine.engine import Engine
    from iii.modules.observability.spans.row import Row
    from iii.modules.observability.spans.traces import Traces
    from iii.modules.observability.spans.tree import Collapse
    from iii.modules.observability.steps import Steps

TRACE_ROWS = "iii:devtools:trace-rows"
ALL_SPANS = "iii:devtools:all-spans"
TRACE_SPANS = "iii:devtools:trace-spans"
EVERYTHING = "all"  # the only group of the first two
_SEND = "stream::send"

_encode = msgspec.json.Encoder().encode

Spans = Iterable[tuple["Row", str | None]]


class LiveStreams:
    """Nothing is made of what nobody follows."""

    def __init__(self, engine: Engine, collapse: Collapse) -> None:
        self._engine = engine
        self._collapse = collapse
        self._followed: dict[str, dict[str, None]] = {TRACE_ROWS: {}, ALL_SPANS: {}, TRACE_SPANS: {}}

    def __len__(self) -> int:
        """Groups that are fed."""
        return sum(map(len, self._followed.values()))

    def follow(self, stream: str, group: str, followed: bool) -> None:
        """Whether a group has subscribers."""
        groups = self._followed.get(stream)
        if groups is None:
            return
        if not followed:
            groups.pop(group, None)
        elif len(self) < FOLLOWED_GROUPS and len(group) <= TELEMETRY_ID_CHARACTERS:
            groups[group] = None

    def tell(self, rows: Sequence[Row], traces: Traces) -> Steps[None]:
        """Send what is followed of these."""
        if EVERYTHING in self._followed[TRACE_ROWS]:
            roots = ((row, None) for row in rows if row.parent_span_id is None and not row.common.internal)
            yield from self._send(TRACE_ROWS, EVERYTHING, roots)
        if EVERYTHING in self._followed[ALL_SPANS]:
            yield from self._send(ALL_SPANS, EVERYTHING, ((row, row.parent_span_id) for row in rows))
        followed = self._followed[TRACE_SPANS]
        if followed:
            arrived: dict[str, list[Row]] = {}
            for row in rows:
                if row.trace_id in followed:
                    arrived.setdefault(row.trace_id, []).append(row)
            for trace_id, some in arrived.items():
                trace = traces.get(trace_id)
                if trace is not None:
                    shown = yield from branches(list(trace.rows.values()), some, self._collapse)
                    yield from self._send(TRACE_SPANS, trace_id, shown)

    def _send(self, stream: str, group: str, spans: Spans) -> Steps[None]:
        """In events of bounded size; whoever follows puts spans together by their ids."""
        texts: list[bytes] = []
        size = 0
        for row, parent in spans:
            span = row.span()
            span.parent_span_id = parent
            text = _encode(span)
            if texts and size + len(text) > LIVE_EVENT_BYTES:
                self._event(stream, group, texts)
                texts, size = [], 0
            texts.append(text)
            size += len(text)
            yield
        if texts:
            self._event(stream, group, texts)
            yield

    def _event(self, stream: str, group: str, texts: Sequence[bytes]) -> None:
        spans = b",".join(texts)
        head = b'{"stream_name":%b,"group_id":%b,"type":"spans",' % (_encode(stream), _encode(group))
        self._engine.router.call(_SEND, None, b'%b"data":{"spans":[%b]}}' % (head, spans))
