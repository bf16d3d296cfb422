"""Log records on their way to the engine, in small batches (08 §18, 06 §2.9)."""

import threading
import time
from collections.abc import Callable, Mapping

from iii.sdk.log_entry import LogEntry
from iii.sdk.otlp import Json, attributes, encoded, item_or_none, log_envelope
from iii.sdk.span_frames import FrameSink


class LogRecords:
    """Collects records; a batch leaves when it is full, or on a thread after the interval.

    Args:
        span_ids: trace and span id of the code that logs, in hex, None where there is no span.
    """

    def __init__(
        self,
        sink: FrameSink,
        resource_attributes: Mapping[str, str],
        interval_s: float,
        batch_size: int,
        span_ids: Callable[[], tuple[str | None, str | None]],
    ) -> None:
        self._sink = sink
        self._envelope = log_envelope("iii.logger", resource_attributes)
        self._interval_s = interval_s
        self._batch_size = batch_size
        self._span_ids = span_ids
        self._records: list[bytes] = []
        self._timer: threading.Timer | None = None
        self._lock = threading.RLock()  # a signal handler may log while its thread is in here

    def end_after_fork(self) -> None:
        """In a forked child: the lock may be held by a thread that stayed behind."""
        self._lock = threading.RLock()
        self._records = []

    def export(self, entry: LogEntry) -> bool:
        """Take one record; False if it cannot be sent. From any thread."""
        trace_id, span_id = self._span_ids()
        now_ns = str(time.time_ns())
        severity_text, severity_number = entry.severity
        record: Json = {
            "timeUnixNano": now_ns,
            "observedTimeUnixNano": now_ns,
            "severityNumber": severity_number,
            "severityText": severity_text,
            "body": {"stringValue": entry.message},
            "attributes": attributes(entry.attributes),
        }
        if entry.trace_id or trace_id:
            record["traceId"] = entry.trace_id or trace_id
        if entry.span_id or span_id:
            record["spanId"] = entry.span_id or span_id
        item = item_or_none(lambda: encoded(record))
        if item is None:
            return False
        with self._lock:
            self._records.append(item)
            if len(self._records) >= self._batch_size:
                self._flush()
            elif self._timer is None:
                self._timer = threading.Timer(self._interval_s, self.flush)
                self._timer.daemon = True
                self._timer.start()
        return True

    def flush(self) -> None:
        """Send what there is."""
        with self._lock:
            self._flush()

    def close(self) -> None:
        """Send what there is; nothing comes any more."""
        self.flush()

    def _flush(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        records, self._records = self._records, []
        for frame in self._envelope.frames(records):
            self._sink(frame)
