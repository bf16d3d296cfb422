"""The log records that the engine remembers: a ring, encoded as they are answered (06 §10.1)."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from itertools import dropwhile, islice
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from iii.protocol.limits import LOG_RECORD_BYTES, LOG_STORE_BYTES

if TYPE_CHECKING:
    from iii.modules.observability.records import LogRecord

_OVERHEAD_BYTES = 300  # of one record beside its text
_BODY_CHARACTERS = LOG_RECORD_BYTES // 4

_encode = msgspec.json.Encoder().encode


class StoredLog(Struct, frozen=True, gc=False):
    """What records are looked for by, and the record itself as JSON.

    Attributes:
        number: of its arrival.
        moment: its time in nanoseconds, or when it was observed where it has none.
    """

    number: int
    timestamp: int
    moment: int
    severity_number: int
    severity: str
    trace_id: str | None
    span_id: str | None
    service: str
    text: bytes


class LogStore:
    """The newest records, `max_count` and 64 MiB at most.

    Args:
        first: the number before that of the first record: larger than all of a store that was there before.
    """

    def __init__(self, max_count: int, first: int = 0) -> None:
        self._max_count = max_count
        self._logs: deque[StoredLog] = deque()
        self._bytes = 0
        self.first = first
        self.added = first  # number of the newest
        self.cut = 0  # records that were too long

    def __len__(self) -> int:
        return len(self._logs)

    def __iter__(self) -> Iterator[StoredLog]:
        """In the order of arrival."""
        return iter(self._logs)

    def after(self, number: int) -> Iterator[StoredLog]:
        """Those that came after this one, in the order of arrival."""
        oldest = self.added - len(self._logs) + 1
        if not self._logs or self._logs[0].number == oldest:  # nothing was taken out of the middle
            return islice(self._logs, max(0, number + 1 - oldest), None)
        return dropwhile(lambda log: log.number <= number, self._logs)

    def add(self, record: LogRecord) -> StoredLog:
        """Remember it, and forget the oldest ones for it."""
        text = self._text(record)
        self.added += 1
        log = StoredLog(
            self.added,
            record.timestamp_unix_nano,
            record.timestamp_unix_nano or record.observed_timestamp_unix_nano,
            record.severity_number,
            record.severity_text.lower(),
            record.trace_id,
            record.span_id,
            _names(record),
            text,
        )
        self._logs.append(log)
        self._bytes += len(text) + _OVERHEAD_BYTES
        if len(self._logs) > self._max_count or self._bytes > LOG_STORE_BYTES:
            self._shrink()
        return log

    def limit(self, max_count: int) -> None:
        """Keep so many from now on."""
        self._max_count = max_count
        self._shrink()

    def sweep(self, before: int) -> None:
        """Forget what is older than this moment in nanoseconds; records do not come in the order of their times."""
        if any(log.moment < before for log in self._logs):
            self._keep([log for log in self._logs if log.moment >= before])

    def clear(self) -> None:
        """Forget all."""
        self._keep(())

    def _keep(self, logs: Sequence[StoredLog]) -> None:
        self._logs = deque(logs)
        self._bytes = sum(len(log.text) + _OVERHEAD_BYTES for log in logs)

    def _shrink(self) -> None:
        logs = self._logs
        while len(logs) > self._max_count or self._bytes > LOG_STORE_BYTES:
            self._bytes -= len(logs.popleft().text) + _OVERHEAD_BYTES

    def _text(self, record: LogRecord) -> bytes:
        """Of a record that is too long: its beginning, and how long it was."""
        if len(record.body) > _BODY_CHARACTERS:
            record.body = f"{record.body[:_BODY_CHARACTERS]}… ({len(record.body)} characters)"
            self.cut += 1
        try:
            text = _encode(record)
        except (
            TypeError,
            ValueError,
            OverflowError,
            RecursionError,
        ) as error:  # what JSON of others may hold and ours not
            text = _without_attributes(record, f"cannot be shown: {error}")
        if len(text) > LOG_RECORD_BYTES:
            self.cut += 1
            text = _without_attributes(
                record, f"left out: the record has {len(text)} bytes, the limit is {LOG_RECORD_BYTES}"
            )
        return text


def _names(record: LogRecord) -> str:
    """Of its service, and of the part of it that logged, as `iii.Logger` has one."""
    part = record.attributes.get("service.name")
    return f"{record.service_name}\n{part}" if part else record.service_name


def _without_attributes(record: LogRecord, reason: str) -> bytes:
    kept = msgspec.structs.replace(
        record, body=_plain(record.body), attributes={"iii.attributes": _plain(reason)}, resource={}
    )
    return _encode(kept)


def _plain(text: str) -> str:
    """Without the halves of characters that no JSON can hold."""
    return text.encode(errors="replace").decode()
