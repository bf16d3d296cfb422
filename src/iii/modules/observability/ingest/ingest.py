"""Telemetry frames as they arrive: each is read soon, in order, and never so much at once that a call waits (06 §2.11)."""

from __future__ import annotations

import logging
import random
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

import msgspec

from iii.modules.observability.config import ObservabilityConfig
from iii.modules.observability.ingest.compact import BadBatch, spans_in, spans_of
from iii.modules.observability.ingest.frames import (
    ITEMS,
    BadFrame,
    cut_logs,
    cut_metrics,
    cut_spans,
    frame_of,
    is_dense,
    span_marks,
    tidy_frame,
)
from iii.modules.observability.ingest.logs import log_of
from iii.modules.observability.ingest.metrics import metric_of
from iii.modules.observability.ingest.origin import Origin, origin_of
from iii.modules.observability.ingest.portions import metric_portions
from iii.modules.observability.ingest.spans import span_of
from iii.modules.observability.ingest.values import Drops, NotOtlp
from iii.modules.observability.ingest.wire import Frame
from iii.modules.observability.records import Span
from iii.modules.observability.signals import Signals, Source, UnreadSpans
from iii.net.decoding import DecodingProcesses
from iii.protocol.limits import KIB, TELEMETRY_WAITING_BYTES
from iii.protocol.log_event import LogEvent
from iii.protocol.telemetry import TelemetryKind

if TYPE_CHECKING:
    from iii.engine.clock import Timer
    from iii.engine.engine import Engine

SPANS_REFUSED = LogEvent(
    __name__, "observability.spans_refused", logging.WARNING, "OTLP ingestion error",
    means="A worker sent a frame of spans that cannot be read; the frame is dropped.",
    do="Look at the telemetry of the worker: it does not send OTLP JSON.",
)  # fmt: skip
METRICS_REFUSED = LogEvent(
    __name__, "observability.metrics_refused", logging.WARNING, "Metrics ingestion error",
    means="A worker sent a metrics frame that cannot be read; the frame is dropped.",
    do="Look at the telemetry of the worker: it does not send OTLP JSON.",
)  # fmt: skip
LOGS_REFUSED = LogEvent(
    __name__, "observability.logs_refused", logging.WARNING, "Logs ingestion error",
    means="A worker sent a frame of log records that cannot be read; the frame is dropped.",
    do="Look at the telemetry of the worker: it does not send OTLP JSON.",
)  # fmt: skip
FRAME_DROPPED = LogEvent(
    __name__, "observability.frame_dropped", logging.WARNING, "Telemetry frame dropped: too many bytes of telemetry are waiting",
    means="Workers send telemetry faster than the engine reads it; calls go first.",
    do="Let workers sample their spans, or raise their flush intervals. The health check counts `dropped_frames`.",
)  # fmt: skip

SMALL_BYTES = 16 * KIB  # read at once if none waits; larger ones wait for a turn of their own
COMPACT_AT_ONCE_BYTES = (
    32 * KIB
)  # the same of compact spans: as our SDK sends them when there are many; nearly all wait unread
LARGE_BYTES = 512 * KIB  # more is cut into pieces by another process; so much can be read in one step
CROWDED_S = 0.001  # for which what packs spans has its turns
TURN_S = 0.004  # of one turn; the piece that is being read is read to its end

_REFUSED = {
    TelemetryKind.SPANS: SPANS_REFUSED,
    TelemetryKind.METRICS: METRICS_REFUSED,
    TelemetryKind.LOGS: LOGS_REFUSED,
    TelemetryKind.COMPACT_SPANS: SPANS_REFUSED,
}
_BY_ITEMS = (TelemetryKind.SPANS, TelemetryKind.LOGS)  # of which one item may hold all that there is
_CUT = {TelemetryKind.SPANS: cut_spans, TelemetryKind.METRICS: cut_metrics, TelemetryKind.LOGS: cut_logs}

R = TypeVar("R")
Cut: TypeAlias = Callable[[list[Any]], Iterator[list[Any]]]  # into as many as are read in one step


def _hundreds(items: list[Any]) -> Iterator[list[Any]]:
    for start in range(0, len(items), ITEMS):
        yield items[start : start + ITEMS]


class Ingest:
    """One queue for all connections, so that the frames of each are read in the order in which they came."""

    def __init__(self, engine: Engine, config: ObservabilityConfig, signals: Signals) -> None:
        self.drops = Drops()
        self._clock = engine.clock
        self._signals = signals
        self._config = config
        self._waiting: deque[tuple[TelemetryKind, bytes]] = deque()
        self._waiting_bytes = 0
        self._reading: Iterator[None] = iter(())
        self._turn_due: Timer | None = None
        self._decoding: DecodingProcesses | None = None
        self._elsewhere = False  # the first frame is being cut
        self._stopped = False
        self._tell: dict[TelemetryKind, Callable[[Frame], Iterator[None]]] = {
            TelemetryKind.SPANS: self._spans,
            TelemetryKind.METRICS: self._metrics,
            TelemetryKind.LOGS: self._logs,
        }
        engine.telemetry.subscribe(self._arrived)

    def apply(self, config: ObservabilityConfig) -> None:
        """New settings, for frames that arrive from now on."""
        self._config = config

    def health(self) -> dict[str, Any]:
        """Details for the health check."""
        return {"dropped_frames": self.drops.frames, "dropped_items": self.drops.items}

    def stop(self) -> None:
        """What waits is forgotten."""
        self._stopped = True
        self._waiting.clear()
        if self._turn_due is not None:
            self._turn_due.cancel()
        if self._decoding is not None:
            self._decoding.close()

    # -- the queue ------------------------------------------------------------------------------------------------

    def _arrived(self, kind: TelemetryKind, payload: bytes) -> None:
        config = self._config
        if self._stopped or not config.enabled or (kind is TelemetryKind.LOGS and not config.logs_enabled):
            return
        idle = self._turn_due is None and not self._elsewhere
        at_once = COMPACT_AT_ONCE_BYTES if kind is TelemetryKind.COMPACT_SPANS else SMALL_BYTES
        if idle and len(payload) <= at_once and not self._signals.crowded():
            for _ in self._read(kind, payload):
                pass
        elif self._waiting and self._waiting_bytes + len(payload) > TELEMETRY_WAITING_BYTES:
            self.drops.frames += 1
            FRAME_DROPPED(bytes=len(payload), waiting_bytes=self._waiting_bytes)
        else:
            self._waiting.append((kind, payload))
            self._waiting_bytes += len(payload)
            if idle:
                self._go_on()

    def _go_on(self, after_s: float = 0.0) -> None:
        self._turn_due = self._clock.call_at(self._clock.now() + after_s, self._turn)

    def _turn(self) -> None:
        """Read on for a while; others have their turn before the next one."""
        self._turn_due = None
        until = self._clock.now() + TURN_S
        while not self._elsewhere:
            if self._signals.crowded():
                self._go_on(CROWDED_S)
                return
            for _ in self._reading:
                if self._clock.now() >= until:
                    self._go_on()
                    return
            if not self._waiting:
                return
            if self._clock.now() >= until:  # there was nothing in the last one
                self._go_on()
                return
            self._begin(*self._waiting.popleft())

    def _begin(self, kind: TelemetryKind, payload: bytes) -> None:
        size = len(payload)
        self._waiting_bytes -= size
        if kind in _BY_ITEMS and SMALL_BYTES < size <= LARGE_BYTES and is_dense(payload):
            self._cut(kind, payload)
            return
        if kind is TelemetryKind.SPANS and size <= LARGE_BYTES and self._kept_unread(payload):
            return
        if kind is TelemetryKind.COMPACT_SPANS:
            self._reading = self._compact(payload)
            return
        frame = (
            tidy_frame(kind, payload) if SMALL_BYTES < size <= LARGE_BYTES else None
        )  # a small one is read whatever it is
        if frame is None and size > SMALL_BYTES:
            self._cut(kind, payload)
        else:
            self._reading = self._read(kind, payload, frame)

    def _cut(self, kind: TelemetryKind, payload: bytes) -> None:
        if self._decoding is None:
            self._decoding = DecodingProcesses()
        self._elsewhere = True
        self._decoding.do(_CUT[kind], payload, partial(self._was_cut, kind), refuse=_refused)

    def _was_cut(self, kind: TelemetryKind, parts: Sequence[bytes]) -> None:
        if self._stopped:
            return
        self._elsewhere = False
        left_out: int | str = msgspec.json.decode(parts[0])
        if isinstance(left_out, str):
            self._refuse(kind, left_out)
        else:
            self.drops.items += left_out
            self._reading = (slice_ for part in parts[1:] for slice_ in self._read(kind, part))
        self._go_on()

    # -- one frame ------------------------------------------------------------------------------------------------

    def _read(self, kind: TelemetryKind, payload: bytes, frame: Frame | None = None) -> Iterator[None]:
        """Tell what is in a frame, a slice a step."""
        if kind is TelemetryKind.COMPACT_SPANS:
            yield from self._compact(payload)
            return
        if frame is None and kind is TelemetryKind.SPANS and self._kept_unread(payload):
            return
        try:
            yield from self._tell[kind](frame or frame_of(kind, payload, self.drops))
        except BadFrame as error:
            self._refuse(kind, str(error))

    def _compact(self, payload: bytes) -> Iterator[None]:
        """As `_read`."""
        try:
            count, keep = spans_in(payload), self._signals.unread(Source.WORKER)
            if keep is not None and count:
                keep(UnreadSpans(count, len(payload), partial(self._read_compact, payload)))
                return
            for spans in spans_of(payload, self.drops):
                self._signals.spans(spans, Source.WORKER)
                yield
        except BadBatch as error:
            self._refuse(TelemetryKind.COMPACT_SPANS, str(error))

    def _read_compact(self, payload: bytes) -> Iterator[list[Span]]:
        """Of a frame that waited as it was."""
        try:
            yield from spans_of(payload, self.drops)
        except BadBatch as error:
            self._refuse(TelemetryKind.COMPACT_SPANS, str(error))

    def _refuse(self, kind: TelemetryKind, reason: str) -> None:
        self.drops.frames += 1
        _REFUSED[kind](reason=reason)

    def _kept_unread(self, payload: bytes) -> bool:
        """Whether the frame waits as it is: it can be read in one step, and all its spans have ended and are sure to count."""
        keep = self._signals.unread(Source.WORKER)
        marks = None if keep is None or len(payload) > LARGE_BYTES else span_marks(payload)
        if keep is None or marks is None:
            return False
        resources = marks.resources or ()
        count = sum([len(scope.items or ()) for each in resources for scope in each.scopes or ()])
        if not count:
            return False
        if (
            not all(origin_of(each.resource, self.drops).ours for each in resources)
            and tidy_frame(TelemetryKind.SPANS, payload) is None
        ):
            return False
        keep(UnreadSpans(count, len(payload), partial(self._read_spans, payload)))
        return True

    def _read_spans(self, payload: bytes) -> Iterator[list[Span]]:
        """Of a frame that waited as it was."""
        frame = tidy_frame(TelemetryKind.SPANS, payload)
        if frame is None:
            self._refuse(TelemetryKind.SPANS, "it says that it is of our client, and is not as that writes them")
            return
        for items, origin in self._slices(frame, _hundreds):
            yield self._records(items, span_of, origin)

    def _spans(self, frame: Frame) -> Iterator[None]:
        return self._converted(frame, span_of, self._signals.spans)

    def _logs(self, frame: Frame) -> Iterator[None]:
        return self._converted(frame, log_of, self._signals.logs, self._config.logs_sampling_ratio)

    def _metrics(self, frame: Frame) -> Iterator[None]:
        convert = partial(metric_of, now_ns=self._clock.time_ms() * 1_000_000)
        return self._converted(frame, convert, self._signals.metrics, cut=metric_portions)

    def _converted(
        self,
        frame: Frame,
        convert: Callable[[Any, Origin, Drops], R],
        tell: Callable[[Sequence[R], Source], None],
        ratio: float = 1.0,
        cut: Cut = _hundreds,
    ) -> Iterator[None]:
        """Tell all items of a frame, or a share of them, but those that mean nothing."""
        for items, origin in self._slices(frame, cut):
            chosen = items if ratio >= 1 else [item for item in items if random.random() < ratio]
            if records := self._records(chosen, convert, origin):
                tell(records, Source.WORKER)
            yield

    def _records(self, items: list[Any], convert: Callable[[Any, Origin, Drops], R], origin: Origin) -> list[R]:
        """But those that mean nothing."""
        records: list[R] = []
        for item in items:
            try:
                records.append(convert(item, origin, self.drops))
            except NotOtlp:
                self.drops.items += 1
        return records

    def _slices(self, frame: Frame, cut: Cut) -> Iterator[tuple[list[Any], Origin]]:
        """Those without items, too: to pass over thousands of empty resources takes its time."""
        for resource in frame.resources or ():
            about = origin_of(resource.resource, self.drops)
            if not resource.scopes:
                yield [], about
            for scope in resource.scopes or ():
                origin, items = about.scoped(scope.scope), scope.items or []
                if not items:
                    yield [], origin
                for some in cut(items):
                    yield some, origin


def _refused(why: str) -> list[bytes]:
    return [msgspec.json.encode(why)]
