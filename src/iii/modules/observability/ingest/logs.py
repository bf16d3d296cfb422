"""Log records out of a frame (06 §2.9)."""

from iii.modules.observability.ingest.origin import Origin
from iii.modules.observability.ingest.values import Drops, NotOtlp, bounded_id, members_of, signed, text_of, unsigned
from iii.modules.observability.ingest.wire import WireLog
from iii.modules.observability.log_text import complete
from iii.modules.observability.records import LogRecord


def log_of(log: WireLog, origin: Origin, drops: Drops) -> LogRecord:
    """Raises NotOtlp if its times mean nothing."""
    record = LogRecord(
        unsigned(log.time_unix_nano),
        unsigned(log.observed_time_unix_nano),
        _severity(log.severity_number, drops),
        log.severity_text or "",
        "" if log.body is None else text_of(log.body),
        members_of(log.attributes, drops),
        _id(log.trace_id, drops),
        _id(log.span_id, drops),
        origin.resource,
        origin.service or "unknown",
        origin.scope_name,
        origin.scope_version,
    )
    complete(record)
    return record


def _id(text: str | None, drops: Drops) -> str | None:
    try:
        return bounded_id(text or "") or None
    except NotOtlp:
        drops.items += 1
        return None


def _severity(number: int | str | None, drops: Drops) -> int:
    if number is None:
        return 0
    try:
        return signed(number)
    except NotOtlp:
        drops.items += 1
        return 0
